"""Plain pages: requests with a whole address ("GET http://wiki/"), carried to their target as a proxy does.

What browsers do with an http:// page behind a proxy. The target says what the test wants, and tells what it was asked. A real
server: test_forward_nginx.py; what ends a page in the middle, and what it costs: test_forward_life.py.
"""
import base64
import hashlib
import http.client
import json
import re
import sqlite3
import subprocess
import sys
import threading

import pytest

import api
import clients
from pages import Http1, Http2
from scripted import Scripted
from targets import allow
from world import HERE, wait_until

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


@pytest.fixture(scope="module")
def token(world):
    return api.login(world).body["session"]


@pytest.fixture(scope="module")
def targets(world):
    """Two servers that alice may reach."""
    made = [Scripted(), Scripted()]
    allow(world, *(target.port for target in made))
    yield made
    for target in made:
        target.close()


@pytest.fixture
def target(targets):
    targets[0].say(HELLO)
    targets[0].seen.clear()
    return targets[0]


def rows(world, question, *arguments):
    with sqlite3.connect(f"file:{world.database}?mode=ro", uri=True) as database:
        return database.execute(question, arguments).fetchall()


def last_tunnel(world, port):
    return rows(world, "SELECT user, requested_host, close_reason FROM tunnel WHERE requested_port = ? "
                "ORDER BY opened_at DESC, id DESC LIMIT 1", port)[0]


def codes(world, answer):
    """What the record says under the id that the user was given: of whom, and which codes. (The way to the target is there
    too, where there was one; it has none.)"""
    found = rows(world, "SELECT code, user FROM audit WHERE request_id = ?", answer.problem["request_id"])
    assert "alice" in {user for _, user in found}
    return [code for code, _ in found if code]


@pytest.fixture(params=[Http1, Http2], ids=["h1", "h2"])
def client(world, token, request):
    made = request.param(world, token)
    yield made
    made.close()


# ---- what is carried ----------------------------------------------------------------------------------------------------


def test_a_page_and_the_question_that_its_target_saw(world, client, target):
    answer = client.ask(f"http://{target.address}/a?b=c", headers=[("Accept", "*/*"), ("X-Own", "1")])
    assert (answer.status, answer.body, answer.broken) == (200, b"hello", False)
    version = "2.0" if isinstance(client, Http2) else "1.1"
    accept, own = ("Accept", "X-Own") if version == "1.1" else ("accept", "x-own")
    assert bytes(target.seen[-1]).decode() == (
        f"GET /a?b=c HTTP/1.1\r\nHost: {target.address}\r\n{accept}: */*\r\n{own}: 1\r\nVia: {version} sallyport\r\n"
        "Connection: close\r\n\r\n")
    assert answer.headers["via"] == "1.1 sallyport" and answer.headers["content-length"] == "5"
    wait_until(lambda: last_tunnel(world, target.port) == ("alice", "127.0.0.1", "target_fin"), "the end in the record")


def test_curl_asks_for_a_plain_page_by_itself(world, token, target):
    device = world.laptops["alice-laptop"]
    done = subprocess.run(["curl", "-sS", "--max-time", "20", "--proxy", world.url, "--proxy-cacert",
                           str(world.path("etc", "server-ca.crt")), "--proxy-cert", str(device.certificate),
                           "--proxy-key", str(device.key), "--proxy-user", f"alice:{token}", f"http://{target.address}/"],
                          text=True, capture_output=True, check=False)
    assert done.stdout == "hello", done.stderr
    assert b"Proxy-Authorization" not in target.seen[-1]


def test_two_targets_on_one_connection(client, targets):
    first, second = targets
    first.say(HELLO)
    second.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nsecond\r\n0\r\n\r\n")
    for _ in range(3):
        assert client.ask(f"http://{first.address}/").body == b"hello"
        assert client.ask(f"http://{second.address}/").body == b"second"


