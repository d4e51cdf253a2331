"""One device, two people who are logged in at the portal: the gateway does not guess whose page a browser wants. It asks, and the
token that the portal shows is the answer to the browser's own dialogue."""
import json

import accessibility
import pytest
from browser_world import WIKI, browser_world
from curl_browser import CurlBrowser
from portal import Portal
from records import refusals, rows
from world import wait_until

LAPTOP = "shared-laptop"

# The dialogue, answered as a password manager does.
MANIFEST = {"manifest_version": 3, "name": "answers", "version": "1", "permissions": ["webRequest", "webRequestAuthProvider"],
            "host_permissions": ["<all_urls>"], "background": {"service_worker": "worker.js"}}
WORKER = """chrome.webRequest.onAuthRequired.addListener((details, answer) => answer(details.isProxy ? {authCredentials: %s} : {cancel: true}),
  {urls: ['<all_urls>']}, ['asyncBlocking']);"""


@pytest.fixture(scope="module")
def shared_world(programs):
    with browser_world(programs, settings=["browser = yes"]) as world:
        world.enroll(LAPTOP, "alice")
        world.admin("device", "bind", LAPTOP, "--user", "bob")
        yield world


def extension(world, user, token):
    folder = world.private_folder("extension")
    (folder / "manifest.json").write_text(json.dumps(MANIFEST))
    (folder / "worker.js").write_text(WORKER % json.dumps({"username": user, "password": token}))
    return folder


def show_token(portal):
    """User and token, as the portal shows them to be copied."""
    browser = portal.browser
    browser.click("#token-new")
    browser.wait("return document.getElementById('token')", what="the token")
    return browser.script("return [document.getElementById('proxy-user').textContent, document.getElementById('token').textContent]")


def last_way(world):
    return rows(world, 'SELECT tunnel."user", requested_host, way FROM tunnel ORDER BY opened_at DESC LIMIT 1')[0]


def test_two_people_on_one_device(shared_world, new_browser, kind, pictures):
    world = shared_world
    world.admin("session", "end", "--all")
    browser = new_browser(world, kind, LAPTOP)
    portal = Portal(world, browser)
    portal.login("alice")
    browser.open_through_the_gateway(world.http_wiki, "Company wiki")
    assert last_way(world) == ("alice", WIKI, "browser_session")
    bob = world.users["bob"]
    assert CurlBrowser(world, LAPTOP).login("bob", [bob.password, bob.code()]).body["state"] == "granted"
    before = len(refusals(world, "several_sessions"))
    with browser.unanswered_dialogue():
        browser.go(world.http_wiki)
        wait_until(lambda: len(refusals(world, "several_sessions")) > before, "the refusal in the record")
    portal.open()
    user, token = show_token(portal)
    assert user == "alice"
    accessibility.check(browser, "the browser token", schemes=("light",))
    browser.screenshot(pictures / f"{kind}-browser-token.png")
    if kind == "chromium":
        browser = new_browser(world, kind, LAPTOP, extension=extension(world, user, token))
    else:
        browser.answer_dialogue(world.http_wiki, world.port, user, token)
    browser.open_through_the_gateway(world.http_wiki, "Company wiki")
    assert last_way(world) == ("alice", WIKI, "browser_token")
    browser.open_through_the_gateway(world.https_wiki, "Company wiki")
    assert last_way(world) == ("alice", WIKI, "browser_token")
    # It opens the proxy and nothing else, and lives no longer than the session.
    world.admin("session", "end", "--user", "alice")
    began = rows(world, "SELECT count(*) FROM tunnel")
    with browser.unanswered_dialogue():
        browser.go(world.http_wiki)
    assert rows(world, "SELECT count(*) FROM tunnel WHERE way = 'browser_token'") and rows(world, "SELECT count(*) FROM tunnel") == began
