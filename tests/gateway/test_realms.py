"""Realms: whose PAM stack asks whom, what the policy makes of it, and the emergency door that shouts."""
import json
import subprocess

import api
import clients
import pytest
from records import rows
from world import User, WorldError, wait_until


def configure(world, *realms):
    """One stack that asks for the password only, beside the world's own; the realms name it."""
    world.path("etc", "pam.d", "password-only").write_text(
        f"auth required pam_pwdfile.so pwdfile={world.path('pam', 'passwd')}\naccount required pam_permit.so\n")
    with world.conf.open("a") as conf:
        conf.write("\n".join(realms) + "\n")
    world.admin("reload")
    return world


def begin(world, user="alice", laptop="alice-laptop", **more):
    return api.call(world, "POST", "/v1/login", {"user": user, **more}, laptop)


def answer(world, step, *answers, laptop="alice-laptop"):
    return api.call(world, "POST", "/v1/login/" + step.body["conversation"], {"answers": list(answers)}, laptop)


def with_password(world, user="alice", laptop="alice-laptop", **more):
    """Granted by the password alone; a stack that wants a code too is given up."""
    step = begin(world, user, laptop, **more)
    if step.status != 200:
        return step
    done = answer(world, step, world.users[user].password, laptop=laptop)
    if done.body.get("state") == "prompt":
        api.call(world, "DELETE", "/v1/login/" + done.body["conversation"], laptop=laptop)
    return done


def realm_of(world, token, laptop="alice-laptop"):
    return api.call(world, "GET", "/v1/session", laptop=laptop, token=token).body["realm"]


def test_a_realm_is_chosen_by_the_tags_of_the_device(new_world):
    world = configure(new_world(), 'realm "desk" { pam_service = "password-only" device_tags = {"kiosk", "desk"} }')
    first = api.login(world)
    assert first.status == 200, (first.text, first.error)
    assert realm_of(world, first.body["session"]) == "default"
    world.admin("device", "tag", "alice-laptop", "desk")
    granted = with_password(world)
    assert granted.body["state"] == "granted", granted.text
    assert realm_of(world, granted.body["session"]) == "desk"
    assert with_password(world, "bob", "bob-laptop").body["state"] == "prompt"
    assert ("desk",) in rows(world, "SELECT realm FROM v_session")
    (listed,) = [s for s in json.loads(world.admin("session", "list", "--json"))["sessions"] if s["realm"] == "desk"]
    assert listed["user"] == "alice"


def test_a_realm_is_chosen_by_the_groups_of_the_user(new_world):
    world = new_world()
    world.users["root"] = User("root")
    world.write_pam_stack()
    world.enroll("root-laptop", "root")
    configure(world, 'realm "admins" { pam_service = "password-only" groups = {"nobody-here", "root"} }')
    granted = with_password(world, "root", "root-laptop")
    assert granted.body["state"] == "granted", granted.text
    assert realm_of(world, granted.body["session"], "root-laptop") == "admins"
    assert with_password(world).body["state"] == "prompt"
    # Nobody asks himself into a realm that is not his, and who he is does not show before the end.
    asked = with_password(world, realm="admins")
    assert (asked.status, asked.body["code"]) == (401, "login_failed")
    assert "the realm admins is not for alice" in rows(
        world, "SELECT detail FROM audit WHERE request_id = ?", asked.body["request_id"])[0][0]
    assert realm_of(world, with_password(world, "root", "root-laptop", realm="admins").body["session"],
                    "root-laptop") == "admins"


def test_a_realm_that_is_asked_for(new_world):
    world = configure(new_world(), 'realm "quick" { pam_service = "password-only" on_request = true }',
                      'realm "far" { pam_service = "password-only" on_request = true device_tags = {"far"} }')
    assert with_password(world).body["state"] == "prompt"
    granted = with_password(world, realm="quick")
    assert realm_of(world, granted.body["session"]) == "quick"
    for realm in ("far", "gone"):
        refused = begin(world, realm=realm)
        assert (refused.status, refused.body["code"]) == (403, "realm_unknown"), refused.text
    assert begin(world, realm="x" * 33).status == 400
    assert realm_of(world, api.login(world).body["session"]) == "default"
    assert with_password(world, realm="default").body["state"] == "prompt"


def test_the_client_asks_for_a_realm(new_world):
    world = configure(new_world(), 'realm "quick" { pam_service = "password-only" on_request = true }')
    command = [world.program("sallyport"), "login", "--realm", "quick", "--answers-from", "0"]
    done = subprocess.run(command, input=world.users["alice"].password + "\n", text=True, capture_output=True,
                          env=world.client_environment(), check=False, timeout=30)
    assert done.returncode == 0, done.stderr
    assert rows(world, "SELECT realm FROM v_session") == [("quick",)]
    shown = subprocess.run([world.program("sallyport"), "status"], env=world.client_environment(), text=True,
                           capture_output=True, check=True).stdout
    assert "realm    quick" in shown
    assert subprocess.run([world.program("sallyport"), "logout"], env=world.client_environment(), check=False).returncode == 0


