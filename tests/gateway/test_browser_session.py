"""Sessions of browsers: the portal's cookie, requests that other pages cause, and CONNECT without a token.

curl is the browser (tests/lib/curl_browser.py); real ones are in tests/browser.
"""
import base64
import json
import re
import sqlite3

import pytest

import api
import clients
from curl_browser import CurlBrowser
from test_restart import restart
from world import wait_until
from worlds import Worlds

COOKIE = r"__Host-sallyport=([0-9a-f]{64}); Path=/; Secure; HttpOnly; SameSite=Strict"
GONE = ["__Host-sallyport=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0"]
VERSIONS = ["--http1.1", "--http2"]


def rows(world, query, *arguments):
    with sqlite3.connect(f"file:{world.database}?mode=ro", uri=True) as database:
        return database.execute(query, arguments).fetchall()


def recorded(world, reply):
    """Event, code and detail of the refusal, by its request id."""
    (row,) = rows(world, "SELECT event, code, detail FROM audit WHERE request_id = ?", reply["request_id"])
    return row


def furnish(world):
    """Realms that ask for a password only; one lets browsers in, the other does not. A laptop that two people share."""
    world.path("etc", "pam.d", "password-only").write_text(
        f"auth required pam_pwdfile.so pwdfile={world.path('pam', 'passwd')}\naccount required pam_permit.so\n")
    with world.conf.open("a") as conf:
        conf.write('realm "web" { pam_service = "password-only" browser = true }\n'
                   'realm "strict" { pam_service = "password-only" on_request = true }\n')
    world.admin("reload")
    world.enroll("shared", "alice")
    world.admin("device", "bind", "shared", "--user", "bob")
    return world


@pytest.fixture(scope="module")
def furnished(programs):
    worlds = Worlds(programs)
    try:
        yield furnish(worlds())
    finally:
        worlds.close()


@pytest.fixture
def world(furnished):
    """Nobody is logged in."""
    yield furnished
    furnished.admin("session", "end", "--all")


def wiki(world):
    return f"http://127.0.0.1:{world.web}/"


