"""The conversation, whole, as it arrives at the client's end: by curl, and with the program `sallyport` on a terminal.

Between stands the whole gateway; the module (tests/fixtures/pam_awkward.c) does what each test tells it. How the room itself
treats it: tests/room/test_conversation.py; real modules: test_stacks.py.
"""
import json
import sqlite3
import time

import api
import clients
import pytest
from clients_of_user import client
from stacks import use_stack
from test_conversation_of_client import Terminal
from test_kill import pids_of, post
from world import run, wait_until

DEVICE_PAGE = "https://login.example/device?code=WXYZ-1234"


def begin(world):
    return api.call(world, "POST", "/v1/login", {"user": "alice"})


def go_on(world, step, *answers):
    return api.call(world, "POST", "/v1/login/" + step.body["conversation"], {"answers": list(answers)})


def detail(world, refused):
    with sqlite3.connect(f"file:{world.database}?mode=ro", uri=True) as database:
        return database.execute("SELECT detail FROM audit WHERE request_id = ?", (refused.body["request_id"],)).fetchone()[0]


@pytest.fixture(scope="module")
def gates(world):
    """Files that a module waits for."""
    made = []

    def gate():
        made.append(world.path("pam", f"gate-{len(made)}"))
        return made[-1]
    return gate


# ---- at the moment they are sent ----

PUSH = (("picture=20x40:4", "info", "\u2588" * 40), ("info=Number to match: 42", "info", "Number to match: 42"),
        (f"info=Or go to {DEVICE_PAGE} and confirm.", "info", DEVICE_PAGE), ("error=Your phone is slow", "error", "Your phone is slow"))


def pushing(world, gates):
    """A stack that says each of PUSH, and after each waits until its gate is opened."""
    opened = [gates() for _ in PUSH]
    use_stack(world, ("auth", *[word for (act, _, _), gate in zip(PUSH, opened) for word in (act, f"until={gate}")]))
    return opened


def test_each_message_arrives_while_the_module_waits(world, gates):
    opened = pushing(world, gates)
    step = begin(world)
    for (_, style, text), gate in zip(PUSH, opened):
        (message,) = step.body["messages"]
        assert (step.body["state"], message["style"]) == ("info", style) and text in message["text"]
        gate.touch()  # only now the module goes on
        step = go_on(world, step)
    assert step.body["state"] == "granted", step.text


def test_each_message_arrives_on_the_terminal(world, gates):
    opened = pushing(world, gates)
    with Terminal(world, "login", "alice") as terminal:
        for (_, _, text), gate in zip(PUSH, opened):
            terminal.wait_for(text)
            if text == DEVICE_PAGE:
                terminal.wait_for("\u2588", after=text)  # drawn too, for the phone
            assert terminal.process.poll() is None
            gate.touch()
        terminal.wait_for("Logged in as alice")
        assert terminal.process.wait(20) == 0


def test_several_prompts_in_one_round(world):
    use_stack(world, ("auth", "mixed=two questions"))
    step = begin(world)
    assert [(m["style"], m["text"]) for m in step.body["messages"]] == [
        ("info", "two questions"), ("text", "first"), ("error", "careful"), ("secret", "second")]
    assert go_on(world, step, "one", "two").body["state"] == "granted"
    assert client(world, "login", "alice", answers_text="one\ntwo\n").returncode == 0
    assert go_on(world, begin(world), "two", "one").status == 401


# ---- what is answered ----

@pytest.mark.parametrize("text", ["", "p\u00e4ssw\u00f6rd \u20ac\U0001f511", "   ", "x" * 65536, "\u00e9" * 10000])
def test_an_answer_arrives_as_it_is(world, text):
    size = len(text.encode())
    use_stack(world, ("auth", "secret=?", f"expect_size={size}" if size > 500 else f"expect={text}"))
    assert go_on(world, begin(world), text).body["state"] == "granted"
    done = client(world, "login", "alice", answers_text=text + "\n")
    assert done.returncode == 0, done.stderr


def test_an_answer_that_is_too_long_or_holds_a_nul_is_refused_and_the_login_goes_on(world):
    use_stack(world, ("auth", "secret=?", "expect=right"))
    step = begin(world)
    for wrong, sentence in (("x" * 65537, "longer than 65536 bytes"), ("right\0wrong", "holds a NUL")):
        refused = go_on(world, step, wrong)
        assert (refused.status, refused.body["code"]) == (400, "bad_request") and sentence in refused.body["detail"]
    assert go_on(world, step, "right").body["state"] == "granted"


