"""Real stacks in front of the gateway: pam_unix with its expired and locked accounts, pam_google_authenticator, pam_ldap
with a real slapd, a RADIUS challenge. Each test brings its server, and where a module knows only the system's files, an
/etc of its own.
"""
import os
import pathlib
import re
import shutil
import sqlite3
import subprocess
import tempfile
import time

import api
import pytest
from world import World, answers, free_port, run

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="accounts, mounts and servers need root")
AS_ROOT = ['conversation_user = "root"']  # pam_unix reads the shadow file


class EtcWorld(World):
    """The gateway and whatever joins it see a copy of /etc that is the test's to change."""

    @property
    def etc(self):
        return self.path("root-etc")

    def start_gateway(self):
        if not self.etc.exists():
            shutil.copytree("/etc", self.etc, symlinks=True, ignore_dangling_symlinks=True)
        os.makedirs("/run/nslcd", exist_ok=True)
        mounts = 'mount --bind "$0" /etc && mount -t tmpfs none /run/nslcd && exec "$@"'
        return self.spawn("gateway", ["unshare", "-m", "--propagation", "private", "sh", "-c", mounts, self.etc,
                                      self.program("sallyport-gateway"), "-f", self.conf], self.gateway_ready)

    def join(self, name, command, ready):
        return self.spawn(name, ["nsenter", f"--mount=/proc/{self.gateway.pid}/ns/mnt", *command], ready)

    def add_account(self, name, password, days_since_change=None, expires=""):
        hashed = run(["openssl", "passwd", "-6", "-stdin"], input=password).strip()
        changed = int(time.time()) // 86400 - 1 if days_since_change is None else days_since_change
        with self.etc.joinpath("passwd").open("a") as passwd, self.etc.joinpath("shadow").open("a") as shadow:
            passwd.write(f"{name}:x:23987:23987::/nonexistent:/bin/sh\n")
            shadow.write(f"{name}:{hashed}:{changed}:0:99999:7::{expires}:\n")

    def stack(self, *lines):
        self.path("etc", "pam.d", "sallyport").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def etc_world(programs):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="sallyport-test.", dir="/tmp"))
    world = EtcWorld(folder, programs, quiet=True, settings=[*AS_ROOT, f'pam_writable = {{"/etc", "{folder}/pam"}}'])
    try:
        world.start(["alice"])
        for name in ("erika", "lars"):
            world.admin("device", "bind", "alice-laptop", "--user", name)
        yield world
    finally:
        world.stop()
        shutil.rmtree(folder, ignore_errors=True)


def converse(world, script, user="alice"):
    """Answers each prompt with the next word of the first pattern that fits it. Returns the last answer and all that was said."""
    said, left = [], {pattern: list(words) for pattern, words in script}
    step = api.call(world, "POST", "/v1/login", {"user": user})
    while step.status == 200 and step.body["state"] != "granted":
        given = []
        for message in step.body["messages"]:
            said.append(message["text"].strip())
            if message["style"] in ("secret", "text"):
                pattern = next(p for p in left if re.search(p, message["text"], re.I))
                given.append(left[pattern].pop(0))
        step = api.call(world, "POST", "/v1/login/" + step.body["conversation"], {"answers": given})
    return step, said


def refusal(world, answer):
    with sqlite3.connect(f"file:{world.database}?mode=ro", uri=True) as database:
        return database.execute("SELECT detail FROM audit WHERE request_id = ?", (answer.body["request_id"],)).fetchone()[0]


# ---- pam_unix ----

UNIX = ("auth required pam_unix.so nodelay", "account required pam_unix.so", "password required pam_unix.so sha512 rounds=1000")


def test_pam_unix_wants_a_new_password_in_the_middle(etc_world):
    world = etc_world
    world.stack(*UNIX)
    world.add_account("alice", "old-Secret-1", days_since_change=0)
    answer, said = converse(world, [("^password", ["old-Secret-1"]), ("current", ["old-Secret-1"] * 2),
                                    ("new|retype", ["new-Secret-2", "something else", "x", "x", "new-Secret-2", "new-Secret-2"])])
    assert answer.status == 200, (said, refusal(world, answer))
    assert "Sorry, passwords do not match." in said  # then all over again
    assert any("change your password" in text for text in said)
    assert converse(world, [("^password", ["old-Secret-1"])])[0].status == 401
    assert converse(world, [("^password", ["new-Secret-2"])])[0].body["state"] == "granted"


