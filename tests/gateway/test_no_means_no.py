"""C: no means no, now: every way to say no closes every live tunnel concerned, and says how many."""
import hashlib
import json
import os
import pathlib
import shutil
import signal
import socket
import sqlite3
import tempfile
import threading
import time

import pytest

import api
import clients
import proc
from targets import Deaf, allow
from world import User, World, wait_until


class Session:
    """alice on a laptop of her own with some live tunnels, idle and busy."""

    def __init__(self, world, name, tunnels=3):
        self.world, self.name = world, name
        if name not in world.laptops:
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


def slowest_end_ms(world, event, still_open=0):
    """By the gateway's own clock: from the row of the act to the last row of a tunnel that it closed."""
    with sqlite3.connect(f"file:{world.database}?mode=ro", uri=True) as database:
        assert database.execute("SELECT count(*) FROM tunnel WHERE closed_at IS NULL").fetchone() == (still_open,)
        last = database.execute("SELECT max(closed_at) FROM tunnel").fetchone()[0]
        return last - database.execute("SELECT max(at) FROM audit WHERE event = ?", (event,)).fetchone()[0]


def close_reasons(world):
    with sqlite3.connect(f"file:{world.database}?mode=ro", uri=True) as database:
        return database.execute("SELECT close_reason, count(*) FROM tunnel WHERE closed_at IS NOT NULL GROUP BY 1").fetchall()


# What an admin says, and the event and the reason that the record has for it.
ACTS = {
    "lock": (lambda session: ["device", "lock", session.name], "device_locked", "device_locked"),
    "revoke": (lambda session: ["device", "revoke", session.name], "device_revoked", "device_revoked"),
    "end": (lambda session: ["session", "end", session.id], "session_ended", "ended_by_admin"),
}


@pytest.mark.parametrize("act", ACTS)
def test_C1_an_admin_cuts_and_is_told_how_many(new_world, act):
    world = new_world()
    session = Session(world, "cut-me")
    command, event, reason = ACTS[act]
    answer = json.loads(world.admin(*command(session), "--json"))
    assert answer["tunnels_closed"] == 3
    assert session.all_ended(), "tunnels live on"
    assert 0 <= slowest_end_ms(world, event) <= 1000
    assert close_reasons(world) == [(reason, 3)]
    # Nothing that the client holds brings them back.
    again = api.call(world, "GET", "/v1/session", laptop="cut-me", token=session.token)
    assert again.status == (401 if act == "end" else 0), again.text


def test_C1_logout_closes_its_own_tunnels(new_world):
    world = new_world()
    session = Session(world, "leaving")
    other = Session(world, "staying", tunnels=1)
    done = api.call(world, "DELETE", "/v1/session", laptop="leaving", token=session.token)
    assert done.body["tunnels_closed"] == 3
    assert session.all_ended()
    assert 0 <= slowest_end_ms(world, "session_ended", still_open=1) <= 1000
    assert close_reasons(world) == [("logout", 3)]
    other.h2.send(other.numbers[0], b"alive")
    assert other.h2.wait(lambda: bytes(other.h2.streams[other.numbers[0]].data) == b"alive")


def test_C3_it_holds_when_the_worker_is_stopped(new_world):
    world = new_world()
    session = Session(world, "frozen")
    pids = proc.workers_of_clients(world)
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    answer = json.loads(world.admin("device", "lock", "frozen", "--json"))
    assert answer["tunnels_closed"] == 3
    assert 0 <= slowest_end_ms(world, "device_locked") <= 1000
    assert close_reasons(world) == [("device_locked", 3)]
    assert session.all_ended()
    wait_until(lambda: not set(pids) & set(proc.gateway(world)), "the end of the stopped worker")


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


@pytest.fixture
def deaf():
    made = []

    def make(floods=False):
        made.append(Deaf(floods))
        return made[-1]
    yield make
    for one in made:
        one.close()


def test_C3_peers_that_read_nothing_and_half_closed_tunnels(new_world, deaf):
    """Stalled both ways and half-closed both ways: a lock closes them all at once."""
    world = new_world()
    sink, flood, half = deaf(), deaf(floods=True), deaf()
    allow(world, sink.port, flood.port, half.port)
    session = Session(world, "stalled", tunnels=1)
    h2 = session.h2
    numbers = {}
    for name, port in (("sink", sink.port), ("flood", flood.port), ("half", half.port), ("echo", world.echo)):
        numbers[name], status = h2.connect(f"127.0.0.1:{port}", session.token)
        assert status == 200
    # The target reads nothing: its buffers and the stream's window fill. The client reads nothing of the flood: no
    # window updates go out, because nobody takes the connection's bytes any more.
    h2.acknowledge = False
    has_room = lambda: h2.h2.local_flow_control_window(numbers["sink"]) > 0
    while h2.wait(has_room, 0.5):
        h2.send(numbers["sink"], b"x" * min(h2.h2.local_flow_control_window(numbers["sink"]), 1 << 20))
    h2.send(numbers["half"], b"", end=True)
    wait_until(lambda: half.peers and half.peers[0].recv(1) == b"", "the half-close at the target")
    time.sleep(0.5)
    answer = json.loads(world.admin("device", "lock", "stalled", "--json"))
    assert answer["tunnels_closed"] == 5
    assert slowest_end_ms(world, "device_locked") <= 1000
    assert flood.reset.wait(10), "the flood's socket lives on"
    assert session.all_ended()


