"""sallyport-admin report: what an auditor asks once a month; as text, JSON and a page that harms nobody."""
import hashlib
import html.parser
import json
import os
import sqlite3
import subprocess
import time

import api
import clients
import pytest
from test_trouble import Disk
from world import WorldError, run, wait_until

HOSTILE = '<script>alert("1")</script>&\'<img src=x>'


class Page(html.parser.HTMLParser):
    """Tags, and what they point to."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.targets, self.words = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.targets += [value for name, value in attributes if name in ("src", "href", "action", "style") and value]

    def handle_data(self, data):
        self.words.append(data)


def report(world, *words):
    return json.loads(world.admin("--json", "report", *words))


def rows(found, key, **like):
    return [row for row in found[key] if all(row.get(name) == value for name, value in like.items())]


@pytest.fixture
def world(new_world):
    world = new_world(settings=["login_failures = 50"], laptops=("alice", "bob"))
    token = api.login(world).body["session"]
    world.forget_codes()
    assert api.login(world, "alice", laptop="bob-laptop").status == 403
    for target in (world.echo, world.denied):
        _, _, peer = clients.http1_connect(world, f"{world.inside}:{target}", token)
        peer.close()
    api.call(world, "POST", "/v1/login", {"user": HOSTILE, "realm": "none"})
    answer = api.call(world, "POST", "/v1/login", {"user": HOSTILE})
    while answer.status == 200 and answer.body.get("state") == "prompt":
        answer = api.call(world, "POST", f"/v1/login/{answer.body['conversation']}", {"answers": ["x"]})
    world.admin("device", "tag", "bob-laptop", "spare")
    return world


def test_who_could_reach_what_and_did(world):
    found = report(world, "--since", "1h")
    echo, wiki = f"{world.inside}:{world.echo}", f"{world.inside}:{world.web}"
    (could,) = rows(found, "reach", user="alice", device="alice-laptop", target=echo)
    assert could["used"] == 1 and could["rule"] == "alice administers"
    assert rows(found, "reach", user="bob", target=wiki)[0]["used"] == 0 and not rows(found, "reach", user="bob", target=echo)
    assert not [row for row in found["reach"] if str(world.denied) in row["target"]]
    (did,) = found["used"]
    assert (did["user"], did["resource"], did["tunnels"]) == ("alice", "echo", 1)


# ---- which policy was in force, and when ----


def asked(world, text, *values):
    with sqlite3.connect(f"file:{world.database}?mode=ro", uri=True) as database:
        return database.execute(text, values).fetchall()


def print_of(world):
    """As sql/0015_policy.sql says."""
    text = world.policy.read_bytes()
    return hashlib.sha256(b"%d:%s" % (len(text), text)).hexdigest()


def put_in_force(world, text):
    world.policy.write_text(text)
    world.admin("policy", "apply")
    time.sleep(1.1)  # the report tells whole seconds


def test_who_could_reach_what_by_each_policy_of_the_time(world):
    """One right is taken and another given, then the former policy comes back; the tunnel of before stands in its time."""
    first, echo, vault = world.policy.read_text(), f"{world.inside}:{world.echo}", f"{world.inside}:{world.denied}"
    prints = [print_of(world)]
    time.sleep(1.1)
    put_in_force(world, first.replace('resources = {"ssh", "echo"}', 'resources = {"ssh"}') +
                 'rule "bob opens the vault" { users = {"bob"}  resources = {"vault"} }\n')
    prints.append(print_of(world))
    put_in_force(world, first)
    put_in_force(world, first)  # again the same: no new version
    found = report(world, "--since", "1h")
    versions = found["policies"]
    assert [(row["version"], row["print"], row["note"]) for row in versions] == [(1, prints[0], ""), (2, prints[1], ""), (3, prints[0], "")]
    assert versions[0]["until"] == versions[1]["from"] and versions[1]["until"] == versions[2]["from"] and versions[2]["until"] == ""
    former, now = rows(found, "reach", user="alice", device="alice-laptop", target=echo)
    born = json.loads(world.admin("--json", "device", "show", "alice-laptop"))["created_at"]
    assert (former["from"], former["until"], former["used"]) == (max(born, versions[0]["from"]), versions[1]["from"], 1)
    assert (now["from"], now["until"], now["used"], now["rule"]) == (versions[2]["from"], "", 0, "alice administers")
    (opened,) = rows(found, "reach", target=vault)
    assert (opened["user"], opened["rule"], opened["from"], opened["until"]) == ("bob", "bob opens the vault", versions[1]["from"], versions[2]["from"])
    (wiki,) = rows(found, "reach", user="bob", target=f"{world.inside}:{world.web}")
    assert wiki["from"] < versions[1]["from"] and wiki["until"] == "", "what nothing has changed is one row"
    assert [row["could_reach"] for row in versions] == [4, 4, 4] and found["counts"]["policies"] == 3
    time.sleep(1.1)
    world.enroll("later", "bob")
    (later,) = rows(report(world, "--since", "1h"), "reach", device="later")
    born = json.loads(world.admin("--json", "device", "show", "later"))["created_at"]
    assert (later["target"], later["from"], later["until"]) == (f"{world.inside}:{world.web}", born, ""), "not before it was there"


def test_the_record_vouches_for_the_texts_of_policies(new_world):
    """Number and SHA-256 stand in a record of the chain; a text that was changed in the store is not believed, nor guessed at when
    this program does not understand it."""
    world = new_world(laptops=())
    found = asked(world, "SELECT sequence, detail FROM audit WHERE event = 'policy_in_force'")
    assert found == [(1, f"version 1, SHA-256 {print_of(world)}")]
    assert json.loads(world.admin("--json", "policy", "history", "1"))["files"] == [{"name": str(world.policy), "text": world.policy.read_text()}]
    assert world.admin("policy", "history", "1") == f"# ---- {world.policy}\n{world.policy.read_text()}"
    assert "  ".join(("1", "")) in world.admin("policy", "history").splitlines()[1] and print_of(world) in world.admin("policy", "history")
    with pytest.raises(WorldError, match="there is no version 7 of the policy"):
        world.admin("policy", "history", "7")
    with sqlite3.connect(world.database) as database:
        database.execute("UPDATE policy_file SET text = text || ' '")
    database.close()
    with pytest.raises(WorldError, match="not the one that the record speaks of"):
        world.admin("policy", "history", "1")
    def said():
        done = subprocess.run([world.program("sallyport-admin"), "--socket", world.admin_socket, "--json", "report"], text=True,
                              capture_output=True, check=True)
        found = json.loads(done.stdout)
        assert found["policies"][-1]["note"].startswith("not computed") and found["reach"] == []
        return done.stderr
    assert "it was changed in the store" in said()
    text = 'rule "of a later version" { wish = "granted" }\n'
    digest = hashlib.sha256(f"{len(text)}:{text}".encode()).hexdigest()
    with sqlite3.connect(world.database) as database:
        database.execute("UPDATE policy_version SET print = ?", [digest])
        database.execute("INSERT INTO policy_file VALUES (?, 0, 'policy.conf', ?)", [digest, text])
    database.close()
    assert "does not understand version 1 any more: policy.conf:1:" in said()


def test_what_is_not_kept_is_said(new_world):
    """A store from before policies were kept: what could be reached before this start nobody knows."""
    world = new_world()
    time.sleep(1)  # the report tells whole seconds
    world.stop_process("gateway")
    with sqlite3.connect(world.database) as database:
        database.execute("DELETE FROM policy_version")
        database.execute("DELETE FROM policy_file")
    database.close()
    world.start_gateway()
    found = report(world)
    unknown, now = found["policies"]
    assert (unknown["version"], unknown["note"]) == ("?", "not kept: who could reach what is not known") and unknown["until"] == now["from"]
    assert (now["version"], now["could_reach"]) == (1, 4)
    assert rows(found, "reach", user="alice", target=f"{world.inside}:{world.echo}")[0]["from"] == now["from"]
    text = world.admin("report")
    assert "\nPolicies in force\n" in text and "not kept: who could reach what is not known" in text


def test_a_policy_that_came_while_the_disk_was_full_is_written_down_later(new_world):
    """It is in force at once, so that what it forbids ends; its text follows when the record can be written again."""
    world = new_world(laptops=("alice",))
    disk = Disk(world)
    try:
        disk.fill()
        world.policy.write_text(world.policy.read_text() + "# stricter\n")
        world.admin("policy", "apply")
        assert asked(world, "SELECT count(*) FROM policy_version") == [(1,)]
        disk.empty()
        wait_until(lambda: asked(world, "SELECT count(*) FROM policy_version") == [(2,)], "the second version")
        assert asked(world, "SELECT print FROM policy_version ORDER BY number DESC LIMIT 1") == [(print_of(world),)]
    finally:
        world.stop_process("gateway")
        disk.away()


def test_what_was_refused_changed_and_is_weak(world):
    found = report(world)
    assert rows(found, "refusals", event="login", code="not_bound")[0]["count"] == 1
    assert rows(found, "refusals", event="tunnel", code="not_allowed")[0]["count"] == 1
    assert rows(found, "refusals", event="login", code="login_failed")[0]["last_user"] == HOSTILE
    counts, today = found["counts"], list(found["days"].values())[-1]
    assert (counts["logins"], counts["tunnels"]) == (1, 1) == (today["logins"], today["tunnels"])
    assert counts["refused"] == sum(row["count"] for row in found["refusals"]) == today["refused"]
    assert 30 <= len(found["days"]) <= 31
    assert rows(found, "settings", setting="login_failures") == [
        {"setting": "login_failures", "value": "50", "default": "5", "verdict": "weaker"}]
    assert rows(found, "acts", event="device_tagged", device="bob-laptop") and rows(found, "changes", event="gateway_started")
    later = report(world, "--since", "0s")
    assert later["counts"].get("logins", 0) == 0 == len(later["refusals"]), "nothing of before"
    assert {row["name"] for row in later["unseen"]} >= {"alice-laptop"}
    done = subprocess.run([world.program("sallyport-admin"), "--socket", world.admin_socket, "report", "--since", "500d"], text=True,
                          capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (2, "sallyport-admin: a report is over 400 days at most\n")


def test_the_page_is_whole_by_itself_and_escapes_everything(world):
    path = world.path("report.html")
    world.admin("report", "--html", path)
    assert os.stat(path).st_mode & 0o777 == 0o600
    text = path.read_text()
    page = Page(text)
    assert "script" not in page.tags and "img" not in page.tags and "link" not in page.tags
    assert HOSTILE in page.words, "said, as text"
    assert all(target.startswith("background:#") for target in page.targets), "nothing from elsewhere"
    assert "default-src 'none'" in text and "http:" not in text and "https:" not in text
    assert {"Fingerprint", "Could reach"} <= set(page.words), "headings for people"
    assert page.tags.count("svg") == 4 and page.tags.count("section") == 12
    shot = world.path("report.png")
    run(["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1160,2400",
         f"--user-data-dir={world.path('chromium')}", f"--screenshot={shot}", f"file://{path}"])
    assert shot.stat().st_size > 50000, "a browser shows it"


def test_text_for_a_terminal(world):
    text = world.admin("report")
    assert "\nWho could reach what\n" in text and "\nRefused attempts\n" in text and "not_bound" in text
    assert "\x1b" not in text
