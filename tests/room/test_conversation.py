"""The real conversation room, we its monitor and its broker, a PAM module between that misbehaves as it is told.

The module: tests/fixtures/pam_awkward.c. Each test writes the stack it wants.
"""
import os
import pathlib
import shutil
import signal
import time

import pytest

import frames
import rooms

SECRET, TEXT, INFO, ERROR = 1, 2, 3, 4
NEW_AUTHTOK_REQD = 12


def find_module():
    return next(pathlib.Path(os.environ["SALLYPORT_BUILD"]).rglob("pam_awkward.so"))


class Conversation:
    """One conversation with a stack of the lines given: (kind, acts...), or any line of a PAM service as text."""

    def __init__(self, programs, folder, lines, facts=(), user="alice", **settings):
        if not (folder / "pam_awkward.so").exists():  # another conversation may have it in its memory
            shutil.copy(find_module(), folder / "pam_awkward.so")
        stack = [line if isinstance(line, str) else f"{line[0]} required {folder}/pam_awkward.so " +
                 " ".join(f"[{act}]" for act in line[1:]) for line in lines]
        if not any(line.startswith("account") for line in stack):
            stack.append("account required pam_permit.so")
        service = f"awkward-{len(list(folder.glob('awkward-*')))}"  # one of its own: another may be reading its own now
        (folder / service).write_text("\n".join(stack) + "\n")
        self.broker, theirs = frames.pair("broker_conversation")
        settings = {"pam_service": service, "pam_directory": str(folder), **settings}
        self.room = rooms.Room(programs, "conversation", settings, [("broker_edge", "broker", theirs.fileno())])
        theirs.close()
        self.room.begin_well()
        for name, value in facts:
            self.broker.send("fact", name=name, value=value)
        self.broker.send("start", user=user, address="192.0.2.7")

    def expect(self, *messages):
        """A whole round: its messages as (style, text); how many prompts it had must fit."""
        seen = []
        while (message := self.broker.receive()).name == "message":
            seen.append((message.style, message.text))
        assert message.name == "round", f"{message} came after {seen}"
        assert seen == list(messages)
        assert message.prompts == sum(style in (SECRET, TEXT) for style, _ in seen)

    def answer(self, *texts):
        for text in texts:
            self.broker.send("answer", text=text)

    def result(self):
        return self.broker.receive("result")

    def good(self, user="alice"):
        result = self.result()
        assert (result.good, result.user) == (1, user), f"{result}\n{self.room.said()}"
        assert self.room.wait() == 0, self.room.said()

    def bad(self, reason=""):
        result = self.result()
        assert result.good == 0 and reason in result.reason, result
        return result


@pytest.fixture
def conversation(programs, scratch):
    scratch.chmod(0o755)
    made = []

    def begin(*lines, **options):
        made.append(Conversation(programs, scratch, lines, **options))
        return made[-1]

    yield begin
    for each in made:
        each.broker.close()
        each.room.end()


def is_running(name):
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "cmdline").read_bytes().split(b"\0")[0] == name.encode():
                return True
        except OSError:
            pass
    return False


def comes_to(name, running, seconds=5):
    deadline = time.monotonic() + seconds
    while is_running(name) != running and time.monotonic() < deadline:
        time.sleep(0.02)
    return is_running(name) == running


def appears(name):
    return comes_to(name, True)


def gone(name):
    return comes_to(name, False)


# ---- everything that a stack may say ----

@pytest.mark.parametrize("style, act", [(SECRET, "secret"), (TEXT, "text")])
def test_a_prompt_of_each_style_gets_its_answer(conversation, style, act):
    login = conversation(("auth", f"{act}=Your word:", "expect=open sesame"))
    login.expect((style, "Your word:"))
    login.answer("open sesame")
    login.good()


