"""Door two in real browsers: the conversation as a form, in every shape that a PAM stack gives it; by mouse and by keyboard; and
readable for everybody in each of its states."""
import accessibility
from portal import LOGGED_OUT
from records import refusals, rows
from stacks import use_stack
from world import wait_until


def session_rows(world):
    return rows(world, "SELECT user, realm FROM v_session WHERE ended IS NULL")


def test_password_and_one_time_code(world, portal, browser, pictures):
    portal.open()
    assert "alice-laptop" in browser.text(), "whose device this is"
    accessibility.check(browser, "the first page")
    browser.screenshot(pictures / f"{browser.kind}-login.png")
    portal.name("alice")
    portal.wait_for_field("password")
    accessibility.check(browser, "the password")
    browser.screenshot(pictures / f"{browser.kind}-password.png")
    portal.answer("password", world.users["alice"].password)
    portal.wait_for_field("one-time")
    accessibility.check(browser, "the code")
    portal.answer("one-time", world.users["alice"].code())
    portal.wait_inside()
    assert "alice" in browser.text()
    assert portal.resource("wiki")["links"], "a way to the wiki"
    assert not portal.resource("wiki")["missing"]
    assert not browser.has("[data-resource=vault]"), "no rule gives it to anybody"
    accessibility.check(browser, "the inside")
    browser.screenshot(pictures / f"{browser.kind}-inside.png")
    browser.colours("dark")
    browser.screenshot(pictures / f"{browser.kind}-inside-dark.png")
    browser.colours("light")
    assert session_rows(world) == [("alice", "default")]


def test_the_cookie_is_nothing_for_scripts_and_other_places(world, portal, browser):
    portal.login()
    (cookie,) = [c for c in browser.cookies() if c["name"].startswith("__Host-")]
    assert cookie["secure"] and cookie["httpOnly"] and cookie["path"] == "/"
    assert cookie["domain"] == "localhost", "no Domain attribute: for this host alone"
    assert cookie["sameSite"] in ("Strict", 2)
    assert cookie.get("session", True), "it goes with the browser"
    assert browser.script("return document.cookie") == ""
    assert browser.script("return localStorage.length + sessionStorage.length") == 0
    assert cookie["value"] not in browser.script("return document.documentElement.outerHTML")


def test_a_wrong_password_is_refused_with_a_sentence_and_a_number(world, portal, browser):
    portal.open()
    portal.name("alice")
    portal.answer("password", "wrong")
    shown = portal.refusal()
    (found,) = refusals(world, "login_failed")[-1:]
    assert found["request_id"] in shown and "login_failed" in shown
    accessibility.check(browser, "a refusal")
    portal.wait_for_field("user name")
    assert session_rows(world) == []


def test_the_whole_login_by_keyboard(world, portal, browser):
    """Without one click: Tab, letters, Enter; the focus is where one goes on typing."""
    portal.open()
    browser.wait("return document.activeElement.id == 'user'", what="the focus in the first field")
    browser.type("alice")
    browser.press("Enter")
    portal.wait_for_field("password")
    browser.wait("return document.activeElement.type == 'password'", what="the focus in the password's field")
    browser.type(world.users["alice"].password)
    browser.press("Enter")
    portal.wait_for_field("one-time")
    browser.wait("return document.activeElement.type == 'password' && !document.activeElement.value", what="the focus in the code's field")
    browser.type(world.users["alice"].code())
    browser.press("Enter")
    portal.wait_inside()
    browser.tab_to("#log-out", "Shift+Tab")
    browser.press("Enter")
    browser.wait("return Boolean(document.querySelector(arguments[0]))", LOGGED_OUT, what="the end of the session")
    assert session_rows(world) == []


def test_cancel_ends_the_conversation_at_the_gateway(world, portal, browser):
    portal.open()
    portal.name("alice")
    portal.wait_for_field("password")
    before = len(rows(world, "SELECT 1 FROM audit WHERE event = 'login' AND code = 'cancelled'"))
    browser.click("button", "Cancel")
    portal.wait_for_field("user name")
    wait_until(lambda: len(rows(world, "SELECT 1 FROM audit WHERE event = 'login' AND code = 'cancelled'")) == before + 1,
               "the end of the conversation in the record")


