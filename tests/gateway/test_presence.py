"""presence: internal hosts ask whether a user is here now; a real sshd and a real sudo let in by the answer."""
import concurrent.futures
import contextlib
import json
import os
import pathlib
import pty
import select
import shutil
import signal
import subprocess
import sys
import time

import api
import clients
import pytest
from records import rows
from test_stacks import EtcWorld
from world import User, WorldError, answers, free_port, run, wait_until

PAM_SUCCESS, PAM_PERM_DENIED, PAM_AUTH_ERR, PAM_AUTHINFO_UNAVAIL, PAM_SILENT = 0, 6, 7, 9, 0x8000
HERE = pathlib.Path(__file__).resolve().parent


class Host:
    """An internal host: enrolled by `host invite`, with its profile where root would have it."""

    def __init__(self, world, name="db1"):
        self.world, self.name = world, name
        self.folder = world.private_folder("hosts", name)
        line = world.admin("host", "invite", name).strip()
        run([world.program("sallyport"), "enroll", line], env=world.laptop_environment(self.folder))
        self.profile = self.folder / "sallyport" / "profile"
        identity = self.folder / "sallyport" / "device.pem"
        world.laptops[name] = self
        self.certificate = self.key = identity

    def stack(self, module, arguments="", extra="", control="required"):
        folder = self.world.private_folder("hosts", "pam.d", os.urandom(4).hex())
        folder.joinpath("host").write_text("".join(f"{kind} {control} {module} presence profile={self.profile} {arguments}\n"
                                                   for kind in ("auth", "account")) + extra)
        return folder

    def authenticate(self, release, user="alice", arguments="", extra="", flags=0, phase="auth", control="required"):
        (module,) = pathlib.Path(release).rglob("pam_sallyport.so")
        done = subprocess.run([sys.executable, "-B", HERE.parent / "lib" / "pam_host.py",
                               self.stack(module, arguments, extra, control), "host", user, str(flags), phase],
                              text=True, capture_output=True, check=True, input="", timeout=60)
        return json.loads(done.stdout)

    def code(self, release, *arguments, **more):
        return self.authenticate(release, *arguments, **more)["code"]


@pytest.fixture(scope="module")
def host(world):
    return Host(world)


def ask(world, body, laptop="db1"):
    return api.call(world, "POST", "/v1/presence", body, laptop)


def test_present_while_the_session_lives(world, host, release):
    away = host.authenticate(release)
    assert away == {"code": PAM_AUTH_ERR, "said": [[3, "You are not logged in at the gateway."]]}
    assert host.authenticate(release, flags=PAM_SILENT) == {"code": PAM_AUTH_ERR, "said": []}
    token = api.login(world).body["session"]
    assert host.authenticate(release) == {"code": PAM_SUCCESS, "said": []}
    assert host.code(release, "bob") == PAM_AUTH_ERR
    assert api.call(world, "DELETE", "/v1/session", token=token).status == 200
    assert host.code(release) == PAM_AUTH_ERR
    found = rows(world, "SELECT code, user, device, detail FROM audit WHERE event = 'presence' ORDER BY sequence")
    assert found[0] == ("no_session", "alice", "db1", "for host: no: no live session")
    yes = [detail for code, _, _, detail in found if code == ""]
    assert len(yes) == 1 and yes[0].startswith("for host: yes: session ") and yes[0].endswith(" on alice-laptop")


@pytest.mark.skipif(os.geteuid() != 0, reason="an /etc of its own needs root")
def test_a_host_enrols_in_its_etc_as_the_manual_says(programs, release, scratch):
    """Then the module finds its profile without being told where."""
    world = EtcWorld(scratch, programs, quiet=True)
    try:
        world.start(["alice"])
        on_host = ["nsenter", f"--mount=/proc/{world.gateway.pid}/ns/mnt", "env"]
        line = world.admin("host", "invite", "db1").strip()
        told = run([*on_host, "XDG_CONFIG_HOME=/etc", world.program("sallyport"), "enroll", line])
        assert "Next: pam_sallyport in the PAM stacks of this host" in told
        (module,) = pathlib.Path(release).rglob("pam_sallyport.so")
        folder = world.private_folder("pam-of-host")
        folder.joinpath("host").write_text(f"auth required {module} presence\n")
        question = [*on_host, sys.executable, "-B", HERE.parent / "lib" / "pam_host.py", folder, "host", "alice", "0"]
        assert json.loads(run(question))["code"] == PAM_AUTH_ERR
        assert api.login(world).status == 200
        assert json.loads(run(question)) == {"code": PAM_SUCCESS, "said": []}
        run([*on_host, "XDG_CONFIG_HOME=/etc", world.program("sallyport"), "down"])
    finally:
        world.stop()


