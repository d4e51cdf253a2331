"""Completions in the real shells: they know commands and options, and what only the program at work knows."""
import os
import pathlib
import pty
import select
import signal
import string
import subprocess
import time

import pytest

from clients_of_user import agent_pid, client, log_in
from world import free_port, run

SET_UP = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], "bind 'set enable-bracketed-paste off'; source {folder}/bash-completion/completions/{name}"),
    "zsh": (["zsh", "-f", "-i"], "PS1='> '; fpath=({folder}/zsh/vendor-completions $fpath); autoload -U compinit; compinit -D -u"),
}


@pytest.fixture(scope="module")
def working(world):
    """alice at work: an agent, a port that it keeps, a profile of another name. Returns that port."""
    log_in(world)
    port = free_port()
    assert client(world, "forward", "add", "-L", f"{port}:127.0.0.1:{world.echo}").returncode == 0
    profiles = pathlib.Path(world.client_environment()["XDG_CONFIG_HOME"], "sallyport", "profiles")
    profiles.mkdir(parents=True)
    (profiles / "working").write_text("")
    return port


def environment(world):
    return dict(world.client_environment(), TERM="dumb", HOME=str(world.private_folder("home")), HISTFILE="", LC_ALL="C.UTF-8")


class Shell:
    """An interactive shell on a terminal of its own."""

    def __init__(self, world, name, program="sallyport"):
        command, set_up = SET_UP[name]
        self.near, far = pty.openpty()
        self.process = subprocess.Popen(command, stdin=far, stdout=far, stderr=far, start_new_session=True, env=environment(world))
        os.close(far)
        self.write(set_up.format(folder=pathlib.Path(world.programs, "share"), name=program) + "; echo rea''dy\n")
        self.read_until("ready")

    def write(self, text):
        os.write(self.near, text.encode())

    def read_until(self, words, seconds=30):
        seen, deadline = "", time.monotonic() + seconds
        while words not in seen and time.monotonic() < deadline:
            if select.select([self.near], [], [], 0.2)[0]:
                seen += os.read(self.near, 65536).decode(errors="replace").replace("\x07", "")
        assert words in seen, seen
        return seen

    def completes(self, line, to):
        self.write("\x15" + line + "\t")
        self.read_until(to)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.near)


@pytest.mark.parametrize("name", ["bash", "zsh"])
def test_a_shell_knows_hosts_profiles_and_forwards(world, working, name):
    with Shell(world, name) as shell:
        shell.completes("sallyport ssh-c", "sallyport ssh-config")
        shell.completes("sallyport why ech", f"why echo:{world.echo}")
        shell.completes("sallyport -W ech", f"-W echo:{world.echo}")
        shell.completes(f"sallyport -W 127.0.0.1:{str(world.echo)[:-1]}", f"-W 127.0.0.1:{str(world.echo)[:-1]}")
        shell.completes("sallyport -L 5432:ech", f"-L 5432:echo:{world.echo}")
        shell.completes("sallyport -p wor", "-p working")
        shell.completes("sallyport forward dr", "forward drop")
        shell.completes("sallyport forward drop ", f"drop {working}")


def complete_in_fish(world, line, program="sallyport"):
    script = pathlib.Path(world.programs, "share", "fish", "vendor_completions.d", f"{program}.fish")
    done = subprocess.run(["fish", "--no-config", "-c", f"source {script}; complete -C '{line}'"], text=True, capture_output=True,
                          env=environment(world), check=False, timeout=60)
    return [found.split("\t")[0] for found in done.stdout.splitlines()]


def test_fish_knows_hosts_profiles_and_forwards(world, working):
    assert complete_in_fish(world, "sallyport ssh-c") == ["ssh-config"]
    assert complete_in_fish(world, "sallyport why ech") == [f"echo:{world.echo}"]
    assert complete_in_fish(world, "sallyport -W ech") == [f"echo:{world.echo}"]
    assert complete_in_fish(world, "sallyport -L 5432:ech") == [f"5432:echo:{world.echo}"]
    assert complete_in_fish(world, "sallyport -p wor") == ["working"]
    assert complete_in_fish(world, "sallyport forward drop ") == [str(working)]