def test_the_policy_asks_for_the_realm(new_world):
    world = configure(new_world(), 'realm "quick" { pam_service = "password-only" on_request = true }')
    world.policy.write_text(world.policy.read_text().replace(
        'users = {"alice"}  resources = {"ssh", "echo"}', 'users = {"alice"} realms = {"default"} resources = {"echo"}'))
    world.admin("reload")
    target = f"127.0.0.1:{world.echo}"
    quick, whole = with_password(world, realm="quick").body["session"], api.login(world).body["session"]
    assert clients.http1_connect(world, target, quick)[0] == 403
    assert clients.http1_connect(world, target, whole)[0] == 200
    question = ("policy", "explain", "--user", "alice", "--device", "alice-laptop", "--to", target)
    assert "allowed by rule" in world.admin(*question)
    assert "the session came by the realm quick; needed: realm default" in world.admin(*question, "--realm", "quick")
    names = [r["name"] for r in api.call(world, "GET", "/v1/resources", token=quick).body["resources"]]
    assert "echo" not in names


def test_a_session_keeps_its_realm_when_the_gateway_was_killed(new_world):
    world = configure(new_world(), 'realm "quick" { pam_service = "password-only" on_request = true }')
    token = with_password(world, realm="quick").body["session"]
    world.gateway.kill()
    world.gateway.wait()
    world.start_gateway()
    assert realm_of(world, token) == "quick"


def test_a_login_in_one_realm_is_no_fresh_login_in_another(new_world):
    world = configure(new_world(), 'realm "quick" { pam_service = "password-only" on_request = true }')
    world.policy.write_text(world.policy.read_text().replace(
        'users = {"alice"}  resources = {"ssh", "echo"}',
        'users = {"alice"} realms = {"default"} resources = {"echo"} fresh_login = "1s"'))
    world.admin("reload")
    target = f"127.0.0.1:{world.echo}"
    whole = api.login(world).body["session"]
    wait_until(lambda: clients.http1_connect(world, target, whole)[0] == 403, "the login to be old", 5)
    assert with_password(world, realm="quick").status == 200
    assert clients.http1_connect(world, target, whole)[0] == 403
    assert api.login(world).status == 200
    assert clients.http1_connect(world, target, whole)[0] == 200


def test_break_glass_shouts(new_world):
    world = configure(new_world(), 'realm "glass" { pam_service = "password-only" break_glass = true }')
    status = json.loads(world.admin("status", "--json"))
    assert status["break_glass_sessions"] == 0
    assert with_password(world).body["state"] == "prompt"  # never chosen by itself
    step = begin(world, realm="glass")
    assert rows(world, "SELECT count(*) FROM audit WHERE event = 'alarm'") == [(0,)]
    assert answer(world, step, "wrong").status == 401
    assert rows(world, "SELECT code, user, device FROM audit WHERE event = 'alarm'") == [
        ("break_glass_failed", "alice", "alice-laptop")]
    granted = with_password(world, realm="glass")
    assert granted.body["state"] == "granted"
    (alarm,) = rows(world, "SELECT detail FROM audit WHERE event = 'alarm' AND code = 'break_glass'")
    assert alarm[0].startswith("alice has logged in on alice-laptop by the break-glass realm glass")
    assert alarm[0] in world.log_end("gateway", 50)
    assert json.loads(world.admin("status", "--json"))["break_glass_sessions"] == 1
    assert "1 sessions came in by the emergency door" in world.admin("status")


WRONG = [
    ('realm "a" { pam_servise = "x" }', 'there is no key "pam_servise" in a realm'),
    ('realm "a" { }', 'the realm "a" needs pam_service'),
    ('realm "default" { pam_service = "sallyport" }', "is there already"),
    ('realm "a" { pam_service = "nothing-there" }', "nothing-there cannot be read"),
    ('realm "a" { pam_service = "../shadow" }', 'the realm "a" needs pam_service'),
    ('realm "a" { pam_service = "sallyport" }\nrealm "a" { pam_service = "sallyport" }', "a"),
]


def test_wrong_realms_are_refused_with_their_line(new_world):
    world = new_world(laptops=())
    good = world.conf.read_text()
    for line, sentence in WRONG:
        world.conf.write_text(good + line + "\n")
        tested = subprocess.run([world.program("sallyport-gateway"), "-f", world.conf, "-T"], text=True, capture_output=True,
                                check=False)
        assert tested.returncode == 1 and sentence in tested.stderr, (line, tested.stderr)
        last = f"{world.conf}:{len(world.conf.read_text().splitlines())}"
        assert last in tested.stderr or "cannot be read" in tested.stderr, tested.stderr
    with pytest.raises(WorldError, match=WRONG[-1][1]):
        world.admin("reload")


def test_what_is_in_force_is_printed_as_it_is_written(new_world):
    section = 'realm "desk" {  pam_service = "sallyport"  groups = {"staff", "Domain Users"}  on_request = true  browser = true  }'
    world = new_world(settings=[section], laptops=())
    printed = subprocess.run([world.program("sallyport-gateway"), "-f", world.conf, "-T"], text=True, capture_output=True,
                             check=False).stdout
    assert section in printed.splitlines()
