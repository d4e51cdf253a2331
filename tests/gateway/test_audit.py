"""sallyport-admin audit: what fits, as it comes, and over more rows than one look takes."""
import json
import sqlite3
import subprocess
import time

import api
from world import wait_until


def audit(world, *filters):
    return json.loads(world.admin("--json", "audit", *filters))["audit"]


def test_filters_find_what_fits_and_nothing_else(world):
    assert api.login(world).status == 200
    world.forget_codes()
    refused = api.login(world, "alice", laptop="bob-laptop")
    everything = audit(world)
    names = {"--user": "user", "--device": "device", "--event": "event", "--code": "code", "--id": "request_id"}
    for option, wanted in (("--user", "alice"), ("--device", "bob-laptop"), ("--event", "login"), ("--code", "not_bound"),
                           ("--id", refused.body["request_id"])):
        found = audit(world, option, wanted)
        assert found and found == [row for row in everything if row[names[option]] == wanted]
    assert len(audit(world, "--id", refused.body["request_id"])) == 1
    (row,) = audit(world, "--event", "login", "--user", "alice", "--device", "bob-laptop", "--since", "1h")
    assert row["code"] == "not_bound"
    line = world.admin("audit", "--code", "not_bound")
    assert line.count("\n") == 1 and f"id={refused.body['request_id']}" in line
    assert audit(world, "--user", "ali") == [] == audit(world, "--code", "x' OR 1=1 --")
    assert audit(world, "--since", time.strftime("%Y-%m-%d", time.gmtime(time.time() + 86400))) == []
    assert audit(world, "--since", time.strftime("%Y-%m-%d", time.gmtime()))[-1:] == everything[-1:]
    assert audit(world, "--after", str(everything[-1]["sequence"] + 100)) == []


def test_what_cannot_be_meant_is_said(world):
    def refused(*words):
        done = subprocess.run([world.program("sallyport-admin"), "--socket", world.admin_socket, "audit", *words],
                              text=True, capture_output=True, check=False)
        return done.returncode, done.stderr
    assert refused("--since", "yesterday") == (2, 'sallyport-admin: --since takes a time such as 24h, or a day or moment (UTC) such '
                                                  'as 2026-11-24 or 2026-11-24T10:00:00Z, not "yesterday"\n')
    assert refused("--since", "2026-13-01")[0] == 2 and refused("--user", "a", "--user", "b")[0] == 2
    assert refused("--code", "x" * 40) == (1, "sallyport-admin: what is looked for is longer than anything in the record\n")


def test_follow_shows_what_fits_as_it_comes(world):
    follower = subprocess.Popen([world.program("sallyport-admin"), "--socket", world.admin_socket, "--json", "audit", "--follow",
                                 "--event", "device_locked", "--since", "0s"], text=True, stdout=subprocess.PIPE)
    try:
        world.admin("device", "tag", "bob-laptop", "x")
        world.admin("device", "lock", "bob-laptop")
        row = json.loads(follower.stdout.readline())
        assert (row["event"], row["device"]) == ("device_locked", "bob-laptop")
    finally:
        follower.kill()
        follower.wait()
        follower.stdout.close()
    world.admin("device", "unlock", "bob-laptop")


def test_one_row_among_many(new_world):
    """A hundred and twenty thousand rows: three looks find the one, before and behind which nothing fits."""
    world = new_world()
    world.stop_process("gateway")
    with sqlite3.connect(world.database) as database:
        (last,) = database.execute("SELECT max(sequence) FROM audit").fetchone()
        database.execute('''WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 120000)
            INSERT INTO audit SELECT ? + i, 1, 'filler', CASE i WHEN 110000 THEN 'needle' ELSE '' END, '', '', '', '', '', '', 'x' FROM n''',
                         (last,))
    world.start_gateway()
    (row,) = audit(world, "--code", "needle")
    assert row["sequence"] == last + 110000
    wait_until(lambda: audit(world, "--event", "gateway_started", "--since", "1h"), "the newest rows")
