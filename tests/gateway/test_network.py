"""The client on bad networks: a laptop, a way that delays, loses and forgets, a gateway (tests/lib/weather.py).

Times are shorter than in life; what is waited for has a bound, not a measure.
"""
import concurrent.futures
import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import textwrap
import time

import pytest

from clients_of_user import Held, agent_pid, agent_report, client, log_in, state_folder
from weather import GATEWAY, NAME, Weather
from wrong_clock import wrong_clock
from world import World, free_port, wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not os.path.exists("/dev/net/tun"),
                                reason="needs root and /dev/net/tun")

# Runs on the laptop: connects to a local port, says the words one by one and prints what comes back.
TALK = """
import socket, sys, time
peer = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 60)
peer.settimeout(60)
for word in sys.stdin:
    peer.sendall(word.encode())
    received = b""
    while len(received) < len(word):
        piece = peer.recv(1000)
        if not piece:
            sys.exit("closed")
        received += piece
    print(received.decode(), end="", flush=True)
"""


class FarWorld(World):
    """A world whose laptops stand at the other end of a way."""

    server_name = NAME

    def __init__(self, weather, *arguments, **options):
        super().__init__(*arguments, **options)
        self.weather = weather

    def program(self, name):
        if name != "sallyport":
            return super().program(name)
        wrapper = self.path("sallyport-on-laptop")
        if not wrapper.exists():
            command = shlex.join([*self.weather.laptop, super().program(name)])
            wrapper.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
            wrapper.chmod(0o755)
        return str(wrapper)

    def prepare(self):
        super().prepare()
        conf = self.conf.read_text()
        for port in (self.port, self.enroll_port):
            conf = conf.replace(f"127.0.0.1:{port}", f"0.0.0.0:{port}")
        self.conf.write_text(conf)


@pytest.fixture(scope="module")
def weather():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="sallyport-weather.", dir="/tmp"))
    with Weather(folder) as weather:
        yield weather


@pytest.fixture(scope="module")
def world(weather, programs):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="sallyport-test.", dir="/tmp"))
    world = FarWorld(weather, folder, programs, quiet=True)
    try:
        world.start()
        yield world
    finally:
        world.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(autouse=True)
def fair_weather(weather, world):
    weather.set(delay=0.002, loss=0)
    if client(world, "status").returncode != 0:
        log_in(world)
    yield
    for log in state_folder(world).glob("*.log"):
        text = log.read_text()
        assert not re.search(r"AddressSanitizer|LeakSanitizer|runtime error", text), text


class Port:
    """A local port on the laptop that leads to the echo server."""

    def __init__(self, world, target=None):
        self.world, self.port = world, free_port()
        self.held = Held(world, "-L", f"{self.port}:127.0.0.1:{target or world.echo}")

    def __enter__(self):
        self.held.__enter__()
        line = self.held.process.stderr.readline()
        assert b"listening" in line, line
        return self

    def __exit__(self, *_):
        self.held.__exit__()

    def talk(self):
        return subprocess.Popen([*self.world.weather.laptop, "python3", "-c", TALK, str(self.port)], text=True,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def once(self, word="hello\n", seconds=60):
        talk = self.talk()
        out, _ = talk.communicate(word, timeout=seconds)
        return out == word


def say(talk, word):
    talk.stdin.write(word + "\n")
    talk.stdin.flush()
    return talk.stdout.readline() == word + "\n"


def end(talk):
    talk.stdin.close()
    talk.wait(20)
    talk.stdout.close()
    talk.stderr.close()


def test_200_ms_and_2_percent_loss(world, weather):
    weather.set(delay=0.1, loss=0.02)
    with Port(world) as port:
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            assert all(pool.map(lambda _: port.once(), range(8)))
    payload = os.urandom(400_000)
    done = subprocess.run([world.program("sallyport"), "-W", f"127.0.0.1:{world.echo}"], input=payload,
                          env=world.client_environment(), capture_output=True, check=False, timeout=60)
    assert done.returncode == 0 and done.stdout == payload, done.stderr


def test_link_down_and_up_keeps_tunnels(world, weather):
    with Port(world) as port:
        talk = port.talk()
        assert say(talk, "before")
        before = agent_report(world)["connection"]["connections"]
        weather.link("down")
        talk.stdin.write("meanwhile\n")
        talk.stdin.flush()
        # Somebody comes while there is no network: he waits, and is served afterwards.
        late = port.talk()
        late.stdin.write("late\n")
        late.stdin.flush()
        time.sleep(8)
        assert late.poll() is None and talk.poll() is None
        weather.link("up")
        assert late.stdout.readline() == "late\n"
        assert talk.stdout.readline() == "meanwhile\n", "the tunnel did not survive"
        assert agent_report(world)["connection"]["connections"] >= before
        end(late)
        end(talk)


def test_address_changes(world, weather):
    with Port(world) as port:
        talk = port.talk()
        assert say(talk, "before")
        weather.on_laptop("ip addr flush dev way0; ip addr add 10.9.0.3/24 dev way0")
        try:
            started = time.monotonic()
            assert port.once("new address\n")
            assert time.monotonic() - started < 20
            # What used the old address is cut, not left hanging.
            talk.stdin.write("old\n")
            talk.stdin.flush()
            assert talk.wait(30) != 0
        finally:
            weather.on_laptop("ip addr flush dev way0; ip addr add 10.9.0.2/24 dev way0")
            for stream in (talk.stdin, talk.stdout, talk.stderr):
                stream.close()
        assert port.once("back\n")


def test_gateway_killed_and_restarted(world):
    with Port(world) as port:
        assert port.once()
        gateway = world.processes.pop("gateway")
        os.killpg(gateway.pid, signal.SIGKILL)
        gateway.wait()
        late = port.talk()
        late.stdin.write("late\n")
        late.stdin.flush()
        time.sleep(1)
        world.start_gateway()
        assert late.stdout.readline() == "late\n"
        end(late)
        assert client(world, "status").returncode == 0, "the session was lost"


def test_nat_that_forgets(world, weather):
    with Port(world) as port:
        assert port.once()
        before = agent_report(world)["connection"]["connections"]
        weather.set(forget=True)
        # The change of the network is what a laptop would notice; here nothing tells but the silence.
        weather.on_laptop("ip addr add 10.9.0.9/32 dev way0; ip addr del 10.9.0.9/32 dev way0")
        assert port.once("through a new hole\n")
        assert agent_report(world)["connection"]["connections"] > before


def test_names_are_down(world, weather):
    hosts = weather.folder / "hosts"
    good = hosts.read_text()
    with Port(world) as port:
        hosts.write_text("127.0.0.1 localhost\n")
        try:
            # Who is connected needs no name any more; who is not is told.
            assert port.once()
            done = client(world, "--gateway", f"https://nowhere.test:{world.port}", "status")
            assert done.returncode == 4 or "nowhere.test" in done.stderr, done.stderr
            done = client(world, "--gateway", f"https://nowhere.test:{world.port}", "login", "alice", answers_text="x\n")
            assert done.returncode == 6 and "nowhere.test" in done.stderr, done.stderr
        finally:
            hosts.write_text(good)


def test_captive_portal_is_not_a_gateway(world, weather):
    """It answers 200 to everything: in plain text, and behind a certificate of its own."""
    key, certificate = world.path("portal.key"), world.path("portal.crt")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                    f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}", "-keyout", key, "-out", certificate], check=True,
                   capture_output=True)
    plain = ("import http.server as h\nclass P(h.BaseHTTPRequestHandler):\n do_GET = do_POST = lambda s: "
             "(s.send_response(200), s.end_headers(), s.wfile.write(b'welcome'))\n"
             "s = h.ThreadingHTTPServer(('0.0.0.0', %d), P)\n%s\ns.serve_forever()\n")
    wrap = ("import ssl\nc = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)\n"
            f"c.load_cert_chain('{certificate}', '{key}')\ns.socket = c.wrap_socket(s.socket, server_side=True)")
    for how, words in (("", "TLS"), (wrap, "certificate")):
        port = free_port()
        portal = subprocess.Popen(["python3", "-c", plain % (port, how)], stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda: socket.create_connection((GATEWAY, port), 1).close() is None if _listens(port) else False,
                       "the portal")
            done = client(world, "--gateway", f"https://{NAME}:{port}", "login", "alice", answers_text="secret\n")
            assert done.returncode == 6 and words in done.stderr, done.stderr
        finally:
            portal.kill()
            portal.wait()