def test_a_locked_device_and_a_locked_user_are_not_present(new_world, release):
    world = new_world()
    host = Host(world)
    assert api.login(world).status == 200
    assert host.code(release) == PAM_SUCCESS
    world.admin("device", "lock", "alice-laptop")
    assert host.code(release) == PAM_AUTH_ERR
    assert api.login(world, "bob").status == 200
    assert host.code(release, "bob") == PAM_SUCCESS
    world.admin("account", "lock", "bob")
    assert host.code(release, "bob") == PAM_AUTH_ERR


def test_freshness(world, host, release):
    token = api.login(world).body["session"]
    assert host.code(release, arguments="fresh=10m") == PAM_SUCCESS
    stale = wait_until(lambda: (said := host.authenticate(release, arguments="fresh=1s"))["code"] == PAM_AUTH_ERR and said,
                       "the login to be old", 10)
    assert stale["said"] == [[3, "Your login at the gateway is too old for this: log in there again."]]
    assert api.call(world, "POST", "/v1/session/renew", token=token).status == 200  # no login: not fresher
    assert ask(world, {"user": "alice", "fresh": 1}).body == {"present": False, "code": "not_fresh"}
    assert ask(world, {"user": "alice", "fresh": 3600}).body == {"present": True, "code": ""}
    api.call(world, "DELETE", "/v1/session", token=token)


def test_sufficient_presence_spares_the_rest_of_the_stack(world, host, release):
    """Whoever is here is asked nothing more; whoever is not goes on to the rest, which decides."""
    deny, permit = "auth required pam_deny.so\n", "auth required pam_permit.so\n"
    assert host.code(release, extra=deny, control="sufficient") == PAM_AUTH_ERR
    assert host.code(release, extra=permit, control="sufficient") == PAM_SUCCESS
    token = api.login(world).body["session"]
    assert host.authenticate(release, extra=deny, control="sufficient") == {"code": PAM_SUCCESS, "said": []}
    assert host.code(release, "bob", extra=deny, control="sufficient") == PAM_AUTH_ERR
    api.call(world, "DELETE", "/v1/session", token=token)
    assert host.code(release, extra=deny, control="sufficient") == PAM_AUTH_ERR


def test_as_account_for_whom_the_stack_does_not_ask(world, host, release):
    """sshd after a public key alone runs no auth part."""
    assert host.code(release, phase="account") == PAM_PERM_DENIED
    token = api.login(world).body["session"]
    assert host.code(release, phase="account") == PAM_SUCCESS
    assert host.code(release, "bob", phase="account") == PAM_PERM_DENIED
    api.call(world, "DELETE", "/v1/session", token=token)
    assert host.code(release, arguments="via=vpn", phase="account") != PAM_SUCCESS


