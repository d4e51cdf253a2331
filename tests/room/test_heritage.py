"""D4: a broker leaves its workers to the next one, who believes nobody: the former broker's state, registry and record say
who goes on."""
import json
import os
import sqlite3
import threading

import pytest

import frames
from broker import Broker, Device
from test_broker import Target, policy, wait_for

ALICE, BOB = Device("alice-laptop", ["alice"]), Device("bob-laptop", ["bob"])
EDGE, TARGET, STATE = 3, 4, 5


@pytest.fixture
def target():
    server = Target()
    yield server
    server.socket.close()


@pytest.fixture
def gateway(programs, scratch, target):
    with Broker(programs, scratch, [ALICE, BOB], policy(target)) as broker:
        yield broker


class Live:
    """alice's worker with two tunnels."""

    def __init__(self, gateway, target):
        self.worker = gateway.connect(ALICE)
        self.token = self.worker.token()
        self.tunnels = [self.worker.open(self.token, "127.0.0.1", target.port).tunnel for _ in range(2)]


@pytest.fixture
def live(gateway, target):
    return Live(gateway, target)


def open_rows(gateway):
    return [row for row, in gateway.query("SELECT id FROM tunnel WHERE closed_at IS NULL ORDER BY id")]


def leave(gateway):
    """The broker hands over and ends. What it leaves: descriptors as the next one gets them, and its state."""
    gateway.monitor.send("hand_over")
    kept, state = [], None
    while state is None:
        keep = gateway.told("keep")
        if keep.kind == STATE:
            state = json.loads(os.pread(keep.fd, 1 << 20, 0))
            os.close(keep.fd)
        else:
            kept.append(("kept_edge" if keep.kind == EDGE else "kept_target", str(keep.number), keep.fd))
    assert gateway.room.wait() == 0
    gateway.room.end()
    return kept, state


def succeed(gateway, kept, state):
    """The next broker, with what the former one has left, or what the test has made of it. It comes with the next number."""
    number = gateway.number
    text = state if isinstance(state, bytes) else json.dumps(state).encode()
    fds = [frames.open_bytes(text)] if state is not None else []
    gateway.asides.clear()
    gateway.make(kept + [("kept_state", "0", fd) for fd in fds]).begin_well()
    for fd in fds + [fd for _, _, fd in kept]:
        os.close(fd)
    gateway.number = number


def change(gateway, text, *values):
    with sqlite3.connect(gateway.database) as database:
        database.execute(text, values)
    database.close()


def is_refused(gateway, live):
    assert gateway.told("kill_worker").worker == live.worker.number
    assert live.worker.peer.receive("handover") and live.worker.peer.is_closed()
    wait_for(lambda: not open_rows(gateway))
    assert set(gateway.query("SELECT close_reason FROM tunnel")) == {("gateway_restarted",)}


def test_D4_the_next_broker_goes_on_where_the_former_one_stopped(gateway, live, target):
    kept, state = leave(gateway)
    assert sorted(purpose for purpose, _, _ in kept) == ["kept_edge", "kept_target", "kept_target"]
    # One message each: the proof, the login's two parts and its answer, two tunnels. Nothing of it is taken twice.
    assert live.worker.peer.receive("handover").taken == 6
    assert open_rows(gateway) == live.tunnels
    asked = live.worker.ask("session_get", token=live.token)
    succeed(gateway, kept, state)
    assert live.worker.peer.receive("adopted")
    # Whatever limit the worker keeps to, it is told that there is none; in the order of the answers of the name services.
    heard = [live.worker.peer.receive() for _ in range(5)]
    assert sorted(message.name for message in heard) == ["rate", "rate", "session_state", "session_tunnel", "session_tunnel"]
    assert [(m.request, m.tunnels) for m in heard if m.name == "session_state"] == [(asked, 2)]
    assert {(m.tunnel, m.rate) for m in heard if m.name == "rate"} == {(tunnel, 0) for tunnel in live.tunnels}
    assert live.worker.open(live.token, "127.0.0.1", target.port).tunnel == live.tunnels[1] + 1
    live.worker.peer.send("tunnel_closed", tunnel=live.tunnels[0], bytes_to_target=7, bytes_to_client=9, reason="client_fin")
    assert live.worker.call("session_get", token=live.token).tunnels == 2
    wait_for(lambda: gateway.query("SELECT close_reason, bytes_to_target, bytes_to_client FROM tunnel WHERE id = ?",
                                   live.tunnels[0]) == [("client_fin", 7, 9)])
    assert gateway.query("SELECT detail FROM audit WHERE event = 'connections_kept'") == \
        [("1 of 1 live connections are taken over, with 2 tunnels",)]


@pytest.mark.parametrize("state", [
    None, b"", b"rubbish", b"{}", b'{"protocol": 1, "workers": []}',
])
def test_D4_without_a_state_that_makes_sense_nobody_goes_on(gateway, live, state):
    kept, _ = leave(gateway)
    succeed(gateway, kept, state)
    is_refused(gateway, live)


LIES = {
    "another device": {"device": BOB.id},
    "another certificate": {"fingerprint": BOB.fingerprint.hex()},
    "no device": {"device": "0" * 32},
    "a stranger's state": {"state": 1},
    "another connection": {"connection": "0" * 12},
    "a number": {"number": 77},
    "no fingerprint": {"fingerprint": "zz"},
    "a host": {"state": 64},
}


