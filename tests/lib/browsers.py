"""Real browsers for the end-to-end tests: Chromium by chromedriver, Firefox by Marionette, one way to use both.

Each has a home of its own with a certificate store, and lives in a mount and process namespace of its own: its managed
policies lie over those of the system there and nowhere else, and with the namespace all its processes end.
A person has a mouse and a keyboard: clicks and keys are input events, never scripts that call a handler.
"""
import base64
import contextlib
import io
import json
import os
import subprocess

from PIL import Image
from pyzbar import pyzbar
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.remote.command import Command

from marionette import Marionette, MarionetteError
from world import answers, free_port, run, wait_until

SECONDS = 20
KEYS = {"Tab": "\ue004", "Enter": "\ue007", "Escape": "\ue00c", "Shift": "\ue008", "Space": " ", "Down": "\ue015", "Up": "\ue013"}

# Where the middle of an element is, once it is in sight; null while there is none.
FIND = """
const [selector, text] = arguments;
const shown = e => e.checkVisibility({visibilityProperty: true});
const named = e => ((e.getAttribute('aria-label') || '') + ' ' + e.textContent).replace(/\\s+/g, ' ').trim();
const found = [...document.querySelectorAll(selector)].filter(e => shown(e) && (!text || named(e).includes(text)));
if (!found.length) return null;
found[0].scrollIntoView({block: 'center', behavior: 'instant'});
const box = found[0].getClientRects()[0];
return [Math.floor(box.left + box.width / 2), Math.floor(box.top + box.height / 2)];
"""


class Store:
    """A certificate store of NSS: whom the browser trusts, and who it is."""

    def __init__(self, folder):
        self.folder = f"sql:{folder}"
        folder.mkdir(parents=True, exist_ok=True)
        run(["certutil", "-d", self.folder, "-N", "--empty-password"])

    def trust(self, name, certificate):
        run(["certutil", "-d", self.folder, "-A", "-t", "C,,", "-n", name, "-i", certificate])

    def take(self, p12, passphrase):
        run(["pk12util", "-d", self.folder, "-i", p12, "-W", passphrase, "-K", ""])

    def names(self):
        return run(["certutil", "-d", self.folder, "-L"])