def test_twenty_rounds_and_not_one_more(world):
    for rounds, granted in ((20, True), (21, False)):
        use_stack(world, ("auth", f"rounds={rounds}"))
        step = begin(world)
        for _ in range(20):
            assert step.body["messages"] == [{"style": "text", "text": "again"}]
            step = go_on(world, step, "")
        assert (step.body.get("state") == "granted") == granted, step.text
    assert step.status == 401 and "login_rounds" in detail(world, step)


# ---- how long it takes ----

def test_a_delay_that_the_stack_asks_for(world):
    use_stack(world, ("auth", "secret=?", "delay=3000", "return=7"))
    step = begin(world)
    began = time.monotonic()
    assert go_on(world, step, "x").status == 401
    assert time.monotonic() - began > 1.4  # PAM varies it by half


def test_a_module_that_hangs_is_killed_and_hinders_nobody(new_world):
    """Another login, a session and a tunnel go on meanwhile; the hung one is refused at its time limit."""
    world = new_world(settings=['login_time_limit = "5s"', 'login_absence = "1m"'])
    use_stack(world, ("auth", "info=wait", "hang=1"), service="hung")
    with world.conf.open("a") as conf:
        conf.write('realm "hung" { pam_service = "hung" on_request = true }\n')
    world.admin("reload")
    with clients.Http2(world, "bob-laptop") as h2:
        hung = post(h2, "/v1/login", {"user": "bob", "realm": "hung"})
        assert h2.wait(lambda: hung.ended) and hung.problem["messages"][0]["text"] == "wait", hung.problem
        hung = post(h2, f"/v1/login/{hung.problem['conversation']}", {"answers": []})
        assert len(pids_of(world, "sallyport-conversation")) == 2
        token = api.login(world).body["session"]
        status, _, tunnel = clients.http1_connect(world, f"127.0.0.1:{world.echo}", token)
        tunnel.close()
        assert status == 200 and not hung.ended
        assert h2.wait(lambda: hung.ended)
    assert (hung.status, hung.problem["code"]) in ((401, "login_expired"), (401, "login_failed")), hung.problem
    wait_until(lambda: not pids_of(world, "sallyport-conversation"), "the end of the hung process", 10)
    assert api.call(world, "GET", "/v1/session", token=token).status == 200


# ---- what modules know, and what they do ----

def test_facts_as_modules_see_them(world):
    world.admin("device", "tag", "alice-laptop", "managed", "blue")
    device = json.loads(world.admin("device", "show", "alice-laptop", "--json"))
    facts = {"DEVICE": "alice-laptop", "DEVICE_ID": device["id"], "DEVICE_TAGS": "managed,blue", "KEY_KIND": "ec-p256",
             "ADDRESS": "127.0.0.1", "REALM": "default"}
    use_stack(world, *[(kind, *[f"fact=SALLYPORT_{name}={value}" for name, value in facts.items()], "remote_host=127.0.0.1",
                        "terminal=sallyport") for kind in ("auth", "account")])
    step = begin(world)
    assert step.body.get("state") == "granted", detail(world, step)
    use_stack(world, ("auth", "fact=SALLYPORT_DEVICE=bob-laptop"))
    assert begin(world).status == 401


def test_A8_a_module_that_changes_the_name(world):
    """Binding, session and record go by the name that PAM ends with, whatever was typed."""
    use_stack(world, ("auth", "user=bob"))
    refused = begin(world)
    assert (refused.status, refused.body["code"]) == (403, "not_bound")
    granted = api.call(world, "POST", "/v1/login", {"user": "alice"}, "bob-laptop")
    assert (granted.body["state"], granted.body["user"]) == ("granted", "bob")
    session = api.call(world, "GET", "/v1/session", laptop="bob-laptop", token=granted.body["session"])
    assert session.body["user"] == "bob"
    use_stack(world, ("auth", "user="))
    assert begin(world).status == 401


def test_E7_a_module_that_crashes_prints_or_leaves_helpers_behind(world):
    use_stack(world, ("auth", "crash=1"))
    assert begin(world).status == 401
    use_stack(world, ("auth", "print=into the wild", "fork=sallyport-test-left-behind", "secret=?"))
    assert go_on(world, begin(world), "x").body["state"] == "granted"
    assert "into the wild" not in world.log_end("gateway", 1000)
    wait_until(lambda: not pids_of(world, "sallyport-conversation"), "the end of the processes", 10)
    assert "sallyport-test-left-behind" not in run(["ps", "-eo", "args="])
