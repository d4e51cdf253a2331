"""Tunnels: CONNECT by HTTP/1.1 and HTTP/2, half-close, reset, resolve-check-dial. Backpressure: test_slow_reader.py."""
import json
import os
import select
import socket
import sqlite3
import struct
import subprocess
import threading
import time

import pytest

import api
import clients
from world import wait_until

# One login serves a whole module: a token is not used up.


@pytest.fixture(scope="module")
def token(world):
    return api.login(world).body["session"]


def echo(world):
    return f"127.0.0.1:{world.echo}"


def test_curl_reaches_the_wiki_on_http1(world, token):
    device = world.laptops["alice-laptop"]
    done = subprocess.run(["curl", "-sS", "--max-time", "20", "--proxytunnel", "--proxy", world.url, "--proxy-cacert",
                           str(world.path("etc", "server-ca.crt")), "--proxy-cert", str(device.certificate),
                           "--proxy-key", str(device.key), "--proxy-user", f"alice:{token}",
                           f"http://127.0.0.1:{world.web}/"], text=True, capture_output=True, check=False)
    assert "Company wiki" in done.stdout, done.stderr


def test_hundreds_of_tunnels_on_one_connection(world, token):
    with clients.Http2(world) as h2:
        numbers = [h2.start_connect(echo(world), token) for _ in range(300)]
        assert h2.wait(lambda: all(h2.streams[n].status is not None for n in numbers))
        assert {h2.streams[n].status for n in numbers} == {200}
        for number in numbers:
            h2.send(number, b"tunnel %d" % number, end=True)
        assert h2.wait(lambda: all(h2.streams[n].ended for n in numbers))
        for number in numbers:
            assert bytes(h2.streams[number].data) == b"tunnel %d" % number
            assert h2.streams[number].reset is None


class Target:
    """A server for one connection, driven by the test; listens where the policy lets alice go."""

    def __init__(self, world):
        world.stop_process("echo")
        self.world = world
        self.listener = socket.create_server(("127.0.0.1", world.echo), reuse_port=False)
        self.listener.settimeout(20)

    def accept(self):
        peer, _ = self.listener.accept()
        peer.settimeout(20)
        return peer

    def close(self):
        self.listener.close()


@pytest.fixture
def target(world):
    made = Target(world)
    yield made
    made.close()
    import sys
    from world import HERE, answers
    world.spawn("echo", [sys.executable, "-B", HERE / "echo.py", world.echo], lambda: answers(world.echo))


def read_to_end(peer):
    received = b""
    while piece := peer.recv(65536):
        received += piece
    return received


@pytest.mark.parametrize("protocol", ["h1", "h2"])
def test_half_close_from_the_client(world, token, target, protocol):
    """The client ends first; the target reads the end, then answers, and the answer arrives whole."""
    if protocol == "h1":
        status, _, tunnel = clients.http1_connect(world, echo(world), token)
        assert status == 200
        peer = target.accept()
        tunnel.sendall(b"question")
        # TLS half-close: close_notify without closing the socket. Python's ssl has no call for one
        # direction only, so unwrap runs beside the reader.
        peer_thread = threading.Thread(target=lambda: (read_to_end(peer), peer.sendall(b"answer"), peer.close()))
        peer_thread.start()
        tunnel.settimeout(20)
        bio = ssl_half_close(tunnel)
        assert bio == b"answer"
        peer_thread.join(20)
        return
    with clients.Http2(world) as h2:
        number, status = h2.connect(echo(world), token)
        assert status == 200
        peer = target.accept()
        h2.send(number, b"question", end=True)
        assert read_to_end(peer) == b"question"
        peer.sendall(b"answer")
        peer.close()
        assert h2.wait(lambda: h2.streams[number].ended)
        assert bytes(h2.streams[number].data) == b"answer" and h2.streams[number].reset is None


def ssl_half_close(tunnel):
    """Sends close_notify and reads what the other side still says."""
    try:
        tunnel.setblocking(False)
        tunnel.unwrap()
    except (BlockingIOError, OSError):
        pass
    tunnel.settimeout(20)
    received = b""
    try:
        while piece := tunnel.read(65536):
            received += piece
    except OSError:
        pass
    return received


