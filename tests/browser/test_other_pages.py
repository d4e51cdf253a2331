"""What pages of strangers try with the browser of somebody who is logged in: it shows their requests the device's certificate,
and to those of the same site (another port of the same host) even the cookie."""
import json

import api
import pytest
from browser_world import ELSEWHERE, SHOP
from records import refusals, rows
from world import wait_until

# As another site, and as another origin of the same site, whose requests carry a cookie that is SameSite=Strict.
SITES = [SHOP, "localhost"]


def live_sessions(portal):
    return [(session["user"], session["device"]) for session in portal.sessions()]


@pytest.mark.parametrize("site", SITES)
def test_no_page_frames_the_portal(world, portal, browser, outside, site):
    """Click-jacking: a page lays ours, invisible, below the visitor's mouse."""
    portal.login()
    outside.pages["/frame"] = f'<!DOCTYPE html><title>Win</title><h1>Win a prize</h1><iframe src="{portal.url}" width=900 height=600></iframe>'
    before = len(refusals(world, "cross_site"))
    browser.go(outside.url(site, "/frame"))
    wait_until(lambda: len(refusals(world, "cross_site")) > before, "the refusal in the record")
    browser.into_frame(0)
    seen = browser.script("return document.documentElement.innerHTML")
    browser.into_frame(None)
    assert "alice" not in seen and "prompt-form" not in seen and "log-out" not in seen
    portal.open()
    assert portal.is_open


def attack(portal, device):
    """All that a page can send by itself: forms, scripts with and without CORS, pictures, links."""
    body = json.dumps({"device": device})
    return f"""<!DOCTYPE html><title>Shop</title><h1>Shop</h1>
<iframe name=away></iframe><ul id=told></ul>
<form id=lost target=away method=post enctype=text/plain action="{portal.url}v1/lost"><input name='{body[:-1]},"x":"' value='"}}'></form>
<form id=renew target=away method=post action="{portal.url}v1/session/renew"></form>
<form id=login target=away method=post enctype=text/plain action="{portal.url}v1/login"><input name='{{"user":"bob","portal":true,"x":"' value='"}}'></form>
<img src="{portal.url}v1/session"><script src="{portal.url}v1/resources"></script>
<script>
const told = text => {{ document.getElementById('told').append(Object.assign(document.createElement('li'), {{textContent: text}})); }};
const note = name => [() => told(name + ' answered'), () => told(name + ' failed')];
for (const id of ['lost', 'renew', 'login']) document.getElementById(id).submit();
const options = {{credentials: 'include', mode: 'no-cors'}};
fetch('{portal.url}v1/lost', {{...options, method: 'POST', body: {json.dumps(body)}}}).then(...note('lost'));
fetch('{portal.url}v1/session', {{credentials: 'include', method: 'DELETE'}}).then(...note('logout'));
fetch('{portal.url}v1/session/browser-token', {{credentials: 'include', method: 'POST'}}).then(r => r.text()).then(...note('token'));
fetch('{portal.url}v1/session', {{credentials: 'include'}}).then(r => r.text()).then(...note('read'));
fetch('{portal.url}v1/factor', {{credentials: 'include', method: 'POST', headers: {{'content-type': 'application/json'}}}}).then(...note('factor'));
navigator.sendBeacon('{portal.url}v1/session/renew');
</script>"""


@pytest.mark.parametrize("site", SITES)
def test_no_page_acts_for_whom_it_shows_itself_to(world, portal, browser, outside, site):
    portal.login()
    before, sessions, numbers = live_sessions(portal), rows(world, "SELECT id, expires_at FROM session WHERE ended_at IS NULL"), len(refusals(world, "cross_site"))
    outside.pages["/shop"] = attack(portal, "alice-spare")
    browser.go(outside.url(site, "/shop"))
    browser.wait("return document.querySelectorAll('li').length >= 5", what="the end of what the page tried")
    # Three forms, a beacon, a picture, a script, and what the scripts asked for: as far as the browser let it out, and let it out
    # with the certificate.
    wait_until(lambda: len(refusals(world, "cross_site")) >= numbers + 6, "the refusals in the record")
    assert {row["device"] for row in refusals(world, "cross_site")[numbers:]} == {"alice-laptop"}
    told = browser.script("return [...document.querySelectorAll('li')].map(e => e.textContent)")
    assert set(told) - {"lost answered", "lost failed"} == {"read failed", "token failed", "logout failed", "factor failed"}, "no-cors never tells"
    assert live_sessions(portal) == before
    assert rows(world, "SELECT id, expires_at FROM session WHERE ended_at IS NULL") == sessions
    states = {d["name"]: d["state"] for d in json.loads(world.admin("--json", "device", "list"))["devices"]}
    assert states["alice-spare"] == "active"
    assert not rows(world, "SELECT 1 FROM audit WHERE event IN ('browser_token', 'device_lost', 'logout') AND at > ?", sessions_began(world))
    portal.open()
    assert portal.is_open


def sessions_began(world):
    return rows(world, "SELECT max(created_at) FROM session")[0][0]


def test_a_link_from_elsewhere_opens_the_portal_and_nothing_else(world, portal, browser, outside):
    """Links are what the web is made of; a link to the API is none that a person follows."""
    portal.login()
    outside.pages["/links"] = (f'<!DOCTYPE html><title>Links</title><a id=home href="{portal.url}">portal</a> '
                               f'<a id=api href="{portal.url}v1/session">session</a>')
    browser.go(outside.url(SHOP, "/links"))
    browser.click("#api")
    browser.wait("return location.host != arguments[0]", f"{SHOP}:{outside.port}", what="the link followed")
    assert '"user"' not in browser.text() and "login_at" not in browser.text()
    browser.go(outside.url(SHOP, "/links"))
    browser.click("#home")
    portal.settled()


def test_no_address_of_the_portal_leads_away(world, portal, browser, outside):
    """Open redirects."""
    before, there = len(outside.requests), f"{ELSEWHERE}:{outside.port}"
    for path in ("//{}/", "/\\{}/", "/?next=https://{}/", "/?url=//{}", "/?return_to=https%3A%2F%2F{}", "/#https://{}/", "/assets/..//{}/",
                 "/%2f%2f{}/"):
        browser.go(world.url + path.format(there))
        browser.wait("return document.readyState == 'complete'")
        assert browser.script("return location.host || location.href") in (f"localhost:{world.port}", "chrome-error://chromewebdata/"), path
    assert outside.requests[before:] == []


def test_a_stolen_cookie_is_worth_nothing_on_another_device(world, portal, browser, shared, kind, new_browser):
    portal.login()
    (cookie,) = [c for c in browser.cookies() if c["name"] == "__Host-sallyport"]
    thief = new_browser(world, kind, "alice-spare")
    thief.take_cookie(cookie, portal.url)
    thief.go(portal.url)
    thief.wait("return Boolean(document.querySelector('#login-title'))", what="the first page")
    assert "alice-spare" in thief.text() and not thief.has("#greeting")
    assert [c for c in thief.cookies() if c["name"] == "__Host-sallyport" and c["value"] == cookie["value"]] == [], "it is deleted"
    answer = api.call(world, "GET", "/v1/session", laptop="alice-spare", extra=["-H", f"Cookie: __Host-sallyport={cookie['value']}"])
    assert (answer.status, answer.body["code"]) == (401, "no_session")
    portal.open()
    assert portal.is_open, "and its owner goes on"
