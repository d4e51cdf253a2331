"""Being told: alerts by mail, webhook and log; a spool that loses nothing; and what attackers do, end to end."""
import concurrent.futures
import contextlib
import datetime
import hashlib
import hmac
import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import time

import api
import clients
import proxy_protocol
import pytest
from elsewhere import Hook, Log, Mailbox, certificate
from records import rows
from test_renewal import keep_copy, new_laptop, sallyport, use
from world import WorldError, wait_until


@pytest.fixture
def mailbox(scratch):
    box = Mailbox(scratch).start()
    yield box
    box.stop()


@pytest.fixture
def hook():
    hook = Hook()
    yield hook
    hook.close()


def codes(world, event):
    return [code for (code,) in rows(world, "SELECT code FROM audit WHERE event = ? ORDER BY sequence", event)]


def spool(world):
    return json.loads(world.admin("alert", "spool", "--json"))["spool"]


def webhook(hook, name="hook", events=("all",), **more):
    lines = {"to": hook.url, "at_most": "1000/1s", **more}
    return (f'alert "{name}" {{ events = {{{", ".join(chr(34) + e + chr(34) for e in events)}}} '
            + "  ".join(f'{key} = "{value}"' for key, value in lines.items()) + " }")


def configure(world, *lines):
    with world.conf.open("a") as conf:
        conf.write("\n".join(lines) + "\n")
    world.admin("reload")


def fail(world, user="alice", laptop="alice-laptop", extra=()):
    first = api.call(world, "POST", "/v1/login", {"user": user}, laptop, extra=extra)
    if first.status != 200:
        return first
    return api.call(world, "POST", f"/v1/login/{first.body['conversation']}", {"answers": ["wrong"]}, laptop, extra=extra)


def in_record(world, mail_text, sequence):
    """The record that a mail names is there and says the same."""
    ((detail,),) = rows(world, "SELECT detail FROM audit WHERE sequence = ?", sequence)
    return detail in mail_text


# ---- what attackers do ---------------------------------------------------------------------------------------


def test_a_stolen_laptop(new_world, mailbox):
    """Reported, revoked, and then used: the thief's knock is in the mailbox and in the record."""
    world = new_world(settings=[mailbox.section(["barred-device"])])
    world.admin("device", "revoke", "bob-laptop")
    assert api.call(world, "GET", "/v1/session", laptop="bob-laptop").status == 0
    mail = mailbox.wait_for("barred-device")
    assert mail.over_tls and "bob-laptop" in mail["Subject"] and "127.0.0.1" in mail.get_content()
    assert mail["To"] == "security@corp.example, second@corp.example" and len(mail.envelope.rcpt_tos) == 2
    ((sequence,),) = rows(world, "SELECT sequence FROM audit WHERE event = 'door_one' AND code = 'device_revoked'")
    assert f"record: {sequence} " in mail.get_content()


def test_a_stolen_password(new_world, mailbox):
    """Alice's password and code, typed on bob's laptop."""
    world = new_world(settings=[mailbox.section(["all"])])
    refused = api.login(world, "alice", laptop="bob-laptop")
    assert (refused.status, refused.body["code"]) == (403, "not_bound")
    mail = mailbox.wait_for("wrong-device")
    assert "alice on bob-laptop" in mailbox.text() and "not bound" in mail.get_content()
    assert codes(world, "login") == ["not_bound"]


def guess(world, number, address):
    """One try from one address: most are strangers, every fourth is the stolen laptop, with the name of one of forty people."""
    if number % 4:
        with contextlib.suppress(OSError), proxy_protocol.connect(world, proxy_protocol.line(address), laptop=None) as peer:
            while peer.recv(4096):
                pass
    else:
        status, _ = proxy_protocol.log_in(world, proxy_protocol.line(address), f"person-{number % 160}", "bob-laptop", ["Winter2026!", "123456"])
        assert status in (401, 429), status


