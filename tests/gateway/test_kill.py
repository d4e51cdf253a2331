"""kill -9 in the middle of a login, at each of its rounds: no session, no process that stays behind."""
import contextlib
import json
import os
import pathlib
import shutil
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


def abandoned(world):
    with sqlite3.connect(f"file:{world.database}?mode=ro", uri=True) as database:
        return database.execute("SELECT count(*) FROM audit WHERE code = 'login_abandoned'").fetchone()[0]


def post(h2, path, body):
    """One request on an HTTP/2 connection; its stream, which may be waited for."""
    text = json.dumps(body).encode()
    number = h2.request([(":method", "POST"), (":scheme", "https"), (":authority", "x"), (":path", path),
                         ("content-length", str(len(text)))], end=False)
    h2.h2.send_data(number, text, end_stream=True)
    h2.flush()
    return h2.streams[number]


@pytest.mark.parametrize("rounds", [0, 1])
def test_E7_kill_9_of_a_client_on_http_2(new_world, rounds):
    world = new_world(settings=['login_absence = "1s"'])
    with clients.Http2(world) as h2:
        stream = post(h2, "/v1/login", {"user": "alice"})
        assert h2.wait(lambda: stream.ended) and stream.problem["state"] == "prompt", stream.problem
        if rounds:
            stream = post(h2, f"/v1/login/{stream.problem['conversation']}", {"answers": [world.users["alice"].password]})
            assert h2.wait(lambda: stream.ended) and stream.problem["state"] == "prompt", stream.problem
        assert len(pids_of(world, "sallyport-conversation")) == 2
    nothing_is_left(world)
    assert abandoned(world) == 1
    assert api.login(world).status == 200


def test_E7_a_request_that_is_given_up_while_the_module_works(new_world):
    """The connection lives on, but nobody waits for this answer any more."""
    world = new_world(settings=['login_absence = "1s"'])
    stack, module = with_module(world)
    stack.write_text(f"auth required {module} [hang=1]\naccount required pam_permit.so\n")
    with clients.Http2(world) as h2:
        post(h2, "/v1/login", {"user": "alice"})
        wait_until(lambda: len(pids_of(world, "sallyport-conversation")) == 2, "the login", 15)
        h2.reset(max(h2.streams))
        nothing_is_left(world)
    assert abandoned(world) == 1


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


def command_line(pid):
    try:
        return pathlib.Path("/proc", pid, "cmdline").read_bytes()
    except OSError:
        return b""


class Login:
    """`sallyport login` whose agent carries it, waiting at its prompt number `rounds`."""

    def __init__(self, world, rounds):
        self.world = world
        self.ours, theirs = socket.socketpair()
        self.command = subprocess.Popen([world.program("sallyport"), "login", "--answers-from", str(theirs.fileno())],
                                        pass_fds=[theirs.fileno()], env=world.client_environment(), stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        theirs.close()
        wait_until(lambda: pids_of(world, "sallyport-conversation"), "the login", 15)
        if rounds:
            self.ours.sendall(world.users["alice"].password.encode() + b"\n")
            wait_until(lambda: passwords_taken(world), "the second prompt", 15)

    def agent(self):
        """Another process of that program, for this gateway."""
        def find():
            return [int(pid) for pid in filter(str.isdigit, os.listdir("/proc"))
                    if int(pid) != self.command.pid and self.world.url.encode() in command_line(pid)]
        (pid,) = wait_until(find, "the agent", 15)
        return pid

    def end(self):
        subprocess.run([self.world.program("sallyport"), "down"], env=self.world.client_environment(), check=False)
        self.ours.close()


def with_module(world):
    module = next(pathlib.Path(os.environ["SALLYPORT_BUILD"]).rglob("pam_awkward.so"))
    stack = world.path("etc", "pam.d", "sallyport")
    return stack, shutil.copy(module, stack.parent / module.name)


def with_notes(world):
    """The stack notes that the password was right."""
    stack, module = with_module(world)
    first, *rest = [line for line in stack.read_text().splitlines() if not line.startswith("#")]
    note = f"auth required {module} [append={world.path('pam')}/notes:password]"
    stack.write_text("\n".join([first, note, *rest]) + "\n")
    return world


def passwords_taken(world):
    return world.path("pam", "notes").exists()


@pytest.mark.parametrize("rounds", [0, 1])
@pytest.mark.parametrize("whom", ["command", "agent"])
def test_E7_kill_9_of_command_or_agent(new_world, rounds, whom):
    """Of the command: its agent cancels at once, if the first answer has come and it knows what. Of the agent, which holds
    the connection: nobody comes back."""
    world = with_notes(new_world(settings=['login_absence = "1s"']))
    login = Login(world, rounds)
    pid = login.agent() if whom == "agent" else login.command.pid
    os.kill(pid, signal.SIGKILL)
    nothing_is_left(world)
    with contextlib.suppress(BrokenPipeError):
        login.ours.sendall(b"an answer\n")  # who still sits there has seen nothing yet
    assert login.command.wait(20) != 0
    with sqlite3.connect(f"file:{world.database}?mode=ro", uri=True) as database:
        codes = [code for (code,) in database.execute("SELECT code FROM audit WHERE event = 'login'")]
    assert len(codes) == 1 and codes[0] in ("login_abandoned", "cancelled" if whom == "command" else "")
    login.end()
