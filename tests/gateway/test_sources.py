"""E3: a source that comes too often or in vain is slowed, then refused for a while; the list is seen and emptied."""
import contextlib
import json
import socket
import ssl
import subprocess

import pytest

import api
import clients
import elsewhere
import storms
from records import rows
from world import wait_until

BAD, GOOD, FROM_LOGIN = "127.0.0.5", "127.0.0.9", "127.0.0.6"
PENALTIES = ("source_exempt = {}", 'source_penalty_stranger = "1s"', 'source_penalty_login = "8s"',
             'source_penalty_least = "4s"')


def sources(world):
    return {row["source"]: row for row in json.loads(world.admin("--json", "sources", "list"))["sources"]}


def is_refused(world, address):
    return api.call(world, "GET", "/v1/session", extra=["--interface", address]).status == 0


def fail(world, address, times):
    for _ in range(times):
        (peer,) = storms.half_open(world, 1, address)
        peer.sendall(b"GET / HTTP/1.1\r\n\r\n")
        try:
            while peer.recv(4096):
                pass
        except OSError:
            pass
        peer.close()


def test_E3_an_ipv6_source_is_its_network(new_world):
    """The monitor's table, from a client on ::1: seen, refused and cleared as a network of 64 bits."""
    world = new_world(settings=["source_exempt = {}", 'source_penalty_stranger = "5s"', 'source_penalty_least = "20s"'])
    world.stop_process("gateway")
    world.conf.write_text(world.conf.read_text().replace(f'"127.0.0.1:{world.port}"', f'"127.0.0.1:{world.port}", "[::1]:{world.port}"'))
    world.start_gateway()

    def knock():
        """Whether anybody is there: a worker answers what is no TLS with an alert or an end, after it has read it."""
        with socket.create_connection(("::1", world.port), 10) as peer:
            peer.sendall(b"GET / HTTP/1.1\r\n\r\n")
            with contextlib.suppress(OSError):
                while peer.recv(4096):
                    pass
    for _ in range(5):
        knock()
    wait_until(lambda: sources(world).get("::/64", {}).get("refused"), "the refusal")
    knock()
    wait_until(lambda: sources(world)["::/64"]["connections_refused"] >= 1, "the refused connection")
    assert api.login(world).status == 200, "another family is another source"
    assert world.admin("sources", "clear", "::1") == "1 source is forgotten\n"
    assert "::/64" not in sources(world)


