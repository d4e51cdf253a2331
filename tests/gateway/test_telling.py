"""What the client tells: each step with -v, what is waited for, and how each way to end is told to scripts."""
import os
import pty
import re
import select
import signal
import socket
import subprocess
import time

import pytest

from clients_of_user import Held, agent_report, client, log_in, state_folder
from test_upkeep import Tunnel
from world import answers, free_port, wait_until


@pytest.fixture(scope="module", autouse=True)
def logged_in(world):
    log_in(world)


# ---- -v ------------------------------------------------------------------------------------------------------


def test_verbose_tells_each_step(world):
    client(world, "down")
    done = client(world, "-v", "status")
    assert done.returncode == 0 and "alice" in done.stdout
    for step in (rf"Gateway {world.url}, certificate /", r'This device is "alice-laptop"; its certificate is good from \S+ until \S+',
                 r"The agent, process \d+, answers at", r"Looking up localhost", r"address 1 of \d+: \S+ port \d+: trying it",
                 r"127\.0\.0\.1 port \d+: connected", r"TLS1\.3, TLS_\S+; it shows the certificate \"localhost\" by \".+\", good until",
                 r"GET /v1/session at localhost:\d+: answered"):
        assert re.search(step, done.stderr), (step, done.stderr)
    (session,) = state_folder(world).glob("*.session")
    assert session.read_text().strip() not in done.stderr
    # The agent that is there is described; a tunnel's steps come too; without -v there is not a word.
    done = client(world, "-v", "why", f"127.0.0.1:{world.echo}")
    assert f"Gateway {world.url}: ready since" in done.stderr and "it stands" in done.stderr, done.stderr
    assert client(world, "status").stderr == ""


def test_verbose_tells_why_it_fails(world):
    port = free_port()
    done = client(world, "-v", "--gateway", f"https://localhost:{port} https://127.0.0.1:{port}", "login", "alice", answers_text="x\n")
    assert done.returncode == 6
    assert re.search(rf"127\.0\.0\.1 port {port}: Connection refused", done.stderr), done.stderr
    assert f"The next gateway is https://127.0.0.1:{port}" in done.stderr


def test_verbose_of_what_makes_a_connection_of_its_own(world):
    done = client(world, "-v", "doctor")
    assert "it shows the certificate" in done.stderr and "gateway" in done.stdout


# ---- what is waited for --------------------------------------------------------------------------------------


def on_terminal(world, *arguments):
    """The command with a terminal for its standard error."""
    near, far = pty.openpty()
    process = subprocess.Popen([world.program("sallyport"), *arguments], env=world.client_environment(), stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=far, start_new_session=True)
    os.close(far)
    return process, near


def read_until(fd, words, seconds=20):
    said, deadline = b"", time.monotonic() + seconds
    while words not in said and time.monotonic() < deadline:
        if select.select([fd], [], [], 0.2)[0]:
            said += os.read(fd, 65536)
    assert words in said, said


def test_a_person_is_told_what_is_waited_for(world):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://localhost:{silent.getsockname()[1]}"
        process, terminal = on_terminal(world, "--gateway", url, "login", "alice")
        try:
            read_until(terminal, f"Connecting to {url} ...".encode())
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == -signal.SIGINT
            os.close(terminal)
        with Held(world, "--gateway", url, "login", "alice") as quiet:
            time.sleep(2.5)
            assert not select.select([quiet.stderr], [], [], 0)[0], "a script is told what only a person wants to know"
        client(world, "--gateway", url, "down")


def test_status_names_the_busiest_tunnels(world):
    port = free_port()
    with Held(world, "-L", f"{port}:127.0.0.1:{world.echo}"):
        wait_until(lambda: answers(port), "the local port")
        with Tunnel(port) as tunnel:
            def is_busy():
                for _ in range(50):
                    assert tunnel.echoes(b"x" * 100)
                busiest = max(agent_report(world)["tunnels"], key=lambda item: item["sent"])
                return busiest["to"] == f"127.0.0.1:{world.echo}" and busiest["rate"] > 0 and busiest["sent"] >= 5000
            wait_until(is_busy, "a rate")
            assert re.search(rf"^busy +127\.0\.0\.1:{world.echo}: \S+ \w+ so far, \S+ \w+ a second$", client(world, "status").stdout, re.M)


# ---- exit statuses -------------------------------------------------------------------------------------------


def ended(world, *arguments, **options):
    """Status and the one sentence of a command that fails."""
    done = client(world, *arguments, **options)
    assert done.returncode == 0 or len(done.stderr.strip().splitlines()) == 1, done.stderr
    return done.returncode


def test_every_exit_status_is_produced(new_world):
    world = new_world()
    log_in(world)
    world.admin("device", "lock", "bob-laptop")
    alice = world.users["alice"]
    statuses = {
        0: ("status",),
        1: ("forward", "drop", "1"),
        2: ("-W", "no-port"),
        3: ("-W", f"127.0.0.1:{world.denied}"),
        6: ("--gateway", f"https://localhost:{free_port()}", "login", "alice"),
        7: ("login", "alice"),
    }
    for status, words in statuses.items():
        assert ended(world, *words) == status, words
    assert ended(world, "login", "alice", answers_text=f"wrong\n{alice.code()}\n") == 4
    assert ended(world, "login", "bob", laptop="bob-laptop", answers_text="x\n") == 5
    assert client(world, "logout").returncode == 0
    for command in (("status",), ("ls",), ("-W", f"127.0.0.1:{world.echo}"), ("why", f"127.0.0.1:{world.echo}"),
                    ("-L", f"{free_port()}:127.0.0.1:{world.echo}"), ("ssh-config",)):
        done = client(world, *command)
        assert done.returncode == 4 and "sallyport login" in done.stderr, command
    # --help, the man page and this table are about the same numbers.
    listed = {int(number) for number in re.findall(r"^  (\d)  ", client(world, "--help").stdout.partition("Exit status")[2], re.M)}
    assert listed == {*statuses, 4, 5}
