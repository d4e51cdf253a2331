"""What an admin ends by pointing at it: sessions and tunnels of a user, a device, a resource; caps on sessions; top."""
import fcntl
import json
import os
import pty
import select
import signal
import sqlite3
import struct
import subprocess
import termios
import time

import pytest

import api
import clients


def login(world, laptop, user="alice"):
    answer = api.login(world, user, laptop)
    assert answer.status == 200, answer.text
    return answer.body["session"]


class Person:
    """A session with tunnels to the wiki and (alice) to the echo."""

    def __init__(self, world, laptop, user, ports):
        self.token = login(world, laptop, user)
        self.h2 = clients.Http2(world, laptop)
        self.numbers = {}
        for port in ports:
            number, status = self.h2.connect(f"127.0.0.1:{port}", self.token)
            assert status == 200
            self.numbers.setdefault(port, []).append(number)

    def all(self):
        return [number for numbers in self.numbers.values() for number in numbers]

    def ended(self, numbers):
        return self.h2.wait(lambda: all(self.h2.streams[n].ended for n in numbers), 10)

    def alive(self, numbers):
        self.h2.wait(lambda: False, 0.2)
        return not self.h2.closed and not any(self.h2.streams[n].ended for n in numbers)


def end(world, *words):
    return json.loads(world.admin(*words, "--json"))


def session_is_live(world, person, laptop):
    return api.call(world, "GET", "/v1/session", laptop=laptop, token=person.token).status == 200


def test_C1_sessions_and_tunnels_end_by_what_they_are(new_world):
    world = new_world()
    ports = [world.web, world.echo, world.echo]
    alice = Person(world, "alice-laptop", "alice", ports)
    bob = Person(world, "bob-laptop", "bob", [world.web])
    assert len(end(world, "tunnel", "list", "--user", "alice", "--resource", "echo")["tunnels"]) == 2
    assert [row["user"] for row in end(world, "session", "list", "--device", "bob-laptop")["sessions"]] == ["bob"]
    # One tunnel by its number; the session stays.
    rows = end(world, "tunnel", "list")["tunnels"]
    echo = next(row for row in rows if row["resource"] == "echo")
    assert end(world, "tunnel", "close", str(echo["tunnel"])) == {"sessions_ended": 0, "tunnels_closed": 1}
    assert alice.h2.wait(lambda: sum(alice.h2.streams[n].ended for n in alice.numbers[world.echo]) == 1, 10)
    # All of a resource, whoever has them; then all of a user at a resource that he has not.
    assert end(world, "tunnel", "close", "--resource", "wiki")["tunnels_closed"] == 2
    assert alice.ended(alice.numbers[world.web]) and bob.ended(bob.all())
    assert end(world, "tunnel", "close", "--user", "bob", "--resource", "echo")["tunnels_closed"] == 0
    assert session_is_live(world, alice, "alice-laptop") and session_is_live(world, bob, "bob-laptop")
    # Sessions: one user's, then by resource, then all.
    assert end(world, "session", "end", "--user", "bob") == {"sessions_ended": 1, "tunnels_closed": 0}
    assert not session_is_live(world, bob, "bob-laptop") and session_is_live(world, alice, "alice-laptop")
    second = Person(world, "alice-laptop", "alice", [world.web])
    assert end(world, "session", "end", "--device", "alice-laptop", "--resource", "echo") == {"sessions_ended": 1,
                                                                                             "tunnels_closed": 1}
    assert alice.ended(alice.all()) and second.alive(second.all())
    assert end(world, "session", "end", "--all") == {"sessions_ended": 1, "tunnels_closed": 1}
    assert second.ended(second.all())
    with sqlite3.connect(f"file:{world.database}?mode=ro", uri=True) as database:
        assert database.execute("SELECT count(*) FROM tunnel WHERE closed_at IS NULL").fetchone() == (0,)
        assert database.execute("SELECT count(*) FROM session WHERE ended_at IS NULL").fetchone() == (0,)
        reasons = {row[0] for row in database.execute("SELECT close_reason FROM tunnel")}
        events = [row[0] for row in database.execute("SELECT event FROM audit")]
    assert reasons == {"ended_by_admin"}
    assert events.count("tunnels_ended") == 2, "an act that concerns nobody is none"


@pytest.mark.parametrize("words, status", [
    (["session", "end"], 2), (["session", "end", "x", "--all"], 2), (["session", "end", "no-such-session"], 1),
    (["tunnel", "close"], 2), (["tunnel", "close", "twelve"], 2), (["tunnel", "close", "987654"], 1),
    (["session", "end", "--user", "alice", "--user", "bob"], 2)])
def test_ending_wants_to_know_what(world, words, status):
    done = subprocess.run([world.program("sallyport-admin"), "--socket", world.admin_socket, *words], text=True,
                          capture_output=True, check=False)
    assert done.returncode == status and done.stderr.startswith("sallyport-admin: ")


