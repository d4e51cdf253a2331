"""The portal: the page that a browser gets at `GET /`, its assets, and who does not get it. What it does in a browser is
tested in tests/browser."""
import base64
import email.utils
import hashlib
import json
import re
import sqlite3
import time

import clients
from curl_browser import CurlBrowser
from test_enrolment import code_of, curl
from test_presence import Host
from test_renewal import expire, new_laptop

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


def get(world, path="/", accept=BROWSER, method="GET", laptop="alice-laptop"):
    """By HTTP/1.1: (status, headers, body)."""
    fields = f"Accept: {accept}\r\n" if accept else ""
    status, headers, body, peer = clients.http1(world, f"{method} {path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n".encode(), laptop)
    peer.close()
    return status, headers, body


def get_by_http2(world, path="/", accept=BROWSER):
    with clients.Http2(world) as h2:
        number = h2.request([(":method", "GET"), (":scheme", "https"), (":authority", "x"), (":path", path), ("accept", accept)])
        stream = h2.streams[number]
        assert h2.wait(lambda: stream.ended)
        return stream.status, stream.headers, bytes(stream.data)


def rows(world, query, *arguments):
    with sqlite3.connect(f"file:{world.database}?mode=ro", uri=True) as database:
        return database.execute(query, arguments).fetchall()


def assets(page):
    """What the page names: path to the hash that the browser checks (empty for the picture)."""
    return dict(re.findall(r'(?:href|src)="(/assets/[^"]+)"(?: integrity="([^"]+)")?', page.decode()))


def test_a_browser_gets_the_page_and_a_program_json(world):
    for ask in (get, get_by_http2):
        status, headers, page = ask(world)
        assert status == 200 and headers["content-type"] == "text/html; charset=utf-8"
        assert page.startswith(b"<!DOCTYPE html>") and b"<!--" not in page
        assert (headers["cache-control"], headers["vary"]) == ("no-store", "accept")
        said = email.utils.parsedate_to_datetime(headers["date"]).timestamp()
        assert abs(said - time.time()) < 60, "by which the page corrects a clock that is wrong"
        for accept in ("application/json", "*/*", "text/html;q=0.1, application/json"):
            status, headers, answer = ask(world, accept=accept)
            assert (status, headers["content-type"]) == (200, "application/json"), accept
            assert b'"device":"alice-laptop"' in answer and b'"gateway":"localhost"' in answer
    assert get(world, accept=None)[1]["content-type"] == "application/json"


def test_the_script_is_told_whether_there_may_be_a_session(world):
    """It cannot see the cookie; and a question without one would be a refusal in the record, at each first visit."""
    browser = CurlBrowser(world)
    assert browser.ask("GET", "/").body["cookie"] is False
    alice = world.users["alice"]
    assert browser.login("alice", [alice.password, alice.code()]).body["state"] == "granted"
    assert browser.ask("GET", "/").body["cookie"] is True
    assert browser.ask("GET", "/", cookie=False).body["cookie"] is False
    browser.ask("DELETE", "/v1/session")
    assert browser.ask("GET", "/").body["cookie"] is False
    assert rows(world, "SELECT event, code FROM audit WHERE code NOT IN ('', 'logout') AND event != 'door_one'") == []


def test_the_page_lets_nothing_foreign_in(world):
    _, headers, page = get(world)
    policy = dict(rule.strip().partition(" ")[::2] for rule in headers["content-security-policy"].split(";"))
    assert policy == {"default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "img-src": "'self' blob:",
                      "connect-src": "'self'", "form-action": "'none'", "frame-ancestors": "'none'", "base-uri": "'none'",
                      "require-trusted-types-for": "'script'", "trusted-types": "'none'"}
    assert headers["x-frame-options"] == "DENY" and headers["cross-origin-opener-policy"] == "same-origin"
    allowed = [feature for feature in headers["permissions-policy"].split(", ") if not feature.endswith("=()")]
    assert allowed == ["clipboard-write=(self)"] and "camera=()" in headers["permissions-policy"]
    # The same for everybody: nothing of the device or the gateway is written into it.
    assert b"alice" not in page and b"localhost" not in page
    assert page == get(world, laptop="bob-laptop")[2]


def test_assets_are_what_their_address_and_the_page_say_for_ever(world):
    types = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
    named = assets(get(world)[2])
    assert sorted(path.rpartition(".")[2] for path in named) == ["css", "js", "svg"]
    for path, check in named.items():
        status, headers, body = get(world, path, accept="*/*")
        digest, kind = hashlib.sha256(body).digest(), path.rpartition(".")[2]
        assert status == 200 and path == f"/assets/portal.{digest.hex()[:16]}.{kind}"
        assert headers["content-type"] == types[kind]
        assert headers["cache-control"] == "public, max-age=31536000, immutable"
        assert check == ("" if kind == "svg" else "sha256-" + base64.b64encode(digest).decode())
        assert get_by_http2(world, path)[2] == body


def test_the_whole_is_small(world):
    page = get(world)[2]
    assert len(page) + sum(len(get(world, path)[2]) for path in assets(page)) < 48 * 1024


def refused(world, *arguments, **more):
    """The refusal, after a look at the record: it has the same request."""
    status, headers, body = get(world, *arguments, **more)
    problem = json.loads(body)
    assert rows(world, "SELECT code FROM audit WHERE request_id = ?", problem["request_id"]) == [(problem["code"],)]
    return status, problem["code"], headers.get("allow")


def test_what_is_no_asset_and_other_methods_are_refused(world):
    style = next(path for path in assets(get(world)[2]) if path.endswith("css"))
    other = re.sub(r"[0-9a-f]{16}", "0" * 16, style)
    for path in (other, "/assets/", "/assets/portal.css", style + "/", "/assets/../etc/passwd", "/portal.css", "/favicon.ico"):
        assert refused(world, path, accept="*/*") == (404, "not_found", None), path
    for path in ("/", style):
        for method in ("POST", "PUT", "DELETE"):
            assert refused(world, path, accept="*/*", method=method) == (405, "method_not_allowed", "GET"), (method, path)
        # Its answer has no body (RFC 9110 9.3.2), whatever its length says.
        with clients.connect(world, alpn=("http/1.1",)) as peer:
            peer.sendall(f"HEAD {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            status, headers, rest = clients.read_head(peer)
            assert rest == b"" and peer.recv(1) == b""
        assert (status, headers["allow"]) == (405, "GET")


def test_no_page_at_the_other_listener_for_a_host_or_an_expired_device(new_world):
    world = new_world(settings=["renew_grace = 14d"], laptops=("alice",))
    paths = ["/", *assets(get(world)[2])]
    for path in paths:
        status, body = curl(world, path, "-H", "Accept: application/json")
        assert (status, code_of(body)) == (404, "not_found"), path
        status, body = curl(world, path, "-H", f"Accept: {BROWSER}")
        assert status == 404 and "not_found" in str(body) and "<script" not in str(body), path
    Host(world, "db1")
    new_laptop(world, "leave")
    expire(world, "leave", 3)
    for path in paths:
        assert refused(world, path, accept="*/*", laptop="db1")[:2] == (403, "host_certificate")
        assert refused(world, path, accept="*/*", laptop="leave")[:2] == (403, "certificate_expired")
    assert rows(world, "SELECT count(*) FROM session") == [(0,)]
