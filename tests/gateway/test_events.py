"""GET /v1/events: a session hears at once what ended, what will end, and why; beside tunnels, on the same connection."""
import json
import signal
import subprocess
import time

import pytest

import api
import clients
from test_cut import login
from test_policy import apply, echoes, rules


class Listener:
    """An HTTP/2 connection with a feed, and what it said."""

    def __init__(self, world, token, laptop="alice-laptop"):
        self.h2 = clients.Http2(world, laptop)
        self.number = self.listen(token)
        self.await_event(event="begin")

    def listen(self, token):
        return self.h2.request([(":method", "GET"), (":scheme", "https"), (":path", "/v1/events"), (":authority", "localhost"),
                                ("authorization", f"Bearer {token}")])

    @property
    def events(self):
        text = bytes(self.h2.streams[self.number].data).decode()
        return [json.loads(line) for line in text.split("\n")[:-1]]

    def find(self, **wanted):
        return [event for event in self.events if all(event.get(k) == v for k, v in wanted.items())]

    def await_event(self, seconds=10, **wanted):
        assert self.h2.wait(lambda: self.find(**wanted), seconds), f"{wanted} is not among {self.events}"
        return self.find(**wanted)[0]

    def open(self, port, token):
        number, status = self.h2.connect(f"127.0.0.1:{port}", token)
        assert status == 200
        return number


def test_it_tells_what_ended_and_why_while_tunnels_flow(new_world):
    world = new_world()
    token = login(world, "alice-laptop")
    listener = Listener(world, token)
    assert listener.h2.streams[listener.number].headers["content-type"] == "application/x-ndjson"
    wiki, echo = listener.open(world.web, token), listener.open(world.echo, token)
    world.policy.write_text(rules(world, 'rule "less" { users = {"alice"} resources = {"ssh"} }'))
    apply(world)
    event = listener.await_event(event="ended", what="tunnel")
    assert (event["host"], event["port"], event["reason"]) == ("127.0.0.1", world.echo, "policy_changed")
    assert listener.h2.streams[echo].ended and not listener.h2.streams[wiki].ended
    session = api.call(world, "POST", "/v1/session/renew", token=token).body
    assert listener.await_event(event="extended", what="session")["at"] == session["expires_at"]
    world.admin("tunnel", "close", "--resource", "wiki")
    listener.await_event(event="ended", reason="ended_by_admin", port=world.web)
    world.admin("session", "end", "--user", "alice")
    listener.await_event(event="ended", what="session", reason="ended_by_admin")
    assert listener.h2.wait(lambda: listener.h2.streams[listener.number].ended)
    assert listener.h2.streams[listener.number].reset is None and not listener.h2.closed


def test_it_warns_before_the_end_and_takes_it_back(new_world):
    world = new_world(settings=['warn_before = "3s"', 'lease = "60s"'])
    world.policy.write_text(rules(world, 'rule "fresh" { users = {"alice"} resources = {"echo"} fresh_login = "6s" }\n'
                                  'rule "idle" { users = {"alice"} resources = {"ssh"} idle_timeout = "4s" }'))
    apply(world)
    token = login(world, "alice-laptop")
    listener = Listener(world, token)
    echo = listener.open(world.echo, token)
    opened = api.call(world, "GET", "/v1/session", token=token).body["open"]
    assert opened[0]["port"] == world.echo and opened[0]["reason"] == "fresh_login_required" and opened[0]["ends_at"]
    warning = listener.await_event(event="ending", what="tunnel")
    assert warning["reason"] == "fresh_login_required" and warning["port"] == world.echo
    assert not listener.find(event="ended")
    # Step-up on another connection: the end has moved away, and the tunnel flows on.
    login(world, "alice-laptop")
    listener.await_event(event="extended", what="tunnel", port=world.echo)
    assert echoes(listener.h2, echo)
    listener.open(world.ssh, token)
    assert listener.await_event(event="ending", port=world.ssh)["reason"] == "idle"
    listener.await_event(event="ended", port=world.ssh, reason="idle")
    listener.await_event(event="ended", port=world.echo, reason="fresh_login_required")
    # The lease ends later than warn_before.
    assert not listener.find(event="ending", what="session")


