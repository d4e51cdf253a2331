"""The policy as an admin lives with it: check, explain, test, diff, shadow, apply; and live tunnels that lose their right."""
import hashlib
import json
import os
import sqlite3
import subprocess
import time

import pytest

import api
import clients
from world import WorldError


def login(world, laptop, user="alice"):
    answer = api.login(world, user, laptop)
    assert answer.status == 200, answer.text
    return answer.body["session"]


def write(world, name, text):
    path = world.path("etc", name)
    path.write_text(text)
    return path


def rules(world, alice):
    """The world's policy with another rule for alice."""
    text = world.policy.read_text()
    line = next(line for line in text.splitlines() if line.startswith('rule "alice administers"'))
    return text.replace(line, alice)


def apply(world):
    return json.loads(world.admin("policy", "apply", "--json"))


def echoes(h2, number, text=b"alive"):
    before = len(h2.streams[number].data)
    h2.send(number, text)
    return h2.wait(lambda: bytes(h2.streams[number].data)[before:] == text)


def test_check_tells_all_errors_with_their_place(world):
    path = write(world, "bad.conf", 'resource "a" {\n  address = {"h"}\n  kindd = ssh\n}\nrule "r" { users = {"u"} resources = {"aa"} }\n')
    done = subprocess.run([world.program("sallyport-admin"), "--socket", world.admin_socket, "policy", "check", path],
                          text=True, capture_output=True, check=False)
    assert done.returncode == 1
    assert f"{path}:2:14: " in done.stderr and f"{path}:3:3: " in done.stderr and f"{path}:5:39: " in done.stderr
    assert 'did you mean "kind"' in done.stderr and 'did you mean "a"' in done.stderr
    lines = done.stderr.splitlines()
    at = next(i for i, line in enumerate(lines) if ":3:3:" in line)
    assert lines[at + 1] == "      kindd = ssh" and lines[at + 2] == "      ^"


def test_check_warns_of_what_has_no_effect(world):
    path = write(world, "odd.conf", 'resource "a" { address = {"no-such-host.invalid:1"} }\nresource "b" { address = {"127.0.0.1:1"} }\n'
                 'rule "no" { users = {"*"} resources = {"a"} deny = true }\nrule "r" { users = {"u"} resources = {"a"} }\n')
    done = subprocess.run([world.program("sallyport-admin"), "--socket", world.admin_socket, "policy", "check", path],
                          text=True, capture_output=True, check=False)
    assert done.returncode == 0 and "2 resources" in done.stdout
    for part in ('no rule mentions resource "b"', 'rule "r" can never match', '"no-such-host.invalid" of resource "a" does not resolve'):
        assert part in done.stderr


def check(world, *files):
    return subprocess.run([world.program("sallyport-admin"), "--socket", world.admin_socket, "policy", "check", *files],
                          text=True, capture_output=True, check=False)


def test_check_without_a_file_reads_what_a_reload_would(new_world):
    world = new_world()
    folder = world.path("etc", "policy.d")
    folder.mkdir(exist_ok=True)
    assert "4 resources" in check(world).stdout
    (folder / "more.conf").write_text('resource "more" { address = {"127.0.0.1:1"} }\n')
    done = check(world)
    assert done.returncode == 0 and "5 resources" in done.stdout and 'no rule mentions resource "more"' in done.stderr
    assert json.loads(world.admin("status", "--json"))["resources"] == 4, "nothing is in force before a reload"
    (folder / "more.conf").write_text('resource "more" { addres = {"127.0.0.1:1"} }\n')
    done = check(world)
    assert done.returncode == 1 and f"{folder}/more.conf:1:19: " in done.stderr and 'did you mean "address"' in done.stderr
    (folder / "more.conf").unlink()
    world.policy.rename(f"{world.policy}.away")
    done = check(world)
    assert done.returncode == 1 and str(world.policy) in done.stderr


