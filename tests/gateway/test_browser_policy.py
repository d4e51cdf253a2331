"""Managed policies for a fleet's browsers: what they say. Real browsers take them in tests/browser."""
import base64
import json
import ssl
import subprocess

import pytest

from pac import Script
from test_policy import apply

POLICY = '''
resource "handbook" { address = {"handbook.corp.example:443"} }
resource "payroll"  { address = {"payroll.corp.example:443"} }
resource "lab"      { address = {"*.lab.corp.example:443"} }
resource "canteen"  { address = {"canteen.corp.example:443"} }
rule "root"   { groups = {"root"}  resources = {"payroll"}  device_tags = {"managed"}  fresh_login = "10m" }
rule "users"  { users = {"alice", "carol"}  resources = {"handbook"}  hours = "Mon 03:00-03:01" }
rule "all"    { users = {"*"}  resources = {"canteen"} }
rule "nobody" { users = {"carol"}  resources = {"lab"}  deny = true }
'''


@pytest.fixture(scope="module", autouse=True)
def policy(world):
    world.policy.write_text(POLICY)
    apply(world)


def command(world, *arguments):
    return subprocess.run([world.program("sallyport-admin"), "--socket", world.admin_socket, "browser", "policy", *arguments],
                          text=True, capture_output=True, check=False)