def test_the_portals_cookie_goes_to_no_target(client, target):
    crumbs = "a=1; __Host-sallyport=secret; b=2"
    assert client.ask(f"http://{target.address}/", headers=[("Cookie", crumbs)]).status == 200
    assert b"cookie: a=1; b=2\r\n" in bytes(target.seen[-1]).lower()
    assert b"secret" not in target.seen[-1]


def test_a_cookie_opens_no_way(world, token, target):
    """What another page makes the browser send is not the user's word."""
    client = Http1(world, None)
    answer = client.ask(f"http://{target.address}/", headers=[("Cookie", f"__Host-sallyport={token}")])
    assert answer.status == 407 and not target.seen
    client.close()


def test_a_body_on_its_way_up(client, target):
    body = bytes(range(256)) * 2000
    for method in ("POST", "PUT"):
        answer = client.ask(f"http://{target.address}/", method, [("Content-Length", str(len(body)))], body)
        assert answer.body == b"hello"
        head, _, seen = bytes(target.seen[-1]).partition(b"\r\n\r\n")
        assert seen == body and f"Content-Length: {len(body)}".encode() in head


def test_a_body_without_a_length_is_refused(world, token, target):
    one = Http1(world, token)
    assert one.ask(f"http://{target.address}/", "POST", [("Transfer-Encoding", "chunked")], b"5\r\nhello\r\n0\r\n\r\n").status == 411
    one.close()
    two = Http2(world, token)
    assert two.ask(f"http://{target.address}/", "POST", body=b"hello").status == 411
    two.close()
    assert not target.seen


def test_expect_is_met_when_there_is_a_way(world, token, target):
    client = Http1(world, token)
    client.send(f"http://{target.address}/", "POST", [("Content-Length", "5"), ("Expect", "100-continue")])
    assert client.peer.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.peer.sendall(b"12345")
    assert client.receive("POST").body == b"hello"
    assert target.seen[-1].endswith(b"\r\n\r\n12345") and b"xpect" not in target.seen[-1]
    client.send(f"http://127.0.0.1:{world.denied}/", "POST", [("Content-Length", "5"), ("Expect", "100-continue")])
    assert client.receive("POST").status == 403  # before the body was asked for
    client.close()


