"""A long way: windows follow it in both directions, and what they hold has a bound."""
import os
import pathlib
import re
import subprocess
import time

import pytest

from clients_of_user import log_in
from far_peers import TRANSFER, start_peers, transfer_seconds
from far_world import Listener, far_world
from weather import GATEWAY

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not os.path.exists("/dev/net/tun"),
                                reason="needs root and /dev/net/tun")

@pytest.fixture
def far(release):
    """Makes a world with a peer inside, and one at the gateway itself for comparison."""
    worlds = []

    def make(**options):
        context = far_world(release, **options)
        world = context.__enter__()
        worlds.append(context)
        start_peers(world)
        # Before the agent connects: TCP (BBR) remembers the shortest round trip of a connection for ten seconds.
        world.weather.set(delay=0.05)
        log_in(world)
        return world
    yield make
    for context in worlds:
        context.__exit__(None, None, None)


def test_windows_follow_the_way(far):
    """Over 100 ms a tunnel is nearly as fast as plain TCP on the same way, measured side by side, in both directions."""
    world = far()

    with Listener(world, "-L", f":{world.inside}:{world.peer}") as port:
        for order in "du":
            direct = min(transfer_seconds(world, GATEWAY, world.direct, order, 24) for _ in range(2))
            tunnel = min(transfer_seconds(world, "127.0.0.1", port.port, order, 24) for _ in range(2))
            print(f"{order}: direct {24 / direct:.1f} MB/s, tunnel {24 / tunnel:.1f} MB/s")
            assert tunnel < direct * 2 + 0.5, order


def worker_kib(world):
    """Private memory of the worker that has most."""
    found = [0]
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/exe").startswith(f"{world.programs}/libexec/sallyport/sallyport-worker"):
                rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
                found.append(sum(map(int, re.findall(r"^Private_\w+:\s+(\d+)", rollup, re.M))))
        except OSError:
            pass
    return max(found)


def test_E6_windows_that_have_grown_hold_no_more_than_allowed(far):
    """Eight targets take so much that their windows grow, and then nothing more."""
    tunnels, first, growth, slack = 8, 256, 2048, 2048
    world = far(settings=['stream_window_growth = "2MiB"'])
    with Listener(world, "-L", f":{world.inside}:{world.peer}") as port:
        before = worker_kib(world)
        senders = [world.on_laptop("python3", "-c", TRANSFER, "127.0.0.1", str(port.port), "s", "64",
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(tunnels)]
        try:
            most, quiet = 0, 0
            deadline = time.monotonic() + 60
            while quiet < 20 and time.monotonic() < deadline:
                now = worker_kib(world) - before
                quiet = quiet + 1 if now <= most and most > tunnels * first // 2 else 0
                most = max(most, now)
                time.sleep(0.1)
        finally:
            for sender in senders:
                sender.kill()
                sender.wait()
    print(f"{most} KiB")
    assert tunnels * first // 2 < most <= tunnels * first + growth + slack
