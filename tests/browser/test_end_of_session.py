"""No means no, in a browser: what ends a session ends what the browser has open, and leaves nothing to be looked at."""
import contextlib

import pytest
from browser_world import FLIP, WIKI
from portal import Portal
from records import refusals, rows
from world import wait_until

# A download whose end is seen by the page that began it: how much has come, and whether it broke.
DOWNLOAD = """
const p = document.createElement('p');
p.id = 'got';
document.body.append(p);
fetch('/slow/large.bin').then(async answer => {
  const reader = answer.body.getReader();
  for (;;) {
    const {done, value} = await reader.read();
    if (done) break;
    p.textContent = String(Number(p.textContent) + value.length);
  }
  p.dataset.end = 'whole';
}).catch(() => { p.dataset.end = 'broken'; });
"""


def begin_download(browser, url):
    """In the page at `url`, which stays there."""
    browser.open_through_the_gateway(url, "Company wiki")
    browser.script(DOWNLOAD)
    browser.wait("return Number(document.getElementById('got').textContent) > 100000", what="the middle of the download")


def wait_for_break(browser):
    browser.wait("return document.getElementById('got').dataset.end", what="the end of the download")
    assert browser.script("return document.getElementById('got').dataset.end") == "broken"


def closed_within_a_second(world, event, host=WIKI):
    """By the gateway's own clock: from the row of the act to the last row of a tunnel that it closed."""
    assert rows(world, "SELECT 1 FROM tunnel WHERE closed_at IS NULL AND requested_host = ?", host) == []
    began = rows(world, "SELECT max(at) FROM audit WHERE event = ?", event)[0][0]
    last = rows(world, "SELECT max(closed_at) FROM tunnel WHERE requested_host = ?", host)[0][0]
    assert last - began <= 1000, f"{last - began} ms"


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_C1_a_revoked_device_loses_its_download(world, new_browser, kind, scheme):
    laptop = f"alice-{kind}-{scheme}"
    world.enroll(laptop, "alice")
    browser = new_browser(world, kind, laptop)
    Portal(world, browser).login()
    first = browser.tab()
    browser.new_tab()
    begin_download(browser, f"{scheme}://{WIKI}/")
    said = world.admin("device", "revoke", laptop)
    wait_for_break(browser)
    closed_within_a_second(world, "device_revoked")
    assert "1 session" in said and "tunnel" in said
    assert {row[0] for row in rows(world, "SELECT close_reason FROM tunnel JOIN device ON device.id = tunnel.device WHERE device.name = ?", laptop)
            } <= {"device_revoked", "target_fin", "client_fin", "client_reset"}
    browser.to_tab(first)
    browser.wait("return !document.querySelector('#greeting')", what="the end of what the portal shows")
    refused = len(refusals(world, "device_revoked"))
    browser.script("location.reload()")
    wait_until(lambda: len(refusals(world, "device_revoked")) > refused, "the refusal by door one")
    assert "wiki" not in browser.text()


def test_C1_log_out_closes_tunnels_and_leaves_nothing_behind(world, portal, browser):
    portal.login()
    first = browser.tab()
    browser.new_tab()
    begin_download(browser, world.https_wiki)
    second = browser.tab()
    browser.to_tab(first)
    portal.log_out()
    closed_within_a_second(world, "session_ended")
    browser.to_tab(second)
    wait_for_break(browser)
    browser.close_tab()
    browser.to_tab(first)
    assert portal.sessions() == [] and browser.cookies() == []
    assert not browser.has("#greeting") and "wiki" not in browser.script("return document.documentElement.outerHTML")
    for way in (browser.back, browser.forward, browser.reload):
        with contextlib.suppress(Exception):
            way()
        browser.wait("return document.readyState == 'complete'")
        assert "Company wiki" not in browser.text() and not browser.has("#greeting")


def test_the_back_button_shows_nothing_of_a_session_that_is_over(world, portal, browser, outside):
    """The page was left while somebody was logged in, and may lie in the browser's memory as it was."""
    outside.pages["/news"] = "<!DOCTYPE html><title>News</title><h1>News</h1>"
    portal.login()
    browser.go(outside.url("elsewhere.example", "/news"))
    browser.wait_for_text("News")
    world.admin("session", "end", "--user", "alice")
    browser.back()
    browser.wait("return Boolean(document.querySelector('#login-title'))", what="the first page")
    assert not browser.has("#greeting") and "wiki" not in browser.text()


def test_a_page_is_not_shown_from_a_cache(world, portal, browser, outside):
    """Nor where the gateway is not there any more to say no."""
    outside.pages["/news"] = "<!DOCTYPE html><title>News</title><h1>News</h1>"
    portal.login()
    address = browser.url()
    browser.go(outside.url("elsewhere.example", "/news"))
    world.stop_process("gateway")
    try:
        with contextlib.suppress(Exception):
            browser.back()
        browser.wait("return location.href == arguments[0] || location.protocol == 'chrome-error:'", address, what="the page before")
        assert browser.failed() or not browser.has("#greeting")
        assert "Company wiki" not in browser.script("return document.documentElement.outerHTML")
    finally:
        world.start_gateway()


def test_who_is_put_out_is_told_at_once_and_why(world, portal, browser, pictures):
    portal.login()
    world.admin("session", "end", "--user", "alice")
    browser.wait_for_text("an administrator ended it")
    assert not browser.has("#greeting")
    browser.screenshot(pictures / f"{browser.kind}-ended.png")


def test_B2_a_name_that_changes_its_mind_is_no_way_in(world, portal, browser):
    """DNS rebinding, through the proxy: a guest's name, whom a wildcard of the policy covers, turns to where no name may lead.
    """
    portal.login()
    world.names.answers[FLIP] = [world.inside]
    browser.open_through_the_gateway(f"http://{FLIP}/", "Company wiki")
    for number, address in enumerate(("127.0.0.1", "169.254.169.254", "0.0.0.0", own_address(world))):
        before = len(refusals(world, "address_forbidden"))
        world.names.answers[FLIP] = [address]
        browser.go(f"http://{FLIP}/?{number}")
        browser.wait_for_text("address_forbidden")
        assert len(refusals(world, "address_forbidden")) > before, address


def own_address(world):
    """The gateway's, on the way to the internal network."""
    return world.inside.rpartition(".")[0] + ".1"