def printed(world, *arguments):
    done = command(world, *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def script_in(url):
    kind, _, text = url.partition(";base64,")
    assert kind == "data:application/x-ns-proxy-autoconfig" and "\n" not in text
    return Script(base64.b64decode(text, validate=True).decode())


def der(path):
    return ssl.PEM_cert_to_DER_cert(path.read_text())


def common_name(path):
    return subprocess.run(["openssl", "x509", "-in", path, "-noout", "-subject", "-nameopt", "multiline,-align"], text=True,
                          capture_output=True, check=True).stdout.partition("commonName = ")[2].strip()


def test_chromium(world):
    policy = printed(world, "--chromium")
    assert set(policy) == {"AutoSelectCertificateForUrls", "CACertificates", "ProxySettings"}
    (selection,) = [json.loads(item) for item in policy["AutoSelectCertificateForUrls"]]
    issuer = common_name(world.path("etc", "device-ca.crt"))
    assert issuer and selection == {"pattern": world.url, "filter": {"ISSUER": {"CN": issuer}}}
    assert [base64.b64decode(item) for item in policy["CACertificates"]] == [der(world.path("etc", "server-ca.crt"))]
    assert policy["ProxySettings"]["ProxyMode"] == "pac_script"
    # All that the policy names: the file is every user's.
    script = script_in(policy["ProxySettings"]["ProxyPacUrl"])
    inside = [f"https://{name}.corp.example/" for name in ("handbook", "payroll", "canteen", "a.lab")]
    assert script(*inside) == 4 * [f"HTTPS localhost:{world.port}"]
    assert script("https://example.com/", "http://handbook.corp.example/", f"{world.url}/") == 3 * ["DIRECT"]


@pytest.mark.parametrize("who, reached", [
    (["--user", "alice"], {"handbook", "canteen"}),
    (["--user", "root"], {"payroll", "canteen"}),
    (["--group", "root"], {"payroll", "canteen"}),
    (["--group", "nogroup"], {"canteen"}),
    (["--user", "carol", "--group", "root"], {"handbook", "payroll", "canteen"}),
])
def test_the_script_of_some(world, who, reached):
    """What a rule lets them reach, whatever else it wants; a rule that forbids is not asked."""
    script = script_in(printed(world, "--chromium", *who)["ProxySettings"]["ProxyPacUrl"])
    names = ["handbook", "payroll", "canteen", "a.lab"]
    answers = dict(zip(names, script(*[f"https://{name}.corp.example/" for name in names])))
    assert {name for name, answer in answers.items() if answer != "DIRECT"} == reached


def test_firefox(world):
    done = command(world, "--firefox")
    authority = "/etc/firefox/policies/sallyport-ca.crt"
    assert done.returncode == 0 and done.stderr.strip() == f"Copy {world.path('etc', 'server-ca.crt')} to every laptop, as {authority}"
    assert json.loads(done.stdout) == {"policies": {
        "Preferences": {"security.default_personal_cert": {"Value": "Select Automatically", "Status": "locked"},
                        "network.proxy.autoconfig_retry_interval_max": {"Value": 30, "Type": "number", "Status": "locked"}},
        "Certificates": {"Install": [authority]},
        "Proxy": {"Mode": "autoConfig", "AutoConfigURL": f"{world.url}/proxy.pac", "Locked": True}}}


def test_which_script(world):
    done = command(world, "--chromium", "--pac", "url")
    assert json.loads(done.stdout)["ProxySettings"]["ProxyPacUrl"] == f"{world.url}/proxy.pac" and "certificate" in done.stderr
    assert "ProxySettings" not in printed(world, "--chromium", "--pac", "none")
    policies = printed(world, "--firefox", "--pac", "inline", "--user", "alice")["policies"]
    assert script_in(policies["Proxy"]["AutoConfigURL"])("https://handbook.corp.example/") == [f"HTTPS localhost:{world.port}"]
    policies = printed(world, "--firefox", "--pac", "none", "--authority-file", "/opt/ca.crt")["policies"]
    assert set(policies) == {"Preferences", "Certificates"} and policies["Certificates"] == {"Install": ["/opt/ca.crt"]}
    assert set(policies["Preferences"]) == {"security.default_personal_cert"}


def test_the_portal_as_a_bookmark_and_at_the_start(world):
    page = f"{world.url}/"
    bookmarks = [{"toplevel_name": 'The "door"'}, {"name": 'The "door"', "url": page}]
    policy = printed(world, "--chromium", "--bookmark", 'The "door"', "--home")
    assert policy["ManagedBookmarks"] == bookmarks and policy["HomepageLocation"] == page
    assert (policy["HomepageIsNewTabPage"], policy["RestoreOnStartup"], policy["RestoreOnStartupURLs"]) == (False, 4, [page])
    policies = printed(world, "--firefox", "--bookmark", 'The "door"', "--home")["policies"]
    assert policies["ManagedBookmarks"] == bookmarks and policies["Homepage"] == {"URL": page, "StartPage": "homepage"}


@pytest.mark.parametrize("url, origin, proxy", [
    ("https://gw.example.com", "https://gw.example.com", "gw.example.com:443"),
    ("https://gw.example.com:443/", "https://gw.example.com", "gw.example.com:443"),
    ("gw.example.com:8443", "https://gw.example.com:8443", "gw.example.com:8443"),
    ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443", "[2001:db8::1]:8443"),
    ("https://[2001:db8::1]", "https://[2001:db8::1]", "[2001:db8::1]:443"),
])
def test_another_address(world, url, origin, proxy):
    policy = printed(world, "--chromium", "--url", url)
    assert json.loads(policy["AutoSelectCertificateForUrls"][0])["pattern"] == origin
    assert script_in(policy["ProxySettings"]["ProxyPacUrl"])("https://handbook.corp.example/") == [f"HTTPS {proxy}"]


def test_several_authorities_and_one_that_browsers_know(new_world):
    """Former authorities count until their last certificate is gone: so does their name."""
    world = new_world(settings=('public_address = "gw.example.com:443"', 'server_authority = ""'), laptops=())
    world.admin("ca", "rotate")
    policy = printed(world, "--chromium", "--pac", "none")
    selections = [json.loads(item) for item in policy.pop("AutoSelectCertificateForUrls")]
    assert {item["pattern"] for item in selections} == {"https://gw.example.com"} and not policy
    names = [item["filter"]["ISSUER"]["CN"] for item in selections]
    assert len(names) == 2 and names[0].startswith(f"{names[1]} (")
    done = command(world, "--firefox", "--pac", "none")
    assert set(json.loads(done.stdout)["policies"]) == {"Preferences"} and not done.stderr


@pytest.mark.parametrize("arguments", [
    (), ("--chromium", "--firefox"), ("--chromium", "--pac", "x"), ("--firefox", "--user", "alice"), ("--chromium", "--pac", "none", "--group", "g"),
    ("--chromium", "--url", "http://gw.example.com"), ("--chromium", "--url", "https://gw.example.com/x"), ("--chromium", "--url", "https://"),
    ("--chromium", "--url", "https://u@gw.example.com"), ("--chromium", "--url", "https://gw.example.com:0"), ("--chromium", "--url", 'https://g"w'),
    ("--chromium", "--url", "https://*.example.com"), ("--chromium", "--url", "https://g;w"), ("--firefox", "--authority-file", "ca.crt"),
    ("--chromium", "--url", 400 * "g"),
])
def test_wrong_usage(world, arguments):
    done = command(world, *arguments)
    assert done.returncode == 2 and not done.stdout and len(done.stderr.splitlines()) == 1, done


def test_nothing_to_reach(world):
    world.policy.write_text(POLICY.replace('rule "all"', 'resource "x" { address = {"x:1"} }\nrule "all"').replace('users = {"*"}', 'users = {"bob"}'))
    apply(world)
    done = command(world, "--chromium", "--group", "nogroup")
    world.policy.write_text(POLICY)
    apply(world)
    assert done.returncode == 1 and "nothing to lead" in done.stderr and not done.stdout
