"""The walk through the main job, aloud: every step says what it shows, does it for real and checks the outcome."""
import pathlib
import socket
import subprocess
import threading
import time

import api
from world import WorldError, run, wait_until


class Tour:
    def __init__(self, world):
        self.world = world
        self.worked = True
        self.token = None
        # The codes of the tour are taken ahead of time, so that the present one stays unused for whoever
        # tries by hand.
        alice = world.users["alice"]
        alice._last_step = int(time.time()) // 30 + 8

    def walk(self):
        for step in (self.devices, self.door_one, self.login, self.wiki, self.portal, self.shell, self.refused, self.other_laptop,
                     self.revocation, self.record):
            title = step.__doc__.strip()
            print(f"\n--- {title}", flush=True)
            try:
                step()
            except (WorldError, OSError, subprocess.SubprocessError, AssertionError, KeyError) as error:
                print(f"    FAILED: {error}", flush=True)
                self.worked = False
        print("\nAll of it worked." if self.worked else "\nNot all of it worked.", flush=True)
        return self.worked

    def show(self, text):
        for line in str(text).rstrip().splitlines():
            print(f"    {line}", flush=True)

    def check(self, condition, what):
        if not condition:
            raise AssertionError(what)

    def client(self, *arguments, **options):
        command = [self.world.program("sallyport"), *arguments]
        return subprocess.run(command, env=self.world.client_environment(), text=True, capture_output=True,
                              check=False, **options)

    def devices(self):
        """Devices: one line from the admin, one command on the laptop; its key was made there and never leaves"""
        self.show("$ sallyport-admin device invite alice-laptop --user alice   (the line went to alice)")
        self.show("$ sallyport enroll LINE                                     (on alice's laptop)")
        self.show(self.world.admin("device", "list"))
        self.check("alice-laptop" in self.world.admin("device", "list"), "the laptop did not enrol")

    def door_one(self):
        """Door one: without a device certificate there is nothing to talk to"""
        done = subprocess.run(["curl", "-sS", "--cacert", str(self.world.path("etc", "server-ca.crt")),
                               self.world.url + "/v1/session"], text=True, capture_output=True, check=False)
        self.show(done.stderr)
        self.check(done.returncode != 0 and not done.stdout, "a client without certificate got an answer")

    def login(self):
        """Door two: alice answers PAM's questions (password, then one-time code) on her laptop"""
        alice = self.world.users["alice"]
        read_end, write_end = socket.socketpair()
        with read_end, write_end:
            write_end.sendall(f"{alice.password}\n{alice.code()}\n".encode())
            write_end.shutdown(socket.SHUT_WR)
            done = self.client("login", "--answers-from", str(read_end.fileno()), pass_fds=[read_end.fileno()])
        self.show(done.stdout + done.stderr)
        self.check(done.returncode == 0, "the login failed")
        self.show(self.client("ls").stdout)

    def wiki(self):
        """The wiki, through an unmodified curl that uses the gateway as its proxy"""
        answer = api.login(self.world)
        self.check(answer.status == 200, f"login by curl: {answer.text or answer.error}")
        self.token = answer.body["session"]
        page = self.through_proxy(f"http://127.0.0.1:{self.world.web}/")
        self.show(page.stdout or page.stderr)
        self.check("Company wiki" in page.stdout, "the wiki did not answer")

    def portal(self):
        """The portal, for a browser with the laptop's certificate: here curl with a cookie, no client, no token"""
        world, page = self.world, ["-H", "Accept: text/html"]
        self.show(f"$ curl -H 'Accept: text/html' {world.url}/     (your browser: that address)")
        self.check("<title>" in api.call(world, "GET", "/", extra=page).text, "the portal's page did not come")
        cookies = ["-b", str(world.private_folder("client") / "cookies"), "-c", str(world.private_folder("client") / "cookies")]
        answer = api.login(world, extra=cookies, portal=True)
        self.check(answer.status == 200 and "session" not in answer.body, f"login at the portal: {answer.text or answer.error}")
        self.show(api.call(world, "GET", "/v1/session", extra=cookies).text)
        page = self.through_proxy(f"http://127.0.0.1:{world.web}/", token="")
        self.show(page.stdout or page.stderr)
        self.check("Company wiki" in page.stdout, "the wiki did not answer a browser")

    def through_proxy(self, url, *extra, laptop="alice-laptop", token=None):
        device = self.world.laptops[laptop]
        # An empty token is no header, as from a browser.
        header = f"Proxy-Authorization: Bearer {self.token if token is None else token}" if token != "" else ""
        return subprocess.run(["curl", "-sS", "--max-time", "60", "--proxytunnel", "--proxy", self.world.url,
                               "--proxy-cacert", str(self.world.path("etc", "server-ca.crt")),
                               "--proxy-cert", str(device.certificate), "--proxy-key", str(device.key),
                               "--proxy-header", "@-", *extra, url],
                              input=header, text=True, capture_output=True, check=False)

    def ssh_command(self, *words):
        world, folder = self.world, self.world.path("ssh")
        proxy = f"{world.program('sallyport')} -W %h:%p"
        return ["ssh", "-F", "none", "-i", str(folder / "user"), "-o", f"UserKnownHostsFile={folder}/known_hosts",
                "-o", "BatchMode=yes", "-o", f"ProxyCommand={proxy}", "-p", str(world.ssh), "127.0.0.1", *words]

    def shell(self):
        """A real ssh, with `sallyport -W` as its ProxyCommand"""
        done = subprocess.run(self.ssh_command("echo hello from the shell host, as $(id -un)"), text=True,
                              env=self.world.client_environment(), capture_output=True, check=False, timeout=60)
        self.show(done.stdout + done.stderr)
        self.check(done.returncode == 0 and "hello from the shell host" in done.stdout, "ssh did not work")

    def refused(self):
        """A resource that no rule opens for alice, and why"""
        done = self.client("-W", f"127.0.0.1:{self.world.denied}", stdin=subprocess.DEVNULL)
        self.show(done.stderr)
        self.check(done.returncode != 0, "the refused resource was reached")
        self.show(self.world.admin("policy", "explain", "--user", "alice", "--device", "alice-laptop", "--to",
                                   f"127.0.0.1:{self.world.denied}"))

    def other_laptop(self):
        """Alice's password and code on bob's laptop: refused"""
        answer = api.login(self.world, "alice", "bob-laptop")
        self.show(answer.text)
        self.check(answer.status == 403, f"expected 403, got {answer.status}")

    def revocation(self):
        """A laptop is revoked in the middle of a transfer"""
        world = self.world
        big = pathlib.Path(world.path("wiki", "pages", "big"))
        with big.open("wb") as file:
            file.truncate(4 << 30)
        world.enroll("alice-tablet", "alice")
        answer = api.login(world, "alice", "alice-tablet")
        self.check(answer.status == 200, f"login: {answer.text or answer.error}")
        outcome = {}

        def transfer():
            outcome["done"] = self.through_proxy(f"http://127.0.0.1:{world.web}/big", "--limit-rate", "20M", "-o",
                                                 "/dev/null", laptop="alice-tablet", token=answer.body["session"])

        thread = threading.Thread(target=transfer)
        thread.start()
        wait_until(lambda: "alice-tablet" in world.admin("tunnel", "list"), "the transfer")
        time.sleep(0.5)
        self.show("$ sallyport-admin device revoke alice-tablet")
        self.show(world.admin("device", "revoke", "alice-tablet"))
        thread.join(20)
        self.check(not thread.is_alive(), "the transfer went on after the revocation")
        self.show(outcome["done"].stderr)
        self.check(outcome["done"].returncode != 0, "the transfer was not cut")
        big.unlink()

    def record(self):
        """What the record says, with plain sqlite3"""
        for query in ("SELECT * FROM v_session", "SELECT * FROM v_tunnel",
                      "SELECT * FROM v_audit ORDER BY 1 DESC LIMIT 8"):
            self.show(f"$ sqlite3 sallyport.db '{query}'")
            self.show(run(["sqlite3", "-readonly", "-header", "-column", self.world.database, query]))
