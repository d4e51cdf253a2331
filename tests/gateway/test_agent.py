"""The agent: one connection for all commands of a user, on this machine's own network."""
import contextlib
import hashlib
import json
import os
import re
import resource
import select
import signal
import socket
import subprocess
import threading
import time

import pytest

from clients_of_user import Held, agent_pid, client, log_in, state_folder
from world import answers, free_port, wait_until


@pytest.fixture(scope="module", autouse=True)
def logged_in(world):
    log_in(world)
    yield
    sanitizers_are_silent(world)


def sanitizers_are_silent(world):
    """An agent built with sanitizers writes what it finds into its log."""
    for log in state_folder(world).glob("*.log"):
        text = log.read_text()
        assert not re.search(r"AddressSanitizer|LeakSanitizer|runtime error", text), text


def write_quietly(stream, payload):
    with contextlib.suppress(OSError):
        stream.write(payload)
        stream.flush()


def connections(world):
    return int(json.loads(client(world, "status", "--json").stdout)["agent"]["connection"]["connections"])


def test_commands_share_one_connection(world):
    pid = agent_pid(world)
    before = connections(world)
    for _ in range(3):
        assert client(world, "ls").returncode == 0
        assert client(world, "status").returncode == 0
    assert agent_pid(world) == pid and connections(world) == before


def test_status_json_has_session_and_agent(world):
    status = json.loads(client(world, "status", "--json").stdout)
    assert status["user"] == "alice"
    assert status["agent"]["connection"]["state"] == "ready"


def test_A12_socket_is_private_and_serves_its_user_only(world):
    assert agent_pid(world)
    (path,) = state_folder(world).glob("*.agent")
    assert path.stat().st_mode & 0o777 == 0o600 and path.parent.stat().st_mode & 0o777 == 0o700
    # Somebody else who gets as far as the socket (every permission opened) is sent away without a word.
    hello = (0).to_bytes(2, "little") + (1).to_bytes(4, "little") + (3).to_bytes(4, "little") + b"0.1\0"
    opened = [parent for parent in [path, *path.parents] if str(parent).startswith("/tmp/")]
    modes = [(parent, parent.stat().st_mode) for parent in opened]
    said = {}
    for who, uid in (("other", 65534), ("self", os.getuid())):
        for parent in opened:
            parent.chmod(0o777)
        read_end, write_end = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.setgroups([])
                os.setuid(uid)
                peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                peer.settimeout(10)
                peer.connect(str(path))
                peer.send(hello)
                os.write(write_end, b"got:" + peer.recv(4096))
            except OSError as error:
                os.write(write_end, b"err:" + str(error).encode())
            os._exit(0)
        os.close(write_end)
        os.waitpid(child, 0)
        said[who] = os.read(read_end, 65536)
        os.close(read_end)
        for parent, mode in modes:
            parent.chmod(mode)
    assert said["other"] in (b"got:", b"err:[Errno 104] Connection reset by peer", b"err:[Errno 32] Broken pipe"), said
    assert said["self"].startswith(b"got:") and len(said["self"]) > 10


def test_A12_local_ports_turn_other_users_away(world):
    port = free_port()
    script = ("import os, socket, sys\nos.setuid(int(sys.argv[2]))\n"
              "peer = socket.socket()\npeer.settimeout(20)\npeer.connect(('127.0.0.1', int(sys.argv[1])))\n"
              "peer.sendall(b'x')\nsys.exit(peer.recv(1) != b'x')\n")
    with Held(world, "-L", f"{port}:127.0.0.1:{world.echo}") as command:
        wait_until(lambda: answers(port), "the local port")

        def connect_as(uid):
            return subprocess.run(["python3", "-c", script, str(port), str(uid)], capture_output=True, check=False,
                                  timeout=60).returncode
        assert connect_as(os.getuid()) == 0
        assert connect_as(65534) != 0
        said = b""
        while b"another user" not in said:
            assert select.select([command.stderr], [], [], 10)[0], said
            said += os.read(command.stderr.fileno(), 4096)


