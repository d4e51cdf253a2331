"""The client on bad networks: laptops behind a NAT, a gateway, an internal network (tests/lib/weather.py).

What is waited for has a bound, not a measure. Whoever must be without a network for a minute is so together.
"""
import os
import re
import signal
import subprocess
import time

import pytest

from clients_of_user import agent_pid, agent_report, client, log_in, state_folder
from far_world import Listener, far_world
from weather import NAME, NAT
from world import free_port, wait_until
from wrong_clock import wrong_clock

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not os.path.exists("/dev/net/tun"),
                                reason="needs root and /dev/net/tun")

LAPTOPS = ("alice-laptop", "train", "tunnel", "forgotten")

# Runs on a laptop: connects to a local port (by SOCKS to a target, when one is named), says the words of its input one
# by one, each 1,000 times, and prints them when just that has come back.
TALK = """
import socket, struct, sys
peer = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 150)
peer.settimeout(150)
if sys.argv[2:]:
    host, port = sys.argv[2].encode(), int(sys.argv[3])
    peer.sendall(b"\\5\\1\\0\\5\\1\\0\\3" + bytes([len(host)]) + host + struct.pack("!H", port))
    reply = b""
    while len(reply) < 12 and (piece := peer.recv(12 - len(reply))):
        reply += piece
    if reply[2:4] != b"\\5\\0":
        sys.exit(f"refused {reply}")
for word in sys.stdin:
    sent = word.encode() * 1000
    peer.sendall(sent)
    received = b""
    while len(received) < len(sent):
        piece = peer.recv(65536)
        if not piece:
            sys.exit("closed")
        received += piece
    print(word if received == sent else "garbled", end="", flush=True)
"""


class Talk:
    """A person at a local port. By SOCKS where the port is one of -D."""

    def __init__(self, listener):
        target = [listener.world.inside, str(listener.world.echo)] if listener.words[0] == "-D" else []
        self.process = listener.world.on_laptop("python3", "-c", TALK, str(listener.port), *target, laptop=listener.laptop,
                                                text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def say(self, word):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        return self

    def hears(self, word):
        return self.process.stdout.readline() == word + "\n"

    def waits(self):
        return self.process.poll() is None

    def is_cut(self, seconds=30):
        return self.process.wait(seconds) != 0

    def end(self):
        self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="module")
def world(programs):
    with far_world(programs, LAPTOPS) as world:
        yield world


@pytest.fixture(autouse=True)
def fair_weather(world):
    world.weather.set(delay=0.002, loss=0)
    if client(world, "status").returncode != 0:
        log_in(world)
    yield
    for laptop in LAPTOPS:
        for log in state_folder(world, laptop).glob("*.log"):
            text = log.read_text()
            assert not re.search(r"AddressSanitizer|LeakSanitizer|runtime error", text), text


@pytest.fixture
def talking(request, world):
    """Makes listeners and people at them, and takes all of them away."""
    made = []

    def listener(option, laptop="alice-laptop"):
        rest = f":{world.inside}:{world.echo}" if option == "-L" else ""
        entered = Listener(world, option, rest, laptop).__enter__()
        request.addfinalizer(lambda: entered.__exit__())
        return entered

    def talk(listener, word=None):
        one = Talk(listener)
        request.addfinalizer(one.end)
        made.append(one)
        return one.say(word) if word else one
    talk.listener = listener
    return talk


def connections(world, laptop="alice-laptop"):
    return int(agent_report(world, laptop)["connection"]["connections"])


def test_200_ms_and_2_percent_loss(world, talking):
    world.weather.set(delay=0.1, loss=0.02)
    ports = talking.listener("-L"), talking.listener("-D")
    talks = [talking(port, "hello") for port in ports for _ in range(4)]
    assert all(talk.hears("hello") for talk in talks)
    payload = os.urandom(400_000)
    done = subprocess.run([world.program("sallyport"), "-W", f"{world.inside}:{world.echo}"], input=payload,
                          env=world.client_environment(), capture_output=True, check=False, timeout=60)
    assert done.returncode == 0 and done.stdout == payload, done.stderr


