"""What a user sees and does of his own: his devices, that one is lost, his second factor; and QR codes as pictures."""
import base64
import concurrent.futures
import contextlib
import json
import re
import subprocess
import time
import xml.etree.ElementTree

import api
import pytest
from curl_browser import CurlBrowser
from elsewhere import Hook
from test_alerts import configure, webhook
from test_factor import add, rows, take_secret, use_module
from test_no_means_no import Session, close_reasons, slowest_end_ms
from world import WorldError, wait_until
from worlds import Worlds


def without_id(answer):
    """A refusal's bytes, but for the one thing that differs each time."""
    return answer.status, answer.text.replace(answer.body["request_id"], "")


def record(world, answer):
    return rows(world, "SELECT event, code, user, device FROM audit WHERE request_id = ? ORDER BY sequence", answer.body["request_id"])


# ---- devices ----


def devices(world, token, laptop="alice-laptop"):
    answer = api.call(world, "GET", "/v1/devices", laptop=laptop, token=token)
    assert answer.status == 200, answer.text
    assert answer.body["self_service"] is True
    return {device["name"]: device for device in answer.body["devices"]}


def test_B3_one_sees_ones_own_devices_and_no_other(new_world):
    world = new_world()
    world.enroll("second", "alice")
    world.enroll("shared", "bob")
    world.admin("device", "bind", "shared", "--user", "alice")
    world.enroll("anyone", "*")
    api.login(world, "alice", "second", extra=["--interface", "127.0.0.7"])
    api.login(world, "alice", "second", extra=["--interface", "127.0.0.8"])
    api.login(world, "alice", "second", extra=["--interface", "127.0.0.7"])
    api.login(world, "bob", "shared", extra=["--interface", "127.0.0.9"])
    world.admin("device", "lock", "shared")
    token = api.login(world).body["session"]
    shown = devices(world, token)
    assert set(shown) == {"alice-laptop", "second", "shared"}
    assert [name for name, device in shown.items() if device["this"]] == ["alice-laptop"]
    second = shown["second"]
    assert [place["address"] for place in second["places"]] == ["127.0.0.7", "127.0.0.8"]
    assert second["places"][0]["last_at"] >= second["places"][1]["last_at"] >= second["enrolled_at"]
    assert second["last_address"] == "127.0.0.7" and second["sessions"] == 3 and second["state"] == "active"
    assert second["expires_at"] > second["last_seen_at"] >= second["places"][0]["last_at"]
    # Of a shared one: not where the others were.
    assert shown["shared"]["places"] == [] and shown["shared"]["sessions"] == 0 and shown["shared"]["state"] == "locked"
    assert shown["shared"]["last_address"] == "127.0.0.9"
    assert set(devices(world, api.login(world, "bob").body["session"], "bob-laptop")) == {"bob-laptop", "shared"}


def test_eight_places_at_most(new_world):
    world = new_world(settings=["sessions_per_user = 4"])
    for last in range(21, 31):
        assert api.login(world, extra=["--interface", f"127.0.0.{last}"]).status == 200
    shown = devices(world, api.login(world, extra=["--interface", "127.0.0.25"]).body["session"])
    assert [place["address"] for place in shown["alice-laptop"]["places"]] == [
        f"127.0.0.{last}" for last in (25, 30, 29, 28, 27, 26, 24, 23)]


OWN = [("GET", "/v1/devices", None), ("POST", "/v1/lost", {"device": "alice-laptop"}), ("GET", "/v1/factor", None),
       ("POST", "/v1/factor", None), ("POST", "/v1/factor/confirm", {"code": "123456"}), ("POST", "/v1/factor/codes", None)]


@pytest.mark.parametrize("method, path, body", OWN)
def test_without_a_session_of_this_device_nothing_is_told(world, method, path, body):
    bobs = api.login(world, "bob").body["session"]
    for token in (None, "0" * 64, bobs):
        refused = api.call(world, method, path, body, token=token)
        assert (refused.status, refused.body["code"]) == (401, "no_session"), refused.text
    assert record(world, refused) == [("self_service", "other_device", "bob", "alice-laptop")]