@pytest.mark.parametrize("protocol", ["h1", "h2"])
def test_half_close_from_the_target(world, token, target, protocol):
    """The target ends first: a clean end at the client, who may still talk."""
    if protocol == "h1":
        _, _, tunnel = clients.http1_connect(world, echo(world), token)
        peer = target.accept()
        peer.sendall(b"greeting")
        peer.shutdown(socket.SHUT_WR)
        assert read_to_end(tunnel) == b"greeting"  # an end without close_notify would be an error here
        tunnel.sendall(b"still talking")
        tunnel.unwrap().close()  # both have said close_notify
        assert read_to_end(peer) == b"still talking"
        return
    with clients.Http2(world) as h2:
        number, _ = h2.connect(echo(world), token)
        peer = target.accept()
        peer.sendall(b"greeting")
        peer.shutdown(socket.SHUT_WR)
        assert h2.wait(lambda: h2.streams[number].ended)
        assert bytes(h2.streams[number].data) == b"greeting" and h2.streams[number].reset is None
        h2.send(number, b"still talking", end=True)
        assert read_to_end(peer) == b"still talking"


def reset(peer):
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


def close_reason(world, port):
    with sqlite3.connect(f"file:{world.database}?mode=ro", uri=True) as database:
        rows = database.execute("SELECT close_reason FROM tunnel WHERE requested_port = ? ORDER BY opened_at DESC, id DESC "
                                "LIMIT 1", (port,)).fetchall()
    return rows[0][0]


@pytest.mark.parametrize("protocol", ["h1", "h2"])
def test_reset_of_the_target_is_told_apart_from_its_end(world, token, target, protocol):
    if protocol == "h1":
        _, _, tunnel = clients.http1_connect(world, echo(world), token)
        reset(target.accept())
        assert select.select([tunnel], [], [], 20)[0]
        with pytest.raises(ConnectionResetError):
            os.read(tunnel.fileno(), 1)  # Python's ssl makes one error of a FIN and an RST
    else:
        with clients.Http2(world) as h2:
            number, _ = h2.connect(echo(world), token)
            reset(target.accept())
            assert h2.wait(lambda: h2.streams[number].ended)
            assert h2.streams[number].reset == 10  # CONNECT_ERROR
    wait_until(lambda: close_reason(world, world.echo) == "target_reset", "the reset in the record")


@pytest.mark.parametrize("how", ["h1-rst", "h1-cut", "h2-rst", "h2-cut", "h2-stream"])
def test_reset_of_the_client_reaches_the_target_as_reset(world, token, target, how):
    if how.startswith("h2"):
        h2 = clients.Http2(world)
        number, _ = h2.connect(echo(world), token)
        peer = target.accept()
        {"h2-rst": lambda: reset(h2.peer), "h2-cut": h2.peer.close, "h2-stream": lambda: h2.reset(number)}[how]()
    else:
        _, _, tunnel = clients.http1_connect(world, echo(world), token)
        peer = target.accept()
        # Without close_notify nobody knows whether that was all: a FIN of TCP alone is no end in good order.
        reset(tunnel) if how == "h1-rst" else tunnel.close()
    with pytest.raises(ConnectionResetError):
        peer.recv(1)
    expected = "client_reset" if how == "h2-stream" else "connection_lost"
    wait_until(lambda: close_reason(world, world.echo) == expected, "the reason in the record")


def test_bytes_that_come_with_the_head_are_not_lost(world, token):
    status, body, tunnel = clients.http1_connect(world, echo(world), token, extra=b"early")
    assert status == 200
    received = body
    while len(received) < 5:
        received += tunnel.recv(100)
    assert received == b"early"
    tunnel.close()


def test_large_transfers_arrive_unchanged(world, token):
    payload = os.urandom(1 << 20) * 8
    with clients.Http2(world) as h2:
        number, _ = h2.connect(echo(world), token)
        sender_done = []
        position = 0
        while position < len(payload):
            piece = payload[position:position + (1 << 18)]
            h2.send(number, piece)
            position += len(piece)
        h2.send(number, b"", end=True)
        sender_done.append(True)
        assert h2.wait(lambda: h2.streams[number].ended, 60)
        assert bytes(h2.streams[number].data) == payload


