"""E3: behind a trusted sender of the PROXY protocol a client counts as itself; nobody else's word about it is taken."""
import json
import shutil
import socket
import ssl
import subprocess

import pytest

import clients
from proxy_protocol import LOCAL, SENDER, TRUST, binary, connect, line
from test_sources import PENALTIES, sources
from world import free_port, wait_until, answers

STRANGER = "127.0.0.9"


def seen_from(world, head, **options):
    """Where the record says that a client with this head is."""
    with connect(world, head, **options) as peer:
        assert clients.http1(world, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", peer=peer)[0] == 200
        return json.loads(world.admin("device", "show", "alice-laptop", "--json"))["connections"][0]["address"]


def is_refused(world, head, **options):
    try:
        connect(world, head, **options).close()
        return False
    except (OSError, ssl.SSLError):
        return True


@pytest.fixture(scope="module")
def trusting(programs):
    from worlds import Worlds  # the fixtures' own: one world for the tests of this module that change nothing
    worlds = Worlds(programs)
    try:
        yield worlds(settings=TRUST)
    finally:
        worlds.close()


@pytest.mark.parametrize("head, address", [
    (line("192.0.2.50"), "192.0.2.50"), (line("2001:db8::50"), "2001:db8::50"), (line("::ffff:192.0.2.51"), "192.0.2.51"),
    (binary("192.0.2.52"), "192.0.2.52"), (binary("2001:db8::52"), "2001:db8::52"), (binary("192.0.2.53", more=b""), "192.0.2.53"),
    (LOCAL, SENDER), (b"PROXY UNKNOWN\r\n", SENDER)])
def test_E3_a_client_behind_a_trusted_sender_is_itself(trusting, head, address):
    assert seen_from(trusting, head) == address
    wait_until(lambda: not json.loads(trusting.admin("device", "show", "alice-laptop", "--json"))["connections"], "the end")


def test_E3_the_word_of_others_counts_for_nothing(trusting):
    world = trusting
    assert is_refused(world, line("192.0.2.60"), source=STRANGER), "a head from elsewhere is no handshake"
    assert is_refused(world, b""), "the sender must say it"
    assert is_refused(world, line("192.0.2.60") + line("192.0.2.61")), "once"
    assert is_refused(world, b"PROXY TCP4 192.0.2.60 nonsense\r\n")
    events = json.loads(world.admin("audit", "--json"))["audit"]
    assert sum(row["code"] == "proxy_head" and row["address"] == SENDER for row in events) >= 2
    assert not any(row["address"].startswith("192.0.2.61") for row in events)
    # A plain client that is no sender is served as ever.
    with clients.connect(world, alpn=("http/1.1",), source=STRANGER) as peer:
        assert clients.http1(world, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", peer=peer)[0] == 200


def test_E3_a_head_may_come_byte_by_byte(trusting):
    raw = socket.create_connection(("127.0.0.1", trusting.port), clients.SECONDS, (SENDER, 0))
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in binary("192.0.2.70"):
        raw.sendall(bytes([byte]))
    with clients.tls_context(trusting, "alice-laptop", alpn=("http/1.1",)).wrap_socket(raw, server_hostname="localhost") as peer:
        assert clients.http1(trusting, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", peer=peer)[0] == 200


def test_E3_penalties_hit_the_client_and_not_its_neighbours(new_world):
    world = new_world(settings=(*TRUST, *PENALTIES))
    bad, good = "192.0.2.66", "192.0.2.67"
    for _ in range(5):
        raw = socket.create_connection(("127.0.0.1", world.port), clients.SECONDS, (SENDER, 0))
        raw.sendall(line(bad) + b"GET / HTTP/1.1\r\n\r\n")
        try:
            while raw.recv(4096):
                pass
        except OSError:
            pass
        raw.close()
    wait_until(lambda: sources(world).get(bad, {}).get("refused"), "the penalty")
    assert is_refused(world, line(bad)) and is_refused(world, binary(bad))
    assert seen_from(world, line(good)) == good
    assert SENDER not in sources(world), "the sender is not to blame"
    world.admin("sources", "clear", bad)
    assert seen_from(world, line(bad)) == bad


@pytest.mark.parametrize("word", ["send-proxy", "send-proxy-v2"])
def test_E3_a_real_balancer(trusting, word):
    world, port = trusting, free_port()
    binary_path = shutil.which("haproxy", path="/usr/sbin:/usr/bin")
    if not binary_path:
        pytest.skip("haproxy is not installed")
    conf = world.path(f"{word}.cfg")
    conf.write_text(f"""defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend f
  bind 127.0.0.1:{port}
  default_backend b
backend b
  server gateway 127.0.0.1:{world.port} source {SENDER} {word}
""")
    world.spawn(word, [binary_path, "-db", "-f", conf], lambda: answers(port))
    try:
        raw = socket.create_connection(("127.0.0.1", port), clients.SECONDS, ("127.0.0.44", 0))
        with clients.tls_context(world, "alice-laptop", alpn=("http/1.1",)).wrap_socket(raw, server_hostname="localhost") as peer:
            assert clients.http1(world, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", peer=peer)[0] == 200
            rows = json.loads(world.admin("device", "show", "alice-laptop", "--json"))["connections"]
            assert "127.0.0.44" in [row["address"] for row in rows]
    finally:
        world.stop_process(word)


def test_E3_the_enrolment_listener_too(trusting):
    """With curl as the sender: it can say such a head itself."""
    world = trusting
    command = ["curl", "-sS", "--max-time", "20", "--cacert", str(world.path("etc", "server-ca.crt")), "-o", "/dev/null",
               "-w", "%{http_code}", f"https://localhost:{world.enroll_port}/.well-known/est/cacerts"]
    done = subprocess.run([*command, "--interface", SENDER, "--haproxy-protocol"], text=True, capture_output=True, check=False)
    assert done.stdout == "200", done.stderr
    assert subprocess.run([*command, "--interface", SENDER], text=True, capture_output=True, check=False).stdout == "000"
    assert subprocess.run(command, text=True, capture_output=True, check=False).stdout == "200"


def test_E2_a_sender_that_says_nothing_is_ended(new_world):
    world = new_world(settings=(*TRUST, 'login_grace = "1s"'))
    with socket.create_connection(("127.0.0.1", world.port), clients.SECONDS, (SENDER, 0)) as raw:
        raw.sendall(b"PROXY TCP4 ")
        assert raw.recv(100) == b"", "it was ended"
    codes = [row["code"] for row in json.loads(world.admin("audit", "--json"))["audit"]]
    assert "login_grace" in codes
