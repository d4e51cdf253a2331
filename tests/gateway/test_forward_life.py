"""Plain pages: what ends one in the middle, what goes on in spite of it, and what one costs."""
import base64
import hashlib
import os
import sqlite3
import threading
import time

import pytest

import api
import clients
import proc
from curl_browser import CurlBrowser
from pages import Http1, Http2
from scripted import Scripted
from targets import allow
from test_browser_session import furnish
from test_restart import ask, restart, slowest_end_ms
from world import wait_until

KINDS = pytest.mark.parametrize("kind", [Http1, Http2], ids=["h1", "h2"])
PIECE = os.urandom(1 << 16)


@pytest.fixture(scope="module")
def token(world):
    return api.login(world).body["session"]


@pytest.fixture(scope="module")
def server(world):
    made = Scripted()
    allow(world, made.port)
    yield made
    made.close()


@pytest.fixture
def target(server):
    server.seen.clear()
    return server


def reason(world, target):
    with sqlite3.connect(f"file:{world.database}?mode=ro", uri=True) as database:
        return database.execute("SELECT close_reason FROM tunnel WHERE requested_port = ? ORDER BY opened_at DESC, id DESC LIMIT 1",
                                (target.port,)).fetchone()[0]


def drip(peer):
    """A page without an end."""
    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
    while True:
        peer.sendall(b"x" * 1000)
        time.sleep(0.05)


class Download(threading.Thread):
    """A page that somebody reads as it comes."""

    def __init__(self, client, url):
        super().__init__(daemon=True)
        self.client, self.size = client, 0
        if isinstance(client, Http2):
            self.number = client.send(url)
        else:
            client.send(url)
        self.start()

    def run(self):
        if isinstance(self.client, Http2):
            stream = self.client.h2.streams[self.number]
            while not stream.ended and self.client.h2.turn():
                self.size = len(stream.data)
            self.broken = stream.reset is not None
        else:
            self.broken = False
            try:
                while piece := self.client.peer.recv(65536):
                    self.size += len(piece)
            except OSError:
                self.broken = True


@KINDS
@pytest.mark.parametrize("act", [("session", "end", "--user", "alice"), ("device", "lock", "alice-laptop")], ids=lambda act: act[0])
def test_C1_what_ends_a_tunnel_ends_a_page(new_world, kind, act):
    world, target = new_world(), Scripted()
    allow(world, target.port)
    target.say(drip)
    client = kind(world, api.login(world).body["session"])
    try:
        download = Download(client, f"http://{target.address}/")
        wait_until(lambda: download.size > 1000, "the page on its way")
        world.admin(*act)
        download.join(20)
        assert download.broken
        wait_until(lambda: reason(world, target) in ("ended_by_admin", "device_locked"), "the reason in the record")
        assert slowest_end_ms(world, {"session": "session_ended", "device": "device_locked"}[act[0]]) < 1000
    finally:
        client.close()
        target.close()


@KINDS
def test_a_client_that_goes_away_is_gone_for_the_target(world, token, target, kind):
    """In the middle of an answer, and while the target is silent."""
    silent = threading.Event()
    for answer, wait in ((drip, None), (b"", silent)):
        target.say(answer, wait=wait)
        target.seen.clear()
        client = kind(world, token)
        client.send(f"http://{target.address}/")
        wait_until(lambda: target.seen and target.seen[-1].endswith(b"\r\n\r\n"), "the question at the target")
        client.close()
        wait_until(lambda: reason(world, target) == "connection_lost", "the end in the record")
    silent.set()


def test_a_stream_that_is_reset_is_gone_for_the_target(world, token, target):
    client = Http2(world, token)
    for answer in (drip, lambda peer: time.sleep(20)):
        target.say(answer)
        target.seen.clear()
        number = client.send(f"http://{target.address}/")
        wait_until(lambda: target.seen and target.seen[-1].endswith(b"\r\n\r\n"), "the question at the target")
        client.h2.reset(number)
        wait_until(lambda: reason(world, target) == "client_reset", "the end in the record")
    target.say(b"HTTP/1.1 200 OK\r\n\r\nhello")
    assert client.ask(f"http://{target.address}/").body == b"hello"
    client.close()