def test_brute_force_from_a_whole_network(new_world, mailbox):
    """By a load balancer: no address and no user stands out, but the sum does. It is told once, with the network that it comes
    from, and at its end with what it was; who comes from elsewhere is served meanwhile."""
    world = new_world(settings=[*proxy_protocol.TRUST, mailbox.section(["many-refusals"]), 'alert_refusals_time = "20s"'])
    addresses = random.sample([f"198.18.{i}.{j}" for i in range(256) for j in range(1, 255)], 300)
    alice = world.users["alice"]
    with concurrent.futures.ThreadPoolExecutor(8) as attackers:
        tries = [attackers.submit(guess, world, number, address) for number, address in enumerate(addresses)]
        wait_until(lambda: sum(one.done() for one in tries) > 60, "the attack", 60)
        status, body = proxy_protocol.log_in(world, proxy_protocol.line("203.0.113.9"), "alice", "alice-laptop", [alice.password, alice.code()])
        assert (status, body.get("state")) == (200, "granted"), body
        assert not all(one.done() for one in tries), "that was no storm"
        for one in tries:
            one.result()
    assert len(rows(world, "SELECT DISTINCT address FROM audit WHERE event <> 'alarm' AND address LIKE '198.18.%' AND code <> ''")) == 300
    # One may be of somebody else, who came in vain as well.
    first = mailbox.wait_for("the last one").get_content()
    assert re.search(r"30 refusals within 20s, from 30 addresses(, 29 of 30 of them from| of) 198\.18\.0\.0/16", first), first
    mail = mailbox.wait_for(" refusals since 20", 40).get_content()
    assert re.search(r" addresses(, \d+ of \d+ of them from| of) 198\.18\.0\.0/16, naming 40 users", mail), mail
    assert "from: 198.18.0.0/16" in mail
    assert codes(world, "alarm").count("many_refusals") == 1 and codes(world, "alarm").count("many_refusals_sum") <= 3
    assert mailbox.text().count("within 20s") == 1 and len(mailbox.messages) < 10, "told, and not once for each"
    counted = [int(detail.split()[0]) for (detail,) in rows(world, "SELECT detail FROM audit WHERE code = 'many_refusals_sum'")]
    ((refused,),) = rows(world, "SELECT count(*) FROM audit WHERE event IN ('door_one', 'login') AND code <> ''")
    assert refused - 30 < sum(counted) <= refused


def test_a_copied_key(new_world, mailbox):
    world = new_world(settings=["renew_overlap = 0s", mailbox.section(["copied-key", "wrong-device"], quiet_hours="00:00-24:00")])
    assert api.login(world, "alice", laptop="bob-laptop").status == 403
    folder = new_laptop(world, "copied")
    copy = keep_copy(world, "copied")
    assert sallyport(world, folder, "renew").returncode == 0
    assert sallyport(world, folder, "status").returncode == 4
    use(world, copy)
    mail = mailbox.wait_for("somebody has a copy")
    assert mail["Subject"].endswith("copied-key: copied"), "urgent: also in quiet hours"
    ((sequence,),) = rows(world, "SELECT sequence FROM audit WHERE event = 'alarm' AND code = 'copied_key'")
    assert f"record: {sequence} " in mail.get_content() and in_record(world, mail.get_content(), sequence)
    assert [s["event"] for s in spool(world)] == ["wrong-device"] and "wrong-device" not in mailbox.text(), "this waits for the morning"