def begin(world, address):
    """Up to where a browser asks its user which certificate to show: (socket, TLS, what the gateway has said)."""
    raw = socket.create_connection(("127.0.0.1", world.port), 20, source_address=(address, 0))
    received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context(cafile=str(world.path("etc", "server-ca.crt")))
    context.set_alpn_protocols(["h2", "http/1.1"])
    tls = context.wrap_bio(received, sent, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    raw.sendall(sent.read())
    received.write(raw.recv(65536))
    return raw, tls, sent


def leave(world, address):
    """As Chromium does while its user still chooses."""
    raw, _, _ = begin(world, address)
    raw.shutdown(socket.SHUT_WR)
    while raw.recv(65536):
        pass
    raw.close()


def break_off(world, address):
    raw, _, _ = begin(world, address)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    raw.close()


def show_none(world, address):
    """As Firefox does when its user has cancelled."""
    raw, tls, sent = begin(world, address)
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    with contextlib.suppress(OSError):
        raw.sendall(sent.read())
        while raw.recv(65536):
            pass
    raw.close()


def show_a_strangers(world, address, stranger):
    context = clients.tls_context(world, certificate=stranger[0], key=stranger[1])
    with contextlib.suppress(OSError), clients.connect(world, context=context, source=address) as peer:
        peer.recv(1)


@pytest.mark.parametrize("give_up", [leave, break_off, show_none])
def test_E3_who_still_chooses_a_certificate_is_not_locked_out(new_world, give_up):
    """Browsers drop one handshake after the other meanwhile. What shows a certificate that is not good counts as before."""
    world = new_world(settings=["source_exempt = {}"])
    for _ in range(40):
        give_up(world, BAD)
    wait_until(lambda: sources(world).get(BAD, {}).get("failures") == 40, "forty failures in the list")
    assert len(rows(world, "SELECT 1 FROM audit WHERE event = 'door_one' AND address = ?", BAD)) == 40
    row = sources(world)[BAD]
    assert not row["refused"] and row["penalty_seconds"] <= 5, row
    assert api.login(world, extra=["--interface", BAD]).status == 200
    stranger = elsewhere.certificate(world.private_folder("stranger"))
    for _ in range(20):
        show_a_strangers(world, BAD, stranger)
    wait_until(lambda: sources(world)[BAD]["refused"], "the refusal")
    assert is_refused(world, BAD) and not is_refused(world, GOOD)


def test_E3_who_lets_a_handshake_wait_is_not_locked_out(new_world):
    """As Firefox does while its user chooses: the gateway ends it. Who has said nothing at all is another matter."""
    world = new_world(settings=["source_exempt = {}", 'login_grace = "1s"', 'source_penalty_least = "8s"'])
    waiting = [begin(world, BAD) for _ in range(30)]
    silent = storms.half_open(world, 12, FROM_LOGIN)
    wait_until(lambda: sources(world).get(BAD, {}).get("failures") == 30, "thirty failures in the list")
    assert not sources(world)[BAD]["refused"]
    assert api.login(world, extra=["--interface", BAD]).status == 200
    wait_until(lambda: sources(world).get(FROM_LOGIN, {}).get("refused"), "the refusal of the silent one")
    for peer in [raw for raw, _, _ in waiting] + silent:
        peer.close()


def test_who_takes_this_for_a_plain_proxy_fills_no_log(new_world):
    """Firefox with a proxy that was set by hand says CONNECT in the clear, and says it again and again."""
    world = new_world()
    before = world.path("log", "gateway.log").read_text()
    for _ in range(100):
        with socket.create_connection(("127.0.0.1", world.port), 20) as peer, contextlib.suppress(OSError):
            peer.sendall(b"CONNECT wiki.example:443 HTTP/1.1\r\nHost: wiki.example:443\r\n\r\n")
            while peer.recv(4096):
                pass
    wait_until(lambda: len(rows(world, "SELECT 1 FROM audit WHERE code = 'handshake_failed'")) == 100, "each of them in the record")
    assert world.path("log", "gateway.log").read_text() == before


def test_E3_a_storm_of_handshakes_that_are_left_is_refused(new_world):
    world = new_world(settings=["source_exempt = {}", 'source_penalty_undecided = "500ms"', 'source_penalty_least = "4s"'])
    for _ in range(12):
        with contextlib.suppress(OSError):  # the last ones are refused already
            leave(world, BAD)
    wait_until(lambda: sources(world).get(BAD, {}).get("refused"), "the refusal")
    assert is_refused(world, BAD) and not is_refused(world, GOOD)


def connections(world):
    return json.loads(world.admin("--json", "sources", "list"))["connections"]


def test_E3_what_is_dropped_is_counted_seen_and_reset(new_world):
    """Random early drop, and strangers that make room: both leave a figure, as does what a source is refused for."""
    world = new_world(settings=["source_exempt = {}", "unauthenticated_start = 2", "unauthenticated_full = 3", 'source_penalty_stranger = "0s"'])
    before = connections(world)
    assert (before["dropped_early"], before["made_room"]) == (0, 0) and before["places"] >= 100000
    peers = storms.half_open(world, 25, BAD)
    wait_until(lambda: sum(connections(world)[key] for key in ("dropped_early", "made_room")) >= 20, "the figures")
    assert connections(world)["before_door_one"] <= 3 and connections(world)["sources_remembered"] >= 1
    assert "dropped early" in world.admin("sources", "list")
    for peer in peers:
        peer.close()
    world.admin("sources", "clear", "--all")
    after = connections(world)
    assert (after["dropped_early"], after["made_room"], after["refused_for_source"]) == (0, 0, 0)


def test_E3_failures_add_up_are_seen_and_cleared(new_world):
    world = new_world(settings=["source_exempt = {}", 'source_penalty_stranger = "5s"', 'source_penalty_least = "20s"'])
    fail(world, BAD, 2)
    wait_until(lambda: sources(world).get(BAD, {}).get("failures") == 2, "two failures in the list")
    assert not is_refused(world, BAD)
    fail(world, BAD, 8)
    wait_until(lambda: sources(world)[BAD]["refused"], "the refusal")
    assert is_refused(world, BAD)
    assert not is_refused(world, GOOD)
    row = sources(world)[BAD]
    assert row["connections_refused"] >= 1 and 0 < row["penalty_seconds"] <= 600
    assert BAD in world.admin("sources", "list") and GOOD not in sources(world)
    assert world.admin("sources", "clear", BAD) == "1 source is forgotten\n"
    assert BAD not in sources(world) and not is_refused(world, BAD)
    fail(world, BAD, 10)
    wait_until(lambda: is_refused(world, BAD), "the second refusal")
    assert "forgotten" in world.admin("sources", "clear", "--all")
    assert sources(world) == {} and not is_refused(world, BAD)
    assert "sources_cleared" in world.admin("audit") and f"{BAD} by " in world.admin("audit")


def test_E3_time_takes_penalties_away(new_world):
    world = new_world(settings=PENALTIES)
    fail(world, BAD, 6)
    wait_until(lambda: is_refused(world, BAD), "the refusal")
    wait_until(lambda: not is_refused(world, BAD), "the end of the refusal", 60)


def test_E3_refused_logins_count(new_world):
    world = new_world(settings=PENALTIES)
    for _ in range(4):
        assert api.converse(world, "alice", ["wrong"], "alice-laptop", ["--interface", FROM_LOGIN]).status in (401, 0)
    wait_until(lambda: is_refused(world, FROM_LOGIN), "the refusal")
    assert not is_refused(world, GOOD)


def test_E3_a_rate_of_connections(new_world):
    world = new_world(settings=["source_exempt = {}", 'source_burst = "10"', 'source_rate = "1"',
                                'source_penalty_stranger = "0s"'])
    ended = 0
    for peer in storms.half_open(world, 30, BAD):
        peer.settimeout(0.2)
        try:
            ended += peer.recv(1) == b""
        except TimeoutError:
            pass
        except OSError:
            ended += 1
        peer.close()
    assert 10 <= ended <= 20, ended
    assert not is_refused(world, GOOD)
    wait_until(lambda: not is_refused(world, BAD), "a new token")


def test_E3_who_is_exempt_is_never_refused(new_world):
    world = new_world(settings=[*PENALTIES[1:], f'source_exempt = {{"{BAD}", "2001:db8::/32"}}', 'source_burst = "5"'])
    fail(world, BAD, 20)
    assert BAD not in sources(world) and not is_refused(world, BAD)


def test_a_connection_without_a_failure_is_not_listed(new_world):
    world = new_world(settings=PENALTIES)
    with clients.connect(world, source=GOOD) as peer:
        assert peer.selected_alpn_protocol() == "h2"
        assert api.login(world, extra=["--interface", GOOD]).status == 200
    assert GOOD not in sources(world)


@pytest.mark.parametrize("words, status", [(["clear"], 2), (["clear", "--all", BAD], 2), (["clear", "nonsense"], 1),
                                           (["clear", "x" * 100], 1), (["clear", ""], 1), (["lift"], 2)])
def test_what_cannot_be_cleared(world, words, status):
    done = subprocess.run([world.program("sallyport-admin"), "--socket", str(world.admin_socket), "sources", *words],
                          text=True, capture_output=True, check=False)
    assert done.returncode == status and done.stderr.count("\n") == 1


def test_an_exemption_that_is_none(world):
    conf = world.path("etc", "broken.conf")
    conf.write_text(world.conf.read_text() + 'source_exempt = {"10.0.0.0/33"}\n')
    conf.chmod(0o600)
    done = subprocess.run([world.program("sallyport-gateway"), "-f", str(conf), "-T"], text=True, capture_output=True,
                          check=False)
    assert done.returncode == 1 and "10.0.0.0/33" in done.stderr


def test_E3_a_device_begins_so_many_logins_a_minute(new_world):
    world = new_world(settings=['logins_per_device = "3"', 'conversations_per_device = "64"'])

    def begin(laptop):
        return api.call(world, "POST", "/v1/login", {"user": "alice"}, laptop)
    answers = [begin("alice-laptop") for _ in range(5)]
    assert [answer.status for answer in answers[:3]] == [200] * 3
    assert answers[4].status == 429 and answers[4].body["code"] == "rate_limited"
    assert begin("bob-laptop").status == 200
    assert {"kind": "device", "name": "alice-laptop"} in json.loads(world.admin("sources", "list", "--json"))["logins"]
    world.admin("sources", "clear", "--all")
    assert begin("alice-laptop").status == 200


@pytest.mark.parametrize("setting", ['connections_per_device = "3"', 'device_connections = "3"'])
def test_E3_a_device_has_so_many_connections(new_world, setting):
    """By rate, and at the same time; another device is not concerned, and the refused one is told to the record."""
    world = new_world(settings=[setting])

    def come(laptop):
        peer = clients.connect(world, laptop, alpn=("http/1.1",))
        try:
            return clients.http1(world, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", peer=peer)[0], peer
        except OSError:
            return 0, peer
    come_many = [come("alice-laptop") for _ in range(4)]
    assert [status for status, _ in come_many] == [200, 200, 200, 0]
    assert come("bob-laptop")[0] == 200
    row = [row for row in json.loads(world.admin("audit", "--json"))["audit"] if row["code"] == "too_many"][-1]
    assert row["event"] == "door_one" and setting.split(" ")[0] in row["detail"]
    for _, peer in come_many:
        peer.close()
    world.admin("sources", "clear", "--all")
    wait_until(lambda: not json.loads(world.admin("device", "show", "alice-laptop", "--json"))["connections"], "the end")
    assert come("alice-laptop")[0] == 200


def test_E3_a_user_begins_so_many_logins_a_minute(new_world):
    """Also from several laptops; but a laptop that is not his cannot use them up."""
    world = new_world(settings=['logins_per_user = "3"', 'conversations_per_device = "64"'])
    world.enroll("other-laptop", "alice")

    def begin(laptop):
        return clients.http1(world, b"POST /v1/login HTTP/1.1\r\nHost: x\r\nContent-Length: 16\r\n\r\n" + b'{"user":"alice"}', laptop)
    assert [begin("bob-laptop")[0] for _ in range(4)] == [200] * 4
    assert [begin(laptop)[0] for laptop in ("alice-laptop", "other-laptop", "alice-laptop")] == [200] * 3
    status, headers, body, _ = begin("other-laptop")
    assert status == 429 and json.loads(body)["code"] == "rate_limited" and 1 <= int(headers["retry-after"]) <= 20
    assert "alice" in world.admin("sources", "list")
    world.admin("account", "unlock", "alice")
    assert begin("other-laptop")[0] == 200


def test_E3_a_source_begins_so_many_logins_a_minute(new_world):
    world = new_world(settings=['logins_per_source = "2"', 'source_exempt = {"127.0.0.2"}'])

    def begin(laptop, source):
        peer = clients.connect(world, laptop, alpn=("http/1.1",), source=source)
        return clients.http1(world, b"POST /v1/login HTTP/1.1\r\nHost: x\r\nContent-Length: 16\r\n\r\n" + b'{"user":"alice"}',
                             peer=peer)[0]
    assert [begin(laptop, "127.0.0.9") for laptop in ("alice-laptop", "bob-laptop", "alice-laptop")] == [200, 200, 429]
    assert begin("alice-laptop", "127.0.0.8") == 200
    assert [begin("bob-laptop", "127.0.0.2") for _ in range(3)] == [200] * 3
    world.admin("sources", "clear", "127.0.0.9")
    assert begin("alice-laptop", "127.0.0.9") == 200