def test_a_browser_has_it_by_its_cookie_and_no_other_page_by_the_browser(new_world):
    world = new_world()
    world.enroll("laptop2", "alice")
    world.path("etc", "pam.d", "password-only").write_text(
        f"auth required pam_pwdfile.so pwdfile={world.path('pam', 'passwd')}\naccount required pam_permit.so\n")
    configure(world, 'realm "web" { pam_service = "password-only"  browser = true }')
    browser = CurlBrowser(world)
    assert browser.login().status == 200
    assert len(browser.ask("GET", "/v1/devices").body["devices"]) == 2
    evil = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    for path, body in (("/v1/lost", {"device": "laptop2"}), ("/v1/factor", None), ("/v1/factor/codes", None), ("/v1/qr", {"text": "a"})):
        refused = browser.ask("POST", path, body, headers=evil)
        assert (refused.status, refused.body["code"]) == (403, "cross_site"), path
    # The token that the portal shows is for the proxy alone.
    shown = browser.ask("POST", "/v1/session/browser-token").body["token"]
    for method, path, body in OWN:
        assert api.call(world, method, path, body, token=shown).status == 401
    assert rows(world, "SELECT state FROM device WHERE name = 'laptop2'") == [("active",)]
    assert browser.ask("POST", "/v1/lost", {"device": "laptop2"}).body == {"sessions_ended": 0, "tunnels_closed": 0}
    last = browser.ask("POST", "/v1/lost", {"device": "alice-laptop"})
    assert last.status == 200 and last.body == {"sessions_ended": 1, "tunnels_closed": 0}


# ---- lost ----


@pytest.fixture
def hook():
    hook = Hook()
    yield hook
    hook.close()


def test_C1_a_lost_laptop_is_locked_at_once_by_its_user(new_world, hook):
    world = new_world(settings=[webhook(hook, events=["device-lost"])])
    lost = Session(world, "laptop2")
    mine = Session(world, "laptop1", tunnels=1)
    done = api.call(world, "POST", "/v1/lost", {"device": "laptop2"}, "laptop1", mine.token)
    assert done.status == 200 and done.body == {"sessions_ended": 1, "tunnels_closed": 3}
    assert lost.all_ended()
    assert 0 <= slowest_end_ms(world, "device_lost", still_open=1) <= 1000
    assert close_reasons(world) == [("device_locked", 3)]
    # Nothing that the finder holds brings it back.
    assert api.call(world, "GET", "/v1/session", laptop="laptop2", token=lost.token).status == 0
    assert devices(world, mine.token, "laptop1")["laptop2"]["state"] == "locked"
    ((user, device, address, request_id, detail),) = rows(
        world, "SELECT user, device, address, request_id, detail FROM audit WHERE event = 'device_lost'")
    assert (user, device, address) == ("alice", "laptop2", "127.0.0.1")
    assert detail == "declared lost by its user alice, on laptop1, and locked" and re.fullmatch(r"[0-9a-f]{12}-\d+", request_id)
    wait_until(lambda: hook.requests, "the alert")
    (alert,) = [json.loads(body) for _, body in hook.requests]
    assert "device-lost" in str(alert) and "laptop2" in str(alert)
    mine.h2.send(mine.numbers[0], b"alive")
    assert mine.h2.wait(lambda: bytes(mine.h2.streams[mine.numbers[0]].data) == b"alive")
    # It is an administrator's to open it again.
    world.admin("device", "unlock", "laptop2")
    assert api.login(world, "alice", "laptop2").status == 200


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_who_declares_the_very_laptop_lost_that_he_uses_is_answered_first(new_world, version):
    world = new_world()
    session = Session(world, "only")
    done = api.call(world, "POST", "/v1/lost", {"device": "only"}, "only", session.token, extra=[version])
    assert done.status == 200 and done.body == {"sessions_ended": 1, "tunnels_closed": 3}, (done.text, done.error)
    assert session.all_ended()
    wait_until(lambda: rows(world, "SELECT count(*) FROM tunnel WHERE closed_at IS NULL") == [(0,)], "the rows of the ends")
    assert 0 <= slowest_end_ms(world, "device_lost") <= 1000
    assert api.call(world, "GET", "/v1/session", laptop="only", token=session.token).status == 0


