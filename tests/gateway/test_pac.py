"""What leads a browser through the gateway: the script is asked in a JavaScript engine, the client's and the gateway's own."""
import sqlite3

import pytest

import api
from clients_of_user import client
from curl_browser import CurlBrowser
from pac import Script
from test_browser_session import furnish
from test_policy import apply
from worlds import Worlds

POLICY = r"""
resource "handbook" { address = {"Hand.Corp.Example.:443"} }
resource "plain"    { address = {"plain.corp.example:80", "plain.corp.example:8080-8090"} }
resource "dev"      { address = {"*.dev.corp.example:1-65535"} }
resource "lab"      { address = {"10.20.16.0/20:443", "10.9.9.9:80", "[2001:db8:ffff::/33]:443", "[2001:db8::1]:8443"} }
resource "secret"   { address = {"secret.corp.example:443"} }
resource "of bob"   { address = {"bob.corp.example:443"} }
resource "a\"];throw 1;//" { address = {"odd.corp.example:443"} }
resource "__proto__" { address = {"constructor:443"} }
resource "</script>\\" { address = {"odder.corp.example:443"} }
rule "alice" { users = {"alice"}  resources = {"handbook", "plain", "dev", "a\"];throw 1;//", "__proto__", "</script>\\"} }
rule "step-up" { users = {"alice"}  resources = {"lab"}  fresh_login = "1s" }
rule "bob"   { users = {"bob"}  resources = {"of bob"} }
"""
KIND = "application/x-ns-proxy-autoconfig"


@pytest.fixture(scope="module")
def world(programs):
    worlds = Worlds(programs)
    try:
        world = furnish(worlds())
        world.policy.write_text(world.policy.read_text() + POLICY)
        apply(world)
        yield world
    finally:
        worlds.close()


def of_client(world):
    """Of the client: to its own proxy."""
    assert client(world, "login", "alice", answers_text=f"{world.users['alice'].password}\n").returncode == 0
    done = client(world, "pac", "3128")
    assert done.returncode == 0, done.stderr
    return Script(done.stdout), "PROXY 127.0.0.1:3128"


def of_gateway(world):
    """As a browser's loader fetches it: nothing but the device's certificate."""
    alice = CurlBrowser(world)
    alice.login()
    reply = fetch(alice)
    assert (reply.status, reply.headers["content-type"], reply.headers["cache-control"]) == (200, [KIND], ["no-store"])
    assert alice.ask("DELETE", "/v1/session").status == 200
    return Script(reply.text), f"HTTPS localhost:{world.port}"


@pytest.fixture(scope="module", params=[of_client, of_gateway], ids=lambda source: source.__name__)
def script(request, world):
    return request.param(world)


def fetch(browser, **headers):
    return browser.ask("GET", "/proxy.pac", headers=headers, cookie=False)


INSIDE = [
    "https://hand.corp.example/", "https://HAND.corp.example/x", "https://hand.corp.example./", "wss://hand.corp.example/",
    "https://hand.corp.example:443/", "http://hand.corp.example:443/", "https://u@hand.corp.example/", "https://handbook/",
    "http://plain.corp.example/a?b=http://x:1/", "ws://plain.corp.example/", "http://plain.corp.example:8080/", "https://plain.corp.example:8090/",
    "http://a.dev.corp.example/", "https://a.b.dev.corp.example:9/", "https://10.20.31.255/", "http://10.9.9.9/",
    "https://[2001:db8:ffff::1]/", "https://[2001:db8:8000:1:2:3:4:5]/", "https://[2001:db8::1]:8443/", "https://odd.corp.example/",
    "https://odder.corp.example/", "https://constructor/", "https://__proto__/",
]
OUTSIDE = [
    "https://example.com/", "https://secret.corp.example/", "http://hand.corp.example/", "https://hand.corp.example:444/",
    "https://xhand.corp.example/", "https://hand.corp.example.evil.example/", "https://evil.example/hand.corp.example",
    "http://evil.example/?https://hand.corp.example/", "https://hand.corp.example@evil.example/", "http://handbook/",
    "https://plain.corp.example/", "http://plain.corp.example:8091/", "http://plain.corp.example:8079/", "ws://plain.corp.example:81/",
    "http://dev.corp.example/", "http://xdev.corp.example/", "https://10.20.32.1/", "https://10.20.15.255/", "http://10.20.16.1/",
    "https://10.9.9.9/", "https://10.20.16.1.evil.example/", "https://[2001:db8:7fff::1]/", "https://[2001:db9:ffff::1]/",
    "https://[2001:db8::1]/", "https://[2001:db8::2]:8443/", "https://[::1]/", "ftp://plain.corp.example/", "https://lab/",
    "https://toString/", "https://valueOf/",
]


