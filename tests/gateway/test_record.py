"""D: nothing is lost: what was acknowledged is in the store, whatever dies; what was open is closed at the next start."""
import os
import signal
import sqlite3

import pytest

import api
import clients
from world import wait_until


def query(world, text, *arguments):
    with sqlite3.connect(f"file:{world.database}?mode=ro", uri=True) as database:
        return database.execute(text, arguments).fetchall()


def gateway_pids(world):
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/exe").startswith(f"{world.programs}/"):
                command = open(f"/proc/{pid}/cmdline", "rb").read()
                found.append((int(pid), command))
        except OSError:
            pass
    return [pid for pid, _ in found if belongs(world, pid)]


def belongs(world, pid):
    """Whether a process descends from this world's gateway: other tests run worlds of their own."""
    seen = pid
    for _ in range(10):
        if seen == world.gateway.pid:
            return True
        try:
            stat = open(f"/proc/{seen}/stat", encoding="ascii", errors="replace").read()
        except OSError:
            return False
        seen = int(stat.rpartition(")")[2].split()[1])
        if seen <= 1:
            return False
    return False


def kill_all(world):
    pids = gateway_pids(world)
    assert len(pids) >= 4
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
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


@pytest.mark.parametrize("room", ["broker", "signer", "worker"])
def test_E7_death_of_a_room_heals(new_world, room):
    world = new_world()
    token = api.login(world).body["session"]
    victims = [pid for pid in gateway_pids(world)
               if os.readlink(f"/proc/{pid}/exe").endswith(f"sallyport-{room}")]
    assert victims
    for pid in victims:
        os.kill(pid, signal.SIGKILL)

    def serves_again():
        return api.call(world, "GET", "/v1/session", token=token).status == 200
    wait_until(serves_again, f"service after the death of the {room}")
    with clients.Http2(world) as h2:
        assert h2.connect(f"127.0.0.1:{world.echo}", token)[1] == 200


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
