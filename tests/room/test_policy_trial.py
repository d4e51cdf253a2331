"""A policy that is tried: expectations and differences give no false assurance, and nobody waits for them."""
import hashlib
import pathlib
import shutil
import sqlite3
import tempfile
import threading
import time

import pytest

from broker import Broker, Device
from test_broker import policy, target, wait_for  # target: a fixture

DEVICES = [Device("laptop", ["alice"], tags="managed"), Device("tablet", ["bob"], tags="byod"),
           Device("kiosk", ["*"], tags="shared"), Device("gone", ["alice"], state="revoked", tags="old")]
RESOURCES = '''resource "vault" { address = {"10.1.2.3:22"} }
resource "wiki" { address = {"wiki.corp.example:443"} }
calendar "utc" { zone = UTC }
'''
# NAME, SERVICE, FLAGS, GROUPS, TAGS: as realms travel (src/base/realm.c).
REALMS = "".join("\x1f".join(fields) + "\n" for fields in
                 [("night", "sallyport", "r", "", ""), ("tablets", "sallyport", "", "", "byod")])


def allow(what):
    return RESOURCES + "".join(f'rule "r{number}" {{ {text} }}\n' for number, text in enumerate(what.split(" / ")))


@pytest.fixture(scope="module")
def gateway(programs):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="sallyport-test.", dir="/tmp"))
    folder.chmod(0o711)
    with Broker(programs, folder, DEVICES, RESOURCES, realm=REALMS) as broker:
        yield broker
    shutil.rmtree(folder, ignore_errors=True)


def ask(gateway, text, line):
    status, answer = gateway.admin("POST", "/v1/policy/test", {"expectations": line, "files": [{"name": "p", "text": text}]})
    assert status == 200, answer
    return answer["failed"][0]["what"] if answer["failed"] else ""


TO_VAULT = 'resources = {"vault"}'


@pytest.mark.parametrize("rules, line, what", [
    # The name of a resource is its address.
    (f'users = {{"alice"}} {TO_VAULT}', "nobody may reach vault:22", 'reaches it (rule "r0")'),
    (f'users = {{"alice"}} {TO_VAULT}', "alice on laptop may not reach vault:22", "alice on laptop reaches it"),
    (f'users = {{"alice"}} {TO_VAULT}', "alice on laptop may reach vault:22", ""),
    (f'users = {{"alice"}} {TO_VAULT}', "nobody may reach wiki:443", ""),
    # What is left open is in nobody's favour.
    (f'users = {{"alice"}} {TO_VAULT} hours = "Sun 03:00-03:01" calendar = utc', "nobody may reach vault:22", "alice on kiosk reaches it"),
    (f'users = {{"alice"}} {TO_VAULT} hours = "Sun 03:00-03:01" calendar = utc', "nobody may reach vault:22 at 2026-11-24T10:00", ""),
    (f'users = {{"alice"}} {TO_VAULT} from = "192.0.2.0/24"', "nobody may reach vault:22", "alice on kiosk reaches it"),
    (f'users = {{"alice"}} {TO_VAULT} from = "192.0.2.0/24"', "nobody may reach vault:22 from 198.51.100.1", ""),
    (f'users = {{"alice"}} {TO_VAULT} from = "192.0.2.0/24"', "alice on laptop may not reach vault:22", "alice on laptop reaches it"),
    (f'users = {{"alice"}} {TO_VAULT} realms = "night"', "nobody may reach vault:22", "alice on kiosk reaches it"),
    (f'users = {{"alice"}} {TO_VAULT} realms = "night"', "nobody may reach vault:22 by realm default", ""),
    (f'users = {{"alice"}} {TO_VAULT} realms = "night"', "nobody may reach vault:22 by realm nigt", 'there is no realm "nigt"'),
    (f'users = {{"alice"}} {TO_VAULT} realms = "tablets"', "nobody may reach vault:22", ""),
    (f'users = {{"bob"}} {TO_VAULT} realms = "tablets"', "nobody may reach vault:22", "bob on tablet reaches it"),
    (f'users = {{"bob"}} {TO_VAULT} realms = "tablets"', "bob on tablet may reach vault:22", ""),
    (f'users = {{"bob"}} {TO_VAULT} realms = "default"', "bob on tablet may reach vault:22", "does not reach it"),
    (f'users = {{"alice"}} {TO_VAULT} / users = {{"*"}} {TO_VAULT} deny = true', "nobody may reach vault:22", ""),
    (f'users = {{"alice"}} {TO_VAULT} / users = {{"*"}} {TO_VAULT} deny = true from = "192.0.2.0/24"', "nobody may reach vault:22",
     "alice on kiosk reaches it"),
    (f'users = {{"alice"}} {TO_VAULT} / users = {{"*"}} {TO_VAULT} deny = true hours = "Mon-Sun 00:00-24:00"', "nobody may reach vault:22",
     "alice on kiosk reaches it"),
    # On a device for any user: whoever is known, members of groups, and who is neither.
    (f'users = {{"carol"}} {TO_VAULT}', "nobody on kiosk may reach vault:22", "carol on kiosk reaches it"),
    (f'users = {{"bob"}} {TO_VAULT} devices = "kiosk"', "nobody may reach vault:22", "bob on kiosk reaches it"),
    (f'groups = {{"wheelers"}} {TO_VAULT}', "nobody on tag shared may reach vault:22", "a member of wheelers on kiosk reaches it"),
    (f'users = {{"*"}} {TO_VAULT} devices = "kiosk"', "nobody may reach vault:22", "anybody on kiosk reaches it"),
    (f'users = {{"*"}} {TO_VAULT}', "dave on kiosk may reach vault:22", ""),
    (f'users = {{"*"}} {TO_VAULT}', "dave on laptop may reach vault:22", "dave is not bound to laptop"),
    # What is about nobody says nothing.
    (f'users = {{"alice"}} {TO_VAULT}', "nobody on tag managd may reach vault:22", "it is about nobody"),
    (f'users = {{"alice"}} {TO_VAULT}', "nobody on lapptop may reach vault:22", "it is about nobody"),
    (f'users = {{"alice"}} {TO_VAULT}', "nobody on gone may reach vault:22", "it is about nobody"),
    (f'users = {{"alice"}} {TO_VAULT}', "alice on laptop might reach vault:22", "it is written"),
])
def test_an_expectation_is_met_only_when_it_is_so(gateway, rules, line, what):
    said = ask(gateway, allow(rules), line)
    assert what in said if what else said == ""


