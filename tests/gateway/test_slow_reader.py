"""E6: backpressure from end to end: who reads slowly slows his own tunnel only, and grows no process.

The four ways of a transfer run side by side, each to a reader of 1 MiB/s. SALLYPORT_SLOW_MIB sets how much (24: as long as
it takes to tell a leak of some per cent from none; 1024: the whole GiB, 17 minutes).
"""
import os
import socket
import threading
import time

import pytest

import api
import clients
import proc
from targets import Deaf, allow

MIB = int(os.environ.get("SALLYPORT_SLOW_MIB", "24"))
SETTLED = 8      # MiB after which whatever is bounded has reached its bound
PIECE = 1 << 18  # each quarter of a second
BLOCK = os.urandom(PIECE)
WAYS = [(protocol, direction) for protocol in ("h1", "h2") for direction in ("down", "up")]


def read_slowly(receive, note):
    """`receive()` gives some bytes; whatever comes must be BLOCK, again and again. Returns how many came."""
    total, held, due = 0, bytearray(), time.monotonic()
    while total < MIB << 20:
        while len(held) < PIECE:
            piece = receive(PIECE - len(held))
            if not piece:
                return total + len(held)
            held += piece
        assert held[:PIECE] == BLOCK, f"other bytes from {total} on"
        del held[:PIECE]
        total += PIECE
        note(total)
        due = max(due + 0.25, time.monotonic() - 1)
        time.sleep(max(0, due - time.monotonic()))
    return total + len(held)


class Transfer(threading.Thread):
    """One tunnel: the fast end sends without pause, the slow end reads 1 MiB/s."""

    def __init__(self, world, token, protocol, direction):
        super().__init__(daemon=True)
        self.world, self.token, self.protocol, self.direction = world, token, protocol, direction
        self.received, self.at_end, self.error = 0, 0, None
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(60)
        self.port = self.listener.getsockname()[1]

    def open(self):
        address = f"127.0.0.1:{self.port}"
        if self.protocol == "h1":
            status, _, self.client = clients.http1_connect(self.world, address, self.token)
        else:
            # A window without end: TCP alone holds the gateway back.
            self.client = clients.Http2(self.world, window=(1 << 31) - 1)
            self.client.h2.increment_flow_control_window((1 << 31) - 1 - (1 << 25))
            self.client.flush()
            self.stream, status = self.client.connect(address, self.token)
        assert status == 200
        self.target, _ = self.listener.accept()
        self.target.settimeout(60)
        if self.protocol == "h1":
            self.client.settimeout(60)

    def note(self, total):
        self.received = total

    def receive_by_h2(self, _):
        data = self.client.streams[self.stream].data
        while not data and self.client.turn(60):
            pass
        taken = bytes(data)
        data.clear()
        return taken

    def run(self):
        try:
            sender = threading.Thread(target=self.send_all, daemon=True)
            sender.start()
            if self.direction == "up":
                receive = self.target.recv
            else:
                receive = self.client.recv if self.protocol == "h1" else self.receive_by_h2
            self.at_end = read_slowly(receive, self.note)
            sender.join(60)
        except Exception as error:  # seen by the test
            self.error = error

    def send_all(self):
        try:
            for _ in range(MIB << 20 >> 18):
                if self.direction == "down":
                    self.target.sendall(BLOCK)
                elif self.protocol == "h1":
                    self.client.sendall(BLOCK)
                else:
                    self.client.send(self.stream, BLOCK)
        except Exception as error:
            self.error = error

    def close(self):
        (self.client if self.protocol == "h1" else self.client.peer).close()
        self.target.close()
        self.listener.close()