def test_the_answer_comes_on_the_connection_whose_tunnels_end(new_world):
    world = new_world()
    session = Session(world, "only")
    body = b'{"device":"only"}'
    number = session.h2.request([(":method", "POST"), (":scheme", "https"), (":authority", "localhost"), (":path", "/v1/lost"),
                                 ("authorization", f"Bearer {session.token}"), ("content-type", "application/json")], end=False)
    session.h2.send(number, body, end=True)
    assert session.h2.wait(lambda: session.h2.closed), "the connection lives on"
    answer = session.h2.streams[number]
    assert answer.status == 200 and json.loads(bytes(answer.data)) == {"sessions_ended": 1, "tunnels_closed": 3}


def test_B3_somebody_elses_laptop_and_one_that_is_not_there_are_told_alike(world):
    token = api.login(world).body["session"]
    if "anyone" not in world.laptops:
        world.enroll("anyone", "*")
    answers = [api.call(world, "POST", "/v1/lost", {"device": name}, token=token) for name in ("bob-laptop", "nowhere", "anyone", "a b")]
    assert len({without_id(answer) for answer in answers}) == 1
    assert (answers[0].status, answers[0].body["code"]) == (404, "not_found")
    details = [detail for (detail,) in rows(world, "SELECT detail FROM audit WHERE event = 'self_service' AND code = 'not_found'")]
    assert details == ["bob-laptop is to be lost: it is not bound to this user by name", "nowhere is to be lost: there is no such device",
                       "anyone is to be lost: it is not bound to this user by name", "a b is to be lost: there is no such device"]
    assert api.login(world, "bob").status == 200
    assert rows(world, "SELECT count(*) FROM audit WHERE event = 'device_lost'") == [(0,)]


@pytest.mark.parametrize("body", [{}, {"device": ""}, {"device": "x" * 65}, {"device": ["bob-laptop"]}, {"device": "a", "user": "bob"}])
def test_a_body_that_names_no_device(world, body):
    token = api.login(world).body["session"]
    refused = api.call(world, "POST", "/v1/lost", body, token=token)
    assert (refused.status, refused.body["code"]) == (400, "bad_request")


def test_lost_once_more_and_a_revoked_one(new_world):
    world = new_world()
    world.enroll("laptop2", "alice")
    token = api.login(world).body["session"]
    for _ in range(2):
        done = api.call(world, "POST", "/v1/lost", {"device": "laptop2"}, token=token)
        assert done.body == {"sessions_ended": 0, "tunnels_closed": 0}
    world.admin("device", "revoke", "laptop2")
    refused = api.call(world, "POST", "/v1/lost", {"device": "laptop2"}, token=token)
    assert (refused.status, refused.body["code"]) == (409, "device_revoked")
    assert rows(world, "SELECT state FROM device WHERE name = 'laptop2'") == [("revoked",)]


def test_any_user_of_a_shared_device_may_declare_it_lost(new_world):
    world = new_world()
    world.enroll("shared", "bob")
    world.admin("device", "bind", "shared", "--user", "alice")
    theirs = api.login(world, "bob", "shared").body["session"]
    done = api.call(world, "POST", "/v1/lost", {"device": "shared"}, token=api.login(world).body["session"])
    assert done.body == {"sessions_ended": 1, "tunnels_closed": 0}
    assert api.call(world, "GET", "/v1/session", laptop="shared", token=theirs).status == 0


def test_an_administrator_may_keep_it_to_himself(new_world):
    world = use_module(new_world(settings=["self_service = no"]))
    world.enroll("laptop2", "alice")
    add(world)
    token = api.login(world).body["session"]
    for path, body in (("/v1/lost", {"device": "laptop2"}), ("/v1/factor", None), ("/v1/factor/confirm", {"code": "123456"}),
                       ("/v1/factor/codes", None)):
        refused = api.call(world, "POST", path, body, token=token)
        assert (refused.status, refused.body["code"]) == (403, "self_service_off")
        assert record(world, refused) == [("self_service", "self_service_off", "alice", "alice-laptop")]
    assert rows(world, "SELECT state FROM device WHERE name = 'laptop2'") == [("active",)]
    # What is his he sees all the same.
    shown = api.call(world, "GET", "/v1/devices", token=token)
    assert len(shown.body["devices"]) == 2 and shown.body["self_service"] is False
    assert api.call(world, "GET", "/v1/factor", token=token).body["self_service"] is False
    configure(world, "self_service = yes")
    assert api.call(world, "POST", "/v1/lost", {"device": "laptop2"}, token=token).status == 200


