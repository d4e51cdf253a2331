"""D1: enrolment and renewal, cut at each step: kill -9 at every call that leaves a trace outside of the process.

strace counts the steps of a run that is left alone, then kills one run at each of them. Afterwards the same command goes
on, there is one certificate, door one opens, and no alarm was raised. Test_D1_kill_... elsewhere cut at random.
"""
import collections
import contextlib
import json
import os
import re
import subprocess
import time

import pytest

import clients
from test_door_one import curl_with
from test_enrolment import query
from world import wait_until

# What others see of the client: files, and what it sends.
STEPS = ("mkdir", "write", "fsync", "rename", "link", "unlink", "connect", "sendto", "sendmsg", "writev", "shutdown")


@pytest.fixture(scope="module")
def fast_world(release):
    from worlds import Worlds
    worlds = Worlds(release)
    try:
        yield worlds(settings=["devices_per_user = 1000", "renew_overlap = 0s"], laptops=())
    finally:
        worlds.close()


def sallyport(world, folder, *arguments, under=()):
    return subprocess.run([*under, world.program("sallyport"), *arguments], text=True, capture_output=True, timeout=60, check=False,
                          env=world.laptop_environment(folder))


def strace(*options):
    return ["strace", "-f", "-qq", "-e", f"trace={','.join(STEPS)}", *options]


def count_steps(run, log):
    """How often a command that is left alone makes each of the calls."""
    done = run(strace("-o", str(log)))
    assert done.returncode == 0, done.stderr
    of_threads = collections.Counter(re.findall(r"^(\d+)\s+(\w+)\(", log.read_text(), re.M))
    # strace counts in each thread by itself.
    return collections.Counter({call: max(n for (_, c), n in of_threads.items() if c == call) for _, call in of_threads})


def killed_at(call, number):
    return strace("-o", "/dev/null", "-e", f"inject={call}:signal=KILL:when={number}")


def grow_old(folder):
    """What is being written is left alone for a minute: that is over."""
    for path in (folder / "sallyport").glob("*"):
        if re.search(r"\.[0-9a-f]{16}$", path.name):
            os.utime(path, (1, 1))


def leftovers(folder):
    return [p.name for p in (folder / "sallyport").iterdir() if p.name not in ("device.pem", "profile", "gateway-ca.crt", "agent.sock")
            and not p.name.endswith(".session") and p.suffix != ".sock" and p.is_file()]


def assert_in_order(world, name, folder, certificates):
    identity = folder / "sallyport" / "device.pem"
    assert '"status":' in curl_with(world, identity, identity).stdout, "door one opens"
    assert query(world, "SELECT count(*) FROM certificate JOIN device ON device.id = device WHERE name = ?", name)[0][0] in certificates
    assert query(world, "SELECT detail FROM audit WHERE event = 'alarm'") == []


def steps_of(counts):
    return [(call, number) for call in STEPS for number in range(1, counts[call] + 1)]


def test_D1_an_enrolment_cut_at_each_step_of_the_laptop(fast_world, tmp_path):
    world = fast_world

    def begin(name):
        return world.private_folder("laptops", name), world.invite(name, "alice")

    folder, line = begin("whole")
    counts = count_steps(lambda under: sallyport(world, folder, "enroll", line, under=under), tmp_path / "trace")
    assert counts["rename"] >= 4 and counts["fsync"] >= 4 and counts["connect"] >= 2, counts
    cut = 0
    for call, number in steps_of(counts):
        name = f"{call}-{number}"
        folder, line = begin(name)
        cut += sallyport(world, folder, "enroll", line, under=killed_at(call, number)).returncode != 0
        grow_old(folder)
        done = sallyport(world, folder, "enroll", line)
        # It had come to its end already, but for a last word.
        assert done.returncode == 0 or "invitation_used" in done.stderr, f"{name}: {done.stderr}"
        assert_in_order(world, name, folder, {1})
        assert not leftovers(folder) or done.returncode, (name, leftovers(folder))
    assert cut >= len(steps_of(counts)) - 3, "the cuts hit"


def test_D1_a_renewal_cut_at_each_step_of_the_laptop(fast_world, tmp_path):
    world = fast_world
    world.enroll("whole-renewal", "bob")
    folder = world.laptops["whole-renewal"].folder
    counts = count_steps(lambda under: sallyport(world, folder, "renew", under=under), tmp_path / "trace")
    assert counts["rename"] >= 2 and counts["connect"] >= 1, counts
    for call, number in steps_of(counts):
        name = f"renew-{call}-{number}"
        world.enroll(name, "bob")
        folder = world.laptops[name].folder
        sallyport(world, folder, "renew", under=killed_at(call, number))
        assert_in_order(world, name, folder, {1, 2})
        grow_old(folder)
        done = sallyport(world, folder, "renew")
        assert done.returncode == 0, f"{name}: {done.stderr}"
        # Three where the cut came after the end.
        assert_in_order(world, name, folder, {2, 3})
        assert not leftovers(folder), (name, leftovers(folder))


# ---- the gateway's steps -----------------------------------------------------------------------------------

ROOM_STEPS = [("sallyport-broker", "fdatasync", n) for n in (1, 2)] + [("sallyport-broker", "sendmsg", n) for n in (1, 2, 3)] + \
    [("sallyport-signer", "sendmsg", n) for n in (1, 2)]


@contextlib.contextmanager
def cut_room(world, room, call, number):
    """That room is killed at its next so many calls of that kind."""
    (pid,) = clients.children(world, room)
    tracer = subprocess.Popen(["strace", "-f", "-p", str(pid), "-o", "/dev/null", "-e", f"trace={call}", "-e",
                               f"inject={call}:signal=KILL:when={number}"], stderr=subprocess.PIPE, text=True)
    try:
        assert "attached" in tracer.stderr.readline()
        yield pid
    finally:
        tracer.terminate()
        tracer.wait(10)
        tracer.stderr.close()
    wait_until(world.gateway_ready, "the gateway's rooms")
    wait_until(lambda: json.loads(world.admin("status", "--json"))["signer"], "the signer")


def persist(what, seconds=30):
    """Until it goes well: rooms that were killed are started again."""
    deadline = time.monotonic() + seconds
    while (done := what()).returncode != 0 and time.monotonic() < deadline and "invitation_used" not in done.stderr:
        time.sleep(0.2)
    return done


def test_D1_enrolment_and_renewal_cut_at_the_gateways_steps(fast_world):
    world = fast_world
    hit = set()
    for room, call, number in ROOM_STEPS:
        name = f"{room}-{call}-{number}"
        folder, line = world.private_folder("laptops", name), world.invite(name, "carol")
        with cut_room(world, room, call, number) as pid:
            sallyport(world, folder, "enroll", line)
        if pid not in clients.children(world, room):
            hit.add((room, call))
        done = persist(lambda folder=folder, line=line: sallyport(world, folder, "enroll", line))
        assert done.returncode == 0 or "invitation_used" in done.stderr, f"{name}: {done.stderr}"
        assert_in_order(world, name, folder, {1})
        with cut_room(world, room, call, number):
            sallyport(world, folder, "renew")
        done = persist(lambda folder=folder: sallyport(world, folder, "renew"))
        assert done.returncode == 0, f"{name}: {done.stderr}"
        assert_in_order(world, name, folder, {2, 3})
    assert hit == {(room, call) for room, call, _ in ROOM_STEPS}, "each kind of step was cut at least once"
    world.admin("audit", "verify", "--store", str(world.database))
