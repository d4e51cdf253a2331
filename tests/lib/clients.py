"""Clients of the gateway that do what curl cannot: raw TLS, HTTP/1.1 CONNECT byte by byte, HTTP/2 streams.

All are blocking and bounded in time, so that a test that hangs fails instead.
"""
import json
import socket
import ssl
import subprocess
import time

import h2.config
import h2.connection
import h2.events
import h2.settings

SECONDS = 20


def tls_context(world, laptop=None, certificate=None, key=None, alpn=("h2",)):
    context = ssl.create_default_context(cafile=str(world.path("etc", "server-ca.crt")))
    if laptop:
        certificate, key = world.laptops[laptop].certificate, world.laptops[laptop].key
    if certificate:
        context.load_cert_chain(str(certificate), str(key))
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def connect(world, laptop="alice-laptop", alpn=("h2",), context=None, receive_buffer=None, source=None, ragged=True):
    """`ragged`: an end without close_notify reads like one with it; else it is an error."""
    raw = socket.socket()
    if source:
        raw.bind((source, 0))
    if receive_buffer:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    raw.settimeout(SECONDS)
    raw.connect(("127.0.0.1", world.port))
    context = context or tls_context(world, laptop, alpn=alpn)
    return context.wrap_socket(raw, server_hostname="localhost", suppress_ragged_eofs=ragged)


def read_head(peer):
    """One HTTP/1.1 response head: (status, headers, bytes that came with it)."""
    received = b""
    while b"\r\n\r\n" not in received:
        piece = peer.recv(65536)
        if not piece:
            return 0, {}, received
        received += piece
    head, _, rest = received.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    return int(lines[0].split()[1]), headers, rest


def http1(world, request, laptop="alice-laptop", peer=None):
    """Sends raw bytes on a new HTTP/1.1 connection; returns (status, headers, body, peer)."""
    peer = peer or connect(world, laptop, alpn=("http/1.1",))
    peer.sendall(request)
    status, headers, rest = read_head(peer)
    length = int(headers.get("content-length", 0))
    while len(rest) < length:
        piece = peer.recv(65536)
        if not piece:
            break
        rest += piece
    return status, headers, rest, peer


def http1_connect(world, target, token, laptop="alice-laptop", extra=b""):
    """CONNECT by HTTP/1.1: (status, problem or b"", peer that is the tunnel when status is 200). There an end without
    close_notify is an error."""
    head = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nProxy-Authorization: Bearer {token}\r\n\r\n".encode()
    status, _, body, peer = http1(world, head + extra, laptop, connect(world, laptop, ("http/1.1",), ragged=False))
    return status, body, peer


class Stream:
    def __init__(self):
        self.status, self.headers, self.data, self.ended, self.reset = None, {}, bytearray(), False, None

    @property
    def problem(self):
        return json.loads(bytes(self.data) or b"{}")


class Http2:
    """One HTTP/2 connection; every wait serves all its streams."""

    def __init__(self, world, laptop="alice-laptop", window=1 << 20, acknowledge=True, peer=None):
        self.peer = peer or connect(world, laptop)
        self.acknowledge, self.unread = acknowledge, set()  # streams that the application does not read
        self.streams, self.goaway, self.closed = {}, None, False
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(
            # This library would not let a CONNECT through: it misses :path (RFC 9113 8.5 says there is none).
            client_side=True, header_encoding="utf-8", validate_outbound_headers=False))
        self.h2.initiate_connection()
        self.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.h2.increment_flow_control_window(1 << 24)
        self.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.peer.close()

    def flush(self):
        try:
            self.peer.sendall(self.h2.data_to_send())
        except OSError:
            self.closed = True

    def turn(self, seconds=SECONDS):
        """Receives once; False when the connection is over or nothing came in time."""
        self.peer.settimeout(seconds)
        try:
            piece = self.peer.recv(1 << 18)
        except TimeoutError:
            return False
        except OSError:
            piece = b""
        if not piece:
            self.closed = True
            for stream in self.streams.values():
                stream.ended = True
            return False
        for event in self.h2.receive_data(piece):
            self.handle(event)
        self.flush()
        return True

    def handle(self, event):
        stream = self.streams.setdefault(getattr(event, "stream_id", 0), Stream())
        if isinstance(event, h2.events.ResponseReceived):
            for name, value in event.headers:
                stream.headers[name] = f"{stream.headers[name]}, {value}" if name in stream.headers else value
            stream.status = int(stream.headers[":status"])
        elif isinstance(event, h2.events.DataReceived):
            stream.data += event.data
            if self.acknowledge and event.stream_id not in self.unread:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            stream.ended = True
        elif isinstance(event, h2.events.StreamReset):
            stream.ended, stream.reset = True, event.error_code
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.goaway = event.error_code

    def wait(self, condition, seconds=SECONDS):
        deadline = time.monotonic() + seconds
        while not condition():
            left = deadline - time.monotonic()
            if left <= 0 or not (self.turn(left) or not self.closed):
                return bool(condition())
        return True

    def request(self, headers, end=True):
        number = self.h2.get_next_available_stream_id()
        self.streams[number] = Stream()
        self.h2.send_headers(number, headers, end_stream=end)
        self.flush()
        return number

    def start_connect(self, target, token=None):
        headers = [(":method", "CONNECT"), (":authority", target)]
        if token:
            headers.append(("proxy-authorization", f"Bearer {token}"))
        return self.request(headers, end=False)

    def connect(self, target, token=None):
        """Opens a tunnel: (stream number, status). The body of a refusal is in streams[number].problem."""
        number = self.start_connect(target, token)
        stream = self.streams[number]
        self.wait(lambda: stream.status is not None or stream.ended)
        if stream.status != 200:
            self.wait(lambda: stream.ended)
        return number, stream.status

    def send(self, number, data, end=False):
        data = memoryview(data)
        while data or end:
            room = min(self.h2.local_flow_control_window(number), self.h2.max_outbound_frame_size, len(data))
            if data and room == 0:
                if not self.wait(lambda: self.h2.local_flow_control_window(number) > 0):
                    raise TimeoutError("the stream's window stays shut")
                continue
            self.h2.send_data(number, bytes(data[:room]), end_stream=end and room == len(data))
            self.flush()
            data = data[room:]
            if not data:
                return

    def reset(self, number, code=8):
        self.h2.reset_stream(number, code)
        self.flush()


def children(world, name):
    """Processes of the monitor's that are called so: rooms."""
    listing = subprocess.run(["ps", "--ppid", str(world.gateway.pid), "-o", "pid=,args="], text=True, capture_output=True, check=False)
    return [int(line.split()[0]) for line in listing.stdout.splitlines() if name in line]