def test_an_expectation_asks_for_the_key_that_counts(programs, scratch):
    """The newest certificate that is active; not one that was revoked since."""
    text = allow(f'users = {{"alice"}} {TO_VAULT} key_kind = "EC"')
    with Broker(programs, scratch, DEVICES, RESOURCES) as gateway:
        gateway.kill()
        with sqlite3.connect(gateway.database) as database:
            database.execute("INSERT INTO certificate (fingerprint, serial, device, generation, public_key, key_kind, not_before, "
                             "not_after, state, issued_at) SELECT ?, 'newer', device, 2, public_key, 'rsa-2048', not_before, not_after, "
                             "'revoked', 2 FROM certificate WHERE device = ?", (hashlib.sha256(b"newer").hexdigest(), DEVICES[0].id))
        database.close()
        gateway.start()
        assert "alice on laptop reaches it" in ask(gateway, text, "nobody on laptop may reach vault:22")


def changes(gateway, text, **body):
    status, answer = gateway.admin("POST", "/v1/policy/diff", {"files": [{"name": "p", "text": text}], **body})
    assert status == 200, answer
    assert answer["difference_count"] == len(answer["differences"])
    return {(row["change"], row["user"], row["device"], row["target"]) for row in answer["differences"]}


@pytest.mark.parametrize("condition, seen, unseen", [
    ('hours = "Tue 09:00-17:00"', {"at": "2026-11-24T10:00"}, {"at": "2026-11-24T20:00"}),
    ('from = "192.0.2.0/24"', {"from": "192.0.2.7"}, {"from": "198.51.100.7"}),
    ('realms = "night"', {"realm": "night"}, {"realm": "default"}),
])
def test_a_difference_is_seen_in_whatever_circumstances_it_is_one(gateway, condition, seen, unseen):
    gains = {("gains", "alice", "laptop", "10.1.2.3:22")}
    text = allow(f'users = {{"alice"}} {TO_VAULT} devices = {{"laptop"}} {condition}')
    assert changes(gateway, text) == gains
    assert changes(gateway, text, **seen) == gains
    assert changes(gateway, text, **unseen) == set()


def test_a_difference_counts_whoever_may_come_to_a_shared_device(gateway):
    text = allow(f'groups = {{"wheelers"}} {TO_VAULT} / users = {{"carol"}} {TO_VAULT}')
    assert changes(gateway, text) == {("gains", who, "kiosk", "10.1.2.3:22") for who in ("carol", "a member of wheelers")}


@pytest.mark.parametrize("body, part", [({"at": "tomorrow"}, "a moment is written"), ({"from": "here"}, "no address"),
                                        ({"realm": "nigt"}, 'no realm "nigt"')])
def test_circumstances_that_are_none_are_refused(gateway, body, part):
    status, answer = gateway.admin("POST", "/v1/policy/diff", {"files": [{"name": "p", "text": RESOURCES}], **body})
    assert status == 400 and part in str(answer)


def test_C1_a_lock_acts_at_once_beside_a_large_difference(programs, scratch, target):
    """The difference is made beside the loop: the tunnel of a device that is locked meanwhile ends within the second."""
    laptops = [Device(f"laptop{number}", ["alice"]) for number in range(800)]
    large = "".join(f'resource "s{number}" {{ address = {{"10.0.{number // 250}.{number % 250}:22"}} }}\n' for number in range(4000))
    large += 'rule "all" { users = {"alice"} resources = {"*"} devices = {"laptop0"} }\n'
    with Broker(programs, scratch, laptops, policy(target)) as gateway:
        worker = gateway.connect(laptops[1])
        opened = worker.open(worker.token(), "127.0.0.1", target.port)
        assert opened.name == "opened"
        answers = []
        body = {"files": [{"name": "p", "text": large}]}

        def compare():
            while (answer := gateway.admin("POST", "/v1/policy/diff", body))[0] == 409:
                pass  # the question below was first
            answers.append(answer)
        thread = threading.Thread(target=compare)
        thread.start()
        wait_for(lambda: gateway.admin("POST", "/v1/policy/test", {"expectations": ""})[0] == 409)  # one at a time
        began = time.monotonic()
        locking = threading.Thread(target=gateway.admin, args=("POST", "/v1/devices/laptop1/lock"))
        locking.start()
        order = worker.peer.receive("end")
        assert time.monotonic() - began < 1, "the lock waited for the difference"
        assert not answers, "the difference was over before: it has to be larger"
        worker.peer.send("ended", order=order.order, tunnels=1)
        locking.join()
        thread.join()
    status, answer = answers[0]
    assert status == 200 and answer["people"] == 800 and answer["difference_count"] == 4000 + 800 * 4
