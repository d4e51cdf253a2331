"""A load balancer that speaks the PROXY protocol: heads as text and binary, and clients that come by it."""
import json
import socket
import struct

import clients

SENDER = "127.0.0.3"
TRUST = (f'proxy_protocol_from = {{"{SENDER}"}}',)
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LOCAL = SIGNATURE + b"\x20\x00\x00\x00"


def line(address, port=40000):
    family = "TCP6" if ":" in address else "TCP4"
    return f"PROXY {family} {address} {'::1' if ':' in address else '127.0.0.1'} {port} 443\r\n".encode()


def binary(address, port=40000, more=b"\x03\x00\x04abcd"):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    body = socket.inet_pton(family, address) * 2 + struct.pack("!HH", port, 443) + more
    return SIGNATURE + bytes([0x21, 0x21 if ":" in address else 0x11]) + struct.pack("!H", len(body)) + body


def connect(world, head, source=SENDER, laptop="alice-laptop"):
    """laptop None: a stranger, without a certificate."""
    raw = socket.create_connection(("127.0.0.1", world.port), clients.SECONDS, (source, 0))
    raw.sendall(head)
    return clients.tls_context(world, laptop, alpn=("http/1.1",)).wrap_socket(raw, server_hostname="localhost")


def post(world, peer, path, body):
    text = json.dumps(body)
    request = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n{text}"
    status, _, answer, _ = clients.http1(world, request.encode(), peer=peer)
    return status, json.loads(answer)


def log_in(world, head, user, laptop, answers):
    """The last status and body of a login that gives each of the answers to one prompt."""
    with connect(world, head, laptop=laptop) as peer:
        status, body = post(world, peer, "/v1/login", {"user": user})
        left = list(answers)
        while status == 200 and body["state"] in ("prompt", "info"):
            given = [left.pop(0) for message in body["messages"] if message["style"] in ("secret", "text")]
            status, body = post(world, peer, f"/v1/login/{body['conversation']}", {"answers": given})
        return status, body
