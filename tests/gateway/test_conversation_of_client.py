"""How `sallyport login` asks: on a terminal, by a helper program, not at all; and what a cancelled login leaves."""
import json
import os
import pty
import re
import select
import signal
import subprocess
import termios
import time

import pytest

from clients_of_user import client
from world import wait_until


def helper(world, text):
    """An askpass program that answers what `text` (shell) prints; the question is its argument."""
    path = world.path("askpass")
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("variable", ["SALLYPORT_ASKPASS", "SSH_ASKPASS"])
def test_askpass_answers_without_a_terminal(world, variable):
    alice = world.users["alice"]
    program = helper(world, f"case $1 in Password*) echo '{alice.password}';; *) echo {alice.code()};; esac")
    done = client(world, "login", "alice", environment={variable: program})
    assert done.returncode == 0, done.stderr


def test_askpass_closed_by_the_user_cancels(world):
    done = client(world, "login", "alice", environment={"SALLYPORT_ASKPASS": helper(world, "exit 1")})
    assert done.returncode == 4 and len(done.stderr.strip().splitlines()) == 1, done.stderr
    wait_until(lambda: "cancel" in world.admin("audit").lower(), "the cancelled login in the record")


class Terminal:
    """`sallyport login` on a terminal of its own."""

    def __init__(self, world, *arguments):
        self.master, slave = pty.openpty()
        environment = {name: value for name, value in world.client_environment().items() if not name.endswith("ASKPASS")}
        self.process = subprocess.Popen(
            [world.program("sallyport"), *arguments], env=environment, stdin=slave, stdout=slave, stderr=slave,
            preexec_fn=lambda: (os.setsid(), __import__("fcntl").ioctl(0, termios.TIOCSCTTY, 0)))
        self.slave, self.text = slave, ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)

    def wait_for(self, words, seconds=20, after=""):
        """Reads until these words stand there, behind those."""
        def found():
            return words in self.text[self.text.find(after) + len(after):] and after in self.text
        deadline = time.monotonic() + seconds
        while not found() and time.monotonic() < deadline:
            if select.select([self.master], [], [], 0.2)[0]:
                self.text += os.read(self.master, 65536).decode(errors="replace")
        assert found(), self.text

    def type(self, text):
        os.write(self.master, text.encode())

    def echoes(self):
        return bool(termios.tcgetattr(self.slave)[3] & termios.ECHO)


def test_terminal_asks_without_echo(world):
    alice = world.users["alice"]
    with Terminal(world, "login", "alice") as terminal:
        terminal.wait_for("assword")
        wait_until(lambda: not terminal.echoes(), "the echo's end")
        terminal.type(alice.password + "\n")
        terminal.wait_for("One-time")
        terminal.type(alice.code() + "\n")
        terminal.wait_for("Logged in as alice")
        assert terminal.process.wait(20) == 0
        assert terminal.echoes() and alice.password not in terminal.text


def cancelled(world):
    return world.admin("audit").lower().count("cancel")


def test_ctrl_c_cancels_on_both_sides(world):
    before = cancelled(world)
    with Terminal(world, "login", "alice") as terminal:
        terminal.wait_for("assword")
        wait_until(lambda: not terminal.echoes(), "the echo's end")
        terminal.type("\x03")
        assert terminal.process.wait(20) == -signal.SIGINT
        assert terminal.echoes()
    wait_until(lambda: cancelled(world) > before, "the cancelled login in the record")
    # The agent is none the worse for it.
    assert client(world, "status").returncode in (0, 4)


def test_exit_status_says_what_is_missing(world):
    assert client(world, "login", "alice").returncode == 7
    assert client(world, "login", "nobody-here", answers_text="x\ny\n").returncode == 4
    report = client(world, "status", "--json")
    assert report.returncode in (0, 4) and not re.search(r"[\x00-\x08\x1b]", report.stdout + report.stderr)
    if report.returncode == 0:
        json.loads(report.stdout)