# ---- by the client ----


def client(world, *words):
    return subprocess.run([world.program("sallyport"), *words], env=world.client_environment(), text=True, capture_output=True, check=False)


@pytest.fixture
def client_world(new_world):
    world = new_world()
    world.enroll("laptop2", "alice")
    logged_in = subprocess.run([world.program("sallyport"), "login", "alice", "--answers-from", "0"], env=world.client_environment(), text=True,
                               input=f"{world.users['alice'].password}\n{world.users['alice'].code()}\n", capture_output=True, check=False)
    assert logged_in.returncode == 0, logged_in.stderr
    yield world
    client(world, "down")


def test_the_client_lists_devices_and_shuts_one_out(client_world):
    world = client_world
    lost = Session(world, "laptop2", tunnels=2)
    listed = client(world, "devices")
    assert listed.returncode == 0, listed.stderr
    title, *lines = listed.stdout.splitlines()
    assert title.split() == ["NAME", "STATE", "LAST", "SEEN", "FROM", "CERTIFICATE", "UNTIL", "SESSIONS"]
    assert sorted(line.split()[0] for line in lines) == ["alice-laptop", "laptop2"]
    assert [line.split()[0] for line in lines if "this one" in line] == ["alice-laptop"]
    assert {device["name"] for device in json.loads(client(world, "devices", "--json").stdout)["devices"]} == {"alice-laptop", "laptop2"}
    done = client(world, "lost", "laptop2")
    assert (done.returncode, done.stdout) == (0, "That device is locked; 2 tunnels were closed. Only your administrator can unlock it.\n")
    assert lost.all_ended()
    assert "laptop2" in [line.split()[0] for line in client(world, "devices").stdout.splitlines() if " locked " in line]
    # What is not his, and what he forgot to say.
    refused = client(world, "lost", "bob-laptop")
    assert refused.returncode == 1 and "You have no device of that name" in refused.stderr
    assert client(world, "lost").returncode == 2
    # The very one: the answer comes, and nothing after it.
    assert client(world, "lost", "alice-laptop").returncode == 0
    assert client(world, "devices").returncode == 5


# ---- the second factor ----


def post(world, path, body=None, token=None):
    return api.call(world, "POST", "/v1/factor" + path, body, token=token)


def new_secret(world, token):
    """Scans the new one; returns it as the app would show it, beside the former one."""
    made = post(world, "", token=token)
    assert made.status == 200, made.text
    assert made.body["uri"] == f"otpauth://totp/localhost:alice?secret={made.body['secret']}&issuer=localhost"
    assert set(made.body) == {"secret", "uri"} and re.fullmatch("[A-Z2-7]{32}", made.body["secret"])
    return made.body["secret"]


class App:
    """Another app of alice's, with the new secret."""

    def __init__(self, world, secret):
        self.person = type(world.users["alice"])("alice")
        self.person.secret, self.person._last_step = base64.b32decode(secret), int(time.time()) // 30 - 1

    def code(self):
        return self.person.code()


@pytest.fixture(scope="module")
def world_with_module(programs):
    worlds = Worlds(programs)
    try:
        yield use_module(worlds(settings=['factor_window = "10"']))
    finally:
        worlds.close()


@pytest.fixture
def factor_world(world_with_module):
    """Nobody has a factor, and nobody has failed."""
    yield world_with_module
    with contextlib.suppress(WorldError):
        world_with_module.admin("account", "factor", "remove", "alice")
    world_with_module.admin("account", "unlock", "alice")


def with_factor(world):
    """alice has a factor, and a session of a login in which it was given; and her recovery codes."""
    _, recovery = add(world)
    return api.login(world).body["session"], recovery


