"""Frames of the edges, for tests that play one end of a real room's edge.

The tables are read from include/sallyport/edge/*.h, so that a message is defined once; the byte format is
that of src/ipc/codec.c: type (16 bits), then the fields; numbers in the machine's order, text and bytes with
a 32-bit length in front; one frame per datagram, with at most one descriptor.
"""
import array
import os
import pathlib
import re
import socket
import struct

EDGES = pathlib.Path(__file__).resolve().parents[2] / "include" / "sallyport" / "edge"
FRAME_MAX = 160000
NUMBERS = {"u8": "=B", "u32": "=I", "u64": "=Q"}
SECONDS = 20


class Edge:
    """The table of one edge: names in the order of their types, and the fields of each."""

    def __init__(self, name):
        text = EDGES.joinpath(f"{name}.h").read_text()
        text = re.sub(r"/\*.*?\*/", "", text, flags=re.S).replace("\\\n", " ")
        self.name = name
        self.messages = re.findall(rf"\bM\({name}, (\w+),", text)
        self.fields = {}
        for message in self.messages:
            line = re.search(rf"#define {name}_{message}_FIELDS\(F\)(.*)", text).group(1)
            self.fields[message] = re.findall(r"F\((\w+), (\w+), [^()]*\)", line)

    def encode(self, message, **values):
        frame = struct.pack("=H", self.messages.index(message))
        for kind, field in self.fields[message]:
            value = values.pop(field, 0 if kind in NUMBERS else b"")
            if kind in NUMBERS:
                frame += struct.pack(NUMBERS[kind], value)
            else:
                data = value.encode() if isinstance(value, str) else bytes(value)
                frame += struct.pack("=I", len(data)) + data
        assert not values, f"{message} has no field {', '.join(values)}"
        return frame

    def decode(self, frame):
        (number,) = struct.unpack_from("=H", frame)
        message, place, values = self.messages[number], 2, {}
        for kind, field in self.fields[message]:
            layout = NUMBERS.get(kind, "=I")
            (value,) = struct.unpack_from(layout, frame, place)
            place += struct.calcsize(layout)
            if kind not in NUMBERS:
                data = frame[place:place + value]
                place += value
                value = data.decode() if kind == "str" else data
            values[field] = value
        assert place == len(frame), f"{message} is too long"
        return message, values


class Message:
    """One received message: .name, its fields as attributes, .fd (or None; the receiver's to close)."""

    def __init__(self, name, values, fd):
        self.name, self.values, self.fd = name, values, fd

    def __getattr__(self, field):
        try:
            return self.values[field]
        except KeyError:
            raise AttributeError(field) from None

    def __repr__(self):
        return f"{self.name}{self.values}"


class Closed(Exception):
    """The other end has closed the edge."""


class Peer:
    """Our end of an edge."""

    def __init__(self, edge, end):
        self.edge, self.end = Edge(edge), end
        end.settimeout(SECONDS)

    def send(self, message, fd=None, **values):
        self.send_raw(self.edge.encode(message, **values), fd)

    def send_raw(self, frame, fd=None):
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))] if fd is not None else []
        try:
            self.end.sendmsg([frame], ancillary)
        except (BrokenPipeError, ConnectionResetError):
            raise Closed from None

    def receive(self, wanted=None, seconds=None):
        """The next message; with `wanted` it must have that name. Raises Closed, or TimeoutError."""
        self.end.settimeout(seconds or SECONDS)
        try:
            frame, ancillary, _, _ = self.end.recvmsg(FRAME_MAX, socket.CMSG_SPACE(4), socket.MSG_CMSG_CLOEXEC)
        except ConnectionResetError:
            raise Closed from None
        if not frame:
            raise Closed
        fds = array.array("i")
        for _, _, data in ancillary:
            fds.frombytes(data)
        message = Message(*self.edge.decode(frame), fds[0] if fds else None)
        assert wanted in (None, message.name), f"{message} came instead of {wanted}"
        return message

    def is_closed(self, seconds=SECONDS):
        """Waits for the other end to close; anything else it says first is an error."""
        try:
            message = self.receive(seconds=seconds)
        except Closed:
            return True
        except TimeoutError:
            return False
        raise AssertionError(f"{message} came instead of the end")

    def close(self):
        self.end.close()


def pair(first, second=None):
    """A new edge: our end as a Peer, and the other end as a socket to give away (or as a second Peer)."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return Peer(first, ours), Peer(second, theirs) if second else theirs


def open_bytes(content):
    """A read-only descriptor of a file that holds these bytes and has no name."""
    fd = os.memfd_create("test")
    os.write(fd, content)
    reader = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
    os.close(fd)
    return reader