# ---- every shape of a stack ----

def test_an_expired_password_is_changed_in_the_portal(world, portal, browser, pictures):
    use_stack(world, ("auth", "secret=Password: ", "expect=old-Secret-1"),
              ("account", "info=You are required to change your password.", "return=12"),
              ("password", "secret=Current password: ", "expect=old-Secret-1", "secret=New password: ", "expect=new-Secret-2",
               "secret=Retype new password: ", "expect=new-Secret-2"), service="expired")
    portal.open()
    portal.name("alice", realm="expired")
    portal.answer("password", "old-Secret-1")
    portal.wait_for_field("current password")
    browser.wait_for_text("required to change")
    accessibility.check(browser, "the change of a password")
    browser.screenshot(pictures / f"{browser.kind}-expired-password.png")
    portal.answer("current password", "old-Secret-1")
    portal.answer("new password", "new-Secret-2")
    portal.answer("retype", "new-Secret-2")
    portal.wait_inside()
    assert session_rows(world) == [("alice", "expired")]


def test_what_the_stack_says_is_shown_while_it_waits(world, portal, browser, pictures):
    gate, uri = world.path("pam", "gate"), "otpauth://totp/corp:alice?secret=JBSWY3DPEHPK3PXP"
    gate.unlink(missing_ok=True)
    use_stack(world, ("auth", "info=Number on your phone: 42", f"until={gate}", f"info=Scan this: {uri}", "error=The old phone is out",
                      "text=Your favourite colour"), service="telling")
    portal.open()
    portal.name("alice", realm="telling")
    browser.wait_for_text("Number on your phone: 42")
    accessibility.check(browser, "a text at once")
    browser.screenshot(pictures / f"{browser.kind}-info.png")
    gate.touch()
    portal.wait_for_field("favourite colour")
    browser.wait_for_text("The old phone is out")
    browser.wait("const i = document.querySelector('[data-part=qr]'); return i && i.complete && i.naturalWidth > 0", what="the picture")
    accessibility.check(browser, "a picture to scan")
    for scheme in ("dark", "light"):
        browser.colours(scheme)
        browser.screenshot(pictures / f"{browser.kind}-qr-{scheme}.png")
        assert browser.scan() == [uri], scheme
    portal.answer("favourite colour", "blue")
    portal.wait_inside()


def test_several_prompts_in_one_round(world, portal, browser):
    use_stack(world, ("auth", "mixed=Two at a time"), service="mixed")
    portal.open()
    portal.name("alice", realm="mixed")
    first, second = portal.wait_for_field("first"), portal.wait_for_field("second")
    browser.wait_for_text("Two at a time")
    browser.wait_for_text("careful")
    kinds = {field["id"]: field["type"] for field in portal.fields()}
    assert (kinds[first], kinds[second]) == ("text", "password"), "echo on, echo off"
    accessibility.check(browser, "two prompts")
    browser.click(f"#{first}")
    browser.type("one")
    browser.press("Tab")
    browser.type("two")
    browser.press("Enter")
    portal.wait_inside()


def test_the_portal_is_all_there_is(world, portal, browser):
    """No resource from elsewhere, none without a hash, nothing that the policy of the page has refused."""
    portal.open()
    browser.complaints()
    portal.login()
    loaded = browser.script("return performance.getEntriesByType('resource').map(e => e.name)")
    assert loaded and all(name.startswith(world.url + "/") for name in loaded), loaded
    without = browser.script("return [...document.querySelectorAll('script[src], link[rel=stylesheet]')]"
                             ".filter(e => !/^sha(256|384|512)-/.test(e.integrity)).map(e => e.outerHTML)")
    assert without == []
    assert browser.script("return [...document.querySelectorAll('[style], style, script:not([src])')].length") == 0
    assert browser.complaints() == []