def test_another_factor_takes_the_place_of_the_former_one_when_a_code_has_confirmed_it(factor_world):
    world = factor_world
    token, old_recovery = with_factor(world)
    app = App(world, new_secret(world, token))
    # The browser is closed in the middle: nothing has changed.
    assert api.login(world).status == 200
    assert api.login(world, code=app.code()).status == 401
    wrong = post(world, "/confirm", {"code": world.users["alice"].code()}, token)
    assert (wrong.status, wrong.body["code"]) == (403, "factor_wrong")
    assert [row[:2] for row in record(world, wrong)] == [("factor", "factor_wrong"), ("self_service", "factor_wrong")]
    assert api.login(world, code=old_recovery[0]).status == 200
    code = app.code()
    confirmed = post(world, "/confirm", {"code": code}, token)
    assert confirmed.status == 200, confirmed.text
    recovery = confirmed.body["recovery_codes"]
    assert len(set(recovery)) == 10 and all(re.fullmatch("[a-z2-7]{4}-[a-z2-7]{4}-[a-z2-7]{4}", one) for one in recovery)
    # Of the former one nothing is left, and the code that confirmed was used (A11).
    assert api.login(world).status == 401
    assert api.login(world, code=old_recovery[1]).status == 401
    assert api.login(world, code=code).status == 401
    assert api.login(world, code=app.code()).status == 200
    assert api.login(world, code=recovery[0]).status == 200
    assert api.login(world, code=recovery[0]).status == 401
    assert post(world, "/confirm", {"code": app.code()}, token).body["code"] == "factor_none"
    events = [event for (event,) in rows(world, "SELECT event FROM audit WHERE event LIKE 'factor_%' AND address = '127.0.0.1' "
                                                "ORDER BY sequence DESC LIMIT 2")]
    assert events == ["factor_replaced", "factor_offered"]


def test_A11_of_those_who_confirm_at_the_same_moment_one_is_given_recovery_codes(factor_world):
    world = factor_world
    token, _ = with_factor(world)
    code = App(world, new_secret(world, token)).code()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: post(world, "/confirm", {"code": code}, token), range(4)))
    assert sorted(answer.status for answer in answers) == [200, 409, 409, 409]


def test_how_it_stands(factor_world):
    world = factor_world
    token, recovery = with_factor(world)
    shown = api.call(world, "GET", "/v1/factor", token=token).body
    assert shown["managed"] is True and shown["state"] == "active" and shown["recovery_left"] == 10
    assert shown["used_at"] >= shown["created_at"]
    assert api.login(world, code=recovery[0]).status == 200
    assert api.call(world, "GET", "/v1/factor", token=token).body["recovery_left"] == 9
    # Another one that was begun changes nothing of it.
    new_secret(world, token)
    assert api.call(world, "GET", "/v1/factor", token=token).body["state"] == "active"


def test_new_recovery_codes_in_place_of_the_former_ones(factor_world):
    world = factor_world
    token, old = with_factor(world)
    made = post(world, "/codes", token=token)
    assert made.status == 200 and len(set(made.body["recovery_codes"]) - set(old)) == 10
    assert api.login(world, code=old[0]).status == 401
    assert api.login(world, code=made.body["recovery_codes"][0]).status == 200
    assert api.login(world).status == 200  # the app goes on


def test_a_lost_phone_is_replaced_after_a_login_with_a_recovery_code(factor_world):
    world = factor_world
    _, recovery = add(world)
    token = api.login(world, code=recovery[0]).body["session"]
    app = App(world, new_secret(world, token))
    assert post(world, "/confirm", {"code": app.code()}, token).status == 200
    assert api.login(world, code=app.code()).status == 200


def test_a_stale_login_changes_nothing(new_world):
    world = use_module(new_world(settings=["self_service_fresh_login = 1s", 'factor_window = "10"']))
    token, recovery = with_factor(world)
    time.sleep(1.1)
    for path in ("", "/codes"):
        refused = post(world, path, token=token)
        assert (refused.status, refused.body["code"], refused.body["login"]) == (403, "fresh_login_required", "/v1/login")
        assert record(world, refused) == [("self_service", "fresh_login_required", "alice", "alice-laptop")]
    assert api.login(world, code=recovery[0]).status == 200
    # That login was on this device, too: the older session is fresh again (as for rules).
    assert post(world, "/codes", token=token).status == 200


