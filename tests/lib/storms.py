"""What attackers send: HTTP/2 floods as raw frames, and connections that stay half open or drip.

No client library would send these. Everything is bounded in number and time, and stops when the gateway ends it.
"""
import pathlib
import socket
import struct
import threading
import time

import clients

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 2, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS = 1, 4
# GET / by HPACK's static table, with :authority "x" as a literal.
GET = b"\x82\x84\x87\x01\x01x"
POST = b"\x83\x84\x87\x01\x01x"


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def settings(*entries):
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", *entry) for entry in entries))


# ---- HTTP/2: each yields pieces; the numbers are beyond what any client needs ----

def rapid_reset():
    for number in range(1, 20001, 2):
        yield frame(HEADERS, END_STREAM | END_HEADERS, number, GET) + frame(RST_STREAM, 0, number, b"\0\0\0\x08")


def reset_connect():
    head = b"\x02\x07CONNECT\x01\x0b127.0.0.1:9"
    for number in range(1, 20001, 2):
        yield frame(HEADERS, END_HEADERS, number, head) + frame(RST_STREAM, 0, number, b"\0\0\0\x08")


def continuation():
    yield frame(HEADERS, END_STREAM, 1, GET)
    for _ in range(5000):
        yield frame(CONTINUATION, 0, 1, b"\x00\x01a\x01b" * 100)


def empty_continuation():
    yield frame(HEADERS, END_STREAM, 1, GET)
    for _ in range(20000):
        yield frame(CONTINUATION, 0, 1)


def ping():
    for _ in range(20000):
        yield frame(PING, 0, 0, b"12345678")


def many_settings():
    for _ in range(20000):
        yield settings((4, 65535))


def settings_of_many_entries():
    for _ in range(100):
        yield settings(*[(4, 65535 + n) for n in range(2000)])


def empty_data():
    yield frame(HEADERS, END_HEADERS, 1, POST)
    for _ in range(20000):
        yield frame(DATA, 0, 1)


def priorities():
    for number in range(20000):
        yield frame(PRIORITY, 0, 1 + 2 * (number % 5000), struct.pack(">IB", 0, 1))


def empty_heads():
    """Requests that break the rules of heads: each costs a stream and an error."""
    for number in range(1, 40001, 2):
        yield frame(HEADERS, END_STREAM | END_HEADERS, number, b"")


def window_overflow():
    for _ in range(3):
        yield frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff")


ENDED = (rapid_reset, reset_connect, continuation, empty_continuation, ping, many_settings, settings_of_many_entries,
         empty_data, priorities, empty_heads, window_overflow)


def header_bomb(streams=40):
    """One large entry for HPACK's table, then 15,000 references to it: 16 KiB that say they are 60 MB."""
    big = b"\x40\x01a\x7f" + b"\xa1\x1e" + b"b" * 4000
    yield frame(HEADERS, END_STREAM | END_HEADERS, 1, GET + big)
    for number in range(3, 3 + 2 * streams, 2):
        yield frame(HEADERS, END_STREAM | END_HEADERS, number, GET + b"\xbe" * 15000)


def zero_windows(streams=500):
    """Asks and asks, and never lets an answer come."""
    yield settings((4, 0))
    for number in range(1, 2 * streams, 2):
        yield frame(HEADERS, END_STREAM | END_HEADERS, number, GET)


# ---- sending ----

class Attacker:
    """An enrolled device that sends raw frames, and reads what comes back or does not."""

    def __init__(self, world, laptop="bob-laptop", reads=True):
        self.peer = clients.connect(world, laptop)
        self.reads, self.received, self.ended = reads, bytearray(), False
        self.peer.sendall(PREFACE + settings())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.peer.close()

    def read(self, seconds):
        """False when nothing came in that time, or nothing can come any more."""
        self.peer.settimeout(seconds)
        try:
            piece = self.peer.recv(65536)
        except TimeoutError:
            return False
        except OSError:
            piece = b""
        self.ended = not piece
        self.received += piece
        return not self.ended

    def send(self, pieces, seconds=15):
        """Until all is sent, the gateway has ended it, or it takes no more."""
        deadline = time.monotonic() + seconds
        batch = bytearray()
        for piece in pieces:
            batch += piece
            if len(batch) < 8192:
                continue
            if not self.push(batch, deadline):
                return
            batch.clear()
        self.push(batch, deadline)

    def push(self, batch, deadline):
        while self.reads and self.read(0.001):
            pass
        if self.ended or time.monotonic() > deadline:
            return False
        self.peer.settimeout(5)
        try:
            self.peer.sendall(batch)
        except OSError as error:
            self.ended = not isinstance(error, TimeoutError)
            return False
        return True

    def wait_end(self, seconds=20):
        deadline = time.monotonic() + seconds
        while not self.ended and time.monotonic() < deadline:
            self.read(1)
        return self.ended

    def frames(self):
        """Whole frames that came: (kind, stream, payload)."""
        data, found = bytes(self.received), []
        while len(data) >= 9 and len(data) >= 9 + int.from_bytes(data[:3], "big"):
            size = int.from_bytes(data[:3], "big")
            found.append((data[3], int.from_bytes(data[5:9], "big"), data[9:9 + size]))
            data = data[9 + size:]
        return found


def half_open(world, count, address="127.0.0.1"):
    """Connections on which nothing is said. Those that the gateway closes at once count as well."""
    peers = []
    for _ in range(count):
        peer = socket.socket()
        peer.bind((address, 0))
        peer.settimeout(10)
        peer.connect(("127.0.0.1", world.port))
        peers.append(peer)
    return peers


class Drip(threading.Thread):
    """Sends on many connections one byte at a time, in turn, until stopped or all are ended by the gateway."""

    def __init__(self, peers, text, pause=0.2, limit=40):
        super().__init__(daemon=True)
        self.peers, self.text, self.pause, self.limit = list(peers), text, pause, limit
        self.stopping = threading.Event()

    def run(self):
        deadline = time.monotonic() + self.limit
        for number in range(len(self.text)):
            if self.stopping.wait(self.pause) or time.monotonic() > deadline:
                return
            for peer in list(self.peers):
                try:
                    peer.sendall(self.text[number:number + 1])
                except OSError:
                    self.peers.remove(peer)
                    peer.close()

    def stop(self):
        self.stopping.set()
        self.join(10)
        for peer in self.peers:
            peer.close()


# ---- memory ----

def tree(pid):
    """The process and everything below it."""
    found = [pid]
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            try:
                found += tree(int(child))
            except OSError:
                pass
    return found


def pss_kib(pid):
    """Proportional share of memory of the whole tree: shared pages count once altogether."""
    total = 0
    for process in tree(pid):
        try:
            text = pathlib.Path(f"/proc/{process}/smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return total
