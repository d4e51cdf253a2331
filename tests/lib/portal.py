"""The portal as a person uses it: looks for fields and buttons by what they are called, clicks and types."""
import json

from world import wait_until

LOGGED_IN, LOGGED_OUT = "#greeting", "#login-title"
# The label that belongs to each field that is shown, in order.
FIELDS = """
const place = document.querySelector('dialog:modal') || document;
return [...place.querySelectorAll('form input:not([type=hidden]):not([hidden])')]
  .filter(e => e.getClientRects().length)
  .map(e => ({id: e.id, label: [...e.labels].map(l => l.textContent.trim()).join(' '), type: e.type, value: e.value}));
"""


class Portal:
    def __init__(self, world, browser):
        self.world, self.browser = world, browser

    @property
    def url(self):
        return self.world.url + "/"

    def open(self):
        self.browser.go(self.url)
        self.settled()

    def settled(self):
        """The page has found out whether somebody is logged in."""
        self.browser.wait("return Boolean(document.querySelector(arguments[0] + ',' + arguments[1]))", LOGGED_IN, LOGGED_OUT,
                          what="the portal")

    @property
    def is_open(self):
        return self.browser.has(LOGGED_IN)

    # ---- the conversation ----

    def fields(self):
        return self.browser.script(FIELDS)

    def wait_for_field(self, label):
        """Until a field of that label is there to be filled; its id."""
        return self.browser.wait(FIELDS.replace("return", "const all =", 1) + "return (all.find(f => f.label.toLowerCase().includes(arguments[0].toLowerCase())) || {}).id;",
                                 label, what=f"the field {label!r}")

    def answer(self, label, text):
        """Fills that field, and sends the form by Enter."""
        field = self.wait_for_field(label)
        self.browser.click(f"#{field}")
        self.browser.type(text)
        self.browser.press("Enter")

    def name(self, user="alice", realm=None):
        self.wait_for_field("user name")
        self.browser.click("#user")
        self.browser.type(user)
        if realm:
            self.browser.click("summary", "realm")
            self.browser.click("#realm")
            self.browser.type(realm)
        self.browser.press("Enter")

    def login(self, user="alice"):
        """With password and one-time code, as the world's stack asks for them."""
        self.open()
        self.name(user)
        self.prove(user)
        self.wait_inside()

    def wait_inside(self):
        self.browser.wait("return Boolean(document.querySelector(arguments[0]))", LOGGED_IN, what="the portal's inside")

    def prove(self, user="alice"):
        person = self.world.users[user]
        self.answer("password", person.password)
        self.answer("one-time", person.code())

    def refusal(self):
        """What the portal says when it has refused something."""
        return self.browser.wait("""
            const shown = [...document.querySelectorAll('[role=alert], .problem')].filter(e => e.getClientRects().length);
            return shown.map(e => e.innerText).join('\\n').trim()""", what="a refusal")

    def log_out(self):
        self.browser.click("#log-out")
        self.browser.wait("return Boolean(document.querySelector(arguments[0]))", LOGGED_OUT, what="the end of the session")

    def leave(self):
        """Whatever the state: afterwards nobody is logged in."""
        self.browser.go("about:blank")
        for session in self.sessions():
            self.world.admin("session", "end", session["session"])
        wait_until(lambda: not self.sessions(), "the end of all sessions")

    def sessions(self):
        return json.loads(self.world.admin("--json", "session", "list"))["sessions"]

    # ---- what is seen inside ----

    def resource(self, name):
        return self.browser.wait("""
            const item = document.querySelector(`[data-resource="${arguments[0]}"]`);
            return item && {text: item.innerText, links: [...item.querySelectorAll('a')].map(a => a.href),
                            missing: (item.querySelector('[data-part=missing]') || {}).innerText || ''};""", name,
                                 what=f"the resource {name!r}")