def test_what_was_not_confirmed_in_time_is_worthless(new_world):
    world = use_module(new_world(settings=["self_service_fresh_login = 1s", 'factor_window = "10"']))
    token, _ = with_factor(world)
    app = App(world, new_secret(world, token))
    time.sleep(1.1)
    refused = post(world, "/confirm", {"code": app.code()}, token)
    assert (refused.status, refused.body["code"]) == (409, "factor_none")
    assert api.login(world).status == 200


def test_a_login_by_a_realm_without_the_factor_does_not_replace_it(new_world):
    """Else whoever has the password alone would get around every realm that wants more."""
    world = use_module(new_world(settings=['factor_window = "10"']))
    world.path("etc", "pam.d", "weak").write_text(f"auth required pam_pwdfile.so pwdfile={world.path('pam', 'passwd')}\n"
                                                  "account required pam_permit.so\n")
    configure(world, 'realm "weak" { pam_service = "weak"  break_glass = true }')
    _, recovery = add(world)

    def enter(realm, *answers):
        answer = api.call(world, "POST", "/v1/login", {"user": "alice", "realm": realm})
        for one in answers:
            answer = api.call(world, "POST", "/v1/login/" + answer.body["conversation"], {"answers": [one]})
        return answer
    password = world.users["alice"].password
    for realm, answers, code in (("weak", [password], "fresh_login_required"), ("default", [password, recovery[0]], None)):
        token = enter(realm, *answers).body["session"]
        for path in ("", "/codes"):
            answer = post(world, path, token=token)
            assert answer.body.get("code") == code, answer.text
    assert enter("default", password, recovery[1]).status == 401
    assert enter("default", password, answer.body["recovery_codes"][0]).status == 200


def test_A10_wrong_confirmations_are_few_and_count_as_failed_logins(new_world):
    world = use_module(new_world(settings=['factor_window = "10"', 'factor_attempts = "3"', "login_failures = 5"]))
    token, _ = with_factor(world)
    app = App(world, new_secret(world, token))
    for _ in range(3):
        assert post(world, "/confirm", {"code": "000000"}, token).body["code"] == "factor_wrong"
    assert rows(world, "SELECT kind, failures FROM login_failure ORDER BY kind") == [("device", 3), ("user", 3)]
    # That one is not taken any more, whatever is guessed; the present one opens, and forgets the failures.
    assert post(world, "/confirm", {"code": app.code()}, token).body["code"] == "factor_none"
    assert rows(world, "SELECT failures FROM factor") == [(0,)]
    assert api.login(world).status == 200
    for round_ in range(2):
        new_secret(world, token)
        for _ in range(3 if round_ == 0 else 2):
            assert post(world, "/confirm", {"code": "0" * 12}, token).body["code"] == "factor_wrong"
    app = App(world, new_secret(world, token))
    refused = post(world, "/confirm", {"code": app.code()}, token)
    assert (refused.status, refused.body["code"]) == (429, "rate_limited")
    assert "lock_out" in [code for (code,) in rows(world, "SELECT code FROM audit WHERE event = 'alarm'")]


def weak_session(world):
    world.path("etc", "pam.d", "sallyport").write_text(
        f"auth required pam_pwdfile.so pwdfile={world.path('pam', 'passwd')}\naccount required pam_permit.so\n")
    return api.converse(world, "alice", [world.users["alice"].password], "alice-laptop").body["session"]


def test_a_first_factor_where_users_may_enrol_themselves(new_world):
    world = new_world(settings=['factor_enroll = "first-login"', 'factor_window = "10"'])
    token = weak_session(world)
    assert api.call(world, "GET", "/v1/factor", token=token).body == {"managed": True, "self_service": True, "state": "none"}
    assert post(world, "/codes", token=token).body["code"] == "factor_none"
    assert post(world, "/confirm", {"code": "123456"}, token).body["code"] == "factor_none"
    new_secret(world, token)
    app = App(world, new_secret(world, token))
    assert api.call(world, "GET", "/v1/factor", token=token).body["state"] == "pending"
    code = app.code()
    assert post(world, "/confirm", {"code": "000000"}, token).body["code"] == "factor_wrong"
    confirmed = post(world, "/confirm", {"code": code}, token)
    assert confirmed.status == 200 and len(confirmed.body["recovery_codes"]) == 10
    use_module(world)
    assert api.login(world, code=code).status == 401
    assert api.login(world, code=app.code()).status == 200