def test_a_minute_without_a_network(world, talking):
    """The train's cable is pulled; over the tunnel's laptop lies silence; the NAT forgets the flows of the third one."""
    laptops = LAPTOPS[1:]
    for laptop in laptops:
        log_in(world, laptop=laptop)
    ports = {laptop: (talking.listener("-L", laptop), talking.listener("-D", laptop)) for laptop in laptops}
    talks = {laptop: [talking(port, "before") for port in ports[laptop]] for laptop in laptops}
    assert all(talk.hears("before") for pair in talks.values() for talk in pair)
    before = {laptop: connections(world, laptop) for laptop in laptops}
    begun = time.monotonic()
    world.places["train"].link("down")
    world.places["tunnel"].silence(True)
    world.places["forgotten"].be_forgotten()
    for laptop in ("train", "tunnel"):
        for talk in talks[laptop]:
            talk.say("meanwhile")
    impatient = subprocess.Popen([world.program("sallyport"), "-W", f"{world.inside}:{world.echo}"], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=world.client_environment("train"))

    # Nothing but the silence tells: what is new goes by a new hole, and what is held is told when its own is gone.
    new = [talking(port, "new") for port in ports["forgotten"]]
    assert all(talk.hears("new") for talk in new) and time.monotonic() - begun < 40
    assert connections(world, "forgotten") == before["forgotten"] + 1
    for talk in talks["forgotten"]:
        talk.say("held")

    # Who comes while there is no network waits, but not for ever.
    _, sentence = impatient.communicate(timeout=60)
    assert impatient.returncode == 6 and b"gateway" in sentence, sentence
    time.sleep(max(0, begun + 45 - time.monotonic()))
    late = {laptop: [talking(port, "late") for port in ports[laptop]] for laptop in ("train", "tunnel")}
    time.sleep(max(0, begun + 60 - time.monotonic()))
    everybody = [talk for laptop in ("train", "tunnel") for talk in talks[laptop] + late[laptop]]
    assert all(talk.waits() for talk in everybody)
    world.places["train"].link("up")
    world.places["tunnel"].silence(False)
    assert all(talk.hears("late") for laptop in late for talk in late[laptop]), "who came late was not served"

    assert all(talk.is_cut(60) for talk in talks["forgotten"]), "the forgotten tunnel hangs"
    wait_until(lambda: any("were cut" in port.said for port in ports["forgotten"]), "the word about what was cut")
    # What was held when the network went comes back with it: the kernel's next attempt is after 102 s.
    for laptop in ("train", "tunnel"):
        assert all(talk.hears("meanwhile") for talk in talks[laptop]), (laptop, "the tunnel did not survive")
        assert all(talk.say("after").hears("after") for talk in talks[laptop])
        assert not any("cut" in port.said for port in ports[laptop])


def test_address_changes(world, talking):
    ports = talking.listener("-L"), talking.listener("-D")
    talks = [talking(port, "before") for port in ports]
    assert all(talk.hears("before") for talk in talks)
    laptop = world.places["alice-laptop"]
    old = laptop.address
    laptop.take_address(f"{laptop.net}.3")
    try:
        new = [talking(port, "new address") for port in ports]
        assert all(talk.hears("new address") for talk in new)
        # What used the old address is cut, not left hanging, and that is said.
        assert all(talk.say("old").is_cut() for talk in talks)
        wait_until(lambda: any("network has changed; 2 connections were cut" in port.said for port in ports), "the word of it")
    finally:
        laptop.take_address(old)
    assert all(talking(port, "back").hears("back") for port in ports)


def test_gateway_killed_and_restarted(world, talking):
    ports = talking.listener("-L"), talking.listener("-D")
    talks = [talking(port, "carried") for port in ports]
    assert all(talk.hears("carried") for talk in talks)
    gateway = world.processes.pop("gateway")
    os.killpg(gateway.pid, signal.SIGKILL)
    gateway.wait()
    assert all(talk.say("lost").is_cut() for talk in talks)
    wait_until(lambda: any("2 connections were cut; trying again" in port.said for port in ports), "the word of what was cut")
    late = [talking(port, "late") for port in ports]
    time.sleep(1)
    assert all(talk.waits() for talk in late)
    world.start_gateway()
    assert all(talk.hears("late") for talk in late)
    assert client(world, "status").returncode == 0, "the session was lost"


def test_names_are_down(world, talking):
    hosts = world.weather.folder / "hosts"
    good = hosts.read_text()
    ports = talking.listener("-L"), talking.listener("-D")
    laptop = world.places["alice-laptop"]
    old = laptop.address
    hosts.write_text("127.0.0.1 localhost\n")
    try:
        # Who is connected needs no name any more; who is not is told which one is missing.
        assert all(talking(port, "no name").hears("no name") for port in ports)
        for words, given in ((["status"], None), (["login", "alice"], "x\n")):
            done = client(world, "--gateway", f"https://nowhere.test:{world.port}", *words, answers_text=given)
            assert done.returncode == 6 and "nowhere.test" in done.stderr, done.stderr
        # It must connect anew, and cannot: the one at the terminal is told, the ports wait.
        laptop.take_address(f"{laptop.net}.4")
        late = [talking(port, "late") for port in ports]
        told = []
        wait_until(lambda: told.append(client(world, "ls")) or told[-1].returncode != 0, "the end of the old connection")
        assert told[-1].returncode == 6 and NAME in told[-1].stderr and "name" in told[-1].stderr, told[-1]
        assert all(talk.waits() for talk in late)
    finally:
        hosts.write_text(good)
        laptop.take_address(old)
    assert all(talk.hears("late") for talk in late)


