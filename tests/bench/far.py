"""The figure `far`: one transfer over 100 ms at 1 Gbit/s, by plain TCP, ssh -L and sallyport -L, one after the other.

Laptop, NAT, gateway and target stand in network namespaces (tests/lib/weather.py); a process between two TUN devices is
the way: this kernel's netem is not needed. The way's own TCP may use buffers that fit it.
"""
import contextlib
import subprocess
import sys

from materials import ROOT
from peers import LIMIT
from processes import BenchError

sys.path[:0] = [str(ROOT / "tests" / "lib"), str(ROOT / "packaging" / "world")]

from clients_of_user import log_in
from far_peers import start_peers, transfer_seconds
from far_world import Listener, far_world
from weather import GATEWAY
from world import WorldError, free_port, wait_until

PACKAGES = ("iproute2", "nftables", "conntrack", "python3")
ONE_WAY_SECONDS, BYTES_A_SECOND, QUEUE_SECONDS = 0.05, 125_000_000, 0.1
BUFFERS = "sysctl -qw net.ipv4.tcp_rmem='4096 131072 67108864' net.ipv4.tcp_wmem='4096 65536 67108864'"
DIRECTIONS = {"up": "u", "down": "d"}
DIRECT, DIRECT_KIND = "direct", LIMIT


@contextlib.contextmanager
def direct(world):
    yield GATEWAY, world.direct


@contextlib.contextmanager
def openssh(world):
    """An sshd at the gateway's place, in front of the same target."""
    folder, port, local = world.path("ssh"), free_port(), free_port()
    conf = folder / "far_config"
    text = (folder / "sshd_config").read_text()
    conf.write_text(text.replace(f"ListenAddress {world.inside}:{world.ssh}", f"ListenAddress {GATEWAY}:{port}"))
    (folder / "far_hosts").write_text(f"[{GATEWAY}]:{port} {(folder / 'host.pub').read_text()}")
    world.spawn("sshd-far", ["/usr/sbin/sshd", "-D", "-e", "-f", conf])
    settings = {"UserKnownHostsFile": folder / "far_hosts", "BatchMode": "yes", "IdentitiesOnly": "yes",
                "Ciphers": "aes128-gcm@openssh.com", "ConnectionAttempts": "20"}
    ssh = world.on_laptop("ssh", "-F", "none", *[word for key, value in settings.items() for word in ("-o", f"{key}={value}")],
                          "-i", str(folder / "user"), "-p", str(port), "-N", "-L", f"{local}:{world.inside}:{world.peer}",
                          f"root@{GATEWAY}", stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        looks = ("python3", "-c", f"import socket; socket.create_connection(('127.0.0.1', {local}))")
        wait_until(lambda: world.on_laptop(*looks, stderr=subprocess.DEVNULL).wait() == 0, "the port of ssh -L")
        yield "127.0.0.1", local
    finally:
        ssh.terminate()
        ssh.wait()
        world.stop_process("sshd-far")


@contextlib.contextmanager
def sallyport(world):
    log_in(world)
    with Listener(world, "-L", f":{world.inside}:{world.peer}") as listener:
        yield "127.0.0.1", listener.port


WAYS = {DIRECT: direct, "openssh": openssh, "sallyport": sallyport}


def measure(programs, names, megabytes):
    """Yields (row, peer, megabytes a second). This process stands in the gateway's network meanwhile."""
    try:
        with far_world(programs) as world:
            for place in (world.weather.gateway, *world.weather.laptops):
                place.run(BUFFERS)
            world.weather.set(delay=ONE_WAY_SECONDS, rate=BYTES_A_SECOND, queue=QUEUE_SECONDS)
            start_peers(world)
            for name, way in WAYS.items():
                if name != DIRECT and name not in names:
                    continue
                with way(world) as (host, port):
                    for detail, order in DIRECTIONS.items():
                        yield ("far", detail), name, megabytes / transfer_seconds(world, host, port, order, megabytes, 120)
    except (WorldError, subprocess.SubprocessError, ValueError) as error:
        raise BenchError(str(error)) from error