def test_pam_unix_wrong_current_password_at_the_change(etc_world):
    world = etc_world
    world.stack(*UNIX)
    world.add_account("erika", "old-Secret-1", days_since_change=0)
    answer, _ = converse(world, [("^password", ["old-Secret-1"]), ("current", ["wrong"] * 3), ("new|retype", ["new-Secret-2"] * 4)],
                         "erika")
    assert answer.status == 401
    assert refusal(world, answer).startswith("PAM said no (account")
    shadow = world.etc.joinpath("shadow").read_text()
    assert re.search(r"^erika:[^:]+:0:", shadow, re.M)  # still the old one, still expired


def test_pam_unix_locked_and_expired_accounts(etc_world):
    world = etc_world
    world.stack(*UNIX)
    world.add_account("lars", "good-Secret-1", expires="1")
    late, _ = converse(world, [("^password", ["good-Secret-1"])], "lars")
    assert (late.status, late.body["code"]) == (401, "login_failed")
    assert "expired" in refusal(world, late)
    shadow = world.etc.joinpath("shadow")
    text = shadow.read_text()
    shadow.write_text(text.replace("lars:$6", "lars:!$6"))
    locked, _ = converse(world, [("^password", ["good-Secret-1"])], "lars")
    assert (locked.status, locked.body["code"], locked.body["detail"]) == (401, "login_failed", late.body["detail"])
    shadow.write_text(text.replace("::1:\n", ":::\n"))
    assert converse(world, [("^password", ["good-Secret-1"])], "lars")[0].body["state"] == "granted"


# ---- pam_google_authenticator ----

def test_pam_google_authenticator(new_world):
    world = new_world(settings=AS_ROOT)
    alice, state = world.users["alice"], world.path("pam", "alice.ga")
    state.write_text(f'{alice.secret_base32}\n" WINDOW_SIZE 17\n" DISALLOW_REUSE\n" TOTP_AUTH\n12345678\n')
    state.chmod(0o400)
    world.path("etc", "pam.d", "sallyport").write_text(
        f"auth requisite pam_pwdfile.so pwdfile={world.path('pam')}/passwd\n"
        f"auth required pam_google_authenticator.so secret={world.path('pam')}/${{USER}}.ga user=root no_strict_owner\n"
        "account required pam_permit.so\n")
    code = alice.code()
    good = api.login(world, code=code)
    assert good.status == 200, good.text
    assert api.login(world, code=code).status == 401
    assert api.login(world, code="12345678").status == 200
    assert api.login(world, code="12345678").status == 401


# ---- pam_ldap ----

LDIF = """dn: dc=corp,dc=example
objectClass: dcObject
objectClass: organization
o: Corp
dc: corp

dn: uid=alice,dc=corp,dc=example
objectClass: account
objectClass: posixAccount
objectClass: shadowAccount
uid: alice
cn: Alice
uidNumber: 23988
gidNumber: 23988
homeDirectory: /nonexistent
userPassword: directory-Secret
"""