def test_an_insider_at_odd_hours(new_world, mailbox):
    """Everything is in order but the hour; and the network is another one than usual."""
    now = datetime.datetime.now()
    hours = [(now + datetime.timedelta(hours=hour)).strftime("%H:%M") for hour in (2, 4)]
    world = new_world(settings=[mailbox.section(["odd-hours", "new-network", "first-login"], work_hours="-".join(hours))])
    assert api.login(world).status == 200
    mailbox.wait_for("odd-hours")
    mail = mailbox.wait_for("the first login of alice on alice-laptop")
    assert f"outside of {'-'.join(hours)}" in mailbox.text()
    assert "new-network" not in mailbox.text(), "the first network is no news"
    assert api.login(world, code=world.users["alice"].code(), extra=["--interface", "127.0.77.5"]).status in (200, 401)
    world.forget_codes()
    assert api.login(world, extra=["--interface", "127.0.77.5"]).status == 200
    mailbox.wait_for("127.0.77.0/24 for the first time")
    assert mailbox.text().count("the first login of") == 1
    assert codes(world, "login").count("") >= 2 and mail


# ---- the spool -----------------------------------------------------------------------------------------------


def test_nothing_is_lost_and_nothing_blocks_while_the_mail_server_is_away(new_world, mailbox):
    mailbox.stop()
    world = new_world(settings=[mailbox.section(["barred-device", "wrong-device", "first-login"])])
    world.admin("device", "lock", "bob-laptop")
    for _ in range(3):
        api.call(world, "GET", "/v1/session", laptop="bob-laptop")
    assert api.login(world).status == 200, "nobody waits for the mail"
    wait_until(lambda: len(spool(world)) == 4 and spool(world)[0]["attempts"] >= 1, "a try that fails")
    assert "mail server" in spool(world)[0]["trouble"]
    (listed,) = json.loads(world.admin("alert", "list", "--json"))["alerts"]
    assert listed["waiting"] == 4 and listed["trouble"]
    assert json.loads(world.admin("status", "--json"))["alerts_failing"] == ["mail"]
    with pytest.raises(WorldError) as why:
        world.admin("alert", "test", "mail")
    assert "mail server" in str(why.value)
    world.gateway.kill()
    world.gateway.wait()
    mailbox.start()
    world.start_gateway()
    mail = mailbox.wait_for("4 alerts: barred-device, first-login")
    assert [line.split()[1] for line in mail.get_content().splitlines() if line[:2] == "20"] == 3 * ["barred-device"] + ["first-login"]
    wait_until(lambda: spool(world) == [], "an empty spool")
    assert world.admin("alert", "test", "mail") == 'a test message of "mail" was delivered\n'
    assert "sent by root" in mailbox.text() and len(mailbox.messages) == 2
    assert json.loads(world.admin("status", "--json"))["alerts_failing"] == []


def test_a_flood_is_counted_and_not_sent_one_by_one(new_world, mailbox):
    mailbox.stop()
    world = new_world(settings=[mailbox.section(["barred-device"])])
    world.admin("device", "lock", "bob-laptop")
    for _ in range(14):
        api.call(world, "GET", "/v1/session", laptop="bob-laptop")
    wait_until(lambda: [s["repeats"] for s in spool(world)] == 9 * [0] + [4], f"ten rows; {spool(world)}")
    assert codes(world, "door_one").count("device_locked") == 14
    mailbox.start()
    world.admin("reload")
    assert "10 alerts: barred-device" in mailbox.wait_for("[and 4 more like it]")["Subject"]
    wait_until(lambda: spool(world) == [], "an empty spool")


def test_a_poison_message_is_set_aside_and_the_others_arrive(new_world, mailbox):
    mailbox.refuse = "wrong-device"
    mailbox.stop()
    world = new_world(settings=[mailbox.section(["barred-device", "wrong-device"])])
    world.admin("device", "lock", "bob-laptop")
    api.call(world, "GET", "/v1/session", laptop="bob-laptop")
    world.admin("device", "unlock", "bob-laptop")
    assert api.login(world, "alice", laptop="bob-laptop").status == 403
    world.admin("device", "lock", "bob-laptop")
    api.call(world, "GET", "/v1/session", laptop="bob-laptop")
    wait_until(lambda: len(spool(world)) == 3, "three in the spool")
    mailbox.start()
    world.admin("reload")
    wait_until(lambda: [s["state"] for s in spool(world)] == ["aside"], f"one set aside; {spool(world)}", 20)
    (aside,) = spool(world)
    assert aside["event"] == "wrong-device" and "refuses" in aside["trouble"]
    assert mailbox.text().count("device_locked") == 2
    mailbox.refuse = None
    world.admin("alert", "retry", str(aside["id"]))
    mailbox.wait_for("wrong-device")
    with pytest.raises(WorldError) as why:
        world.admin("alert", "drop", str(aside["id"]))
    assert "no message" in str(why.value)
    assert "spool_retried" in world.admin("audit")


