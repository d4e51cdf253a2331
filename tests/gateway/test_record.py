"""D: nothing is lost: what was acknowledged is in the store, whatever dies; what was open is closed at the next start."""
import contextlib
import hashlib
import json
import os
import random
import signal
import sqlite3
import threading
import time

import pytest

import api
import clients
import proc
from world import wait_until


def query(world, text, *arguments):
    with sqlite3.connect(f"file:{world.database}?mode=ro", uri=True) as database:
        return database.execute(text, arguments).fetchall()


def kill_all(world):
    pids = list(proc.gateway(world))  # the monitor first: nothing is started again
    assert len(pids) >= 4
    # Stopped first: on a busy machine a broker would end in good order between the monitor's end and its own.
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
    world.gateway.wait(10)


def test_D1_rows_stand_before_their_effect(new_world):
    world = new_world()
    token = api.login(world).body["session"]
    assert query(world, "SELECT user FROM session WHERE ended_at IS NULL") == [("alice",)]
    with clients.Http2(world) as h2:
        number, status = h2.connect(f"127.0.0.1:{world.echo}", token)
        assert status == 200
        rows = query(world, "SELECT requested_host, requested_port, closed_at, rule FROM tunnel")
        assert rows == [("127.0.0.1", world.echo, None, "alice administers")]
        h2.send(number, b"12345", end=True)
        h2.wait(lambda: h2.streams[number].ended)
    wait_until(lambda: query(world, "SELECT 1 FROM tunnel WHERE closed_at IS NOT NULL AND bytes_to_target = 5 "
                                    "AND bytes_to_client = 5"), "the end of the tunnel in the record")


def test_D1_kill_9_of_everything_loses_nothing_acknowledged(new_world):
    world = new_world()
    token = api.login(world).body["session"]
    h2 = clients.Http2(world)
    opened = [h2.connect(f"127.0.0.1:{world.echo}", token)[1] for _ in range(20)]
    assert opened == [200] * 20
    kill_all(world)
    assert query(world, "SELECT count(*) FROM tunnel") == [(20,)]
    world.start_gateway()
    reasons = query(world, "SELECT close_reason, count(*) FROM tunnel WHERE closed_at IS NOT NULL GROUP BY 1")
    assert reasons == [("gateway_restarted", 20)]
    # The session is durable: its lease stands, and its token still works on its own device.
    assert api.call(world, "GET", "/v1/session", token=token).status == 200
    assert api.call(world, "GET", "/v1/session", token=token, laptop="bob-laptop").status == 401


class Busy(threading.Thread):
    """Does one thing again and again until the gateway is gone; remembers what was acknowledged."""

    def __init__(self, world, act):
        super().__init__(daemon=True)
        self.world, self.act, self.acknowledged, self.stopping = world, act, [], False
        self.start()

    def run(self):
        try:
            for done in self.act(self.world):
                self.acknowledged.append(done)
                if self.stopping:
                    return
        except (OSError, KeyError, ValueError):
            pass  # the gateway went in the middle of a word: that was not acknowledged


def opens_and_refusals(token):
    """Yields the request ids of tunnels that were opened and of refusals, in turn. A request is known by its connection,
    which a refusal tells, and its number."""
    def act(world):
        with clients.Http2(world) as h2:
            while True:
                number, status = h2.connect(f"127.0.0.1:{world.denied}", token)
                if status != 403:
                    return
                refused = h2.streams[number].problem["request_id"]
                yield "audit", refused
                connection, _, count = refused.rpartition("-")
                if h2.connect(f"127.0.0.1:{world.echo}", token)[1] != 200:
                    return
                yield "tunnel", f"{connection}-{int(count) + 1}"
    return act


def logins(user):
    """Yields the hashes of the tokens that were given."""
    def act(world):
        while (answer := api.login(world, user)).status == 200:
            yield "session", hashlib.sha256(answer.body["session"].encode()).hexdigest()
    return act


COLUMNS = {"audit": "request_id", "tunnel": "request_id", "session": "token_hash"}