def test_check_holds_the_expectations_beside_the_policy(new_world):
    world = new_world()
    folder = world.path("etc", "policy.d")
    folder.mkdir(exist_ok=True)
    (folder / "a.expect").write_text(f"alice on alice-laptop may reach echo:{world.echo}\n")
    (folder / "b.expect").write_text(f"nobody may reach vault:{world.denied}\n")
    assert check(world).stdout.count("1 expectations, 0 not met") == 2
    new = write(world, "new.conf", world.policy.read_text() + 'rule "too much" { users = {"bob"} resources = {"vault"} }\n')
    done = check(world, new)
    assert done.returncode == 1 and f"{folder}/b.expect:1: " in done.stderr and 'bob on bob-laptop reaches it (rule "too much")' in done.stderr
    answer = json.loads(subprocess.run([world.program("sallyport-admin"), "--socket", world.admin_socket, "--json", "policy", "check", new],
                                       text=True, capture_output=True, check=False).stdout)
    assert answer["good"] is True and [test["good"] for test in answer["tests"]] == [True, False]


def test_check_warns_of_words_that_mean_nothing_here(new_world):
    world = new_world()
    world.admin("device", "tag", "alice-laptop", "managed")
    new = write(world, "new.conf", world.policy.read_text() + """
        calendar "never" { zone = UTC holidays = {"@days"} }
        list "days" { members = {%s} }
        rule "words" { users = {"alise", "root"} groups = {"rood", "daemon"} devices = {"alice-laptob", "bob-laptop"}
                       device_tags = {"manged"} realms = {"defualt"} resources = {"vault"} }
        rule "hours" { users = {"bob"} resources = {"vault"} calendar = never }
        """ % ", ".join(f'"{month:02}-{day:02}"' for month in range(1, 13) for day in range(1, 32)))
    done = check(world, new)
    assert done.returncode == 0, done.stderr
    for part in ('no user "alise"; did you mean "alice"?', 'no group "rood"', 'no device "alice-laptob"; did you mean "alice-laptop"?',
                 'no device with the tag "manged"; did you mean "managed"?', 'no realm "defualt"; did you mean "default"?',
                 'rule "words" can never match: there is none of its realms', 'rule "hours" can never match: its hours do not come'):
        assert part in done.stderr, (part, done.stderr)
    for word in ('"root"', '"daemon"', '"bob-laptop";', 'user "alice"'):
        assert f"there is no {word}" not in done.stderr and f"no user {word}" not in done.stderr


def test_check_counts_what_it_does_not_show(world):
    new = write(world, "many.conf", "".join(f'resource "s{number}" {{ address = {{"127.0.0.1:1"}} }}\n' for number in range(100)))
    done = check(world, new)
    assert done.stderr.count("no rule mentions") == 64 and "and 36 more warnings" in done.stderr
    new.write_text("".join(f'resource "s{number}" {{ }}\n' for number in range(100)))
    done = check(world, new)
    assert done.stderr.count("has no address") == 32 and "and 68 more errors" in done.stderr


def test_explain_names_the_fact_and_what_is_needed(new_world):
    world = new_world()
    world.policy.write_text(rules(world, 'rule "office" { users = {"alice"} resources = {"echo"} hours = "Mon-Fri 09:00-17:00" '
                                  'from = {"10.0.0.0/8"} }'))
    apply(world)
    ask = ["policy", "explain", "--user", "alice", "--device", "alice-laptop", "--to", f"127.0.0.1:{world.echo}"]
    assert "(from); needed: 10.0.0.0/8" in world.admin(*ask)
    assert "outside its hours" in world.admin(*ask, "--from", "10.1.1.1", "--at", "2026-11-22T10:00")
    assert 'allowed by rule "office"' in world.admin(*ask, "--from", "10.1.1.1", "--at", "2026-11-24T10:00")


def test_a_rule_asks_for_the_kind_of_the_laptops_key(new_world):
    world = new_world()
    token = login(world, "alice-laptop")
    before = rules(world, 'rule "keys" { users = {"alice"} resources = {"echo"} key_kind = "KIND" }')
    for kind, expected in (("EC", 200), ("RSA", 403), ("EC P-256", 200), ("ed25519", 403)):
        world.policy.write_text(before.replace("KIND", kind))
        apply(world)
        assert clients.Http2(world).connect(f"127.0.0.1:{world.echo}", token)[1] == expected, kind


