"""kill -9 in the middle of a login, at each of its rounds: no session, no process that stays behind."""
import json
import os
import signal
import socket
import sqlite3
import subprocess
import time

import pytest

import api
import clients
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


@pytest.mark.parametrize("rounds", [0, 1])
def test_E7_kill_9_of_a_client_on_its_connection(new_world, rounds):
    """Its login does not stay open until its limit; what was closed in good order does."""
    world = new_world(settings=['login_absence = "1s"'])
    polite = clients.connect(world, alpn=("http/1.1",))
    patient = f"/v1/login/{request(polite, 'POST', '/v1/login', {'user': 'alice'})['conversation']}"
    polite.unwrap().close()  # close_notify: its user may think as long as he likes
    peer = clients.connect(world, alpn=("http/1.1",))
    first = request(peer, "POST", "/v1/login", {"user": "alice"})
    if rounds:
        path = f"/v1/login/{first['conversation']}"
        assert request(peer, "POST", path, {"answers": [world.users["alice"].password]})["state"] == "prompt"
    assert len(pids_of(world, "sallyport-conversation")) == 4
    peer.close()  # as the kernel does for who was killed: no close_notify
    wait_until(lambda: len(pids_of(world, "sallyport-conversation")) == 2, "the end of the login", 10)
    with sqlite3.connect(f"file:{world.database}?mode=ro", uri=True) as database:
        assert database.execute("SELECT count(*) FROM audit WHERE code = 'login_abandoned'").fetchone() == (1,)
    assert api.call(world, "POST", patient, {"answers": [world.users["alice"].password]}).body["state"] == "prompt"
    assert sessions(world) == 0


def request(peer, method, path, body):
    text = json.dumps(body).encode()
    peer.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(text)}\r\n\r\n".encode() + text)
    status, headers, rest = clients.read_head(peer)
    while len(rest) < int(headers["content-length"]):
        rest += peer.recv(65536)
    assert status == 200, rest
    return json.loads(rest)


def test_E7_whoever_comes_back_goes_on(new_world):
    world = new_world(settings=['login_absence = "2s"'])
    peer = clients.connect(world, alpn=("http/1.1",))
    first = request(peer, "POST", "/v1/login", {"user": "alice"})
    peer.close()
    path = f"/v1/login/{first['conversation']}"
    with clients.connect(world, alpn=("http/1.1",)) as other:
        assert request(other, "POST", path, {"answers": [world.users["alice"].password]})["state"] == "prompt"
        time.sleep(2.5)
        assert request(other, "POST", path, {"answers": [world.users["alice"].code()]})["state"] == "granted"


def test_E7_kill_9_of_the_command_whose_agent_lives(new_world):
    world = new_world()
    ours, theirs = socket.socketpair()
    command = subprocess.Popen([world.program("sallyport"), "login", "--answers-from", str(theirs.fileno())],
                               pass_fds=[theirs.fileno()], env=world.client_environment(), stdout=subprocess.DEVNULL)
    theirs.close()
    wait_until(lambda: pids_of(world, "sallyport-conversation"), "the login", 15)
    ours.sendall(world.users["alice"].password.encode() + b"\n")
    time.sleep(0.5)
    command.kill()
    command.wait()
    nothing_is_left(world)
    with sqlite3.connect(f"file:{world.database}?mode=ro", uri=True) as database:
        assert database.execute("SELECT count(*) FROM audit WHERE code = 'cancelled'").fetchone() == (1,)
    subprocess.run([world.program("sallyport"), "down"], env=world.client_environment(), check=False)
    ours.close()