def test_the_very_connection(world, host):
    """By the ends of the tunnel's socket: not by somebody else's tunnel, and not by one that was."""
    token, bobs = api.login(world).body["session"], api.login(world, "bob").body["session"]
    target = f"127.0.0.1:{world.echo}"
    status, _, tunnel = clients.http1_connect(world, target, token)
    assert status == 200
    status, _, other = clients.http1_connect(world, f"127.0.0.1:{world.web}", bobs, "bob-laptop")
    assert status == 200

    def ends(port):
        found = run(["ss", "-tnH", "state", "established", f"dst 127.0.0.1:{port}"]).split()
        return [word for word in found if ":" in word]
    local, remote = ends(world.echo)[:2]
    assert remote == target
    here = {"user": "alice", "service": "sshd", "source": local, "target": target}
    assert ask(world, here).body == {"present": True, "code": ""}
    six = {**here, "source": local.replace("127.0.0.1", "[::ffff:127.0.0.1]"), "target": f"[::ffff:127.0.0.1]:{world.echo}"}
    assert ask(world, six).body["present"] is True
    bobs_local = ends(world.web)[0]
    for wrong in ({"user": "bob"}, {"source": "127.0.0.1:1"}, {"target": f"127.0.0.1:{world.web}"},
                  {"source": bobs_local, "target": f"127.0.0.1:{world.web}"}, {"source": local.replace("0.0.1", "0.0.2")}):
        answer = ask(world, {**here, **wrong})
        assert answer.body == {"present": False, "code": "not_through_gateway"}, (wrong, answer.text)
    (detail,) = rows(world, "SELECT DISTINCT detail FROM audit WHERE event = 'presence' AND detail LIKE '%by tunnel%'")
    assert "for sshd: yes: session" in detail[0]
    tunnel.close(), other.close()
    wait_until(lambda: ask(world, here).body["present"] is False, "the end of the tunnel", 10)
    api.call(world, "DELETE", "/v1/session", token=token)
    api.call(world, "DELETE", "/v1/session", laptop="bob-laptop", token=bobs)


@pytest.mark.parametrize("body", [{}, {"user": ""}, {"user": 1}, {"user": "a", "fresh": 0}, {"user": "a", "fresh": "1m"},
                                  {"user": "a", "source": "127.0.0.1:1"}, {"user": "a", "target": "127.0.0.1:1"},
                                  {"user": "a", "source": "localhost:1", "target": "127.0.0.1:1"}, {"user": "a", "x": 1},
                                  {"user": "a", "source": "127.0.0.1", "target": "127.0.0.1:1"},
                                  {"user": "a", "service": "s" * 65}, {"user": "a" * 257}])
def test_questions_that_make_no_sense(world, host, body):
    answer = ask(world, body)
    assert (answer.status, answer.body["code"]) == (400, "bad_request"), answer.text


def test_a_host_does_nothing_else_and_a_device_cannot_ask(world, host):
    token = api.login(world).body["session"]
    for method, path, body in (("POST", "/v1/login", {"user": "alice"}), ("GET", "/v1/session", None),
                               ("GET", "/v1/resources", None), ("DELETE", "/v1/session", None), ("GET", "/", None),
                               ("POST", "/v1/session/renew", None), ("POST", "/.well-known/est/simpleenroll", None)):
        refused = api.call(world, method, path, body, host.name, token)
        assert (refused.status, refused.body["code"]) == (403, "host_certificate"), (path, refused.text)
    status, problem, _ = clients.http1_connect(world, f"127.0.0.1:{world.echo}", token, host.name)
    assert status == 403 and json.loads(problem)["code"] == "host_certificate"
    assert api.call(world, "GET", "/v1/session", token=token).status == 200
    refused = ask(world, {"user": "alice"}, "alice-laptop")
    assert (refused.status, refused.body["code"]) == (404, "not_found")
    with pytest.raises(WorldError, match="bound to nobody"):
        world.admin("device", "bind", host.name, "--user", "alice")
    api.call(world, "DELETE", "/v1/session", token=token)


def test_the_desk_tells_hosts_and_devices_apart(world, host):
    assert host.name in world.admin("host", "list") and host.name not in world.admin("device", "list")
    assert "alice-laptop" not in world.admin("host", "list")
    assert "kind                     host" in world.admin("host", "show", host.name)
    with pytest.raises(WorldError, match="is no host"):
        world.admin("host", "revoke", "alice-laptop")
    assert rows(world, "SELECT kind FROM v_device WHERE name = ?", host.name) == [("host",)]
    assert rows(world, "SELECT event FROM audit WHERE device = ? ORDER BY sequence LIMIT 1", host.name) == [("host_invited",)]


def test_a_host_renews_its_certificate(new_world):
    world = new_world()
    host = Host(world)
    before = host.certificate.read_text()
    run([world.program("sallyport"), "renew"], env=world.laptop_environment(host.folder))
    assert host.certificate.read_text() != before
    assert ask(world, {"user": "alice"}).body == {"present": False, "code": "no_session"}
    run([world.program("sallyport"), "down"], env=world.laptop_environment(host.folder))


