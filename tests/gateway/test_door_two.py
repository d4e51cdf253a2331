"""Door two: which user is this? The login API in front of a real PAM stack, and the binding to the device."""
import concurrent.futures
import subprocess

import api
import clients
from records import rows
from world import wait_until


def start(world, user="alice", laptop="alice-laptop"):
    return api.call(world, "POST", "/v1/login", {"user": user}, laptop)


def answer(world, conversation, *answers, laptop="alice-laptop"):
    return api.call(world, "POST", f"/v1/login/{conversation}", {"answers": list(answers)}, laptop)


def test_prompts_come_one_after_the_other_and_open_a_session(world):
    alice = world.users["alice"]
    first = start(world)
    assert (first.status, first.body["state"]) == (200, "prompt")
    assert [m["style"] for m in first.body["messages"]] == ["secret"]
    second = answer(world, first.body["conversation"], alice.password)
    assert second.body["state"] == "prompt" and "alice" in second.body["messages"][0]["text"]
    granted = answer(world, first.body["conversation"], alice.code())
    assert granted.body["state"] == "granted" and granted.body["user"] == "alice"
    assert {r["name"] for r in granted.body["resources"] if r["allowed"]} == {"wiki", "ssh", "echo"}
    session = api.call(world, "GET", "/v1/session", token=granted.body["session"])
    assert session.status == 200 and session.body["device"] == "alice-laptop"
    assert session.body["expires_at"] == granted.body["expires_at"]


def test_A9_unknown_user_and_wrong_password_look_the_same(world):
    """Same messages, same rounds; the text of a prompt may name the user that the client itself named."""
    seen = []
    for user in ("alice", "nobody-here"):
        first = start(world, user)
        second = answer(world, first.body["conversation"], "wrong")
        third = answer(world, first.body["conversation"], "000000")  # the conversation is over for both
        shape = [(a.status, a.body.get("state"), [(m["style"], m["text"].replace(user, "USER"))
                                                  for m in a.body.get("messages", [])]) for a in (first, second, third)]
        seen.append((shape, second.body.get("code"), second.body.get("detail")))
    assert seen[0] == seen[1]
    assert seen[0][1] == "login_failed" and seen[0][0][1][0] == 401


def test_a_refused_login_is_in_the_audit_log_under_its_request_id(world):
    first = start(world)
    refused = answer(world, first.body["conversation"], "a-wrong-password")
    found = rows(world, "SELECT code, user, device, detail FROM audit WHERE request_id = ?", refused.body["request_id"])
    assert found and found[0][0] == "login_failed" and found[0][1] == "alice" and found[0][2]
    assert "a-wrong-password" not in str(found)


def test_A4_good_credentials_on_the_laptop_of_somebody_else(world):
    """The certificate of bob's laptop, alice's correct password and code."""
    refused = api.login(world, "alice", "bob-laptop")
    assert (refused.status, refused.body["code"]) == (403, "not_bound")
    assert not rows(world, "SELECT 1 FROM session JOIN device ON device.id = session.device "
                           "WHERE session.user = 'alice' AND device.name = 'bob-laptop'")


def test_A4_user_without_any_device(world):
    refused = api.login(world, "carol", "alice-laptop")
    assert (refused.status, refused.body["code"]) == (403, "not_bound")


def test_A7_token_is_worthless_on_another_device(world):
    token = api.login(world).body["session"]
    assert api.call(world, "GET", "/v1/session", token=token).status == 200
    stolen = api.call(world, "GET", "/v1/session", token=token, laptop="bob-laptop")
    unknown = api.call(world, "GET", "/v1/session", token="0" * 64, laptop="bob-laptop")
    assert stolen.status == unknown.status == 401
    assert (stolen.body["code"], stolen.body["detail"]) == (unknown.body["code"], unknown.body["detail"])
    assert rows(world, "SELECT code FROM audit WHERE request_id = ?", stolen.body["request_id"]) == [("other_device",)]
    status, _, peer = clients.http1_connect(world, f"127.0.0.1:{world.web}", token, laptop="bob-laptop")
    peer.close()
    assert status == 407


