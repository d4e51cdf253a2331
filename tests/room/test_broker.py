"""The real broker against scripted peers: monitor, workers, signer, conversations, some of them hostile."""
import base64
import contextlib
import hashlib
import os
import socket
import sqlite3
import stat
import subprocess
import threading
import time

import pytest

import broker as world
import frames
from broker import Broker, Device

ALICE = Device("alice-laptop", ["alice"], tags="managed")
BOB = Device("bob-laptop", ["bob"])
DEVICES = [ALICE, BOB, Device("locked", ["alice"], state="locked"), Device("revoked", ["alice"], state="revoked"),
           Device("superseded", ["alice"], certificate_state="superseded"),
           Device("withdrawn", ["alice"], certificate_state="revoked"),
           Device("old", ["alice"], not_after=1000), Device("early", ["alice"], not_before=world.FAR - 1)]


class Target:
    """A listening server; nothing accepts unless asked."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.socket.settimeout(frames.SECONDS)
        self.port = self.socket.getsockname()[1]

    def accept(self):
        return self.socket.accept()[0]


@pytest.fixture
def target():
    server = Target()
    yield server
    server.socket.close()


def policy(target, closed=1):
    return f'''resource "echo" {{ address = {{"127.0.0.1:{target.port}"}} description = "TCP echo" }}
resource "closed" {{ address = {{"127.0.0.1:{closed}"}} }}
resource "trap" {{ address = {{"localhost:{target.port}"}} }}
resource "nowhere" {{ address = {{"nowhere.invalid:80"}} }}
resource "vault" {{ address = {{"10.1.2.3:22"}} }}
rule "alice works" {{ users = {{"alice"}} resources = {{"echo", "closed", "trap", "nowhere"}} }}
rule "bob sees" {{ users = {{"bob"}} resources = {{"echo"}} }}
'''


@pytest.fixture
def gateway(programs, scratch, target):
    with Broker(programs, scratch, DEVICES, policy(target), resolve_time_limit="2s") as broker:
        yield broker


def last_audit(gateway, *columns):
    (row,) = gateway.query(f"SELECT {', '.join(columns)} FROM audit ORDER BY sequence DESC LIMIT 1")
    return row


# ---- door one ----

def test_A3_door_one_opens_for_a_known_proven_device(gateway):
    worker = gateway.new_worker()
    worker.show(ALICE)
    assert worker.verified().public_key == ALICE.key, "the registered key is what the proof is checked with"
    assert worker.peer.receive("accepted").device == "alice-laptop"
    assert gateway.told("door_one").worker == worker.number
    assert last_audit(gateway, "event", "code", "device", "address") == ("door_one", "", "alice-laptop", "192.0.2.7")
    assert gateway.query("SELECT last_seen_from FROM device WHERE name = 'alice-laptop'") == [("192.0.2.7",)]


@pytest.mark.parametrize("name, code", [
    ("locked", "device_locked"), ("revoked", "device_revoked"), 
    ("withdrawn", "certificate_revoked"), ("old", "certificate_expired"), ("early", "not_yet_valid"),
    ("stranger", "device_unknown")])
def test_A3_door_one_stays_shut_and_says_why_in_the_record(gateway, name, code):
    worker = gateway.new_worker()
    worker.show(next((d for d in DEVICES if d.name == name), Device("stranger", [])))
    assert worker.peer.receive("rejected").code == code
    assert last_audit(gateway, "event", "code") == ("door_one", code)
    with pytest.raises(TimeoutError):
        gateway.told("door_one", 0.2)


@pytest.mark.parametrize("good, code, alarms", [(1, "certificate_superseded", 1), (0, "proof_failed", 0)])
def test_F5_a_superseded_certificate_alarms_only_when_its_key_is_proven(gateway, good, code, alarms):
    worker = gateway.new_worker()
    worker.show(next(d for d in DEVICES if d.name == "superseded"))
    worker.verified(good=good)
    assert worker.peer.receive("rejected").code == code
    assert gateway.query("SELECT count(*) FROM audit WHERE event = 'alarm' AND code = 'copied_key'") == [(alarms,)]


def test_A2_a_proof_that_was_not_made_with_the_registered_key(gateway):
    worker = gateway.new_worker()
    worker.show(ALICE)
    worker.verified(good=0)
    assert worker.peer.receive("rejected").code == "proof_failed"
    assert last_audit(gateway, "code", "device") == ("proof_failed", "alice-laptop")


def test_door_one_without_a_signer_stays_shut(gateway):
    gateway.signer.close()
    worker = gateway.new_worker()
    worker.show(ALICE)
    assert worker.peer.receive("rejected").code == "store_unavailable"
    gateway.signer, end = frames.pair("broker_signer")
    gateway.monitor.send("descriptor", purpose="signer_edge", name="signer", fd=end.fileno())
    end.close()
    assert gateway.connect(ALICE)


def test_what_a_worker_refuses_by_itself_is_recorded(gateway):
    worker = gateway.new_worker()
    worker.peer.send("peer_refused", code="certificate_expired", detail="it ended\nyesterday", fingerprint=ALICE.fingerprint)
    wait_for(lambda: last_audit(gateway, "event") == ("door_one",))
    code, device, detail = last_audit(gateway, "code", "device", "detail")
    assert (code, device) == ("certificate_expired", "alice-laptop") and ALICE.fingerprint.hex() in detail
    assert "\n" not in detail
    worker = gateway.connect(ALICE)
    worker.ask("refusal", status=413, code="too_large", sentence="The body is too large.")
    wait_for(lambda: gateway.query("SELECT code, detail FROM audit WHERE request_id = ?", worker.request_id()) == [
        ("too_large", "413: The body is too large.")])


@pytest.mark.parametrize("fingerprint", [b"", b"x" * 31])
def test_a_fingerprint_that_is_none_is_a_breach(gateway, fingerprint):
    worker = gateway.new_worker()
    worker.show(fingerprint)
    assert gateway.told("kill_worker").worker == worker.number


def test_a_worker_without_a_client_has_no_device(gateway):
    ours, theirs = frames.pair("worker_broker")
    gateway.monitor.send("worker", worker=77, fd=theirs.fileno())
    theirs.close()
    ours.send("peer", fingerprint=ALICE.fingerprint, protocol="TLS1.3", suite="x")
    assert gateway.told("kill_worker").worker == 77


def as_host(gateway, device):
    """From the next start on that device is an internal host."""
    gateway.kill()
    with sqlite3.connect(gateway.database) as database:
        database.execute("UPDATE device SET kind = 'host' WHERE id = ?", (device.id,))
    database.close()
    gateway.own(gateway.database)
    gateway.start()
    return gateway.connect(device)


@pytest.mark.parametrize("message, values", [
    ("login_start", {"user": "alice"}), ("session_get", {"token": "0" * 64}), ("resources", {"token": "0" * 64}),
    ("open", {"token": "0" * 64, "host": "127.0.0.1", "port": 22}), ("login_cancel", {"conversation": "x"})])
def test_A2_a_host_can_say_nothing_but_presence(gateway, message, values):
    """Not even when its worker is a stranger's: the edge's table says no."""
    worker = as_host(gateway, ALICE)
    assert worker.call("presence", user="alice").values["code"] == "no_session"
    worker.ask(message, **values)
    assert gateway.told("kill_worker").worker == worker.number


def test_a_login_whose_request_was_given_up_waits_a_while_for_its_client(programs, scratch, target):
    with Broker(programs, scratch, DEVICES, policy(target), login_absence="1s") as gateway:
        worker = gateway.connect(ALICE)
        request = worker.ask("login_start", user="alice")
        conversation = gateway.conversation()
        conversation.send("message", style=3, text="Look at your phone")
        conversation.send("round", prompts=0)
        state = [worker.peer.receive(), worker.peer.receive()][1]
        request = worker.answer(state.conversation)
        worker.peer.send("login_left", request=request)
        worker.peer.send("login_left", request=4711)  # of no login: nothing
        conversation.send("message", style=1, text="Password: ")
        conversation.send("round", prompts=1)  # not told to a request that is no more
        worker.answer(state.conversation)  # he is back
        assert worker.peer.receive("login_message").text == "Password: "
        assert worker.peer.receive("login_state").prompting == 1
        worker.answer(state.conversation, "secret")
        assert conversation.receive("answer").text == b"secret"
        worker.peer.send("login_left", request=worker.request)
        assert conversation.receive("cancel").name == "cancel"
        wait_for(lambda: gateway.query("SELECT code FROM audit WHERE event = 'login'") == [("login_abandoned",)])


def test_A2_a_device_cannot_ask_for_presence(gateway):
    worker = gateway.connect(ALICE)
    worker.ask("presence", user="alice")
    assert gateway.told("kill_worker").worker == worker.number


@pytest.mark.parametrize("values", [{"source": b"1234", "source_port": 1}, {"target": b"1234"}, {"source": b"1", "target": b"2"}])
def test_a_way_that_is_none_is_a_breach(gateway, values):
    worker = as_host(gateway, ALICE)
    worker.ask("presence", user="alice", **values)
    assert gateway.told("kill_worker").worker == worker.number


def test_E3_the_address_of_a_client_is_the_monitors_word(gateway):
    """`proxied` is believed once, and only of a worker whose client the monitor has seen come from a trusted sender."""
    plain = gateway.new_worker()
    plain.peer.send("proxied", address="192.0.2.99", port=1)
    assert gateway.told("kill_worker").worker == plain.number
    behind = gateway.new_worker(proxied=1)
    behind.show(ALICE)
    assert gateway.told("kill_worker").worker == behind.number, "no handshake before the address"
    twice = gateway.new_worker(proxied=1)
    twice.peer.send("proxied", address="2001:db8::7", port=1)
    told = gateway.told("client_behind")
    assert (told.worker, told.address) == (twice.number, "2001:db8::7")
    twice.peer.send("proxied", address="192.0.2.98", port=1)
    assert gateway.told("kill_worker").worker == twice.number
    wrong = gateway.new_worker(proxied=1)
    wrong.peer.send("proxied", address="localhost", port=1)
    assert gateway.told("kill_worker").worker == wrong.number
    good = gateway.new_worker("192.0.2.1", proxied=1)
    good.peer.send("proxied", address="192.0.2.97", port=1)
    good.show(ALICE)
    good.verified()
    good.peer.receive("accepted")
    assert gateway.query("SELECT address FROM audit WHERE event = 'door_one' ORDER BY sequence DESC LIMIT 1") == [("192.0.2.97",)]


def test_a_worker_that_speaks_out_of_turn_is_killed(gateway):
    worker = gateway.new_worker()
    worker.ask("session_get", token="0" * 64)
    assert gateway.told("kill_worker").worker == worker.number
    assert worker.peer.is_closed()
    wait_for(lambda: gateway.query("SELECT code FROM audit WHERE event = 'breach'") == [("breach",)])


def wait_for(condition, seconds=frames.SECONDS):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


# ---- door two ----

def test_login_travels_with_every_style_and_the_facts(gateway):
    worker = gateway.connect(ALICE)
    request = worker.ask("login_start", user="alice")
    conversation = gateway.conversation()
    assert conversation.facts == {"SALLYPORT_DEVICE": "alice-laptop", "SALLYPORT_DEVICE_ID": ALICE.id,
                                  "SALLYPORT_DEVICE_TAGS": "managed", "SALLYPORT_KEY_KIND": "ec-p256",
                                  "SALLYPORT_ADDRESS": "192.0.2.7", "SALLYPORT_REALM": "default",
                                  "SALLYPORT_REQUEST_ID": f"{worker.connection}-{request}"}
    assert conversation.started.address == "192.0.2.7"
    conversation.send("message", style=3, text="Welcome")
    conversation.send("round", prompts=0)
    assert worker.peer.receive("login_message").text == "Welcome"
    state = worker.peer.receive("login_state")
    assert state.prompting == 0
    worker.answer(state.conversation)
    conversation.send("message", style=2, text="Name of your dog: ")
    conversation.send("message", style=1, text="Password: ")
    conversation.send("round", prompts=2)
    styles = [worker.peer.receive("login_message").style for _ in range(2)]
    assert styles == [2, 1] and worker.peer.receive("login_state").prompting == 1
    # Who lost the answer asks again, and sees the same prompts.
    worker.answer(state.conversation)
    assert [worker.peer.receive("login_message").style for _ in range(2)] == [2, 1]
    assert worker.peer.receive("login_state").prompting == 1
    worker.answer(state.conversation, "Rex")
    assert worker.peer.receive("problem").status == 400
    worker.answer(state.conversation, "Rex", "secret")
    assert [conversation.receive("answer").text for _ in range(2)] == [b"Rex", b"secret"]
    conversation.send("result", good=1, user="alice")
    items = {}
    while (message := worker.peer.receive()).name == "resource_item":
        items[message.values["name"]] = message.allowed
    assert items == {"echo": 1, "closed": 1, "trap": 1, "nowhere": 1}
    assert message.name == "login_granted" and message.user == "alice" and len(message.token) == 64
    assert gateway.query('SELECT "user", token_hash, address FROM session') == [
        ("alice", hashlib.sha256(message.token).hexdigest(), "192.0.2.7")]
    for file in gateway.state.iterdir():
        content = file.read_bytes()
        assert message.token not in content and bytes.fromhex(message.token.decode()) not in content


def test_A8_the_name_that_PAM_ends_with_is_judged(gateway):
    granted = gateway.connect(ALICE).login("ALICE@corp", pam_user="alice")
    assert granted.name == "login_granted" and granted.user == "alice"
    refused = gateway.connect(ALICE).login("alice", pam_user="root")
    assert (refused.name, refused.status, refused.code) == ("problem", 403, "not_bound")


def test_A4_good_credentials_on_the_laptop_of_somebody_else(gateway):
    worker = gateway.connect(BOB)
    refused = worker.login("alice")
    assert (refused.status, refused.code) == (403, "not_bound")
    assert gateway.query("SELECT code, user, device FROM audit WHERE request_id = ?", worker.request_id()) == [
        ("not_bound", "alice", "bob-laptop")]
    assert gateway.query("SELECT count(*) FROM session") == [(0,)]


def test_A9_a_refused_login_has_one_sentence_and_the_record_the_reason(gateway):
    worker = gateway.connect(ALICE)
    refused = worker.login("alice", good=0)
    assert (refused.status, refused.code, refused.sentence) == (401, "login_failed", "The login was refused.")
    ((code, detail),) = gateway.query("SELECT code, detail FROM audit WHERE request_id = ?", worker.request_id())
    assert code == "login_failed" and "Authentication failure" in detail
    assert worker.answer("0" * 32) and worker.peer.receive("problem").code == "no_conversation"


def test_a_login_belongs_to_its_device_not_to_the_connection(gateway):
    worker = gateway.connect(ALICE)
    worker.ask("login_start", user="alice")
    conversation = gateway.conversation()
    conversation.send("message", style=1, text="Password: ")
    conversation.send("round", prompts=1)
    worker.peer.receive("login_message")
    state = worker.peer.receive("login_state")
    stranger = gateway.connect(BOB)
    stranger.answer(state.conversation, "secret")
    assert stranger.peer.receive("problem").code == "no_conversation"
    worker.peer.close()
    again = gateway.connect(ALICE)
    again.answer(state.conversation, "secret")
    assert conversation.receive("answer").text == b"secret"
    conversation.send("result", good=1, user="alice")
    while (message := again.peer.receive()).name == "resource_item":
        pass
    assert message.name == "login_granted"


def test_E3_an_ipv6_network_of_64_bits_is_one_source_of_logins(programs, scratch, target):
    with Broker(programs, scratch, DEVICES, policy(target), logins_per_source="2", conversations_per_device="64") as gateway:
        def begin(address):
            """0: a conversation is wanted; else the refusal."""
            worker = gateway.connect(ALICE, address)
            worker.ask("login_start", user="alice")
            for _ in range(100):
                with contextlib.suppress(TimeoutError):
                    return worker.peer.receive("problem", seconds=0.05).status
                with contextlib.suppress(TimeoutError):
                    gateway.told("conversation_wanted", 0.05)
                    return 0
            raise AssertionError("neither")
        assert [begin(address) for address in ("2001:db8::1", "2001:db8::2", "2001:db8::ffff:ffff:ffff:ffff")] == [0, 0, 429]
        assert [begin(address) for address in ("2001:db8:0:1::1", "2001:db8:1::1", "192.0.2.1", "192.0.2.2")] == [0, 0, 0, 0]
        logins = [row["name"] for row in login_rates(gateway) if row["kind"] == "source"]
        assert logins == ["2001:db8::"]


def login_rates(gateway):
    """As the admin sees them; the test is the monitor."""
    answers = []
    asking = threading.Thread(target=lambda: answers.append(gateway.admin("GET", "/v1/sources")))
    asking.start()
    gateway.told("sources_wanted")
    gateway.monitor.send("sources_end", remembered=7)
    asking.join()
    status, answer = answers[0]
    assert status == 200 and answer["connections"]["sources_remembered"] == 7
    return answer["logins"]


def test_only_the_newest_request_waits(gateway):
    worker = gateway.connect(ALICE)
    first = worker.ask("login_start", user="alice")
    conversation = gateway.conversation()
    conversation.send("message", style=3, text="Welcome")
    conversation.send("round", prompts=0)
    worker.peer.receive("login_message")
    state = worker.peer.receive("login_state")
    assert state.request == first
    older, newer = worker.answer(state.conversation), worker.answer(state.conversation)
    assert (worker.peer.receive("login_state").request, worker.request) == (older, newer)
    conversation.send("message", style=1, text="Password: ")
    conversation.send("round", prompts=1)
    assert worker.peer.receive("login_message").request == newer
    assert worker.peer.receive("login_state").prompting == 1


def test_a_verdict_waits_for_its_client(gateway):
    """The stack says no while nobody asks; the next request learns it."""
    worker = gateway.connect(ALICE)
    worker.ask("login_start", user="alice")
    conversation = gateway.conversation()
    conversation.send("message", style=4, text="Your account is strange")
    conversation.send("round", prompts=0)
    worker.peer.receive("login_message")
    state = worker.peer.receive("login_state")
    conversation.send("result", good=0, phase=3, pam_code=13, reason="expired")
    assert conversation.receive("cancel")
    worker.answer(state.conversation)
    assert worker.peer.receive("problem").code == "login_failed"


def test_a_lock_ends_logins_under_way(gateway):
    worker = gateway.connect(ALICE)
    worker.ask("login_start", user="alice")
    conversation = gateway.conversation()
    answer = in_background(gateway.admin, "POST", "/v1/devices/alice-laptop/lock")
    order = worker.peer.receive()
    if order.name == "problem":
        order = worker.peer.receive("end")
    worker.peer.send("ended", order=order.order)
    assert answer.result(frames.SECONDS)[0] == 200
    assert conversation.receive("cancel") and conversation.is_closed()
    assert gateway.query("SELECT count(*) FROM session") == [(0,)]


def test_rounds_have_a_bound(programs, scratch, target):
    with Broker(programs, scratch, DEVICES, policy(target), login_rounds="2") as gateway:
        worker = gateway.connect(ALICE)
        worker.ask("login_start", user="alice")
        conversation = gateway.conversation()
        for _ in range(2):
            conversation.send("message", style=1, text="Again: ")
            conversation.send("round", prompts=1)
            worker.peer.receive("login_message")
            worker.answer(worker.peer.receive("login_state").conversation, "x")
            conversation.receive("answer")
        conversation.send("message", style=1, text="Again: ")
        conversation.send("round", prompts=1)
        assert worker.peer.receive("problem").code == "login_failed"


def test_cancel_ends_the_process(gateway):
    worker = gateway.connect(ALICE)
    worker.ask("login_start", user="alice")
    conversation = gateway.conversation()
    conversation.send("message", style=1, text="Password: ")
    conversation.send("round", prompts=1)
    worker.peer.receive("login_message")
    state = worker.peer.receive("login_state")
    assert worker.call("login_cancel", conversation=state.conversation).name == "login_state"
    assert conversation.receive("cancel") and conversation.is_closed()
    worker.answer(state.conversation, "x")
    assert worker.peer.receive("problem").code == "no_conversation"


def test_login_has_a_time_limit_and_a_bound(programs, scratch, target):
    with Broker(programs, scratch, DEVICES, policy(target), login_time_limit="1s", conversations_per_device="1") as gateway:
        worker = gateway.connect(ALICE)
        first = worker.ask("login_start", user="alice")
        conversation = gateway.conversation()
        refused = worker.call("login_start", user="alice")
        assert (refused.status, refused.code) == (429, "too_many") and refused.retry_after_s > 0
        late = worker.peer.receive("problem")
        assert (late.request, late.status, late.code) == (first, 401, "login_expired")
        assert conversation.receive("cancel") and conversation.is_closed()


@pytest.mark.parametrize("failure", ["not started", "died"])
def test_a_conversation_that_fails_refuses(gateway, failure):
    worker = gateway.connect(ALICE)
    worker.ask("login_start", user="alice")
    if failure == "died":
        gateway.conversation().close()
        expected = (401, "login_failed")
    else:
        gateway.told("conversation_wanted")
        gateway.monitor.send("conversation_failed")
        expected = (503, "unavailable")
    refused = worker.peer.receive("problem")
    assert (refused.status, refused.code) == expected


# ---- sessions ----

def test_A7_a_token_is_worthless_on_another_device(gateway):
    worker = gateway.connect(ALICE)
    token = worker.token()
    assert worker.call("session_get", token=token).user == "alice"
    stranger = gateway.connect(BOB)
    stolen = stranger.call("session_get", token=token)
    stolen_id = stranger.request_id()
    unknown = stranger.call("session_get", token="0" * 64)
    assert stolen.status == 401 and stolen.code == "no_session"
    assert (stolen.status, stolen.code, stolen.sentence) == (unknown.status, unknown.code, unknown.sentence)
    assert gateway.query("SELECT code FROM audit WHERE request_id = ?", stolen_id) == [("other_device",)]
    assert stranger.open(token, "127.0.0.1", 80).status == 407
    for call in ("session_end", "session_renew", "resources"):
        assert stranger.call(call, token=token).status == 401
    assert worker.call("session_get", token=token).name == "session_state"


def test_renew_extends_and_logout_ends(gateway, target):
    worker = gateway.connect(ALICE)
    token = worker.token()
    before = worker.call("session_get", token=token)
    time.sleep(0.05)
    after = worker.call("session_renew", token=token)
    assert after.expires_at_ms > before.expires_at_ms and after.created_at_ms == before.created_at_ms
    assert gateway.query("SELECT expires_at FROM session") == [(after.expires_at_ms,)]
    opened = worker.open(token, "127.0.0.1", target.port)
    assert worker.call("session_get", token=token).tunnels == 1
    request = worker.ask("session_end", token=token)
    order = worker.peer.receive("end")
    assert order.session == opened.session and order.connection == 0
    worker.peer.send("tunnel_closed", tunnel=opened.tunnel, bytes_to_target=1, bytes_to_client=2, reason="ended")
    worker.peer.send("ended", order=order.order, tunnels=1)
    done = worker.peer.receive("session_ended")
    assert (done.request, done.tunnels) == (request, 1)
    assert gateway.query("SELECT close_reason, bytes_to_target, bytes_to_client FROM tunnel") == [("logout", 1, 2)]
    gone = worker.call("session_get", token=token)
    assert (gone.status, gone.code) == (401, "session_ended")


def test_A7_the_lease_ends_sessions_and_tunnels(programs, scratch, target):
    with Broker(programs, scratch, DEVICES, policy(target), lease="1s") as gateway:
        worker = gateway.connect(ALICE)
        token = worker.token()
        opened = worker.open(token, "127.0.0.1", target.port)
        order = worker.peer.receive("end")
        assert order.session == opened.session and order.reason == "lease_expired"
        worker.peer.send("tunnel_closed", tunnel=opened.tunnel, reason="ended")
        worker.peer.send("ended", order=order.order, tunnels=1)
        gone = worker.open(token, "127.0.0.1", target.port)
        assert (gone.status, gone.code) == (407, "lease_expired")
        assert gateway.query("SELECT end_reason FROM session") == [("lease_expired",)]


# ---- tunnels ----

def test_D1_a_tunnel_stands_in_the_record_before_it_opens(gateway, target):
    worker = gateway.connect(ALICE)
    token = worker.token()
    opened = worker.open(token, "127.0.0.1", target.port)
    rows = gateway.query("SELECT id, rule, resource, requested_host, requested_port, closed_at, request_id FROM tunnel")
    assert rows == [(opened.tunnel, "alice works", "echo", "127.0.0.1", target.port, None, worker.request_id())]
    with socket.socket(fileno=opened.fd) as ours, target.accept() as theirs:
        assert ours.getpeername() == ("127.0.0.1", target.port)
        ours.setblocking(True)
        ours.sendall(b"hello")
        assert theirs.recv(5) == b"hello"
    worker.peer.send("tunnel_closed", tunnel=opened.tunnel, bytes_to_target=5, bytes_to_client=0, reason="client_fin")
    wait_for(lambda: gateway.query("SELECT address, bytes_to_target, close_reason FROM tunnel") == [
        (f"127.0.0.1:{target.port}", 5, "client_fin")])


def test_B1_no_rule_no_tunnel(gateway):
    worker = gateway.connect(ALICE)
    token = worker.token()
    refused = worker.open(token, "10.1.2.3", 22)
    assert (refused.status, refused.code) == (403, "not_allowed")
    assert gateway.query("SELECT code, user, device FROM audit WHERE request_id = ?", worker.request_id()) == [
        ("not_allowed", "alice", "alice-laptop")]
    assert gateway.query("SELECT count(*) FROM tunnel") == [(0,)]


def test_open_says_what_is_wrong(gateway, target):
    worker = gateway.connect(ALICE)
    assert worker.open("0" * 64, "127.0.0.1", target.port).status == 407
    token = worker.token()
    assert worker.open(token, "127.0.0.1", target.port, user="bob").status == 407
    for host, port in (("a b", 80), ("*", 80), ("alice@127.0.0.1", 80), ("127.0.0.1", 0), ("127.0.0.1", 70000)):
        refused = worker.open(token, host, port)
        assert (refused.status, refused.code) == (400, "bad_target") and refused.sentence
    unreachable = worker.open(token, "127.0.0.1", 1)
    assert (unreachable.status, unreachable.code) == (502, "unreachable")
    assert gateway.query("SELECT close_reason FROM tunnel") == [("unreachable",)]
    unknown = worker.open(token, "nowhere.invalid", 80)
    assert unknown.status in (502, 504) and unknown.code in ("name_unknown", "unreachable", "dial_timeout")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "localhost."])
def test_B2_a_name_that_means_loopback_is_refused(gateway, target, host):
    """The policy allows the name; nothing is dialed."""
    worker = gateway.connect(ALICE)
    refused = worker.open(worker.token(), host, target.port)
    assert (refused.status, refused.code) == (403, "address_forbidden")
    assert gateway.query("SELECT close_reason FROM tunnel") == [("address_forbidden",)]
    target.socket.settimeout(0.1)
    with pytest.raises(TimeoutError):
        target.accept()


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0x7f.1", "017700000001", "127.1", "127.0.0.1.",
                                  "::ffff:127.0.0.1", "[::ffff:127.0.0.1]"])
def test_B2_every_spelling_of_an_address_meets_the_verdict_of_the_plain_one(gateway, target, host):
    bob = gateway.connect(BOB)
    token = bob.token("bob")
    allowed = bob.open(token, host, target.port)
    assert allowed.name == "opened" or allowed.code == "bad_target", allowed
    denied = bob.open(token, host, 1)
    assert denied.name == "problem" and denied.status in (400, 403)
    if allowed.name == "opened":
        os.close(allowed.fd)
        assert gateway.query("SELECT requested_host FROM tunnel") == [("127.0.0.1",)]


def test_tunnels_per_session_have_a_bound(programs, scratch, target):
    with Broker(programs, scratch, DEVICES, policy(target), tunnels_per_session="2") as gateway:
        worker = gateway.connect(ALICE)
        token = worker.token()
        opened = [worker.open(token, "127.0.0.1", target.port) for _ in range(2)]
        refused = worker.open(token, "127.0.0.1", target.port)
        assert (refused.status, refused.code) == (429, "too_many")
        worker.peer.send("tunnel_closed", tunnel=opened[0].tunnel, reason="client_fin")
        assert worker.open(token, "127.0.0.1", target.port).name == "opened"


def test_hundreds_of_opens_at_once(gateway, target):
    """One commit serves many: each is answered, each stands in the record."""
    target.socket.listen(1024)
    worker = gateway.connect(ALICE)
    token = worker.token()
    requests = {worker.ask("open", token=token, host="127.0.0.1", port=target.port) for _ in range(300)}
    tunnels = set()
    for _ in range(300):
        opened = worker.peer.receive("opened")
        os.close(opened.fd)
        requests.remove(opened.request)
        tunnels.add(opened.tunnel)
    assert not requests and len(tunnels) == 300
    assert gateway.query("SELECT count(*) FROM tunnel WHERE closed_at IS NULL") == [(300,)]
    worker.peer.close()
    wait_for(lambda: gateway.query("SELECT close_reason, count(*) FROM tunnel GROUP BY 1") == [("worker_lost", 300)])


def test_a_cancelled_open_leaves_nothing_open(gateway, target):
    worker = gateway.connect(ALICE)
    token = worker.token()
    request = worker.ask("open", token=token, host="127.0.0.1", port=target.port)
    worker.peer.send("open_cancel", request=request)
    try:
        opened = worker.peer.receive("opened", seconds=0.5)
        worker.peer.send("tunnel_closed", tunnel=opened.tunnel, reason="cancelled")
    except TimeoutError:
        pass
    wait_for(lambda: not gateway.query("SELECT 1 FROM tunnel WHERE closed_at IS NULL"))
    assert worker.call("session_get", token=token).tunnels == 0


def test_a_worker_closes_only_its_own_tunnels(gateway, target):
    worker = gateway.connect(ALICE)
    opened = worker.open(worker.token(), "127.0.0.1", target.port)
    hostile = gateway.connect(BOB)
    hostile.peer.send("tunnel_closed", tunnel=opened.tunnel, reason="client_fin")
    assert gateway.told("kill_worker").worker == hostile.number
    assert gateway.query("SELECT closed_at FROM tunnel") == [(None,)]


# ---- no means no ----

class Live:
    """alice with two live tunnels."""

    def __init__(self, gateway, target):
        self.worker = gateway.connect(ALICE)
        self.token = self.worker.token()
        self.tunnels = [self.worker.open(self.token, "127.0.0.1", target.port) for _ in range(2)]

    def obey(self):
        order = self.worker.peer.receive("end")
        for tunnel in self.tunnels:
            self.worker.peer.send("tunnel_closed", tunnel=tunnel.tunnel, reason="ended")
        self.worker.peer.send("ended", order=order.order, tunnels=2)
        return order


@pytest.fixture
def live(gateway, target):
    return Live(gateway, target)


def in_background(function, *arguments):
    import concurrent.futures
    return concurrent.futures.ThreadPoolExecutor(1).submit(function, *arguments)


@pytest.mark.parametrize("act, state", [("lock", "locked"), ("revoke", "revoked")])
def test_C1_lock_and_revoke_end_everything_of_the_device(gateway, live, act, state):
    other = gateway.connect(BOB)
    other_token = other.token("bob")
    answer = in_background(gateway.admin, "POST", f"/v1/devices/alice-laptop/{act}")
    order = live.obey()
    assert (order.session, order.connection, order.reason) == (0, 1, f"device_{state}")
    status, body = answer.result(frames.SECONDS)
    assert status == 200 and body["tunnels_closed"] == 2 and body["sessions_ended"] == 1
    assert gateway.query("SELECT close_reason, count(*) FROM tunnel GROUP BY 1") == [(f"device_{state}", 2)]
    assert gateway.query("SELECT end_reason FROM session WHERE user = 'alice'") == [(f"device_{state}",)]
    assert live.worker.call("session_get", token=live.token).status == 401
    back = gateway.new_worker()
    back.show(ALICE)
    assert back.peer.receive("rejected").code == f"device_{state}"
    assert other.call("session_get", token=other_token).name == "session_state"


def test_C1_a_revoked_device_stays_revoked(gateway):
    assert gateway.admin("POST", "/v1/devices/alice-laptop/revoke")[0] == 200
    status, body = gateway.admin("POST", "/v1/devices/alice-laptop/unlock")
    assert status == 409 and "revoked" in str(body)
    assert gateway.query("SELECT state FROM certificate WHERE device = ?", ALICE.id) == [("revoked",)]


def test_C1_an_admin_ends_a_session(gateway, live):
    session = live.worker.call("session_get", token=live.token).session
    answer = in_background(gateway.admin, "POST", f"/v1/sessions/{session}/end")
    assert live.obey().connection == 0
    status, body = answer.result(frames.SECONDS)
    assert status == 200 and body["tunnels_closed"] == 2
    assert live.worker.call("session_get", token=live.token).code == "session_ended"
    assert gateway.admin("POST", f"/v1/sessions/{session}/end")[0] == 404


def test_C3_a_worker_that_ignores_the_order_is_killed(gateway, live):
    began = time.monotonic()
    status, body = gateway.admin("POST", "/v1/devices/alice-laptop/lock")
    assert status == 200 and body["tunnels_closed"] == 2
    assert gateway.told("kill_worker").worker == live.worker.number
    assert 0.3 < time.monotonic() - began < 10
    assert gateway.query("SELECT close_reason, count(*) FROM tunnel GROUP BY 1") == [("device_locked", 2)]


def test_C3_a_worker_that_lies_about_the_order_is_killed(gateway, live):
    answer = in_background(gateway.admin, "POST", "/v1/devices/alice-laptop/lock")
    order = live.worker.peer.receive("end")
    live.worker.peer.send("ended", order=order.order, tunnels=2)
    assert gateway.told("kill_worker").worker == live.worker.number
    assert answer.result(frames.SECONDS)[1]["tunnels_closed"] == 2
    assert gateway.query("SELECT count(*) FROM tunnel WHERE closed_at IS NULL") == [(0,)]


def test_C1_a_device_that_is_locked_while_it_proves_itself(gateway):
    worker = gateway.new_worker()
    worker.show(ALICE)
    asked = gateway.signer.receive("verify")
    assert gateway.admin("POST", "/v1/devices/alice-laptop/lock")[0] == 200
    assert worker.peer.receive("rejected").code == "device_locked"
    gateway.signer.send("verified", worker=asked.worker, good=1)
    with pytest.raises(TimeoutError):
        gateway.told("door_one", 0.3)


def reload(gateway, text):
    file = frames.open_bytes(text.encode())
    for name, value in gateway.settings.items():
        gateway.monitor.send("setting", name=name, value=value)
    gateway.monitor.send("descriptor", purpose="policy", name="policy.conf", fd=file)
    os.close(file)
    gateway.monitor.send("reload")
    return gateway.told("reloaded")


def test_C1_a_tightened_policy_ends_what_it_no_longer_allows(gateway, target):
    second = Target()
    wide = policy(target, second.port)
    assert reload(gateway, wide).good == 1
    worker = gateway.connect(ALICE)
    token = worker.token()
    stays, goes = (worker.open(token, "127.0.0.1", t.port) for t in (target, second))
    assert reload(gateway, wide.replace('"echo", "closed"', '"echo"')).good == 1
    order = worker.peer.receive("end")
    assert (order.tunnel, order.session, order.reason) == (goes.tunnel, goes.session, "policy_changed")
    worker.peer.send("tunnel_closed", tunnel=goes.tunnel, reason="ended")
    worker.peer.send("ended", order=order.order, tunnels=1)
    wait_for(lambda: gateway.query("SELECT id FROM tunnel WHERE closed_at IS NULL") == [(stays.tunnel,)])
    assert worker.open(token, "127.0.0.1", second.port).code == "not_allowed"
    second.socket.close()


def test_C1_a_policy_without_the_literal_address_ends_what_a_name_led_to(gateway, target):
    """The name is allowed as before, but it leads where only a literal address may lead (B2)."""
    wide = f'''resource "here" {{ address = {{"localhost:{target.port}", "127.0.0.1:{target.port}"}} }}
rule "alice works" {{ users = {{"alice"}} resources = {{"here"}} }}
'''
    assert reload(gateway, wide).good == 1
    worker = gateway.connect(ALICE)
    token = worker.token()
    goes = worker.open(token, "localhost", target.port)
    stays = worker.open(token, "127.0.0.1", target.port)
    assert (goes.name, stays.name) == ("opened", "opened")
    literal = f'''resource "name" {{ address = {{"localhost:{target.port}"}} }}
resource "literal" {{ address = {{"127.0.0.1:{target.port}"}} }}
rule "alice works" {{ users = {{"alice"}} resources = {{"name", "literal"}} }}
'''
    assert reload(gateway, literal).good == 1
    order = worker.peer.receive("end")
    assert (order.tunnel, order.reason) == (goes.tunnel, "policy_changed")
    worker.peer.send("tunnel_closed", tunnel=goes.tunnel, reason="ended")
    worker.peer.send("ended", order=order.order, tunnels=1)
    wait_for(lambda: gateway.query("SELECT id FROM tunnel WHERE closed_at IS NULL") == [(stays.tunnel,)])
    assert worker.open(token, "localhost", target.port).code == "address_forbidden"


def test_B1_a_policy_that_does_not_parse_changes_nothing(gateway, live, target):
    answer = reload(gateway, policy(target) + 'rule "broken {\n')
    assert answer.good == 0 and "policy.conf:" in answer.sentence
    assert live.worker.open(live.token, "127.0.0.1", target.port).name == "opened"


# ---- the record ----

def test_D1_kill_9_closes_what_was_open_and_keeps_the_session(gateway, live, target):
    gateway.kill()
    gateway.start()
    assert gateway.query("SELECT close_reason, count(*) FROM tunnel GROUP BY 1") == [("gateway_restarted", 2)]
    worker = gateway.connect(ALICE)
    assert worker.call("session_get", token=live.token).name == "session_state"
    opened = worker.open(live.token, "127.0.0.1", target.port)
    assert opened.tunnel > max(t.tunnel for t in live.tunnels)


@pytest.mark.parametrize("after", [1, 20, 150])
def test_D1_kill_9_in_the_middle_loses_nothing_acknowledged(gateway, target, after):
    target.socket.listen(1024)
    worker = gateway.connect(ALICE)
    token = worker.token()
    for _ in range(300):
        worker.ask("open", token=token, host="127.0.0.1", port=target.port)
    acknowledged = []
    while len(acknowledged) < after:
        opened = worker.peer.receive("opened")
        os.close(opened.fd)
        acknowledged.append(opened.tunnel)
    os.kill(gateway.room.pid, 9)
    try:
        while True:
            opened = worker.peer.receive("opened", seconds=5)
            os.close(opened.fd)
            acknowledged.append(opened.tunnel)
    except frames.Closed:
        pass
    gateway.kill()
    gateway.start()
    rows = dict(gateway.query("SELECT id, close_reason FROM tunnel"))
    assert set(acknowledged) <= set(rows) and set(rows.values()) == {"gateway_restarted"}


def test_stop_closes_the_record(gateway, live):
    gateway.monitor.send("stop")
    live.obey()
    assert gateway.room.wait() == 0
    assert gateway.query("SELECT close_reason, count(*) FROM tunnel GROUP BY 1") == [("gateway_stopped", 2)]
    assert last_audit(gateway, "event") == ("gateway_stopped",)


def netstring(value):
    data = str(value).encode()
    return b"%d:%s," % (len(data), data)


def test_G1_the_audit_log_is_chained_and_append_only(gateway, live):
    rows = gateway.query("SELECT sequence, at, event, code, request_id, device, user, address, detail, previous_hash, "
                         "hash FROM audit ORDER BY sequence")
    previous = "0" * 64
    for number, row in enumerate(rows, 1):
        assert row[0] == number and row[9] == previous
        assert row[10] == hashlib.sha256(b"".join(map(netstring, row[:10]))).hexdigest()
        previous = row[10]
    with sqlite3.connect(gateway.database) as database:
        for act in ("UPDATE audit SET code = 'x'", "DELETE FROM audit"):
            with pytest.raises(sqlite3.DatabaseError):
                database.execute(act)


def test_views_show_it_to_people(gateway, live, target):
    assert ("alice-laptop", "active", "alice", "managed") in gateway.query("SELECT name, state, users, tags FROM v_device")
    assert gateway.query("SELECT user, device, tunnels FROM v_session") == [("alice", "alice-laptop", 2)]
    (row, _) = gateway.query("SELECT user, target, opened, closed FROM v_tunnel")
    assert row[:2] == ("alice", f"127.0.0.1:{target.port}") and row[2].endswith("Z") and row[3] is None
    assert gateway.query("SELECT count(*) FROM v_audit")[0][0] > 3


def test_D2_a_record_that_cannot_be_written_grants_nothing_and_heals(gateway, live, target):
    """Another process holds the write lock: longer than the store waits for it."""
    blocker = sqlite3.connect(gateway.database, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    refused = live.worker.open(live.token, "127.0.0.1", target.port)
    assert (refused.status, refused.code) == (503, "unavailable")
    target.socket.settimeout(0.1)
    for _ in range(2):
        target.accept()  # those of before
    with pytest.raises(TimeoutError):
        target.accept()
    blocker.execute("ROLLBACK")
    blocker.close()
    assert live.worker.open(live.token, "127.0.0.1", target.port).name == "opened"


@pytest.fixture
def small_disk(scratch):
    """A folder for the store on a disk of 2 MiB."""
    folder = scratch / "state"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=0700", "none", str(folder)], check=False).returncode:
        pytest.skip("mounting wants root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_D2_a_full_disk_grants_nothing_and_heals(programs, scratch, target, small_disk):
    with Broker(programs, scratch, DEVICES, policy(target)) as gateway:
        live = Live(gateway, target)
        filler = small_disk / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while file.write(b"x" * 4096):
                pass
        refused = None
        for _ in range(2000):
            answer = live.worker.open(live.token, "127.0.0.1", target.port)
            if answer.name == "problem":
                refused = answer
                break
            os.close(answer.fd)
            target.accept().close()
            live.worker.peer.send("tunnel_closed", tunnel=answer.tunnel, reason="client_fin")
        assert refused and (refused.status, refused.code) == (503, "unavailable")
        assert live.worker.login().status == 503
        assert gateway.admin("GET", "/v1/status")[1]["store_good"] is False
        assert "the record cannot be written" in gateway.room.said()
        filler.unlink()
        assert live.worker.open(live.token, "127.0.0.1", target.port).name == "opened"
        assert "the record can be written again" in gateway.room.said()
        wait_for(lambda: gateway.query("SELECT count(*) FROM tunnel WHERE closed_at IS NULL") == [(3,)])


def test_device_add_asks_the_signer_and_records(gateway):
    key = b"public key of carol"
    answer = in_background(gateway.admin, "POST", "/v1/devices",
                           {"name": "carol-laptop", "users": ["carol"], "tags": ["managed"],
                            "public_key": base64.b64encode(key).decode(), "key_kind": "ec-p256"})
    wanted = gateway.signer.receive("issue")
    assert wanted.public_key == key and wanted.device_name == "carol-laptop" and len(wanted.serial) == 16
    assert wanted.not_before_s < time.time() < wanted.not_after_s
    gateway.signer.send("issued", request=wanted.request, certificate=b"DER of carol", authority=bytes(32))
    assert answer.result(frames.SECONDS)[0] == 201
    carol = Device("carol-laptop", ["carol"])
    carol.fingerprint = hashlib.sha256(b"DER of carol").digest()
    carol.key = key
    assert gateway.query("SELECT fingerprint, public_key FROM certificate WHERE device = ?", wanted.device_id) == [
        (carol.fingerprint.hex(), key.hex())]
    assert gateway.connect(carol).token("carol")
    again = gateway.admin("POST", "/v1/devices", {"name": "carol-laptop", "users": ["carol"],
                                                  "public_key": base64.b64encode(b"x").decode()})
    assert again[0] == 409


# ---- starting ----

def failed(gateway):
    answer = gateway.make().begin()
    assert answer.name == "failed", answer
    gateway.end()
    return answer.sentence


@pytest.fixture
def stopped(gateway):
    gateway.kill()
    return gateway


def test_D3_a_newer_schema_is_refused(stopped):
    with sqlite3.connect(stopped.database) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    assert "newer" in failed(stopped)


def test_D3_a_migration_happens_whole_or_not_at_all(stopped):
    """A store of the first version; in the middle of a later migration something is in the way, and then no more."""
    for file in stopped.state.iterdir():
        file.unlink()
    world.seed(stopped.database, [ALICE])
    with sqlite3.connect(stopped.database) as database:
        database.execute("CREATE TABLE login_place (in_the_way)")  # 0007 makes the spool, and then this one
    database.close()
    stopped.own(stopped.database)
    assert "login_place" in failed(stopped)
    assert stopped.query("PRAGMA user_version") == [(6,)]
    tables = {name for (name,) in stopped.query("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert "factor" in tables and "spool" not in tables
    with sqlite3.connect(stopped.database) as database:
        database.execute("DROP TABLE login_place")
    database.close()
    stopped.own(stopped.database)
    stopped.start()
    assert stopped.query("PRAGMA user_version") == [(len(list(world.SCHEMA.parent.glob("0*.sql"))),)]
    assert stopped.query("SELECT name FROM device") == [("alice-laptop",)]


def test_F4_a_store_that_others_can_read_is_refused(stopped):
    stopped.database.chmod(0o644)
    assert "chmod 600" in failed(stopped)


def test_a_file_that_is_no_store_is_refused(stopped):
    for file in stopped.state.iterdir():
        file.unlink()
    stopped.database.write_text("no database at all, only some text" * 100)
    stopped.own(stopped.database)
    assert "not a database" in failed(stopped)


def test_two_gateways_on_one_store(gateway):
    second = object.__new__(Broker)
    second.__dict__.update(gateway.__dict__)
    second.folder = gateway.folder / "second"
    second.folder.mkdir()
    assert "in use by another gateway" in failed(second)


def test_a_new_store_is_made_with_its_final_mode(stopped):
    for file in stopped.state.iterdir():
        file.unlink()
    stopped.start()
    assert stat.S_IMODE(stopped.database.stat().st_mode) == 0o600
    assert stopped.query("PRAGMA user_version") == [(len(list(world.SCHEMA.parent.glob("0*.sql"))),)]
    if os.geteuid() == 0:
        assert stopped.database.stat().st_uid == world.IDENTITY
    stopped.end()