def test_info_and_error_are_shown_while_the_module_waits(conversation):
    login = conversation(("auth", "info=Confirm 42 on your phone", "error=or else", "wait=1500"))
    began = time.monotonic()
    login.expect((INFO, "Confirm 42 on your phone"))
    login.expect((ERROR, "or else"))
    assert time.monotonic() - began < 1
    login.good()
    assert time.monotonic() - began > 1.3


def test_several_prompts_in_one_round_keep_their_order(conversation):
    login = conversation(("auth", "mixed=two questions"))
    login.expect((INFO, "two questions"), (TEXT, "first"), (ERROR, "careful"), (SECRET, "second"))
    login.answer("one", "two")
    login.good()


def test_answers_in_the_wrong_order_are_wrong(conversation):
    login = conversation(("auth", "mixed=two questions"))
    login.expect((INFO, "two questions"), (TEXT, "first"), (ERROR, "careful"), (SECRET, "second"))
    login.answer("two", "one")
    login.bad()


@pytest.mark.parametrize("text", ["", "pässwörd €🔑", "   "])
def test_answers_arrive_as_they_are(conversation, text):
    login = conversation(("auth", "secret=?", f"expect={text}"))
    login.expect((SECRET, "?"))
    login.answer(text)
    login.good()


def test_an_answer_of_64_kib(conversation):
    login = conversation(("auth", "secret=?", "expect_size=65536"))
    login.expect((SECRET, "?"))
    login.answer("x" * 65536)
    login.good()


def test_an_answer_with_a_nul_is_no_answer(conversation):
    """C strings end there: "right NUL wrong" must not count as "right"."""
    login = conversation(("auth", "secret=?", "expect=right"))
    login.expect((SECRET, "?"))
    login.answer(b"right\0wrong")
    login.bad("PAM cannot take")


def test_text_that_is_no_utf8_is_made_printable(conversation):
    login = conversation(("auth", "bytes=1"))
    message = login.broker.receive("message")
    assert message.style == INFO and message.text.isprintable()
    login.broker.receive("round")
    login.good()


def pieces(login):
    seen = []
    while (message := login.broker.receive()).name == "message":
        seen.append((message.style, message.text))
    assert message.name == "round"
    return seen


def test_a_text_longer_than_a_message_goes_in_whole_lines(conversation):
    """A large QR code stays one: what is shown line by line fits together again."""
    login = conversation(("auth", "picture=80x60:4"))
    seen = pieces(login)
    assert [style for style, _ in seen] == [INFO, INFO]
    assert "\n".join(text for _, text in seen) == "\n".join(["\u2588" * 60] * 80)
    login.good()


