"""A2, F2, C3: a worker in a stranger's hands, inside a whole gateway: monitor, signer and broker are the real ones.

The stranger has an enrolled laptop (alice's) and her login, and wants more: to be bob's laptop, to stay after the end.
"""
import hashlib
import json
import os
import pathlib
import shutil
import sqlite3
import ssl
import tempfile

import pytest

import api
import clients
import proc
from world import World, wait_until


class TakenOver(World):
    """A world whose gateway starts the hostile worker where the real one stands: in a mount namespace of its own."""

    def take_over(self, act):
        certificate = ssl.PEM_cert_to_DER_cert(self.laptops["bob-laptop"].certificate.read_text())
        program = pathlib.Path(os.environ["SALLYPORT_BUILD"], "tests", "fixtures", "hostile_worker").read_bytes()
        orders = b"hostile orders: " + act.encode().ljust(16, b"\0") + hashlib.sha256(certificate).digest()
        place = program.index(b"hostile orders: nothing")
        hostile = self.path("hostile_worker")
        hostile.write_bytes(program[:place] + orders + program[place + len(orders):])
        hostile.chmod(0o755)
        self.stop_process("gateway", 20)
        real = self.programs / "libexec" / "sallyport" / "sallyport-worker"
        self.spawn("gateway", ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" "$1" && exec "$2" -f "$3"', hostile, real,
                               self.program("sallyport-gateway"), self.conf], self.gateway_ready)


@pytest.fixture
def taken_over(programs):
    made = []

    def make(act):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="sallyport-test.", dir="/tmp"))
        world = TakenOver(folder, programs, quiet=True)
        made.append(world)
        world.start()
        world.take_over(act)
        return world
    yield make
    for world in made:
        world.stop()
        shutil.rmtree(world.folder, ignore_errors=True)


def query(world, text, *arguments):
    with sqlite3.connect(f"file:{world.database}?mode=ro", uri=True) as database:
        return database.execute(text, arguments).fetchall()


def test_without_orders_it_is_a_worker_like_any_other(taken_over):
    world = taken_over("nothing")
    assert api.login(world).status == 200


@pytest.mark.parametrize("act, codes", [("other device", {"proof_failed"}), ("other words", {"proof_failed"}),
                                        ("no proof", {"proof_failed"}), ("sign twice", set())])
def test_A2_F2_a_hostile_worker_gets_nothing(taken_over, act, codes):
    """Its client is served nothing, nobody else is taken for it, and a laptop that is not its client's comes to no harm."""
    world = taken_over(act)
    last = query(world, "SELECT max(sequence) FROM audit")[0][0]
    answer = api.call(world, "GET", "/v1/session")
    assert answer.status == 0 and answer.text == "", (answer.status, answer.text)
    seen = {code for (code,) in query(world, "SELECT code FROM audit WHERE sequence > ?", last)}
    assert codes <= seen and "" not in seen, seen
    assert query(world, "SELECT count(*) FROM audit WHERE sequence > ? AND event = 'door_one' AND code = ''", last) == [(0,)]
    assert query(world, "SELECT state FROM device ORDER BY name") == [("active",), ("active",)]


@pytest.mark.parametrize("act", ["deaf", "lie of an end"])
def test_C3_a_worker_that_does_not_end_is_killed(taken_over, act):
    """It serves its client on, and hears no order or lies about it."""
    world = taken_over(act)
    token = api.login(world).body["session"]
    with clients.Http2(world) as h2:
        numbers = [h2.connect(f"127.0.0.1:{world.echo}", token)[0] for _ in range(3)]
        (pid,) = proc.workers_of_clients(world)
        answer = json.loads(world.admin("device", "lock", "alice-laptop", "--json"))
        assert answer["tunnels_closed"] == 3
        assert query(world, "SELECT close_reason, count(*) FROM tunnel GROUP BY 1") == [("device_locked", 3)]
        ((slowest,),) = query(world, "SELECT max(t.closed_at) - max(a.at) FROM tunnel t, audit a WHERE a.event = 'device_locked'")
        assert 0 <= slowest <= 1000
        assert h2.wait(lambda: h2.closed or all(h2.streams[n].ended for n in numbers), 10)
        wait_until(lambda: pid not in proc.gateway(world), "the end of the hostile worker")
    assert "killed" in world.log_end("gateway")
