"""How targets are dialed: from which address, with keepalive; and what name servers can do: be silent, and change their mind."""
import socket
import time

import pytest

import clients
from names import NameServer
from test_cut import login
from test_policy import apply


class Target:
    """A listener that remembers who came."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.socket.settimeout(clients.SECONDS)
        self.port = self.socket.getsockname()[1]

    def accept(self):
        peer, (address, _) = self.socket.accept()
        return peer, address

    def close(self):
        self.socket.close()


@pytest.fixture
def closing():
    made = []
    yield lambda thing: made.append(thing) or thing
    for thing in made:
        thing.close()


def reach(world, *addresses):
    """The world's policy, and alice may reach these."""
    listed = ", ".join(f'"{address}"' for address in addresses)
    world.policy.write_text(world.policy.read_text() + f'resource "own" {{ address = {{{listed}}} }}\n'
                            'rule "own" { users = {"alice"} resources = {"own"} }\n')
    apply(world)


def has_keepalive_timer(port):
    """Of the gateway's end: /proc/net/tcp tells which timer runs; 02 is keepalive (proc_net_tcp.txt)."""
    rows = [line.split() for line in open("/proc/net/tcp", encoding="ascii").readlines()[1:]]
    return [row[5][:2] for row in rows if row[2].endswith(f":{port:04X}") and row[3] == "01"] == ["02"]


def test_source_address_and_keepalive(new_world, closing):
    target = closing(Target())
    world = new_world(settings=['dial_source = {"127.0.0.77"}', 'dial_keepalive = "20s"'])
    reach(world, f"127.0.0.1:{target.port}")
    h2 = clients.Http2(world)
    assert h2.connect(f"127.0.0.1:{target.port}", login(world, "alice-laptop"))[1] == 200
    peer, address = target.accept()
    assert address == "127.0.0.77"
    assert has_keepalive_timer(target.port)
    peer.close()


def test_a_source_address_that_is_not_ours_reaches_nobody(new_world, closing):
    target = closing(Target())
    world = new_world(settings=['dial_source = {"192.0.2.77"}', 'dial_keepalive = "0s"'])
    reach(world, f"127.0.0.1:{target.port}")
    h2 = clients.Http2(world)
    number, status = h2.connect(f"127.0.0.1:{target.port}", login(world, "alice-laptop"))
    assert (status, h2.streams[number].problem["code"]) == (502, "unreachable")


def test_an_interface(new_world, closing):
    target = closing(Target())
    world = new_world(settings=['dial_interface = "lo"'])
    reach(world, f"127.0.0.1:{target.port}")
    token = login(world, "alice-laptop")
    h2 = clients.Http2(world)
    assert h2.connect(f"127.0.0.1:{target.port}", token)[1] == 200
    world.conf.write_text(world.conf.read_text().replace('dial_interface = "lo"', 'dial_interface = "no-such-one"'))
    world.admin("reload")
    assert h2.connect(f"127.0.0.1:{target.port}", token)[1] == 502


def test_a_dead_resolver_stops_nobody_else(new_world, closing):
    silent = closing(NameServer())
    world = new_world(settings=[f'resolver = {{"{silent.address}"}}', 'resolve_time_limit = "2s"'])
    reach(world, *(f"db{i}.corp.example:5432" for i in range(50)))
    token = login(world, "alice-laptop")
    h2 = clients.Http2(world)
    flowing, status = h2.connect(f"127.0.0.1:{world.echo}", token)
    assert status == 200
    began = time.monotonic()
    waiting = [h2.start_connect(f"db{i}.corp.example:5432", token) for i in range(50)]
    # Meanwhile what needs no name is opened and flows.
    assert h2.connect(f"127.0.0.1:{world.web}", token)[1] == 200
    h2.send(flowing, b"alive")
    assert h2.wait(lambda: bytes(h2.streams[flowing].data) == b"alive")
    assert not any(h2.streams[n].status for n in waiting)
    assert h2.wait(lambda: all(h2.streams[n].ended for n in waiting), 20)
    assert time.monotonic() - began < 15, "resolve_time_limit is two seconds"
    assert {(h2.streams[n].status, h2.streams[n].problem["code"]) for n in waiting} == {(502, "unreachable")}


def own_address():
    """An address of this machine that is not loopback; no packet is sent for it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return probe.getsockname()[0]


def test_B2_the_gateway_is_no_way_to_itself(new_world, closing):
    """By name and by number; not even where a resource names the whole network."""
    address = own_address()
    if not address or address.startswith("127."):
        pytest.skip("this machine has no address but loopback")
    server = closing(NameServer([address]))
    world = new_world(settings=[f'resolver = {{"{server.address}"}}'])
    reach(world, f"self.corp.example:{world.port}", f"{address.rsplit('.', 1)[0]}.0/24:{world.port}")
    token = login(world, "alice-laptop")
    h2 = clients.Http2(world)
    for host in ("self.corp.example", address):
        number, status = h2.connect(f"{host}:{world.port}", token)
        assert (status, h2.streams[number].problem["code"]) == (403, "address_forbidden")


def test_B2_a_name_that_changes_its_mind_is_judged_each_time(new_world, closing):
    """The resource names one loopback address literally: a name may mean that one, and no other."""
    target = closing(Target())
    server = closing(NameServer(["127.0.0.1", "127.0.0.9", "127.0.0.1"]))
    world = new_world(settings=[f'resolver = {{"{server.address}"}}'])
    reach(world, f"flip.corp.example:{target.port}", f"127.0.0.1:{target.port}")
    token = login(world, "alice-laptop")
    h2 = clients.Http2(world)
    numbers = [h2.connect(f"flip.corp.example:{target.port}", token) for _ in range(3)]
    assert [status for _, status in numbers] == [200, 403, 200]
    assert h2.streams[numbers[1][0]].problem["code"] == "address_forbidden"
    assert server.asked == 3, "an answer was used twice"
