"""A hundred logins at the same time, through the whole gateway, with a module that takes five seconds."""
import json
import os
import pathlib
import shutil
import sqlite3
import time

import clients

SETTINGS = ['conversations = "200"', 'conversations_per_device = "64"', 'logins_per_device = "6000"', 'logins_per_user = "6000"',
            'logins_per_source = "6000"', 'sessions_per_user = "200"', 'sessions_per_device = "200"']
EACH = 50


def post(h2, path, body):
    text = json.dumps(body).encode()
    number = h2.request([(":method", "POST"), (":scheme", "https"), (":authority", "x"), (":path", path),
                         ("content-type", "application/json"), ("content-length", str(len(text)))], end=False)
    h2.h2.send_data(number, text, end_stream=True)
    h2.flush()
    return number


def test_a_hundred_logins_take_little_more_than_one(new_world):
    """One after the other they would take more than eight minutes."""
    world = new_world(settings=SETTINGS)
    module = next(pathlib.Path(os.environ["SALLYPORT_BUILD"]).rglob("pam_awkward.so"))
    shutil.copy(module, world.path("etc", "pam.d", module.name))
    world.path("etc", "pam.d", "sallyport").write_text(
        f"auth required {world.path('etc', 'pam.d', module.name)} [wait=5000]\naccount required pam_permit.so\n")
    began = time.monotonic()
    with clients.Http2(world, "alice-laptop") as alices, clients.Http2(world, "bob-laptop") as bobs:
        asked = [(h2, post(h2, "/v1/login", {"user": user})) for user, h2 in (("alice", alices), ("bob", bobs)) for _ in range(EACH)]
        for h2, number in asked:
            assert h2.wait(lambda h2=h2, number=number: h2.streams.get(number) and h2.streams[number].ended, 60)
        took = time.monotonic() - began
        answers = [h2.streams[number].problem for h2, number in asked]
    assert [a.get("state") for a in answers] == ["granted"] * 2 * EACH, [a for a in answers if a.get("state") != "granted"][:3]
    assert len({a["session"] for a in answers}) == 2 * EACH
    assert took < 60
    with sqlite3.connect(f"file:{world.database}?mode=ro", uri=True) as database:
        assert database.execute("SELECT count(*) FROM session WHERE ended_at IS NULL").fetchone() == (2 * EACH,)
