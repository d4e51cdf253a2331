"""The script that leads a browser, given to it by hand: as the portal and docs/browsers.md say it."""
import shlex

from portal import Portal
from world import wait_until


def without_script(world, kind):
    """The fleet's policies, but for what leads through the gateway."""
    policies = world.policies(kind)
    (policies if kind == "chromium" else policies["policies"]).pop("ProxySettings" if kind == "chromium" else "Proxy")
    return policies


def test_chromium_is_started_by_the_portals_command(world, shared, new_browser, pictures):
    portal = Portal(world, shared("chromium"))
    portal.login()
    portal.browser.click("#command-new")
    command = shlex.split(portal.browser.wait("return (document.querySelector('#command') || {}).value", what="the command"))
    portal.browser.screenshot(pictures / "chromium-command.png")
    assert command[0] == "chromium" and len(command) == 2
    led = new_browser(world, "chromium", policies=without_script(world, "chromium"), flags=command[1:])
    led.go(world.https_wiki)
    led.wait_for_text("Company wiki")
    # Without it nothing leads there.
    other = new_browser(world, "chromium", policies=without_script(world, "chromium"))
    other.go(world.https_wiki)
    assert "Company wiki" not in other.text()
    portal.leave()


def test_firefox_is_given_the_scripts_address(world, new_browser):
    preferences = {"network.proxy.type": 2, "network.proxy.autoconfig_url": f"{world.url}/proxy.pac",
                   "network.proxy.autoconfig_retry_interval_max": 5}
    browser = new_browser(world, "firefox", policies=without_script(world, "firefox"), preferences=preferences)
    portal = Portal(world, browser)
    browser.go(world.http_wiki)
    assert "Company wiki" not in browser.text()
    portal.login()

    def opened():
        browser.go(world.http_wiki)
        return "Company wiki" in browser.text()
    wait_until(opened, "the wiki, once Firefox has asked again", 40, 1)
    portal.leave()
