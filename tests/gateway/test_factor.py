"""The second factor that the gateway keeps: pam_sallyport in the gateway's own stack, behind a password module."""
import base64
import concurrent.futures
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

import api
import pytest
from records import rows
from world import User, WorldError, answers, free_port


def use_module(world, arguments=""):
    """A password, then the gateway's own factor, as pam_sallyport(8) has it."""
    (module,) = pathlib.Path(world.programs).rglob("pam_sallyport.so")
    socket_path = world.path("run", "factor.sock")
    world.path("etc", "pam.d", "sallyport").write_text(
        f"auth requisite pam_pwdfile.so pwdfile={world.path('pam', 'passwd')}\n"
        f"auth required {module} factor socket={socket_path} {arguments}\n"
        "account required pam_permit.so\n")
    return world


def take_secret(world, user, text):
    """The person scans the code: from now on user.code() is what the app shows."""
    secret = re.search(r"secret(?: there)?: ([A-Z2-7]{32})", text).group(1)
    world.users[user].secret = base64.b32decode(secret)
    world.users[user]._last_step = int(time.time()) // 30 - 1


def add(world, user="alice"):
    text = world.admin("account", "factor", "add", user)
    take_secret(world, user, text)
    return text, re.findall(r"[a-z2-7]{4}-[a-z2-7]{4}-[a-z2-7]{4}", text)


@pytest.fixture
def factor_world(new_world):
    return use_module(new_world(settings=['factor_window = "10"', 'factor_attempts = "3"']))


def test_an_added_factor_opens_and_the_password_alone_does_not(factor_world):
    world = factor_world
    text, _ = add(world)
    assert "\u2588" in text and "otpauth://totp/localhost:alice?secret=" in text
    assert api.login(world).status == 200
    assert api.login(world, code="000000").status == 401
    assert api.login(world, code=" ").status == 401
    assert api.login(world, "bob").status == 401  # he has none
    assert rows(world, "SELECT code FROM audit WHERE event = 'factor' AND user = 'bob'") == [("factor_none",)]


def test_A11_a_code_is_replayed_at_the_same_second_from_another_connection(factor_world):
    world = factor_world
    add(world)
    alice = world.users["alice"]
    code = alice.code()
    begun = [api.call(world, "POST", "/v1/login", {"user": "alice"}) for _ in range(3)]
    for login in begun:
        answer = api.call(world, "POST", "/v1/login/" + login.body["conversation"], {"answers": [alice.password]})
        assert answer.body["state"] == "prompt"
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        results = list(pool.map(lambda login: api.call(world, "POST", "/v1/login/" + login.body["conversation"],
                                                       {"answers": [code]}), begun))
    assert sorted(r.status for r in results) == [200, 401, 401]
    found = rows(world, "SELECT code FROM audit WHERE event = 'factor' ORDER BY code")
    assert found == [("",), ("factor_replayed",), ("factor_replayed",)]


def test_A11_a_code_stays_used_after_the_gateway_was_killed(factor_world):
    world = factor_world
    add(world)
    code = world.users["alice"].code()
    assert api.login(world, code=code).status == 200
    world.gateway.kill()
    world.gateway.wait()
    world.start_gateway()
    assert api.login(world, code=code).status == 401
    assert api.login(world).status == 200