def problem_of(h2, target, token=None):
    number, status = h2.connect(target, token)
    return status, h2.streams[number].problem


def test_no_session_is_407(world):
    with clients.Http2(world) as h2:
        number, status = h2.connect(echo(world))
        assert status == 407 and h2.streams[number].problem["code"] == "no_session"
        assert "basic" in h2.streams[number].headers["proxy-authenticate"].lower()


def test_B1_no_rule_no_tunnel_and_the_record_knows(world, token):
    with clients.Http2(world) as h2:
        status, problem = problem_of(h2, f"127.0.0.1:{world.denied}", token)
        assert (status, problem["code"]) == (403, "not_allowed")
    with sqlite3.connect(f"file:{world.database}?mode=ro", uri=True) as database:
        rows = database.execute("SELECT code, user FROM audit WHERE request_id = ?", (problem["request_id"],)).fetchall()
    assert rows == [("not_allowed", "alice")]


def verdict(world, token, protocol, target):
    """(status, code) of a CONNECT; every refusal has its sentence. Where HTTP/2 itself does not allow the authority, the
    stream is reset: ("reset", error code)."""
    if protocol == "h1":
        status, body, peer = clients.http1_connect(world, target, token)
        peer.close()
        problem = json.loads(body) if status != 200 else None
    else:
        with clients.Http2(world) as h2:
            number, status = h2.connect(target, token)
            if h2.streams[number].reset is not None:
                return "reset", h2.streams[number].reset
            problem = h2.streams[number].problem if status != 200 else None
    if status == 200:
        return 200, None
    assert problem["status"] == status and problem["detail"] and problem["request_id"], problem
    return status, problem["code"]


PLAIN = ["2130706433", "0x7f000001", "0x7f.1", "017700000001", "127.1", "[::ffff:127.0.0.1]", "127.0.0.1."]
PROTOCOL_ERROR = ("reset", 1)


@pytest.mark.parametrize("protocol", ["h1", "h2"])
@pytest.mark.parametrize("host", PLAIN)
def test_B2_every_spelling_ends_at_the_verdict_of_the_plain_one(world, token, host, protocol):
    assert verdict(world, token, protocol, f"{host}:{world.echo}") == (200, None)
    assert verdict(world, token, protocol, f"{host}:{world.denied}") == (403, "not_allowed")


@pytest.mark.parametrize("protocol", ["h1", "h2"])
@pytest.mark.parametrize("host, expected", [
    *((host, (403, "not_allowed")) for host in ("[::1]", "localhost", "LOCALHOST", "localhost.", "0.0.0.0", "[::]",
                                                "169.254.169.254")),
    *((host, (400, "bad_target")) for host in ("alice@127.0.0.1", "127.0.0.1%00", "*")),
])
def test_B2_every_other_spelling_of_this_machine_is_refused(world, token, host, expected, protocol):
    """None of them reaches the listening, but not allowed, server."""
    assert verdict(world, token, protocol, f"{host}:{world.denied}") == expected


def test_B2_a_host_outside_of_ascii(world, token):
    target = f"ｌｏｃａｌｈｏｓｔ:{world.denied}"
    assert verdict(world, token, "h1", target) == (400, "bad_request")
    assert verdict(world, token, "h2", target) == PROTOCOL_ERROR


def test_B2_a_name_that_resolves_to_loopback_is_refused(new_world):
    """The policy allows the name; the address behind it is not what a name may mean."""
    world = new_world()
    with world.policy.open("a") as policy:
        policy.write(f'resource "trap" {{ address = {{"localhost:{world.echo}"}} }}\n'
                     'rule "trap" { users = {"alice"} resources = {"trap"} }\n')
    world.gateway.send_signal(1)
    token = api.login(world).body["session"]
    with clients.Http2(world) as h2:
        def refused():
            status, problem = problem_of(h2, f"localhost:{world.echo}", token)
            return (status, problem["code"]) == (403, "address_forbidden")
        wait_until(refused, "the refusal of the address")


