"""Who is told: a real SMTP server with TLS and passwords, a webhook that can be wrong in many ways, a log server."""
import base64
import contextlib
import email
import email.policy
import http.server
import json
import socket
import ssl
import threading
import time

import h2.config
import h2.connection
import h2.events
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from world import free_port, run, wait_until


def certificate(folder, name="localhost"):
    """Self-signed, for this machine."""
    key, cert = folder / f"{name}.key", folder / f"{name}.crt"
    if not cert.exists():
        run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-keyout", key, "-out", cert, "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name},IP:127.0.0.1"])
        cert.chmod(0o644)
    return cert, key


class Mailbox:
    """aiosmtpd with STARTTLS demanded and a password, until told otherwise."""

    def __init__(self, folder, password="s3cret word", user="gateway"):
        self.folder, self.password, self.user = folder, password, user
        self.cert, self.key = certificate(folder)
        self.port = free_port()
        self.messages, self.raw, self.refuse, self.tried = [], [], None, []
        self.controller = None

    def start(self, tls=True):
        if not tls:
            self.controller = Controller(self, hostname="127.0.0.1", port=self.port, authenticator=self.check,
                                         auth_require_tls=False)
            self.controller.start()
            return self
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.cert, self.key)
        self.controller = Controller(self, hostname="127.0.0.1", port=self.port, tls_context=context, require_starttls=True,
                                     authenticator=self.check, auth_required=True, auth_require_tls=True)
        self.controller.start()
        return self

    def stop(self):
        if self.controller:
            self.controller.stop()
            self.controller = None

    def check(self, server, session, envelope, mechanism, data):
        self.tried.append(data.password)
        good = data.login == self.user.encode() and data.password == self.password.encode()
        return AuthResult(success=good, handled=False)

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        if self.refuse and self.refuse in message.get_content():
            return "554 5.7.1 not that one"
        message.over_tls = session.ssl is not None
        message.envelope = envelope
        self.raw.append(envelope.content)
        self.messages.append(message)
        return "250 taken"

    def text(self):
        return "\n".join(f"{m['Subject']}\n{m.get_content()}" for m in list(self.messages))

    def wait_for(self, word, seconds=20):
        wait_until(lambda: word in self.text(), f"a mail with {word!r}; there is {self.text()!r}", seconds)
        return next(m for m in self.messages if word in f"{m['Subject']}\n{m.get_content()}")

    def section(self, events, name="mail", **more):
        lines = {"server": f"smtp://localhost:{self.port}", "from": "sallyport@corp.example", "user": self.user,
                 "secret_file": str(self.secret_file()), "authority": str(self.cert), "at_most": "1000/1s",
                 "to": "mailto:security@corp.example,second@corp.example", **more}
        text = "  ".join(f'{key} = "{value}"' for key, value in lines.items() if value)
        return f'alert "{name}" {{ events = {{{", ".join(chr(34) + e + chr(34) for e in events)}}} {text} }}'

    def secret_file(self):
        path = self.folder / "mail.secret"
        path.write_text(self.password + "\n")
        path.chmod(0o600)
        return path


class Hook:
    """A webhook; `mood` says how it is wrong."""

    def __init__(self, tls=None):
        self.requests, self.mood, self.elsewhere = [], "good", []
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                hook.elsewhere.append(self.path)
                self.plain(200)

            def plain(self, status, **headers):
                self.send_response(status)
                for key, value in headers.items():
                    self.send_header(key, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.path != "/hook":
                    hook.elsewhere.append(self.path)
                    self.plain(200)
                    return
                try:
                    self.react(body)
                except (BrokenPipeError, ConnectionResetError):
                    pass

            def react(self, body):
                mood = hook.mood(json.loads(body)) if callable(hook.mood) else hook.mood
                if mood in ("good", "endless"):
                    hook.requests.append((dict(self.headers), body))
                if mood == "good":
                    self.plain(204)
                elif mood == "endless":
                    self.send_response(200)
                    self.end_headers()
                    while True:
                        self.wfile.write(b"y" * 65536)
                elif mood == "redirect":
                    self.plain(307, Location="/other")
                elif mood == "slow":
                    time.sleep(2)
                    self.plain(503)
                else:
                    self.plain(mood)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if tls:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.server.server_port}/hook"

    def bodies(self):
        return [json.loads(body) for _, body in list(self.requests)]

    def events(self):
        return [event for body in self.bodies() for event in body["events"]]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Log:
    """Takes what comes: a unix or UDP socket, or TCP connections with octet counting."""

    def __init__(self, kind, place=None):
        self.lines = []
        if kind == "unix":
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self.socket.bind(str(place))
            place.chmod(0o777)
        else:
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
            self.socket.bind(("127.0.0.1", 0))
            self.port = self.socket.getsockname()[1]
        if kind == "tcp":
            self.socket.listen()
        threading.Thread(target=self.take_connections if kind == "tcp" else self.take_datagrams, daemon=True).start()

    def take_datagrams(self):
        while True:
            try:
                self.lines.append(self.socket.recv(65536).decode())
            except OSError:
                return

    def take_connections(self):
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            with peer:
                stream = peer.makefile("rb").read()
            while stream:
                length, _, stream = stream.partition(b" ")
                self.lines.append(stream[:int(length)].decode())
                stream = stream[int(length):]

    def wait_for(self, word, seconds=20):
        wait_until(lambda: any(word in line for line in self.lines), f"a line with {word!r}", seconds)
        return next(line for line in self.lines if word in line)

    def close(self):
        self.socket.close()


class Enroller:
    """Somebody who answers at the enrolment's address and shows another authority: what was he told?"""

    def __init__(self, folder):
        self.cert, key = certificate(folder)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.cert, key)
        self.context.set_alpn_protocols(["h2"])
        run(["openssl", "crl2pkcs7", "-nocrl", "-certfile", self.cert, "-outform", "DER", "-out", folder / "cacerts"])
        self.answer = base64.encodebytes((folder / "cacerts").read_bytes())
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.requests, self.header_names, self.bytes = [], [], b""
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                raw, _ = self.listener.accept()
                raw.settimeout(20)
                with contextlib.suppress(OSError), self.context.wrap_socket(raw, server_side=True) as peer:
                    self.talk(peer)

    def talk(self, peer):
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding=None))
        connection.initiate_connection()
        bodies = {}
        while True:
            peer.sendall(connection.data_to_send())
            data = peer.recv(65536)
            if not data:
                return
            self.bytes += data
            for event in connection.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    fields = dict(event.headers)
                    self.header_names += fields
                    self.bytes += b"".join(fields.values())
                    bodies[event.stream_id] = [fields[b":method"].decode(), fields[b":path"].decode(), b""]
                elif isinstance(event, h2.events.DataReceived):
                    bodies[event.stream_id][2] += event.data
                elif isinstance(event, h2.events.StreamEnded):
                    self.requests.append(tuple(bodies[event.stream_id]))
                    connection.send_headers(event.stream_id, [(":status", "200")])
                    connection.send_data(event.stream_id, self.answer, end_stream=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()