def test_expectations_beside_the_policy(world):
    good = write(world, "good.expect", f"# what must hold\nalice on alice-laptop may reach 127.0.0.1:{world.echo} at Tue 10:00\n"
                 f"bob on bob-laptop may not reach 127.0.0.1:{world.echo}\nnobody may reach 127.0.0.1:{world.denied}\n")
    assert "3 expectations, 0 not met" in world.admin("policy", "test", good)
    bad = write(world, "bad.expect", f"nobody may reach 127.0.0.1:{world.web}\nalice on bob-laptop may reach 127.0.0.1:{world.web}\n")
    done = subprocess.run([world.program("sallyport-admin"), "--socket", world.admin_socket, "policy", "test", bad],
                          text=True, capture_output=True, check=False)
    assert done.returncode == 1 and f"{bad}:1:" in done.stderr and f"{bad}:2:" in done.stderr and "not bound" in done.stderr
    with pytest.raises(WorldError):
        world.admin("policy", "check", "--tests", bad, world.policy)


def test_diff_says_who_gains_and_who_loses(world):
    new = write(world, "new.conf", rules(world, 'rule "bob instead" { users = {"bob"} resources = {"echo"} }'))
    changes = {(row["change"], row["user"], row["target"]) for row in
               json.loads(world.admin("policy", "diff", new, "--json"))["differences"]}
    assert changes == {("loses", "alice", f"127.0.0.1:{world.echo}"), ("loses", "alice", f"127.0.0.1:{world.ssh}"),
                       ("gains", "bob", f"127.0.0.1:{world.echo}")}


def test_a_shadow_policy_tells_and_changes_nothing(new_world):
    world = new_world()
    new = write(world, "new.conf", rules(world, 'rule "less" { users = {"alice"} resources = {"ssh"} }'))
    world.admin("policy", "shadow", new)
    h2 = clients.Http2(world)
    number, status = h2.connect(f"127.0.0.1:{world.echo}", login(world, "alice-laptop"))
    assert status == 200 and echoes(h2, number)
    report = json.loads(world.admin("policy", "shadow", "report", "--json"))
    assert [(row["user"], row["target"], row["in_force"], row["shadow"]) for row in report["differences"]] == \
        [("alice", f"127.0.0.1:{world.echo}", "allowed", "refused")]
    world.admin("policy", "shadow", "end")
    assert json.loads(world.admin("policy", "shadow", "report", "--json"))["running"] is False


@pytest.mark.parametrize("kill", [False, True])
def test_the_report_of_a_shadow_policy_outlives_the_gateway(new_world, kill):
    world = new_world()
    new = write(world, "new.conf", rules(world, 'rule "less" { users = {"alice"} resources = {"ssh"} }'))
    world.admin("policy", "shadow", new)
    token = login(world, "alice-laptop")
    # What is open is judged anew every minute, and counted again: so nothing stays open.
    with clients.Http2(world) as h2:
        assert [h2.connect(f"127.0.0.1:{world.echo}", token)[1] for _ in range(3)] == [200] * 3
    before = json.loads(world.admin("policy", "shadow", "report", "--json"))
    assert before["running"] and before["differences"][0]["count"] == 3
    if kill:
        time.sleep(6)  # what was found in the last seconds may be lost
        world.processes["gateway"].kill()
    world.stop_process("gateway")
    world.start_gateway()
    after = json.loads(world.admin("policy", "shadow", "report", "--json"))
    assert after == {**before, "running": False}
    world.admin("policy", "shadow", "end")
    world.stop_process("gateway")
    world.start_gateway()
    assert json.loads(world.admin("policy", "shadow", "report", "--json"))["differences"] == []


def test_C1_apply_closes_counts_and_names(new_world):
    world = new_world()
    token = login(world, "alice-laptop")
    h2 = clients.Http2(world)
    lost = [h2.connect(f"127.0.0.1:{world.echo}", token)[0] for _ in range(3)]
    kept, status = h2.connect(f"127.0.0.1:{world.web}", token)
    assert status == 200
    world.policy.write_text(rules(world, 'rule "less" { users = {"alice"} resources = {"ssh"} }'))
    answer = apply(world)
    assert (answer["tunnels_judged"], answer["tunnels_closed"]) == (4, 3)
    assert all("alice on alice-laptop" in line and f":{world.echo}" in line for line in answer["closed"]) and len(answer["closed"]) == 3
    assert h2.wait(lambda: all(h2.streams[n].ended for n in lost)) and not h2.streams[kept].ended


def test_B1_apply_of_a_bad_policy_says_why_and_changes_nothing(new_world):
    world = new_world()
    world.policy.write_text(world.policy.read_text() + 'rule "x" { }\n')
    with pytest.raises(WorldError, match="names no users"):
        world.admin("policy", "apply")
    assert json.loads(world.admin("status", "--json"))["resources"] == 4