def start_directory(world):
    folder, port = world.private_folder("ldap"), free_port()
    folder.joinpath("slapd.conf").write_text(
        "".join(f"include /etc/ldap/schema/{name}.schema\n" for name in ("core", "cosine", "nis"))
        + f"pidfile {folder}/pid\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\ndatabase mdb\nmaxsize 10485760\n"
          f"suffix dc=corp,dc=example\ndirectory {folder}/db\naccess to attrs=userPassword by anonymous auth by * none\n"
          "access to * by * read\n")
    folder.joinpath("db").mkdir()
    run(["/usr/sbin/slapadd", "-f", folder / "slapd.conf"], input=LDIF)
    world.spawn("slapd", ["/usr/sbin/slapd", "-f", folder / "slapd.conf", "-h", f"ldap://127.0.0.1:{port}", "-d", "0"],
                lambda: answers(port))
    world.etc.joinpath("nslcd.conf").unlink(missing_ok=True)
    world.etc.joinpath("nslcd.conf").write_text(f"uid root\nuri ldap://127.0.0.1:{port}\nbase dc=corp,dc=example\n"
                                               "bind_timelimit 1\nreconnect_sleeptime 1\nreconnect_retrytime 1\n")
    world.etc.joinpath("nslcd.conf").chmod(0o600)
    seen = f"/proc/{world.gateway.pid}/root/run/nslcd/socket"
    world.join("nslcd", ["/usr/sbin/nslcd", "-n"], lambda: os.path.exists(seen))


def test_pam_ldap_with_a_real_directory(etc_world):
    world = etc_world
    start_directory(world)
    world.stack("auth required pam_ldap.so", "account required pam_ldap.so")
    assert converse(world, [("password", ["wrong"])])[0].status == 401
    answer, _ = converse(world, [("password", ["directory-Secret"])])
    assert answer.status == 200, (answer.text, world.log_end("nslcd"), refusal(world, answer))
    assert answer.body["user"] == "alice"
    world.stop_process("slapd")
    assert converse(world, [("password", ["directory-Secret"])])[0].status == 401  # nobody to ask: no


# ---- RADIUS ----

RADIUS = """
prefix = /usr
localstatedir = {folder}
logdir = {folder}
run_dir = {folder}
pidfile = {folder}/pid
libdir = /usr/lib/freeradius
max_request_time = 10
log {{
	destination = stdout
}}
security {{
	allow_vulnerable_openssl = yes
}}
thread pool {{
	start_servers = 1
	max_servers = 4
	min_spare_servers = 1
	max_spare_servers = 2
}}
client here {{
	ipaddr = 127.0.0.1
	secret = shared
}}
modules {{
	always handled {{
		rcode = handled
	}}
}}
server default {{
	listen {{
		type = auth
		ipaddr = 127.0.0.1
		port = {port}
	}}
	authorize {{
		if (!&State) {{
			if (&User-Name == "alice" && &User-Password == "first-Secret") {{
				update reply {{
					Reply-Message := "Number on your token: "
					State := 0x0123456789abcdef
				}}
				update control {{
					Response-Packet-Type := Access-Challenge
				}}
				handled
			}}
			else {{
				update control {{
					Auth-Type := Reject
				}}
			}}
		}}
		elsif (&User-Password == "424242") {{
			update control {{
				Auth-Type := Accept
			}}
		}}
		else {{
			update control {{
				Auth-Type := Reject
			}}
		}}
	}}
}}
"""


def test_a_radius_challenge(new_world):
    world, port = new_world(settings=AS_ROOT), free_port()
    folder = world.private_folder("radius")
    folder.joinpath("radiusd.conf").write_text(RADIUS.format(folder=folder, port=port))
    folder.joinpath("dictionary").write_text("$INCLUDE /usr/share/freeradius/dictionary\n")
    log = world.path("log", "radius.log")
    world.spawn("radius", ["/usr/sbin/freeradius", "-f", "-l", "stdout", "-d", folder],
                lambda: "Ready to process requests" in log.read_text())
    servers = world.path("pam", "radius.servers")
    servers.write_text(f"127.0.0.1:{port} shared 3\n")
    servers.chmod(0o600)
    world.path("etc", "pam.d", "sallyport").write_text(
        f"auth required pam_radius_auth.so conf={servers}\naccount required pam_permit.so\n")
    answer, said = converse(world, [("password", ["first-Secret"]), ("token", ["424242"])])
    assert answer.status == 200, (said, refusal(world, answer), world.log_end("radius"))
    assert said == ["Password:", "Number on your token:"]
    assert converse(world, [("password", ["first-Secret"]), ("token", ["000000"])])[0].status == 401
    assert converse(world, [("password", ["wrong"])])[0].status == 401
    assert converse(world, [("password", ["first-Secret"])], "bob")[0].status == 401