def test_top_shows_rates(world):
    person = Person(world, "alice-laptop", "alice", [world.echo, world.web])
    busy, quiet = person.numbers[world.echo][0], person.numbers[world.web][0]
    process = subprocess.Popen([world.program("sallyport-admin"), "--socket", world.admin_socket, "--json", "top", "--once"],
                               text=True, stdout=subprocess.PIPE)
    while process.poll() is None:
        before = len(person.h2.streams[busy].data)
        person.h2.send(busy, b"x" * 10000)
        assert person.h2.wait(lambda: len(person.h2.streams[busy].data) == before + 10000)
    rows = json.loads(process.stdout.read())["tunnels"]
    assert [row["resource"] for row in rows] == ["echo", "wiki"], "the busiest first"
    assert rows[0]["rate_to_target"] > 0 and rows[0]["rate_to_client"] > 0
    assert rows[1]["rate_to_target"] == rows[1]["rate_to_client"] == 0
    text = world.admin("top", "--once")
    assert text.startswith("2 tunnels of 1 users") and "TO CLIENT/S" in text
    assert not person.h2.streams[quiet].ended


def test_top_goes_on_in_a_terminal(world):
    """One screen a second, no longer than the terminal, until it is interrupted."""
    person = Person(world, "alice-laptop", "alice", [world.echo] + [world.web] * 30)
    busy = person.numbers[world.echo][0]
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 12, 200, 0, 0))
    process = subprocess.Popen([world.program("sallyport-admin"), "--socket", world.admin_socket, "top"], stdin=follower,
                               stdout=follower, stderr=follower, start_new_session=True,
                               preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
    os.close(follower)
    text = b""
    deadline = time.monotonic() + 30
    while text.count(b"\033[H\033[2J") < 4 and time.monotonic() < deadline:
        person.h2.send(busy, b"x" * 10000)
        person.h2.wait(lambda: False, 0.1)
        while select.select([leader], [], [], 0)[0]:
            text += os.read(leader, 65536)
    os.write(leader, b"\x03")
    assert process.wait(10) == -signal.SIGINT
    os.close(leader)
    screens = text.decode().replace("\r\n", "\n").split("\033[H\033[2J")[1:4]
    assert len(screens) == 3
    for screen in screens:
        lines = screen.rstrip("\n").split("\n")
        assert len(lines) <= 12 and lines[0].startswith("31 tunnels of 1 users") and "more" in lines[-1]
        assert "TO TARGET/S" in lines[2] and str(world.echo) in lines[3], "the busiest first"
    assert any("kB" in screen.split("\n")[3] for screen in screens)


def test_C1_ten_sessions_or_a_hundred_tunnels_end_by_one_command(new_world):
    """All are counted, and closed within a second of the act's row, by the record's own clock."""
    world = new_world()
    bob = Person(world, "bob-laptop", "bob", [world.web])
    tokens = [login(world, "alice-laptop") for _ in range(10)]
    h2 = clients.Http2(world)
    numbers = [h2.connect(f"127.0.0.1:{world.echo}", token)[0] for token in tokens for _ in range(3)]
    assert all(h2.streams[n].status == 200 for n in numbers)
    assert end(world, "session", "end", "--user", "alice") == {"sessions_ended": 10, "tunnels_closed": 30}
    assert h2.wait(lambda: all(h2.streams[n].ended for n in numbers), 10)
    assert all(api.call(world, "GET", "/v1/session", token=token).status in (401, 407) for token in tokens)
    person = Person(world, "alice-laptop", "alice", [world.echo] * 100)
    other = Person(world, "alice-laptop", "alice", [world.web])
    row, = (row for row in end(world, "session", "list", "--user", "alice")["sessions"] if row["tunnels"] == 100)
    assert end(world, "session", "end", row["session"])["tunnels_closed"] == 100
    assert person.ended(person.all()) and other.alive(other.all()) and bob.alive(bob.all())
    with sqlite3.connect(f"file:{world.database}?mode=ro", uri=True) as database:
        acts = [row[0] for row in database.execute("SELECT at FROM audit WHERE event IN ('session_ended', 'sessions_ended') ORDER BY sequence")]
        assert acts, "an act has its row"
        for count, at in ((30, acts[0]), (100, acts[-1])):
            closed = [row[0] for row in database.execute("SELECT closed_at FROM tunnel WHERE closed_at >= ? AND closed_at <= ?", (at, at + 1000))]
            assert len(closed) >= count, f"{len(closed)} of {count} within a second"


def test_a_user_has_so_many_sessions_and_the_oldest_idle_one_goes(new_world):
    world = new_world(settings=["sessions_per_user = 2"])
    working = Person(world, "alice-laptop", "alice", [world.echo])
    idle = Person(world, "alice-laptop", "alice", [])
    third = Person(world, "alice-laptop", "alice", [])
    assert session_is_live(world, working, "alice-laptop") and working.alive(working.all())
    assert not session_is_live(world, idle, "alice-laptop") and session_is_live(world, third, "alice-laptop")
    with sqlite3.connect(f"file:{world.database}?mode=ro", uri=True) as database:
        assert database.execute("SELECT end_reason FROM session WHERE ended_at IS NOT NULL").fetchall() == [("replaced",)]
    bob = Person(world, "bob-laptop", "bob", [])
    assert session_is_live(world, bob, "bob-laptop") and session_is_live(world, third, "alice-laptop")


def test_a_device_has_so_many_sessions_and_the_next_is_refused(new_world):
    world = new_world(settings=["sessions_per_device = 1", 'sessions_full = "refuse"'])
    first = Person(world, "alice-laptop", "alice", [world.echo])
    refused = api.login(world, "alice", "alice-laptop")
    assert refused.status == 429 and refused.body["code"] == "too_many"
    assert session_is_live(world, first, "alice-laptop") and first.alive(first.all())
    assert end(world, "session", "end", "--user", "alice")["sessions_ended"] == 1
    assert api.login(world, "alice", "alice-laptop").status == 200