@pytest.mark.parametrize("answer, status, body", [
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nX: y\r\n\r\n", 200, b"hello world"),
    (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", 200, b"until the end"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello, and what stands behind the end", 200, b"hello"),
    (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
    (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: x\r\n\r\n", 304, b""),
    (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 404, b""),
    (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + HELLO, 200, b"hello"),
], ids=["chunked", "close", "behind-the-end", "204", "304", "empty", "interim"])
def test_every_form_of_an_answer(client, target, answer, status, body):
    for then in ("close", "stay"):  # the connection is good for another
        if then == "stay" and b"HTTP/1.0" in answer:
            continue  # that one ends with its target's connection
        target.say(answer, then=then)
        got = client.ask(f"http://{target.address}/")
        assert (got.status, got.body, got.broken) == (status, body, False)


def test_head_has_the_length_and_no_body(client, target):
    target.say(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", then="stay")
    for _ in range(2):
        answer = client.ask(f"http://{target.address}/", "HEAD")
        assert (answer.status, answer.headers["content-length"], answer.body) == (200, "500", b"")


def test_fields_of_one_hop_stay_behind(world, token, target):
    target.say(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close, x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n"
               b"Proxy-Authenticate: Basic realm=\"x\"\r\nUpgrade: h2c\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\nhello")
    client = Http2(world, token)
    answer = client.ask(f"http://{target.address}/")
    assert answer.body == b"hello" and answer.headers["set-cookie"] == "a=1, b=2"
    assert not {"connection", "x-hop", "keep-alive", "proxy-authenticate", "upgrade"} & set(answer.headers)
    client.close()


def test_http_1_0_gets_no_chunks(world, token, target):
    target.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
    peer = clients.connect(world, alpn=("http/1.1",), ragged=False)
    peer.sendall(f"GET http://{target.address}/ HTTP/1.0\r\nProxy-Authorization: Bearer {token}\r\n\r\n".encode())
    received = b""
    while piece := peer.recv(65536):  # an end without close_notify would be an error here
        received += piece
    assert received.endswith(b"\r\n\r\nhello") and b"chunked" not in received
    peer.close()


# ---- answers that are none ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [
    b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n\r\n",
    b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
    b"HTTP/2 200\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nX: a\r\n folded\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: " + b"a" * 20000 + b"\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"give it to me\"\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-",
    b"",
], ids=["ssh", "bare-lf", "http2", "both-lengths", "two-lengths", "fold", "huge", "many", "101", "407", "cut", "nothing"])
def test_E5_an_answer_that_is_none_is_a_bad_gateway(world, client, target, answer):
    target.say(answer)
    refused = client.ask(f"http://{target.address}/")
    assert (refused.status, refused.problem["code"]) == (502, "bad_gateway") and refused.problem["detail"]
    assert codes(world, refused) == ["bad_gateway"]
    target.say(HELLO)
    assert client.ask(f"http://{target.address}/").body == b"hello"  # the connection serves on


def test_E5_headers_without_an_end(client, target):
    def endless(peer):
        peer.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            peer.sendall(b"X: y\r\n" * 1000)
    target.say(endless)
    assert client.ask(f"http://{target.address}/").problem["code"] == "bad_gateway"


@pytest.mark.parametrize("then", ["close", "reset"])
@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 1000,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n" + b"x" * 1000,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
], ids=["length", "chunk", "between-chunks"])
def test_an_answer_that_breaks_off_breaks_off_for_the_client(world, client, target, answer, then):
    target.say(answer, then=then)
    assert client.ask(f"http://{target.address}/").broken
    expected = {"bad_gateway", "target_reset"} if then == "reset" else {"bad_gateway"}
    wait_until(lambda: last_tunnel(world, target.port)[2] in expected, "the reason in the record")


def test_a_malformed_chunk_breaks_off(client, target):
    target.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nnonsense\r\n", then="stay")
    assert client.ask(f"http://{target.address}/").broken


def test_a_target_that_resets_or_is_not_there(world, client, target):
    target.say(b"", then="reset")
    answer = client.ask(f"http://{target.address}/")
    assert (answer.status, answer.problem["code"]) == (502, "bad_gateway")
    world.stop_process("echo")
    try:
        answer = client.ask(f"http://127.0.0.1:{world.echo}/")
        assert (answer.status, answer.problem["code"]) == (502, "unreachable")
    finally:
        world.spawn_inside("echo", [sys.executable, "-B", HERE / "echo.py", world.echo, world.inside], world.echo)


def test_a_silent_target_is_a_timeout(new_world):
    world = new_world(settings=['answer_time_limit = "1s"'])
    token, target = api.login(world).body["session"], Scripted()
    allow(world, target.port)
    silent = threading.Event()
    try:
        target.say(HELLO, wait=silent)
        for kind in (Http1, Http2):
            client = kind(world, token)
            answer = client.ask(f"http://{target.address}/")
            assert (answer.status, answer.problem["code"]) == (504, "answer_timeout")
            assert codes(world, answer) == ["answer_timeout"]
            wait_until(lambda: last_tunnel(world, target.port)[2] == "answer_timeout", "the reason in the record")
            client.close()
    finally:
        silent.set()
        target.close()


