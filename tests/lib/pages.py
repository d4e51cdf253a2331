"""Clients that ask the gateway for plain pages by their whole address, as browsers do, on HTTP/1.1 and on HTTP/2."""
import http.client
import json

import clients


class Answer:
    def __init__(self, status, headers, body, broken=False):
        self.status, self.headers, self.body, self.broken = status, headers, body, broken

    @property
    def problem(self):
        return json.loads(self.body)


class Http1:
    """A client of HTTP/1.1 that keeps its connection."""

    def __init__(self, world, token, **options):
        self.world, self.token = world, token
        self.peer = clients.connect(world, alpn=("http/1.1",), ragged=False, **options)

    def send(self, url, method="GET", headers=(), body=b""):
        lines = [f"{method} {url} HTTP/1.1", "Host: other", *(f"{name}: {value}" for name, value in headers)]
        if self.token:
            lines.append(f"Proxy-Authorization: Bearer {self.token}")
        self.peer.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def receive(self, method="GET"):
        response = http.client.HTTPResponse(self.peer, method=method)
        try:
            response.begin()
        except OSError:
            return Answer(None, {}, b"", broken=True)  # a reset overtakes what was sent before it
        headers = {}
        for name, value in response.getheaders():
            headers[name.lower()] = f"{headers[name.lower()]}, {value}" if name.lower() in headers else value
        try:
            return Answer(response.status, headers, response.read())
        except (http.client.IncompleteRead, OSError) as error:
            return Answer(response.status, headers, getattr(error, "partial", b""), broken=True)

    def ask(self, url, method="GET", headers=(), body=b""):
        self.send(url, method, headers, body)
        return self.receive(method)

    def close(self):
        self.peer.close()


class Http2:
    def __init__(self, world, token, **options):
        self.world, self.token = world, token
        self.h2 = clients.Http2(world, **options)

    def send(self, url, method="GET", headers=(), body=b"", length=None):
        authority, _, path = url.removeprefix("http://").partition("/")
        fields = [(":method", method), (":scheme", "http"), (":authority", authority), (":path", f"/{path}"),
                  *((name.lower(), value) for name, value in headers)]
        if self.token:
            fields.append(("proxy-authorization", f"Bearer {self.token}"))
        number = self.h2.request(fields, end=not body)
        if body:
            self.h2.send(number, body, end=True)
        return number

    def receive(self, number):
        stream = self.h2.streams[number]
        assert self.h2.wait(lambda: stream.ended)
        return Answer(stream.status, stream.headers, bytes(stream.data), broken=stream.reset is not None)

    def ask(self, url, method="GET", headers=(), body=b""):
        return self.receive(self.send(url, method, headers, body))

    def close(self):
        self.h2.peer.close()