def watch(world, transfers):
    """(most growth since the start, growth after SETTLED MiB) of each process, in KiB."""
    pids = proc.gateway(world)
    before = {pid: proc.private_kib(pid) for pid in pids}
    settled, most, last = None, dict.fromkeys(pids, 0), dict(before)
    while any(transfer.is_alive() for transfer in transfers):
        time.sleep(0.5)
        for pid in pids:
            last[pid] = proc.private_kib(pid)
            most[pid] = max(most[pid], last[pid] - before[pid])
        if settled is None and all(transfer.received >= SETTLED << 20 for transfer in transfers):
            settled = dict(last)
    assert settled, [transfer.error for transfer in transfers]
    return {(name, pid): (most[pid], last[pid] - settled[pid]) for pid, name in pids.items()}


@pytest.fixture(scope="module")
def slow(release):
    """All four at once, on the programs as shipped: {way: transfer}, and what each process grew by."""
    from worlds import Worlds
    worlds = Worlds(release)
    try:
        world = worlds()
        token = api.login(world).body["session"]
        made = {way: Transfer(world, token, *way) for way in WAYS}
        allow(world, *(transfer.port for transfer in made.values()))
        for transfer in made.values():
            transfer.open()
        for transfer in made.values():
            transfer.start()
        grown = watch(world, list(made.values()))
        for transfer in made.values():
            transfer.close()
        print(f"\ngrowth in KiB, most and after {SETTLED} of {MIB} MiB:", *grown.items(), sep="\n  ")
        yield made, grown
    finally:
        worlds.close()


@pytest.mark.parametrize("way", WAYS, ids="-".join)
def test_E6_every_byte_reaches_the_slow_reader(slow, way):
    transfer = slow[0][way]
    assert transfer.error is None
    assert transfer.at_end == MIB << 20


def test_E6_slow_reader_grows_no_process(slow):
    grown = slow[1]
    late = [after for (name, _), (_, after) in grown.items() if name == "sallyport-worker"]  # through no other room goes a byte
    assert len(late) >= len(WAYS)
    assert max(most for most, _ in grown.values()) <= 4096, grown
    assert max(late) <= 512, f"something leaks with every byte: {grown}"


@pytest.mark.parametrize("side", ["client", "target"])
def test_E6_slow_reader_slows_only_its_own_tunnel(new_world, side):
    """On one connection: a flood that the client does not take, or one that the target does not; beside it, a quick tunnel."""
    world = new_world()
    slow = Deaf(floods=side == "client")
    allow(world, slow.port)
    token = api.login(world).body["session"]
    payload = os.urandom(1 << 20)
    try:
        with clients.Http2(world, window=1 << 16) as h2:
            number, status = h2.connect(f"127.0.0.1:{slow.port}", token)
            quick, quick_status = h2.connect(f"127.0.0.1:{world.echo}", token)
            assert (status, quick_status) == (200, 200)
            h2.unread.add(number)
            stuffed = fill_from_target(h2, slow) if side == "client" else fill_from_client(h2, number)
            assert stuffed > 2 << 20, "more than any buffer of the gateway holds"
            held = len(h2.streams[number].data)
            h2.send(quick, payload, end=True)
            assert h2.wait(lambda: h2.streams[quick].ended)
            assert bytes(h2.streams[quick].data) == payload
            # The other one is as stuck as before.
            assert len(h2.streams[number].data) == held and not h2.streams[number].ended
            assert side == "client" or h2.h2.local_flow_control_window(number) == 0
    finally:
        slow.close()


def fill_from_target(h2, slow):
    """Until the target can send no more."""
    sent = -1
    while sent != slow.sent or sent < 1 << 16:
        sent = slow.sent
        h2.wait(lambda: False, 1)
    return sent


def fill_from_client(h2, number):
    """Until the stream's window stays shut: the target's buffers are full, and the gateway's."""
    has_room, sent = lambda: h2.h2.local_flow_control_window(number) > 0, 0
    while h2.wait(has_room, 1):
        piece = bytes(min(h2.h2.local_flow_control_window(number), 1 << 20))
        h2.send(number, piece)
        sent += len(piece)
    return sent
