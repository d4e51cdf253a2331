"""The real broker against scripted workers: sessions of the portal, browser tokens, requests without a token."""
import pytest

from broker import Broker, Device
from test_broker import Target, policy, wait_for

ALICE = Device("alice-laptop", ["alice"])
SHARED = Device("shared", ["alice", "bob"])


@pytest.fixture
def target():
    server = Target()
    yield server
    server.socket.close()


@pytest.fixture
def gateway(programs, scratch, target):
    with Broker(programs, scratch, [ALICE, SHARED], policy(target), browser="yes") as broker:
        yield broker


def resources(worker, **values):
    """Names of what a proxy script is made of; or the problem."""
    request = worker.ask("proxy_script", **values)
    names = []
    while (message := worker.peer.receive()).name == "resource_item":
        names.append(message.values["name"])
    assert message.request == request
    return names if message.name == "resources_end" else (message.status, message.code)


def test_a_proxy_script_is_of_the_token_or_of_the_portals_one_session(gateway):
    worker = gateway.connect(SHARED)
    assert resources(worker) == (401, "no_session")
    plain = worker.token("alice")
    of_alice = ["echo", "closed", "trap", "nowhere"]
    assert resources(worker) == (401, "no_session"), "the portal has not opened that one"
    assert resources(worker, token=plain) == of_alice
    bob = worker.token("bob", portal=1)
    assert resources(worker) == ["echo"]
    assert worker.call("session_get", token=bob).values["browser"] == 1
    worker.token("alice", portal=1)
    assert resources(worker) == (401, "several_sessions")
    assert resources(worker, token=bob) == ["echo"]
    # A browser token is for a proxy's dialogue, which is never asked for the script.
    made = worker.call("browser_token", token=bob)
    assert resources(worker, token=made.token) == (401, "no_session")
    other = gateway.connect(ALICE)
    assert resources(other) == (401, "no_session") and resources(other, token=bob) == (401, "no_session")


def test_A7_nothing_but_a_proxy_request_goes_without_a_token(gateway, target):
    """Whatever a worker in a stranger's hands says."""
    worker = gateway.connect(SHARED)
    token = worker.token("alice", portal=1)
    made = worker.call("browser_token", token=token)
    assert (made.user, len(made.token)) == ("alice", 32)
    for message in ("session_get", "session_renew", "session_end", "resources", "events", "browser_token"):
        for other in ("", made.token):
            refused = worker.call(message, token=other)
            assert (refused.name, refused.status, refused.code) == ("problem", 401, "no_session"), message
    elsewhere = gateway.connect(ALICE)
    assert elsewhere.open("", "127.0.0.1", target.port).code == "no_session"
    assert elsewhere.open(made.token, "127.0.0.1", target.port, user="alice").code == "no_session"
    assert worker.open(made.token, "127.0.0.1", target.port).code == "no_session", "alone it is nothing"
    assert worker.open("", "127.0.0.1", target.port, user="bob").code == "no_session", "nor is another name beside nothing"
    for user, secret in (("alice", made.token), ("", "")):
        assert worker.open(secret, "127.0.0.1", target.port, user=user, form=1).name == "opened"
    assert gateway.query("SELECT user, way, form FROM tunnel ORDER BY id") == [
        ("alice", "browser_token", "request"), ("alice", "browser_session", "request")]


def test_a_form_that_is_none_is_a_breach(gateway, target):
    worker = gateway.connect(ALICE)
    token = worker.token(portal=1)
    worker.ask("open", token=token, host="127.0.0.1", port=target.port, form=2)
    assert gateway.told("kill_worker").worker == worker.number
    wait_for(lambda: gateway.query("SELECT code FROM audit WHERE event = 'breach'") == [("breach",)])


def test_D1_kill_9_forgets_neither_the_portals_session_nor_its_token(gateway, target):
    worker = gateway.connect(ALICE)
    token = worker.token(portal=1)
    first = worker.call("browser_token", token=token).token
    second = worker.call("browser_token", token=token).token
    gateway.kill()
    gateway.start()
    worker = gateway.connect(ALICE)
    state = worker.call("session_get", token=token).values
    assert (state["portal"], state["browser"]) == (1, 1)
    assert worker.open("", "127.0.0.1", target.port).name == "opened"
    assert worker.open(first, "127.0.0.1", target.port, user="alice").code == "no_session"
    assert worker.open(second, "127.0.0.1", target.port, user="alice").name == "opened"
    assert worker.call("browser_token", token=token).name == "browser_token_made"
    assert worker.open(second, "127.0.0.1", target.port, user="alice").code == "no_session"


def test_without_browser_the_default_realm_lets_no_browser_in(programs, scratch, target):
    with Broker(programs, scratch, [ALICE], policy(target)) as gateway:
        worker = gateway.connect(ALICE)
        token = worker.token(portal=1)
        assert worker.call("session_get", token=token).values["browser"] == 0
        refused = worker.open("", "127.0.0.1", target.port)
        assert (refused.status, refused.code) == (407, "no_session") and "https://gateway.test/" in refused.sentence
        assert resources(worker) == (401, "no_session")
