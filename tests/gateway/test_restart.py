"""D4: a restart of the gateway ends no live tunnel; what cannot be vouched for afterwards ends, and the record is right.

SIGUSR2 has the gateway begin anew in place, with the program that is installed then: the way of an upgrade without systemd.
With systemd it is tests/package.
"""
import hashlib
import json
import os
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time

import pytest

import api
import clients
import frames
import test_pam_session as pam
from world import wait_until


def ask(world, text, *values):
    with sqlite3.connect(f"file:{world.database}?mode=ro", uri=True) as database:
        return database.execute(text, values).fetchall()


def begin_restart(world):
    os.kill(world.gateway.pid, signal.SIGUSR2)


def restart(world):
    """In place; the process stays the same. Returns what the new one says of connections."""
    before = ask(world, "SELECT max(sequence) FROM audit")[0][0]
    begin_restart(world)
    said = wait_until(lambda: ask(world, "SELECT detail FROM audit WHERE event = 'connections_kept' AND sequence > ?", before),
                      "the restart", 60)
    wait_until(world.gateway_ready, "the new gateway")
    assert world.gateway.poll() is None
    return said[0][0]


def echo(world):
    return f"127.0.0.1:{world.echo}"


class Tunnels:
    """alice's laptop with one connection and some tunnels to the echo server."""

    def __init__(self, world, count=1, token=None):
        self.world = world
        self.token = token or api.login(world).body["session"]
        self.h2 = clients.Http2(world)
        self.numbers = [self.open()[0] for _ in range(count)]

    def open(self):
        number, status = self.h2.connect(echo(self.world), self.token)
        assert status == 200
        return number, status

    def say(self, number, text):
        had = len(self.h2.streams[number].data)
        self.h2.send(number, text)
        return self.h2.wait(lambda: bytes(self.h2.streams[number].data[had:]) == text)

    def all_live(self):
        return all(self.say(number, os.urandom(9)) for number in self.numbers)

    def all_ended(self, seconds=15):
        return self.h2.wait(lambda: self.h2.closed or all(self.h2.streams[n].ended for n in self.numbers), seconds)


def worker_pids(world):
    """Workers with a client, told from template and spares by their TCP connection."""
    tcp = {line.split()[9] for line in open("/proc/net/tcp", encoding="ascii").readlines()[1:]}
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/exe") != os.path.realpath(world.programs / "libexec" / "sallyport" / "sallyport-worker"):
                continue
            links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        except OSError:
            continue
        if any(link[8:-1] in tcp for link in links if link.startswith("socket:")):
            found.append(int(pid))
    return found


def test_D4_idle_tunnels_go_on_over_three_restarts(new_world):
    world = new_world()
    alice = Tunnels(world, 3)
    assert alice.all_live()
    pid = world.gateway.pid
    for _ in range(3):
        assert restart(world) == "1 of 1 live connections are taken over, with 3 tunnels"
        assert alice.all_live()
    assert world.gateway.pid == pid
    # The old connection opens more, its session is the same, and new clients come in.
    alice.numbers.append(alice.open()[0])
    assert alice.all_live()
    other = Tunnels(world, 1, alice.token)
    assert other.all_live()
    assert ask(world, "SELECT count(*) FROM tunnel WHERE closed_at IS NULL") == [(5,)]
    for number in alice.numbers:
        alice.h2.send(number, b"", end=True)
    wait_until(lambda: ask(world, "SELECT count(*) FROM tunnel WHERE closed_at IS NULL") == [(1,)], "the rows' end")
    said = ask(world, "SELECT bytes_to_target, bytes_to_client, close_reason FROM tunnel WHERE closed_at IS NOT NULL ORDER BY id")
    # 9 bytes at each asking: before, three times after a restart, and once more.
    assert said == [(45, 45, "client_fin")] * 3 + [(9, 9, "client_fin")]