def test_C1_what_a_rule_limits_ends_while_tunnels_are_open(new_world):
    """Fresh login, lease and idle limit: each tunnel ends when its own time is over, and only then."""
    world = new_world()
    world.policy.write_text(rules(world, 'rule "fresh" { users = {"alice"} resources = {"ssh"} fresh_login = "4s" }\n'
                                  'rule "idle" { users = {"alice"} resources = {"echo"} idle_timeout = "2s" }\n'
                                  'rule "short" { users = {"alice"} resources = {"vault"} max_lease = "3s" }'))
    apply(world)
    token = login(world, "alice-laptop")
    h2 = clients.Http2(world)
    opened = {}
    for port in (world.ssh, world.echo, world.echo, world.denied, world.web):
        number, status = h2.connect(f"127.0.0.1:{port}", token)
        assert status == 200
        opened.setdefault(port, []).append(number)
    idle, busy = opened[world.echo]
    ended = lambda number: h2.streams[number].ended
    deadline = time.monotonic() + 20
    while not (ended(idle) and ended(opened[world.ssh][0]) and ended(opened[world.denied][0])):
        assert time.monotonic() < deadline, "a limit did not end its tunnel"
        assert echoes(h2, busy, b"x")
        h2.wait(lambda: False, 0.3)
    assert not ended(busy) and not ended(opened[world.web][0])
    events = json.loads(world.admin("audit", "--json"))["audit"]
    codes = {row["code"] for row in events if row["event"] == "tunnel_judged"}
    assert codes == {"fresh_login_required", "idle", "lease_expired"}


def test_C1_step_up_on_the_same_connection(new_world):
    world = new_world()
    world.policy.write_text(rules(world, 'rule "fresh" { users = {"alice"} resources = {"echo"} fresh_login = "3s" }'))
    apply(world)
    token = login(world, "alice-laptop")
    h2 = clients.Http2(world)
    other, status = h2.connect(f"127.0.0.1:{world.web}", token)
    assert status == 200
    time.sleep(3.5)
    number, status = h2.connect(f"127.0.0.1:{world.echo}", token)
    assert status == 403 and h2.streams[number].problem["code"] == "fresh_login_required"
    assert h2.streams[number].problem["login"] == "/v1/login" and "from the last 3s" in h2.streams[number].problem["detail"]
    listed = {row["name"]: row for row in api.call(world, "GET", "/v1/resources", token=token).body["resources"]}
    assert set(listed) == {"wiki", "echo"} and listed["echo"]["allowed"] is False and "login from the last 3s" in listed["echo"]["missing"]
    assert listed["echo"]["code"] == "fresh_login_required" and "code" not in listed["wiki"]
    login(world, "alice-laptop")
    number, status = h2.connect(f"127.0.0.1:{world.echo}", token)
    assert status == 200 and echoes(h2, number) and not h2.streams[other].ended


def post(h2, path, body):
    """One request of the API beside the tunnels."""
    number = h2.request([(":method", "POST"), (":scheme", "https"), (":path", path), (":authority", "localhost"),
                         ("content-type", "application/json")], end=False)
    h2.send(number, json.dumps(body).encode(), end=True)
    assert h2.wait(lambda: h2.streams[number].ended)
    return h2.streams[number].problem