@pytest.mark.parametrize("wrong", ["password", "certificate", "starttls"])
def test_the_password_goes_to_nobody_else(new_world, mailbox, wrong):
    section = mailbox.section(["all"], **({"authority": ""} if wrong == "certificate" else {}))
    if wrong == "password":
        mailbox.password = "another"
    if wrong == "starttls":
        mailbox.stop()
        mailbox.start(tls=False)
    world = new_world(settings=[section])
    with pytest.raises(WorldError) as why:
        world.admin("alert", "test", "mail")
    assert {"password": "denied", "certificate": "ertificate", "starttls": "STARTTLS"}[wrong] in str(why.value)
    assert mailbox.messages == [] and (wrong == "password" or mailbox.tried == [])
    assert mailbox.password not in subprocess.run(["ps", "axww"], text=True, capture_output=True, check=True).stdout


def test_a_mail_server_of_this_machine_may_do_without_tls(new_world, mailbox):
    mailbox.stop()
    mailbox.start(tls=False)
    world = new_world(settings=[mailbox.section(["all"], tls="never", user="", secret_file="", authority="")])
    assert world.admin("alert", "test", "mail")
    (mail,) = mailbox.messages
    assert not mail.over_tls and "a test, sent by root" in mail.get_content()


# ---- webhooks ------------------------------------------------------------------------------------------------