@pytest.mark.parametrize("lie", LIES)
def test_D4_a_state_that_the_registry_does_not_bear_out(gateway, live, lie):
    kept, state = leave(gateway)
    state["workers"][0].update(LIES[lie])
    succeed(gateway, kept, state)
    if lie != "another connection":
        is_refused(gateway, live)
        return
    # It is known; but nobody's rows have its name: it has no tunnel, and whoever speaks of one is killed.
    assert live.worker.peer.receive("handover") and live.worker.peer.receive("adopted")
    assert open_rows(gateway) == []
    live.worker.peer.send("tunnel_closed", tunnel=live.tunnels[0], reason="client_fin")
    assert gateway.told("kill_worker").worker == live.worker.number


@pytest.mark.parametrize("text, value", [
    ("UPDATE device SET state = 'locked' WHERE id = ?", ALICE.id),
    ("UPDATE device SET state = 'revoked' WHERE id = ?", ALICE.id),
    ("UPDATE certificate SET state = 'revoked' WHERE device = ?", ALICE.id),
    ("UPDATE session SET ended_at = 1, end_reason = 'ended_by_admin' WHERE device = ?", ALICE.id),
    ("UPDATE tunnel SET device = '%s' WHERE device = ?" % BOB.id, ALICE.id),
])
def test_D4_C1_what_was_taken_back_while_nobody_was_there(gateway, live, text, value):
    kept, state = leave(gateway)
    change(gateway, text, value)
    succeed(gateway, kept, state)
    if text.startswith("UPDATE tunnel"):
        assert live.worker.peer.receive("handover") and live.worker.peer.receive("adopted")
        assert open_rows(gateway) == []
    else:
        is_refused(gateway, live)


def test_D4_C1_an_order_that_is_being_carried_out_is_waited_for(gateway, live):
    """A worker that does not obey is killed as ever, and left to nobody."""
    session = gateway.query("SELECT id FROM session")[0][0]
    answers = []
    ending = threading.Thread(target=lambda: answers.append(gateway.admin("POST", f"/v1/sessions/{session}/end")), daemon=True)
    ending.start()
    order = live.worker.peer.receive("end")
    assert order.reason == "ended_by_admin"
    kept, state = leave(gateway)
    assert gateway.told("kill_worker").worker == live.worker.number
    assert kept == [] and state["workers"] == []
    assert open_rows(gateway) == []
    assert set(gateway.query("SELECT close_reason FROM tunnel")) == {("ended_by_admin",)}
    ending.join(10)
    assert answers[0][0] == 200 and answers[0][1]["tunnels_closed"] == 2
    gateway.start()


@pytest.mark.parametrize("has_ended", [False, True])
def test_D4_a_pam_session_is_as_live_as_its_session(gateway, live, has_ended):
    ours, theirs = frames.pair("broker_conversation")
    (number,), = gateway.query("SELECT number FROM session")
    kept, state = leave(gateway)
    if has_ended:
        change(gateway, "UPDATE session SET ended_at = 1, end_reason = 'ended_by_admin'")
    succeed(gateway, kept + [("kept_pam_session", str(number), os.dup(theirs.fileno()))], state)
    theirs.close()
    if has_ended:
        assert ours.is_closed()
        return
    with pytest.raises(TimeoutError):
        ours.receive(seconds=0.3)
    gateway.kill()
    assert ours.is_closed()
    gateway.start()


def test_a_stop_does_not_stumble_over_an_admin_who_waits(gateway, live):
    """The worker neither obeys nor dies: nobody carries out what the broker wants of the monitor here."""
    session = gateway.query("SELECT id FROM session")[0][0]
    threading.Thread(target=lambda: pytest.raises(OSError, gateway.admin, "POST", f"/v1/sessions/{session}/end"), daemon=True).start()
    assert live.worker.peer.receive("end").reason == "ended_by_admin"
    gateway.monitor.send("stop")
    assert gateway.room.wait() == 0, gateway.room.said()
    assert open_rows(gateway) == []
    gateway.start()


def test_D4_who_is_in_the_middle_of_a_question_is_not_left_to_anybody(gateway, live):
    live.worker.request += 1
    live.worker.peer.send("answer_item", request=live.worker.request, text="half")
    kept, state = leave(gateway)
    assert kept == [] and state["workers"] == []
    assert gateway.told("kill_worker").worker == live.worker.number
    gateway.start()
    assert open_rows(gateway) == []


def test_D4_before_door_one_nobody_is_left_to_anybody(gateway, live):
    spare = gateway.new_worker()
    kept, state = leave(gateway)
    assert [worker["number"] for worker in state["workers"]] == [live.worker.number]
    assert gateway.told("kill_worker").worker == spare.number
    succeed(gateway, kept, state)
    assert live.worker.peer.receive("handover") and live.worker.peer.receive("adopted")


def test_D4_events_and_limits_are_the_next_broker_s(gateway, live, target):
    live.worker.ask("events", token=live.token)
    feed = live.worker.peer.receive("event")
    kept, state = leave(gateway)
    assert live.worker.peer.receive("handover")
    gateway.policy = gateway.policy.replace('resources = {"echo", "closed"', 'max_rate = "1MiB" resources = {"echo", "closed"')
    succeed(gateway, kept, state)
    assert live.worker.peer.receive("adopted")
    rates = {}
    while len(rates) < 2:
        rate = live.worker.peer.receive("rate")
        if rate.tunnel:
            rates[rate.tunnel] = rate.rate
    assert set(rates) == set(live.tunnels) and set(rates.values()) == {1 << 20}
    session = gateway.query("SELECT id FROM session")[0][0]
    threading.Thread(target=lambda: pytest.raises(OSError, gateway.admin, "POST", f"/v1/sessions/{session}/end"), daemon=True).start()
    while (message := live.worker.peer.receive()).name != "event":
        pass
    assert (message.request, message.reason) == (feed.request, "ended_by_admin")