def _listens(port):
    try:
        socket.create_connection((GATEWAY, port), 1).close()
        return True
    except OSError:
        return False


@pytest.mark.parametrize("days, words", [(-1, "clock"), (1, "answers; name, TCP and TLS")])
def test_clock_wrong_by_a_day(world, release, days, words):
    """Before its certificate begins the laptop says that its clock is wrong; a day ahead nothing has expired yet."""
    done = subprocess.run([*world.weather.laptop, f"{release}/bin/sallyport", "doctor"], text=True, capture_output=True,
                          env=dict(world.client_environment(), **wrong_clock(world, days * 86400)), check=False, timeout=60)
    assert words in done.stdout + done.stderr and ("gateway  " in done.stdout), done
    assert done.returncode == (5 if days < 0 else 7), done


def test_agent_killed_on_a_long_way(world, weather):
    weather.set(delay=0.05)
    with Port(world) as port:
        assert port.once()
        os.kill(agent_pid(world), signal.SIGKILL)
        assert port.once("again\n")


def test_window_follows_the_way(world, weather, release):
    """Over 200 ms of delay a tunnel is nearly as fast as plain TCP on the same way, measured side by side."""
    big = world.path("wiki", "pages", "big")
    size = 24 << 20
    with big.open("wb") as file:
        file.truncate(size)
    weather.set(delay=0.1)
    direct_port = free_port()
    relay = subprocess.Popen(["python3", "-c", textwrap.dedent(f"""
        import socket, threading
        listener = socket.create_server(("0.0.0.0", {direct_port}))
        while True:
            peer, _ = listener.accept()
            if peer.recv(65536):
                peer.sendall(bytes({size}))
            peer.close()
    """)])
    measure = ("import socket, sys, time\nstart = time.monotonic()\n"
               "peer = socket.create_connection((sys.argv[1], int(sys.argv[2])))\n"
               "peer.sendall(b'GET /big HTTP/1.0\\r\\n\\r\\n')\ntotal = 0\n"
               "while piece := peer.recv(1 << 20):\n total += len(piece)\n"
               f"assert total >= {size}, total\nprint(time.monotonic() - start)")
    try:
        wait_until(lambda: _listens(direct_port), "the direct server")
        with Port(world, world.web) as port:
            def seconds(host, number):
                done = subprocess.run([*weather.laptop, "python3", "-c", measure, host, str(number)], text=True,
                                      capture_output=True, check=True, timeout=60)
                return float(done.stdout)
            direct = min(seconds(GATEWAY, direct_port) for _ in range(2))
            tunnel = min(seconds("127.0.0.1", port.port) for _ in range(2))
    finally:
        relay.kill()
        relay.wait()
    print(f"direct {size / direct / 1e6:.1f} MB/s, tunnel {size / tunnel / 1e6:.1f} MB/s")
    assert tunnel < direct * 2 + 0.5