PORTAL = """
import http.server, ssl, sys
class Portal(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"welcome")
    do_POST = do_CONNECT = do_GET
server = http.server.ThreadingHTTPServer(("0.0.0.0", int(sys.argv[1])), Portal)
if sys.argv[2:]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*sys.argv[2:])
    server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


@pytest.fixture(params=["plain", "TLS"])
def portal(request, world):
    """At the NAT: it answers 200 to everything; in plain text, or behind a certificate of its own."""
    files = [world.path("portal.crt"), world.path("portal.key")]
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                    f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}", "-out", files[0], "-keyout", files[1]],
                   check=True, capture_output=True)
    port, nat = free_port(), world.weather.nat
    server = subprocess.Popen([*nat.prefix, "python3", "-c", PORTAL, str(port), *(files if request.param == "TLS" else ())],
                              stderr=subprocess.DEVNULL)
    wait_until(lambda: nat.run(f"python3 -c 'import socket; socket.create_connection((\"{NAT}\", {port}), 1)'", check=False,
                               stderr=subprocess.DEVNULL).returncode == 0, "the portal")
    nat.run(f"nft 'add table ip portal; add chain ip portal catch {{ type nat hook prerouting priority -100; }}; "
            f"add rule ip portal catch ip saddr {world.places['alice-laptop'].net}.0/24 tcp dport 1-65535 redirect to :{port}'")
    yield request.param

    server.kill()
    server.wait()
    nat.run("nft delete table ip portal 2>/dev/null || true")


def test_captive_portal_is_not_a_gateway(world, talking, portal):
    """A laptop that is at work comes into the portal's network, and leaves it."""
    words = "certificate" if portal == "TLS" else "TLS"
    ports = talking.listener("-L"), talking.listener("-D")
    laptop = world.places["alice-laptop"]
    old = laptop.address
    laptop.be_forgotten()
    laptop.take_address(f"{laptop.net}.5")
    try:
        late = [talking(port, "late") for port in ports]
        wait_until(lambda: client(world, "ls").returncode == 6, "the portal's being noticed")
        done = client(world, "login", "alice", answers_text="secret\n")
        assert done.returncode == 6 and words in done.stderr, done.stderr
        assert all(talk.waits() for talk in late), "the portal's answer was taken for the gateway's"
        world.weather.nat.run("nft delete table ip portal")
    finally:
        laptop.take_address(old)
    assert all(talk.hears("late") for talk in late)
    assert client(world, "status").returncode == 0, "the session was lost"


@pytest.mark.parametrize("days", [-1, 1])
def test_clock_wrong_by_a_day(world, release, days):
    """Before its certificate begins the laptop says that its clock is wrong; a day ahead nothing has expired yet."""
    environment = dict(world.client_environment(), XDG_RUNTIME_DIR=str(world.private_folder("clock", str(days))),
                       XDG_STATE_HOME=str(world.private_folder("clock", str(days))), **wrong_clock(world, days * 86400))

    def at_that_time(*words, **options):
        return subprocess.run([*world.places["alice-laptop"].prefix, f"{release}/bin/sallyport", *words], text=True,
                              env=environment, capture_output=True, check=False, timeout=60, **options)
    person = world.users["alice"]
    answers = world.path("answers")
    answers.write_text(f"{person.password}\n{person.code()}\n")
    with answers.open() as given:
        login = at_that_time("login", "alice", "--answers-from", str(given.fileno()), pass_fds=[given.fileno()])
    through = at_that_time("-W", f"{world.inside}:{world.echo}", input="ticks")
    environment["SALLYPORT_ASKPASS"] = "/bin/true"
    doctor = at_that_time("doctor")
    at_that_time("down")
    if days < 0:
        for done in (login, through):
            assert done.returncode == 5 and "clock" in done.stderr, done
        assert doctor.returncode == 5 and "clock" in doctor.stdout
    else:
        assert login.returncode == 0, login
        assert through.returncode == 0 and through.stdout == "ticks", through
        assert doctor.returncode == 0 and "answers; name, TCP and TLS" in doctor.stdout and "BAD" not in doctor.stdout, doctor


def test_agent_killed_on_a_long_way(world, talking):
    world.weather.set(delay=0.05)
    for option in ("-L", "-D"):
        port = talking.listener(option)
        talk = talking(port, "before")
        assert talk.hears("before")
        os.kill(agent_pid(world), signal.SIGKILL)
        assert talk.say("lost").is_cut()
        assert talking(port, "again").hears("again")


# Opens all, and when all stand lets each say its number.
CROWD = """
import socket, struct, sys
host, port, count = sys.argv[2].encode(), int(sys.argv[3]), int(sys.argv[4])
peers = [socket.create_connection(("127.0.0.1", int(sys.argv[1]))) for _ in range(count)]
for peer in peers:
    peer.sendall(b"\\5\\1\\0\\5\\1\\0\\3" + bytes([len(host)]) + host + struct.pack("!H", port))
for peer in peers:
    assert peer.recv(12, socket.MSG_WAITALL)[2:4] == b"\\5\\0"
for number, peer in enumerate(peers):
    peer.sendall(b"%05d" % number)
print(sum(peer.recv(5, socket.MSG_WAITALL) == b"%05d" % number for number, peer in enumerate(peers)))
"""


def test_D_with_500_connections_at_once_over_200_ms(world, talking):
    port = talking.listener("-D")
    world.weather.set(delay=0.1)
    crowd = world.on_laptop("python3", "-c", CROWD, str(port.port), world.inside, str(world.echo), "500",
                            stdout=subprocess.PIPE, text=True)
    said, _ = crowd.communicate(timeout=120)
    assert said.strip() == "500"