def test_D1_kill_9_of_everything_in_the_middle_of_work(new_world):
    """Three times, at a moment that nobody has chosen: whatever somebody was told is in the record."""
    world = new_world(settings=['login_failures = "1000"'])
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    dice, told = random.Random(seed), []
    for _ in range(3):
        world.forget_codes()
        for user in world.users.values():
            user._last_step = 0
        token = api.login(world).body["session"]
        busy = [Busy(world, opens_and_refusals(token)) for _ in range(3)] + [Busy(world, logins("bob"))]
        wait_until(lambda: all(one.acknowledged for one in busy), "work on every side")
        time.sleep(dice.uniform(0, 1.5))
        kill_all(world)
        for one in busy:
            one.stopping = True
            one.join(30)
            told += one.acknowledged
        world.start_gateway()
        for table, column in COLUMNS.items():
            missing = {key for kind, key in told if kind == table} - {key for (key,) in query(world, f"SELECT {column} FROM {table}")}
            assert not missing, f"acknowledged, and not in {table}: {missing}"
        assert query(world, "SELECT count(*) FROM tunnel WHERE closed_at IS NULL") == [(0,)]
    kinds = [kind for kind, _ in told]
    assert all(kinds.count(kind) >= 3 for kind in COLUMNS), "too little was going on"
    assert query(world, "PRAGMA integrity_check") == [("ok",)]


@pytest.mark.parametrize("room", ["broker", "signer", "worker"])
def test_E7_death_of_a_room_heals(new_world, room):
    world = new_world()
    token = api.login(world).body["session"]
    victims = list(proc.gateway(world, f"sallyport-{room}"))
    assert victims
    for pid in victims:
        os.kill(pid, signal.SIGKILL)

    def serves_again():
        return api.call(world, "GET", "/v1/session", token=token).status == 200
    wait_until(serves_again, f"service after the death of the {room}")
    with clients.Http2(world) as h2:
        assert h2.connect(f"127.0.0.1:{world.echo}", token)[1] == 200


def refusals_of(world, token):
    """One refusal of each kind, as its user gets it: (code, request id)."""
    with clients.Http2(world) as h2:
        for target, bearer in ((f"127.0.0.1:{world.denied}", token), ("127.0.0.1:0", token), (f"127.0.0.1:{world.echo}", None)):
            yield h2.streams[h2.connect(target, bearer)[0]].problem
    yield api.call(world, "GET", "/nowhere").body
    yield api.call(world, "PUT", "/v1/login").body
    yield api.call(world, "POST", "/v1/login", {"user": 1}).body
    yield api.call(world, "POST", "/v1/login", {"user": "a" * 2000}).body
    yield api.call(world, "GET", "/v1/session", token="0" * 64).body
    yield api.converse(world, "alice", ["wrong", "000000"], "alice-laptop").body
    yield api.login(world, "carol", "alice-laptop").body
    with clients.connect(world, alpn=("http/1.1",)) as peer:
        peer.sendall(b"GET / HTTP/1.1\r\nHost : x\r\n\r\n")
        _, headers, body = clients.read_head(peer)
        while len(body) < int(headers["content-length"]):
            body += peer.recv(65536)
        yield json.loads(body)


def test_G2_every_refusal_has_an_id_under_which_the_reason_is_found(new_world):
    world = new_world(settings=['body_bytes = "1KiB"'])
    seen = set()
    for problem in refusals_of(world, api.login(world).body["session"]):
        assert problem["detail"] and problem["request_id"], problem
        rows = query(world, "SELECT code, detail FROM audit WHERE request_id = ?", problem["request_id"])
        assert [code for code, _ in rows] == [problem["code"]], (problem, rows)
        seen.add(problem["code"])
    assert seen >= {"not_allowed", "bad_target", "no_session", "not_found", "method_not_allowed", "bad_request", "too_large",
                    "login_failed", "not_bound"}, seen
    listed = {row["request_id"] for row in json.loads(world.admin("audit", "--json"))["audit"]}
    assert {key for (key,) in query(world, "SELECT request_id FROM audit WHERE code <> '' AND request_id <> ''")} <= listed


def test_G1_the_audit_log_is_append_only(new_world):
    world = new_world()
    api.login(world)
    with sqlite3.connect(world.database) as database:
        for act in ("UPDATE audit SET code = 'x'", "DELETE FROM audit"):
            with pytest.raises(sqlite3.DatabaseError):
                database.execute(act)


def test_a_second_start_on_the_same_store_and_port_says_so(new_world):
    world = new_world()
    import subprocess
    done = subprocess.run([world.program("sallyport-gateway"), "-f", str(world.conf)], text=True, capture_output=True,
                          check=False, timeout=60)
    assert done.returncode != 0
    assert f"127.0.0.1:{world.port}" in done.stderr and len(done.stderr.strip().splitlines()) <= 3


def test_stop_in_good_order_closes_the_record(new_world):
    world = new_world()
    token = api.login(world).body["session"]
    h2 = clients.Http2(world)
    assert h2.connect(f"127.0.0.1:{world.echo}", token)[1] == 200
    assert world.stop_process("gateway", 20) == 0
    assert query(world, "SELECT count(*) FROM tunnel WHERE closed_at IS NULL") == [(0,)]