@KINDS
def test_a_question_that_is_cut_off_is_none(world, token, target, kind):
    """The client goes away in the middle of the body: the target must not take it for whole."""
    target.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    client = kind(world, token)
    if kind is Http1:
        client.send(f"http://{target.address}/", "POST", [("Content-Length", "1000")], b"x" * 500)
    else:
        number = client.h2.request([(":method", "POST"), (":scheme", "http"), (":authority", target.address), (":path", "/"),
                                    ("content-length", "1000"), ("proxy-authorization", f"Bearer {token}")], end=False)
        client.h2.send(number, b"x" * 500)
    wait_until(lambda: target.seen and target.seen[-1].endswith(b"x" * 500), "half of the question at the target")
    if kind is Http1:
        client.peer.setblocking(False)
        try:
            client.peer.unwrap()  # close_notify: an end in good order, but not of this body
        except OSError:
            pass
    else:
        client.close()
    wait_until(lambda: reason(world, target) == "connection_lost", "the end in the record")
    assert target.seen[-1].count(b"x") < 600
    client.close()


def test_D4_a_page_goes_on_over_a_restart(new_world):
    world, target = new_world(), Scripted()
    allow(world, target.port)
    go, silent = threading.Event(), threading.Event()

    def halves(peer):
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 131072\r\n\r\n" + PIECE)
        go.wait(60)
        peer.sendall(PIECE)
    token = api.login(world).body["session"]
    pages = [kind(world, token) for kind in (Http1, Http2)]
    waiting = Http2(world, token)
    try:
        target.say(halves)
        downloads = [Download(client, f"http://{target.address}/") for client in pages]
        wait_until(lambda: all(download.size >= 65536 for download in downloads), "the first half")
        target.say(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate", wait=silent)
        number = waiting.send(f"http://{target.address}/")
        wait_until(lambda: len(target.seen) == 3 and target.seen[-1].endswith(b"\r\n\r\n"), "the third question")
        restart(world)
        go.set()
        silent.set()
        assert waiting.receive(number).body == b"late"
        wait_until(lambda: all(download.size >= 131072 for download in downloads), "the second half")
        assert bytes(pages[1].h2.streams[downloads[1].number].data) == PIECE * 2
    finally:
        for client in (*pages, waiting):
            client.close()
        target.close()


def test_a_page_by_every_way_of_a_browser(new_world):
    """By the portal's session, and by the token that the portal shows; a cookie is nobody's word here."""
    world = furnish(new_world())
    alice, url = CurlBrowser(world), f"http://127.0.0.1:{world.web}/"
    alice.login()
    shown = alice.ask("POST", "/v1/session/browser-token").body["token"]
    basic = "Basic " + base64.b64encode(f"alice:{shown}".encode()).decode()
    for kind in (Http1, Http2):
        client = kind(world, None)
        for headers in ((), [("Proxy-Authorization", basic)]):
            assert b"Company wiki" in client.ask(url, headers=headers).body
        client.close()
    assert ask(world, "SELECT way, form FROM tunnel ORDER BY opened_at, id") == [("browser_session", "request"), ("browser_token", "request")] * 2
    cookie = [("Cookie", f"__Host-sallyport={alice.token}")]
    assert alice.ask("DELETE", "/v1/session").status == 200
    for kind in (Http1, Http2):
        client = kind(world, None)
        for headers in ((), [("Proxy-Authorization", basic)], cookie):
            assert client.ask(url, headers=headers).status == 407
        client.close()
    assert ask(world, "SELECT count(*) FROM tunnel") == [(4,)]


def test_step_up_for_a_page(new_world):
    world = new_world()
    text = world.policy.read_text().replace('resources = {"wiki"} }', 'resources = {"wiki"} fresh_login = "2s" }')
    world.policy.write_text(text)
    world.admin("policy", "apply")
    token = api.login(world).body["session"]
    client = Http2(world, token)
    url = f"http://127.0.0.1:{world.web}/"
    assert b"Company wiki" in client.ask(url).body
    time.sleep(2.2)
    answer = client.ask(url)
    assert (answer.status, answer.problem["code"], answer.problem["login"]) == (403, "fresh_login_required", "/v1/login")
    api.login(world)
    assert b"Company wiki" in client.ask(url).body
    client.close()


def test_a_hundred_pages_at_once(world, token, target):
    target.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000\r\n" + PIECE + b"\r\n0\r\n\r\n")
    client = Http2(world, token)
    numbers = [client.send(f"http://{target.address}/{count}") for count in range(100)]
    answers = [client.receive(number) for number in numbers]
    assert all(answer.body == PIECE and not answer.broken for answer in answers)
    asked = sorted(int(bytes(seen).split(b" ")[1][1:]) for seen in target.seen)
    assert asked == list(range(100))
    client.close()


@KINDS
def test_a_page_with_a_limit_of_bandwidth(new_world, kind):
    world, target = new_world(), Scripted()
    with world.policy.open("a") as policy:
        policy.write(f'resource "slow" {{ address = {{"{target.address}"}} }}\n'
                     'rule "slow" { users = {"alice"} resources = {"slow"} max_rate = "256KiB" }\n')
    world.admin("policy", "apply")
    target.say(b"HTTP/1.1 200 OK\r\nContent-Length: 131072\r\n\r\n" + PIECE * 2)
    client = kind(world, api.login(world).body["session"])
    try:
        answer = client.ask(f"http://{target.address}/", "PUT", [("Content-Length", str(len(PIECE)))], PIECE)
        assert answer.body == PIECE * 2
        assert bytes(target.seen[-1]).partition(b"\r\n\r\n")[2] == PIECE
    finally:
        client.close()
        target.close()


# ---- E6 -----------------------------------------------------------------------------------------------------------------

MIB = 64


def send_much(peer):
    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (MIB << 20))
    for _ in range(MIB << 4):
        peer.sendall(PIECE)