def test_two_commands_at_once_start_one_agent(world):
    client(world, "down")
    commands = [subprocess.Popen([world.program("sallyport"), "ls"], env=world.client_environment(),
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for _ in range(6)]
    assert all(command.wait(60) == 0 for command in commands), [c.stdout.read() for c in commands]
    for command in commands:
        command.stdout.close()
    assert len(list(state_folder(world).glob("*.agent"))) == 1 and connections(world) == 1


def test_agent_holds_nothing_of_the_command_that_started_it(world):
    client(world, "down")
    read_end, write_end = os.pipe()
    try:
        command = subprocess.run([world.program("sallyport"), "ls"], env=world.client_environment(), capture_output=True,
                                 pass_fds=[write_end], timeout=60, check=False)
        assert command.returncode == 0
        os.close(write_end)
        write_end = -1
        os.set_blocking(read_end, False)
        assert os.read(read_end, 1) == b"", "the agent keeps the pipe open"
    finally:
        os.close(read_end)
        if write_end >= 0:
            os.close(write_end)


def test_W_bytes_do_not_pass_through_the_command(world):
    with Held(world, "-W", f"127.0.0.1:{world.echo}", stdin=subprocess.PIPE, stdout=subprocess.PIPE) as command:
        payload = os.urandom(1 << 20)
        received = bytearray()
        os.set_blocking(command.stdin.fileno(), False)
        os.set_blocking(command.stdout.fileno(), False)
        sent, deadline = 0, time.monotonic() + 30
        while len(received) < len(payload) and time.monotonic() < deadline:
            for step in (lambda: os.write(command.stdin.fileno(), payload[sent:sent + 65536]),
                         lambda: os.read(command.stdout.fileno(), 65536)):
                try:
                    done = step()
                    if isinstance(done, int):
                        sent += done
                    else:
                        received += done
                except BlockingIOError:
                    pass
        assert bytes(received) == payload
        io = dict(line.split(": ") for line in open(f"/proc/{command.pid}/io").read().splitlines())
        assert int(io["wchar"]) < 65536
        command.stdin.close()
        assert command.wait(20) == 0


def test_W_ended_by_a_signal_cuts_its_tunnel(world):
    with Held(world, "-W", f"127.0.0.1:{world.echo}", stdin=subprocess.PIPE, stdout=subprocess.PIPE) as command:
        os.write(command.stdin.fileno(), b"x")
        assert os.read(command.stdout.fileno(), 1) == b"x"
        command.send_signal(signal.SIGINT)
        assert command.wait(20) == -signal.SIGINT
        assert os.read(command.stdout.fileno(), 1) == b""
    wait_until(lambda: not json.loads(client(world, "status", "--json").stdout)["agent"]["tunnels"], "the tunnel's end")


def test_agent_killed_in_mid_transfer_is_started_again(world):
    """Killed when some of 50 MB have passed: the command says so and fails, and the next one carries all of them."""
    payload = os.urandom(50_000_000)
    with Held(world, "-W", f"127.0.0.1:{world.echo}", stdin=subprocess.PIPE, stdout=subprocess.PIPE) as command:
        writer = threading.Thread(target=write_quietly, args=(command.stdin, payload))
        writer.start()
        received = command.stdout.read(5_000_000)
        before = agent_pid(world)
        os.kill(before, signal.SIGKILL)
        received += command.stdout.read()
        assert command.wait(20) == 6
        said = command.stderr.read()
        assert said.startswith(b"sallyport: ") and b"agent" in said and len(said.splitlines()) == 1, said
        writer.join(20)
        assert not writer.is_alive()
    assert len(received) < len(payload) and payload.startswith(received)
    again = subprocess.run([world.program("sallyport"), "-W", f"127.0.0.1:{world.echo}"], env=world.client_environment(),
                           input=payload, capture_output=True, timeout=60, check=False)
    assert again.returncode == 0, again.stderr
    assert hashlib.sha256(again.stdout).digest() == hashlib.sha256(payload).digest()
    assert agent_pid(world) != before


def test_L_keeps_its_port_while_the_agent_is_replaced(world):
    port = free_port()
    with Held(world, "-L", f"{port}:127.0.0.1:{world.echo}") as command:
        wait_until(lambda: answers(port), "the local port")
        os.kill(agent_pid(world), signal.SIGKILL)
        # It is accepted by the old socket and served by the new agent.
        with socket.create_connection(("127.0.0.1", port), 20) as peer:
            peer.sendall(b"still here")
            assert peer.recv(100) == b"still here"
        assert command.poll() is None


def cpu_ticks(pid):
    fields = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_agent_without_descriptors_rests_and_goes_on(world):
    """Visitors have taken all that it may have: it neither turns in a circle nor leaves, and whoever knocks waits."""
    client(world, "down")
    few = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (48, 48))}
    with Held(world, "agent", **few) as agent:
        wait_until(lambda: client(world, "status").returncode == 0, "the agent")
        (path,) = state_folder(world).glob("*.agent")
        peers = [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(60)]
        for peer in peers:
            peer.connect(str(path))
        wait_until(lambda: len(os.listdir(f"/proc/{agent.pid}/fd")) == 48, "the last descriptor")
        knock = subprocess.Popen([world.program("sallyport"), "ls"], env=world.client_environment(), stdout=subprocess.DEVNULL)
        before = cpu_ticks(agent.pid)
        time.sleep(4)
        assert cpu_ticks(agent.pid) - before < 0.2 * os.sysconf("SC_CLK_TCK")
        assert agent.poll() is None and knock.poll() is None
        for peer in peers:
            peer.close()
        assert knock.wait(30) == 0 and agent.poll() is None