@pytest.mark.parametrize("name", ["bash", "zsh"])
def test_a_shell_knows_the_devices(world, name):
    with Shell(world, name, "sallyport-admin") as shell:
        wrapper = world.path("helpers")
        wrapper.mkdir(exist_ok=True)
        (wrapper / "sallyport-admin").write_text(f'#!/bin/sh\nexec {world.program("sallyport-admin")} --socket {world.admin_socket} "$@"\n')
        (wrapper / "sallyport-admin").chmod(0o755)
        shell.write(f"\x15PATH={wrapper}:$PATH; echo se''t\n")
        shell.read_until("set")
        shell.completes("sallyport-admin device sh", "device show")
        shell.completes("sallyport-admin device show bob", "show bob-laptop")


HOSTILE = ["$(touch ran)", "`touch ran`", "*", "-p", "a b", "a;touch ran"]


def test_names_that_mean_something_to_a_shell_are_no_words(new_world):
    world = new_world(laptops=("alice",))
    world.policy.write_text(world.policy.read_text() + "".join(
        f'resource "{name}" {{ address = {{"db{n}.example:22"}}  kind = ssh }}\n' for n, name in enumerate(HOSTILE)) +
        'rule "all of them" { users = {"alice"} resources = {"*"} }\n')
    world.admin("policy", "apply")
    log_in(world)
    assert "touch ran" in client(world, "ls").stdout
    program = world.program("sallyport")
    assert sorted(run([program, "complete", "resources"], env=environment(world)).splitlines()) == ["echo", "ssh", "vault", "wiki"]
    hosts = run([program, "complete", "hosts"], env=environment(world)).splitlines()
    assert "db0.example:22" in hosts and all(set(host) <= set(string.ascii_letters + string.digits + ".:[]-_") for host in hosts), hosts
    config = client(world, "ssh-config").stdout
    assert "\nHost db0.example\n" in config and "touch" not in config


@pytest.mark.parametrize("name", ["bash", "zsh"])
def test_a_shell_runs_no_word(world, name):
    """Even if the program let one through."""
    liar = world.path("liar")
    liar.mkdir(exist_ok=True)
    ran = world.path("ran-in-" + name)
    (liar / "sallyport").write_text(f"#!/bin/sh\nprintf '%s\\n' 'echo:1' '$(touch {ran})x' '`touch {ran}`y' 'plain:22'\n")
    (liar / "sallyport").chmod(0o755)
    with Shell(world, name) as shell:
        shell.write(f"\x15PATH={liar}:$PATH; echo se''t\n")
        shell.read_until("set")
        shell.completes("sallyport why pla", "why plain:22")
        shell.completes("sallyport why ec", "why echo:1")
    assert not ran.exists()


def test_completing_starts_nothing_and_waits_for_nobody(world, working):
    program = world.program("sallyport")
    listed = run([program, "complete", "hosts"], env=environment(world)).split()
    assert f"127.0.0.1:{world.echo}" in listed and f"ssh:{world.ssh}" in listed
    assert sorted(run([program, "complete", "resources"], env=environment(world)).split()) == ["echo", "ssh", "wiki"]
    pid = agent_pid(world)
    os.kill(pid, signal.SIGSTOP)
    try:
        started = time.monotonic()
        assert run([program, "complete", "hosts"], env=environment(world)) == ""
        assert time.monotonic() - started < 20
    finally:
        os.kill(pid, signal.SIGCONT)
    client(world, "down")
    assert run([program, "complete", "hosts"], env=environment(world)) == ""
    assert run([program, "complete", "forwards"], env=environment(world)) == ""
    assert "No agent is running" in client(world, "down").stdout