def test_a_first_factor_is_an_administrators_where_he_wants_it(new_world):
    world = new_world()
    refused = post(world, "", token=weak_session(world))
    assert (refused.status, refused.body["code"]) == (403, "factor_by_admin")
    assert rows(world, "SELECT count(*) FROM factor") == [(0,)]


def test_where_the_factor_is_elsewhere(new_world):
    world = new_world()
    world.stop_process("gateway")
    world.path("etc", "factor.key").unlink()
    world.start_gateway()
    token = api.login(world).body["session"]
    assert api.call(world, "GET", "/v1/factor", token=token).body == {"managed": False, "self_service": True, "state": "none"}
    for path, body in (("", None), ("/confirm", {"code": "123456"}), ("/codes", None)):
        refused = post(world, path, body, token)
        assert (refused.status, refused.body["code"]) == (409, "factor_elsewhere")


def test_F1_what_is_shown_once_stands_nowhere(factor_world):
    world = factor_world
    token, _ = with_factor(world)
    secret = new_secret(world, token)
    app = App(world, secret)
    code = app.code()
    recovery = post(world, "/confirm", {"code": code}, token).body["recovery_codes"]
    another = new_secret(world, token)
    shown = [secret, another, base64.b32decode(secret).hex(), base64.b32decode(another).hex(), recovery[0], recovery[0].replace("-", "")]
    for file in [*world.path("state").iterdir(), world.path("log", "gateway.log")]:
        content = file.read_bytes()
        assert not any(one.encode() in content for one in shown), file
    assert code not in str(rows(world, "SELECT detail FROM audit"))


def test_a_gateway_that_was_killed_forgets_no_half_done_replacement(new_world):
    world = use_module(new_world(settings=['factor_window = "10"']))
    token, _ = with_factor(world)
    app = App(world, new_secret(world, token))
    world.gateway.kill()
    world.gateway.wait()
    world.start_gateway()
    assert api.login(world).status == 200
    assert post(world, "/confirm", {"code": app.code()}, token).status == 200
    assert api.login(world, code=app.code()).status == 200


# ---- pictures ----


def picture(world, text):
    command = api.curl_arguments(world, "alice-laptop") + ["-D", "-", "-H", "Content-Type: application/json", "--data-binary",
                                                           json.dumps({"text": text}), world.url + "/v1/qr"]
    head, _, body = subprocess.run(command, text=True, capture_output=True, check=True).stdout.partition("\n\n")
    assert re.match(r"HTTP/\S+ 200", head) and "content-type: image/svg+xml" in head.lower()
    return xml.etree.ElementTree.fromstring(body)


def modules(svg):
    """What is dark, as a matrix."""
    size = int(svg.get("viewBox").split()[-1])
    matrix = [[False] * size for _ in range(size)]
    ground, path = svg
    assert ground.get("fill") == "#fff" and ground.get("width") == str(size)
    for x, y, length in re.findall(r"M(\d+) (\d+)\.5h(\d+)", path.get("d")):
        for i in range(int(length)):
            matrix[int(y)][int(x) + i] = True
    return matrix


@pytest.mark.parametrize("text", ["otpauth://totp/localhost:alice?secret=ABCDEFGHIJKLMNOPQRSTUVWXYZ234567&issuer=localhost", "x" * 1024, "ä"],
                         ids=["uri", "longest", "utf8"])
def test_a_picture_is_what_qrencode_draws(world, text):
    drawn = subprocess.run(["qrencode", "-8", "-l", "M", "-m", "4", "-t", "ASCII", text], text=True, capture_output=True, check=True)
    assert modules(picture(world, text)) == [[row[n] == "#" for n in range(0, len(row), 2)] for row in drawn.stdout.splitlines()]


@pytest.mark.parametrize("body", [{}, {"text": ""}, {"text": "x" * 1025}, {"text": 1}, {"text": "a", "level": "H"}])
def test_a_text_that_is_none(world, body):
    refused = api.call(world, "POST", "/v1/qr", body)
    assert (refused.status, refused.body["code"]) == (400, "bad_request")
