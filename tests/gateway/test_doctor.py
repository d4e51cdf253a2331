"""sallyport-admin doctor and status: what is wrong, what mends it, and the exit status that says so."""
import contextlib
import ctypes
import json
import os
import pathlib
import signal
import socket
import sqlite3
import struct
import subprocess
import threading

import api
import pytest
from trouble import Disk
from world import WorldError, free_port, run, wait_until
from wrong_clock import wrong_clock

ROOT = pathlib.Path(__file__).resolve().parents[2]


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


def looked(world, *words, environment=None, program=None):
    """All findings."""
    done = subprocess.run([program or world.program("sallyport-admin"), "--socket", world.admin_socket, "--json", "doctor", *words], text=True,
                          capture_output=True, check=False, timeout=120, env=environment)
    findings = json.loads(done.stdout)["findings"]
    assert done.returncode == max({"ok": 0, "warning": 1, "error": 2}[finding["level"]] for finding in findings)
    return findings


def found(world, words, *arguments, **options):
    """The one finding whose sentence holds these words, else None."""
    fitting = [finding for finding in looked(world, *arguments, **options) if words in finding["sentence"] and finding["level"] != "ok"]
    assert len(fitting) < 2, fitting
    return fitting[0] if fitting else None


def mend(world, finding):
    """Runs what the finding says, as an admin of this world would."""
    programs = f"{world.programs}/bin:{world.programs}/sbin"
    return subprocess.run(["sh", "-ec", finding["mend"]], text=True, capture_output=True, check=True, timeout=60,
                          env=dict(os.environ, PATH=f"{programs}:{os.environ['PATH']}", SALLYPORT_ADMIN_SOCKET=str(world.admin_socket)))


def test_settings_that_are_weaker_than_the_defaults(new_world, names):
    weak = ['login_failures = 50', 'login_refusal = "0s"', 'lease = "48h"', 'conversations = 100']
    world = new_world(settings=settings(names) + weak)
    bad, status, _ = doctor(world)
    assert sorted(line.split(" = ")[0] for line in bad["settings"]) == ["warning: lease", "warning: login_failures", "warning: login_refusal"]
    assert "warning: lease = 2d is weaker than the default, 12h" in bad["settings"] and status >= 1


def test_H3_no_key_is_insecure_by_name():
    """There is no such key today. Whoever adds one finds it told at every start and by doctor, or this fails."""
    keys = [line for line in ROOT.joinpath("include/sallyport/conf.h").read_text().splitlines() if "insecure_" in line]
    assert keys == [], "announce them at the start, and test here that doctor calls them errors"


def test_a_name_server_that_does_not_answer(new_world, names):
    world = new_world(settings=[f'resolver = {{"127.0.0.1:{free_port()}"}}', 'resolve_time_limit = "1s"'])
    bad, status, _ = doctor(world)
    assert bad["names"] == ["error: no name server answers: targets with a name cannot be reached"] and status == 2
    assert bad["alerts"] == ["warning: nobody is told when something happens"]
    world.conf.write_text(world.conf.read_text().replace("resolver = ", f'resolver = {{"127.0.0.1:{names.port}"}}\n#'))
    assert "look at resolver" in found(world, "no name server answers")["mend"]
    world.admin("reload")
    assert not found(world, "no name server")


@pytest.mark.parametrize("file, words", [("device-ca.key", "others can read"), ("server.key", "others can read"), ("audit.key", "others can read"),
                                         ("factor.key", "others can read"), ("policy.conf", "others can write")])
def test_a_file_with_a_wrong_mode(world, file, words):
    path = world.path("etc", file)
    mode = path.stat().st_mode & 0o777
    path.chmod(0o666)
    finding = found(world, f"a start or reload would be refused: sallyport-gateway: {words} {path}")
    assert (finding["level"], finding["check"]) == ("error", "configuration") and finding["mend"].endswith(str(path))
    mend(world, finding)
    assert not found(world, "would be refused")
    path.chmod(mode)


def test_a_stack_that_is_missing(world):
    stack = world.path("etc", "pam.d", "sallyport")
    stack.rename(stack.with_name("elsewhere"))
    finding = found(world, f"the PAM stack {stack} cannot be read")
    assert (finding["level"], finding["check"]) == ("error", "configuration")
    stack.with_name("elsewhere").rename(stack)
    assert not found(world, "would be refused")


def test_a_store_that_others_can_read(world):
    world.database.chmod(0o644)
    finding = found(world, f"others can read or write {world.database} (mode 0644)")
    assert finding["level"] == "error"
    mend(world, finding)
    assert not found(world, "others can read") and world.database.stat().st_mode & 0o777 == 0o600


def test_a_record_that_nobody_signs(new_world, names):
    world = new_world(settings=settings(names), laptops=())
    for name in ("audit.key", "audit.pub"):
        world.path("etc", name).unlink()
    finding = found(world, "no key signs the record")
    assert (finding["level"], finding["check"]) == ("warning", "proof") and finding["mend"].startswith("sallyport-admin audit key")
    world.admin("audit", "key", "--dir", world.path("etc"))
    world.admin("reload")
    assert not found(world, "no key signs the record")


