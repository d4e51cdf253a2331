"""A profile with two gateways: the next one when the first is gone, and what is one gateway's stays with it.

The two share no store: each has its own sessions, and the laptop is registered at both.
"""
import contextlib
import hashlib
import json
import os
import signal
import socket
import ssl
import threading

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import pytest

from clients_of_user import Held, client, log_in, state_folder
from test_policy import apply
from test_upkeep import Tunnel, heard
from world import answers, free_port, run, wait_until


class Pair:
    """alice's laptop, enrolled at the first gateway and adopted by the second; both lead to the same targets."""

    def __init__(self, new_world):
        self.first, self.second = new_world(), new_world(laptops=())
        laptop = self.first.laptops["alice-laptop"]
        self.second.admin("ca", "trust", self.first.path("etc", "device-ca.crt"))
        self.second.admin("device", "adopt", "alice-laptop", "--user", "alice", "--cert", laptop.certificate)
        self.second.policy.write_text(self.first.policy.read_text())
        apply(self.second)
        authorities = self.first.path("authorities.crt")
        authorities.write_text("".join(world.path("etc", "server-ca.crt").read_text() for world in (self.first, self.second)))
        self.urls = f"{self.first.url} {self.second.url}"
        self.options = ["--gateway", self.urls, "--ca", str(authorities)]

    def run(self, *arguments, **options):
        return client(self.first, *self.options, *arguments, **options)

    def log_in(self, world):
        """At that gateway, whichever the agent of both uses at the moment."""
        alice = world.users["alice"]
        done = client(self.first, *self.options, "--gateway", world.url, "login", "alice",
                      answers_text=f"{alice.password}\n{alice.code()}\n")
        assert done.returncode == 0, done.stderr

    def held(self, port):
        return Held(self.first, *self.options, "-L", f"{port}:127.0.0.1:{self.first.echo}")

    def in_use(self):
        return json.loads(self.run("status", "--json").stdout)["agent"]["connection"]["gateway"]


def kill(world):
    gateway = world.processes.pop("gateway")
    os.killpg(gateway.pid, signal.SIGKILL)
    gateway.wait()


@pytest.fixture
def pair(new_world):
    return Pair(new_world)


def test_the_next_one_when_the_first_is_gone(pair):
    pair.log_in(pair.first)
    pair.log_in(pair.second)
    port = free_port()
    with pair.held(port) as command:
        wait_until(lambda: answers(port), "the local port")
        with Tunnel(port) as tunnel:
            assert tunnel.echoes()
        assert pair.in_use() == pair.first.url
        kill(pair.first)
        with Tunnel(port) as tunnel:
            assert tunnel.echoes(b"by the second")
        assert pair.in_use() == pair.second.url
        assert f"gateway  {pair.second.url}" in pair.run("status").stdout
        pair.first.start_gateway()
        kill(pair.second)
        with Tunnel(port) as tunnel:
            assert tunnel.echoes(b"by the first again")
        assert pair.in_use() == pair.first.url and command.poll() is None


def test_a_gateway_without_a_login_says_so_and_keeps_the_ports(pair):
    pair.log_in(pair.first)
    port = free_port()
    with pair.held(port) as command:
        wait_until(lambda: answers(port), "the local port")
        with Tunnel(port) as tunnel:
            assert tunnel.echoes()
        kill(pair.first)
        heard(command, f"You are not logged in at the gateway localhost:{pair.second.port}; run: sallyport login".encode())
        with Tunnel(port) as tunnel:
            assert not tunnel.is_served()
        done = pair.run("ls")
        assert done.returncode == 4 and f"localhost:{pair.second.port}" in done.stderr
        # The port has stayed: after a login there it leads somewhere again.
        alice = pair.second.users["alice"]
        assert pair.run("login", "alice", answers_text=f"{alice.password}\n{alice.code()}\n").returncode == 0
        with Tunnel(port) as tunnel:
            assert tunnel.echoes(b"after the login")
        assert len(list(state_folder(pair.first).glob("*.session"))) == 2
        done = pair.run("logout")
        assert done.returncode == 0 and "At another gateway" in done.stdout
        assert len(list(state_folder(pair.first).glob("*.session"))) == 1


