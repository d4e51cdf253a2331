"""E4, E5: floods, slow loris and smuggling against a real gateway, while a legitimate client goes about its work.

Bounds of time are there for hangs; how quick the service is under attack is the benchmarks' matter.
"""
import os
import re
import threading
import time

import pytest

import api
import clients
import storms
from world import wait_until

SECONDS = 15
SETTINGS = ('request_time_limit = "3s"', 'login_grace = "6s"', 'connection_idle = "4s"')
ELSEWHERE = "127.0.0.9"  # where the legitimate client comes from; the storms come from 127.0.0.1


@pytest.fixture(scope="module")
def worlds(programs):
    from worlds import Worlds
    worlds = Worlds(programs)
    yield worlds
    worlds.close()


@pytest.fixture(scope="module")
def world(worlds):
    return worlds(settings=SETTINGS)


@pytest.fixture(scope="module")
def shipped(worlds, release):
    """As shipped: memory is measured here, where no sanitizer keeps what was freed."""
    return worlds(settings=SETTINGS, programs=release)


@pytest.fixture(scope="module")
def token(world):
    return api.login(world).body["session"]


def move(world, token):
    """Bytes there and back through a tunnel of its own connection."""
    sent = os.urandom(100000)
    with clients.Http2(world, peer=clients.connect(world, source=ELSEWHERE)) as h2:
        number, status = h2.connect(f"127.0.0.1:{world.echo}", token)
        assert status == 200, h2.streams[number].problem
        h2.send(number, sent, end=True)
        assert h2.wait(lambda: h2.streams[number].ended)
        assert bytes(h2.streams[number].data) == sent


def work(world):
    """The legitimate client: logs in, moves bytes."""
    begun = time.monotonic()
    answer = api.login(world, extra=["--interface", ELSEWHERE])
    assert answer.status == 200, (answer.error, answer.text, world.log_end("gateway"))
    move(world, answer.body["session"])
    assert time.monotonic() - begun < SECONDS


def ended(peer, seconds=20):
    peer.settimeout(seconds)
    try:
        while peer.recv(65536):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


def settled(world, before):
    """The storm is over: as few processes as before, and the memory of before, give or take what a start needs."""
    processes, memory = before
    wait_until(lambda: len(storms.tree(world.gateway.pid)) <= processes + 2, "the end of the attackers' workers", 40)
    wait_until(lambda: storms.pss_kib(world.gateway.pid) < memory * 1.25 + 8192, "the return of the memory", 40)


@pytest.fixture
def calm(shipped):
    before = len(storms.tree(shipped.gateway.pid)), storms.pss_kib(shipped.gateway.pid)
    yield shipped
    settled(shipped, before)


# ---- before door one ----

@pytest.mark.parametrize("address", ["127.0.0.1", ELSEWHERE], ids=["elsewhere", "same-address"])
def test_E4_two_thousand_half_open_connections(calm, address):
    peers = storms.half_open(calm, 2000, address)
    time.sleep(1)
    try:
        work(calm)
        assert len(storms.tree(calm.gateway.pid)) < 500, "the storm is bounded by unauthenticated_full"
    finally:
        for peer in peers:
            peer.close()


def test_E4_tls_bytes_that_drip(calm):
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 1000
    drip = storms.Drip(storms.half_open(calm, 80), hello, pause=0.1)
    drip.start()
    try:
        work(calm)
        wait_until(lambda: not drip.peers, "the end of every dripping handshake")
    finally:
        drip.stop()


# ---- after door one: a device that was enrolled ----

@pytest.mark.parametrize("text", [
    b"GET /v1/session HTTP/1.1\r\nHost: localhost\r\nX-Slow: " + b"a" * 1000,
    b"POST /v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n" + b" " * 1000,
], ids=["head", "body"])
def test_E4_requests_that_drip(calm, text):
    peers = [clients.connect(calm, "bob-laptop", alpn=("http/1.1",)) for _ in range(40)]
    drip = storms.Drip(peers, text, pause=0.1)
    drip.start()
    try:
        work(calm)
        wait_until(lambda: not drip.peers, "the end of every dripping request")
    finally:
        drip.stop()


@pytest.mark.parametrize("flood", storms.ENDED, ids=lambda flood: flood.__name__)
@pytest.mark.parametrize("reads", [True, False], ids=["reading", "deaf"])
def test_E4_an_http2_flood_is_ended(world, token, flood, reads):
    with storms.Attacker(world, reads=reads) as attacker:
        attacker.send(flood())
        assert attacker.wait_end(), "the gateway goes on with a flood"
        goodbyes = [payload[4:8] for kind, _, payload in attacker.frames() if kind == storms.GOAWAY]
        assert b"\0\0\0\0" not in goodbyes, "it ended because the flood was over, not because it was one"
    move(world, token)


def test_E4_a_header_bomb_is_refused(world, token):
    with storms.Attacker(world) as attacker:
        attacker.send(storms.header_bomb())
        attacker.read(5)
        wait_until(lambda: attacker.read(0.2) or attacker.ended or
                   sum(kind == storms.HEADERS for kind, _, _ in attacker.frames()) >= 40, "answers to the bombs")
        move(world, token)


