"""sallyport-admin status: the gateway on one screen."""
import contextlib
import json
import os
import pwd
import re
import signal
import sqlite3

import api
import clients
import pytest
from test_admin_socket import ADMIN, admin_as
from world import wait_until


def test_the_gateway_on_one_screen(new_world):
    """24 lines of 80 columns: doors, rooms, certificates, what is wrong; and the same as JSON."""
    world = new_world(settings=['alert "log" { events = {"break-glass"}  to = "syslog+tcp://127.0.0.1:1" }', "certificate_life = 1h"])
    world.stop_process("gateway")
    with contextlib.closing(sqlite3.connect(world.database)) as database, database:
        database.execute("UPDATE certificate SET not_before = not_before - 3000000, not_after = not_after - 3000000")
    world.start_gateway()
    token = api.login(world).body["session"]
    assert api.login(world, "alice", laptop="bob-laptop").status == 403
    world.admin("device", "lock", "bob-laptop")
    for _ in range(3):
        assert api.call(world, "GET", "/v1/session", laptop="bob-laptop").status == 0
    status, _, tunnel = clients.http1_connect(world, f"{world.inside}:{world.echo}", token)
    assert status == 200
    (signer,) = clients.children(world, "sallyport-signer")
    os.kill(signer, signal.SIGKILL)
    wait_until(lambda: clients.children(world, "sallyport-signer") not in ([], [signer]), "another signer")
    screen = world.admin("status")
    lines = screen.splitlines()
    assert len(lines) <= 24 and max(map(len, lines)) <= 80, screen
    assert f"door one   127.0.0.1:{world.port}; enrolment 127.0.0.1:{world.enroll_port}\n" in screen
    assert re.search(r"last hour: \d+ let in, \d+ refused: 3 device_locked", screen), screen
    assert "last hour: 1 logged in, 1 refused: 1 not_bound; 0 under way" in screen
    assert "inside     1 connections, 1 sessions, 1 tunnels" in screen
    shown = json.loads(world.admin("--json", "status"))
    rooms = {room["room"]: room for room in shown["rooms"]}
    assert list(rooms) == ["monitor", "signer", "broker", "worker template", "courier"]
    assert rooms["monitor"]["process"] == world.gateway.pid
    assert [[room["process"]] for name, room in rooms.items() if name in ("signer", "courier")] == [
        clients.children(world, f"sallyport-{name}") for name in ("signer", "courier")]
    assert [rooms[name]["restarts"] for name in rooms] == [0, 1, 0, 0, 0]
    for room in rooms.values():
        uid = int(re.search(r"^Uid:\t\d+\t(\d+)", open(f"/proc/{room['process']}/status", encoding="ascii").read(), re.M)[1])
        with contextlib.suppress(KeyError):
            assert room["user"] in (str(uid), pwd.getpwuid(uid).pw_name)
        assert re.search(rf"^{room['room']} +{room['process']} +{room['user']} +{room['since']} +{room['restarts']}$", screen, re.M)
    assert [row["certificate"] for row in shown["certificates_of_the_house"]] == ["gateway", "its authority", "device authority"]
    assert [row["device"] for row in shown["certificates_first"]] == ["alice-laptop"], "a locked one renews nothing"
    assert re.search(r"^device, overdue +20\d\d-\d\d-\d\d +alice-laptop$", screen, re.M), screen
    assert "warning    certificates: 1 device certificates end soon" in screen and "mend it with: sallyport-admin device list" in screen
    tunnel.close()


def test_a_room_that_does_not_run_is_named(new_world):
    """And it is there again by itself, when it can be started."""
    world = new_world(laptops=())
    key = world.path("etc", "server.key")
    key.rename(key.with_suffix(".away"))
    (signer,) = clients.children(world, "sallyport-signer")
    os.kill(signer, signal.SIGKILL)
    down = lambda: [room["room"] for room in json.loads(world.admin("--json", "status"))["rooms"] if room["process"] is None]
    wait_until(lambda: down() == ["signer"], "a signer that is not there")
    screen = world.admin("status")
    assert re.search(r"^signer +- +- +- +0$", screen, re.M), screen
    assert "error      rooms: the signer does not run" in screen and "mend it with: journalctl" in screen
    key.with_suffix(".away").rename(key)
    wait_until(lambda: down() == [], "the signer")
    assert "nothing is wrong" in world.admin("status")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_who_may_use_the_admin_socket_sees_it_too(new_world):
    """Without being root."""
    world = new_world(laptops=(), settings=[f'admin_users = {{"{ADMIN}"}}'])
    done = admin_as(world, ADMIN, "status")
    assert done.returncode == 0 and re.search(r"^broker +\d+ +64103 +20", done.stdout, re.M), done.stdout + done.stderr
