"""A browser, as far as curl is one: it keeps cookies, says where its requests come from, and shows a proxy no token."""
import json
import pathlib
import subprocess
import tempfile

import api


class Reply:
    """Status, headers (lists, by lower-case name) and body of one answer; `error` where curl got none."""

    def __init__(self, head, body, error):
        lines = head.strip().splitlines() or ["HTTP/0 0"]
        self.status, self.error, self.text = int(lines[0].split()[1]), error, body
        self.version = lines[0].split()[0]
        self.headers = {}
        for name, _, value in (line.partition(":") for line in lines[1:]):
            self.headers.setdefault(name.lower(), []).append(value.strip())
        try:
            self.body = json.loads(body) if body else {}
        except ValueError:
            self.body = {}

    @property
    def set_cookie(self):
        return self.headers.get("set-cookie", [])


class CurlBrowser:
    def __init__(self, world, laptop="alice-laptop", version="--http2"):
        self.world, self.laptop, self.version = world, laptop, version
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="browser.", dir=world.folder))
        self.jar = self.folder / "cookies"

    def run(self, arguments):
        head, body = self.folder / "head", self.folder / "body"
        for path in (head, body):
            path.write_text("")
        done = subprocess.run([*api.curl_arguments(self.world, self.laptop), self.version, "-D", head, "-o", body, *arguments],
                              text=True, capture_output=True, check=False)
        # The last head: those of 100 Continue, and of a CONNECT, stand before it.
        return Reply(head.read_text().strip().replace("\r", "").split("\n\n")[-1], body.read_text(errors="replace"), done.stderr)

    def ask(self, method, path, body=None, headers=None, cookie=True):
        """`headers`: instead of what the gateway's own page would have a browser say."""
        own = {"Sec-Fetch-Site": "same-origin", **({"Origin": self.world.url} if method != "GET" else {})}
        arguments = ["-X", method, *(word for name, value in (own if headers is None else headers).items()
                                     for word in ("-H", f"{name}: {value}"))]
        if cookie:
            arguments += ["-b", self.jar, "-c", self.jar]
        if body is not None:
            arguments += ["-H", "Content-Type: application/json", "--data-binary", json.dumps(body)]
        return self.run([*arguments, self.world.url + path])

    def login(self, user="alice", answers=None, **more):
        """By the portal: the last reply."""
        person = self.world.users[user]
        left = [person.password] if answers is None else list(answers)
        reply = self.ask("POST", "/v1/login", {"user": user, "portal": True, **more})
        while reply.status == 200 and reply.body.get("state") in ("prompt", "info"):
            prompts = [m for m in reply.body["messages"] if m["style"] in ("secret", "text")]
            given = [left.pop(0) for _ in prompts]
            reply = self.ask("POST", "/v1/login/" + reply.body["conversation"], {"answers": given})
        return reply

    @property
    def token(self):
        """What the cookie holds; "" without one. Nobody but the browser and a thief reads it."""
        lines = self.jar.read_text().splitlines() if self.jar.exists() else []
        return "".join(line.split("\t")[6] for line in lines if "__Host-sallyport" in line)

    def browse(self, url, basic=None):
        """A page through the gateway (CONNECT): (status of the CONNECT, page)."""
        device = self.world.laptops[self.laptop]
        arguments = ["curl", "-sS", "--max-time", "40", "--proxy", self.world.url, "--proxytunnel", "--proxy-cacert",
                     self.world.path("etc", "server-ca.crt"), "--proxy-cert", device.certificate, "--proxy-key", device.key,
                     "-o", "-", "-w", "\n%{http_connect}", *(["--proxy-user", basic] if basic else []), url]
        done = subprocess.run(arguments, text=True, capture_output=True, check=False)
        page, _, status = done.stdout.rpartition("\n")
        return int(status or 0), page
