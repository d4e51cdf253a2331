"""Backups of the store: taken from a running gateway, put back into a stopped one, told apart from the record's own past."""
import json
import os
import shutil
import sqlite3
import subprocess

import pytest

import api
from test_record_proof import Copy, checkpoints_of, copy_store
from world import wait_until


def admin(world, *arguments):
    return subprocess.run([world.program("sallyport-admin"), *map(str, arguments)], text=True, capture_output=True, check=False, timeout=60)


def rows(path):
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    (count,) = database.execute("SELECT count(*) FROM audit").fetchone()
    database.close()
    return count


def test_a_backup_of_a_running_gateway_comes_back(new_world, tmp_path):
    """And the record says so: with checkpoints from elsewhere the restored store is known for an older copy."""
    world = new_world(settings=['audit_checkpoint_time = "1s"'])
    backup, elsewhere = tmp_path / "backup.db", tmp_path / "elsewhere"
    api.login(world)
    done = admin(world, "backup", backup, "--store", world.database)
    assert done.returncode == 0 and "not encrypted" in done.stderr, done
    assert backup.stat().st_mode & 0o777 == 0o600 and sorted(os.listdir(tmp_path)) == ["backup.db"]
    again = admin(world, "backup", backup, "--store", world.database)
    assert again.returncode == 1 and "never overwrites" in again.stderr
    saved = rows(backup)
    token = api.login(world).body["session"]
    wait_until(lambda: checkpoints_of(world.database) and checkpoints_of(world.database)[-1] > saved, "a checkpoint behind the backup")
    elsewhere.write_text(world.admin("audit", "checkpoints", "--store", world.database))
    # Not over a live one.
    done = admin(world, "restore", backup, "--store", world.database)
    assert done.returncode == 1 and "a gateway is using" in done.stderr and "nothing was changed" in done.stderr, done
    assert api.call(world, "GET", "/v1/session", token=token).status == 200
    assert world.stop_process("gateway", 20) == 0
    before = rows(world.database)
    done = admin(world, "restore", backup, "--store", world.database)
    assert done.returncode == 0 and f"number {saved}" in done.stdout, done
    (kept,) = [path for path in world.database.parent.iterdir() if ".before-" in path.name]
    assert rows(kept) == before and rows(world.database) == saved
    status, report = Copy(world.database, world).verify()
    assert status == 0 and report["whole"], report
    world.start_gateway()
    # What came after the backup is gone, and the gateway works.
    assert api.call(world, "GET", "/v1/session", token=token).status == 401
    assert api.login(world).status == 200
    for path in (world.database, kept):
        status, report = Copy(path, world).verify("--checkpoints", elsewhere)
        assert (status == 0) == (path == kept), report
        if path != kept:
            assert "written anew" in report["findings"][0]["finding"] or "older copy" in report["findings"][0]["finding"], report
    wait_until(lambda: (checkpoints_of(world.database) or [0])[-1] > saved, "a checkpoint of the restored store")
    assert Copy(world.database, world).verify()[0] == 0, "the restored store proves itself from here on"


def test_an_encrypted_backup(new_world, tmp_path):
    world = new_world()
    key, other = tmp_path / "key", tmp_path / "other"
    for path in (key, other):
        subprocess.run(["age-keygen", "-o", path], check=True, capture_output=True)
    recipient = subprocess.run(["age-keygen", "-y", key], check=True, capture_output=True, text=True).stdout.strip()
    recipients = tmp_path / "recipients"
    recipients.write_text(recipient + "\n")
    api.login(world)
    for number, to in enumerate([recipient, recipients]):
        done = admin(world, "backup", tmp_path / f"{number}.age", "--encrypt-to", to, "--store", world.database)
        assert done.returncode == 0 and not done.stderr, done
        content = (tmp_path / f"{number}.age").read_bytes()
        assert content.startswith(b"age-encryption.org/v1") and b"SQLite" not in content and b"alice" not in content
    assert sorted(p.name for p in world.database.parent.iterdir() if "backup" in p.name) == [], "the plain copy is gone"
    saved = rows(world.database)
    done = admin(world, "backup", tmp_path / "bad.age", "--encrypt-to", "age1nobody", "--store", world.database)
    assert done.returncode == 1 and not list(tmp_path.glob("bad.age*"))
    assert world.stop_process("gateway", 20) == 0
    for options, word in [((), "--identity"), (("--identity", other), "did not do it")]:
        done = admin(world, "restore", tmp_path / "0.age", *options, "--store", world.database)
        assert done.returncode == 1 and word in done.stderr and "nothing was changed" in done.stderr, done
    damaged = tmp_path / "damaged.age"
    content = bytearray((tmp_path / "0.age").read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    assert admin(world, "restore", damaged, "--identity", key, "--store", world.database).returncode == 1
    assert rows(world.database) >= saved
    assert admin(world, "restore", tmp_path / "0.age", "--identity", key, "--store", world.database).returncode == 0
    assert rows(world.database) == saved
    world.start_gateway()
    assert api.login(world).status == 200


def test_restore_judges_a_backup_before_it_touches_the_store(new_world, tmp_path):
    world = new_world()
    api.login(world)
    assert world.stop_process("gateway", 20) == 0
    good, damaged, newer, other = (tmp_path / name for name in ("good", "damaged", "newer", "other"))
    copy_store(world.database, good)
    content = bytearray(good.read_bytes())
    content[8192:12288] = b"\xff" * 4096
    damaged.write_bytes(content)
    shutil.copy(good, newer)
    database = sqlite3.connect(newer)
    database.execute("PRAGMA user_version = 99")
    database.close()
    database = sqlite3.connect(other)
    database.execute("CREATE TABLE x (y)")
    database.commit()
    database.close()
    before = world.database.read_bytes()
    for path, word in [(damaged, "damaged"), (newer, "newer"), (other, "not a Sallyport store"), (tmp_path / "missing", "cannot open")]:
        done = admin(world, "restore", path, "--store", world.database)
        assert done.returncode == 1 and word in done.stderr and len(done.stderr.splitlines()) == 1, done
        assert world.database.read_bytes() == before
        assert not [p for p in world.database.parent.iterdir() if ".before-" in p.name or ".restoring" in p.name]
    # A record that is not whole is better than none, but it is told.
    tampered = Copy(good, world)
    tampered.change("UPDATE audit SET code = 'x' WHERE sequence = 2")
    done = admin(world, "restore", good, "--store", world.database)
    assert done.returncode == 0 and "not whole from record 2" in done.stderr, done


def test_a_damaged_store_is_an_alarm_at_the_start(new_world):
    """In the background, and in a table that nothing else reads: the gateway serves meanwhile."""
    world = new_world()
    assert world.stop_process("gateway", 20) == 0
    database = sqlite3.connect(world.database)
    (page,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'factor_recovery'").fetchone()
    (size,) = database.execute("PRAGMA page_size").fetchone()
    database.close()
    with open(world.database, "r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    world.start_gateway()
    wait_until(lambda: [row for row in json.loads(world.admin("--json", "audit"))["audit"]
                        if row["event"] == "alarm" and row["code"] == "store_trouble" and "damaged" in row["detail"]], "the alarm")
    assert api.login(world).status == 200
