"""Web work through the gateway: the wiki by its name, http and https; the rest of the world directly; what is refused, and what
a rule wants a fresh login for."""
import accessibility
import pytest
from browser_world import BOARD, ELSEWHERE, LEDGER, WIKI
from records import refusals, rows
from world import wait_until


def last_tunnel(world):
    return rows(world, "SELECT coalesce(max(opened_at), 0) FROM tunnel")[0][0]


def opened_since(world, moment):
    return {tuple(row) for row in rows(world, "SELECT requested_host, requested_port, rule, way, form FROM tunnel WHERE opened_at > ?", moment)}


def test_the_wiki_opens_by_its_name(world, portal, browser, pictures):
    portal.login()
    moment = last_tunnel(world)
    browser.open_through_the_gateway(world.https_wiki, "Company wiki")
    browser.screenshot(pictures / f"{browser.kind}-wiki.png")
    browser.open_through_the_gateway(world.http_wiki, "Company wiki")
    assert opened_since(world, moment) == {(WIKI, 443, "everybody reads the wiki", "browser_session", "connect"),
                                           (WIKI, 80, "everybody reads the wiki", "browser_session", "request")}
    # The page links to it, and the session tells of the tunnel.
    portal.open()
    assert set(portal.resource("wiki")["links"]) == {world.http_wiki, world.https_wiki}
    browser.click("[data-resource=wiki] a", "https://")
    browser.wait_for_text("Only from inside")


def test_what_the_policy_does_not_name_goes_directly(world, portal, browser, outside):
    portal.login()
    browser.open_through_the_gateway(world.https_wiki, "Company wiki")
    moment, before = last_tunnel(world), len(outside.requests)
    outside.pages["/news"] = "<!DOCTYPE html><title>News</title><h1>News</h1>"
    browser.go(outside.url(ELSEWHERE, "/news"))
    browser.wait_for_text("News")
    assert outside.requests[before][2] == "/news" and opened_since(world, moment) == set()


@pytest.mark.parametrize("kind", ["chromium"])
def test_a_plain_page_that_is_refused_says_why(world, portal, browser, pictures):
    """In Chromium, whose script has all names of the policy; Firefox's has those of its user alone."""
    portal.login()
    browser.go(f"http://{BOARD}/minutes")
    shown = browser.text()
    (refusal,) = refusals(world, "not_allowed")[-1:]
    assert refusal["request_id"] in shown and "not_allowed" in shown and refusal["user"] == "alice"
    assert "board.corp.example" in refusal["detail"]
    accessibility.check(browser, "a page that is refused")
    browser.screenshot(pictures / "chromium-refused.png")
    browser.click("a")
    portal.settled()
    assert portal.is_open and browser.url() == portal.url
    assert not browser.has("[data-resource=board]"), "what he cannot have is not in his list"
    browser.go(f"https://{BOARD}/minutes")
    assert browser.failed()
    wait_until(lambda: len(refusals(world, "not_allowed")) >= 2, "the refusal of the tunnel")
    assert refusals(world, "not_allowed")[-1]["request_id"] != refusal["request_id"]


def test_a_fresh_login_in_mid_work(world, portal, browser, pictures):
    """The ledger wants a login that is eight seconds old at most."""
    portal.login()
    browser.open_through_the_gateway(f"https://{LEDGER}/", "Company wiki")

    def wants_a_fresh_one():
        browser.go(f"http://{LEDGER}/")
        return "fresh_login_required" in browser.text()
    wait_until(wants_a_fresh_one, "the end of what a fresh login has opened", 20, 1)
    wait_until(lambda: not rows(world, "SELECT 1 FROM tunnel WHERE requested_host = ? AND closed_at IS NULL", LEDGER), "the end of the tunnel")
    accessibility.check(browser, "a page that wants a fresh login")
    browser.screenshot(pictures / f"{browser.kind}-fresh-login-page.png")
    browser.click("a")
    portal.settled()
    item = portal.resource("ledger")
    assert item["missing"] and item["links"] == [], item
    browser.click("[data-resource=ledger] button", "Log in again")
    portal.wait_for_field("password")
    accessibility.check(browser, "a login in mid-work")
    browser.screenshot(pictures / f"{browser.kind}-fresh-login.png", whole=False)
    browser.press("Escape")
    browser.wait("return !document.querySelector('dialog:modal')", what="the end of the question")
    assert portal.is_open and portal.resource("ledger")["missing"], "he goes on without the ledger"
    browser.tab_to("[data-resource=ledger] button")
    browser.press("Enter")
    portal.prove()
    browser.wait("return document.querySelector('[data-resource=ledger] a')", what="the way to the ledger")
    browser.click("[data-resource=ledger] a", "https://")
    browser.wait_for_text("Only from inside")