def test_E4_windows_of_zero_do_not_hold_a_connection_for_ever(world, token):
    with storms.Attacker(world) as attacker:
        attacker.send(storms.zero_windows())
        move(world, token)
        assert attacker.wait_end(), "answers that nobody takes keep a connection"


def test_E4_all_http2_floods_at_once(calm):
    def attack(flood, reads):
        for _ in range(2):
            try:
                with storms.Attacker(calm, reads=reads) as attacker:
                    attacker.send(flood(), 5)
                    attacker.wait_end(5)
            except OSError:
                pass
    attackers = [threading.Thread(target=attack, args=(flood, reads), daemon=True) for reads in (True, False)
                 for flood in (*storms.ENDED, storms.header_bomb, storms.zero_windows)]
    for attacker in attackers:
        attacker.start()
    work(calm)
    for attacker in attackers:
        attacker.join(60)
        assert not attacker.is_alive()


# ---- smuggling: whatever has two meanings gets one refusal, and what stands behind it is never served ----

INSIDE = b"GET /v1/session HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /v1/login HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


@pytest.mark.parametrize("request_bytes", [
    POST + b"Content-Length: 5\r\n" + CHUNKED + b"\r\n0\r\n\r\n" + INSIDE,
    POST + CHUNKED + b"Content-Length: 5\r\n\r\n0\r\n\r\n" + INSIDE,
    POST + b"Content-Length: 0\r\nContent-Length: 45\r\n\r\n" + INSIDE,
    POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}" + INSIDE,
    POST + b"Content-Length: 2, 2\r\n\r\n{}" + INSIDE,
    POST + b"Content-Length: 0x2\r\n\r\n{}" + INSIDE,
    POST + b"Content-Length: -1\r\n\r\n" + INSIDE,
    POST + b"Content-Length: 18446744073709551618\r\n\r\n{}" + INSIDE,
    POST + b"Content-Length: 9223372036854775808\r\n\r\n" + INSIDE,
    POST + b"Content-Length\t: 2\r\n\r\n{}" + INSIDE,
    POST + b"X: y\r\n Content-Length: 2\r\n\r\n{}" + INSIDE,
    POST + b"Content-Length:\r\n 2\r\n\r\n{}" + INSIDE,
    POST + b"X: y\nContent-Length: 2\r\n\r\n{}" + INSIDE,
    POST.replace(b"\r\n", b"\n") + b"Content-Length: 2\n\n{}" + INSIDE,
    POST + b"X: y\rContent-Length: 2\r\n\r\n{}" + INSIDE,
    POST + b"X: y\0\r\nContent-Length: 2\r\n\r\n{}" + INSIDE,
    POST + CHUNKED + b"\r\n2;ext=\"\n\"\r\n{}\r\n0\r\n\r\n" + INSIDE,
    POST + CHUNKED + b"\r\n2;a\n{}\r\n0\r\n\r\n" + INSIDE,
    POST + CHUNKED + CHUNKED + b"\r\n0\r\n\r\n" + INSIDE,
    POST + b"Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n" + INSIDE,
    POST + b"Transfer-Encoding: xchunked\r\nContent-Length: 2\r\n\r\n{}" + INSIDE,
    POST + b"Transfer-Encoding:\x0bchunked\r\nContent-Length: 2\r\n\r\n{}" + INSIDE,
    b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: other\r\n\r\n" + INSIDE,
    b"GET / HTTP/1.1\r\n Host: localhost\r\n\r\n" + INSIDE,
    b"GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n" + INSIDE,
    b"GET /\tHTTP/1.1\r\nHost: localhost\r\n\r\n" + INSIDE,
    b"CONNECT 127.0.0.1:9 HTTP/1.1\r\nHost: x\r\nContent-Length: 45\r\n\r\n" + INSIDE,
    b"CONNECT 127.0.0.1:9 HTTP/1.1\r\nHost: x\r\n\r\n" + INSIDE,
], ids=["cl-te", "te-cl", "cl-cl", "cl-cl-same", "cl-list", "cl-hex", "cl-negative", "cl-overflow", "cl-sign", "cl-tab-colon",
        "obs-fold", "obs-fold-value", "bare-lf-line", "bare-lf-all", "bare-cr", "nul", "chunk-ext-quoted-lf",
        "chunk-ext-lf", "te-te", "te-list", "te-unknown", "te-vt", "two-hosts", "fold-first", "two-spaces", "tab",
        "connect-body", "connect-early"])
def test_E5_smuggling_has_no_meaning(world, request_bytes):
    received = b""
    with clients.connect(world, "bob-laptop", alpn=("http/1.1",)) as peer:
        peer.sendall(request_bytes)
        peer.settimeout(SECONDS)
        try:
            while piece := peer.recv(65536):
                received += piece
        except TimeoutError:
            pytest.fail(f"the connection stays open: {received!r}")
        except OSError:
            pass
    assert len(re.findall(rb"HTTP/1\.1 \d{3} ", received)) == 1, received
    assert int(received.split()[1]) in (400, 407, 411, 501, 505), received
