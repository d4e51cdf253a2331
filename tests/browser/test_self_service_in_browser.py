"""What people do for themselves in the portal, in real browsers: a second factor by the camera of a phone, recovery codes, a
device that is lost."""
import base64
import pathlib
import re

import accessibility
import pytest
from browser_world import browser_world
from portal import LOGGED_OUT, Portal
from records import rows

PEOPLE = {"chromium": "alice", "firefox": "bob"}
# All that the page holds, without the templates that everybody gets.
HELD = "const page = document.documentElement.cloneNode(true); page.querySelectorAll('template').forEach(t => t.remove()); return page.outerHTML"


@pytest.fixture(scope="module")
def own_world(programs):
    """A password, then the gateway's own factor, which one gives oneself. Each has a second laptop."""
    with browser_world(programs, settings=['factor_enroll = "first-login"', 'factor_window = "20"']) as world:
        (module,) = pathlib.Path(programs).rglob("pam_sallyport.so")
        world.path("etc", "pam.d", "sallyport").write_text(
            f"auth requisite pam_pwdfile.so pwdfile={world.path('pam', 'passwd')}\n"
            f"auth required {module} factor socket={world.path('run', 'factor.sock')}\naccount required pam_permit.so\n")
        for user in PEOPLE.values():
            world.enroll(f"{user}-spare", user)
        yield world


@pytest.fixture
def user(kind):
    return PEOPLE[kind]


@pytest.fixture
def portal(own_world, new_browser, kind, user):
    return Portal(own_world, new_browser(own_world, kind, f"{user}-laptop"))


def scan(portal, user):
    """The person's phone has the factor from now on."""
    portal.browser.wait("const e = document.querySelector('.qr'); return Boolean(e && e.clientWidth)", what="the picture")
    (uri,) = portal.browser.scan()
    found = re.fullmatch(r"otpauth://totp/localhost:(\w+)\?secret=([A-Z2-7]{32})&issuer=localhost", uri)
    assert found.group(1) == user
    portal.world.users[user].secret = base64.b32decode(found.group(2))
    return found.group(2)


def codes(portal):
    return re.findall(r"\b[a-z2-7]{4}-[a-z2-7]{4}-[a-z2-7]{4}\b", portal.browser.text())


def login(portal, user):
    person = portal.world.users[user]
    portal.open()
    portal.name(user)
    portal.answer("password", person.password)
    portal.answer("code", person.code())
    portal.wait_inside()


def test_the_first_login_gives_a_factor_by_a_picture(portal, user, kind, pictures):
    """The PAM module draws for terminals; a phone reads it from the page all the same."""
    browser, person = portal.browser, portal.world.users[user]
    portal.open()
    portal.name(user)
    portal.answer("password", person.password)
    portal.wait_for_field("code")
    secret = scan(portal, user)
    assert secret in browser.text(), "for whom the picture is nothing"
    accessibility.check(browser, "the picture")
    browser.screenshot(pictures / f"{kind}-first-factor.png")
    portal.answer("code", person.code())
    portal.wait_for_field("press enter")
    assert len(codes(portal)) == 10
    browser.press("Enter")
    portal.wait_inside()
    browser.wait_for_text("10 recovery codes left")
    held = browser.script(HELD)
    assert secret not in held and not codes(portal)


def test_another_factor_and_other_codes(portal, user, kind, pictures):
    browser, person = portal.browser, portal.world.users[user]
    login(portal, user)
    browser.click("#factor-new")
    portal.wait_for_field("code of the app")
    secret = scan(portal, user)
    portal.answer("code of the app", "123 456" if person.code() != "123456" else "654 321")
    assert "factor_wrong" in portal.refusal()
    accessibility.check(browser, "a new factor")
    browser.script("document.getElementById('factor-code').value = ''")
    portal.answer("code of the app", person.code())
    browser.wait("return document.querySelectorAll('#codes li').length == 10", what="the recovery codes")
    first = codes(portal)
    accessibility.check(browser, "recovery codes")
    browser.screenshot(pictures / f"{kind}-recovery-codes.png")
    assert len(first) == 10 and secret not in browser.script(HELD)
    browser.click("#codes-done")
    assert not [code for code in first if code in browser.script(HELD)], "shown once"
    browser.click("#factor-codes")
    browser.wait("return document.querySelectorAll('#codes li').length == 10", what="other recovery codes")
    assert not set(first) & set(codes(portal))
    assert rows(portal.world, "SELECT count(*) FROM audit WHERE event = 'factor_codes' AND user = ?", user) == [(1,)]
    portal.log_out()
    assert not re.search(r"[a-z2-7]{4}-[a-z2-7]{4}-[a-z2-7]{4}", browser.script(HELD))


def test_a_device_that_is_lost_and_then_this_one(portal, user, kind):
    browser, world = portal.browser, portal.world
    state = "SELECT state FROM device WHERE name = ?"
    login(portal, user)
    browser.wait("return Boolean(document.querySelector('[data-device]'))", what="the devices")
    assert browser.script("return Array.from(document.querySelectorAll('[data-device]'), item => item.dataset.device)") == [
        f"{user}-laptop", f"{user}-spare"]
    browser.click(f"[data-device={user}-spare] button", "This one is lost")
    browser.wait("return document.activeElement.id == 'sure-no'", what="the focus on what does no harm")
    assert not accessibility.faults(browser)
    browser.press("Enter")
    browser.wait("return !document.querySelector('#sure').open", what="the end of the question")
    assert rows(world, state, f"{user}-spare") == [("active",)]
    browser.click(f"[data-device={user}-spare] button", "This one is lost")
    browser.click("#sure-yes")
    browser.wait_for_text(f"{user}-spare is shut out: 0 sessions ended, 0 tunnels closed.")
    assert rows(world, state, f"{user}-spare") == [("locked",)] and not browser.has(f"[data-device={user}-spare] button")
    browser.click(f"[data-device={user}-laptop] button", "This one is lost")
    browser.wait_for_text("It is the device in front of you.")
    browser.click("#sure-yes")
    browser.wait("return Boolean(document.querySelector(arguments[0]))", LOGGED_OUT, what="the end of the session")
    browser.wait_for_text(f"{user}-laptop is shut out: 1 session ended")
    assert "Company wiki" not in browser.script(HELD) and "spare" not in browser.script(HELD)
    assert rows(world, state, f"{user}-laptop") == [("locked",)]
