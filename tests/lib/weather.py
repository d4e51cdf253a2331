"""Laptops, a NAT, a gateway and an internal network, each in a network namespace of its own; and the weather between them.

    laptop 10.9.10.2 --lan0-- NAT --way0-- 10.9.0.1 gateway (this process) --inside0-- 10.9.2.2 internal network
    laptop 10.9.11.2 --lan1--  |
                            10.9.0.2 (masquerade, conntrack)

Between NAT and gateway stand two TUN devices and a process, `carry`, which delays, loses and limits what passes: no
kernel module is needed for it (sch_netem is not everywhere). Big segments pass whole, as a network card takes them; while
packets are lost they are the wire's.
"""
import contextlib
import ctypes
import fcntl
import heapq
import json
import os
import pathlib
import random
import select
import signal
import socket
import struct
import subprocess
import time

GATEWAY, NAT, INSIDE, NAME = "10.9.0.1", "10.9.0.2", "10.9.2.2", "gw.test"
CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)

# Whose flow the NAT does not know is dropped without a word, as most of them do.
NAT_RULES = """
sysctl -qw net.ipv4.ip_forward=1 net.netfilter.nf_conntrack_tcp_loose=0 net.netfilter.nf_conntrack_tcp_be_liberal=1
nft -f - <<END
table ip weather {
    set silent { type ipv4_addr; }
    chain unknown { type filter hook prerouting priority -150; ct state invalid drop; }
    chain forward { type filter hook forward priority 0; ip saddr @silent drop; ip daddr @silent drop; }
    chain translate { type nat hook postrouting priority 100; oifname "way0" masquerade random; }
}
END
"""


