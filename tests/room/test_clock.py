"""C1: the clock set back and forth by hours extends nothing. The real broker, with a wall clock that the test sets.

The broker is started through the dynamic loader, because rooms have no environment; the programs are those without
sanitizers, which want to be loaded first.
"""
import os
import subprocess
import time

import pytest

import rooms
from broker import Broker, Device
from test_broker import ALICE, DEVICES, policy, target
from wrong_clock import SetClock

LOADER = "/lib64/ld-linux-x86-64.so.2"
HOUR = 3600


@pytest.fixture
def clock(scratch, monkeypatch):
    if not os.path.exists(LOADER):
        pytest.skip("another machine's loader")
    made = SetClock(scratch)

    def spawn(program, edge, log):
        null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        actions = [(os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, null, 1), (os.POSIX_SPAWN_DUP2, log, 2),
                   (os.POSIX_SPAWN_DUP2, edge, 3)]
        words = [LOADER, "--preload", str(made.shim), str(program)]
        try:
            return os.posix_spawn(LOADER, words, {}, file_actions=actions)
        finally:
            os.close(null)
    monkeypatch.setattr(rooms, "spawn", spawn)
    return made


def limited(target, limit):
    return policy(target).replace('rule "alice works" {', f'rule "alice works" {{ {limit}')


def at_work(gateway, target):
    """Alice's worker, her session's token, and a tunnel."""
    worker = gateway.connect(ALICE)
    token = worker.token()
    opened = worker.open(token, "127.0.0.1", target.port)
    assert opened.name == "opened"
    return worker, token, opened


def ends(worker, opened, seconds):
    """The order that ends the tunnel comes within so many seconds; the worker obeys."""
    order = worker.peer.receive("end", seconds=seconds + 5)  # the slack is a slow machine's
    worker.peer.send("tunnel_closed", tunnel=opened.tunnel, reason="ended")
    worker.peer.send("ended", order=order.order, tunnels=1)
    return order.reason


@pytest.mark.parametrize("jumps", [[-5 * HOUR], [5 * HOUR, -5 * HOUR, 0], [-HOUR, -9 * HOUR]])
def test_C1_a_jump_extends_no_fresh_login_and_no_lease(release, scratch, clock, target, jumps):
    """A jump forward may end a session early; afterwards it stays ended."""
    with Broker(release, scratch, DEVICES, limited(target, 'fresh_login = "2s"'), lease="4s") as gateway:
        worker, token, opened = at_work(gateway, target)
        for jump in jumps:
            clock.set(jump)
        assert ends(worker, opened, 3) == "fresh_login_required"
        refused = worker.open(token, "127.0.0.1", target.port)
        assert (refused.status, refused.code) == (403, "fresh_login_required")
        time.sleep(2.5)
        gone = worker.open(token, "127.0.0.1", target.port)
        assert (gone.status, gone.code) == (407, "lease_expired")


def test_C1_a_jump_forward_and_back_revives_nothing(release, scratch, clock, target):
    with Broker(release, scratch, DEVICES, policy(target), lease="1h") as gateway:
        worker = gateway.connect(ALICE)
        token = worker.token()
        clock.set(2 * HOUR)
        time.sleep(1)
        clock.set(0)
        gone = worker.open(token, "127.0.0.1", target.port)
        assert (gone.status, gone.code) == (407, "lease_expired")


def test_C1_hours_that_are_over_stay_over(release, scratch, clock, target):
    clock.set_to((2026, 11, 24, 16, 59, 56, 0, 0, 0))
    text = 'calendar "utc" { zone = UTC }\n' + limited(target, 'hours = "Mon-Fri 09:00-17:00" calendar = utc')
    with Broker(release, scratch, DEVICES, text) as gateway:
        worker, token, opened = at_work(gateway, target)
        clock.set(clock.lead_s - 3 * HOUR)
        assert ends(worker, opened, 6) == "hours_over"
        refused = worker.open(token, "127.0.0.1", target.port)
        assert (refused.status, refused.code) == (403, "not_allowed")


def test_C1_a_denial_by_hours_outlives_a_clock_set_back(release, scratch, clock, target):
    clock.set_to((2026, 11, 24, 16, 59, 56, 0, 0, 0))
    text = ('calendar "utc" { zone = UTC }\n' + policy(target) + 'rule "not in the evening" { users = {"alice"} '
            'resources = {"echo"} hours = "Mon-Fri 17:00-23:00" calendar = utc deny = true }\n')
    with Broker(release, scratch, DEVICES, text) as gateway:
        worker, token, opened = at_work(gateway, target)
        clock.set(clock.lead_s - 3 * HOUR)
        assert ends(worker, opened, 6) == "hours_over"
        refused = worker.open(token, "127.0.0.1", target.port)
        assert (refused.status, refused.code) == (403, "not_allowed")


