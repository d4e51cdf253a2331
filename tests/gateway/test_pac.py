"""What leads a browser through the gateway: the script is asked in a JavaScript engine."""
import pytest

from clients_of_user import client, log_in
from pac import Script
from test_policy import apply

POLICY = r'''
resource "handbook" { address = {"Hand.Corp.Example.:443"} }
resource "plain"    { address = {"plain.corp.example:80", "plain.corp.example:8080-8090"} }
resource "dev"      { address = {"*.dev.corp.example:1-65535"} }
resource "lab"      { address = {"10.20.16.0/20:443", "10.9.9.9:80", "[2001:db8:ffff::/33]:443", "[2001:db8::1]:8443"} }
resource "secret"   { address = {"secret.corp.example:443"} }
resource "a\"];throw 1;//" { address = {"odd.corp.example:443"} }
resource "__proto__" { address = {"constructor:443"} }
resource "</script>\\" { address = {"odder.corp.example:443"} }
rule "alice" { users = {"alice"}  resources = {"handbook", "plain", "dev", "lab", "a\"];throw 1;//", "__proto__", "</script>\\"} }
'''


@pytest.fixture(scope="module")
def policy(world):
    world.policy.write_text(world.policy.read_text() + POLICY)
    apply(world)


def of_client(world):
    """Of the client: to its own proxy."""
    log_in(world)
    done = client(world, "pac", "3128")
    assert done.returncode == 0, done.stderr
    return Script(done.stdout), "PROXY 127.0.0.1:3128"


@pytest.fixture(scope="module", params=[of_client], ids=lambda source: source.__name__)
def script(request, world, policy):
    return request.param(world)


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
