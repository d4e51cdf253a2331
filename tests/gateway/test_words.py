"""The client speaks the user's language: German and Spanish from po/, English otherwise; what programs read stays as it is."""
import json
import os
import re
import socket
import subprocess

import pytest

LANGUAGES = {"de": "de_DE", "es": "es_ES"}


@pytest.fixture(scope="module")
def locales(tmp_path_factory):
    """A minimal system has none of these."""
    folder = tmp_path_factory.mktemp("locales")
    for name in LANGUAGES.values():
        subprocess.run(["localedef", "-i", name, "-f", "UTF-8", folder / f"{name}.UTF-8"], check=True, capture_output=True)
    return folder


@pytest.fixture
def speak(world, locales):
    def run(*arguments, language=None, answers_text="", **environment):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            theirs.sendall(answers_text.encode())
            theirs.shutdown(socket.SHUT_WR)
            command = [world.program("sallyport"), *arguments]
            if answers_text:
                command += ["--answers-from", str(ours.fileno())]
            if language:
                environment |= {"LOCPATH": str(locales), "LC_ALL": f"{LANGUAGES[language]}.UTF-8"}
            return subprocess.run(command, env=world.client_environment() | environment, pass_fds=(ours.fileno(),), timeout=60,
                                  stdin=subprocess.DEVNULL, encoding="utf-8", capture_output=True, start_new_session=True, check=False)
    return run


def test_help_speaks_the_users_language(speak):
    english, german, spanish = (speak("--help", language=language).stdout for language in (None, "de", "es"))
    assert english.startswith("Usage: ") and "begins your session" in english
    assert german.startswith("Aufruf: ") and "(Zeilen SCHLÜSSEL = WERT)" in german and "beginnt Ihre Sitzung" in german
    assert spanish.startswith("Uso: ") and "(líneas CLAVE = VALOR)" in spanish and "inicia su sesión" in spanish
    # What is typed is the same everywhere, in the same order.
    typed = [re.findall(r"(?m)^  (?:-\w, )?(--[\w-]+|[a-z][\w-]+)", text) for text in (english, german, spanish)]
    assert len(typed[0]) > 30 and typed[0] == typed[1] == typed[2]


def test_LANGUAGE_chooses_and_an_unknown_one_means_english(speak):
    wrong = "sallyport: unknown command \"lgin\" (did you mean login?); see sallyport --help\n"
    assert speak("lgin").stderr == wrong
    assert speak("lgin", language="de", LANGUAGE="es:de").stderr.startswith("sallyport: orden desconocida \"lgin\"")
    assert speak("lgin", language="de", LANGUAGE="xx").stderr == wrong
    assert speak("lgin", LC_ALL="no_SUCH.UTF-8", LANGUAGE="de").stderr == wrong


@pytest.mark.parametrize("language, sentence", [
    (None, "The login was refused; run sallyport login once more, or ask your administrator"),
    ("de", "Die Anmeldung wurde abgelehnt; rufen Sie sallyport login noch einmal auf, oder fragen Sie Ihren Administrator"),
    ("es", "El inicio de sesión fue rechazado; ejecute sallyport login otra vez o pregunte a su administrador"),
])
def test_a_failed_login_reads_as_the_user_speaks(speak, language, sentence):
    """The gateway's own sentence too: it comes in English and is translated here. The agent asks, in the language of the
    command that started it."""
    assert speak("down").returncode == 0
    done = speak("login", "alice", language=language, answers_text="wrong\n000000\n")
    assert done.returncode == 4 and sentence in done.stderr


def test_what_programs_read_has_no_language(world, speak):
    alice = world.users["alice"]
    done = speak("login", "alice", language="de", answers_text=f"{alice.password}\n{alice.code()}\n")
    assert done.returncode == 0 and done.stdout.startswith("Angemeldet als alice bis "), done.stderr
    for command in (["ls", "--json"], ["forward", "list", "--json"], ["ssh-config"], ["pac"]):
        assert speak(*command, language="es").stdout == speak(*command).stdout != "", command
    status = [json.loads(speak("status", "--json", language=language).stdout) for language in (None, "es")]
    # The seconds pass.
    agents = [one.pop("agent") for one in status]
    assert status[0] == status[1] and status[0]["user"] == "alice"
    assert agents[0].keys() == agents[1].keys() and {agent["connection"]["state"] for agent in agents} == {"ready"}