def connect(world, target, laptop, headers=()):
    """CONNECT by HTTP/2 and by HTTP/1.1, as a browser makes it: the two answers (status, problem), which are the same."""
    with clients.Http2(world, laptop) as h2:
        number = h2.request([(":method", "CONNECT"), (":authority", target), *headers], end=False)
        stream = h2.streams[number]
        h2.wait(lambda: stream.ended or stream.status == 200)
        first = stream.status, stream.problem if stream.status != 200 else {}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    status, heads, body, peer = clients.http1(world, f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{lines}\r\n".encode(), laptop)
    peer.close()
    second = status, json.loads(body) if status != 200 else {}
    assert first[0] == second[0] and {**first[1], "request_id": ""} == {**second[1], "request_id": ""}
    assert status != 407 or "Basic" in stream.headers["proxy-authenticate"]
    return first


def web(world):
    return f"127.0.0.1:{world.web}"


# ---- the cookie ----

@pytest.mark.parametrize("version", VERSIONS)
def test_A7_the_portals_token_is_a_cookie_that_no_script_reads(world, version):
    alice = CurlBrowser(world, version=version)
    granted = alice.login()
    assert granted.body["state"] == "granted" and granted.body["user"] == "alice", granted.text
    assert set(granted.body) == {"state", "user", "expires_at", "resources"}
    (cookie,) = granted.set_cookie
    token = re.fullmatch(COOKIE, cookie).group(1)
    assert token not in granted.text and alice.token == token
    me = alice.ask("GET", "/v1/session")
    assert me.version == ("HTTP/2" if version == "--http2" else "HTTP/1.1")
    assert (me.status, me.body["user"], me.body["portal"], me.body["browser"], me.body["realm"]) == (200, "alice", True, True, "web")
    assert me.set_cookie == []
    assert {r["name"] for r in alice.ask("GET", "/v1/resources").body["resources"]} == {"wiki", "ssh", "echo"}
    assert alice.ask("POST", "/v1/session/renew").body["session"] == me.body["session"]
    assert (1,) in rows(world, "SELECT portal FROM v_session WHERE session = ?", me.body["session"])
    assert token not in world.path("log", "gateway.log").read_text()
    assert rows(world, "SELECT detail FROM audit WHERE event = 'login' ORDER BY sequence DESC LIMIT 1") == [
        (f"granted: session {me.body['session']}, realm web, by the portal",)]


def test_a_login_that_is_not_the_portals_gets_its_token_and_no_cookie(world):
    alice = CurlBrowser(world)
    for portal in ({}, {"portal": False}):
        begun = alice.ask("POST", "/v1/login", {"user": "alice", **portal})
        granted = alice.ask("POST", "/v1/login/" + begun.body["conversation"], {"answers": [world.users["alice"].password]})
        assert re.fullmatch("[0-9a-f]{64}", granted.body["session"]) and not granted.set_cookie
        session = api.call(world, "GET", "/v1/session", token=granted.body["session"]).body
        assert (session["portal"], session["browser"]) == (False, True)
    assert alice.ask("POST", "/v1/login", {"user": "alice", "portal": "yes"}).status == 400


@pytest.mark.parametrize("version", VERSIONS)
def test_every_answer_keeps_other_pages_out(world, version):
    alice = CurlBrowser(world, version=version)
    alice.login()
    for reply in (alice.ask("GET", "/v1/session"), alice.ask("GET", "/v1/nothing"), alice.ask("GET", "/"),
                  alice.ask("GET", "/.well-known/est/cacerts"), alice.ask("DELETE", "/v1/session"), alice.ask("GET", "/v1/session")):
        assert reply.headers["cross-origin-resource-policy"] == ["same-origin"]
        assert reply.headers["x-content-type-options"] == ["nosniff"]
        assert reply.headers["referrer-policy"] == ["no-referrer"]
        assert reply.headers["cache-control"] == ["no-store"]
        assert "access-control-allow-origin" not in reply.headers


def steal(world, token, laptop, **more):
    """Somebody who has read the cookie, on a device of his own."""
    thief = CurlBrowser(world, laptop)
    return thief.ask("GET", "/v1/session", headers={"Sec-Fetch-Site": "same-origin", "Cookie": f"__Host-sallyport={token}"},
                     cookie=False, **more)


def test_A7_a_cookie_on_another_device_is_worth_nothing(world):
    alice = CurlBrowser(world)
    alice.login()
    for laptop in ("bob-laptop", "shared"):
        stolen = steal(world, alice.token, laptop)
        assert (stolen.status, stolen.body["code"]) == (401, "no_session")
        assert recorded(world, stolen.body)[:2] == ("session", "other_device")
        assert stolen.set_cookie == GONE
    assert alice.ask("GET", "/v1/session").status == 200


def test_A7_a_cookie_ends_with_logout_and_is_deleted(world):
    alice = CurlBrowser(world)
    alice.login()
    token = alice.token
    left = alice.ask("DELETE", "/v1/session")
    assert left.status == 200 and left.set_cookie == GONE and alice.token == ""
    again = steal(world, token, "alice-laptop")
    assert (again.status, again.body["code"], again.set_cookie) == (401, "session_ended", GONE)
    # Without a cookie there is none to be deleted, and whoever ends a session by its token has none.
    assert alice.ask("GET", "/v1/session").set_cookie == []
    alice.login()
    ended = api.call(world, "DELETE", "/v1/session", token=alice.token, extra=["-i"])
    assert "tunnels_closed" in ended.text and "set-cookie" not in ended.text.lower()


def test_A7_a_cookie_ends_with_its_session_and_with_its_device(world):
    alice = CurlBrowser(world, "shared")
    alice.login()
    world.admin("session", "end", alice.ask("GET", "/v1/session").body["session"])
    over = alice.ask("GET", "/v1/resources")
    assert (over.status, over.body["code"], over.set_cookie) == (401, "session_ended", GONE)
    alice.login()
    token = alice.token
    world.admin("device", "lock", "shared")
    assert alice.ask("GET", "/v1/session").status == 0
    world.admin("device", "unlock", "shared")
    assert steal(world, token, "shared").status == 401


def test_a_cookie_that_means_two_things_means_nothing(world):
    alice = CurlBrowser(world)
    alice.login()
    one = f"__Host-sallyport={alice.token}"
    for cookie in (f"{one}; {one}", f"{one}; __Host-sallyport=x", "__Host-sallyport=", f'__Host-sallyport="{alice.token}"'):
        reply = alice.ask("GET", "/v1/session", headers={"Cookie": cookie}, cookie=False)
        assert (reply.status, reply.body["code"], reply.set_cookie) == (401, "no_session", GONE), cookie
    for cookie in (f"a=b; {one}", f"{one};c=d", f"x__Host-sallyport=1; {one}"):
        assert alice.ask("GET", "/v1/session", headers={"Cookie": cookie}, cookie=False).status == 200, cookie
    # The authorization counts, where there is one.
    assert alice.ask("GET", "/v1/session", headers={"Authorization": "Bearer x", "Cookie": one}, cookie=False).status == 401


def test_crumbs_of_a_cookie_are_one_cookie(world):
    """RFC 9113 8.2.3."""
    alice = CurlBrowser(world)
    alice.login()
    with clients.Http2(world) as h2:
        number = h2.request([(":method", "GET"), (":scheme", "https"), (":authority", f"localhost:{world.port}"), (":path", "/v1/session"),
                             ("cookie", "a=b"), ("cookie", f"__Host-sallyport={alice.token}"), ("cookie", "c=d")])
        assert h2.wait(lambda: h2.streams[number].ended) and h2.streams[number].status == 200


# ---- other pages ----

NAVIGATION = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


REQUESTS = [
    ("POST", "/v1/session/renew", {"Origin": "OWN"}, 200),
    ("POST", "/v1/session/renew", {"Origin": "OWN", "Sec-Fetch-Site": "same-origin"}, 200),
    ("POST", "/v1/session/renew", {}, 403),
    ("POST", "/v1/session/renew", {"Sec-Fetch-Site": "same-origin"}, 403),
    ("POST", "/v1/session/renew", {"Origin": "null"}, 403),
    ("POST", "/v1/session/renew", {"Origin": "https://evil.example"}, 403),
    ("POST", "/v1/session/renew", {"Origin": "http://localhost:PORT"}, 403),
    ("POST", "/v1/session/renew", {"Origin": "https://localhost"}, 403),
    ("POST", "/v1/session/renew", {"Origin": "OWN", "Sec-Fetch-Site": "cross-site"}, 403),
    ("POST", "/v1/session/renew", {"Origin": "OWN", "Sec-Fetch-Site": "same-site"}, 403),
    ("DELETE", "/v1/session", {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}, 403),
    ("POST", "/v1/login", {"Origin": "https://evil.example", "Content-Type": "text/plain"}, 403),
    ("GET", "/v1/session", {"Sec-Fetch-Site": "none"}, 200),
    ("GET", "/v1/session", {"Sec-Fetch-Site": "cross-site"}, 403),
    ("GET", "/v1/session", {"Sec-Fetch-Site": "cross-site", **NAVIGATION}, 403),
    ("GET", "/v1/session", {"Origin": "https://evil.example"}, 403),
    ("GET", "/", {"Sec-Fetch-Site": "cross-site", **NAVIGATION}, 200),
    ("GET", "/", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, 403),
    ("GET", "/", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, 403),
    ("GET", "/nothing", {"Sec-Fetch-Site": "cross-site"}, 403),
    # A name that is not the gateway's: its pages would be of the same origin (DNS rebinding).
    ("GET", "/v1/session", {"Host": "evil.example", "Sec-Fetch-Site": "same-origin"}, 403),
    ("POST", "/v1/session/renew", {"Host": "evil.example", "Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"}, 403),
]


@pytest.mark.parametrize("version", VERSIONS)
def test_another_page_moves_nothing(world, version):
    alice = CurlBrowser(world, version=version)
    alice.login()
    for method, path, headers, status in REQUESTS:
        given = {name: value.replace("OWN", world.url).replace("PORT", str(world.port)) for name, value in headers.items()}
        reply = alice.ask(method, path, headers=given)
        assert reply.status == status, (method, path, headers, reply.text, reply.error)
        if status == 403:
            assert reply.body["code"] == "cross_site" and reply.set_cookie == []
            assert recorded(world, reply.body)[:2] == ("request", "cross_site")
    assert alice.ask("GET", "/v1/session").status == 200, "the session lives on"


def test_another_page_does_not_fill_the_record(world):
    """It can ask as often as it likes, and nobody who looks at it knows."""
    world.enroll("busy", "alice")
    fields = [(":method", "GET"), (":scheme", "https"), (":authority", f"localhost:{world.port}"), (":path", "/v1/session"),
              ("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")]
    with clients.Http2(world, "busy") as h2:
        streams = [h2.streams[h2.request(fields)] for _ in range(400)]
        assert h2.wait(lambda: all(stream.ended for stream in streams))
        assert {(stream.status, stream.problem["code"]) for stream in streams} == {(403, "cross_site")}
    recorded = {number for (number,) in rows(world, "SELECT request_id FROM audit WHERE code = 'cross_site' AND device = 'busy'")}
    assert 100 <= len(recorded) <= 110
    # Who has no row is told so.
    for stream in streams:
        assert (stream.problem["request_id"] in recorded) != ("not recorded" in stream.problem["detail"])


def test_whoever_is_no_browser_says_nothing_of_origins(world):
    token = CurlBrowser(world).login().set_cookie[0].partition("=")[2].partition(";")[0]
    assert api.call(world, "POST", "/v1/session/renew", token=token).status == 200


# ---- CONNECT without a token ----

def test_a_browser_goes_through_by_the_portals_one_session(world):
    alice = CurlBrowser(world)
    alice.login()
    status, page = alice.browse(wiki(world))
    assert status == 200 and "Only from inside" in page
    assert connect(world, web(world), "alice-laptop")[0] == 200
    session = alice.ask("GET", "/v1/session").body["session"]
    wait_until(lambda: rows(world, "SELECT count(*) FROM tunnel WHERE closed_at IS NULL") == [(0,)], "the end of the tunnels")
    for row in rows(world, "SELECT user, device, way, form FROM v_tunnel WHERE session = ?", session):
        assert row == ("alice", "alice-laptop", "browser_session", "connect")
    (detail,) = rows(world, "SELECT detail FROM audit WHERE event = 'tunnel_open' ORDER BY sequence DESC LIMIT 1")[0]
    assert detail.endswith(f"; connect by browser_session of session {session}")
    # Policy judges as ever.
    status, refused = connect(world, f"127.0.0.1:{world.denied}", "alice-laptop")
    assert (status, refused["code"]) == (403, "not_allowed")


def test_the_record_says_by_which_way(world):
    alice = CurlBrowser(world)
    alice.login()
    made = alice.ask("POST", "/v1/session/browser-token").body
    token = alice.token
    before = rows(world, "SELECT coalesce(max(tunnel), 0) FROM v_tunnel")[0][0]
    for basic in (None, f"alice:{made['token']}", f"alice:{token}"):
        assert alice.browse(wiki(world), basic)[0] == 200
    assert rows(world, "SELECT way, form FROM v_tunnel WHERE tunnel > ? ORDER BY tunnel", before) == [
        ("browser_session", "connect"), ("browser_token", "connect"), ("token", "connect")]
    listed = json.loads(world.admin("tunnel", "list", "--all", "--json"))["tunnels"]
    assert [t["way"] for t in listed if t["tunnel"] > before] == ["browser_session", "browser_token", "token"]
    assert "browser_token" in world.admin("tunnel", "list", "--all")
    with clients.Http2(world) as h2:
        assert h2.connect(web(world))[1] == 200
        (live,) = json.loads(world.admin("tunnel", "list", "--json"))["tunnels"]
        assert (live["way"], live["form"]) == ("browser_session", "connect")
    (session,) = json.loads(world.admin("session", "list", "--json"))["sessions"]
    assert session["portal"] is True and "PORTAL" in world.admin("session", "list")


def nobody(world, laptop):
    status, problem = connect(world, web(world), laptop)
    assert (status, problem["code"]) == (407, "no_session")
    assert f"https://localhost:{world.port}/" in problem["detail"] and "browser token" in problem["detail"]
    return recorded(world, problem)


def test_without_a_session_of_the_portal_a_browser_is_told_where_to_log_in(world):
    alice = CurlBrowser(world)
    assert nobody(world, "alice-laptop") == ("tunnel", "no_session", "without a token, and the portal has opened no live session here")
    # A session that the portal has not opened is none of a browser's; nor is one on another device.
    begun = api.call(world, "POST", "/v1/login", {"user": "alice"})
    api.call(world, "POST", "/v1/login/" + begun.body["conversation"], {"answers": [world.users["alice"].password]})
    CurlBrowser(world, "shared").login()
    nobody(world, "alice-laptop")
    # CONNECT never looks at the cookie.
    alice.login()
    cookie = alice.token
    alice.ask("DELETE", "/v1/session")
    other = CurlBrowser(world, "shared")
    other.login("bob")
    status, problem = connect(world, web(world), "alice-laptop", [("cookie", f"__Host-sallyport={cookie}")])
    assert (status, problem["code"]) == (407, "no_session")


def test_sessions_of_two_people_are_never_guessed(world):
    alice, bob = CurlBrowser(world, "shared"), CurlBrowser(world, "shared")
    alice.login("alice")
    assert connect(world, web(world), "shared")[0] == 200
    bob.login("bob")
    status, problem = connect(world, web(world), "shared")
    assert (status, problem["code"]) == (407, "several_sessions")
    assert "browser token" in problem["detail"] and "alice" not in problem["detail"]
    event, code, detail = recorded(world, problem)
    sessions = {b.ask("GET", "/v1/session").body["session"] for b in (alice, bob)}
    assert (event, code) == ("tunnel", "several_sessions") and set(re.findall("[0-9a-f]{32}", detail)) == sessions
    assert "alice" in detail and "bob" in detail
    # Each has his own token for it; and who stays alone needs none.
    for browser, name in ((alice, "alice"), (bob, "bob")):
        made = browser.ask("POST", "/v1/session/browser-token").body
        assert made["user"] == name and browser.browse(wiki(world), f"{name}:{made['token']}")[0] == 200
    assert rows(world, "SELECT user, way FROM v_tunnel ORDER BY tunnel DESC LIMIT 2") == [("bob", "browser_token"), ("alice", "browser_token")]
    alice.ask("DELETE", "/v1/session")
    assert connect(world, web(world), "shared")[0] == 200
    assert rows(world, "SELECT user, way FROM v_tunnel ORDER BY tunnel DESC LIMIT 1") == [("bob", "browser_session")]


def test_two_people_also_where_one_realm_lets_no_browser_in(world):
    """Whose request it is cannot be told from what the realms allow."""
    alice, bob = CurlBrowser(world, "shared"), CurlBrowser(world, "shared")
    alice.login("alice")
    bob.login("bob", realm="strict")
    assert connect(world, web(world), "shared")[1]["code"] == "several_sessions"


def test_of_one_persons_sessions_the_newest_counts(world):
    first, second = CurlBrowser(world), CurlBrowser(world)
    first.login()
    second.login()
    sessions = [b.ask("GET", "/v1/session").body["session"] for b in (first, second)]
    assert connect(world, web(world), "alice-laptop")[0] == 200
    newest = "SELECT session FROM v_tunnel ORDER BY tunnel DESC LIMIT 1"
    assert rows(world, newest) == [(sessions[1],)]
    world.admin("session", "end", sessions[1])
    assert connect(world, web(world), "alice-laptop")[0] == 200
    assert rows(world, newest) == [(sessions[0],)]


def test_A7_who_logs_out_is_out_in_all_browsers_of_the_device(world):
    """A login in mid-work replaces the cookie; the session before it must not be what the browser goes on with."""
    alice, elsewhere, bob = CurlBrowser(world, "shared"), CurlBrowser(world), CurlBrowser(world, "shared")
    (last,), = rows(world, "SELECT coalesce(max(number), 0) FROM session")
    alice.login()
    with clients.Http2(world, "shared") as h2:
        assert h2.connect(web(world))[1] == 200
        alice.login()
        assert h2.connect(web(world))[1] == 200
        elsewhere.login()
        bob.login("bob")
        token = api.call(world, "POST", "/v1/login", {"user": "alice"}, "shared")
        token = api.call(world, "POST", "/v1/login/" + token.body["conversation"], {"answers": [world.users["alice"].password]}, "shared")
        assert alice.ask("DELETE", "/v1/session").body == {"tunnels_closed": 2}
    assert connect(world, web(world), "shared")[0] == 200
    assert rows(world, "SELECT user FROM v_tunnel ORDER BY tunnel DESC LIMIT 1") == [("bob",)]
    # Neither what the portal has not opened, nor another device, nor another person.
    live = rows(world, "SELECT device, user, portal FROM v_session WHERE ended IS NULL ORDER BY device, user")
    assert live == [("alice-laptop", "alice", 1), ("shared", "alice", 0), ("shared", "bob", 1)]
    assert rows(world, f"SELECT end_reason, portal FROM session WHERE number > {last} AND ended_at IS NOT NULL") == [("logout", 1)] * 2


def test_a_realm_that_lets_no_browser_in_wants_the_token(world):
    alice = CurlBrowser(world)
    alice.login(realm="strict")
    session = alice.ask("GET", "/v1/session").body
    assert (session["portal"], session["browser"], session["realm"]) == (True, False, "strict")
    assert nobody(world, "alice-laptop") == (
        "tunnel", "no_session", f"without a token, and the realm strict of session {session['session']} has no browser = true")
    made = alice.ask("POST", "/v1/session/browser-token").body
    assert alice.browse(wiki(world), f"alice:{made['token']}")[0] == 200


# ---- the browser token ----

def test_A7_a_browser_token_is_good_for_the_proxy_and_nothing_else(world):
    alice = CurlBrowser(world)
    alice.login()
    made = alice.ask("POST", "/v1/session/browser-token")
    token = made.body["token"]
    assert set(made.body) == {"user", "token"} and re.fullmatch("[0-9a-f]{32}", token)
    assert token not in world.path("log", "gateway.log").read_text() and token.encode() not in world.database.read_bytes()
    assert rows(world, "SELECT user, detail FROM audit WHERE event = 'browser_token' ORDER BY sequence DESC LIMIT 1")[0][0] == "alice"
    assert alice.browse(wiki(world), f"alice:{token}")[0] == 200
    for basic in (f"bob:{token}", f":{token}", f"alice:{token[1:]}", f"alice:{token}0", f"alice:{'0' * 32}"):
        assert alice.browse(wiki(world), basic)[0] == 407, basic
    status, problem = connect(world, web(world), "alice-laptop", [("proxy-authorization", f"Bearer {token}")])
    assert (status, problem["code"]) == (407, "no_session")
    for method, path in (("GET", "/v1/session"), ("GET", "/v1/resources"), ("POST", "/v1/session/renew"), ("DELETE", "/v1/session"),
                         ("POST", "/v1/session/browser-token"), ("GET", "/v1/events")):
        refused = api.call(world, method, path, token=token)
        assert (refused.status, refused.body["code"]) == (401, "no_session"), path
    as_cookie = alice.ask("GET", "/v1/session", headers={"Cookie": f"__Host-sallyport={token}"}, cookie=False)
    assert as_cookie.status == 401


def test_A7_a_browser_token_lives_on_its_device_in_its_session_until_the_next(world):
    alice = CurlBrowser(world, "shared")
    alice.login()
    first, second = (alice.ask("POST", "/v1/session/browser-token").body["token"] for _ in range(2))
    assert alice.browse(wiki(world), f"alice:{first}")[0] == 407
    assert alice.browse(wiki(world), f"alice:{second}")[0] == 200
    elsewhere = CurlBrowser(world, "alice-laptop")
    assert elsewhere.browse(wiki(world), f"alice:{second}")[0] == 407
    assert rows(world, "SELECT code FROM audit WHERE event = 'tunnel' ORDER BY sequence DESC LIMIT 1") == [("other_device",)]
    alice.ask("DELETE", "/v1/session")
    assert alice.browse(wiki(world), f"alice:{second}")[0] == 407
    assert rows(world, "SELECT code FROM audit WHERE event = 'tunnel' ORDER BY sequence DESC LIMIT 1") == [("session_ended",)]


# ---- no means no; nothing is lost ----

@pytest.mark.parametrize("way", ["browser_session", "browser_token"])
def test_C1_the_end_of_the_session_closes_what_the_browser_has_open(world, way):
    alice = CurlBrowser(world, "shared")
    alice.login()
    token = alice.ask("POST", "/v1/session/browser-token").body["token"]
    basic = "Basic " + base64.b64encode(f"alice:{token}".encode()).decode()
    headers = [("proxy-authorization", basic)] if way == "browser_token" else []
    with clients.Http2(world, "shared") as h2:
        numbers = [h2.request([(":method", "CONNECT"), (":authority", f"127.0.0.1:{world.echo}"), *headers], end=False) for _ in range(3)]
        assert h2.wait(lambda: all(h2.streams[n].status == 200 for n in numbers))
        h2.send(numbers[0], b"alive")
        assert h2.wait(lambda: bytes(h2.streams[numbers[0]].data) == b"alive")
        ended = alice.ask("DELETE", "/v1/session")
        assert ended.body == {"tunnels_closed": 3}
        assert h2.wait(lambda: all(h2.streams[n].ended for n in numbers)), "tunnels live on"
    closed = rows(world, "SELECT closed_at, close_reason, way FROM tunnel ORDER BY id DESC LIMIT 3")
    assert {row[1:] for row in closed} == {("logout", way)}
    assert 0 <= max(row[0] for row in closed) - rows(world, "SELECT max(at) FROM audit WHERE event = 'session_ended'")[0][0] <= 1000
    assert connect(world, web(world), "shared", headers)[0] == 407


def test_D4_a_restart_keeps_the_browsers_session_and_token(new_world):
    world = new_world(settings=["browser = yes"])
    alice = CurlBrowser(world)
    person = world.users["alice"]
    granted = alice.login(answers=[person.password, person.code()])
    assert granted.body["state"] == "granted", granted.text
    token = alice.ask("POST", "/v1/session/browser-token").body["token"]
    with clients.Http2(world) as h2:
        number, status = h2.connect(f"127.0.0.1:{world.echo}")
        assert status == 200
        assert restart(world) == "1 of 1 live connections are taken over, with 1 tunnels"
        h2.send(number, b"alive")
        assert h2.wait(lambda: bytes(h2.streams[number].data) == b"alive")
        (live,) = json.loads(world.admin("tunnel", "list", "--json"))["tunnels"]
        assert (live["way"], live["form"]) == ("browser_session", "connect")
        session = alice.ask("GET", "/v1/session").body
        assert (session["portal"], session["browser"], session["realm"]) == (True, True, "default")
        # Also the connection from before asks anew.
        assert h2.connect(web(world))[1] == 200
    for basic in (None, f"alice:{token}"):
        assert alice.browse(wiki(world), basic)[0] == 200
    # The realm is asked at each request.
    world.conf.write_text(world.conf.read_text().replace("browser = yes", "browser = no"))
    world.admin("reload")
    assert alice.ask("GET", "/v1/session").body["browser"] is False
    assert [alice.browse(wiki(world), basic)[0] for basic in (None, f"alice:{token}")] == [407, 200]
