"""pam_open_session lives as long as the session, and pam_close_session runs at its end, whatever ended it: with pam_exec."""
import os
import pathlib
import signal
import sqlite3
import time

import api
import pytest
from world import wait_until

HOOK = """#!/bin/sh
echo "$PAM_TYPE $PAM_USER $PAM_RHOST $PAM_TTY $SALLYPORT_DEVICE $SALLYPORT_REALM" >> {log}
"""


def with_sessions(world, extra=""):
    hook, log = world.path("pam", "hook"), world.path("pam", "log")
    hook.write_text(HOOK.format(log=log))
    hook.chmod(0o755)
    stack = world.path("etc", "pam.d", "sallyport")
    stack.write_text(stack.read_text() + f"session required pam_exec.so quiet /bin/sh {hook}\n{extra}")
    world.pam_log = log
    return world


def phases(world):
    return [line.split()[0] for line in world.pam_log.read_text().splitlines()] if world.pam_log.exists() else []


def open_one(world, **more):
    before = phases(world)
    answer = api.login(world, **more)
    assert answer.status == 200, answer.text + world.log_end("gateway")
    assert phases(world) == before + ["open_session"]
    return answer.body["session"]


def closes(world, count):
    wait_until(lambda: phases(world).count("close_session") == count, f"the end of PAM session {count}", 15)
    assert phases(world).count("open_session") == count


def session_id(world, token):
    return api.call(world, "GET", "/v1/session", token=token).body["session"]


def conversations(world):
    found = []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if b"/sallyport-conversation" in (folder / "cmdline").read_bytes() and str(world.programs) in os.readlink(folder / "exe"):
                found.append(int(folder.name))
        except OSError:
            pass
    return found


@pytest.fixture
def session_world(new_world):
    return with_sessions(new_world())


def test_it_lives_as_long_as_the_session(session_world):
    world = session_world
    token = open_one(world)
    assert world.pam_log.read_text() == "open_session alice 127.0.0.1 sallyport alice-laptop default\n"
    assert api.call(world, "POST", "/v1/session/renew", token=token).status == 200
    time.sleep(0.3)
    assert phases(world) == ["open_session"]
    assert api.call(world, "DELETE", "/v1/session", token=token).status == 200
    closes(world, 1)
    assert world.pam_log.read_text().splitlines()[1] == "close_session alice 127.0.0.1 sallyport alice-laptop default"
    world.admin("session", "end", session_id(world, open_one(world)))
    closes(world, 2)
    open_one(world)
    world.admin("account", "lock", "alice")
    closes(world, 3)
    world.admin("account", "unlock", "alice")
    open_one(world)
    world.admin("device", "revoke", "alice-laptop")
    closes(world, 4)


def test_the_end_of_the_lease(new_world):
    world = with_sessions(new_world(settings=['lease = "2s"']))
    open_one(world)
    closes(world, 1)


def test_the_stop_of_the_gateway(session_world):
    world = session_world
    token = open_one(world)
    open_one(world)
    assert world.stop_process("gateway") == 0
    closes(world, 2)  # before it left
    world.start_gateway()
    assert api.call(world, "GET", "/v1/session", token=token).status == 200  # ours goes on: the store has it
    api.call(world, "DELETE", "/v1/session", token=token)
    time.sleep(0.3)
    assert phases(world).count("close_session") == 2


@pytest.mark.parametrize("whom", ["broker", "gateway"])
def test_kill_9(session_world, whom):
    world = session_world
    open_one(world)
    mine = set(conversations(world))
    assert mine
    if whom == "gateway":
        world.gateway.kill()
        world.gateway.wait()
    else:
        (broker,) = [int(p.name) for p in pathlib.Path("/proc").glob("[0-9]*") if has_open(p, world.database)]
        os.kill(broker, signal.SIGKILL)
    closes(world, 1)
    wait_until(lambda: not mine & set(conversations(world)), "the end of the processes", 15)


def has_open(folder, path):
    try:
        return any(os.readlink(link) == str(path) for link in (folder / "fd").iterdir())
    except OSError:
        return False


def test_a_session_part_that_says_no(session_world):
    world = session_world
    stack = world.path("etc", "pam.d", "sallyport")
    stack.write_text(stack.read_text() + "session required pam_deny.so\n")
    refused = api.login(world)
    assert (refused.status, refused.body["code"]) == (401, "login_failed")
    with sqlite3.connect(world.database) as database:
        (detail,) = database.execute("SELECT detail FROM audit WHERE request_id = ?", (refused.body["request_id"],)).fetchone()
        assert detail.startswith("PAM said no (session, code ")
        assert database.execute("SELECT count(*) FROM session").fetchone() == (0,)


def test_nothing_is_opened_for_whom_the_device_is_not_bound_to(session_world):
    world = session_world
    refused = api.login(world, "alice", "bob-laptop")
    assert refused.status == 403
    time.sleep(0.3)
    assert phases(world) == []


def test_the_death_of_the_process_leaves_the_session(session_world):
    world = session_world
    token = open_one(world)
    for pid in conversations(world):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: "ended by itself" in world.log_end("gateway"), "the notice", 10)
    assert api.call(world, "GET", "/v1/session", token=token).status == 200
    assert api.call(world, "DELETE", "/v1/session", token=token).status == 200