def test_a_revoked_host_and_a_gateway_that_is_gone(new_world, release):
    world = new_world()
    host, other = Host(world), Host(world, "db2")
    permit = "auth required pam_permit.so\n"
    assert api.login(world).status == 200
    assert host.code(release, extra=permit) == PAM_SUCCESS
    world.admin("host", "revoke", host.name)
    assert host.code(release, extra=permit) == PAM_AUTHINFO_UNAVAIL
    assert host.code(release, extra=permit, arguments="fallback=ignore") == PAM_AUTHINFO_UNAVAIL  # a no is no silence
    assert other.code(release, extra=permit) == PAM_SUCCESS
    impostor = other.folder / "impostor"
    impostor.write_text(other.profile.read_text().replace(str(other.folder / "sallyport" / "gateway-ca.crt"),
                                                          str(world.path("etc", "device-ca.crt"))))
    kept, other.profile = other.profile, impostor
    assert other.code(release, extra=permit, arguments="fallback=ignore") == PAM_AUTHINFO_UNAVAIL
    other.profile = kept
    world.gateway.kill()
    world.gateway.wait()
    assert other.code(release, extra=permit) == PAM_AUTHINFO_UNAVAIL
    assert other.code(release, arguments="fallback=deny timeout=500ms", extra=permit) == PAM_AUTHINFO_UNAVAIL
    assert other.code(release, arguments="fallback=ignore", extra=permit) == PAM_SUCCESS
    assert other.code(release, arguments="fallback=ignore") == PAM_PERM_DENIED  # nobody else says yes
    # A silent gateway costs the time limit, no more; a profile that is not root's to write is believed by nobody.
    began = time.monotonic()
    world.start_gateway()
    world.gateway.send_signal(signal.SIGSTOP)
    try:
        for pid in run(["ps", "--ppid", world.gateway.pid, "-o", "pid="]).split():
            os.kill(int(pid), signal.SIGSTOP)
        began = time.monotonic()
        assert other.code(release, arguments="timeout=700ms", extra=permit) == PAM_AUTHINFO_UNAVAIL
        assert 0.6 < time.monotonic() - began < 15
    finally:
        for pid in run(["ps", "--ppid", world.gateway.pid, "-o", "pid="]).split():
            os.kill(int(pid), signal.SIGCONT)
        world.gateway.send_signal(signal.SIGCONT)
    os.chmod(other.profile, 0o666)
    assert other.code(release, arguments="fallback=ignore", extra=permit) == PAM_AUTHINFO_UNAVAIL


def test_nothing_is_cached_and_many_ask_at_once(world, host, release):
    token = api.login(world).body["session"]
    before = rows(world, "SELECT count(*) FROM audit WHERE event = 'presence'")[0][0]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: host.code(release), range(8))) == [PAM_SUCCESS] * 8
    assert rows(world, "SELECT count(*) FROM audit WHERE event = 'presence'")[0][0] == before + 8
    api.call(world, "DELETE", "/v1/session", token=token)
    assert host.code(release) == PAM_AUTH_ERR


# ---- real sshd, real sudo ----

@pytest.fixture
def person(new_world, release):
    """A user of this machine who also is one of the gateway, a sshd that wants key and presence, and his sudo."""
    if os.geteuid() != 0:
        pytest.skip("sshd with PAM and sudo need root")
    name = "sp" + os.urandom(3).hex()
    home = pathlib.Path("/tmp") / f"sallyport-home-{name}"
    run(["useradd", "--no-log-init", "-M", "-d", home, "-s", "/bin/sh", "-p", "*", name])
    made = [pathlib.Path("/etc/pam.d") / f"sallyport-test-{name}", pathlib.Path("/etc/pam.d") / f"sallyport-sudo-{name}",
            pathlib.Path("/etc/sudoers.d") / f"sallyport-{name}"]
    try:
        home.mkdir(mode=0o700)
        shutil.chown(home, name)
        yield Person(new_world(), release, name, made)
    finally:
        for path in made:
            path.unlink(missing_ok=True)
        shutil.rmtree(home, ignore_errors=True)
        subprocess.run(["userdel", name], check=False, capture_output=True)