@pytest.mark.parametrize("target, h1, h2", [
    ("[", (400, "bad_target"), (400, "bad_target")),
    ("127.0.0.1:0", (400, "bad_target"), (400, "bad_target")),
    ("127.0.0.1:70000", (400, "bad_target"), (400, "bad_target")),
    ("127.0.0.1", (400, "bad_target"), (400, "bad_target")),
    (":22", (400, "bad_target"), (400, "bad_target")),
    ("", (400, "bad_request"), PROTOCOL_ERROR),
    ("a b:22", (400, "bad_request"), PROTOCOL_ERROR),
    ("[::1:22", (400, "bad_target"), (400, "bad_target")),
    ("x" * 300 + ":22", (400, "bad_target"), (400, "bad_target")),
])
def test_E5_a_target_that_is_none_gets_one_clear_sentence(world, token, target, h1, h2):
    assert verdict(world, token, "h1", target) == h1
    assert verdict(world, token, "h2", target) == h2


def test_a_closed_port_is_502_and_unreachable(world, token):
    world.stop_process("nginx")
    try:
        with clients.Http2(world) as h2:
            status, problem = problem_of(h2, f"127.0.0.1:{world.web}", token)
        assert (status, problem["code"]) == (502, "unreachable")
    finally:
        world.start_nginx()


def test_limit_of_tunnels_of_a_session(new_world):
    world = new_world(settings=['tunnels_per_session = "3"'])
    token = api.login(world).body["session"]
    with clients.Http2(world) as h2:
        open_tunnels = [h2.connect(echo(world), token) for _ in range(3)]
        assert [status for _, status in open_tunnels] == [200] * 3
        status, problem = problem_of(h2, echo(world), token)
        assert (status, problem["code"]) == (429, "too_many")
        h2.send(open_tunnels[0][0], b"", end=True)
        h2.wait(lambda: h2.streams[open_tunnels[0][0]].ended)
        wait_until(lambda: h2.connect(echo(world), token)[1] == 200, "room for a new tunnel")


@pytest.mark.parametrize("protocol", ["h1", "h2"])
def test_the_tail_of_an_upload_arrives_when_the_client_has_left(world, token, target, protocol):
    """The target has said all it had to say and reads slowly; the client sends, finishes and goes away."""
    payload = os.urandom(1 << 16) * 48
    if protocol == "h1":
        status, _, tunnel = clients.http1_connect(world, echo(world), token)
        assert status == 200
        peer = target.accept()
        sender = threading.Thread(target=lambda: (tunnel.sendall(payload), ssl_half_close(tunnel), tunnel.close()))
    else:
        h2 = clients.Http2(world)
        number, _ = h2.connect(echo(world), token)
        peer = target.accept()
        peer.shutdown(socket.SHUT_WR)
        assert h2.wait(lambda: h2.streams[number].ended)
        sender = threading.Thread(target=lambda: (h2.send(number, payload, end=True), h2.peer.unwrap(), h2.peer.close()))
    sender.start()
    received = bytearray()
    while piece := peer.recv(1 << 16):
        received += piece
        time.sleep(0.005)
    peer.close()
    sender.join(20)
    assert len(received) == len(payload) and received == payload


def test_a_heartbeat_ends_no_connection(world, token):
    """Bytes that come in the very moment in which the gateway would tidy up after an idle client: a second after the last."""
    connections = []
    for _ in range(12):
        h2 = clients.Http2(world)
        number, status = h2.connect(f"127.0.0.1:{world.echo}", token)
        assert status == 200
        connections.append((h2, number))
    began = time.monotonic()
    for beat in range(4):
        for h2, number in connections:
            h2.send(number, b"beat")
            assert h2.wait(lambda h2=h2, number=number: len(h2.streams[number].data) == 4 * (beat + 1)), "cut off in mid-beat"
        # One after the other, so each meets another part of the moment.
        time.sleep(max(0, began + 0.999 * (beat + 1) - time.monotonic()))
    assert not any(h2.closed for h2, _ in connections)