# ---- the clock ----


def test_the_clock_as_the_kernel_sees_it(world):
    """STA_UNSYNC of adjtimex(2), the same question asked here."""
    state = (ctypes.c_byte * 1024)()
    assert ctypes.CDLL(None, use_errno=True).adjtimex(state) >= 0
    unsynchronised = struct.unpack_from("i", state, 40)[0] & 0x40
    assert bool(found(world, "nothing keeps the clock right")) == bool(unsynchronised)
    assert any(finding["check"] == "clock" and finding["level"] == ("warning" if unsynchronised else "ok") for finding in looked(world))


def by_clock(world, release, ahead_s):
    return {"environment": dict(os.environ, **wrong_clock(world, ahead_s)), "program": f"{release}/bin/sallyport-admin"}


def test_a_clock_that_is_wrong(world, release):
    """What it is by doctor's clock; the gateway's is right."""
    api.call(world, "GET", "/v1/session")
    behind, ahead = by_clock(world, release, -2 * 86400), by_clock(world, release, 4000 * 86400)
    finding = found(world, "which is yet to come", **behind)
    assert (finding["level"], finding["check"]) == ("error", "clock") and "timedatectl" in finding["mend"]
    early = [line["sentence"] for line in looked(world, **behind) if line["check"] == "certificates" and line["level"] == "error"]
    assert len(early) == 3 and all(line.endswith("has not begun yet") for line in early)
    late = [line["sentence"] for line in looked(world, **ahead) if line["check"] == "certificates" and line["level"] == "error"]
    assert len(late) == 3 and all("has ended (" in line for line in late)
    assert not found(world, "which is yet to come", **by_clock(world, release, 30)), "half a minute is nothing"


# ---- the disk ----


def test_a_disk_that_is_nearly_full(new_world, names):
    world = new_world(settings=settings(names), laptops=())
    disk = Disk(world)
    try:
        finding = found(world, f"are free where {world.database} lies; without room nothing new is granted")
        assert (finding["level"], finding["check"]) == ("error", "disk") and "audit_keep" in finding["mend"]
        run(["mount", "-o", "remount,size=512m", disk.folder])
        assert not found(world, "are free where")
    finally:
        world.stop_process("gateway")
        disk.away()


def damage(world, table):
    """Its first page is overwritten."""
    with sqlite3.connect(world.database) as database:
        database.execute("PRAGMA journal_mode = DELETE")
        page, size = database.execute("SELECT rootpage, (SELECT page_size FROM pragma_page_size) FROM sqlite_master WHERE name = ?", [table]).fetchone()
    database.close()
    with world.database.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)


def test_a_store_that_is_damaged(new_world, names):
    """Where nobody looks at the start, and where it keeps the gateway from starting; what mends it, with a backup, is run."""
    world = new_world(settings=settings(names), laptops=())
    backup = world.path("good.backup")
    world.admin("backup", backup, "--store", world.database)
    world.stop_process("gateway")
    damage(world, "factor_recovery")
    world.start_gateway()
    finding = wait_until(lambda: found(world, "the store is damaged"), "the look through the store")
    assert (finding["level"], finding["check"]) == ("error", "record") and finding["mend"].startswith("sallyport-admin restore")
    world.stop_process("gateway")
    damage(world, "shadow_row")
    with pytest.raises(WorldError, match="malformed"):
        world.start_gateway()
    finding = found(world, f"{world.database}: the store is damaged", "--conf", world.conf)
    assert (finding["level"], finding["check"]) == ("error", "record") and finding["mend"].startswith("sallyport-admin restore")
    world.admin("restore", backup, "--store", world.database)
    world.start_gateway()
    wait_until(lambda: json.loads(world.admin("--json", "status"))["store_check"] == "good", "the look through the store")
    assert not found(world, "the store is damaged")


# ---- certificates of the house ----


def issue_until(world, which, days):
    """The file's certificate once more, with the same key, until then; `which` is its own authority or server-ca's."""
    path, key = world.path("etc", f"{which}.crt"), world.path("etc", f"{which}.key")
    request = run(["openssl", "x509", "-x509toreq", "-copy_extensions", "copyall", "-in", path, "-signkey", key])
    signer = ["-signkey", key] if which != "server" else ["-CA", world.path("etc", "server-ca.crt"), "-CAkey", world.path("etc", "server-ca.key")]
    made = run(["openssl", "x509", "-req", "-days", days, "-copy_extensions", "copyall", *signer], input=request)
    path.write_text(made)
    world.admin("reload")