def test_A7_token_is_worthless_after_logout_and_only_its_hash_is_stored(world):
    token = api.login(world).body["session"]
    done = api.call(world, "DELETE", "/v1/session", token=token)
    assert done.status == 200 and done.body["tunnels_closed"] == 0
    assert api.call(world, "GET", "/v1/session", token=token).status == 401
    for file in (world.database, world.path("state", "sallyport.db-wal"), world.path("log", "gateway.log")):
        content = file.read_bytes() if file.exists() else b""
        assert token.encode() not in content and bytes.fromhex(token) not in content


def test_A7_lease_ends_a_session(new_world):
    world = new_world(settings=['lease = "3s"'])
    token = api.login(world).body["session"]
    with clients.Http2(world) as h2:
        number, status = h2.connect(f"127.0.0.1:{world.echo}", token)
        assert status == 200
        assert h2.wait(lambda: h2.streams[number].ended, 10)
    assert api.call(world, "GET", "/v1/session", token=token).status == 401
    assert rows(world, "SELECT end_reason FROM session") == [("lease_expired",)]


def test_a_one_time_code_works_once(world):
    code = world.users["alice"].code()
    assert api.login(world, code=code).status == 200
    assert api.login(world, code=code).status == 401


def test_cancel_ends_the_conversation_and_its_process(world):
    first = start(world)
    conversation = first.body["conversation"]
    assert api.call(world, "DELETE", f"/v1/login/{conversation}").status in (200, 204)
    gone = answer(world, conversation, "x")
    assert (gone.status, gone.body["code"]) == (404, "no_conversation")


def test_a_conversation_belongs_to_its_device(world):
    first = start(world)
    stolen = answer(world, first.body["conversation"], world.users["alice"].password, laptop="bob-laptop")
    assert (stolen.status, stolen.body["code"]) == (404, "no_conversation")


def conversation_processes(world):
    output = subprocess.run(["ps", "--ppid", str(world.gateway.pid), "-o", "args="], text=True, capture_output=True,
                            check=False).stdout
    return output.count("/sallyport-conversation")


def test_one_process_for_each_login(new_world):
    world = new_world()
    before = conversation_processes(world)
    open_logins = [start(world), start(world, "bob", "bob-laptop")]
    assert conversation_processes(world) == before + 2
    for login, laptop in zip(open_logins, ("alice-laptop", "bob-laptop")):
        api.call(world, "DELETE", "/v1/login/" + login.body["conversation"], laptop=laptop)


def test_time_limit_of_a_login(new_world):
    world = new_world(settings=['login_time_limit = "2s"'])
    first = start(world)
    subprocess.run(["sleep", "3"], check=True)
    late = answer(world, first.body["conversation"], world.users["alice"].password)
    assert late.status in (401, 404, 408) and late.body["code"] in ("login_expired", "login_failed", "no_conversation")
    wait_until(lambda: conversation_processes(world) == 0, "the end of the conversation")


def test_wrong_number_of_answers_is_one_clear_sentence(world):
    first = start(world)
    wrong = answer(world, first.body["conversation"], "one", "two")
    assert wrong.status == 400 and "1" in wrong.body["detail"]


def test_echo_on_info_and_error_text_travel(new_world):
    """pam_echo says something as info; pam_oath's prompt follows. Each style arrives as what it is."""
    world = new_world()
    stack = world.path("etc", "pam.d", "sallyport")
    stack.write_text("auth optional pam_echo.so Welcome, this system is monitored.\n" + stack.read_text())
    first = start(world)
    styles = [(m["style"], m["text"]) for m in first.body["messages"]]
    while first.body["state"] == "info":
        first = answer(world, first.body["conversation"])
        styles += [(m["style"], m["text"]) for m in first.body["messages"]]
    assert ("info", "Welcome, this system is monitored.") in styles
    assert styles[-1][0] == "secret"


def login_through_pam_oath(world, user, laptop):
    """pam_oath reads its file before it locks it: of two logins at the same instant it may refuse one (liboath's race)."""
    answer = api.login(world, user, laptop)
    return answer if answer.status == 200 else api.login(world, user, laptop)


def test_logins_side_by_side(world):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda pair: login_through_pam_oath(world, *pair),
                                [("alice", "alice-laptop"), ("bob", "bob-laptop")]))
    assert [r.status for r in results] == [200, 200]
