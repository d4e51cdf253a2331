"""A9: what a refused login tells by its time: the gateway's own part, measured at the real broker.

Without `login_refusal`, which hides the time of both (tests/gateway/test_login_times.py). A script plays the stack and always
takes the same time. Measured: from its verdict to the refusal that the client gets. Kinds are interleaved, so that the
machine's moods hit all alike.
"""
import statistics
import time

import pytest

from broker import Broker, Device

ALICE = Device("alice-laptop", ["alice", "locked"])
POLICY = 'resource "echo" { address = {"127.0.0.1:9"} }\nrule "alice" { users = {"alice"} resources = {"echo"} }\n'
ROUNDS = 60
# name that is typed, and whether PAM says yes (then it is the gateway itself that refuses)
KINDS = {"existing": ("alice", 0), "unknown": ("nobody-here", 0), "locked": ("locked", 0), "locked, right password": ("locked", 1)}


@pytest.fixture
def gateway(programs, scratch):
    with Broker(programs, scratch, [ALICE], POLICY, login_failures="1000", logins_per_device="60000",
                login_refusal="0s") as broker:
        yield broker


def refuse(gateway, worker, user, good):
    """One login to its refusal: (seconds, what the client saw)."""
    worker.ask("login_start", user=user)
    conversation = gateway.conversation()
    conversation.send("message", style=1, text="Password: ")
    conversation.send("round", prompts=1)
    shown, state = worker.peer.receive("login_message"), worker.peer.receive("login_state")
    worker.answer(state.conversation, "x")
    conversation.receive("answer")
    began = time.perf_counter()
    conversation.send("result", good=good, phase=2, pam_code=0 if good else 7, user=user, reason="" if good else "no")
    problem = worker.peer.receive("problem")
    taken = time.perf_counter() - began
    conversation.close()
    return taken, (shown.style, shown.text, problem.status, problem.code, problem.sentence)


def differ(first, second):
    """Whether two sets of times can be told apart: medians further apart than half of what they scatter anyway."""
    quartiles = statistics.quantiles(first + second, n=4)
    scatter = max((quartiles[2] - quartiles[0]) / 2, 0.0003)
    return abs(statistics.median(first) - statistics.median(second)) > scatter


def test_A9_refusals_take_the_same_time(gateway):
    assert gateway.admin("POST", "/v1/accounts/locked/lock")[0] == 200
    worker = gateway.connect(ALICE)
    times, seen = {kind: [] for kind in KINDS}, set()
    for _ in range(ROUNDS):
        for kind, (user, good) in KINDS.items():
            taken, looks = refuse(gateway, worker, user, good)
            times[kind].append(taken)
            seen.add(looks)
    assert len(seen) == 1, seen
    for kind in KINDS:
        assert not differ(times["existing"], times[kind]), {k: statistics.median(v) for k, v in times.items()}


def test_the_measure_would_see_a_millisecond():
    base = [0.003 + 0.00001 * (i % 40) for i in range(ROUNDS)]
    assert differ(base, [t + 0.001 for t in base]) and not differ(base, list(reversed(base)))