def test_a_webhook_is_signed_and_has_the_shape_that_was_asked_for(new_world, hook, scratch):
    secret = scratch / "hook.secret"
    secret.write_text("key of the hook\n")
    secret.chmod(0o600)
    shapes = [webhook(hook, "generic", secret_file=secret), webhook(hook, "slack", shape="slack"),
              webhook(hook, "pager", shape="pagerduty", secret_file=secret)]
    world = new_world(settings=shapes)
    refused = api.login(world, "alice", laptop="bob-laptop")
    assert refused.status == 403
    wait_until(lambda: len(hook.requests) >= 3, "three messages")
    by_shape = {("pager" if "routing_key" in json.loads(body) else "generic" if "events" in json.loads(body) else "slack"):
                (headers, body) for headers, body in hook.requests}
    headers, body = by_shape["generic"]
    stamp = headers["X-Sallyport-Timestamp"]
    expected = hmac.new(b"key of the hook", stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    assert headers["X-Sallyport-Signature"] == f"sha256={expected}" and abs(int(stamp) - time.time()) < 60
    message = json.loads(body)
    assert message["gateway"] == world.server_name and message["more"] == 0
    (event,) = message["events"]
    assert (event["event"], event["code"], event["user"], event["device"]) == ("wrong-device", "not_bound", "alice", "bob-laptop")
    slack, pager = json.loads(by_shape["slack"][1]), json.loads(by_shape["pager"][1])
    assert list(slack) == ["text"] and "wrong-device" in slack["text"]
    assert pager["routing_key"] == "key of the hook" and pager["payload"]["severity"] == "warning"
    assert pager["event_action"] == "trigger" and "X-Sallyport-Signature" not in by_shape["pager"][0]


def test_a_webhook_must_show_a_certificate_that_is_good(new_world, scratch):
    pair = certificate(scratch)
    hook = Hook(tls=pair)
    try:
        world = new_world(settings=[webhook(hook, "trusted", authority=pair[0]), webhook(hook, "untrusted")])
        with pytest.raises(WorldError) as why:
            world.admin("alert", "test", "untrusted")
        assert "ertificate" in str(why.value) and hook.requests == []
        assert world.admin("alert", "test", "trusted") and len(hook.requests) == 1
    finally:
        hook.close()


def test_a_webhook_that_is_hostile_wins_nothing(new_world, hook):
    world = new_world(settings=[webhook(hook)])
    for mood, word in (("redirect", "redirects are not followed"), (500, "status 500"), (404, "status 404"), ("slow", "status 503")):
        hook.mood = mood
        with pytest.raises(WorldError) as why:
            world.admin("alert", "test", "hook")
        assert word in str(why.value)
    hook.mood = "endless"
    world.admin("alert", "test", "hook")
    assert hook.elsewhere == [] and len(hook.requests) == 1
    hook.mood = lambda body: 422 if any(e["event"] == "barred-device" for e in body["events"]) else "good"
    world.admin("device", "lock", "bob-laptop")
    api.call(world, "GET", "/v1/session", laptop="bob-laptop")
    assert api.login(world).status == 200
    wait_until(lambda: "first-login" in [e["event"] for e in hook.events()], "what is behind the poison")
    wait_until(lambda: [s["state"] for s in spool(world)] == ["aside"], "the poison aside")
    assert api.login(world, "alice", laptop="bob-laptop").status in (0, 403)


def test_what_is_more_than_at_most_comes_together(new_world, hook):
    world = new_world(settings=[webhook(hook, at_most="1/5s")])
    world.admin("device", "lock", "bob-laptop")
    api.call(world, "GET", "/v1/session", laptop="bob-laptop")
    wait_until(lambda: len(hook.events()) == 1, "the first one")
    for _ in range(5):
        api.call(world, "GET", "/v1/session", laptop="bob-laptop")
    wait_until(lambda: len(hook.events()) == 6, "all six", 30)
    assert 2 <= len(hook.bodies()) <= 4
    ids = [event["id"] for event in hook.events()]
    assert ids == sorted(ids)


# ---- logs ----------------------------------------------------------------------------------------------------


def test_logs_by_every_way(new_world, scratch):
    local, journal, udp, tcp = Log("unix", scratch / "log"), Log("unix", scratch / "journal"), Log("udp"), Log("tcp")
    places = {"local": f"syslog:{scratch}/log", "journal": f"journal:{scratch}/journal", "udp": f"syslog+udp://127.0.0.1:{udp.port}",
              "tcp": f"syslog+tcp://localhost:{tcp.port}"}
    world = new_world(settings=[f'alert "{name}" {{ events = {{"all"}} to = "{place}" }}' for name, place in places.items()])
    refused = api.login(world, "alice", laptop="bob-laptop")
    assert refused.status == 403
    for log in (local, udp, tcp):
        line = log.wait_for("wrong-device")
        assert line.startswith("<84>1 20") and f" {world.server_name} sallyport-gateway - wrong-device [sallyport@32473 " in line
        assert 'device="bob-laptop" user="alice"' in line and "good credentials" in line
    fields = dict(line.split("=", 1) for line in journal.wait_for("wrong-device").splitlines())
    assert fields["SALLYPORT_EVENT"] == "wrong-device" and fields["SALLYPORT_USER"] == "alice" and fields["PRIORITY"] == "4"
    for log in (local, journal, udp, tcp):
        log.close()
    os.unlink(scratch / "log")
    with pytest.raises(WorldError) as why:
        world.admin("alert", "test", "local")
    assert "nobody listens at" in str(why.value)


# ---- the gateway itself --------------------------------------------------------------------------------------


def test_rooms_that_die_and_settings_that_change_are_told(new_world, hook):
    world = new_world(settings=[webhook(hook, events=["room-restarted", "gateway-changed"])])
    (courier,) = clients.children(world, "sallyport-courier")
    (signer,) = clients.children(world, "sallyport-signer")
    os.kill(courier, signal.SIGKILL)
    os.kill(signer, signal.SIGSEGV)
    details = lambda: " ".join(event["detail"] for event in hook.events())
    wait_until(lambda: "the courier ended (signal 9)" in details() and "the signer ended (signal" in details(), "both", 20)
    assert clients.children(world, "sallyport-courier") not in ([], [courier])
    with world.policy.open("a") as policy:
        policy.write("# another one\n")
    world.admin("reload")
    wait_until(lambda: "the policy: now SHA-256" in details(), "the new policy")
    world.stop_process("gateway")
    with world.policy.open("a") as policy:
        policy.write("# changed while nobody looked\n")
    world.start_gateway()
    wait_until(lambda: details().count("the policy: now SHA-256") == 2, "the policy that was changed meanwhile")
    assert codes(world, "gateway_changed") == ["", ""]


def test_trouble_with_the_store_is_told_although_it_cannot_be_recorded(new_world, hook):
    world = new_world(settings=[webhook(hook, events=["store-trouble"])])
    details = lambda: " ".join(event["detail"] for event in hook.events())
    database = sqlite3.connect(world.database, isolation_level=None)
    database.execute("BEGIN IMMEDIATE")
    try:
        assert api.call(world, "GET", "/v1/session").status == 0, "no record, no entry"
        wait_until(lambda: "cannot be written, so nobody is let in" in details(), "the word of it")
    finally:
        database.execute("ROLLBACK")
        database.close()
    wait_until(lambda: api.call(world, "GET", "/v1/session").status == 401, "a gateway that serves again")
    wait_until(lambda: "can be written again" in details(), "the end of it")
    assert "store_trouble" in codes(world, "alarm")


def test_the_courier_is_there_only_when_somebody_is_to_be_told(new_world, hook):
    world = new_world()
    assert clients.children(world, "sallyport-courier") == []
    before = world.conf.read_text()
    configure(world, webhook(hook, "late"))
    assert len(clients.children(world, "sallyport-courier")) == 1
    assert world.admin("alert", "test", "late")
    world.conf.write_text(before)
    world.admin("reload")
    assert clients.children(world, "sallyport-courier") == []
    with pytest.raises(WorldError) as why:
        world.admin("alert", "test", "late")
    assert "no alert" in str(why.value)


@pytest.mark.parametrize("line, word", [
    ('alert "x" { events = {"lock-outs"} to = "syslog:" }', 'did you mean "lock-out"'),
    ('alert "x" { events = {"all"} }', "needs to"),
    ('alert "x" { to = "syslog:" }', "needs events"),
    ('alert "x" { events = {"all"} to = "syslog:" at_mst = "1/1h" }', 'did you mean "at_most"'),
    ('alert "x" { events = {"all"} to = "syslog:" at_most = "many" }', "at_most is a number and a time"),
    ('alert "x" { events = {"all"} to = "syslog:" quiet_hours = "night" }', "quiet_hours are two times of day"),
    ('alert "x" { events = {"all"} to = "mailto:a@b" from = "c@d" server = "smtp://x" user = "u" }', "belong together"),
    ('alert "x" { events = {"all"} to = "mailto:a@b\\r\\nBcc: x@y" from = "c@d" server = "smtp://x" }', "mail addresses"),
    ('alert "x" { events = {"all"} to = "https://x/" secret_file = "/etc/hostname" }', "chmod 600"),
    ('alert "x" { events = {"all"} to = "syslog:" }\nalert "x" { events = {"all"} to = "syslog:" }', "duplicate title"),
])
def test_a_wrong_section_is_refused_with_its_line(world, line, word):
    before = world.conf.read_text()
    try:
        with world.conf.open("a") as conf:
            conf.write(line + "\n")
        with pytest.raises(WorldError) as why:
            world.admin("reload")
        assert word in str(why.value), why.value
        if "chmod" not in word:
            assert f"gateway.conf:{before.count(chr(10)) + line.count(chr(10)) + 1}:" in str(why.value)
    finally:
        world.conf.write_text(before)
