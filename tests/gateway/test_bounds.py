"""E2, E3: what a client may use before its doors are open, and what all of them together may."""
import json
import socket
import sqlite3
import struct
import time

import pytest

import api
import clients
import proc
import storms
from world import wait_until


def raw(world):
    peer = socket.create_connection(("127.0.0.1", world.port), 10)
    peer.settimeout(15)
    return peer


def ended(peer):
    try:
        while peer.recv(65536):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


def query(world, text, *arguments):
    with sqlite3.connect(f"file:{world.database}?mode=ro", uri=True) as database:
        return database.execute(text, arguments).fetchall()


def refusals(world, code):
    return query(world, "SELECT detail FROM audit WHERE code = ?", code)


def test_E2_login_grace_ends_who_says_nothing(new_world):
    """Not before its time, and then by its name in the record; whoever is through stays."""
    world = new_world(settings=['login_grace = "2s"'])
    with clients.Http2(world) as served:
        begun = time.monotonic()
        silent, slow = raw(world), raw(world)
        slow.sendall(b"\x16\x03\x01\x02")
        assert ended(silent)
        assert time.monotonic() - begun >= 1.9
        assert ended(slow)
        wait_until(lambda: len(refusals(world, "login_grace")) == 2, "two rows of the record")
        assert api.call(world, "GET", "/v1/session").status == 401
        assert served.connect("127.0.0.1:1")[1] == 407, "a connection whose device was accepted has no grace to lose"


def test_E2_so_many_bytes_before_door_one(new_world):
    """The grace is long here: what ends the connection is the number of bytes, and the record says so."""
    world = new_world(settings=['handshake_bytes = "8KiB"', 'login_grace = "60s"'])
    peer = raw(world)
    try:
        # A ClientHello that says it has 64 KiB, and never becomes whole.
        peer.sendall(b"\x16\x03\x01\x10\x00" + b"\x01\x00\xff\xff" + b"\x03\x03" + b"\0" * 4090)
        for _ in range(16):
            peer.sendall(b"\x16\x03\x01\x10\x00" + b"\0" * 4096)
    except OSError:
        pass
    assert ended(peer)
    wait_until(lambda: refusals(world, "handshake_too_large"), "the refusal in the record", 15)
    assert not refusals(world, "login_grace")
    assert api.call(world, "GET", "/v1/session").status == 401, "an honest handshake fits"


def test_E3_random_early_drop_and_recovery(new_world):
    world = new_world(settings=['unauthenticated_start = "5"', 'unauthenticated_full = "10"', 'login_grace = "4s"'])
    peers = [raw(world) for _ in range(40)]
    time.sleep(0.5)
    dropped = 0
    for peer in peers:
        peer.settimeout(0.05)
        try:
            dropped += peer.recv(1) == b""
        except TimeoutError:
            pass
        except OSError:
            dropped += 1
    assert 25 <= dropped < 40, dropped
    for peer in peers:
        peer.close()
    wait_until(lambda: api.call(world, "GET", "/v1/session").status == 401, "service after the storm")


def test_E4_a_legitimate_client_during_half_open_connections(new_world):
    world = new_world()
    peers = [raw(world) for _ in range(90)]
    assert api.login(world).status == 200
    for peer in peers:
        peer.close()


def test_connections_altogether(new_world):
    """The cap counts whoever is connected, accepted or not; a place that becomes free is given away again."""
    world = new_world(settings=['connections = "4"'])
    wait_until(lambda: not proc.workers_of_clients(world), "the end of what enrolled the laptops")
    held = [clients.Http2(world) for _ in range(4)]
    peer = raw(world)
    assert ended(peer), "a fifth connection"
    assert "too many connections" in world.log_end("gateway")
    for one in held:
        assert one.connect("127.0.0.1:1")[1] == 407, "those inside are served"
    held.pop().peer.close()
    wait_until(lambda: api.call(world, "GET", "/v1/session").status == 401, "room for the next")
    for one in held:
        one.peer.close()


GET = b"GET /v1/session HTTP/1.1\r\nHost: x\r\n"


def answer_to(peer, request):
    """(status, headers, body) of one request on a connection that is kept."""
    peer.sendall(request)
    status, headers, rest = clients.read_head(peer)
    while len(rest) < int(headers.get("content-length", 0)):
        rest += peer.recv(65536)
    return status, headers, rest


def test_requests_per_connection(new_world):
    world = new_world(settings=['requests_per_connection = "5"'])
    with clients.connect(world, alpn=("http/1.1",)) as peer:
        answers = [answer_to(peer, GET + b"\r\n") for _ in range(5)]
        assert [status for status, _, _ in answers] == [401] * 5
        assert [headers.get("connection") for _, headers, _ in answers] == [None] * 4 + ["close"]
        assert ended(peer)