class Mover(threading.Thread):
    """One of ten people: thirty tunnels on one connection, through which bytes go and come back until he is told to stop."""

    TUNNELS, PIECE = 30, 4096

    def __init__(self, world, user, moving):
        super().__init__(daemon=True)
        self.world, self.user, self.moving = world, user, moving
        answer = api.login(world, user, f"{user}-laptop")
        assert answer.status == 200, answer.text
        self.h2 = clients.Http2(world, f"{user}-laptop")
        self.numbers = [self.h2.start_connect(f"127.0.0.1:{world.echo}", answer.body["session"]) for _ in range(self.TUNNELS)]
        assert self.h2.wait(lambda: all(self.h2.streams[n].status == 200 for n in self.numbers))
        self.sent = {n: hashlib.sha256() for n in self.numbers}
        self.size, self.rounds, self.cut, self.error = dict.fromkeys(self.numbers, 0), 0, False, None

    def echoed(self):
        return all(len(self.h2.streams[n].data) >= self.size[n] for n in self.numbers)

    def ended(self):
        return any(self.h2.streams[n].ended for n in self.numbers)

    def run(self):
        try:
            while self.moving.is_set() or self.rounds < 3:
                for number in self.numbers:
                    piece = os.urandom(self.PIECE)
                    self.h2.send(number, piece)
                    self.sent[number].update(piece)
                    self.size[number] += self.PIECE
                if not self.h2.wait(lambda: self.echoed() or self.ended() or self.h2.closed) or self.ended() or self.h2.closed:
                    break
                self.rounds += 1
        except Exception as error:  # what the cut one meets: its streams are gone in the middle of a write
            self.error = error
        self.cut = self.h2.closed or self.ended() or self.error is not None

    def whole(self):
        return all(hashlib.sha256(self.h2.streams[n].data).digest() == self.sent[n].digest() for n in self.numbers)


def test_C1_one_of_ten_is_locked_in_mid_transfer_and_nobody_else_loses_a_byte(release):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="sallyport-test.", dir="/tmp"))
    world = World(folder, release, quiet=True)
    people = [f"user{i}" for i in range(10)]
    world.users = {name: User(name) for name in people}
    moving = threading.Event()
    moving.set()
    try:
        world.start(people)
        world.policy.write_text(f'resource "echo" {{ address = {{"127.0.0.1:{world.echo}"}} }}\n'
                                'rule "all" { users = {"*"} resources = {"echo"} }\n')
        world.admin("policy", "apply")
        movers = [Mover(world, name, moving) for name in people]
        for mover in movers:
            mover.start()
        wait_until(lambda: all(mover.rounds >= 2 for mover in movers), "bytes of everybody")
        answer = json.loads(world.admin("account", "lock", "user0", "--json"))
        assert answer == {"sessions_ended": 1, "tunnels_closed": Mover.TUNNELS}
        before = [mover.rounds for mover in movers]
        wait_until(lambda: all(mover.rounds >= start + 2 for mover, start in zip(movers[1:], before[1:])), "bytes after the cut")
        moving.clear()
        for mover in movers:
            mover.join(30)
        assert movers[0].cut and not movers[0].is_alive()
        for mover in movers[1:]:
            assert not mover.cut, (mover.user, mover.error)
            assert mover.echoed() and mover.whole(), f"{mover.user} has lost bytes"
        with sqlite3.connect(f"file:{world.database}?mode=ro", uri=True) as database:
            closed = database.execute("SELECT \"user\", close_reason, count(*) FROM tunnel WHERE closed_at IS NOT NULL "
                                      "GROUP BY 1, 2").fetchall()
            span = database.execute("SELECT max(t.closed_at) - max(a.at) FROM tunnel t, audit a WHERE a.event = 'user_locked'").fetchone()[0]
        assert closed == [("user0", "user_locked", Mover.TUNNELS)] and span <= 1000
    finally:
        moving.clear()
        world.stop()
        shutil.rmtree(folder, ignore_errors=True)
