"""sallyport-admin doctor and status: what is wrong, what mends it, and the exit status that says so."""
import contextlib
import json
import signal
import socket
import subprocess
import threading

import api
import pytest
from world import free_port, run, wait_until


class Names:
    """A name server that knows nobody (NXDOMAIN)."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                question, asker = self.socket.recvfrom(512)
                self.socket.sendto(question[:2] + b"\x81\x83" + question[4:6] + b"\0" * 6 + question[12:], asker)
            except OSError:
                return


@pytest.fixture
def names():
    server = Names()
    yield server
    server.socket.close()


def ask(world, *words):
    return subprocess.run([world.program("sallyport-admin"), "--socket", world.admin_socket, *words], text=True,
                          capture_output=True, check=False, timeout=120)


def doctor(world):
    """{check: [finding]} of what is not ok; and the exit status."""
    done = ask(world, "--json", "doctor")
    findings = json.loads(done.stdout)["findings"]
    assert all(finding["mend"] for finding in findings if finding["level"] != "ok"), "each with what mends it"
    bad = {}
    for finding in findings:
        if finding["level"] != "ok":
            bad.setdefault(finding["check"], []).append(finding["level"] + ": " + finding["sentence"])
    worst = {"ok": 0, "warning": 1, "error": 2}
    assert done.returncode == max(worst[finding["level"]] for finding in findings)
    return bad, done.returncode, {finding["check"] for finding in findings}


def settings(names):
    return [f'resolver = {{"127.0.0.1:{names.port}"}}', 'alert "log" { events = {"break-glass"}  to = "syslog+tcp://127.0.0.1:1" }']


# What this machine, and no setting of ours, may be short of.
MACHINE = {"clock", "disk"}


def test_a_healthy_gateway(new_world, names):
    world = new_world(settings=settings(names))
    wait_until(lambda: json.loads(world.admin("--json", "status"))["store_check"] == "good", "the look through the store")
    assert api.login(world).status == 200
    bad, _, looked_at = doctor(world)
    assert set(bad) <= MACHINE, bad
    assert looked_at >= {"configuration", "clock", "record", "signer", "walls", "disk", "names", "certificates"}
    text = ask(world, "doctor").stdout
    assert "ok       walls: " in text and "and each has its walls" in text and "was whole at the start" in text
    assert ask(world, "status", "--check").stdout == "ok: 1 sessions, 0 tunnels\n"
    assert "signer connected" in ask(world, "status").stdout


def test_what_is_broken_is_found_with_what_mends_it(new_world, names):
    weak = ['login_failures = 50', 'login_refusal = "0s"', 'lease = "48h"', 'conversations = 100']
    world = new_world(settings=weak + [f'resolver = {{"127.0.0.1:{free_port()}"}}', 'resolve_time_limit = "1s"'])
    run(["chmod", "644", world.path("etc", "device-ca.key")])
    world.path("etc", "audit.key").unlink()
    api.call(world, "GET", "/v1/session")
    bad, status, _ = doctor(world)
    assert status == 2
    assert bad["configuration"][0].startswith("error: a start or reload would be refused: ") and "chmod 600" in bad["configuration"][0]
    assert bad["names"] == ["error: no name server answers: targets with a name cannot be reached"]
    assert bad["alerts"] == ["warning: nobody is told when something happens"]
    run(["chmod", "600", world.path("etc", "device-ca.key")])
    bad, _, _ = doctor(world)
    assert "configuration" not in bad
    assert sorted(line.split(" = ")[0] for line in bad["settings"]) == ["warning: lease", "warning: login_failures", "warning: login_refusal"]
    assert bad["proof"][0].startswith("warning: no key signs the record")


class FalseMonitor:
    """Listens where an admin socket would be, so the kernel names this process as the gateway; what is asked goes to the real one."""

    def __init__(self, world):
        self.path, self.real = world.path("false.sock"), world.admin_socket
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(self.path))
        self.socket.listen(8)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            real = socket.socket(socket.AF_UNIX)
            real.connect(str(self.real))
            for one, other in ((peer, real), (real, peer)):
                threading.Thread(target=self.pump, args=(one, other), daemon=True).start()

    @staticmethod
    def pump(one, other):
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)


def test_a_wall_that_is_missing_is_seen(new_world, names):
    """A process that is called like a room, has the monitor as its parent, and no walls."""
    world = new_world(settings=settings(names))
    false, worker = FalseMonitor(world), world.path("sallyport-worker")
    run(["cp", "/bin/sleep", worker])
    stray = subprocess.Popen([worker, "60"])
    try:
        assert "walls" not in doctor(world)[0], "of the real one it is no part"
        done = subprocess.run([world.program("sallyport-admin"), "--socket", false.path, "--json", "doctor"], text=True,
                              capture_output=True, check=False, timeout=120)
        walls = [f for f in json.loads(done.stdout)["findings"] if f["check"] == "walls"]
        assert done.returncode == 2 and walls[0]["level"] == "error"
        assert [f["sentence"] for f in walls] == [f"sallyport-worker (process {stray.pid}) may gain privileges (no_new_privs is not set)"]
    finally:
        stray.kill()
        stray.wait()
        false.socket.close()


def test_a_gateway_that_does_not_answer(new_world, names):
    world = new_world(settings=settings(names))
    world.gateway.send_signal(signal.SIGTERM)
    world.gateway.wait()
    bad, status, _ = doctor(world)
    assert status == 2 and bad["gateway"][0].startswith("error: nobody answers at ")
    check = ask(world, "status", "--check")
    assert check.returncode == 2 and "does not answer" in check.stderr