def test_the_next_one_when_the_first_refuses_the_device(pair):
    pair.log_in(pair.second)
    pair.first.admin("device", "lock", "alice-laptop")
    done = pair.run("status")
    assert done.returncode == 0 and f"gateway  {pair.second.url}" in done.stdout, done.stderr
    done = pair.run("doctor")
    assert f"The gateway localhost:{pair.first.port} refuses this device" in done.stdout
    assert f"localhost:{pair.second.port} answers" in done.stdout and done.returncode == 5
    pair.run("down")
    pair.second.admin("device", "lock", "alice-laptop")
    done = pair.run("status")
    assert done.returncode == 5 and "refuses this device" in done.stderr


class Impostor(threading.Thread):
    """The second gateway of a profile, with a good certificate: it refuses all that it is asked and keeps what it was told."""

    def __init__(self, world):
        super().__init__(daemon=True)
        self.told, self.asked, self.over = [], [], False
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.load_cert_chain(world.path("etc", "server.crt"), world.path("etc", "server.key"))
        self.context.set_alpn_protocols(["h2"])
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://localhost:{self.listener.getsockname()[1]}"

    def serve(self, peer):
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        connection.initiate_connection()
        peer.sendall(connection.data_to_send())
        while piece := peer.recv(65536):
            self.told.append(piece)
            for event in connection.receive_data(piece):
                if isinstance(event, h2.events.RequestReceived):
                    self.told.append(repr(event.headers).encode())
                    self.asked.append(dict(event.headers).get(":path"))
                    connection.send_headers(event.stream_id, [(":status", "401")], end_stream=True)
            peer.sendall(connection.data_to_send())

    def run(self):
        while not self.over:
            with contextlib.suppress(OSError, h2.exceptions.H2Error):
                peer, _ = self.listener.accept()
                with self.context.wrap_socket(peer, server_side=True) as secure:
                    self.serve(secure)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over = True
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.join(10)


def test_A7_a_session_is_told_to_its_own_gateway_only(new_world):
    world = new_world()
    with Impostor(world) as impostor:
        options = ["--gateway", f"{world.url} {impostor.url}"]
        alice = world.users["alice"]
        done = client(world, *options, "login", "alice", answers_text=f"{alice.password}\n{alice.code()}\n")
        assert done.returncode == 0, done.stderr
        (session,) = state_folder(world).glob("*.session")
        port = free_port()
        with Held(world, *options, "-L", f"{port}:127.0.0.1:{world.echo}"):
            wait_until(lambda: answers(port), "the local port")
            kill(world)
            with Tunnel(port) as tunnel:
                assert not tunnel.is_served()
            for command in ("ls", "status"):
                assert client(world, *options, command).returncode == 4
            assert "At another gateway" in client(world, *options, "logout").stdout
        told = b"".join(impostor.told)
        assert "/v1/session" in impostor.asked and "/v1/resources" in impostor.asked
        assert session.read_text().strip().encode() not in told and b"Bearer" not in told
        assert session.exists(), "the session of the first gateway was forgotten"


def session_file(world, port):
    """Where the session of that gateway is kept: named by gateway and certificate (token.c)."""
    certificate = ssl.PEM_cert_to_DER_cert(world.laptops["alice-laptop"].certificate.read_text())
    name = hashlib.sha256(f"localhost:{port}\0".encode() + hashlib.sha256(certificate).digest()).hexdigest()[:32]
    return state_folder(world) / f"{name}.session"


def test_renewal_by_the_next_one_keeps_the_sessions_of_both(new_world):
    world = new_world()
    gone = free_port()
    log_in(world)
    assert session_file(world, world.port).exists()
    elsewhere = session_file(world, gone)
    elsewhere.touch(0o600)
    elsewhere.write_text("the-session-of-the-one-that-is-gone\n")
    options = ["--gateway", f"https://localhost:{gone} {world.url}"]
    done = client(world, *options, "renew")
    assert done.returncode == 0 and "Renewed" in done.stdout, done.stderr
    assert session_file(world, gone) != elsewhere and not elsewhere.exists()
    assert session_file(world, gone).read_text() == "the-session-of-the-one-that-is-gone\n"
    assert client(world, *options, "status").returncode == 0


def test_a_new_invitation_keeps_the_other_gateways(new_world):
    world = new_world()
    laptop = world.laptops["alice-laptop"]
    profile = laptop.folder / "sallyport" / "profile"
    urls = f"{world.url}, https://elsewhere.example"
    profile.write_text(profile.read_text().replace(f"gateway = {world.url}", f"gateway = {urls}"))
    assert urls in profile.read_text()
    run([world.program("sallyport"), "enroll", world.invite("alice-second", "alice")], env=world.laptop_environment(laptop.folder))
    assert f"gateway = {urls}\n" in profile.read_text()