class Browser:
    """What both can do. `folder` is its home; `policies` are its managed policies."""

    kind = ""

    def __init__(self, folder, store, policies=None):
        self.folder, self.store, self.policies = folder, store, policies or {}
        self.process, self.outputs = None, []

    # ---- what a browser brings: script, go, perform, picture ----

    def wait(self, text, *arguments, seconds=SECONDS, what=""):
        """Until the script's value is true; the value."""
        def looked():
            try:
                return self.script(text, *arguments)
            except (WebDriverException, MarionetteError):
                return None  # between two pages
        try:
            return wait_until(looked, what or text, seconds, 0.03)
        except Exception as error:
            raise AssertionError(f"{error}\n{self.where()}") from error

    def where(self):
        with contextlib.suppress(Exception):
            return f"at {self.url()}:\n{self.text()[:2000]}"
        return "nowhere"

    def url(self):
        return self.script("return location.href")

    def text(self):
        """What can be read on the page."""
        return self.script("return document.body ? document.body.innerText : ''") or ""

    def wait_for_text(self, text, seconds=SECONDS):
        self.wait("return document.body && document.body.innerText.includes(arguments[0])", text, seconds=seconds,
                  what=f"the text {text!r}")

    def open_through_the_gateway(self, url, text):
        """As soon as the browser has its proxy script."""
        def opened():
            self.go(url)
            with contextlib.suppress(WebDriverException, MarionetteError):
                return text in self.text() or self.ask_for_script()
        wait_until(opened, f"{url} with {text!r}: {self.where()}", SECONDS, 0.5)

    def ask_for_script(self):
        """Before its time."""

    def has(self, selector, text=""):
        return self.script(FIND, selector, text) is not None

    def click(self, selector, text=""):
        x, y = self.wait(FIND, selector, text, what=f"{selector} {text!r}")
        self.perform([{"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": [
            {"type": "pointerMove", "duration": 0, "x": x, "y": y, "origin": "viewport"},
            {"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]}])

    def press(self, *keys):
        """Keys by their names, or characters; "Shift+Tab" holds the first one."""
        steps = []
        for key in keys:
            parts = [KEYS.get(part, part) for part in key.split("+")] if len(key) > 1 else [key]
            steps += [{"type": "keyDown", "value": part} for part in parts]
            steps += [{"type": "keyUp", "value": part} for part in reversed(parts)]
        self.perform([{"type": "key", "id": "keyboard", "actions": steps}])

    def type(self, text):
        self.press(*text)

    def attend(self):
        """The keyboard is the page's: Tab may have left it for the browser's own controls."""

    def tab_to(self, selector, key="Tab"):
        """By Tab alone, from where the focus is."""
        self.attend()
        for _ in range(100):
            if self.script("return Boolean(document.activeElement) && document.activeElement.matches(arguments[0])", selector):
                return
            self.press(key)
        raise AssertionError(f"Tab does not come to {selector}; {self.where()}")

    def screenshot(self, path, whole=True):
        """Of the whole page, or of what is in sight."""
        if whole:
            self.script("scrollTo(0, 0)")
        path.write_bytes(base64.b64decode(self.picture(whole)))

    def scan(self):
        """The QR codes in sight, as a telephone reads them: it looks until it has seen one."""
        def seen():
            picture = Image.open(io.BytesIO(base64.b64decode(self.picture()))).convert("L")
            return [code.data.decode() for code in pyzbar.decode(picture)]
        return wait_until(seen, f"a QR code; {self.where()}", SECONDS, 0.2)

    # ---- its process ----

    def command(self):
        raise NotImplementedError

    def launch(self, command, mount, environment=None):
        """`mount`: where this browser looks for managed policies; our folder lies over it. There is no name server: what a
        browser wants of its makers' servers does not leave the machine."""
        resolver = self.folder / "resolv.conf"
        resolver.write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
        log = self.folder / "browser.log"
        output = log.open("ab")
        self.outputs.append(output)
        clean = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        # The options of the sanitizers are the gateway's.
        clean = {name: value for name, value in clean.items() if not name.endswith("SAN_OPTIONS")}
        clean.update(environment or {}, HOME=str(self.folder), LC_ALL="C.UTF-8", LANGUAGE="")
        self.process = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-ec",
             'mount --bind "$0" "$1"; mount --bind "$2" /etc/resolv.conf; shift 2; exec "$@"', str(self.folder / "managed"), mount,
             str(resolver), *command],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=clean, start_new_session=True)

    def log(self):
        return (self.folder / "browser.log").read_text(errors="replace")[-3000:]

    def close(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None
        for output in self.outputs:
            output.close()
        self.outputs = []


class Chromium(Browser):
    kind = "chromium"

    def __init__(self, folder, store, policies=None, flags=(), extension=None):
        super().__init__(folder, store, policies)
        self.write_policies()
        port = free_port()
        self.launch(["/usr/bin/chromedriver", f"--port={port}"], "/etc/chromium")
        try:
            wait_until(lambda: answers(port), "the start of chromedriver")
            self.driver = webdriver.Remote(f"http://127.0.0.1:{port}", options=self.options(flags, extension))
        except BaseException as error:
            log = self.log()
            self.close()
            raise AssertionError(f"Chromium did not start ({error}):\n{log}") from error
        self.driver.command_executor._commands["devtools"] = ("POST", "/session/$sessionId/goog/cdp/execute")
        self.driver.set_page_load_timeout(SECONDS)

    def devtools(self, command, **parameters):
        return self.driver.execute("devtools", {"cmd": command, "params": parameters})["value"]

    def write_policies(self):
        managed = self.folder / "managed" / "policies" / "managed"
        managed.mkdir(parents=True, exist_ok=True)
        (managed / "sallyport.json").write_text(json.dumps(self.policies))

    def options(self, flags, extension):
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        options.page_load_strategy = "normal"
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={self.folder}/profile", "--no-first-run",
                     "--disable-background-networking", "--disable-component-update", "--disable-sync",
                     "--window-size=1000,800", "--host-resolver-rules=MAP *.example 127.0.0.1, MAP *.test 127.0.0.1",
                     *([f"--load-extension={extension}", "--disable-features=DisableLoadExtensionCommandLineSwitch"]
                       if extension else []), *flags):
            options.add_argument(flag)
        return options

    def go(self, url):
        """Also where nothing comes: then the browser's own page of the error is there."""
        with contextlib.suppress(WebDriverException):
            self.driver.get(url)

    def script(self, text, *arguments):
        return self.driver.execute_script(text, *arguments)

    def perform(self, actions):
        self.driver.execute(Command.W3C_ACTIONS, {"actions": actions})

    def picture(self, whole=True):
        if not whole:
            return self.devtools("Page.captureScreenshot", format="png")["data"]
        size = self.devtools("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        return self.devtools("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)["data"]

    def resize(self, width, height):
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def size_of_its_own(self):
        self.devtools("Emulation.clearDeviceMetricsOverride")

    def colours(self, scheme):
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def complaints(self):
        """What the browser has had to say about the pages since it was asked last."""
        return [entry["message"] for entry in self.driver.get_log("browser")
                if entry["level"] in ("SEVERE", "WARNING") and entry["source"] != "network"]

    def failed(self):
        """The page is the browser's own, about an error."""
        return self.script("return location.protocol == 'chrome-error:'")

    def tab(self):
        return self.driver.current_window_handle

    def new_tab(self):
        self.driver.switch_to.new_window("tab")

    def to_tab(self, tab):
        self.driver.switch_to.window(tab)

    def close_tab(self):
        self.driver.close()

    def into_frame(self, number):
        """None: out of all frames."""
        self.driver.switch_to.default_content()
        if number is not None:
            self.driver.switch_to.frame(number)

    def take_cookie(self, cookie, url):
        self.devtools("Network.setCookie", name=cookie["name"], value=cookie["value"], url=url, path="/", secure=True, httpOnly=True,
                      sameSite="Strict")

    @contextlib.contextmanager
    def unanswered_dialogue(self, seconds=4):
        """The browser asks for a name and a password, and nobody is there."""
        self.driver.set_page_load_timeout(seconds)
        try:
            yield
        finally:
            self.driver.set_page_load_timeout(SECONDS)

    def back(self):
        self.driver.back()

    def forward(self):
        self.driver.forward()

    def reload(self):
        with contextlib.suppress(WebDriverException):
            self.driver.refresh()

    def cookies(self):
        """Of the whole browser, also those that no script sees."""
        return self.devtools("Network.getAllCookies")["cookies"]

    def close(self):
        with contextlib.suppress(Exception):
            self.driver.quit()
        super().close()


class Firefox(Browser):
    kind = "firefox"

    def __init__(self, folder, store, policies=None, preferences=None):
        super().__init__(folder, store, policies)
        managed = self.folder / "managed"
        managed.mkdir(exist_ok=True)
        (managed / "policies.json").write_text(json.dumps(self.policies))
        self.port = free_port()
        self.write_preferences(preferences or {})
        self.launch(["/usr/bin/firefox-esr", "--headless", "--no-remote", "--marionette", "--remote-allow-system-access",
                     "--profile", str(self.folder / "profile")], "/usr/lib/firefox-esr/distribution")
        try:
            wait_until(lambda: answers(self.port), "the start of Firefox")
            self.marionette = Marionette(self.port)
            self.marionette.call("WebDriver:NewSession", pageLoadStrategy="normal", unhandledPromptBehavior="ignore",
                                 timeouts={"pageLoad": SECONDS * 1000, "script": SECONDS * 1000, "implicit": 0})
        except BaseException as error:
            log = self.log()
            self.close()
            raise AssertionError(f"Firefox did not start ({error}):\n{log}") from error

    def write_preferences(self, more):
        quiet = {"browser.shell.checkDefaultBrowser": False, "browser.startup.page": 0, "browser.newtabpage.enabled": False,
                 "datareporting.policy.dataSubmissionEnabled": False, "toolkit.telemetry.server": "", "app.normandy.enabled": False,
                 "network.captive-portal-service.enabled": False, "network.connectivity-service.enabled": False,
                 "browser.safebrowsing.malware.enabled": False, "browser.safebrowsing.phishing.enabled": False,
                 "browser.safebrowsing.downloads.enabled": False, "services.settings.server": "data:,#remote-settings-dummy/v1",
                 "extensions.update.enabled": False, "extensions.systemAddon.update.enabled": False, "app.update.enabled": False,
                 "browser.region.network.url": "", "network.dns.disablePrefetch": True, "geo.enabled": False,
                 "dom.push.enabled": False, "browser.search.update": False, "media.gmp-manager.url": "", "security.OCSP.enabled": 0,
                 "network.trr.mode": 5, "browser.aboutwelcome.enabled": False, "trailhead.firstrun.didSeeAboutWelcome": True}
        names = {"network.dns.localDomains": "wiki.corp.example,ledger.corp.example,board.corp.example,flip.guests.example,shop.example,elsewhere.example",
                 "marionette.port": self.port}
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in {**quiet, **names, **more}.items()]
        (self.folder / "profile" / "user.js").write_text("\n".join(lines) + "\n")

    def go(self, url):
        with contextlib.suppress(MarionetteError):
            self.marionette.call("WebDriver:Navigate", url=url)

    def script(self, text, *arguments):
        return self.marionette.script(text, arguments)

    def inside(self, text, *arguments):
        """A script in the browser itself."""
        return self.marionette.script(text, arguments, chrome=True)

    def attend(self):
        self.inside("gBrowser.selectedBrowser.focus()")

    def ask_for_script(self):
        """Firefox asks by itself until somebody is logged in, but not often; this is the button of its settings."""
        self.inside("Cc['@mozilla.org/network/protocol-proxy-service;1'].getService(Ci.nsIProtocolProxyService).reloadPAC()")

    def perform(self, actions):
        self.marionette.call("WebDriver:PerformActions", actions=actions)

    def picture(self, whole=True):
        return self.marionette.call("WebDriver:TakeScreenshot", full=whole, hash=False)

    def colours(self, scheme):
        self.inside("Services.prefs.setIntPref('layout.css.prefers-color-scheme.content-override', arguments[0])",
                    {"dark": 0, "light": 1}[scheme])

    def complaints(self):
        """What the browser has had to say about the pages since it was asked last."""
        return self.inside("""
            const found = Services.console.getMessageArray().filter(m => m instanceof Ci.nsIScriptError)
              .filter(m => /localhost/.test(m.sourceName) || /Content-Security-Policy/.test(m.errorMessage))
              .map(m => m.errorMessage);
            Services.console.reset();
            return found;""")

    def failed(self):
        """The page is the browser's own, about an error."""
        return self.script("return /^about:(neterror|certerror|httpsonlyerror|blocked)/.test(document.documentURI)")

    def tab(self):
        return self.marionette.call("WebDriver:GetWindowHandle")

    def new_tab(self):
        self.to_tab(self.marionette.call("WebDriver:NewWindow", type="tab", focus=True)["handle"])

    def to_tab(self, tab):
        self.marionette.call("WebDriver:SwitchToWindow", handle=tab)

    def close_tab(self):
        self.marionette.call("WebDriver:CloseWindow")

    def into_frame(self, number):
        """None: out of all frames."""
        self.marionette.call("WebDriver:SwitchToFrame", id=None)
        if number is not None:
            self.marionette.call("WebDriver:SwitchToFrame", id=number)

    def take_cookie(self, cookie, url):
        self.go(url)
        self.marionette.call("WebDriver:AddCookie", cookie={"name": cookie["name"], "value": cookie["value"], "path": "/", "secure": True,
                                                            "httpOnly": True, "sameSite": "Strict"})

    @contextlib.contextmanager
    def unanswered_dialogue(self, seconds=4):
        """The browser asks for a name and a password, and nobody is there."""
        self.marionette.call("WebDriver:SetTimeouts", pageLoad=seconds * 1000)
        try:
            yield
        finally:
            with contextlib.suppress(MarionetteError):
                self.marionette.call("WebDriver:DismissAlert")
            self.marionette.call("WebDriver:SetTimeouts", pageLoad=SECONDS * 1000)

    def answer_dialogue(self, url, port, user, password):
        """Goes there with a password that is saved for the proxy: its dialogue comes filled in, and is confirmed."""
        self.marionette.script("""
            const login = Cc['@mozilla.org/login-manager/loginInfo;1'].createInstance(Ci.nsILoginInfo);
            login.init('moz-proxy://localhost:' + arguments[0], null, 'sallyport', arguments[1], arguments[2], '', '');
            const done = arguments[arguments.length - 1];
            Services.logins.addLoginAsync(login).then(() => done(true));""", (port, user, password), chrome=True, waits=True)
        self.script("location.href = arguments[0]", url)

        def accepted():
            with contextlib.suppress(MarionetteError):
                self.marionette.call("WebDriver:AcceptAlert")
                return True
        wait_until(accepted, "the dialogue of the proxy", SECONDS)

    def back(self):
        self.marionette.call("WebDriver:Back")

    def forward(self):
        self.marionette.call("WebDriver:Forward")

    def reload(self):
        with contextlib.suppress(MarionetteError):
            self.marionette.call("WebDriver:Refresh")

    def cookies(self):
        return self.inside("return Services.cookies.cookies.map(c => ({name: c.name, value: c.value, domain: c.host, path: c.path,"
                           " secure: c.isSecure, httpOnly: c.isHttpOnly, sameSite: c.sameSite}))")

    def close(self):
        with contextlib.suppress(Exception):
            self.marionette.close()
        super().close()