class Person:
    def __init__(self, world, release, name, files):
        self.world, self.name, self.port = world, name, free_port()
        self.laptop = f"{name}-laptop"
        world.users[name] = User(name)
        world.write_pam_stack()
        world.enroll(self.laptop, name)
        host = Host(world)
        (module,) = pathlib.Path(release).rglob("pam_sallyport.so")
        # As pam_sallyport(8) has them.
        files[0].write_text(f"auth required {module} presence profile={host.profile} via=gateway\n"
                            "account required pam_permit.so\nsession required pam_permit.so\n")
        files[1].write_text(f"auth required {module} presence profile={host.profile} via=gateway fresh=10m\n"
                            "account required pam_permit.so\nsession required pam_permit.so\n")
        files[2].write_text(f"Defaults:{name} pam_service={files[1].name}, !lecture, passwd_tries=1\n{name} ALL=(root) ALL\n")
        files[2].chmod(0o440)
        self.start_sshd(files[0].name)
        world.policy.write_text(world.policy.read_text() + f'''
resource "inner" {{ address = {{"127.0.0.1:{self.port}"}} }}
rule "he may" {{ users = {{"{name}"}}  resources = {{"inner"}} }}
''')
        world.admin("reload")

    def start_sshd(self, service):
        keys = self.world.path("ssh")
        sshd = keys / service
        sshd.symlink_to("/usr/sbin/sshd")
        conf = keys / "presence_config"
        conf.write_text(f"ListenAddress 127.0.0.1:{self.port}\nHostKey {keys}/host\nAuthorizedKeysFile {keys}/user.pub\n"
                        "PidFile none\nUsePAM yes\nStrictModes no\nPasswordAuthentication no\n"
                        "KbdInteractiveAuthentication yes\nAuthenticationMethods publickey,keyboard-interactive\nPrintMotd no\n")
        os.chmod(keys, 0o711)
        os.chmod(keys / "user.pub", 0o644)
        self.world.spawn("presence-sshd", [sshd, "-D", "-e", "-f", conf], lambda: answers(self.port))

    def ssh(self, command, through):
        keys, world = self.world.path("ssh"), self.world
        proxy = ["-o", f"ProxyCommand={world.program('sallyport')} -W %h:%p"] if through else []
        return subprocess.run(["ssh", "-F", "none", "-p", str(self.port), "-i", keys / "user", "-o", "StrictHostKeyChecking=no",
                               "-o", "UserKnownHostsFile=/dev/null", "-o", "IdentitiesOnly=yes", "-o", "NumberOfPasswordPrompts=1", *proxy,
                               f"{self.name}@127.0.0.1", command], text=True, capture_output=True, check=False, timeout=60,
                              stdin=subprocess.DEVNULL, start_new_session=True,
                              env=dict(world.client_environment(self.laptop), SSH_ASKPASS_REQUIRE="never"))

    def log_in(self):
        user = self.world.users[self.name]
        done = subprocess.run([self.world.program("sallyport"), "login", "--answers-from", "0"], text=True,
                              input=f"{user.password}\n{user.code()}\n", capture_output=True, check=False, timeout=30,
                              env=self.world.client_environment(self.laptop))
        assert done.returncode == 0, done.stderr

    def down(self):
        subprocess.run([self.world.program("sallyport"), "down"], env=self.world.client_environment(self.laptop), check=False)


def test_sshd_and_sudo_through_the_tunnel_and_beside_it(person):
    world = person.world
    assert person.ssh("echo inside", through=False).returncode != 0  # a key, but not logged in at all
    person.log_in()
    entered = person.ssh("echo inside; sudo -S -k -- id -un </dev/null", through=True)
    assert entered.stdout == "inside\nroot\n", entered.stderr + world.log_end("presence-sshd")
    beside = person.ssh("echo inside", through=False)
    assert beside.returncode != 0 and "inside" not in beside.stdout
    assert "This connection did not come through the gateway." in beside.stdout + beside.stderr
    found = rows(world, "SELECT code, detail FROM audit WHERE event = 'presence' AND user = ? ORDER BY sequence", person.name)
    assert [code for code, _ in found] == ["no_session", "", "", "not_through_gateway"]
    assert found[1][1].startswith("for sallyport-test-") and found[2][1].startswith("for sallyport-sudo-")
    person.down()