def test_the_sealed_envelope(new_world):
    """Codes on paper for the emergency door: each opens once and is an alarm; new ones make the old sheet worthless."""
    world = use_module(new_world(settings=['realm "glass" { pam_service = "sallyport"  break_glass = true }', "login_failures = 50"]))

    def enter(code):
        answer = api.call(world, "POST", "/v1/login", {"user": "alice", "realm": "glass"})
        left = [world.users["alice"].password, code]
        while answer.status == 200 and answer.body.get("state") in ("prompt", "info"):
            given = [left.pop(0) for m in answer.body.get("messages", []) if m["style"] in ("secret", "text")]
            answer = api.call(world, "POST", "/v1/login/" + answer.body["conversation"],
                              {"answers": given if answer.body["state"] == "prompt" else []})
        return answer.status

    def sheet():
        text = world.admin("account", "factor", "codes", "alice")
        assert "Nothing of this can be shown again" in text and "secret" not in text
        return re.findall(r"[a-z2-7]{4}-[a-z2-7]{4}-[a-z2-7]{4}", text)
    with pytest.raises(WorldError, match="alice has no second factor; add one first"):
        sheet()
    add(world)
    old, new = sheet(), sheet()
    assert len(new) == 10 and not set(old) & set(new)
    assert enter(old[0]) == 401 and enter(new[0]) == 200 and enter(new[0]) == 401 and enter(new[1]) == 200
    alarms = [code for (code,) in rows(world, "SELECT code FROM audit WHERE event = 'alarm' ORDER BY sequence")]
    assert alarms == ["break_glass_failed", "break_glass", "break_glass_failed", "break_glass"]
    assert "recovery codes           8\n" in world.admin("account", "factor", "show", "alice")
    assert rows(world, "SELECT count(*) FROM audit WHERE event = 'factor_codes'") == [(2,)]
    shown = json.loads(world.admin("--json", "account", "factor", "show", "alice"))
    used = [at for (at,) in rows(world, "SELECT at FROM audit WHERE event = 'factor' AND code = '' ORDER BY sequence")]
    assert shown["recovery_left"] == 8 and len(shown["recovery_used_at"]) == len(used) == 2, "when each was used"
    assert all(clock.startswith(time.strftime("%Y-%m-%dT%H:%M", time.gmtime(at / 1000))) for clock, at in zip(shown["recovery_used_at"], used))
    assert world.admin("account", "factor", "revoke-codes", "alice") == "no recovery code of alice is good any more; the second factor stays\n"
    assert enter(new[2]) == 401 and "active" in world.admin("account", "factor", "show", "alice")
    assert json.loads(world.admin("--json", "account", "factor", "show", "alice"))["recovery_used_at"] == shown["recovery_used_at"]
    with pytest.raises(WorldError, match="alice has no recovery codes that are good"):
        world.admin("account", "factor", "revoke-codes", "alice")
    assert rows(world, "SELECT code, detail FROM audit WHERE event = 'factor_codes_revoked'") == [("", "the recovery codes that were left; by root (uid 0)")]
    assert len(sheet()) == 10 and enter(world.users["alice"].code()) == 200
    kept = world.database.read_bytes() + world.database.with_name("sallyport.db-wal").read_bytes()
    assert not any(code.encode() in kept or code.replace("-", "").encode() in kept for code in new)


def test_A11_a_recovery_code_works_once(factor_world):
    world = factor_world
    _, recovery = add(world)
    assert len(set(recovery)) == 10
    assert api.login(world, code=recovery[0]).status == 200
    assert api.login(world, code=recovery[0]).status == 401
    assert api.login(world, code=recovery[1].upper().replace("-", " ")).status == 200
    assert "recovery codes           8\n" in world.admin("account", "factor", "show", "alice")


def test_A10_wrong_codes_are_counted_in_the_store_and_make_wait(factor_world):
    world = factor_world
    add(world)
    for _ in range(3):
        assert api.login(world, code="000000").status == 401
    world.gateway.kill()
    world.gateway.wait()
    world.start_gateway()
    good = world.users["alice"].code()
    assert api.login(world, code=good).status == 401
    assert rows(world, "SELECT failures FROM factor") == [(3,)]
    assert rows(world, "SELECT code FROM audit WHERE event = 'factor' ORDER BY sequence")[-1] == ("factor_wait",)
    world.admin("account", "factor", "remove", "alice")
    add(world)
    assert api.login(world).status == 200


def test_F1_neither_secret_nor_code_stands_in_store_or_log(factor_world):
    world = factor_world
    _, recovery = add(world)
    alice = world.users["alice"]
    code = alice.code()
    assert api.login(world, code=code).status == 200
    for file in [*world.path("state").iterdir(), world.path("log", "gateway.log")]:
        content = file.read_bytes()
        for secret in (alice.secret, alice.secret.hex().encode(), alice.secret_base32.encode(), recovery[0].encode(),
                       recovery[0].replace("-", "").encode()):
            assert secret not in content, file
    assert code not in str(rows(world, "SELECT detail FROM audit"))
    key = world.path("etc", "factor.key")
    assert key.stat().st_mode & 0o777 == 0o600 and key.stat().st_uid == os.geteuid()