def ask_by_frames(peer, numbers):
    """One request after the other, whatever the gateway says about more; returns the streams that were answered."""
    for number in numbers:
        before = len(peer.received)
        peer.send([storms.frame(storms.HEADERS, storms.END_STREAM | storms.END_HEADERS, number, storms.GET)])
        while not peer.ended and len(peer.received) == before:
            peer.read(20)
    while peer.read(1):
        pass
    return [stream for kind, stream, _ in peer.frames() if kind == storms.HEADERS]


def goaways(peer):
    """(last stream, code) of each GOAWAY."""
    return [struct.unpack(">II", payload[:8]) for kind, _, payload in peer.frames() if kind == storms.GOAWAY]


def test_requests_per_connection_on_http2(new_world):
    """The last one is answered, with a notice; the client confirms (PING) and hears which stream was the last."""
    world = new_world(settings=['requests_per_connection = "5"'])
    with storms.Attacker(world, "alice-laptop") as peer:
        assert ask_by_frames(peer, range(1, 9, 2)) == [1, 3, 5, 7] and goaways(peer) == []
        assert ask_by_frames(peer, [9]) == [1, 3, 5, 7, 9] and goaways(peer) == [(0x7fffffff, 0)]
        (mark,) = [payload for kind, _, payload in peer.frames() if kind == storms.PING]
        peer.send([storms.frame(storms.PING, 1, 0, mark)])
        assert peer.wait_end()
        assert goaways(peer)[1:] == [(9, 0)]


def test_requests_per_connection_of_a_client_that_does_not_listen(new_world):
    """More than could have been under way when it was told: the connection ends."""
    world = new_world(settings=['requests_per_connection = "5"', 'streams_per_connection = "8"'])
    with storms.Attacker(world, "alice-laptop") as peer:
        answered = ask_by_frames(peer, range(1, 101, 2))
        assert len(answered) <= 14 and peer.wait_end()
        assert goaways(peer)[-1][1] == 11  # ENHANCE_YOUR_CALM


def padded(size, protocol):
    """A request whose head has about so many bytes, as the protocol counts them."""
    if protocol == "h1":
        head = GET + b"X: \r\n\r\n"
        return head.replace(b"X: ", b"X: " + b"a" * (size - len(head)))
    fields = [(":method", "GET"), (":path", "/v1/session"), (":scheme", "https"), (":authority", "x"), ("x", "")]
    size -= sum(len(name) + len(value) + 32 for name, value in fields)  # RFC 9113 10.5.1
    return [*fields[:-1], ("x", "a" * size)]


@pytest.mark.parametrize("protocol", ["h1", "h2"])
def test_head_bytes(new_world, protocol):
    """What fits is served to the byte; one byte more is refused, and on HTTP/2 the other streams go on."""
    world = new_world(settings=['head_bytes = "2KiB"'])

    def ask(size):
        if protocol == "h1":
            with clients.connect(world, alpn=("http/1.1",)) as peer:
                status, _, body = answer_to(peer, padded(size, protocol))
            return status, json.loads(body)["code"]
        number = h2.request(padded(size, protocol))
        assert h2.wait(lambda: h2.streams[number].ended)
        return h2.streams[number].status, h2.streams[number].problem["code"]
    with clients.Http2(world) as h2:
        assert ask(2048) == (401, "no_session")
        assert ask(2049) == (431, "too_large")
        assert ask(2048) == (401, "no_session")


@pytest.mark.parametrize("extra", [["--http1.1"], ["--http2"], ["--http2", "-H", "Content-Length:"]],
                         ids=["h1", "h2", "h2-without-length"])
def test_body_bytes(new_world, extra):
    world = new_world(settings=['body_bytes = "1KiB"'])
    for size, expected in ((1024, (400, "bad_request")), (1025, (413, "too_large"))):
        body = {"x": "a" * (size - len('{"x": ""}'))}
        answer = api.call(world, "POST", "/v1/login", body, extra=extra)
        assert (answer.status, answer.body["code"]) == expected, (answer.text, answer.error)


def test_slow_request_is_ended(new_world):
    world = new_world(settings=['request_time_limit = "1s"'])
    with clients.connect(world, alpn=("http/1.1",)) as peer:
        peer.sendall(b"POST /v1/login HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n{")
        peer.settimeout(15)
        status = clients.read_head(peer)[0]
        assert status in (0, 408)


def test_conversations_per_device(new_world):
    world = new_world(settings=['conversations_per_device = "2"'])
    first = [api.call(world, "POST", "/v1/login", {"user": "alice"}) for _ in range(3)]
    assert [a.status for a in first] == [200, 200, 429]
    assert first[2].body["code"] == "too_many"
    assert api.call(world, "POST", "/v1/login", {"user": "bob"}, "bob-laptop").status == 200
