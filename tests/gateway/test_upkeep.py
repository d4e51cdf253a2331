"""What the agent does by itself: certificates renew underneath, the gateway's news are told, a fresh login in mid-work."""
import contextlib
import json
import os
import re
import select
import signal
import socket
import time

import pytest

from clients_of_user import Held, agent_report, client, log_in, state_folder
from test_policy import apply, rules
from world import answers, free_port, wait_until
from wrong_clock import SleepingLaptop, wrong_clock


def script(world, name, text):
    path = world.private_folder("helpers") / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


class Tunnel:
    """A connection to a local port that echoes."""

    def __init__(self, port):
        self.peer = socket.create_connection(("127.0.0.1", port), 30)
        self.peer.settimeout(30)

    def echoes(self, word=b"word"):
        self.peer.sendall(word)
        return self.peer.recv(100) == word

    def is_served(self):
        """False: it is closed instead, in whichever way."""
        try:
            return self.echoes()
        except OSError:
            return False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.peer.close()


@contextlib.contextmanager
def forwarded(world, *targets, words=()):
    """A command that is at work, and its local ports, one for each of the targets' ports."""
    ports = [free_port() for _ in targets]
    forwards = [word for port, target in zip(ports, targets) for word in ("-L", f"{port}:127.0.0.1:{target}")]
    with Held(world, *words, *forwards) as command:
        for port in ports:
            wait_until(lambda: answers(port), "the local port")
        yield command, *ports


def heard(command, words, seconds=20):
    """Waits until the command has said that on standard error."""
    said, deadline = b"", time.monotonic() + seconds
    while words not in said and time.monotonic() < deadline:
        if select.select([command.stderr], [], [], 0.2)[0]:
            said += os.read(command.stderr.fileno(), 65536)
    assert words in said, said
    return said


def sessions(world):
    return json.loads(world.admin("session", "list", "--json"))["sessions"]


@pytest.fixture(autouse=True)
def silent_sanitizers(new_world):
    yield
    for world in new_world.made:
        for log in state_folder(world).glob("*.log"):
            assert not re.search(r"AddressSanitizer|runtime error", log.read_text()), log.read_text()


# ---- certificates ------------------------------------------------------------------------------------------


def test_a_renewal_in_the_middle_of_tunnels(new_world):
    world = new_world()
    log_in(world)
    with forwarded(world, world.echo) as (command, port):
        with Tunnel(port) as tunnel:
            assert tunnel.echoes()
            before = agent_report(world)["connection"]["connections"]
            done = client(world, "renew")
            assert done.returncode == 0 and "Renewed" in done.stdout, done.stderr
            wait_until(lambda: agent_report(world)["connection"]["connections"] > before, "a connection by the new certificate")
            # The old connection carries what it carried; what is new goes by the new one; nobody logs in again.
            assert tunnel.echoes(b"still")
            with Tunnel(port) as another:
                assert another.echoes(b"new")
            certificates = json.loads(world.admin("device", "show", "alice-laptop", "--json"))["certificates"]
            assert sorted(row["state"] for row in certificates) == ["active", "superseded"]
            assert client(world, "status").returncode == 0 and tunnel.echoes(b"and still")
            assert command.poll() is None
    assert len(sessions(world)) == 1
    assert len(list(state_folder(world).glob("*.session"))) == 1


def test_the_agent_renews_by_itself(new_world, release):
    """A certificate of an hour, on a laptop whose clock is 45 minutes ahead: two thirds are over."""
    world = new_world(settings=['certificate_life = "1h"'], programs=release)
    world.environment.update(wrong_clock(world, 2700))
    before = world.laptops["alice-laptop"].certificate.read_text()
    log_in(world)
    assert client(world, "up").returncode == 0
    wait_until(lambda: world.laptops["alice-laptop"].certificate.read_text() != before, "the new certificate", 30)
    assert client(world, "status").returncode == 0, "the session was lost"


def test_expiry_is_told_ahead(new_world, release):
    """In the last minutes, and renewal does not work (its waiting key is in the way): desktop and status say so."""
    world = new_world(settings=['certificate_life = "1h"'], programs=release)
    said = world.path("said")
    script(world, "notify-send", f'echo "$@" >> {said}')
    world.environment.update(wrong_clock(world, 3300))
    world.laptops["alice-laptop"].key.with_suffix(".key.next").mkdir()
    environment = {"PATH": f"{world.path('helpers')}:{os.environ['PATH']}"}
    log_in(world, environment=environment)
    assert client(world, "up").returncode == 0
    done = client(world, "status")
    assert "warning  The certificate of this device expires at" in done.stdout, done.stdout
    assert "run: sallyport renew" in json.loads(client(world, "status", "--json").stdout)["agent"]["warnings"][0]
    wait_until(lambda: said.exists() and "expires at" in said.read_text(), "the desktop's word")
    assert said.read_text().startswith("--app-name=Sallyport -- Sallyport The certificate of this device expires at")


# ---- news --------------------------------------------------------------------------------------------------