def test_an_answer_before_the_question_is_whole(client, target):
    """The target refuses a large body early and reads no more of it."""
    target.say(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 4\r\nConnection: close\r\n\r\nno!\n", early=True, then="reset")
    size = 20 << 20
    if isinstance(client, Http2):
        number = client.h2.request([(":method", "POST"), (":scheme", "http"), (":authority", target.address), (":path", "/"),
                                    ("content-length", str(size)), ("proxy-authorization", f"Bearer {client.token}")], end=False)
        client.h2.send(number, bytes(100000))
        answer = client.receive(number)
    else:
        client.send(f"http://{target.address}/", "POST", [("Content-Length", str(size))], bytes(100000))
        answer = client.receive("POST")
        assert answer.headers["connection"] == "close"
    assert (answer.status, answer.body) == (413, b"no!\n")


def test_an_answer_that_races_with_the_question(client, target):
    """The target answers and resets while the client still sends: what it has said is not lost with what it did not take."""
    def refuse(peer):
        peer.recv(1 << 16)
        peer.sendall(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 4\r\n\r\nno!\n")
    target.say(refuse, early=True, then="reset")
    for _ in range(10):
        again = type(client)(client.world, client.token)
        answer = again.ask(f"http://{target.address}/", "POST", [("Content-Length", str(2 << 20))], bytes(2 << 20))
        assert (answer.status, answer.body) == (413, b"no!\n")
        again.close()


def test_a_stream_that_is_answered_early_is_not_stuck(world, token, target):
    """Its window comes back for all that nobody will take, so that a client which sends first and reads then goes on."""
    told = threading.Event()

    def refuse(peer):
        told.wait(20)
        peer.sendall(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 4\r\n\r\nno!\n")
        peer.settimeout(20)
        while peer.recv(1 << 20):
            pass
    target.say(refuse, early=True)
    client = Http2(world, token)
    number = client.h2.request([(":method", "POST"), (":scheme", "http"), (":authority", target.address), (":path", "/"),
                                ("content-length", str(1 << 30)), ("proxy-authorization", f"Bearer {token}")], end=False)
    has_room = lambda: client.h2.h2.local_flow_control_window(number) > 0
    while client.h2.wait(has_room, 1):
        client.h2.send(number, bytes(min(client.h2.h2.local_flow_control_window(number), 1 << 20)))
    told.set()
    answer = client.receive(number)
    assert (answer.status, answer.body) == (413, b"no!\n")
    assert client.h2.wait(has_room), "the window stays shut"
    client.close()


# ---- smuggling ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("head", [
    "POST http://{address}/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET http://{address}/smuggled HTTP/1.1\r\n\r\n",
    "POST http://{address}/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 0\r\n\r\nhello",
    "POST http://{address}/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 5\r\n\r\nhello",
    "GET http://{address}/ HTTP/1.1\r\nHost: x\r\nX: a\rGET /smuggled HTTP/1.1\r\n\r\n",
    "GET http://{address}/ HTTP/1.1\r\nHost: x\r\nX: a\nGET /smuggled HTTP/1.1\r\n\r\n",
    "GET http://{address}/ HTTP/1.1\r\nHost: x\r\nX : a\r\n\r\n",
    "GET http://{address}/ HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n",
    "GET http://{address}/ /smuggled HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET http://{address}/\u00e9 HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET http://{address}#/ HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET http://alice@{address}/ HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET http://127.0.0.1:0/ HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET http://127.0.0.1:70000/ HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET http:/// HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET https://{address}/ HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET ftp://{address}/ HTTP/1.1\r\nHost: x\r\n\r\n",
])
def test_E5_what_has_two_meanings_has_none(world, token, target, head):
    text = head.format(address=target.address).replace("Host: x\r\n", f"Host: x\r\nProxy-Authorization: Bearer {token}\r\n")
    status, _, body, peer = clients.http1(world, text.encode())
    assert status == 400 and json.loads(body)["code"] in ("bad_request", "bad_target")
    assert not target.seen
    peer.close()


def test_a_question_is_exactly_one(world, token, target):
    """Whatever a client says about this hop, the target sees one request, for the host that was judged."""
    client = Http1(world, token)
    headers = [("Connection", "close, host, content-length, x-a"), ("X-A", "1"), ("Keep-Alive", "x"), ("TE", "trailers"),
               ("Upgrade", "h2c"), ("HTTP2-Settings", "x"), ("Proxy-Connection", "keep-alive"), ("Content-Length", "46")]
    inner = b"GET /smuggled HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n0"
    assert len(inner) == 46
    answer = client.ask(f"http://{target.address}/", "POST", headers, inner)
    assert answer.body == b"hello"
    wait_until(lambda: len(target.seen) == 1, "one request")
    assert bytes(target.seen[0]) == (f"POST / HTTP/1.1\r\nHost: {target.address}\r\nContent-Length: 46\r\nVia: 1.1 sallyport\r\n"
                                     "Connection: close\r\n\r\n").encode() + inner
    client.close()


def test_E5_a_body_that_found_no_way_is_no_request(world, token, target):
    """Refused by the policy, by its target, for its address: what was to be the body is never read as the next request."""
    inner = f"GET http://{target.address}/smuggled HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Bearer {token}\r\n\r\n".encode()
    for url, status in ((f"http://127.0.0.1:{world.denied}/", 403), ("http://a@b/", 400), (f"http://{target.address}/", 502)):
        target.say(b"nonsense\r\n\r\n", early=True)
        client = Http1(world, token)
        client.send(url, "POST", [("Content-Length", str(len(inner) + 10000))], inner)
        answer = client.receive("POST")
        assert (answer.status, answer.headers["connection"]) == (status, "close")
        assert client.peer.recv(1) == b""
        client.close()
    assert not any(b"GET" in seen.partition(b"\r\n\r\n")[0] for seen in target.seen)


def test_trace_is_not_carried(client, target):
    answer = client.ask(f"http://{target.address}/", "TRACE")
    assert (answer.status, answer.problem["code"]) == (405, "method_not_allowed") and "GET" in answer.headers["allow"]
    assert not target.seen


def test_a_pipeline_is_served_in_its_order(world, token, targets):
    first, second = targets
    first.say(HELLO)
    second.say(b"HTTP/1.1 200 OK\r\n\r\nclose")
    client = Http1(world, token)
    for target in (first, second, first):
        client.send(f"http://{target.address}/")
    reader = client.peer.makefile("rb")
    bodies = []
    for _ in range(3):
        response = http.client.HTTPResponse(type("Shared", (), {"makefile": lambda self, mode: Kept(reader)})())
        response.begin()
        bodies.append(response.read())
    assert bodies == [b"hello", b"close", b"hello"]
    client.close()


class Kept:
    """A reader that http.client does not close."""

    def __init__(self, reader):
        self.reader = reader

    def __getattr__(self, name):
        return getattr(self.reader, name)

    def close(self):
        pass

    def flush(self):
        pass


# ---- policy -------------------------------------------------------------------------------------------------------------


def test_B1_no_rule_no_page_and_the_record_knows(world, client):
    answer = client.ask(f"http://127.0.0.1:{world.denied}/")
    assert (answer.status, answer.problem["code"]) == (403, "not_allowed")
    assert codes(world, answer) == ["not_allowed"]


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0x7f.1", "017700000001", "127.1", "[::ffff:127.0.0.1]", "127.0.0.1."])
def test_B2_every_spelling_ends_at_the_verdict_of_the_plain_one(world, client, target, host):
    assert client.ask(f"http://{host}:{target.port}/").body == b"hello"
    answer = client.ask(f"http://{host}:{world.denied}/")
    assert (answer.status, answer.problem["code"]) == (403, "not_allowed")


@pytest.mark.parametrize("host, code", [
    *((host, "not_allowed") for host in ("[::1]", "localhost", "LOCALHOST", "localhost.", "0.0.0.0", "[::]", "169.254.169.254")),
    *((host, "bad_target") for host in ("alice@127.0.0.1", "127.0.0.1%00", "*")),
])
def test_B2_every_other_spelling_of_this_machine_is_refused(world, client, host, code):
    answer = client.ask(f"http://{host}:{world.denied}/")
    assert (answer.status, answer.problem["code"]) == (400 if code == "bad_target" else 403, code)


def test_B2_a_page_of_the_gateway_itself_is_refused(world, client):
    answer = client.ask(f"http://127.0.0.1:{world.port}/v1/session")
    assert (answer.status, answer.problem["code"]) == (403, "not_allowed")


def test_without_a_session_nothing_is_carried(world, target):
    for kind in (Http1, Http2):
        client = kind(world, None)
        answer = client.ask(f"http://{target.address}/")
        assert (answer.status, answer.problem["code"]) == (407, "no_session")
        assert "basic" in answer.headers["proxy-authenticate"].lower()
        client.close()
    assert not target.seen


def test_B2_a_name_that_leads_inside_is_refused(new_world):
    """DNS rebinding: the policy allows the name, not what it points at."""
    world = new_world()
    with world.policy.open("a") as policy:
        policy.write(f'resource "trap" {{ address = {{"localhost:{world.echo}"}} }}\n'
                     'rule "trap" { users = {"alice"} resources = {"trap"} }\n')
    world.admin("policy", "apply")
    token = api.login(world).body["session"]
    for kind in (Http1, Http2):
        client = kind(world, token)
        answer = client.ask(f"http://localhost:{world.echo}/")
        assert (answer.status, answer.problem["code"]) == (403, "address_forbidden")
        client.close()


# ---- for people ---------------------------------------------------------------------------------------------------------

BROWSER = ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")


def test_a_person_gets_a_page_that_says_why(world, client):
    answer = client.ask(f"http://127.0.0.1:{world.denied}/<b>", headers=[BROWSER])
    assert answer.status == 403 and answer.headers["content-type"] == "text/html; charset=utf-8"
    page = answer.body.decode()
    request_id = re.search(r"Request</dt><dd><code>([^<]+)</code>", page).group(1)
    assert rows(world, "SELECT code, user FROM audit WHERE request_id = ?", request_id) == [("not_allowed", "alice")]
    assert "<code>not_allowed</code>" in page and f'href="https://localhost:{world.port}/"' in page and "<script" not in page


def test_the_pages_policy_lets_its_own_style_in_and_nothing_else(world, client):
    answer = client.ask(f"http://127.0.0.1:{world.denied}/", headers=[BROWSER])
    (style,) = re.findall(r"<style>(.*?)</style>", answer.body.decode(), re.S)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = dict(part.strip().partition(" ")[::2] for part in answer.headers["content-security-policy"].split(";"))
    assert policy == {"default-src": "'none'", "style-src": f"'sha256-{digest}'", "form-action": "'none'", "frame-ancestors": "'none'",
                      "base-uri": "'none'"}
    assert answer.headers["cache-control"] == "no-store" and answer.headers["x-frame-options"] == "DENY"


def test_a_page_keeps_what_the_browser_has_to_know(world, target):
    for kind in (Http1, Http2):
        client = kind(world, None)
        answer = client.ask(f"http://{target.address}/", headers=[BROWSER])
        assert answer.status == 407 and answer.body.startswith(b"<!DOCTYPE html>")
        assert "basic" in answer.headers["proxy-authenticate"].lower()
        client.close()


def test_a_broken_answer_is_a_page_too(client, target):
    target.say(b"HTTP/1.1 200 OK\r\nX: <script>\n\r\n\r\n")
    answer = client.ask(f"http://{target.address}/", headers=[BROWSER])
    assert answer.status == 502 and b"<code>bad_gateway</code>" in answer.body


def test_our_own_pages_refusals_are_pages(world):
    done = subprocess.run([*api.curl_arguments(world, "alice-laptop"), "-i", "-H", ": ".join(BROWSER), world.url + "/nothing"], text=True,
                          capture_output=True, check=False)
    assert "404" in done.stdout and "<code>not_found</code>" in done.stdout
    assert '"code":"not_found"' in api.call(world, "GET", "/nothing").text


def test_a_refused_head_leaves_the_connection_clean(world, client, target):
    for _ in range(3):
        answer = client.ask(f"http://127.0.0.1:{world.denied}/", "HEAD", [BROWSER])
        assert answer.status == 403 and answer.body == b""
    assert client.ask(f"http://{target.address}/").body == b"hello"
