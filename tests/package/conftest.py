"""Packages and two machines for the package tests. Where they cannot be made, the tests are skipped and say why."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "package"))

from machine import Machine, run, wait_until, wire  # noqa: E402

# What the README takes for granted: the gateway's name, a host behind it, an account of the gateway's host.
GATEWAY, GATEWAY_INSIDE, LAPTOP, DATABASE = "192.0.2.1", "198.51.100.1", "192.0.2.2", "198.51.100.2"
SERVER = """
import socket, sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Wiki(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"only from inside")
    def log_message(self, *_):
        pass
def serve(client):
    with client:
        client.sendall(payload)
        client.shutdown(socket.SHUT_WR)
        while client.recv(65536):
            pass
def hold(client):
    with client:
        while data := client.recv(65536):
            client.sendall(data)
payload = open(sys.argv[1], "rb").read()
def listen(port, serve):
    with socket.create_server(("", port)) as listener:
        while True:
            threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
threading.Thread(target=listen, args=(5433, hold), daemon=True).start()
threading.Thread(target=ThreadingHTTPServer(("", 8080), Wiki).serve_forever, daemon=True).start()
listen(5432, serve)
"""


def reason_to_skip():
    if os.geteuid() != 0:
        return "machines are booted by root"
    for program in ("debootstrap", "systemd-nspawn", "apt-ftparchive", "rpm", "ip", "pgrep"):
        if not shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin"):
            return f"{program} is missing (packaging/install-depends package)"
    mounts = subprocess.run(["unshare", "-m", "sh", "-c", "umount -R /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup"],
                            text=True, capture_output=True, check=False)
    if mounts.returncode != 0:
        return f"no machine can be booted here: {mounts.stderr.strip()}"
    return None


@pytest.fixture(scope="session")
def built():
    """The folder of packaging/build: base (a minimal root) and repository."""
    reason = reason_to_skip()
    if reason:
        pytest.skip(reason)
    folder = pathlib.Path(os.environ.get("SALLYPORT_PACKAGES", ROOT / "build-packages"))
    done = subprocess.run([ROOT / "packaging" / "build", "--check", "--twice", "--dir", folder], text=True, capture_output=True, check=False)
    if done.returncode != 0 and "debootstrap" in done.stderr or "Failed getting release file" in done.stderr:
        pytest.skip(f"no mirror of Debian can be reached: {done.stderr.strip()[-300:]}")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def older(built, tmp_path_factory):
    """A repository with the same programs under a lower version: what an upgrade starts from."""
    folder = tmp_path_factory.mktemp("older")
    for package in built.joinpath("repository").glob("*.deb"):
        if "dbgsym" in package.name or "-doc" in package.name:
            continue
        tree = folder / "tree"
        run(["dpkg-deb", "-R", package, tree])
        control = tree / "DEBIAN" / "control"
        text = control.read_text()
        version = re.search(r"(?m)^Version: (.*)$", text).group(1)
        # Its packages want each other in the same version.
        text = text.replace(f"Version: {version}", "Version: 0.0.9-0sallyport1").replace(f"(= {version})", "(= 0.0.9-0sallyport1)")
        control.write_text(text)
        preinst = tree / "DEBIAN" / "preinst"
        if preinst.exists():
            preinst.write_text(re.sub(r"(?m)^this='.*'$", "this='0.0.9-0sallyport1'", preinst.read_text()))
        run(["dpkg-deb", "--root-owner-group", "-b", tree, folder / f"{package.name.split('_')[0]}_0.0.9.deb"])
        shutil.rmtree(tree)
    for file, command in (("Packages", ["packages", "."]), ("Release", ["release", "."])):
        folder.joinpath(file).write_text(run(["apt-ftparchive", *command], cwd=folder))
    return folder


class Day:
    """Gateway, laptop and the database's network."""

    def __init__(self, folder, built, repository):
        self.folder, self.database = folder, None
        self.payload = folder / "payload"
        self.payload.write_bytes(os.urandom(8 << 20))
        self.gateway = Machine(built / "base", folder, "gateway")
        self.laptop = Machine(built / "base", folder, "laptop")
        self.gateway.add_repository(repository, "sallyport-gateway")
        self.laptop.add_repository(repository, "sallyport")
        shutil.copytree(built / "repository", self.gateway.root / "srv" / "newer")
        self.gateway.chroot("useradd", "--create-home", "--groups", "staff", "alice")
        self.gateway.chroot("chpasswd", input="alice:correct horse battery\n")
        self.laptop.chroot("useradd", "--create-home", "--shell", "/bin/bash", "alice")
        self.laptop.chroot("apt-get", "install", "-y", "-q", "curl")  # stands in for a browser
        self.gateway.knows_host("db1", DATABASE)
        self.laptop.knows_host("gw.example.com", GATEWAY)

    def start(self):
        self.gateway.boot()
        self.laptop.boot()
        self.database = subprocess.Popen(["unshare", "-n", "/usr/bin/python3", "-B", "-c", "import sys\nsys.stdin.readline()\n" + SERVER,
                                          str(self.payload)], stdin=subprocess.PIPE)
        # The network namespace is there when unshare has become python.
        wait_until(lambda: "python3" in pathlib.Path(f"/proc/{self.database.pid}/cmdline").read_text().split("\0")[0],
                   "the database's start")
        wire(self.gateway.leader, "outside", GATEWAY + "/24", self.laptop.leader, "home", LAPTOP + "/24")
        wire(self.gateway.leader, "inside", GATEWAY_INSIDE + "/24", self.database.pid, "db", DATABASE + "/24")
        self.database.stdin.write(b"go\n")
        self.database.stdin.flush()
        return self

    def stop(self):
        if self.database:
            self.database.kill()
            self.database.wait()
        self.laptop.stop()
        self.gateway.stop()


@pytest.fixture(scope="module")
def day(built, older):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="sallyport-package.", dir="/var/tmp"))
    made = Day(folder, built, older)
    try:
        yield made.start()
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)
