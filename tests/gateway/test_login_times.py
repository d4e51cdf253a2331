"""A9, whole: what the time of a refused login tells a stranger about a name, through the gateway and a real stack.

Two intervals are taken: from the typed name to the first prompt, and from the wrong answer to the refusal. Kinds of names
take turns, so that the machine's moods hit all alike, and are compared by their ranks (Mann-Whitney): no single slow login
decides. That the measure sees what it should is shown without `login_refusal`: then pam_unix itself tells, and so does a
module that takes five milliseconds for those who exist.
"""
import json
import math
import os
import pathlib
import shutil
import tempfile
import time

import clients
import pytest
from test_stacks import AS_ROOT, EtcWorld

ROUNDS, ROUNDS_MAX = 30, 240
CERTAIN = 4  # standard deviations: by chance once in 16,000 comparisons
SETTINGS = [*AS_ROOT, 'login_failures = "1000"', 'logins_per_device = "60000"', 'logins_per_user = "60000"',
            'logins_per_source = "60000"']
KINDS = {"existing": "alice", "unknown": "nobody-here", "locked": "bob"}
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="pam_unix reads the shadow file as root")
UNIX = ("auth required pam_unix.so nodelay", "account required pam_unix.so")


@pytest.fixture
def unix_world(release):
    """alice exists, bob's account is locked at the gateway, nobody-here is in no file."""
    folder, made = pathlib.Path(tempfile.mkdtemp(prefix="sallyport-test.", dir="/tmp")), []

    def begin(*settings):
        world = EtcWorld(folder, release, quiet=True, settings=[*SETTINGS, f'pam_writable = {{"/etc", "{folder}/pam"}}', *settings])
        made.append(world)
        world.start(["alice", "bob"])
        for name in ("alice", "bob"):
            world.add_account(name, world.users[name].password)
        world.admin("account", "lock", "bob")
        world.stack(*UNIX)
        return world

    yield begin
    for world in made:
        world.stop()
    shutil.rmtree(folder, ignore_errors=True)


class Door:
    """One connection on which logins are begun and failed; the clock stands right beside it."""

    def __init__(self, world, laptop="alice-laptop"):
        self.peer = clients.connect(world, laptop, alpn=("http/1.1",))
        self.times = {kind: ([], []) for kind in KINDS}
        self.looks = set()
        self.round()
        self.times = {kind: ([], []) for kind in KINDS}  # the first of each was for the caches

    def post(self, path, body):
        """(seconds, status, body)"""
        text = json.dumps(body).encode()
        began = time.perf_counter()
        self.peer.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(text)}\r\n\r\n".encode() + text)
        status, headers, rest = clients.read_head(self.peer)
        taken = time.perf_counter() - began
        while len(rest) < int(headers["content-length"]):
            rest += self.peer.recv(65536)
        return taken, status, json.loads(rest)

    def fail(self, kind):
        to_prompt, status, prompt = self.post("/v1/login", {"user": KINDS[kind]})
        assert status == 200, prompt
        to_refusal, status, problem = self.post(f"/v1/login/{prompt['conversation']}", {"answers": ["a wrong one"]})
        assert status == 401, problem
        self.looks.add((json.dumps(prompt["messages"]), problem["code"], problem["detail"]))
        self.times[kind][0].append(to_prompt)
        self.times[kind][1].append(to_refusal)

    def round(self):
        for kind in KINDS:
            self.fail(kind)

    def told_apart(self, kind, interval):
        """Of all pairs, how many have this kind later than an existing user: in standard deviations from one half."""
        first, second = self.times["existing"][interval], self.times[kind][interval]
        later = sum(a < b for a in first for b in second)
        deviation = math.sqrt(len(first) * len(second) * (len(first) + len(second) + 1) / 12)
        return (later - len(first) * len(second) / 2) / deviation


def test_A9_the_time_of_a_refusal_tells_nothing_of_a_name(unix_world):
    door = Door(unix_world())
    for _ in range(ROUNDS):
        door.round()
    assert len(door.looks) == 1, door.looks
    seen = {(kind, interval): door.told_apart(kind, interval) for kind in ("unknown", "locked") for interval in (0, 1)}
    assert max(map(abs, seen.values())) < CERTAIN, seen
    assert min(min(times[1]) for times in door.times.values()) >= 0.29


def sees(door, kind, interval):
    """Whether the measure can tell them apart, with as many rounds as a busy machine makes necessary."""
    for _ in range(ROUNDS_MAX // ROUNDS):
        for _ in range(ROUNDS):
            door.fail("existing"), door.fail(kind)
        if door.told_apart(kind, interval) < -CERTAIN:
            return True
    return False


def test_the_measure_sees_pam_unix_and_five_milliseconds(unix_world):
    """pam_unix makes no hash for a name that it does not know. And a module in front of the prompt."""
    world = unix_world('login_refusal = "0s"')
    door = Door(world)
    assert sees(door, "unknown", 1), door.told_apart("unknown", 1)
    module = next(pathlib.Path(os.environ["SALLYPORT_BUILD"]).rglob("pam_awkward.so"))
    shutil.copy(module, world.path("etc", "pam.d", module.name))
    world.stack(f"auth [success=1 default=ignore] pam_succeed_if.so quiet user = {KINDS['unknown']}",
                f"auth required {world.path('etc', 'pam.d', module.name)} [wait=5]", *UNIX)
    door = Door(world, "bob-laptop")  # failures are counted by device, too
    assert sees(door, "unknown", 0), door.told_apart("unknown", 0)