def test_certificates_that_end_soon(new_world, names):
    world = new_world(settings=settings(names), laptops=())
    issue_until(world, "server", "5")
    finding = found(world, "the gateway's certificate localhost ends at ")
    assert (finding["level"], finding["check"], finding["mend"]) == ("warning", "certificates", "sallyport-admin server renew")
    mend(world, finding)
    assert not found(world, "the gateway's certificate")
    issue_until(world, "device-ca", "40")
    finding = found(world, "the device authority ")
    assert " ends at " in finding["sentence"] and finding["level"] == "warning" and finding["mend"].startswith("sallyport-admin ca rotate")
    mend(world, dict(finding, mend="sallyport-admin ca rotate"))
    (former,) = [row for row in json.loads(world.admin("--json", "ca", "show")) if row["role"] == "trusted"]
    world.admin("ca", "drop", former["fingerprint"])
    assert not found(world, "the device authority")
    issue_until(world, "server-ca", "20")
    finding = found(world, "the gateway's authority ")
    assert finding["level"] == "warning" and "handbook" in finding["mend"]


def test_a_certificate_from_elsewhere_is_not_ours_to_renew(new_world, names):
    world = new_world(settings=settings(names), laptops=())
    issue_until(world, "server", "5")
    with world.conf.open("a") as conf:
        conf.write('server_authority_key = ""\n')
    world.admin("reload")
    assert found(world, "the gateway's certificate")["mend"] == f"put the next one into {world.path('etc', 'server.crt')}, then sallyport-admin reload"


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


# A process that is called like a room and builds so many walls, in the order of the table in src/admin/walls_look.c.
STRAY = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static void take_identity(int walls)
{
	if (walls > 3)
		for (int i = 0; prctl(PR_CAPBSET_DROP, i) == 0; i++)
			;
	if (setgroups(0, 0) || setresgid(64199, 64199, 64199) || setresuid(64199, 64199, 64199))
		abort();
}

static void leave(int walls)
{
	if (walls > 5 && unshare(CLONE_NEWNET))
		abort();
	if (walls > 6 && (unshare(CLONE_NEWNS) || mount(0, "/", 0, MS_REC | MS_PRIVATE, 0)))
		abort();
	if (walls > 7 && (mount("empty", "/proc", "tmpfs", MS_RDONLY, "mode=0111") || chdir("/proc") || syscall(SYS_pivot_root, ".", ".") ||
			  umount2(".", MNT_DETACH) || chdir("/")))
		abort();
}

int main(int count, char **arguments)
{
	int walls = atoi(arguments[count - 1]);
	struct sock_filter all[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
	struct sock_fprog filter = {1, all};
	if (walls < 10)
		open("/etc/passwd", O_RDONLY);
	if (walls < 9)
		mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	leave(walls);
	if (walls > 2)
		take_identity(walls);
	prctl(PR_SET_DUMPABLE, walls < 5);
	if (walls > 0)
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (walls > 1 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter))
		abort();
	write(1, "x", 1);
	pause();
}
"""
MISSING = ["may gain privileges (no_new_privs is not set)", "has no filter of system calls (seccomp)",
           "runs as root or as the monitor does, or in other groups than its own", "has capabilities, or could get some",
           "can be dumped, and traced by its own user", "has a network", "shares the host's mounts",
           "sees files (its root is not empty)", "has memory that can be written and executed", "has files open"]


def test_each_wall_that_is_missing_is_seen(new_world, names):
    """Processes that are called like a worker, have the monitor as their parent, and one wall more each."""
    world = new_world(settings=settings(names))
    false, worker = FalseMonitor(world), world.path("sallyport-worker")
    worker.with_suffix(".c").write_text(STRAY)
    run(["cc", "-o", worker, worker.with_suffix(".c")])
    strays = [subprocess.Popen([worker, str(walls)], stdout=subprocess.PIPE) for walls in range(len(MISSING) + 1)]
    try:
        assert all(stray.stdout.read(1) == b"x" for stray in strays)
        assert "walls" not in doctor(world)[0], "of the real one they are no part"
        done = subprocess.run([world.program("sallyport-admin"), "--socket", false.path, "--json", "doctor"], text=True,
                              capture_output=True, check=False, timeout=120)
        walls = [f for f in json.loads(done.stdout)["findings"] if f["check"] == "walls"]
        assert done.returncode == 2 and {finding["level"] for finding in walls} == {"error"}
        assert {f["sentence"] for f in walls} == {f"sallyport-worker (process {stray.pid}) {missing}" for stray, missing in zip(strays, MISSING)}
    finally:
        for stray in strays:
            stray.kill()
            stray.wait()
        false.socket.close()


def test_a_gateway_that_does_not_answer(new_world, names):
    world = new_world(settings=settings(names))
    world.gateway.send_signal(signal.SIGTERM)
    world.gateway.wait()
    bad, status, _ = doctor(world)
    assert status == 2 and bad["gateway"][0].startswith("error: nobody answers at ")
    assert not [line for line in looked(world, "--conf", world.conf) if line["level"] == "error" and line["check"] != "gateway"]
    check = ask(world, "status", "--check")
    assert check.returncode == 2 and "does not answer" in check.stderr
