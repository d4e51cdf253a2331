"""sallyport-admin report: what an auditor asks once a month; as text, JSON and a page that harms nobody."""
import html.parser
import json
import os
import subprocess

import api
import clients
import pytest
from world import run

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
    assert page.tags.count("svg") == 4 and page.tags.count("section") == 11
    shot = world.path("report.png")
    run(["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1160,2400",
         f"--user-data-dir={world.path('chromium')}", f"--screenshot={shot}", f"file://{path}"])
    assert shot.stat().st_size > 50000, "a browser shows it"


def test_text_for_a_terminal(world):
    text = world.admin("report")
    assert "\nWho could reach what\n" in text and "\nRefused attempts\n" in text and "not_bound" in text
    assert "\x1b" not in text