def worker_of(world, before):
    (pid,) = set(proc.workers_of_clients(world)) - before
    return pid


class SleepyHttp1:
    def __init__(self, world, token, url):
        self.client = Http1(world, token, receive_buffer=1 << 16)
        self.client.send(url)

    def rest(self):
        """Reads it all: the hash of the content."""
        answer = self.client.receive()
        return hashlib.sha256(answer.body).digest() if not answer.broken else None

    def close(self):
        self.client.close()


class SleepyHttp2:
    def __init__(self, world, token, url):
        # A window without end: TCP alone holds the gateway back.
        self.client = Http2(world, token, window=(1 << 31) - 1, peer=clients.connect(world, receive_buffer=1 << 16))
        self.client.h2.h2.increment_flow_control_window((1 << 31) - 1 - (1 << 25))
        self.client.h2.flush()
        self.number = self.client.send(url)

    def rest(self):
        answer = self.client.receive(self.number)
        return hashlib.sha256(answer.body).digest() if not answer.broken else None

    def close(self):
        self.client.close()


@pytest.mark.parametrize("sleepy", [SleepyHttp1, SleepyHttp2], ids=["h1", "h2"])
def test_E6_a_page_that_nobody_reads_lies_at_its_target(release, sleepy):
    """While its reader sleeps the target can send no more, and the worker grows by no more than a few buffers."""
    from worlds import Worlds
    worlds, target = Worlds(release), Scripted()
    try:
        world = worlds()
        allow(world, target.port)
        token = api.login(world).body["session"]
        before = set(proc.workers_of_clients(world))
        target.say(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        warm = Http2(world, token) if sleepy is SleepyHttp2 else Http1(world, token)
        assert warm.ask(f"http://{target.address}/").status == 200
        idle = proc.private_kib(worker_of(world, before))
        warm.close()
        wait_until(lambda: set(proc.workers_of_clients(world)) == before, "the end of the first one")
        target.say(send_much)
        client = sleepy(world, token, f"http://{target.address}/")
        wait_until(lambda: target.seen and len(target.peers) >= 2, "the question")
        sent, pid = -1, worker_of(world, before)
        while sent != (sent := unsent(target.peers[-1])) or sent == 0:
            time.sleep(0.3)
        assert sent > 0 and proc.private_kib(pid) - idle <= 4096
        expected = hashlib.sha256()
        for _ in range(MIB << 4):
            expected.update(PIECE)
        assert client.rest() == expected.digest()
        client.close()
    finally:
        target.close()
        worlds.close()


def unsent(peer):
    """Bytes that the target's kernel still holds."""
    import fcntl
    import struct
    import termios
    return struct.unpack("i", fcntl.ioctl(peer.fileno(), termios.TIOCOUTQ, b"\0\0\0\0"))[0]