def test_the_end_of_a_lease_is_foretold(new_world):
    world = new_world(settings=['lease = "4s"'])
    token = login(world, "alice-laptop")
    listener = Listener(world, token)
    assert listener.await_event(event="ending", what="session")["reason"] == "lease_expired"
    listener.await_event(event="ended", what="session", reason="lease_expired")
    assert api.call(world, "GET", "/v1/session", token=token).status == 401


def test_a_locked_device_hears_why(new_world):
    world = new_world()
    token = login(world, "alice-laptop")
    listener = Listener(world, token)
    listener.open(world.echo, token)
    world.admin("device", "lock", "alice-laptop")
    listener.await_event(event="ended", what="session", reason="device_locked")
    assert listener.h2.wait(lambda: listener.h2.closed)


def test_hours_are_foretold(world):
    """The minute in which the rule closes is not waited for: the session's own answer names it."""
    now = time.localtime()
    if now.tm_hour == 23:
        pytest.skip("the rule would close tomorrow")
    world.policy.write_text(rules(world, 'rule "today" { users = {"alice"} resources = {"echo"} hours = "Mon-Sun 00:00-23:59" }'))
    apply(world)
    token = login(world, "alice-laptop")
    listener = Listener(world, token)
    listener.open(world.echo, token)
    (row,) = api.call(world, "GET", "/v1/session", token=token).body["open"]
    assert row["reason"] == "hours_over"
    ends = time.strptime(row["ends_at"][:16], "%Y-%m-%dT%H:%M")
    assert (ends.tm_hour, ends.tm_min) == (time.gmtime(time.mktime((*now[:3], 23, 59, 0, 0, 0, -1))).tm_hour, 59)


def curl(world, token, *words):
    laptop = world.laptops["alice-laptop"]
    return subprocess.Popen(["curl", "-sSN", *words, "--cacert", world.path("etc", "server-ca.crt"), "--cert", laptop.certificate,
                             "--key", laptop.key, "-H", f"Authorization: Bearer {token}", f"{world.url}/v1/events"],
                            stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("protocol", ["--http2", "--http1.1"])
def test_curl_hears_it(world, protocol):
    token = login(world, "alice-laptop")
    process = curl(world, token, protocol)
    assert json.loads(process.stdout.readline())["event"] == "begin"
    api.call(world, "DELETE", "/v1/session", token=token)
    # The lease is 12 hours: nothing is foretold before the end.
    last = json.loads(process.stdout.readline())
    assert (last["event"], last["what"], last["reason"]) == ("ended", "session", "logout")
    assert process.stdout.read() == "" and process.wait(10) == 0


def test_a_listener_that_leaves_is_forgotten(world):
    token = login(world, "alice-laptop")
    for protocol in ("--http2", "--http1.1"):
        process = curl(world, token, protocol)
        assert json.loads(process.stdout.readline())["event"] == "begin"
        process.send_signal(signal.SIGKILL)
        process.wait()
    deadline = time.monotonic() + 10
    while json.loads(world.admin("status", "--json"))["connections"]:
        assert time.monotonic() < deadline, "a connection without a client lives on"
        time.sleep(0.1)


def test_feeds_have_bounds(world):
    token = login(world, "alice-laptop")
    listener = Listener(world, token)
    others = [listener.listen(token) for _ in range(4)]
    assert listener.h2.wait(lambda: all(listener.h2.streams[n].status for n in others))
    assert sorted(listener.h2.streams[n].status for n in others) == [200, 200, 200, 429]
    # One that is given up makes room.
    listener.h2.reset(others[0])
    again = listener.listen(token)
    assert listener.h2.wait(lambda: listener.h2.streams[again].status)
    assert listener.h2.streams[again].status == 200
    assert api.call(world, "GET", "/v1/events", token="0" * 64).status == 401