def test_C1_step_up_while_other_tunnels_of_the_connection_carry_bytes(new_world):
    """The new conversation runs on the very connection; not a byte of the transfer beside it is lost or waits for it."""
    world = new_world()
    world.policy.write_text(rules(world, 'rule "fresh" { users = {"alice"} resources = {"echo"} fresh_login = "2s" }\n'
                                  'rule "steady" { users = {"alice"} resources = {"vault"} }'))
    apply(world)
    token = login(world, "alice-laptop")
    h2 = clients.Http2(world, window=1 << 22)
    steady, status = h2.connect(f"127.0.0.1:{world.denied}", token)
    assert status == 200
    sent, stages = hashlib.sha256(), 0

    def move():
        """So many bytes go, and come back, between two steps."""
        nonlocal stages
        piece = os.urandom(512 << 10)
        h2.send(steady, piece)
        sent.update(piece)
        stages += 1
        assert h2.wait(lambda: len(h2.streams[steady].data) >= (stages << 19) - (256 << 10)), "the transfer stands still"
    time.sleep(2.2)
    move()
    number, status = h2.connect(f"127.0.0.1:{world.echo}", token)
    assert status == 403 and h2.streams[number].problem["code"] == "fresh_login_required"
    login_at = h2.streams[number].problem["login"]
    move()
    person, answer = world.users["alice"], post(h2, login_at, {"user": "alice"})
    for secret in (person.password, person.code()):
        move()
        while answer["state"] == "info":
            answer = post(h2, f"{login_at}/{answer['conversation']}", {"answers": []})
        answer = post(h2, f"{login_at}/{answer['conversation']}", {"answers": [secret]})
    while answer["state"] == "info":
        answer = post(h2, f"{login_at}/{answer['conversation']}", {"answers": []})
    assert answer["state"] == "granted"
    # The token that was refused before passes now, on the same connection.
    number, status = h2.connect(f"127.0.0.1:{world.echo}", token)
    assert status == 200 and echoes(h2, number)
    move()
    assert h2.wait(lambda: len(h2.streams[steady].data) == stages << 19)
    assert hashlib.sha256(h2.streams[steady].data).digest() == sent.digest()


def test_C1_too_many_tunnels_by_one_rule(new_world):
    world = new_world()
    world.policy.write_text(rules(world, 'rule "two" { users = {"alice"} resources = {"echo"} max_tunnels = 2 }'))
    apply(world)
    token = login(world, "alice-laptop")
    h2 = clients.Http2(world)
    numbers = [h2.connect(f"127.0.0.1:{world.echo}", token) for _ in range(3)]
    assert [status for _, status in numbers] == [200, 200, 403]
    assert h2.streams[numbers[2][0]].problem["code"] == "too_many"


def test_C1_two_thousand_tunnels_are_judged_within_a_second(release, new_world):
    world = new_world(programs=release, settings=['tunnels_per_session = 3000', 'streams_per_connection = 3000'])
    token = login(world, "alice-laptop")
    h2 = clients.Http2(world)
    kept = [h2.connect(f"127.0.0.1:{world.web}", token)[0]]
    lost = []
    for _ in range(20):
        batch = [h2.start_connect(f"127.0.0.1:{world.echo}", token) for _ in range(100)]
        assert h2.wait(lambda: all(h2.streams[n].status for n in batch), 60)
        lost += batch
    assert all(h2.streams[n].status == 200 for n in lost)
    world.policy.write_text(rules(world, 'rule "less" { users = {"alice"} resources = {"ssh"} }'))
    answer = apply(world)
    assert (answer["tunnels_judged"], answer["tunnels_closed"]) == (2001, 2000)
    assert h2.wait(lambda: all(h2.streams[n].ended for n in lost), 30)
    assert not h2.streams[kept[0]].ended and not h2.closed
    # By the gateway's own clock: from the new policy's row to the last row that closes a tunnel.
    events = json.loads(world.admin("audit", "--json"))["audit"]
    began = max(row["sequence"] for row in events if row["event"] == "reload")
    with sqlite3.connect(f"file:{world.database}?mode=ro", uri=True) as database:
        at = database.execute("SELECT at FROM audit WHERE sequence = ?", (began,)).fetchone()[0]
        last = database.execute("SELECT max(closed_at) FROM tunnel").fetchone()[0]
    assert last - at <= 1000, f"{last - at} ms"


def test_the_name_of_a_resource_is_a_target(world):
    token = login(world, "alice-laptop")
    h2 = clients.Http2(world)
    number, status = h2.connect(f"echo:{world.echo}", token)
    assert status == 200 and echoes(h2, number)
    assert h2.connect(f"vault:{world.denied}", token)[1] == 403
    assert h2.connect(f"echo:{world.web}", token)[1] == 403, "another port than the resource's is another target"
    assert "alice administers" in world.admin("policy", "explain", "--user", "alice", "--device", "alice-laptop",
                                              "--to", f"echo:{world.echo}")
    with sqlite3.connect(f"file:{world.database}?mode=ro", uri=True) as database:
        row = database.execute("SELECT requested_host, resource FROM tunnel ORDER BY id DESC LIMIT 1").fetchone()
    assert row == ("127.0.0.1", "echo")
