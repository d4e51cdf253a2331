"""max_rate: tunnels of one device by one rule share a bandwidth in equal parts; bytes are delayed and none is lost.

The bounds are those of the limit, with room for a slow machine above: a limit is never exceeded for long, and never far
from being used.
"""
import hashlib
import json
import os
import time

import pytest

import clients
from test_cut import login
from test_policy import apply, rules

RATE = 1 << 20
SIZE = 3 << 20


@pytest.fixture
def limited(new_world):
    """A world where alice gets 1 MiB/s from the wiki and to the echo, by two rules; and a page that is larger."""
    world = new_world()
    text = rules(world, 'rule "slow echo" { users = {"alice"} resources = {"echo"} max_rate = "1MiB/s" }')
    text = text.replace('users = {"alice", "bob"}  resources = {"wiki"} }', 'users = {"alice", "bob"}  resources = {"wiki"} max_rate = "1MiB" }')
    world.policy.write_text(text)
    apply(world)
    world.page = os.urandom(SIZE)
    world.path("wiki", "pages", "large").write_bytes(world.page)
    return world


def get(world, h2, token):
    number, status = h2.connect(f"127.0.0.1:{world.web}", token)
    assert status == 200
    h2.send(number, b"GET /large HTTP/1.0\r\n\r\n")
    return number


def body(h2, number):
    return bytes(h2.streams[number].data).partition(b"\r\n\r\n")[2]


def assert_took(seconds, size, share=1.0):
    """So many bytes at the limit: at most an eighth of a second's worth comes ahead."""
    assert seconds > (size - RATE / 4) / (RATE * share) * 0.8, f"{size} bytes in {seconds:.2f} s are too fast"
    assert seconds < size / (RATE * share) * 3 + 3, f"{size} bytes in {seconds:.2f} s are too slow"


def test_a_download_goes_as_fast_as_it_may_and_tunnels_share_alike(limited):
    world = limited
    token = login(world, "alice-laptop")
    h2 = clients.Http2(world, window=1 << 22)
    began = time.monotonic()
    numbers = [get(world, h2, token), get(world, h2, token)]
    assert h2.wait(lambda: any(h2.streams[n].ended for n in numbers), 60)
    seconds = time.monotonic() - began
    other = min(len(h2.streams[n].data) for n in numbers)
    assert other > SIZE * 0.6, "one tunnel took the other's part"
    assert_took(seconds, SIZE + other)
    assert h2.wait(lambda: all(h2.streams[n].ended for n in numbers), 60)
    assert all(body(h2, n) == world.page for n in numbers)


def test_two_connections_of_a_device_share_one_bandwidth(limited):
    world = limited
    token = login(world, "alice-laptop")
    first, second = clients.Http2(world, window=1 << 22), clients.Http2(world, window=1 << 22)
    began = time.monotonic()
    one, other = get(world, first, token), get(world, second, token)
    while not first.streams[one].ended and not second.streams[other].ended:
        first.turn(0.02)
        second.turn(0.02)
        assert time.monotonic() - began < 60
    seconds = time.monotonic() - began
    assert_took(seconds, len(first.streams[one].data) + len(second.streams[other].data))
    assert first.wait(lambda: first.streams[one].ended, 60) and second.wait(lambda: second.streams[other].ended, 60)
    assert body(first, one) == body(second, other) == world.page


@pytest.mark.parametrize("protocol", ["h2", "http/1.1"])
def test_an_upload_is_delayed_and_whole(limited, protocol):
    world = limited
    token = login(world, "alice-laptop")
    content = os.urandom(SIZE)
    began = time.monotonic()
    if protocol == "h2":
        h2 = clients.Http2(world, window=1 << 22)
        number, status = h2.connect(f"127.0.0.1:{world.echo}", token)
        assert status == 200
        h2.send(number, content, end=True)
        assert h2.wait(lambda: h2.streams[number].ended, 60)
        received = bytes(h2.streams[number].data)
    else:
        status, received, peer = clients.http1_connect(world, f"127.0.0.1:{world.echo}", token)
        assert status == 200
        peer.setblocking(False)
        sent = 0
        while len(received) < SIZE:
            assert time.monotonic() - began < 60
            try:
                if sent < SIZE:
                    sent += peer.send(content[sent:sent + 16384])
            except OSError:
                pass
            try:
                received += peer.recv(65536)
            except OSError:
                time.sleep(0.002)
    seconds = time.monotonic() - began
    assert hashlib.sha256(received).digest() == hashlib.sha256(content).digest()
    assert_took(seconds, SIZE)


def test_a_new_policy_takes_the_limit_away_from_live_tunnels(limited):
    world = limited
    token = login(world, "alice-laptop")
    h2 = clients.Http2(world, window=1 << 22)
    world.policy.write_text(world.policy.read_text().replace('max_rate = "1MiB"', 'max_rate = "16KiB"'))
    apply(world)
    number = get(world, h2, token)
    assert not h2.wait(lambda: len(h2.streams[number].data) > SIZE // 8, 2), "16 KiB a second are not so many"
    world.policy.write_text(world.policy.read_text().replace('max_rate = "16KiB"', ""))
    apply(world)
    assert h2.wait(lambda: h2.streams[number].ended, 30), "three minutes are left at the old limit"
    assert body(h2, number) == world.page


def test_explain_names_the_limit(limited):
    text = limited.admin("policy", "explain", "--user", "alice", "--device", "alice-laptop", "--to", f"127.0.0.1:{limited.echo}")
    assert "(max_rate 1MiB/s)" in text
    assert json.loads(limited.admin("--json", "top", "--once")) == {"tunnels": []}


def test_a_limit_in_the_middle_of_an_upload_loses_nothing(new_world):
    """A narrower limit, a wider one, none, and one again, while bytes wait in the gateway; then the end of the direction."""
    world = new_world(settings=['stream_window = "4MiB"'])
    original = world.policy.read_text()

    def limit(text):
        world.policy.write_text(original.replace('resources = {"ssh", "echo"}', 'resources = {"ssh", "echo"} ' + text))
        apply(world)
    limit('max_rate = "64KiB"')
    token = login(world, "alice-laptop")
    h2 = clients.Http2(world, window=1 << 22)
    number, status = h2.connect(f"127.0.0.1:{world.echo}", token)
    assert status == 200
    content = os.urandom(SIZE)
    h2.send(number, content, end=True)
    for text in ('max_rate = "16KiB"', 'max_rate = "512KiB"', "", 'max_rate = "1MiB"'):
        h2.wait(lambda: False, 0.4)
        limit(text)
    assert h2.wait(lambda: h2.streams[number].ended, 60)
    received = bytes(h2.streams[number].data)
    assert len(received) == SIZE and not h2.closed
    assert received == content
