"""A laptop, a way, a gateway: two network namespaces and a process between them that is the weather.

Both ends are TUN devices; every packet passes through `carry`, which delays, loses, drops or forgets it. So no kernel
module is needed (netem is not everywhere), and a NAT's memory is a set of flows.
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

LAPTOP, GATEWAY, NAME = "10.9.0.2", "10.9.0.1", "gw.test"
CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def checked(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def make_tun(name):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    no_header = 0x0001 | 0x1000  # IFF_TUN | IFF_NO_PI
    fcntl.ioctl(fd, 0x400454CA, struct.pack("16sH", name.encode(), no_header) + bytes(22))
    return fd


def flow_of(packet):
    """The two ends, in an order of their own; None for what has no ports."""
    if packet[0] >> 4 != 4 or packet[9] not in (6, 17):
        return None
    start = (packet[0] & 15) * 4
    ends = [(packet[12:16], packet[start:start + 2]), (packet[16:20], packet[start + 2:start + 4])]
    return tuple(sorted(ends))


def carry(ends, control):
    """The way itself. Orders come as JSON lines: delay (seconds, one way), loss (0 to 1), forget (all flows so far)."""
    delay, loss, order = 0.0, 0.0, 0
    known, forgotten, waiting = set(), set(), []
    while True:
        timeout = max(0, waiting[0][0] - time.monotonic()) if waiting else None
        ready, _, _ = select.select([*ends, control], [], [], timeout)
        if control in ready:
            text = os.read(control, 65536)
            if not text:
                return
            orders = json.loads(text.splitlines()[-1])
            delay, loss = orders.get("delay", delay), orders.get("loss", loss)
            if orders.get("forget"):
                forgotten |= known
            os.write(control, b"done")
        for fd in ends:
            if fd not in ready:
                continue
            for _ in range(64):
                try:
                    packet = os.read(fd, 65536)
                except OSError:
                    break
                flow = flow_of(packet)
                if flow:
                    known.add(flow)
                if flow in forgotten or (loss and random.random() < loss):
                    continue
                order += 1
                heapq.heappush(waiting, (time.monotonic() + delay, order, ends[1 - ends.index(fd)], packet))
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _, _, fd, packet = heapq.heappop(waiting)
            with contextlib.suppress(OSError):
                os.write(fd, packet)


class Weather:
    """Enter: this process stands in the gateway's namespace; `laptop` is a command's prefix for the other one."""

    def __init__(self, folder, mtu=1500):
        self.folder, self.mtu = pathlib.Path(folder), mtu

    def __enter__(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "hosts").write_text(f"127.0.0.1 localhost\n{GATEWAY} {NAME}\n")
        (self.folder / "resolv.conf").write_text("nameserver 192.0.2.1\noptions timeout:1 attempts:1\n")
        self.home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        checked(LIBC.unshare(CLONE_NEWNET))
        here = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        near = make_tun("way0")
        mounts = (f"mount --bind {self.folder}/hosts /etc/hosts && mount --bind {self.folder}/resolv.conf /etc/resolv.conf; "
                  "echo ready; exec sleep 3600")
        self.holder = subprocess.Popen(["unshare", "-n", "-m", "--propagation", "private", "sh", "-c", mounts],
                                       stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, start_new_session=True)
        self.holder.stdout.readline()
        there = os.open(f"/proc/{self.holder.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        checked(LIBC.setns(there, CLONE_NEWNET))
        far = make_tun("way0")
        checked(LIBC.setns(here, CLONE_NEWNET))
        os.close(there)
        os.close(here)
        self.run(f"ip link set lo up; ip addr add {GATEWAY}/24 dev way0; ip link set way0 mtu {self.mtu} up")
        self.on_laptop(f"ip link set lo up; ip addr add {LAPTOP}/24 dev way0; ip link set way0 mtu {self.mtu} up")
        self.control, other = socket.socketpair()
        self.process = os.fork()
        if self.process == 0:
            self.control.close()
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            try:
                carry([near, far], other.fileno())
            finally:
                os._exit(0)
        other.close()
        os.close(near)
        os.close(far)
        return self

    def __exit__(self, *_):
        self.control.close()
        os.waitpid(self.process, 0)
        self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()
        checked(LIBC.setns(self.home, CLONE_NEWNET))
        os.close(self.home)

    @property
    def laptop(self):
        return ["nsenter", "-t", str(self.holder.pid), "-n", "-m", "-r", "-w", "--"]

    @staticmethod
    def run(script):
        subprocess.run(["sh", "-ec", script], check=True)

    def on_laptop(self, script, **options):
        options.setdefault("check", True)
        return subprocess.run([*self.laptop, "sh", "-ec", script], **options)

    def set(self, **orders):
        self.control.sendall(json.dumps(orders).encode() + b"\n")
        self.control.settimeout(10)
        self.control.recv(100)

    def link(self, state):
        self.on_laptop(f"ip link set way0 {state}")