def test_agent_leaves_when_its_socket_is_gone(world):
    pid = agent_pid(world)
    (path,) = state_folder(world).glob("*.agent")
    path.unlink()
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"), "the end of the agent")


def test_up_and_down(world):
    done = client(world, "up")
    assert done.returncode == 0 and "connected" in done.stdout
    pid = agent_pid(world)
    assert client(world, "down").returncode == 0
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"), "the end of the agent")
    assert "No agent" in client(world, "down").stdout


def test_gateway_restarts_under_an_open_port(new_world):
    world = new_world()
    log_in(world)
    port = free_port()
    with Held(world, "-L", f"{port}:127.0.0.1:{world.echo}") as command:
        wait_until(lambda: answers(port), "the local port")
        gateway = world.processes.pop("gateway")
        os.killpg(gateway.pid, signal.SIGKILL)
        gateway.wait()
        waiting = socket.create_connection(("127.0.0.1", port), 20)
        waiting.sendall(b"patience")
        time.sleep(0.5)
        world.start_gateway()
        waiting.settimeout(30)
        assert waiting.recv(100) == b"patience"
        waiting.close()
        assert command.poll() is None
    sanitizers_are_silent(world)


def test_logout_ends_the_ports(new_world):
    world = new_world()
    log_in(world)
    port = free_port()
    with Held(world, "-L", f"{port}:127.0.0.1:{world.echo}") as command:
        wait_until(lambda: answers(port), "the local port")
        with socket.create_connection(("127.0.0.1", port), 20) as peer:
            peer.sendall(b"x")
            assert peer.recv(1) == b"x"
            assert client(world, "logout").returncode == 0
            assert command.wait(20) != 0 and b"sallyport login" in command.stderr.read()


def test_agent_of_a_service_manager_connects_and_stays(world, monkeypatch):
    client(world, "down")
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(world.path("notify.sock")))
    manager.settimeout(30)
    monkeypatch.setenv("NOTIFY_SOCKET", str(world.path("notify.sock")))
    with manager, Held(world, "agent") as service:
        # Whoever comes after this word finds it, and starts none of its own.
        assert manager.recv(100) == b"READY=1"
        report = json.loads(client(world, "status", "--json").stdout)["agent"]
        assert int(report["pid"]) == service.pid and report["stays"]
        assert client(world, "down").returncode == 0
        assert service.wait(20) == 0