def test_D4_hundreds_of_tunnels_are_more_than_one_parcel(new_world):
    world = new_world()
    alice = Tunnels(world, 0)
    alice.numbers = [alice.h2.start_connect(echo(world), alice.token) for _ in range(900)]
    assert alice.h2.wait(lambda: all(alice.h2.streams[number].status == 200 for number in alice.numbers))
    others = [Tunnels(world, 1, alice.token) for _ in range(12)]
    assert restart(world) == "13 of 13 live connections are taken over, with 912 tunnels"
    for number in alice.numbers:
        alice.h2.send(number, b"tunnel %d" % number)
    assert alice.h2.wait(lambda: all(bytes(alice.h2.streams[number].data) == b"tunnel %d" % number for number in alice.numbers))
    assert all(other.all_live() for other in others)


class Target:
    """A server for single connections, driven by the test, where the policy lets alice go."""

    def __init__(self, world, backlog=8):
        world.stop_process("echo")
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", world.echo))
        self.listener.listen(backlog)
        self.listener.settimeout(20)

    def accept(self):
        peer, _ = self.listener.accept()
        peer.settimeout(20)
        return peer


def read_to_end(peer):
    received = b""
    while piece := peer.recv(65536):
        received += piece
    return received


class Stream(threading.Thread):
    """Bytes without end to an echo server and back, always some of them under way, until it is told to stop."""

    UNDER_WAY = 1 << 17

    def __init__(self, peer):
        super().__init__(daemon=True)
        self.peer, self.over = peer, threading.Event()
        self.sent, self.came = 0, 0
        self.sums = hashlib.sha256(), hashlib.sha256()

    def run(self):
        while not self.over.is_set() or self.came < self.sent:
            if not self.over.is_set() and self.sent - self.came < self.UNDER_WAY:
                piece = os.urandom(1 << 14)
                self.peer.sendall(piece)
                self.sent += len(piece)
                self.sums[0].update(piece)
                continue
            piece = self.peer.recv(1 << 16)
            if not piece:
                return
            self.came += len(piece)
            self.sums[1].update(piece)
            time.sleep(0.002)


def test_D4_a_busy_tunnel_of_http1_loses_no_byte_in_either_direction(new_world):
    """Through the echo server: what comes back is what was sent, also what was under way at the restart."""
    world = new_world()
    token = api.login(world).body["session"]
    status, _, tunnel = clients.http1_connect(world, echo(world), token)
    assert status == 200
    tunnel.settimeout(40)
    stream = Stream(tunnel)
    stream.start()
    for _ in range(2):
        wait_until(lambda seen=stream.came: stream.came > seen + (1 << 18), "bytes")
        restart(world)
    wait_until(lambda seen=stream.came: stream.came > seen + (1 << 18), "bytes after the restart")
    stream.over.set()
    stream.join(40)
    assert stream.came == stream.sent and stream.sums[0].digest() == stream.sums[1].digest()
    tunnel.close()
    wait_until(lambda: ask(world, "SELECT count(*) FROM tunnel WHERE closed_at IS NULL") == [(0,)], "the row's end")
    assert ask(world, "SELECT bytes_to_target, bytes_to_client FROM tunnel") == [(stream.sent, stream.sent)]


def test_D4_half_closed_tunnels_stay_half_closed(new_world):
    world = new_world()
    target = Target(world)
    alice = Tunnels(world, 0)
    asking, _ = alice.open()
    first = target.accept()
    told, _ = alice.open()
    second = target.accept()
    alice.h2.send(asking, b"question", end=True)
    assert read_to_end(first) == b"question"
    second.sendall(b"greeting")
    second.shutdown(socket.SHUT_WR)
    assert alice.h2.wait(lambda: alice.h2.streams[told].ended)
    restart(world)
    first.sendall(b"answer")
    first.close()
    assert alice.h2.wait(lambda: alice.h2.streams[asking].ended)
    assert bytes(alice.h2.streams[asking].data) == b"answer" and alice.h2.streams[asking].reset is None
    alice.h2.send(told, b"still talking", end=True)
    assert read_to_end(second) == b"still talking" and bytes(alice.h2.streams[told].data) == b"greeting"


def slowest_end_ms(world, event):
    """By the gateway's own clock: from the row of the act to the last row of a tunnel that it closed."""
    return ask(world, "SELECT max(closed_at) - (SELECT max(at) FROM audit WHERE event = ?) FROM tunnel", event)[0][0]