def test_A9_a_user_without_a_factor_is_asked_and_refused_like_any_other(factor_world):
    world = factor_world
    add(world)
    seen = []
    for user in ("alice", "bob"):
        answer, said = converse(world, user, lambda said, prompt, user=user: "000000" if "code" in prompt
                                else world.users[user].password)
        seen.append((answer.status, answer.body["code"], answer.body["detail"], said))
        found = rows(world, "SELECT event, user FROM audit WHERE request_id = ? ORDER BY event", answer.body["request_id"])
        assert ("login", user) in found
    assert seen[0] == seen[1]
    # The module tells the request under which a login began.
    begun = rows(world, "SELECT request_id FROM audit WHERE event = 'factor'")
    assert len(begun) == 2 and all(re.fullmatch(r"[0-9a-z]+-[0-9]+", request_id) for (request_id,) in begun)


def test_a_second_add_is_refused_and_what_is_not_there_cannot_be_removed(factor_world):
    world = factor_world
    add(world)
    with pytest.raises(WorldError, match="remove it first"):
        world.admin("account", "factor", "add", "alice")
    with pytest.raises(WorldError, match="bob has no second factor"):
        world.admin("account", "factor", "remove", "bob")
    assert api.login(world).status == 200


def test_without_the_broker_or_its_key_nobody_gets_in(factor_world):
    world = factor_world
    add(world)
    use_module(world, "socket=/nowhere/factor.sock timeout=1s")
    assert api.login(world).status == 401
    use_module(world)
    world.stop_process("gateway")
    world.path("etc", "factor.key").unlink()
    world.start_gateway()
    assert api.login(world).status == 401
    with pytest.raises(WorldError, match="factor_key"):
        world.admin("account", "factor", "add", "bob")


def test_another_key_opens_nothing(factor_world):
    world = factor_world
    add(world)
    world.stop_process("gateway")
    world.path("etc", "factor.key").write_text("00" * 32 + "\n")
    world.start_gateway()
    assert api.login(world).status == 401


def test_F4_a_key_that_others_can_read_is_refused(factor_world):
    world = factor_world
    world.stop_process("gateway")
    world.path("etc", "factor.key").chmod(0o644)
    done = subprocess.run([world.program("sallyport-gateway"), "-f", str(world.conf), "-T"], text=True, capture_output=True,
                          check=False)
    assert done.returncode != 0 and "chmod 600" in done.stderr and "factor.key" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="another user's connection needs root to make")
def test_nobody_but_root_and_conversation_user_may_ask(factor_world):
    world = factor_world
    path = str(world.path("run", "factor.sock"))
    question = ["curl", "-sS", "-w", "%{http_code}", "--unix-socket", path, "-H", "Content-Type: application/json", "-d",
                '{"user":"alice"}', "http://gateway/v1/factor/begin"]
    assert subprocess.run(question, text=True, capture_output=True, check=True).stdout.endswith("200")
    stranger = subprocess.run(question, text=True, capture_output=True, check=False, user=12345, group=12345)
    if stranger.returncode == 0:
        assert stranger.stdout.endswith("403")
    os.chmod(path, 0o666)  # behind the file's mode stands the kernel's word
    stranger = subprocess.run(question, text=True, capture_output=True, check=False, user=12345, group=12345)
    assert stranger.stdout.endswith("403")
    # And at this door nothing but factors is asked.
    other = subprocess.run(["curl", "-sS", "-w", "%{http_code}", "--unix-socket", path, "http://gateway/v1/devices"], text=True,
                           capture_output=True, check=True)
    assert other.stdout.endswith("404")


def converse(world, user, answer_of):
    """A login in which answer_of(all messages so far, prompt) answers; the last answer and all that was said."""
    said = []
    answer = api.call(world, "POST", "/v1/login", {"user": user}, f"{user}-laptop")
    while answer.status == 200 and answer.body["state"] in ("prompt", "info"):
        said += [(m["style"], m["text"]) for m in answer.body["messages"]]
        given = [answer_of(said, m["text"]) for m in answer.body["messages"] if m["style"] in ("secret", "text")]
        answer = api.call(world, "POST", "/v1/login/" + answer.body["conversation"], {"answers": given}, f"{user}-laptop")
    return answer, said


def enrol(world, user, wrong=False):
    def answer_of(said, prompt):
        if "code" not in prompt:
            return "" if "Enter" in prompt else world.users[user].password
        text = "\n".join(text for style, text in said if style == "info")
        take_secret(world, user, text)
        return "000000" if wrong else world.users[user].code()
    return converse(world, user, answer_of)