def test_the_end_of_a_session_is_told_at_once_with_its_reason(new_world):
    world = new_world()
    said = world.path("said")
    script(world, "notify-send", f'echo "$@" >> {said}')
    log_in(world, environment={"PATH": f"{world.path('helpers')}:{os.environ['PATH']}"})
    with forwarded(world, world.echo) as (command, port):
        world.admin("session", "end", "--user", "alice")
        assert command.wait(10) == 4
        assert b"an administrator has ended it; run: sallyport login" in command.stderr.read()
    wait_until(lambda: said.exists() and "an administrator has ended it" in said.read_text(), "the desktop's word")


def test_a_tunnel_that_ends_says_why_and_others_flow(new_world):
    world = new_world()
    log_in(world)
    with forwarded(world, world.echo, world.ssh) as (command, port, web):
        with Tunnel(port) as tunnel, Tunnel(web) as other:
            assert tunnel.echoes()
            assert other.peer.recv(100)
            world.policy.write_text(rules(world, 'rule "less" { users = {"alice"} resources = {"ssh"} }'))
            apply(world)
            heard(command, f"127.0.0.1:{world.echo}: the policy does not allow it any more".encode())
            assert answers(web) and command.poll() is None
            other.peer.setblocking(False)
            with pytest.raises(BlockingIOError):
                other.peer.recv(1)


def test_the_end_of_a_lease_is_told_ahead(new_world):
    world = new_world(settings=['lease = "60s"', 'warn_before = "59s"'])
    log_in(world)
    with forwarded(world, world.echo) as (command, port):
        heard(command, b"Your session ends at")
        assert "warning  Your session ends at" in client(world, "status").stdout


# ---- sleep -------------------------------------------------------------------------------------------------


def asleep_at_will(new_world, release):
    world = new_world(programs=release)
    laptop = SleepingLaptop(world)
    world.environment.update(laptop.environment)
    log_in(world)
    return world, laptop


def test_a_tunnel_over_a_sleep_of_hours(new_world, release):
    world, laptop = asleep_at_will(new_world, release)
    with forwarded(world, world.echo, words=["-v"]) as (command, port):
        with Tunnel(port) as tunnel:
            assert tunnel.echoes()
            laptop.sleep(3 * 3600)
            # It looks at once whether the gateway is still there, and goes on with what it has.
            said = heard(command, b"is asked for a sign of life")
            assert b"This device was asleep for 10" in said
            assert tunnel.echoes(b"good morning")


def test_who_waits_waits_no_longer_for_a_sleep(new_world, release):
    world, laptop = asleep_at_will(new_world, release)
    with forwarded(world, world.echo, words=["-v"]) as (command, port):
        gateway = world.processes.pop("gateway")
        os.killpg(gateway.pid, signal.SIGKILL)
        gateway.wait()
        heard(command, b"The next attempt is in")
        with Tunnel(port) as late:
            late.peer.sendall(b"late")
            wait_until(lambda: json.loads(client(world, "forward", "list", "--json").stdout)[0]["connections"], "the one who waits")
            laptop.sleep(3 * 3600)
            heard(command, b"This device was asleep for 10")
            world.start_gateway()
            assert late.peer.recv(10) == b"late", "turned away, as if it had waited for hours"


# ---- a fresh login in mid-work -----------------------------------------------------------------------------


def stale(world, seconds):
    world.policy.write_text(rules(world, f'rule "fresh" {{ users = {{"alice"}} resources = {{"echo"}} fresh_login = "{seconds}s" }}\n'
                                  'rule "rest" { users = {"alice"} resources = {"ssh"} }'))
    apply(world)


def test_step_up_asks_in_a_window_and_goes_on(new_world):
    world = new_world()
    alice = world.users["alice"]
    questions = world.path("questions")
    script(world, "askpass", f'echo "$1" >> {questions}; case $1 in *Password*) echo "{alice.password}";; '
                             f'*) cat {world.path("code")};; esac')
    log_in(world, environment={"SALLYPORT_ASKPASS": str(world.path("helpers", "askpass"))})
    with forwarded(world, world.echo, world.ssh) as (command, port, web):
        with Tunnel(web) as other:
            assert other.peer.recv(100)
            before = sessions(world)
            stale(world, 3)
            time.sleep(3.5)
            world.path("code").write_text(alice.code())
            with Tunnel(port) as tunnel:
                assert tunnel.echoes(), "not asked again after the login"
            assert f"127.0.0.1:{world.echo}" in questions.read_text() and "Password" in questions.read_text()
            other.peer.setblocking(False)
            with pytest.raises(BlockingIOError):
                other.peer.recv(1)
        assert command.poll() is None
    assert [row["session"] for row in sessions(world)] == [row["session"] for row in before]


def test_step_up_without_a_window_names_the_command(new_world):
    world = new_world()
    log_in(world)
    stale(world, 5)
    time.sleep(5.5)
    done = client(world, "why", f"127.0.0.1:{world.echo}")
    assert done.returncode == 4 and "sallyport login --fresh" in done.stderr, done.stderr
    alice = world.users["alice"]
    done = client(world, "login", "--fresh", answers_text=f"{alice.password}\n{alice.code()}\n")
    assert done.returncode == 0 and "the session goes on" in done.stdout, done.stderr
    assert client(world, "why", f"127.0.0.1:{world.echo}").returncode == 0
    assert len(sessions(world)) == 1