@pytest.mark.parametrize("stopped", [False, True])
def test_D4_C1_a_lock_after_the_restart_closes_within_a_second(new_world, stopped):
    """Also when the worker was stopped before the restart and has not noticed it (C3)."""
    world = new_world()
    alice = Tunnels(world, 2)
    assert alice.all_live()
    workers = worker_pids(world)
    assert len(workers) == 1
    if stopped:
        os.kill(workers[0], signal.SIGSTOP)
    assert restart(world).startswith("1 of 1 live connections")
    assert json.loads(world.admin("device", "lock", "alice-laptop", "--json"))["tunnels_closed"] == 2
    assert alice.all_ended()
    assert ask(world, "SELECT count(*) FROM tunnel WHERE closed_at IS NULL") == [(0,)]
    assert slowest_end_ms(world, "device_locked") <= 1000
    wait_until(lambda: not os.path.exists(f"/proc/{workers[0]}"), "the worker's end")


def test_D4_a_worker_that_was_stopped_goes_on(new_world):
    world = new_world()
    alice = Tunnels(world, 2)
    (worker,) = worker_pids(world)
    os.kill(worker, signal.SIGSTOP)
    restart(world)
    os.kill(worker, signal.SIGCONT)
    assert alice.all_live()


def test_D4_what_was_tightened_meanwhile_counts(new_world):
    world = new_world()
    alice = Tunnels(world, 2)
    wiki, status = alice.h2.connect(f"127.0.0.1:{world.web}", alice.token)
    assert status == 200 and alice.all_live()
    world.policy.write_text(world.policy.read_text().replace('resources = {"ssh", "echo"}', 'resources = {"ssh"}'))
    assert restart(world) == "1 of 1 live connections are taken over, with 3 tunnels"
    assert alice.all_ended() and not alice.h2.streams[wiki].ended
    wait_until(lambda: ask(world, "SELECT count(*) FROM tunnel WHERE closed_at IS NULL") == [(1,)], "the rows' end")
    assert ask(world, "SELECT close_reason, bytes_to_target FROM tunnel WHERE closed_at IS NOT NULL") == [("policy_changed", 9)] * 2
    assert ask(world, "SELECT max(closed_at) - (SELECT max(at) FROM audit WHERE event = 'connections_kept') <= 1000 FROM tunnel") == [(1,)]


def test_D4_a_lease_ends_though_it_began_before(new_world):
    world = new_world(settings=['lease = "8s"'])
    alice = Tunnels(world, 1)
    restart(world)
    assert alice.all_live() or ask(world, "SELECT close_reason FROM tunnel") == [("lease_expired",)]
    assert alice.all_ended(30)
    wait_until(lambda: ask(world, "SELECT close_reason FROM tunnel") == [("lease_expired",)], "the row's end")


def broker_pids(world):
    wanted = os.path.realpath(world.programs / "libexec" / "sallyport" / "sallyport-broker")
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/exe") == wanted and str(world.gateway.pid) == open(f"/proc/{pid}/stat").read().split()[3]:
                found.append(int(pid))
        except (OSError, IndexError):
            pass
    return found


def ended_or_ready(world):
    return world.gateway.poll() is not None or world.gateway_ready()


def all_is_closed(world, alice, worker):
    assert alice.all_ended(20)
    wait_until(lambda: not os.path.exists(f"/proc/{worker}"), "the worker's end")
    if world.gateway.poll() is not None:
        world.start_gateway()
    wait_until(lambda: ask(world, "SELECT count(*) FROM tunnel WHERE closed_at IS NULL") == [(0,)], "the record's end")
    assert {reason for reason, in ask(world, "SELECT close_reason FROM tunnel")} <= {"gateway_restarted", "worker_lost"}


def test_D4_kill_9_of_the_new_broker_closes_what_it_had_taken_over(new_world):
    world = new_world()
    alice = Tunnels(world, 2)
    (worker,) = worker_pids(world)
    restart(world)
    for pid in broker_pids(world):
        os.kill(pid, signal.SIGKILL)
    all_is_closed(world, alice, worker)


