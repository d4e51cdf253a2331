"""The admin socket: who may speak is what the kernel says of the other end (SO_PEERCRED), whatever he says himself."""
import os
import sqlite3
import subprocess

import pytest

ADMIN, STRANGER = 64121, 64122

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")


def admin_as(world, uid, *arguments):
    return subprocess.run([world.program("sallyport-admin"), "--socket", str(world.admin_socket), *arguments], text=True,
                          capture_output=True, check=False, timeout=60, user=uid, group=uid, extra_groups=[], cwd="/")


def refusals(world):
    with sqlite3.connect(f"file:{world.database}?mode=ro", uri=True) as database:
        return database.execute("SELECT code, detail FROM audit WHERE event = 'admin_refused'").fetchall()


def test_only_root_may_where_nobody_is_named(new_world):
    world = new_world()
    done = admin_as(world, STRANGER, "device", "list")
    assert done.returncode == 3 and str(world.admin_socket) in done.stderr and "may you use it?" in done.stderr
    script = f"import socket; socket.socket(socket.AF_UNIX).connect({str(world.admin_socket)!r})"
    done = subprocess.run(["/usr/bin/python3", "-c", script], capture_output=True, text=True, check=False, user=STRANGER,
                          group=STRANGER, extra_groups=[], cwd="/")
    assert "PermissionError" in done.stderr
    assert "alice-laptop" in admin_as(world, 0, "device", "list").stdout


def test_admin_users_may_and_others_are_refused_and_recorded(new_world):
    world = new_world(settings=[f'admin_users = {{"{ADMIN}"}}'])
    done = admin_as(world, ADMIN, "device", "lock", "bob-laptop")
    assert done.returncode == 0, done.stderr
    with sqlite3.connect(f"file:{world.database}?mode=ro", uri=True) as database:
        ((detail,),) = database.execute("SELECT detail FROM audit WHERE event = 'device_locked'").fetchall()
    assert f"uid {ADMIN}" in detail, "the record says who it was"
    for act in (["device", "list"], ["device", "unlock", "bob-laptop"], ["audit"]):
        done = admin_as(world, STRANGER, *act)
        assert done.returncode == 1 and not done.stdout, done.stdout
        assert "only root and the users of admin_users" in done.stderr
    rows = refusals(world)
    assert len(rows) == 3 and {code for code, _ in rows} == {"not_admin"}
    assert all(f"uid {STRANGER}" in detail for _, detail in rows)
    assert "locked" in admin_as(world, 0, "device", "list").stdout, "the stranger's unlock did nothing"


def test_a_name_that_is_nobody_s_is_refused_at_start(new_world):
    world = new_world()
    conf = world.path("etc", "nobody.conf")
    conf.write_text(world.conf.read_text() + 'admin_users = {"no-such-person"}\n')
    conf.chmod(0o600)
    done = subprocess.run([world.program("sallyport-gateway"), "-f", str(conf), "-T"], text=True, capture_output=True,
                          check=False, timeout=60)
    assert done.returncode != 0 and "admin_users" in done.stderr and '"no-such-person"' in done.stderr