def test_sudo_wants_a_fresh_login(person):
    """The session lives on and opens the shell; sudo wants a login that is younger than the last one is by now."""
    world, sudo = person.world, "sudo -S -k -- id -un </dev/null; echo over"
    service = pathlib.Path("/etc/pam.d") / f"sallyport-sudo-{person.name}"
    stack = service.read_text()
    person.log_in()
    service.write_text(stack.replace("fresh=10m", "fresh=1s"))
    time.sleep(2)
    stale = person.ssh(sudo, through=True)
    assert stale.stdout == "over\n", stale.stdout
    assert "1 incorrect password attempt" in stale.stderr  # this sudo wants modules to be silent, and says so itself
    assert rows(world, "SELECT code FROM audit WHERE event = 'presence' AND detail LIKE 'for sallyport-sudo-%'") == [("not_fresh",)]
    service.write_text(stack.replace("fresh=10m", "fresh=1m"))
    person.log_in()
    assert person.ssh(sudo, through=True).stdout == "root\nover\n"
    person.down()


class Console:
    """login(1) on a terminal, as getty starts it; it sees this service file in the place of its own."""

    def __init__(self, service, name):
        self.text = ""
        mount = 'mount --bind "$0" /etc/pam.d/login && exec login "$1"'
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.execvp("unshare", ["unshare", "-m", "--propagation", "private", "sh", "-c", mount, str(service), name])

    def run(self, line):
        """Types that line as soon as something stands there, and reads to the end."""
        deadline, typed = time.monotonic() + 30, False
        while time.monotonic() < deadline:
            if not select.select([self.master], [], [], 0.2)[0]:
                continue
            try:
                self.text += os.read(self.master, 65536).decode(errors="replace")
            except OSError:
                break
            if not typed and self.text.rstrip(" ").endswith("$"):
                os.write(self.master, line.encode() + b"\n")
                typed = True
            if "login: " in self.text or "incorrect" in self.text:
                break
        return self.text

    def end(self):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.master)


def test_login_at_the_console(person):
    """A console has no way through the gateway: presence alone, as pam_sallyport(8) has it, here without a password behind it."""
    world = person.world
    service = world.path("hosts", "login-service")
    (sshd_stack,) = pathlib.Path("/etc/pam.d").glob(f"sallyport-test-{person.name}")
    service.write_text(sshd_stack.read_text().replace(" via=gateway", ""))

    def attempt():
        console = Console(service, person.name)
        try:
            return console.run("id -un; exit")
        finally:
            console.end()
    refused = attempt()
    assert "You are not logged in at the gateway." in refused and f"\n{person.name}\r" not in refused, refused
    person.log_in()
    entered = attempt()
    assert f"\n{person.name}\r\n" in entered, entered
    found = rows(world, "SELECT code FROM audit WHERE event = 'presence' AND detail LIKE 'for login: %' ORDER BY sequence")
    assert found[-1] == ("",) and set(found[:-1]) == {("no_session",)}
    person.down()


def test_sudo_of_one_who_came_beside(person):
    """Whoever is inside without the tunnel, or stays there when his connection ends, is nobody to sudo."""
    world = person.world
    person.log_in()
    service = pathlib.Path("/etc/pam.d") / f"sallyport-test-{person.name}"
    service.write_text("auth required pam_permit.so\naccount required pam_permit.so\nsession required pam_permit.so\n")
    sudo = "sudo -S -k -- id -un </dev/null"
    beside = person.ssh(f"{sudo}; echo inside", through=False)
    assert beside.stdout == "inside\n", beside.stdout
    # Neither an environment nor a descriptor of the user's own making helps.
    lying = person.ssh(f"SSH_CONNECTION='127.0.0.1 1 127.0.0.1 {person.port}' {sudo}; echo inside", through=False)
    assert lying.stdout == "inside\n", lying.stdout
    assert person.ssh(sudo, through=True).stdout == "root\n"
    detached = person.ssh(f"setsid -f sh -c 'sleep 1; {sudo} > ~/out 2>&1; echo done >> ~/out'; exit 0", through=True)
    assert detached.returncode == 0
    out = pathlib.Path(f"/tmp/sallyport-home-{person.name}/out")
    wait_until(lambda: out.exists() and "done" in out.read_text(), "the end of the detached sudo", 20)
    assert "root" not in out.read_text().split()
    person.down()
