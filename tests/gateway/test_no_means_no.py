"""C: no means no, now: every way to say no closes every live tunnel concerned, and says how many."""
import json
import os
import signal
import sqlite3
import time

import pytest

import api
import clients
from world import wait_until


class Session:
    """alice on a laptop of her own with some live tunnels, idle and busy."""

    def __init__(self, world, name, tunnels=3):
        self.world, self.name = world, name
        world.enroll(name, "alice")
        answer = api.login(world, "alice", name)
        assert answer.status == 200, answer.text
        self.token = answer.body["session"]
        self.id = api.call(world, "GET", "/v1/session", laptop=name, token=self.token).body["session"]
        self.h2 = clients.Http2(world, name)
        self.numbers = []
        for _ in range(tunnels):
            number, status = self.h2.connect(f"127.0.0.1:{world.echo}", self.token)
            assert status == 200
            self.numbers.append(number)

    def all_ended(self, seconds=10):
        return self.h2.wait(lambda: self.h2.closed or all(self.h2.streams[n].ended for n in self.numbers), seconds)


@pytest.fixture(scope="module", autouse=True)
def plenty_of_codes(world):
    """Each test logs in once; the window of the stack accepts some twenty codes ahead."""


def acts(session):
    return {
        "lock": ["device", "lock", session.name],
        "revoke": ["device", "revoke", session.name],
        "end": ["session", "end", session.id],
    }


@pytest.mark.parametrize("act", ["lock", "revoke", "end"])
def test_C1_an_admin_cuts_and_is_told_how_many(new_world, act):
    world = new_world()
    session = Session(world, "cut-me")
    answer = json.loads(world.admin(*acts(session)[act], "--json"))
    assert answer["tunnels_closed"] == 3
    assert session.all_ended(), "tunnels live on"
    with sqlite3.connect(f"file:{world.database}?mode=ro", uri=True) as database:
        still_open = database.execute("SELECT count(*) FROM tunnel WHERE closed_at IS NULL").fetchone()[0]
        slowest = database.execute("SELECT max(closed_at) - (SELECT max(at) FROM audit WHERE event LIKE '%revoke%' "
                                   "OR event LIKE '%lock%' OR event LIKE '%end%') FROM tunnel").fetchone()[0]
    assert still_open == 0
    assert slowest is None or slowest <= 1000
    # Nothing that the client holds brings them back.
    again = api.call(world, "GET", "/v1/session", laptop="cut-me", token=session.token)
    assert again.status in (0, 401)


def test_C1_logout_closes_its_own_tunnels(new_world):
    world = new_world()
    session = Session(world, "leaving")
    other = Session(world, "staying", tunnels=1)
    done = api.call(world, "DELETE", "/v1/session", laptop="leaving", token=session.token)
    assert done.body["tunnels_closed"] == 3
    assert session.all_ended()
    other.h2.send(other.numbers[0], b"alive")
    assert other.h2.wait(lambda: bytes(other.h2.streams[other.numbers[0]].data) == b"alive")


def worker_pids(world):
    """Processes of the worker's program that hold a TCP connection: not the template, not the spares."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if not os.readlink(f"/proc/{pid}/exe") == f"{world.programs}/libexec/sallyport/sallyport-worker":
                continue
            links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        except OSError:
            continue
        tcp = {line.split()[9] for line in open("/proc/net/tcp", encoding="ascii").readlines()[1:]}
        if any(link[8:-1] in tcp for link in links if link.startswith("socket:")):
            found.append(int(pid))
    return found


def test_C3_it_holds_when_the_worker_is_stopped(new_world):
    world = new_world()
    session = Session(world, "frozen")
    pids = worker_pids(world)
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    answer = json.loads(world.admin("device", "lock", "frozen", "--json"))
    assert answer["tunnels_closed"] == 3
    wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") and "State:\tT" in open(f"/proc/{pid}/status").read()
                               for pid in pids), "the end of the stopped worker")
    # A bound against "never", not a measurement: the promise of a second is the broker's timer (end_grace).
    assert time.monotonic() - began < 20
    assert session.all_ended()


def test_C1_a_tightened_policy_closes_what_it_no_longer_allows(new_world):
    world = new_world()
    session = Session(world, "tightened", tunnels=2)
    wiki, status = session.h2.connect(f"127.0.0.1:{world.web}", session.token)
    assert status == 200
    world.policy.write_text(world.policy.read_text().replace('resources = {"ssh", "echo"}', 'resources = {"ssh"}'))
    world.gateway.send_signal(signal.SIGHUP)
    assert session.all_ended()
    assert not session.h2.streams[wiki].ended


def test_B1_a_policy_that_does_not_parse_changes_nothing(new_world):
    world = new_world()
    session = Session(world, "unchanged", tunnels=1)
    world.policy.write_text(world.policy.read_text() + 'rule "broken {\n')
    world.gateway.send_signal(signal.SIGHUP)
    wait_until(lambda: "policy.conf:" in world.log_end("gateway", 40), "the error with file and line")
    session.h2.send(session.numbers[0], b"alive")
    assert session.h2.wait(lambda: bytes(session.h2.streams[session.numbers[0]].data) == b"alive")
    number, status = session.h2.connect(f"127.0.0.1:{world.echo}", session.token)
    assert status == 200