def test_first_login_enrols_in_the_conversation(new_world):
    world = use_module(new_world(settings=['factor_window = "10"', 'factor_enroll = "first-login"']))
    refused, _ = enrol(world, "alice", wrong=True)
    assert refused.status == 401
    assert rows(world, "SELECT state FROM factor") == [("pending",)]
    granted, said = enrol(world, "alice")
    assert granted.status == 200 and granted.body["state"] == "granted"
    info = "\n".join(text for style, text in said if style == "info")
    recovery = re.findall(r"[a-z2-7]{4}-[a-z2-7]{4}-[a-z2-7]{4}", info)
    assert "\u2588" in info and len(recovery) == 10
    again, said = converse(world, "alice", lambda said, prompt: world.users["alice"].code() if "code" in prompt
                           else world.users["alice"].password)
    assert again.status == 200 and not any(style == "info" for style, _ in said)
    assert api.login(world, code=recovery[3]).status == 200
    events = [event for (event,) in rows(world, "SELECT event FROM audit WHERE event LIKE 'factor%' ORDER BY sequence")]
    assert events == ["factor_offered", "factor", "factor_offered", "factor_enrolled", "factor", "factor"]


def test_a_wrong_password_is_shown_no_secret(new_world):
    world = use_module(new_world(settings=['factor_enroll = "first-login"']))
    refused, said = converse(world, "alice", lambda said, prompt: "wrong")
    assert refused.status == 401 and not any(style == "info" for style, _ in said)
    assert rows(world, "SELECT count(*) FROM factor") == [(0,)]


# ---- the module in the program of somebody else ----

PAM_SUCCESS, PAM_AUTH_ERR, PAM_AUTHINFO_UNAVAIL, PAM_SILENT = 0, 7, 9, 0x8000


def host(world, release, user, *answers, flags=0):
    """A host program with a stack of its own on the same machine; the module as it is shipped."""
    (module,) = pathlib.Path(release).rglob("pam_sallyport.so")
    folder = world.private_folder("host-pam.d")
    folder.joinpath("host").write_text(f"auth required {module} factor socket={world.path('run', 'factor.sock')}\n")
    program = pathlib.Path(__file__).resolve().parents[1] / "lib" / "pam_host.py"
    done = subprocess.run([sys.executable, "-B", program, folder, "host", user, str(flags)], capture_output=True, check=True,
                          input=b"".join(answer + b"\n" for answer in answers), timeout=60)
    return json.loads(done.stdout)


def test_another_stack_of_this_host_and_a_code_that_was_used_at_the_gateway(factor_world, release):
    world = factor_world
    add(world)
    alice = world.users["alice"]
    code = alice.code().encode()
    good = host(world, release, "alice", code)
    assert good == {"code": PAM_SUCCESS, "said": [[1, "One-time code: "]]}
    assert host(world, release, "alice", code)["code"] == PAM_AUTH_ERR
    assert api.login(world, code=code.decode()).status == 401
    assert host(world, release, "bob", b"123456") == {"code": PAM_AUTH_ERR, "said": good["said"]}
    by = rows(world, "SELECT detail FROM audit WHERE event = 'factor' ORDER BY sequence LIMIT 1")[0][0]
    assert by.endswith("by host of root (uid 0)") or os.geteuid() != 0


def test_answers_that_are_no_codes(factor_world, release):
    world = factor_world
    add(world)
    for wrong in (b"", b"\xff\xfe\xfd", b"1" * 511, b'","user":"bob', b"-"):
        assert host(world, release, "alice", wrong)["code"] == PAM_AUTH_ERR, wrong


def test_the_broker_dies_between_question_and_answer(factor_world, release):
    world = factor_world
    add(world)
    listed = subprocess.run(["ps", "--ppid", str(world.gateway.pid), "-o", "pid=,args="], text=True, capture_output=True,
                            check=True).stdout
    (broker,) = [line.split()[0] for line in listed.splitlines() if "/sallyport-broker" in line]
    world.gateway.send_signal(signal.SIGSTOP)  # nobody starts the broker again meanwhile
    try:
        died = host(world, release, "alice", b"!" + broker.encode())
    finally:
        world.gateway.send_signal(signal.SIGCONT)
    assert died["code"] == PAM_AUTHINFO_UNAVAIL