@pytest.mark.parametrize("url", INSIDE)
def test_what_is_named_goes_through_the_gateway(script, url):
    assert script[0](url) == [script[1]]


@pytest.mark.parametrize("url", OUTSIDE)
def test_everything_else_goes_its_own_way(script, url):
    assert script[0](url) == ["DIRECT"]


def test_names_do_not_become_code(script):
    assert "throw" not in script[0].text and "</script>" not in script[0].text and "secret" not in script[0].text


# ---- the gateway's own: for whom, and what it calls itself ----

@pytest.fixture
def alice(world):
    browser = CurlBrowser(world)
    yield browser
    world.admin("session", "end", "--all")


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_without_a_session_it_is_refused_so_that_browsers_ask_again(world, alice, version):
    alice.version = version
    reply = fetch(alice)
    assert (reply.status, reply.body["code"]) == (401, "no_session") and world.url in reply.body["detail"]
    with sqlite3.connect(f"file:{world.database}?mode=ro", uri=True) as database:
        assert database.execute("SELECT code FROM audit WHERE request_id = ?", [reply.body["request_id"]]).fetchall() == [("no_session",)]
    alice.login()
    assert fetch(alice).status == 200
    assert alice.ask("DELETE", "/v1/session").status == 200
    assert fetch(alice).status == 401


def test_B3_everybody_gets_what_is_his(world, alice):
    bob = CurlBrowser(world, "bob-laptop")
    bob.login("bob")
    script = Script(fetch(bob).text)
    assert script("https://bob.corp.example/", "https://hand.corp.example/") == [f"HTTPS localhost:{world.port}", "DIRECT"]
    # His session is not of alice's laptop.
    assert fetch(alice).status == 401


def test_the_way_to_the_gateway_itself_is_direct(world, alice):
    """Also where a zone that is led through it has its name."""
    alice.login()
    world.policy.write_text(world.policy.read_text() + 'resource "local" { address = {"localhost:1-65535"} }\n'
                            'rule "local" { users = {"alice"}  resources = {"local"} }\n')
    apply(world)
    script = Script(fetch(alice).text)
    assert script(f"{world.url}/", "https://localhost:1/") == ["DIRECT", f"HTTPS localhost:{world.port}"]


def test_by_cookie_and_by_token(world, alice):
    """Where the realm lets no browser in by its device alone, the loader gets none, and the person does."""
    alice.login(realm="strict")
    refused = fetch(alice)
    assert (refused.status, refused.body["code"]) == (401, "no_session")
    assert alice.ask("GET", "/proxy.pac").status == 200
    answer = api.converse(world, "alice", [world.users["alice"].password], "alice-laptop")
    assert "FindProxyForURL" in api.call(world, "GET", "/proxy.pac", token=answer.body["session"]).text
    assert api.call(world, "GET", "/proxy.pac", token="0" * 64).status == 401


@pytest.mark.parametrize("host, proxy", [
    ("localhost", "localhost:443"), ("LOCALHOST:1234", "localhost:1234"), ("gw.evil.example:444", "localhost:444"),
    ("gw.evil.example", "localhost:443"), ("localhost:0", "localhost:443"), ('x"];alert(1)', "localhost:443"),
])
def test_it_names_the_gateway_as_the_client_does_if_the_certificate_does(alice, host, proxy):
    """Behind a port that is forwarded, the one that laptops see counts."""
    alice.version = "--http1.1"
    alice.login()
    reply = fetch(alice, Host=host)
    assert reply.status == 200 and Script(reply.text)("https://hand.corp.example/") == [f"HTTPS {proxy}"]


def test_another_page_does_not_get_it(world, alice):
    alice.login()
    assert fetch(alice, **{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}).body["code"] == "cross_site"
    # So does Firefox's loader.
    assert fetch(alice, **{"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "empty"}).status == 200


def test_more_than_a_script_can_hold(world, alice):
    before = world.policy.read_text()
    addresses = ", ".join(f'"host-{number}.{60 * "x"}.{60 * "y"}.corp.example:443"' for number in range(50))
    many = "".join(f'resource "many {number}" {{ address = {{{addresses}}} }}\n' for number in range(140))
    world.policy.write_text(before + many + 'rule "many" { users = {"alice"}  resources = {"*"} }\n')
    apply(world)
    alice.login()
    reply = fetch(alice)
    world.policy.write_text(before)
    apply(world)
    assert (reply.status, reply.body["code"]) == (503, "unavailable")
