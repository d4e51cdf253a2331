"""A real courier, whose broker and monitor are the test, against servers that are good, slow, endless and hostile."""
import fcntl
import http.server
import os
import threading
import time

import frames
import pytest
import rooms

IDENTITY = "64105"


class Elsewhere(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, body, status=200, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(self.headers["Content-Type"].encode() + b"|" + body)

    def do_GET(self):
        acts = {"/list": self.list, "/large": self.large, "/endless": self.endless, "/slow": self.slow, "/loop": self.loop,
                "/file": lambda: self.answer(b"", 302, Location="file:///etc/passwd"),
                "/inward": lambda: self.answer(b"", 302, Location=f"http://[::1]:{self.server.server_port}/list"),
                "/neighbour": lambda: self.answer(b"", 302, Location=f"http://127.0.0.2:{self.server.server_port}/list"),
                "/metadata": lambda: self.answer(b"", 302, Location="http://169.254.169.254/latest"),
                "/moved": lambda: self.answer(b"", 302, Location="/list"),
                "/head": self.head, "/missing": lambda: self.answer(b"no", 404)}
        try:
            acts[self.path]()
        except (BrokenPipeError, ConnectionResetError):
            pass

    def list(self):
        self.answer(b"x" * 300000)

    def large(self):
        self.answer(b"x" * 300001)

    def loop(self):
        self.answer(b"", 302, Location="/loop")

    def endless(self):
        self.send_response(200)
        self.end_headers()
        while True:
            self.wfile.write(b"x" * 65536)

    def head(self):
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            self.wfile.write(b"X-More: " + b"x" * 60000 + b"\r\n")

    def slow(self):
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        for _ in range(100):
            self.wfile.write(b"x")
            self.wfile.flush()
            time.sleep(0.1)


@pytest.fixture(scope="module")
def elsewhere():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class Courier:
    def __init__(self, programs):
        self.broker, theirs = frames.pair("broker_courier")
        settings = {"courier_user": IDENTITY} if os.geteuid() == 0 else {}
        self.room = rooms.Room(programs, "courier", settings, [("broker_edge", "broker", theirs.fileno())]).begin_well()
        theirs.close()
        self.request = 0

    def ask(self, url, post=None, size=300000, time_ms=5000):
        self.request += 1
        self.broker.send("fetch", request=self.request, method=2 if post else 1, url=url, size_limit=size,
                         time_limit_ms=time_ms, **({"content_type": "application/ocsp-request", "body": post} if post else {}))
        return self.request

    def fetch(self, url, **more):
        number = self.ask(url, **more)
        answer = self.broker.receive()
        assert answer.request == number
        return answer


@pytest.fixture
def courier(programs):
    courier = Courier(programs)
    yield courier
    courier.broker.close()
    courier.room.end()


def body_of(answer):
    assert answer.name == "fetched", answer
    body = os.pread(answer.fd, answer.size + 1, 0)
    assert len(body) == answer.size
    seals = fcntl.fcntl(answer.fd, fcntl.F_GET_SEALS)
    os.close(answer.fd)
    assert seals & 15 == 15
    return body


def test_what_is_fetched_comes_whole_and_sealed(courier, elsewhere):
    answer = courier.fetch(elsewhere + "/list")
    assert answer.status == 200 and body_of(answer) == b"x" * 300000
    assert body_of(courier.fetch(elsewhere + "/", post=b"\0question")) == b"application/ocsp-request|\0question"
    answer = courier.fetch(elsewhere + "/missing")
    assert answer.status == 404 and body_of(answer) == b"no"
    assert body_of(courier.fetch(elsewhere + "/moved")) == b"x" * 300000


@pytest.mark.parametrize("path, word", [
    ("/large", "larger than 300000 bytes"), ("/endless", "larger than 300000 bytes"), ("/head", "header"), ("/loop", "redirect"),
    ("/file", "Protocol"), ("/inward", "this machine"), ("/metadata", "this machine")])
def test_a_hostile_server_gets_a_sentence_and_nothing_else(courier, elsewhere, path, word):
    answer = courier.fetch(elsewhere + path)
    assert answer.name == "not_fetched" and word in answer.sentence, answer
    assert body_of(courier.fetch(elsewhere + "/list")), "the next one is served"


def test_a_slow_server_has_no_more_than_the_time(courier, elsewhere):
    number = courier.ask(elsewhere + "/slow", time_ms=1000)
    other = courier.ask(elsewhere + "/list")
    first, second = courier.broker.receive(), courier.broker.receive()
    assert first.request == other and body_of(first)
    assert second.request == number and second.name == "not_fetched" and second.timed_out == 1


@pytest.mark.parametrize("url", ["file:///etc/hosts", "ftp://127.0.0.1/x", "gopher://127.0.0.1/x", "smtp://127.0.0.1/", "nonsense", ""])
def test_no_other_scheme(courier, url):
    answer = courier.fetch(url)
    assert answer.name == "not_fetched" and "http" in answer.sentence


def test_only_the_very_address_that_the_url_spells_out(courier, elsewhere):
    port = elsewhere.rsplit(":", 1)[1]
    answer = courier.fetch(elsewhere + "/neighbour")
    assert answer.name == "not_fetched" and "this machine" in answer.sentence
    assert body_of(courier.fetch(f"http://localhost:{port}/list")), "the URL says so itself"


def test_a_new_broker_gets_nothing_that_the_old_one_asked_for(courier, elsewhere):
    courier.ask(elsewhere + "/slow", time_ms=2000)
    time.sleep(0.2)
    fresh, theirs = frames.pair("broker_courier")
    courier.room.monitor.send("descriptor", purpose="broker_edge", name="broker", fd=theirs.fileno())
    theirs.close()
    assert courier.broker.is_closed()
    courier.broker.close()
    courier.broker = fresh
    courier.request = 10
    assert body_of(courier.fetch(elsewhere + "/list"))


@pytest.mark.parametrize("wrong", [{"method": 3}, {"size_limit": 1 << 40}, {"time_limit_ms": 0}])
def test_a_request_beyond_its_bounds_ends_the_edge(courier, elsewhere, wrong):
    courier.broker.send("fetch", **{"request": 1, "method": 1, "url": elsewhere, "size_limit": 10, "time_limit_ms": 1000, **wrong})
    assert courier.broker.is_closed()
    assert "beyond its bounds" in courier.room.said()


def test_it_ends_when_it_is_told_and_when_the_monitor_is_gone(programs):
    told, orphan = Courier(programs), Courier(programs)
    told.room.monitor.send("stop")
    assert told.room.wait() == 0
    orphan.room.monitor.close()
    assert orphan.room.wait() == 0
    for courier in told, orphan:
        courier.broker.close()
        courier.room.end()
