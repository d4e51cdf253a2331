"""Users as the gateway itself knows them: an admin's lock, and failed logins that are counted."""
import json
import os
import signal
import sqlite3
import time

import api
import clients
from world import wait_until

FAILURES = 3


def fail(world, user="alice", laptop="alice-laptop"):
    first = api.call(world, "POST", "/v1/login", {"user": user}, laptop)
    if first.status != 200:
        return first
    return api.call(world, "POST", f"/v1/login/{first.body['conversation']}", {"answers": ["wrong"]}, laptop)


def exhaust(world, user="alice", laptop="alice-laptop"):
    for _ in range(FAILURES):
        refused = fail(world, user, laptop)
        assert (refused.status, refused.body.get("code")) == (401, "login_failed"), (refused.text, refused.error)


def is_waiting(world, user="alice", laptop="alice-laptop"):
    answer = api.call(world, "POST", "/v1/login", {"user": user}, laptop)
    if answer.status == 200:
        api.call(world, "DELETE", f"/v1/login/{answer.body['conversation']}", laptop=laptop)
    return (answer.status, answer.body.get("code")) == (429, "rate_limited")


def show(world, user):
    return json.loads(world.admin("account", "show", user, "--json"))


def strict(new_world):
    return new_world(settings=[f"login_failures = {FAILURES}"])


def test_A10_failures_of_a_user_count_on_every_device(new_world):
    world = strict(new_world)
    exhaust(world, laptop="bob-laptop")
    assert is_waiting(world, laptop="alice-laptop")
    assert show(world, "alice")["failures"] == FAILURES


def test_A10_failures_of_a_device_count_for_every_user(new_world):
    world = strict(new_world)
    for user in ("one", "two", "three"):
        assert fail(world, user).status == 401
    assert is_waiting(world, "bob", "alice-laptop")
    assert not is_waiting(world, "bob", "bob-laptop")


def test_A10_the_wait_grows_and_ends(new_world):
    world = strict(new_world)
    exhaust(world)
    assert is_waiting(world) and show(world, "alice")["wait_until"]
    wait_until(lambda: not is_waiting(world), "the end of the first wait", 6)
    assert not show(world, "alice")["wait_until"]  # over
    assert fail(world).status == 401
    began = time.monotonic()
    wait_until(lambda: not is_waiting(world), "the end of the second wait", 12)
    assert time.monotonic() - began > 2.5
    assert api.login(world).status == 200
    assert show(world, "alice")["failures"] == 0


def test_A10_a_guess_that_is_given_up_counts(new_world):
    """Whoever cancels after an answer, before the stack has said no, must not guess for nothing."""
    world = strict(new_world)
    for _ in range(FAILURES):
        first = api.call(world, "POST", "/v1/login", {"user": "alice"})
        path = f"/v1/login/{first.body['conversation']}"
        assert api.call(world, "POST", path, {"answers": [world.users["alice"].password]}).body["state"] == "prompt"
        api.call(world, "DELETE", path)
    assert is_waiting(world)


def test_A10_looking_at_a_prompt_does_not_count(new_world):
    world = strict(new_world)
    for _ in range(FAILURES + 2):
        assert not is_waiting(world)
    assert show(world, "alice")["failures"] == 0


def test_A10_kill_9_does_not_reset_the_count(new_world):
    world = new_world(settings=[f"login_failures = {FAILURES}", 'login_wait = "1h"'])
    exhaust(world)
    with sqlite3.connect(world.database) as database:  # as if many more had failed
        database.execute("UPDATE login_failure SET wait_until = wait_until + 1800000")
    (broker,) = [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and is_broker_of(world, pid)]
    os.kill(broker, signal.SIGKILL)
    wait_until(lambda: api.call(world, "GET", "/v1/session").status == 401, "a new broker", 15)
    assert is_waiting(world)
    assert show(world, "alice")["failures"] == FAILURES
    world.admin("account", "unlock", "alice")
    assert not is_waiting(world)
    assert api.login(world).status == 200


def is_broker_of(world, pid):
    try:
        links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    except OSError:
        return False
    return str(world.database) in links


def test_A10_the_admin_is_never_shut_out(new_world):
    """Neither by failures in his own name and from his own device, nor by their being locked: the socket asks for no login."""
    world = strict(new_world)
    exhaust(world, "root", "alice-laptop")
    assert is_waiting(world, "root", "alice-laptop") and is_waiting(world, "root", "bob-laptop")
    world.admin("account", "lock", "root")
    world.admin("device", "lock", "alice-laptop")
    for _ in range(5 * FAILURES):
        assert show(world, "root")["failures"] == FAILURES
    world.admin("device", "unlock", "alice-laptop")
    world.admin("account", "unlock", "root")
    assert show(world, "root")["failures"] == 0 and not is_waiting(world, "root", "bob-laptop")


def test_A10_unknown_users_wait_the_same(new_world):
    world = strict(new_world)
    exhaust(world, "nobody-here", "bob-laptop")
    assert is_waiting(world, "nobody-here", "alice-laptop")


def test_C1_locking_a_user_closes_his_tunnels(new_world):
    world = new_world()
    world.enroll("second", "alice")
    token = api.login(world, "alice", "second").body["session"]
    bob = api.login(world, "bob").body["session"]
    with clients.Http2(world, "second") as h2:
        numbers = []
        for _ in range(3):
            number, status = h2.connect(f"127.0.0.1:{world.echo}", token)
            assert status == 200
            numbers.append(number)
        began = time.monotonic()
        answer = json.loads(world.admin("account", "lock", "alice", "--json"))
        assert answer == {"sessions_ended": 1, "tunnels_closed": 3}
        assert h2.wait(lambda: h2.closed or all(h2.streams[n].ended for n in numbers), 5)
        assert time.monotonic() - began < 1.5  # the command itself among it
    assert api.call(world, "GET", "/v1/session", laptop="second", token=token).status == 401
    assert api.call(world, "GET", "/v1/session", laptop="bob-laptop", token=bob).status == 200
    assert show(world, "alice")["locked"] is True and show(world, "alice")["sessions"] == []


def test_C1_a_login_under_way_when_its_user_is_locked(new_world):
    world = new_world()
    alice = world.users["alice"]
    path = "/v1/login/" + api.call(world, "POST", "/v1/login", {"user": "alice"}).body["conversation"]
    assert api.call(world, "POST", path, {"answers": [alice.password]}).body["state"] == "prompt"
    world.admin("account", "lock", "alice")
    refused = api.call(world, "POST", path, {"answers": [alice.code()]})
    assert (refused.status, refused.body["code"]) == (401, "login_failed")


def test_A9_a_locked_user_looks_like_a_wrong_password(new_world):
    world = new_world()
    world.admin("account", "lock", "alice")
    locked = api.login(world)
    wrong = fail(world)
    assert (locked.status, locked.body["code"], locked.body["detail"]) == (wrong.status, wrong.body["code"], wrong.body["detail"])
    assert "locked" not in locked.text
    with sqlite3.connect(f"file:{world.database}?mode=ro", uri=True) as database:
        (detail,) = database.execute("SELECT detail FROM audit WHERE request_id = ?", (locked.body["request_id"],)).fetchone()
    assert "the account is locked" in detail
    world.stop_process("gateway")
    world.start_gateway()
    assert api.login(world).status == 401
    world.admin("account", "unlock", "alice")
    assert api.login(world).status == 200