def test_C1_a_clock_set_back_while_the_gateway_stood_still(release, scratch, clock, target):
    gateway = Broker(release, scratch, DEVICES, policy(target), lease="6s")
    try:
        token = gateway.connect(ALICE).token()
        gateway.kill()
        clock.set(-5 * HOUR)
        gateway.start()
        worker = gateway.connect(ALICE)
        assert worker.call("session_get", token=token).name == "session_state"
        time.sleep(7)
        assert worker.call("session_get", token=token).code == "lease_expired"
    finally:
        gateway.end()


def seen(clock, lead_s):
    """The clock is there, and the broker has looked at it."""
    clock.set(lead_s)
    time.sleep(1)


def test_C1_a_certificate_that_has_ended_stays_ended(release, scratch, clock, target):
    short = Device("short", ["alice"], not_after=int(time.time() * 1000) + HOUR * 1000)
    early = Device("early", ["alice"], not_before=int(time.time() * 1000) + HOUR * 1000)
    with Broker(release, scratch, [short, early], policy(target)) as gateway:
        gateway.connect(short)
        seen(clock, 2 * HOUR)
        clock.set(0)
        for device, code in ((short, "certificate_expired"), (early, "not_yet_valid")):
            worker = gateway.new_worker()
            worker.show(device)
            assert worker.peer.receive("rejected").code == code
        assert "the clock was set back" in gateway.room.said()


def test_C1_an_invitation_that_has_ended_stays_ended(release, scratch, clock, target):
    with Broker(release, scratch, DEVICES, policy(target), enroll_listen="127.0.0.1:1\n") as gateway:
        status, invited = gateway.admin("POST", "/v1/invitations", {"name": "new", "users": ["alice"], "life": "1h"})
        assert status in (200, 201), invited
        (identity,), = gateway.query("SELECT id FROM invitation")
        seen(clock, 2 * HOUR)
        clock.set(0)
        worker = gateway.new_worker(listener=2)
        assert worker.peer.receive("accepted").device == ""
        worker.ask("enroll", invitation=identity, secret=b"wrong", public_key=b"key", key_kind="ec-p256")
        assert worker.peer.receive("problem").status == 401
        # Whether it was forgotten meanwhile is a matter of when somebody looked.
        detail, = gateway.query("SELECT detail FROM audit ORDER BY sequence DESC LIMIT 1")[0]
        assert detail in ("the invitation has expired", "no such invitation")


@pytest.mark.parametrize("lead_s", [25 * HOUR, -5 * HOUR])
def test_A10_a_jump_ends_no_wait_and_forgets_no_failure(release, scratch, clock, target, lead_s):
    with Broker(release, scratch, DEVICES, policy(target), login_failures="2", login_wait="1h") as gateway:
        worker = gateway.connect(ALICE)
        for _ in range(2):
            assert worker.login(good=0).code == "login_failed"
        time.sleep(2.2)
        seen(clock, lead_s)
        assert worker.login(good=0).code == "login_failed"
        problem = worker.call("login_start", user="alice")
        assert problem.status == 429 and 2 < problem.retry_after_s <= 4, "the third failure makes a longer wait than the second"
        clock.set(2 * lead_s)
        problem = worker.call("login_start", user="alice")
        assert problem.status == 429 and problem.retry_after_s <= 4


def test_a_clock_that_was_set_back_is_told_until_it_is_right(release, scratch, clock, target):
    """In `status --check` and doctor, with what to do."""
    with Broker(release, scratch, DEVICES, policy(target)) as gateway:
        def told():
            done = subprocess.run([f"{release}/bin/sallyport-admin", "--socket", gateway.admin_path, "status", "--check"], text=True,
                                  capture_output=True, check=False)
            return [line for line in done.stdout.splitlines() if "the clock was set back under the gateway" in line]
        gateway.connect(ALICE).token()  # a decision: it has looked at the clock
        assert told() == []
        clock.set(-5 * HOUR)
        (line,) = told()
        assert line.startswith("warning  clock: 1") and "seconds behind where it was" in line
        assert abs(gateway.admin("GET", "/v1/status")[1]["clock_behind_seconds"] - 5 * HOUR) <= 2
        clock.set(0)
        assert told() == []