@pytest.mark.parametrize("columns", [8192 // 3, 8192 // 3 + 1, 10000])
@pytest.mark.parametrize("style", [SECRET, INFO, ERROR])
def test_a_text_longer_than_a_message_is_parted_between_characters(conversation, style, columns):
    login = conversation(("auth", f"picture=1x{columns}:{style if style < INFO else 7 - style}"))
    seen = pieces(login)
    *before, last = seen
    assert "".join(text for _, text in seen) == "\u2588" * columns
    assert last[0] == style and all(each == (ERROR if style == ERROR else INFO) for each, _ in before)
    assert len(seen) == columns * 3 // 8192 + 1
    if style == SECRET:
        login.answer("x")
    login.good()


def test_a_text_without_end_is_refused(conversation):
    conversation(("auth", "picture=1x100000:4")).bad("PAM cannot take")


def test_an_unknown_style_is_refused(conversation):
    conversation(("auth", "style=77")).bad()


def test_twenty_rounds_and_not_one_more(conversation):
    for rounds, is_good in ((20, True), (21, False)):
        login = conversation(("auth", f"rounds={rounds}"), login_rounds="20")
        for _ in range(20):
            login.expect((TEXT, "again"))
            login.answer("")
        if is_good:
            login.good()
        else:
            while (message := login.broker.receive()).name == "message":
                pass
            assert message.name == "result" and message.good == 0 and "login_rounds" in message.reason


# ---- account, password, facts ----

def test_an_expired_password_is_changed_in_the_middle(conversation):
    login = conversation(("auth", "secret=Password:", "expect=old"), ("account", f"return={NEW_AUTHTOK_REQD}"),
                         ("password", "info=Your password has expired", "secret=New:", "expect=new"))
    login.expect((SECRET, "Password:"))
    login.answer("old")
    login.expect((INFO, "Your password has expired"))
    login.expect((SECRET, "New:"))
    login.answer("new")
    login.good()


def test_an_expired_password_that_is_not_changed_is_a_refusal(conversation):
    login = conversation(("auth", "info=hello"), ("account", f"return={NEW_AUTHTOK_REQD}"), ("password", "return=20"))
    login.expect((INFO, "hello"))
    assert login.bad().phase == 3


def test_an_account_that_may_not_is_refused_in_its_own_phase(conversation):
    login = conversation(("auth", "text=?"), ("account", "return=13"))
    login.expect((TEXT, "?"))
    login.answer("x")
    result = login.bad()
    assert (result.phase, result.pam_code) == (3, 13)


def test_modules_learn_the_facts(conversation):
    conversation(("auth", "fact=SALLYPORT_DEVICE=alice-laptop", "fact=SALLYPORT_DEVICE_TAGS=managed,blue",
                  "remote_host=192.0.2.7", "terminal=sallyport"),
                 facts=[("SALLYPORT_DEVICE", "alice-laptop"), ("SALLYPORT_DEVICE_TAGS", "managed,blue")]).good()


def test_a_delay_of_the_stack_is_kept(conversation):
    began = time.monotonic()
    conversation(("auth", "delay=2000", "return=7")).bad()
    assert time.monotonic() - began > 0.9


# ---- who it is (A8) ----

def test_A8_the_user_is_who_pam_ends_with(conversation):
    conversation(("auth", "user=bob"), user="alice").good("bob")


def test_A8_a_change_in_the_account_phase_counts(conversation):
    conversation(("auth", "user=bob"), ("account", "user=carol")).good("carol")


def test_A8_an_empty_name_is_nobody(conversation):
    conversation(("auth", "user=")).bad()


# ---- modules that misbehave ----

def test_what_a_module_prints_reaches_nobody(conversation):
    login = conversation(("auth", "print=into the wild", "info=after"))
    login.expect((INFO, "after"))
    login.good()
    assert "into the wild" not in login.room.said()


def test_E7_a_module_that_crashes_ends_its_login_only(conversation):
    other = conversation(("auth", "secret=?"))
    other.expect((SECRET, "?"))
    broken = conversation(("auth", "crash=1"))
    assert broken.broker.is_closed()
    assert broken.room.wait() not in (0, None)
    other.answer("x")
    other.good()


def test_a_module_that_hangs_deaf_is_killed_at_the_time_limit(conversation):
    login = conversation(("auth", "hang=1"), login_time_limit="1s")
    began = time.monotonic()
    assert login.broker.is_closed(10)
    assert login.room.wait(5) not in (0, None)
    assert time.monotonic() - began < 5


def test_a_module_that_forks_leaves_nothing_behind(conversation):
    name = "awkward-after"
    login = conversation(("auth", f"fork={name}", "text=?"))
    login.expect((TEXT, "?"))
    assert appears(name)
    login.answer("x")
    login.good()
    assert gone(name)


# ---- whoever goes away ----

def test_cancel_during_a_prompt(conversation):
    login = conversation(("auth", "secret=?"))
    login.expect((SECRET, "?"))
    login.broker.send("cancel")
    login.bad("cancelled")
    assert login.room.wait(5) is not None


@pytest.mark.parametrize("acts", [["secret=?"], ["fork=awkward-gone", "info=waiting", "hang=1"], ["rounds=3"]])
def test_a_client_that_is_gone_ends_everything(conversation, acts):
    login = conversation(("auth", *acts))
    login.broker.receive("message")
    login.broker.close()
    assert login.room.wait(5) is not None
    assert gone("awkward-gone")


def test_kill_9_leaves_no_orphan(conversation):
    login = conversation(("auth", "fork=awkward-kill", "info=waiting", "hang=1"))
    login.expect((INFO, "waiting"))
    assert appears("awkward-kill")
    os.kill(login.room.pid, signal.SIGKILL)
    assert login.broker.is_closed(5)
    assert gone("awkward-kill")


def test_the_monitor_that_is_gone_ends_everything(conversation):
    login = conversation(("auth", "fork=awkward-house", "info=waiting", "hang=1"))
    login.expect((INFO, "waiting"))
    login.room.monitor.close()
    assert login.broker.is_closed(5)
    assert gone("awkward-house")


def test_nobody_answers_until_the_time_limit(conversation):
    login = conversation(("auth", "secret=?"), login_time_limit="1s")
    login.expect((SECRET, "?"))
    login.bad("time limit")


# ---- a real module ----

def test_pam_faillock_shuts_out_after_its_number_of_failures(conversation, scratch):
    tally = scratch / "faillock"
    tally.mkdir(mode=0o755)
    options = f"dir={tally} deny=2 unlock_time=600"
    stack = (f"auth required pam_faillock.so preauth {options}",
             f"auth sufficient {scratch}/pam_awkward.so [secret=?] expect=right",
             f"auth [default=die] pam_faillock.so authfail {options}",
             "auth required pam_deny.so",
             f"account required pam_faillock.so {options}", "account required pam_permit.so")

    def attempt(word):
        login = conversation(*stack, user="nobody", pam_writable=f"{tally}\n")
        while (message := login.broker.receive()).name != "result":
            if message.name == "round" and message.prompts:
                login.answer(word)
        return message.good

    assert attempt("right") == 1
    assert [attempt("wrong"), attempt("wrong")] == [0, 0]
    assert attempt("right") == 0


def test_a_change_of_the_password_that_asks_for_another_try(conversation):
    """PAM_TRY_AGAIN: the modules leave it to us to begin again; not for ever."""
    login = conversation(("auth", "return=0"), ("account", f"return={NEW_AUTHTOK_REQD}"), ("password", "text=New?", "return=24"))
    for _ in range(3):
        login.expect((TEXT, "New?"))
        login.answer("x")
    assert login.bad().pam_code == 24


# ---- many at once ----

def test_a_hundred_logins_wait_side_by_side(conversation):
    """With a module that takes five seconds: nobody waits for another."""
    began = time.monotonic()
    logins = [conversation(("auth", "info=push sent", "wait=5000")) for _ in range(100)]
    started = time.monotonic() - began  # one after the other, by this test
    for login in logins:
        login.expect((INFO, "push sent"))
    for login in logins:
        login.good()
    assert time.monotonic() - began < 5 + started + 1.5


# ---- the session part ----

def opened(login):
    """The good result, then the session's beginning, as the broker has it."""
    result = login.result()
    assert (result.good, result.session) == (1, 1), f"{result}\n{login.room.said()}"
    login.broker.send("open_session")
    return login.broker.receive("session_opened")


def lines(path):
    return path.read_text().split() if path.exists() else []


def comes(condition, seconds=5):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def test_a_session_lasts_as_long_as_the_brokers_edge(conversation, scratch):
    log = scratch / "log"
    login = conversation(("auth", "put=PLACE=here"), ("session", "fact=PLACE=here", "fact=SALLYPORT_DEVICE=x", f"append={log}:open",
                                                      "closing", "fact=PLACE=here", f"append={log}:close"),
                         facts=[("SALLYPORT_DEVICE", "x")], login_time_limit="1s", pam_writable=str(scratch) + "\n")
    assert opened(login).good == 1
    assert lines(log) == ["open"]
    time.sleep(2.2)  # longer than a login may take
    assert lines(log) == ["open"] and login.room.wait(0) is None
    login.broker.close()
    assert login.room.wait() == 0, login.room.said()
    assert lines(log) == ["open", "close"]


def test_credentials_stand_around_the_session(conversation, scratch):
    log = scratch / "log"
    login = conversation(("auth", f"cred={log}"), ("session", f"append={log}:open", "closing", f"append={log}:close"),
                         pam_writable=str(scratch) + "\n")
    assert opened(login).good == 1
    login.broker.close()
    assert login.room.wait() == 0, login.room.said()
    assert lines(log) == ["establish", "open", "close", "delete"]


def test_a_session_is_closed_when_it_is_cancelled(conversation, scratch):
    log = scratch / "log"
    login = conversation(("auth", "return=0"), ("session", "closing", f"append={log}:close"), pam_writable=str(scratch) + "\n")
    assert opened(login).good == 1
    login.broker.send("cancel")
    assert comes(lambda: lines(log) == ["close"])


def test_a_close_that_hangs_is_cut(conversation):
    """pam_close_session may take its time (ten seconds), with all its helpers, but not for ever."""
    login = conversation(("auth", "return=0"), ("session", "closing", "fork=awkward-closing", "hang=1"))
    assert opened(login).good == 1
    began = time.monotonic()
    login.broker.close()
    assert appears("awkward-closing")
    assert login.room.wait(20) not in (0, None)
    assert time.monotonic() - began > 9
    assert gone("awkward-closing")


def test_no_session_without_the_brokers_word(conversation, scratch):
    """Bound to another user, locked meanwhile: the stack's yes alone opens nothing."""
    log = scratch / "log"
    login = conversation(("auth", "return=0"), ("session", f"append={log}:open", "closing", f"append={log}:close"),
                         pam_writable=str(scratch) + "\n")
    assert login.result().session == 1
    login.broker.close()
    login.room.wait()
    assert lines(log) == []


def test_a_session_that_is_refused(conversation, scratch):
    log = scratch / "log"
    login = conversation(("auth", "return=0"), ("session", "return=14", "closing", f"append={log}:close"),
                         pam_writable=str(scratch) + "\n")
    refused = opened(login)
    assert (refused.good, refused.pam_code) == (0, 14)
    login.room.wait()
    assert lines(log) == []


def test_a_session_part_that_changes_the_user_is_refused(conversation, scratch):
    log = scratch / "log"
    login = conversation(("auth", "return=0"), ("session", "user=root", "closing", f"append={log}:close"),
                         pam_writable=str(scratch) + "\n")
    assert opened(login).good == 0
    assert comes(lambda: lines(log) == ["close"])  # what was opened is closed


def test_what_the_session_part_says_is_shown(conversation):
    login = conversation(("auth", "return=0"), ("session", "info=Last login: never", "text=Really?", "expect=yes"))
    assert login.result().session == 1
    login.broker.send("open_session")
    login.expect((INFO, "Last login: never"))
    login.expect((TEXT, "Really?"))
    login.answer("yes")
    assert login.broker.receive("session_opened").good == 1


def test_session_lines_are_found_where_they_are(conversation, scratch):
    (scratch / "common").write_text("# session required x\n-session optional pam_permit.so\n")
    login = conversation(("auth", "return=0"), f"@include {scratch}/common")
    assert opened(login).good == 1
    (scratch / "none").write_text("#session required pam_permit.so\naccount \\\nsession pam_permit.so\n")
    login = conversation(("auth", "return=0"), f"@include {scratch}/none")
    assert login.result().session == 0


def test_helpers_of_a_session_end_with_it(conversation):
    login = conversation(("auth", "return=0"), ("session", "fork=sallyport-test-of-session"))
    assert opened(login).good == 1
    assert appears("sallyport-test-of-session")
    login.broker.close()
    assert gone("sallyport-test-of-session")