def test_D4_kill_9_of_the_new_broker_while_it_takes_over(new_world):
    """Whatever it had reached: nobody lives on who is not known."""
    world = new_world()
    alice = Tunnels(world, 2)
    (worker,) = worker_pids(world)
    (old,) = broker_pids(world)
    begin_restart(world)
    (new,) = wait_until(lambda: [pid for pid in broker_pids(world) if pid != old], "the new broker", 60, 0.001)
    os.kill(new, signal.SIGKILL)
    wait_until(lambda: ended_or_ready(world), "an outcome", 60)
    all_is_closed(world, alice, worker)


@pytest.mark.parametrize("which", ["broker", "gateway"])
def test_D4_kill_9_before_anything_is_handed_over(new_world, which):
    world = new_world()
    alice = Tunnels(world, 2)
    (worker,) = worker_pids(world)
    (broker,) = broker_pids(world)
    os.kill(broker, signal.SIGSTOP)
    begin_restart(world)
    wait_until(lambda: "restarting" in world.log_end("gateway"), "the restart's beginning")
    os.kill(broker if which == "broker" else world.gateway.pid, signal.SIGKILL)
    os.kill(broker, signal.SIGCONT) if which == "gateway" else None
    wait_until(lambda: ended_or_ready(world), "an outcome", 60)
    all_is_closed(world, alice, worker)


class Gap:
    """Between the old gateway and the new one: the new one is stopped before it does anything."""

    def __init__(self, world):
        self.world = world
        (old,) = broker_pids(world)
        begin_restart(world)
        wait_until(lambda: not os.path.exists(f"/proc/{old}"), "the old broker's end", 60, 0.001)
        os.kill(world.gateway.pid, signal.SIGSTOP)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.kill(self.world.gateway.pid, signal.SIGCONT)
        wait_until(lambda: self.world.gateway_ready(), "the new gateway", 60)


def test_D4_a_request_in_the_gap_waits_for_the_new_gateway(new_world):
    world = new_world()
    alice = Tunnels(world, 1)
    other, _ = alice.open()
    with Gap(world):
        assert alice.all_live() and alice.say(other, b"the last word")
        alice.h2.send(other, b"", end=True)
        assert alice.h2.wait(lambda: alice.h2.streams[other].ended)
        number = alice.h2.start_connect(echo(world), alice.token)
        assert not alice.h2.wait(lambda: alice.h2.streams[number].status, 1)
    assert alice.h2.wait(lambda: alice.h2.streams[number].status == 200)
    assert alice.say(number, b"hello") and alice.all_live()
    wait_until(lambda: ask(world, "SELECT count(*) FROM tunnel WHERE closed_at IS NULL") == [(2,)], "the row of the gap")
    assert ask(world, "SELECT close_reason, bytes_to_target, bytes_to_client FROM tunnel WHERE closed_at IS NOT NULL") == [("client_fin", 13, 13)]


def test_D4_without_a_successor_tunnels_end_and_the_record_says_so(new_world):
    """C1: for so long as nobody could say no, and no longer."""
    world = new_world(settings=['handover_limit = "2s"'])
    alice = Tunnels(world, 2)
    (worker,) = worker_pids(world)
    with Gap(world):
        assert alice.all_ended()
        wait_until(lambda: not os.path.exists(f"/proc/{worker}"), "the worker's end")
        assert ask(world, "SELECT count(*) FROM tunnel WHERE closed_at IS NULL") == [(2,)]
    assert {reason for reason, in ask(world, "SELECT close_reason FROM tunnel WHERE closed_at IS NOT NULL")} <= {"gateway_restarted", "worker_lost"}
    wait_until(lambda: ask(world, "SELECT count(*) FROM tunnel WHERE closed_at IS NULL") == [(0,)], "the record's end")


