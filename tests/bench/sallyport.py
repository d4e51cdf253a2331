"""Sallyport itself: the demo's world (packaging/demo), with the bench's target allowed to alice, and her session.

What is known here of Sallyport is what a user knows: the demo's options and `env`, the policy's syntax, the login API.
"""
import base64
import hashlib
import hmac
import json
import os
import re
import shlex
import signal
import subprocess
import time
import urllib.parse

from materials import BUILD_FOLDER, ROOT, run
from peers import SALLYPORT, Peer
from processes import BenchError, Server, pinned

START_SECONDS = 120
POLICY_SECONDS = 15
LOGIN_ROUNDS = 10


def read_env(path):
    """The shell assignments of the demo's env, without a shell."""
    lines = (line.removeprefix("export ") for line in path.read_text().splitlines())
    return dict(re.match(r"(\w+)=(.*)", shlex.split(line)[0]).groups() for line in lines if "=" in line)


def one_time_code(secret, step):
    """RFC 6238, SHA-1, six digits."""
    digest = hmac.new(base64.b32decode(secret), step.to_bytes(8, "big"), hashlib.sha1).digest()
    offset = digest[-1] & 15
    return f"{(int.from_bytes(digest[offset:offset + 4], 'big') & 0x7FFFFFFF) % 1000000:06d}"


class Sallyport(Peer):
    name, kind, way = "sallyport", SALLYPORT, "h2"
    idle_kinds = ("connection", "tunnel")
    demo = ROOT / "packaging" / "demo"
    programs = None  # built once, used by each start
    build = ["env", f"SALLYPORT_BUILD_FOLDER={BUILD_FOLDER}-sallyport"]  # nobody else's build is disturbed

    def __init__(self, materials):
        super().__init__(materials)
        self.env = {}
        self.token_file = self.folder / "token"

    @classmethod
    def is_there(cls):
        return cls.demo.exists()

    @classmethod
    def prepare(cls, materials):
        """Builds the programs as the demo will, on both cores."""
        run([ROOT / "packaging" / "install-depends", "build", "demo"])
        cls.programs = materials.subfolder("programs")
        run([*cls.build, ROOT / "packaging" / "build-programs", cls.programs, "release"])

    def command(self):
        self.folder.chmod(0o711)
        if self.programs:
            (self.folder / "programs").symlink_to(self.programs)
        return [*self.build, self.demo, "--no-tour", "--no-install", "--dir", self.folder]

    def start(self):
        env = self.folder / "env"
        self.server = Server(self.name, self.command(), self.materials.server_core, self.materials.log(self.name))
        self.server.wait_until(env.exists, START_SECONDS)
        self.env = read_env(env)
        self.port = urllib.parse.urlsplit(self.env["SALLYPORT_URL"]).port
        self.allow_target()
        self.log_in()
        self.wait_for_policy()
        return self

    # ---- the target is allowed --------------------------------------------------------------------------------------

    def allow_target(self):
        with open(self.env["SALLYPORT_POLICY"], "a") as policy:
            policy.write(f'\nresource "bench" {{ address = {{"127.0.0.1:{self.target_port}"}} }}\n'
                         f'rule "bench" {{ users = {{"{self.env["SALLYPORT_USER"]}"}}  resources = {{"bench"}} }}\n')
        os.kill(int(self.env["SALLYPORT_GATEWAY_PID"]), signal.SIGHUP)

    def wait_for_policy(self):
        command = [str(word) for word in (self.materials.programs / "load", "tunnel", *self.load_options())]
        deadline = time.monotonic() + POLICY_SECONDS
        while True:
            done = subprocess.run(pinned(self.materials.load_core, command), input="go\nend\n", text=True,
                                  capture_output=True, check=False)
            if done.returncode == 0:
                return
            if time.monotonic() > deadline:
                raise BenchError(f"no tunnel to the target: {done.stderr.strip()}")
            time.sleep(0.2)

    # ---- the login --------------------------------------------------------------------------------------------------

    def call(self, path, body):
        """POST by curl; the body goes through a pipe, for it holds passwords."""
        curl = ["curl", "-sS", "--max-time", "40", "--cacert", self.env["SALLYPORT_CA"],
                "--cert", self.env["SALLYPORT_CERT"], "--key", self.env["SALLYPORT_KEY"],
                "-H", "Content-Type: application/json", "--data-binary", "@-", self.env["SALLYPORT_URL"] + path]
        return json.loads(run(curl, input=json.dumps(body)))

    def answer_to(self, asked):
        """The first prompt is for the password, the next ones for a one-time code that was not used yet."""
        if asked == 0:
            return self.env["SALLYPORT_PASSWORD"]
        return one_time_code(self.env["SALLYPORT_TOTP_SECRET"], int(time.time()) // 30 + asked - 1)

    def log_in(self):
        answer = self.call("/v1/login", {"user": self.env["SALLYPORT_USER"]})
        asked = 0
        for _ in range(LOGIN_ROUNDS):
            if answer.get("state") not in ("prompt", "info"):
                break
            prompts = [message for message in answer["messages"] if message["style"] in ("secret", "text")]
            given = [self.answer_to(asked + i) for i in range(len(prompts))]
            asked += len(given)
            answer = self.call("/v1/login/" + answer["conversation"], {"answers": given})
        if answer.get("state") != "granted":
            raise BenchError(f"the login was not granted: {answer}")
        self.token_file.touch(mode=0o600)
        self.token_file.write_text(answer["session"] + "\n")

    def load_options(self):
        return ["--way", "h2", "--port", self.port, "--target-port", self.target_port,
                "--authority", self.env["SALLYPORT_CA"], "--certificate", self.env["SALLYPORT_CERT"],
                "--key", self.env["SALLYPORT_KEY"], "--token-file", self.token_file, "--get", "/v1/session"]
