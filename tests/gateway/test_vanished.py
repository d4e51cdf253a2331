"""A laptop that is silently gone: what the gateway keeps for it ends in bounded time, and it comes back by itself."""
import json
import os

import pytest

from clients_of_user import log_in
from far_world import Listener, far_world
from test_network import Talk
from world import WorldError, wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not os.path.exists("/dev/net/tun"),
                                reason="needs root and /dev/net/tun")


@pytest.fixture(scope="module")
def world(programs):
    with far_world(programs, settings=['client_silence = "4s"']) as world:
        world.weather.set(delay=0.002, loss=0)
        log_in(world)
        yield world


@pytest.fixture
def port(world):
    with Listener(world, "-L", f":{world.inside}:{world.echo}") as port:
        yield port


@pytest.fixture
def talk(port):
    talk = Talk(port)
    yield talk.say("before")
    talk.end()


def tunnels(world):
    return json.loads(world.admin("tunnel", "list", "--json"))["tunnels"]


def test_a_quiet_laptop_is_not_a_vanished_one(world, talk):
    """Without a byte for three times as long: the kernels answer each other."""
    assert talk.hears("before")
    with pytest.raises(WorldError, match="did not happen"):
        wait_until(lambda: not tunnels(world), "the end of the tunnel", 12)
    assert talk.say("still").hears("still")


def test_a_vanished_laptop_holds_nothing_for_long(world, port, talk):
    assert talk.hears("before")
    wait_until(lambda: tunnels(world), "the tunnel")
    world.places["alice-laptop"].silence(True)
    try:
        # A tunnel and the stream of events are open; only the silence tells.
        wait_until(lambda: not tunnels(world), "the end of the tunnel", 40)
    finally:
        world.places["alice-laptop"].silence(False)
    after = Talk(port)
    try:
        assert after.say("after").hears("after")
    finally:
        after.end()