def test_D4_what_was_asked_before_and_not_answered_is_refused_clearly(new_world):
    """A target that does not answer its call: the old broker is still dialing. Counted right also at a second restart."""
    world = new_world()
    alice = Tunnels(world, 3)
    restart(world)
    assert alice.all_live()
    target = Target(world, backlog=0)
    full = [socket.socket() for _ in range(4)]
    for one in full:
        one.setblocking(False)
        one.connect_ex(("127.0.0.1", world.echo))
    number = alice.h2.start_connect(echo(world), alice.token)
    wait_until(lambda: ask(world, "SELECT count(*) FROM tunnel") == [(4,)], "the row")
    restart(world)
    assert alice.h2.wait(lambda: alice.h2.streams[number].ended)
    stream = alice.h2.streams[number]
    assert (stream.status, stream.problem["code"], stream.headers["retry-after"]) == (503, "unavailable", "1")
    assert ask(world, "SELECT event, code FROM audit WHERE request_id = ? ORDER BY sequence DESC LIMIT 1",
               stream.problem["request_id"]) == [("request", "unavailable")]
    assert ask(world, "SELECT close_reason FROM tunnel WHERE id = 4") == [("cancelled",)]
    target.listener.close()


def test_D4_the_new_gateway_sees_what_the_kernel_counts(new_world):
    """So idle limits and presence hold on: the sockets of the targets were handed over too."""
    world = new_world()
    alice = Tunnels(world, 1)
    assert alice.say(alice.numbers[0], b"x" * 5000)
    restart(world)
    (tunnel,) = json.loads(world.admin("--json", "tunnel", "list"))["tunnels"]
    assert (tunnel["bytes_to_target"], tunnel["bytes_to_client"]) == (5000, 5000)


def test_D4_events_go_on(new_world):
    world = new_world()
    alice = Tunnels(world, 1)
    session = api.call(world, "GET", "/v1/session", token=alice.token).body["session"]
    feed = alice.h2.request([(":method", "GET"), (":scheme", "https"), (":path", "/v1/events"), (":authority", "localhost"),
                             ("authorization", f"Bearer {alice.token}")])
    assert alice.h2.wait(lambda: b"\n" in alice.h2.streams[feed].data)
    restart(world)
    assert alice.all_live()
    world.admin("session", "end", session)
    assert alice.h2.wait(lambda: alice.h2.streams[feed].ended or b"ended_by_admin" in alice.h2.streams[feed].data)
    assert b"ended_by_admin" in alice.h2.streams[feed].data


def test_D4_a_pam_session_lives_as_long_as_its_session(new_world):
    """Over restarts too; it is closed once, at the end. One whose session ends with the lease in the gap is closed then."""
    world = pam.with_sessions(new_world())
    token = pam.open_one(world)
    alice = Tunnels(world, 1, token)
    processes = sorted(pam.conversations(world))
    for _ in range(2):
        restart(world)
        assert alice.all_live() and pam.phases(world) == ["open_session"] and sorted(pam.conversations(world)) == processes
    assert api.call(world, "DELETE", "/v1/session", token=token).status == 200
    pam.closes(world, 1)
    wait_until(lambda: not pam.conversations(world), "the end of the PAM session's process")
    # A stop closes them, and waits: also one that was taken over.
    pam.open_one(world)
    before = ask(world, "SELECT max(sequence) FROM audit")[0][0]
    begin_restart(world)
    wait_until(lambda: ask(world, "SELECT 1 FROM audit WHERE event = 'gateway_started' AND sequence > ?", before), "the restart", 60)
    wait_until(world.gateway_ready, "the new gateway")
    assert pam.phases(world).count("close_session") == 1
    world.gateway.terminate()
    assert world.gateway.wait(30) == 0
    assert pam.phases(world).count("close_session") == 2 and not pam.conversations(world)


FLOOD = """
import socket, sys
while True:
    try:
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(5)
            peer.connect(sys.argv[1])
            while True:
                peer.sendall(b"GET /v1/x HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
                if not peer.recv(4096):
                    break
    except OSError:
        pass
"""


