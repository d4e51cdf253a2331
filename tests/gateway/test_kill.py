"""kill -9 in the middle of a login, at each of its rounds: no session, no process that stays behind."""
import os
import signal
import sqlite3

import pytest

import api
from world import wait_until


def pids_of(world, program):
    wanted = os.path.realpath(world.programs / "libexec" / "sallyport" / program)
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/exe") == wanted:
                found.append(int(pid))
        except OSError:
            pass
    return found


def kill(pids):
    assert pids
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it fell with the one before


def begin(world, rounds):
    """A login that waits at its prompt number `rounds`."""
    first = api.call(world, "POST", "/v1/login", {"user": "alice"})
    path = f"/v1/login/{first.body['conversation']}"
    if rounds == 1:
        assert api.call(world, "POST", path, {"answers": [world.users["alice"].password]}).body["state"] == "prompt"
    assert pids_of(world, "sallyport-conversation")
    return path


def sessions(world):
    with sqlite3.connect(f"file:{world.database}?mode=ro", uri=True) as database:
        return database.execute("SELECT count(*) FROM session").fetchone()[0]


def nothing_is_left(world):
    wait_until(lambda: not pids_of(world, "sallyport-conversation"), "the end of the conversation's processes", 10)
    assert sessions(world) == 0


@pytest.mark.parametrize("rounds", [0, 1])
@pytest.mark.parametrize("which", ["keeper", "stack"])
def test_E7_kill_9_of_the_conversation(new_world, rounds, which):
    world = new_world()
    path = begin(world, rounds)
    pids = sorted(pids_of(world, "sallyport-conversation"))
    assert len(pids) == 2
    kill(pids[:1] if which == "keeper" else pids[1:])
    answer = api.call(world, "POST", path, {"answers": ["x"]})
    assert answer.status in (400, 401, 404), answer.text
    nothing_is_left(world)
    assert api.login(world).status == 200


@pytest.mark.parametrize("rounds", [0, 1])
def test_E7_kill_9_of_the_broker(new_world, rounds):
    world = new_world()
    path = begin(world, rounds)
    kill(pids_of(world, "sallyport-broker"))
    nothing_is_left(world)
    wait_until(lambda: api.call(world, "GET", "/v1/session").status == 401, "a new broker", 15)
    assert api.call(world, "POST", path, {"answers": ["x"]}).status == 404
    assert sessions(world) == 0


@pytest.mark.parametrize("rounds", [0, 1])
def test_E7_a_client_that_never_comes_back(new_world, rounds):
    """Each step of curl is a process and a connection of its own: here the next one never comes."""
    world = new_world(settings=['login_time_limit = "3s"'])
    begin(world, rounds)
    nothing_is_left(world)
