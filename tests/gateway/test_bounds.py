"""E2, E3: what a client may use before its doors are open, and what all of them together may."""
import socket
import time

import api
import clients
from world import wait_until


def raw(world):
    peer = socket.create_connection(("127.0.0.1", world.port), 10)
    peer.settimeout(15)
    return peer


def ended(peer):
    try:
        while peer.recv(65536):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


def test_E2_login_grace_ends_who_says_nothing(new_world):
    world = new_world(settings=['login_grace = "1s"'])
    silent, slow = raw(world), raw(world)
    slow.sendall(b"\x16\x03\x01\x02")
    assert ended(silent) and ended(slow)


def test_E2_so_many_bytes_before_door_one(new_world):
    world = new_world(settings=['handshake_bytes = "8KiB"'])
    peer = raw(world)
    try:
        for _ in range(64):  # handshake records that never make a whole ClientHello
            peer.sendall(b"\x16\x03\x01\x10\x00" + b"\x01\x00\xff\xff" + b"\0" * 4092)
    except OSError:
        pass
    assert ended(peer)


def test_E3_random_early_drop_and_recovery(new_world):
    world = new_world(settings=['unauthenticated_start = "5"', 'unauthenticated_full = "10"', 'login_grace = "4s"'])
    peers = [raw(world) for _ in range(40)]
    time.sleep(0.5)
    dropped = 0
    for peer in peers:
        peer.settimeout(0.05)
        try:
            dropped += peer.recv(1) == b""
        except TimeoutError:
            pass
        except OSError:
            dropped += 1
    assert 25 <= dropped < 40, dropped
    for peer in peers:
        peer.close()
    wait_until(lambda: api.call(world, "GET", "/v1/session").status == 401, "service after the storm")


def test_E4_a_legitimate_client_during_half_open_connections(new_world):
    world = new_world()
    peers = [raw(world) for _ in range(90)]
    assert api.login(world).status == 200
    for peer in peers:
        peer.close()


def test_requests_per_connection(new_world):
    world = new_world(settings=['requests_per_connection = "5"'])
    with clients.connect(world, alpn=("http/1.1",)) as peer:
        answered = 0
        try:
            for _ in range(8):
                peer.sendall(b"GET /v1/session HTTP/1.1\r\nHost: x\r\n\r\n")
                status, headers, rest = clients.read_head(peer)
                if status == 0:
                    break
                answered += 1
                while len(rest) < int(headers.get("content-length", 0)):
                    rest += peer.recv(65536)
        except OSError:
            pass
        assert answered in (4, 5)


def test_slow_request_is_ended(new_world):
    world = new_world(settings=['request_time_limit = "1s"'])
    with clients.connect(world, alpn=("http/1.1",)) as peer:
        peer.sendall(b"POST /v1/login HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n{")
        peer.settimeout(15)
        status = clients.read_head(peer)[0]
        assert status in (0, 408)


def test_conversations_per_device(new_world):
    world = new_world(settings=['conversations_per_device = "2"'])
    first = [api.call(world, "POST", "/v1/login", {"user": "alice"}) for _ in range(3)]
    assert [a.status for a in first] == [200, 200, 429]
    assert first[2].body["code"] == "too_many"
    assert api.call(world, "POST", "/v1/login", {"user": "bob"}, "bob-laptop").status == 200