def refusals(world):
    return ask(world, "SELECT count(*) FROM audit WHERE event = 'admin_refused'")[0][0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_D4_strangers_at_the_factor_socket_harm_no_restart(new_world):
    """Their refusals are being recorded when the door is shut."""
    world = new_world()
    alice = Tunnels(world, 2)
    flood = [subprocess.Popen([sys.executable, "-B", "-c", FLOOD, str(world.path("run", "factor.sock"))],
                              user=65534, group=65534, extra_groups=[], cwd="/") for _ in range(4)]
    try:
        for _ in range(3):
            before = refusals(world)
            wait_until(lambda: refusals(world) > before + 20, "the flood")
            restart(world)
            assert alice.all_live()
    finally:
        for one in flood:
            one.kill()
            one.wait()


def limit_of(pid):
    return resource.prlimit(pid, resource.RLIMIT_NOFILE)


def test_D4_more_tunnels_than_the_monitor_may_open_descriptors(new_world):
    """While it restarts it holds a copy of each tunnel's socket."""
    world = new_world()
    alice = Tunnels(world, 150)
    open_now = len(os.listdir(f"/proc/{world.gateway.pid}/fd"))
    resource.prlimit(world.gateway.pid, resource.RLIMIT_NOFILE, (open_now + 60, limit_of(world.gateway.pid)[1]))
    for _ in range(2):
        assert restart(world) == "1 of 1 live connections are taken over, with 150 tunnels"
        assert alice.all_live()


def test_D4_what_a_shadow_policy_found_outlives_a_restart(new_world):
    world = new_world()
    alice = Tunnels(world, 0)
    less = world.path("less.conf")
    less.write_text(world.policy.read_text().replace('resources = {"ssh", "echo"}', 'resources = {"ssh"}'))
    world.admin("policy", "shadow", less)
    alice.numbers = [alice.open()[0]]
    # It goes to the store every few seconds; what is found now is still on its way.
    wait_until(lambda: ask(world, "SELECT asked FROM shadow") == [(1,)], "the first look")
    alice.numbers += [alice.open()[0] for _ in range(2)]
    before = json.loads(world.admin("policy", "shadow", "report", "--json"))
    assert before["differences"][0]["count"] == 3
    restart(world)
    after = json.loads(world.admin("policy", "shadow", "report", "--json"))
    assert after == {**before, "running": False} and alice.all_live()


def processor_seconds(pid):
    fields = open(f"/proc/{pid}/stat", encoding="ascii").read().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def test_D4_a_policy_on_trial_is_given_up(new_world):
    """Nobody waits for it, and a part of the answer is not taken for the whole."""
    world = new_world()
    alice = Tunnels(world, 1)
    big, expected = world.path("big.conf"), world.path("expected")
    big.write_text(world.policy.read_text() + 'resource "all" { address = {"0.0.0.0/0:1-65535"} }\n' + "".join(
        f'rule "r{n}" {{ users = {{"bob"}} resources = {{"all"}} }}\n' for n in range(19000)))
    expected.write_text(f"nobody may reach 127.0.0.1:{world.denied}\n" * 28000)
    (broker,) = broker_pids(world)
    before = processor_seconds(broker)
    with subprocess.Popen([world.program("sallyport-admin"), "--socket", world.admin_socket, "policy", "check", "--tests", expected,
                           big], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as asking:
        wait_until(lambda: processor_seconds(broker) > before + 0.5, "the trial")
        restart(world)
        assert "the gateway stops or restarts; try again" in asking.communicate(timeout=60)[1]
    assert alice.all_live()


def test_a_version_that_would_not_start_is_not_tried(new_world):
    world = new_world()
    alice = Tunnels(world, 1)
    good = world.policy.read_text()
    world.policy.write_text(good + 'rule "broken {\n')
    begin_restart(world)
    wait_until(lambda: "-T fails; this version stays" in world.log_end("gateway", 40), "the refusal")
    assert alice.all_live()
    assert ask(world, "SELECT count(*) FROM audit WHERE event = 'gateway_started'") == [(1,)]
    world.policy.write_text(good)
    restart(world)
    assert alice.all_live()


def test_a_stop_is_a_stop(new_world):
    world = new_world()
    alice = Tunnels(world, 2)
    restart(world)
    assert alice.all_live()
    world.gateway.terminate()
    assert world.gateway.wait(30) == 0 and alice.all_ended()
    assert ask(world, "SELECT close_reason, bytes_to_target FROM tunnel") == [("gateway_stopped", 9)] * 2


def start_with(world, *descriptors):
    """As a service manager would that has kept these; stale numbers in the environment besides."""
    places = " ".join(f"{3 + i}<&{fd}" for i, fd in enumerate(descriptors))
    command = f"export LISTEN_PID=$$ LISTEN_FDS={len(descriptors)}; exec {world.program('sallyport-gateway')} -f {world.conf} {places}"
    world.spawn("gateway", ["bash", "-c", command], world.gateway_ready, pass_fds=descriptors)


@pytest.fixture
def stopped(new_world):
    world = new_world()
    world.stop_process("gateway")
    return world


def test_descriptors_that_make_no_sense_are_no_heritage(stopped):
    rubbish, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    other.send(b"\0\0\0\1\0\0\0\0 this is no message")
    with open("/dev/null", "rb") as null:
        start_with(stopped, rubbish.fileno(), null.fileno())
    assert "cannot be taken over (damaged)" in stopped.log_end("gateway", 40)
    assert Tunnels(stopped, 1).all_live()


def protocol_of(world):
    shown = subprocess.run([world.program("sallyport-gateway"), "--version"], text=True, capture_output=True, check=True).stdout
    return int(shown.split()[-1], 16)


@pytest.mark.parametrize("other, parts, said", [(0, 2, "killed"), (1, 3, "another protocol")])
def test_who_is_inherited_but_not_known_is_killed(stopped, other, parts, said):
    """By a version that speaks otherwise; or somebody without an edge to a broker."""
    heritage, packer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    edge, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    old = frames.Peer("handover", packer)
    process = subprocess.Popen(["sleep", "1000"])
    old.send("begin", protocol=protocol_of(stopped) ^ other)
    for kind, fd in list(enumerate((os.pidfd_open(process.pid), edge.fileno(), edge.fileno()), 1))[:parts]:
        old.send("keep", fd, kind=kind, number=7)
    start_with(stopped, heritage.fileno())
    assert process.wait(10) == -signal.SIGKILL
    assert said == "killed" or said in stopped.log_end("gateway", 40)
    assert Tunnels(stopped, 1).all_live()


def test_a_worker_that_the_broker_does_not_know_is_killed(stopped):
    """It has all its edges; but no broker has written down who it is."""
    heritage, packer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    edge, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    old = frames.Peer("handover", packer)
    process = subprocess.Popen(["sleep", "1000"])
    old.send("begin", protocol=protocol_of(stopped))
    for kind, fd in enumerate((os.pidfd_open(process.pid), edge.fileno(), edge.fileno()), 1):
        old.send("keep", fd, kind=kind, number=7)
    start_with(stopped, heritage.fileno())
    assert process.wait(10) == -signal.SIGKILL
    assert "worker 7 is not taken over: killed" in stopped.log_end("gateway", 40)


def test_a_listener_that_was_kept_is_used(stopped):
    """Whoever connects while nobody is there is served by the next gateway."""
    with socket.create_server(("127.0.0.1", stopped.port)) as listener:
        early = socket.create_connection(("127.0.0.1", stopped.port))
        start_with(stopped, listener.fileno())
    peer = clients.tls_context(stopped, "alice-laptop").wrap_socket(early, server_hostname="localhost")
    assert peer.version() == "TLSv1.3"


def test_a_pid_file_is_there_as_long_as_the_gateway_is(stopped):
    path = stopped.path("gateway.pid")
    stopped.spawn("gateway", [stopped.program("sallyport-gateway"), "-f", stopped.conf, "--pid-file", path],
                  lambda: stopped.gateway_ready() and path.exists())
    assert int(path.read_text()) == stopped.gateway.pid
    kept = Tunnels(stopped, 1)
    restart(stopped)
    assert kept.all_live() and int(path.read_text()) == stopped.gateway.pid
    stopped.gateway.terminate()
    assert stopped.gateway.wait(30) == 0 and not path.exists()
