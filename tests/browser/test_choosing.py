"""Somebody who still chooses a certificate: browsers begin one handshake after the other meanwhile, and the gateway's limits must
not take them for a storm."""
import json
import time

import pytest
from portal import Portal
from records import rows


@pytest.fixture
def choosing_world(new_world):
    """Loopback is no exception here."""
    return new_world(settings=["source_exempt = {}", 'login_grace = "2s"'])


def door_one(world):
    return dict(rows(world, "SELECT code, count(*) FROM audit WHERE event = 'door_one' GROUP BY code"))


def refused_sources(world):
    return [row["source"] for row in json.loads(world.admin("--json", "sources", "list"))["sources"] if row["refused"]]


def without_choice(world, kind):
    """The fleet's policies without the part that chooses."""
    policies = world.policies(kind)
    if kind == "chromium":
        del policies["AutoSelectCertificateForUrls"]
    else:
        del policies["policies"]["Preferences"]["security.default_personal_cert"]
    return policies


def choose(world, browser):
    """The person has decided."""
    if browser.kind == "chromium":
        browser.policies = world.policies("chromium")
        browser.write_policies()
    else:
        browser.inside("Services.prefs.setCharPref('security.default_personal_cert', 'Select Automatically')")


def test_E3_who_takes_his_time_to_choose_comes_in(choosing_world, new_browser, kind):
    world = choosing_world
    browser = new_browser(world, kind, policies=without_choice(world, kind))
    with browser.unanswered_dialogue(5):
        browser.go(world.url)
    before = door_one(world)
    assert sum(before.get(code, 0) for code in ("handshake_aborted", "no_certificate", "login_grace")) >= 2, before
    assert "" not in before, "nobody has come in so far"
    choose(world, browser)
    deadline = time.monotonic() + 20
    with browser.unanswered_dialogue(3):
        while time.monotonic() < deadline and not browser.has("#login-title"):
            browser.go(world.url)
    Portal(world, browser).login()
    assert refused_sources(world) == []
