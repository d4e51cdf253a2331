"""E5: nothing leaks: after hundreds of bad inputs of every kind the processes that live on hold what they held before."""
import base64
import contextlib
import json
import os
import socket
import ssl

import pytest

import api
import clients
import proc
import storms
from test_door_one import issue
from world import wait_until

WARM, ROUNDS = 15, 40
LIVING = ("sallyport-gateway", "sallyport-broker", "sallyport-signer")
# A round is some 25 bad inputs. The broker's SQLite keeps pages of a record that grows by as many rows, 9 KiB a round: until
# it has 2 MiB of them (some 200 rounds), and then no more.
GROWTH_KIB = {"sallyport-broker": 1024}


def drain(peer):
    peer.settimeout(10)
    try:
        while peer.recv(65536):
            pass
    except OSError:
        pass
    peer.close()


def raw(world, data, port=None):
    peer = socket.create_connection(("127.0.0.1", port or world.port), 10)
    peer.sendall(data)
    peer.shutdown(socket.SHUT_WR)
    drain(peer)


def no_tls(world, _):
    raw(world, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    raw(world, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(200))


def no_certificate(world, _):
    with clients.connect(world, context=clients.tls_context(world)) as peer:
        drain(peer)


def strange_certificate(world, given):
    context = clients.tls_context(world, certificate=given["stranger"][0], key=given["stranger"][1])
    with clients.connect(world, context=context) as peer:
        drain(peer)


def bad_requests(world, given):
    """Several on a connection, until one of them ends it."""
    body = b'{"user": 1}'
    post = b"POST /v1/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: "
    with clients.connect(world, alpn=("http/1.1",)) as peer:
        for request in (b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n", b"PUT /v1/login HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
                        post + b"%d\r\n\r\n" % len(body) + body, post + b"3\r\n\r\n{{{",
                        b"GET /v1/session HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + b"0" * 64 + b"\r\n\r\n",
                        b"GET / HTTP/1.1\r\nHost : x\r\n\r\n"):
            peer.sendall(request)
            status, headers, rest = clients.read_head(peer)
            assert 400 <= status < 500
            while len(rest) < int(headers["content-length"]):
                rest += peer.recv(65536)
        drain(peer)
    with clients.connect(world, alpn=("http/1.1",)) as peer:
        peer.sendall(b"GET / HTTP/1.1\r\nX: " + b"a" * 20000)
        drain(peer)


def bad_tunnels(world, given):
    with clients.Http2(world) as h2:
        for target in ("[", "127.0.0.1:0", "127.0.0.1:70000", "2130706433:1", f"127.0.0.1:{world.denied}", "no-such-name.invalid:80"):
            assert h2.connect(target, given["token"])[1] != 200
        assert h2.connect(f"127.0.0.1:{world.echo}", given["token"])[1] == 200
    # and that one was cut in its middle


def bad_frames(world, _):
    for pieces in (storms.window_overflow, storms.empty_heads):
        with storms.Attacker(world) as attacker:
            attacker.send(pieces())
            drain(attacker.peer)


def cancelled_login(world, _):
    body = json.dumps({"user": "alice"}).encode()
    with clients.connect(world, alpn=("http/1.1",)) as peer:
        status, _, answer, _ = clients.http1(world, b"POST /v1/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                                             b"Content-Length: %d\r\n\r\n" % len(body) + body, peer=peer)
        assert status == 200
        path = "/v1/login/" + json.loads(answer)["conversation"]
        assert clients.http1(world, f"DELETE {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), peer=peer)[0] in (200, 204)


def bad_enrolment(world, _):
    context = clients.tls_context(world, alpn=("http/1.1",))
    secret = base64.b64encode(b"0" * 16 + b":" + b"1" * 32)
    with socket.create_connection(("127.0.0.1", world.enroll_port), 10) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as peer:
            peer.sendall(b"POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: x\r\nContent-Type: application/pkcs10\r\n"
                         b"Authorization: Basic " + secret + b"\r\nContent-Length: 8\r\n\r\nAAAAAAAA")
            assert clients.read_head(peer)[0] >= 400


def bad_admin(world, _):
    requests = [b"\0" * 100 + b"\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"POST /v1/devices HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n{{{"]
    for request in requests:
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(0.1)  # to some of it there is no answer
            peer.connect(str(world.admin_socket))
            peer.sendall(request)
            with contextlib.suppress(TimeoutError):
                peer.recv(65536)


KINDS = (no_tls, no_certificate, strange_certificate, bad_requests, bad_tunnels, bad_frames, cancelled_login, bad_enrolment, bad_admin)


def one_round(world, given):
    for kind in KINDS:
        try:
            kind(world, given)
        except (ssl.SSLError, ConnectionError):
            pass  # the gateway's answer, in the middle of a word


def template(world):
    workers = proc.gateway(world, "sallyport-worker")
    (pid,) = {int(proc.status(pid)["PPid"]) for pid in workers} & set(workers)
    return pid


def held(world):
    """Who lives on: {program: (pid, descriptors, private KiB)}, once nobody is served any more."""
    wait_until(lambda: not proc.workers_of_clients(world) and not proc.gateway(world, "sallyport-conversation"), "rest", 60)
    pids = {program: next(iter(proc.gateway(world, program))) for program in LIVING}
    pids["template"] = template(world)
    return {program: (pid, proc.descriptors(pid), proc.private_kib(pid)) for program, pid in pids.items()}


def test_E5_hundreds_of_bad_inputs_leave_nothing_behind(new_world, release):
    world = new_world(programs=release)
    given = {"token": api.login(world).body["session"], "stranger": issue(world, "stranger")}
    for _ in range(WARM):
        one_round(world, given)
    before = held(world)
    for _ in range(ROUNDS):
        one_round(world, given)
    after = held(world)
    shown = {program: (before[program], after[program]) for program in before}
    print(shown)
    for program, ((pid, descriptors, kib), (later_pid, later_descriptors, later_kib)) in shown.items():
        assert pid == later_pid, f"{program} is another process: {shown}"
        assert descriptors == later_descriptors, f"{program} keeps descriptors: {shown}"
        assert later_kib - kib <= GROWTH_KIB.get(program, 64), f"{program} grows: {shown}"
    assert api.login(world).status == 200
