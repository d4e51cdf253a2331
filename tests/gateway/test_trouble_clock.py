"""D2, C1: a clock that jumps, forward and back, while the disk is full or read-only and the mail server is down, on a whole
gateway: nothing acknowledged is lost, the record is whole and in order, leases are neither longer nor shorter, and the alerts
arrive in order afterwards. (The programs without sanitizers: the clock's library is preloaded.)
"""
import contextlib
import os
import re
import signal
import ssl
import time

import api
import clients
import pytest
from elsewhere import Mailbox
from records import rows
from trouble import Client, Disk, assert_record_is_whole, echoes
from world import wait_until
from wrong_clock import SetClock

MINUTE, HOUR = 60, 3600
# Certificates are younger than that: a laptop is let in also when the clock has gone back.
START = 3 * HOUR


class Place:
    """A gateway with a disk, a mailbox and a clock, all of which can go wrong."""

    def __init__(self, world, mailbox, clock):
        self.world, self.mailbox, self.clock = world, mailbox, clock
        world.gateway_prefix = clock.prefix
        self.jump(START)
        self.disk = Disk(world)

    def jump(self, lead_s):
        """The gateway's clock, and the telephones': they all ask the same servers."""
        self.clock.set(lead_s)
        for user in self.world.users.values():
            user.ahead_s, user._last_step = lead_s, 0
        self.world.forget_codes()

    def wrong_device(self):
        """An alert that is not urgent: alice's password on bob's laptop."""
        self.world.forget_codes()
        self.world.users["alice"]._last_step = 0
        assert api.login(self.world, "alice", laptop="bob-laptop").status == 403

    def told(self):
        """The numbers of the records that were mailed, in the order of their arrival."""
        return [int(number) for number in re.findall(r"record: (\d+) ", self.mailbox.text())]


@pytest.fixture
def place(new_world, release, scratch):
    if os.geteuid():
        pytest.skip("mounting wants root")
    mailbox = Mailbox(scratch).start()
    world = new_world(programs=release, settings=['lease = "1h"', mailbox.section(["store-trouble", "first-login", "wrong-device"])])
    made = Place(world, mailbox, SetClock(scratch))
    yield made
    made.disk.away()
    mailbox.stop()


def session(world):
    """Of the first login: until when, when it ended, why."""
    return rows(world, "SELECT expires_at, ended_at, end_reason FROM session ORDER BY number LIMIT 1")[0]


def numbers(world, events):
    """Records of these events: their numbers, in order; no number of the record is missing."""
    marks = ",".join("?" * len(events))
    ((first, last, count),) = rows(world, "SELECT min(sequence), max(sequence), count(*) FROM audit")
    assert (first, last) == (1, count)
    return [number for (number,) in rows(world, f"SELECT sequence FROM audit WHERE event || ' ' || code IN ({marks}) ORDER BY sequence", *events)]


@pytest.mark.parametrize("jump", [20 * MINUTE, -20 * MINUTE], ids=["forward", "back"])
def test_D2_a_full_disk_no_mail_and_a_clock_that_jumps(place, jump):
    world, mailbox = place.world, place.mailbox
    client = Client(world)
    live = client.tunnel()
    until, _, _ = session(world)
    mailbox.wait_for("first-login")
    mailbox.stop()
    place.wrong_device()
    place.disk.fill()
    client.until_refused()
    place.jump(START + jump)
    assert client.login() in (0, 503) and echoes(live, b"no lease ends by it")
    place.disk.empty()
    wait_until(lambda: client.login() == 200, "a login, with no help")
    place.wrong_device()
    later = client.tunnel()
    assert later and echoes(later, b"the first session goes on") and echoes(live, b"and its tunnel")
    place.jump(START)
    place.wrong_device()
    assert echoes(live, b"still") and session(world) == (until, None, None), "neither longer nor over"
    live.close()
    later.close()
    assert_record_is_whole(world, client)
    mailbox.start()
    mailbox.wait_for("it could not since", 40)
    wanted = numbers(world, ["login ", "login not_bound", "alarm store_trouble"])
    # The first login of alice was told before; her others are no news.
    logins = numbers(world, ["login "])
    wait_until(lambda: place.told() == [number for number in wanted if number not in logins[1:]], f"each once, in order; {wanted}", 40)


def test_C1_a_lease_that_ends_while_the_disk_is_full_ends(place):
    """By a clock that was set forward; the record is told when that is possible again."""
    world = place.world
    client = Client(world)
    live = client.tunnel()
    until, _, _ = session(world)
    place.disk.fill()
    client.until_refused()
    place.jump(START + HOUR - 4)
    assert echoes(live, b"some seconds are left")
    live.settimeout(20)
    with contextlib.suppress(ssl.SSLEOFError, ConnectionError):
        assert live.recv(10) == b"", "it goes on beyond its lease"
    assert client.tunnel() is None
    place.jump(START)
    assert client.tunnel() is None
    place.disk.empty()
    wait_until(lambda: session(world)[2] == "lease_expired", "the end of the session in the record")
    assert session(world)[0] == until
    assert client.login() == 200
    assert_record_is_whole(world, client)
    assert ("lease_expired",) in rows(world, "SELECT close_reason FROM tunnel")


def test_D2_a_disk_that_is_read_only_no_mail_and_a_clock_that_jumps(place):
    """The broker dies in the middle of it and comes back into another time; an hour's lease is over then, and stays so when the
    clock goes back."""
    world, mailbox = place.world, place.mailbox
    mailbox.stop()
    client = Client(world)
    live = client.tunnel()
    place.wrong_device()
    (broker,) = clients.children(world, "sallyport-broker")
    world.gateway.send_signal(signal.SIGSTOP)
    os.kill(broker, signal.SIGKILL)
    wait_until(lambda: place.disk.remount("ro"), "a disk that is read-only")
    place.jump(START + 2 * HOUR)
    world.gateway.send_signal(signal.SIGCONT)
    time.sleep(1)
    assert api.call(world, "GET", "/v1/session", extra=["--max-time", "2"]).status == 0, "nobody is served without a record"
    assert place.disk.remount("rw")
    wait_until(lambda: client.login() == 200, "a login, with no help", seconds=60)
    wait_until(lambda: session(world)[2] == "lease_expired", "the end of the first session")
    place.wrong_device()
    place.jump(START)
    status, _, _ = clients.http1_connect(world, f"{world.inside}:{world.echo}", client.token)
    assert status == 407, "revived"
    place.wrong_device()
    assert_record_is_whole(world, client)
    assert rows(world, "SELECT close_reason FROM tunnel") == [("gateway_restarted",)]
    mailbox.start()
    wanted = numbers(world, ["login ", "login not_bound"])
    logins = numbers(world, ["login "])
    wait_until(lambda: place.told() == [number for number in wanted if number not in logins[1:]], f"each once, in order; {wanted}", 40)
