"""A hundred logins at the same time, through the whole gateway, with a module that takes five seconds."""
import json
import os
import pathlib
import shutil
import sqlite3
import time

import clients

SETTINGS = ['conversations = "200"', 'conversations_per_device = "64"', 'logins_per_device = "6000"', 'logins_per_user = "6000"',
            'logins_per_source = "6000"', 'sessions_per_user = "400"', 'sessions_per_device = "400"']
EACH = 50


def post(h2, path, body):
    text = json.dumps(body).encode()
    number = h2.request([(":method", "POST"), (":scheme", "https"), (":authority", "x"), (":path", path),
                         ("content-type", "application/json"), ("content-length", str(len(text)))], end=False)
    h2.h2.send_data(number, text, end_stream=True)
    h2.flush()
    return number


def hundred(world, module, wait_ms):
    """So many seconds take a hundred logins that begin at once, with a module that waits so long."""
    world.path("etc", "pam.d", "sallyport").write_text(f"auth required {module} [wait={wait_ms}]\naccount required pam_permit.so\n")
    with clients.Http2(world, "alice-laptop") as alices, clients.Http2(world, "bob-laptop") as bobs:
        began = time.monotonic()
        asked = [(h2, post(h2, "/v1/login", {"user": user})) for user, h2 in (("alice", alices), ("bob", bobs)) for _ in range(EACH)]
        for h2, number in asked:
            assert h2.wait(lambda h2=h2, number=number: h2.streams.get(number) and h2.streams[number].ended, 90)
        took = time.monotonic() - began
        answers = [h2.streams[number].problem for h2, number in asked]
    assert [a.get("state") for a in answers] == ["granted"] * 2 * EACH, [a for a in answers if a.get("state") != "granted"][:3]
    assert len({a["session"] for a in answers}) == 2 * EACH
    return took


def test_a_hundred_logins_take_little_more_than_one(new_world, release):
    """What they take beside the five seconds is what a hundred take whose module does not wait: measured before and after,
    on the programs as shipped, for the machine may be busy."""
    world = new_world(settings=SETTINGS, programs=release)
    module = next(pathlib.Path(os.environ["SALLYPORT_BUILD"]).rglob("pam_awkward.so"))
    module = shutil.copy(module, world.path("etc", "pam.d", module.name))
    before, took, after = (hundred(world, module, wait_ms) for wait_ms in (0, 5000, 0))
    print(f"a hundred logins: {before:.1f} s, with a module that takes 5 s: {took:.1f} s, again without: {after:.1f} s")
    assert 5 <= took < 5 + 1.5 * max(before, after) + 0.5
    with sqlite3.connect(f"file:{world.database}?mode=ro", uri=True) as database:
        assert database.execute("SELECT count(*) FROM session WHERE ended_at IS NULL").fetchone() == (6 * EACH,)