def test_PAM_SILENT_shows_nothing(new_world, release):
    world = new_world(settings=['factor_enroll = "first-login"'])
    silent = host(world, release, "alice", b"123456", flags=PAM_SILENT)
    assert silent == {"code": PAM_AUTH_ERR, "said": [[1, "One-time code: "]]}
    loud = host(world, release, "alice", b"123456")
    assert loud["code"] == PAM_AUTH_ERR and [style for style, _ in loud["said"]] == [4, 1]
    assert "\u2588" in loud["said"][0][1]


def test_first_login_with_the_client(new_world):
    """What a person sees: sallyport login shows the QR code and the recovery codes on the way."""
    world = use_module(new_world(settings=['factor_enroll = "first-login"']))
    ours, theirs = socket.socketpair()
    client = subprocess.Popen([world.program("sallyport"), "login", "alice", "--answers-from", str(theirs.fileno())],
                              env=world.client_environment(), pass_fds=(theirs.fileno(),), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
    theirs.close()
    ours.sendall(world.users["alice"].password.encode() + b"\n")
    shown = ""
    while "secret there" not in shown:
        line = client.stdout.readline()
        assert line, shown
        shown += line
    assert shown.count("\n") > 15 and "\u2588\u2588\u2588" in shown
    take_secret(world, "alice", shown)
    ours.sendall(world.users["alice"].code().encode() + b"\n\n")
    ours.close()
    rest = client.communicate(timeout=30)[0]
    assert client.returncode == 0, rest
    assert len(re.findall(r"^  [a-z2-7]{4}-[a-z2-7]{4}-[a-z2-7]{4}$", rest, re.M)) == 10


@pytest.fixture
def pam_service():
    """A service file where sshd looks for one: its name is that of the program, and stands nowhere else."""
    path = pathlib.Path("/etc/pam.d") / ("sallyport-test-" + os.urandom(4).hex())
    yield path
    path.unlink(missing_ok=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="sshd with PAM needs root")
def test_sshd_wants_key_and_code(factor_world, release, pam_service):
    """The stack of pam_sallyport(8) for sshd: AuthenticationMethods publickey,keyboard-interactive."""
    world, port = factor_world, free_port()
    (module,) = pathlib.Path(release).rglob("pam_sallyport.so")
    pam_service.write_text(f"auth required {module} factor socket={world.path('run', 'factor.sock')}\n"
                           "account required pam_permit.so\nsession required pam_permit.so\n")
    keys = world.path("ssh")
    sshd = keys / pam_service.name
    sshd.symlink_to("/usr/sbin/sshd")
    conf = keys / "factor_config"
    conf.write_text(f"ListenAddress 127.0.0.1:{port}\nHostKey {keys}/host\nAuthorizedKeysFile {keys}/user.pub\nPidFile none\n"
                    "UsePAM yes\nStrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication yes\n"
                    "AuthenticationMethods publickey,keyboard-interactive\nPermitRootLogin yes\nPrintMotd no\n")
    world.spawn("factor-sshd", [sshd, "-D", "-e", "-f", conf], lambda: answers(port))
    text = world.admin("account", "factor", "add", "root")
    world.users["root"] = User("root")
    take_secret(world, "root", text)

    def ssh(code):
        askpass = keys / "askpass"
        askpass.write_text(f"#!/bin/sh\necho '{code}'\n")
        askpass.chmod(0o700)
        return subprocess.run(["ssh", "-F", "none", "-p", str(port), "-i", keys / "user", "-o", "StrictHostKeyChecking=no",
                               "-o", "UserKnownHostsFile=/dev/null", "-o", "NumberOfPasswordPrompts=1",
                               "-o", "IdentitiesOnly=yes", "root@127.0.0.1", "echo inside"], text=True, capture_output=True,
                              check=False, timeout=60, stdin=subprocess.DEVNULL, start_new_session=True,
                              env=dict(os.environ, SSH_ASKPASS=str(askpass), SSH_ASKPASS_REQUIRE="force"))
    good = world.users["root"].code()
    assert ssh("000000").returncode != 0
    entered = ssh(good)
    assert entered.stdout == "inside\n", entered.stderr + world.log_end("factor-sshd")
    replayed = ssh(good)
    assert replayed.returncode != 0 and "inside" not in replayed.stdout
    found = rows(world, "SELECT code FROM audit WHERE event = 'factor' AND user = 'root' ORDER BY sequence")
    assert found == [("factor_wrong",), ("",), ("factor_replayed",)]