def checked(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def make_tun(name):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    flags = 0x0001 | 0x1000 | 0x4000  # IFF_TUN | IFF_NO_PI | IFF_VNET_HDR
    fcntl.ioctl(fd, 0x400454CA, struct.pack("16sH", name.encode(), flags) + bytes(22))
    return fd


def take_whole_segments(fd, on):
    checksum, tcp4 = 1, 2
    fcntl.ioctl(fd, 0x400454D0, checksum | tcp4 if on else 0)  # TUNSETOFFLOAD


class Way:
    """One direction: a rate (bytes a second) with a queue of `queue` seconds, then a delay, and loss."""

    def __init__(self, to):
        self.to, self.free_at = to, 0.0

    def departure(self, size, weather):
        """When this packet arrives, or None when it is lost."""
        now = time.monotonic()
        if weather["loss"] and random.random() < weather["loss"]:
            return None
        if weather["rate"]:
            start = max(now, self.free_at)
            if start - now > weather["queue"]:
                return None
            now = self.free_at = start + size / weather["rate"]
        return now + weather["delay"]


def carry(ends, control):
    """The way itself. Orders come as JSON lines: delay (seconds, one way), loss (0 to 1), rate, queue."""
    weather = {"delay": 0.0, "loss": 0.0, "rate": 0, "queue": 0.1}
    ways = {ends[0]: Way(ends[1]), ends[1]: Way(ends[0])}
    order, waiting = 0, []
    for fd in ends:
        take_whole_segments(fd, True)
    while True:
        timeout = max(0, waiting[0][0] - time.monotonic()) if waiting else None
        ready, _, _ = select.select([*ends, control], [], [], timeout)
        if control in ready:
            text = os.read(control, 65536)
            if not text:
                return
            weather.update(json.loads(text.splitlines()[-1]))
            for fd in ends:
                take_whole_segments(fd, not weather["loss"])
            os.write(control, b"done")
        for fd, way in ways.items():
            if fd not in ready:
                continue
            for _ in range(64):
                try:
                    packet = os.read(fd, 70000)
                except OSError:
                    break
                due = way.departure(len(packet), weather)
                if due is not None:
                    order += 1
                    heapq.heappush(waiting, (due, order, way.to, packet))
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _, _, fd, packet = heapq.heappop(waiting)
            with contextlib.suppress(OSError):
                os.write(fd, packet)


class Place:
    """A namespace that a sleeping process holds; `prefix` makes a command run there."""

    def __init__(self, script="true"):
        self.process = subprocess.Popen(["unshare", "-n", "-m", "--propagation", "private", "sh", "-ec",
                                         f"ip link set lo up; {script}; echo ready; exec sleep 3600"],
                                        stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, start_new_session=True)
        if self.process.stdout.readline() != b"ready\n":
            raise OSError("a namespace cannot be made")

    @property
    def pid(self):
        return self.process.pid

    @property
    def prefix(self):
        return ["nsenter", "-t", str(self.pid), "-n", "-m", "-r", "-w", "--"]

    def run(self, script, **options):
        options.setdefault("check", True)
        return subprocess.run([*self.prefix, "sh", "-ec", script], **options)

    def enter(self):
        """This thread stands there from now on."""
        with open(f"/proc/{self.pid}/ns/net", "rb") as place:
            checked(LIBC.setns(place.fileno(), CLONE_NEWNET))

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class Laptop(Place):
    """Behind the NAT; its own hosts file, and a name server that nobody is."""

    def __init__(self, weather, number):
        self.weather, self.number = weather, number
        self.net = f"10.9.{10 + number}"
        self.address = f"{self.net}.2"
        folder = weather.folder
        super().__init__(f"mount --bind {folder}/hosts /etc/hosts; mount --bind {folder}/resolv.conf /etc/resolv.conf")
        weather.nat.run(f"ip link add lan{number} type veth peer name lan0 netns {self.pid}; "
                        f"ip addr add {self.net}.1/24 dev lan{number}; ip link set lan{number} up")
        self.take_address(self.address)

    def take_address(self, address):
        self.run(f"ip addr flush dev lan0; ip addr add {address}/24 dev lan0; ip link set lan0 up; "
                 f"ip route replace default via {self.net}.1")
        self.address = address

    def link(self, state):
        """The cable: the kernel tells who listens, and what DHCP would do is done."""
        self.run(f"ip link set lan0 {state}")
        if state == "up":
            self.run(f"ip route replace default via {self.net}.1")

    def silence(self, on):
        """Nothing passes the NAT, and nobody is told."""
        self.weather.nat.run(f"nft {'add' if on else 'delete'} element ip weather silent '{{ {self.address} }}'")

    def be_forgotten(self):
        """By the NAT: what it knew of this laptop's flows is gone."""
        self.weather.nat.run(f"conntrack -D -s {self.address} >/dev/null 2>&1")


class Weather:
    """Enter: this process stands in the gateway's namespace; `laptops[0]`, ... are the others'."""

    def __init__(self, folder, laptops=1):
        self.folder, self.count = pathlib.Path(folder), laptops

    def __enter__(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "hosts").write_text(f"127.0.0.1 localhost\n{GATEWAY} {NAME}\n")
        (self.folder / "resolv.conf").write_text("nameserver 192.0.2.1\noptions timeout:1 attempts:1\n")
        self.home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self.stack = contextlib.ExitStack()
        try:
            self.build()
        except BaseException:
            self.__exit__()
            raise
        return self

    def place(self, made):
        self.stack.callback(made.end)
        return made

    def build(self):
        self.gateway, self.nat, self.inside = (self.place(Place()) for _ in range(3))
        self.nat.enter()
        near = make_tun("way0")
        self.gateway.enter()
        far = make_tun("way0")
        self.start_carrying(near, far)
        self.gateway.run(f"ip addr add {GATEWAY}/24 dev way0; ip link set way0 up; "
                         f"ip link add inside0 type veth peer name inside0 netns {self.inside.pid}; "
                         f"ip addr add 10.9.2.1/24 dev inside0; ip link set inside0 up")
        self.inside.run(f"ip addr add {INSIDE}/24 dev inside0; ip link set inside0 up")
        self.nat.run(f"ip addr add {NAT}/24 dev way0; ip link set way0 up; {NAT_RULES}")
        self.laptops = [self.place(Laptop(self, number)) for number in range(self.count)]

    def start_carrying(self, near, far):
        self.control, other = socket.socketpair()
        self.process = os.fork()
        if self.process == 0:
            self.control.close()
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            try:
                carry([near, far], other.fileno())
            finally:
                os._exit(0)
        self.stack.callback(os.waitpid, self.process, 0)
        self.stack.callback(self.control.close)
        for end in (other.fileno(), near, far):
            os.close(end)
        other.detach()

    def __exit__(self, *_):
        self.stack.close()
        checked(LIBC.setns(self.home, CLONE_NEWNET))
        os.close(self.home)

    def set(self, **orders):
        self.control.sendall(json.dumps(orders).encode() + b"\n")
        self.control.settimeout(10)
        self.control.recv(100)
