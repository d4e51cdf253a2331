"""The ways that lead other programs through the agent: SOCKS, HTTP proxy, PAC, ssh, exec, kept forwards, profiles."""
import concurrent.futures
import contextlib
import json
import os
import pwd
import socket
import struct
import subprocess
import urllib.request

import pytest

from clients_of_user import Held, agent_pid, agent_report, client, log_in
from test_policy import apply
from world import answers, free_port, run, wait_until


@pytest.fixture(scope="module", autouse=True)
def logged_in(world):
    log_in(world)


@pytest.fixture(scope="module")
def socks(world):
    port = free_port()
    with Held(world, "-D", str(port)):
        wait_until(lambda: answers(port), "the SOCKS port")
        yield port


@pytest.fixture(scope="module")
def proxy(world):
    port = free_port()
    with Held(world, "http-proxy", str(port)):
        wait_until(lambda: answers(port), "the proxy's port")
        yield port


def socks_connect(port, host, target_port):
    peer = socket.create_connection(("127.0.0.1", port), 20)
    peer.sendall(b"\x05\x01\x00")
    assert peer.recv(2) == b"\x05\x00"
    name = host.encode()
    peer.sendall(b"\x05\x01\x00\x03" + bytes([len(name)]) + name + struct.pack("!H", target_port))
    reply = peer.recv(10, socket.MSG_WAITALL)
    return peer, reply[1]


def curl(world, *arguments, **options):
    return subprocess.run(["curl", "-sS", "--max-time", "20", "--noproxy", "", *arguments], text=True, capture_output=True,
                          check=False, timeout=30, **options)


def test_D_carries_what_socks_clients_ask_for(world, socks):
    done = curl(world, "--proxy", f"socks5h://127.0.0.1:{socks}", f"http://127.0.0.1:{world.web}/")
    assert "Company wiki" in done.stdout, done.stderr
    peer, code = socks_connect(socks, "127.0.0.1", world.echo)
    assert code == 0
    peer.sendall(b"hello")
    assert peer.recv(10) == b"hello"
    peer.close()


def test_D_says_no_in_the_words_of_socks(world, socks):
    for host, port, expected in (("127.0.0.1", world.denied, 2), ("no.such.name.invalid", 80, 2)):
        peer, code = socks_connect(socks, host, port)
        assert code == expected
        peer.close()


def test_D_with_500_connections_at_once(world, socks):
    """All stand before the first one speaks."""
    def stand(_):
        peer, code = socks_connect(socks, "127.0.0.1", world.echo)
        assert code == 0
        return peer

    def speak(index, peer):
        peer.sendall(b"%d" % index)
        peer.shutdown(socket.SHUT_WR)
        received = b""
        while piece := peer.recv(100):
            received += piece
        return received == b"%d" % index
    with concurrent.futures.ThreadPoolExecutor(60) as pool, contextlib.ExitStack() as stack:
        peers = [stack.enter_context(peer) for peer in pool.map(stand, range(500))]
        assert len(agent_report(world)["tunnels"]) >= 500
        assert sum(pool.map(speak, range(500), peers)) == 500


def test_http_proxy_carries_plain_and_connect(world, proxy):
    url = f"http://127.0.0.1:{world.web}/"
    for arguments in ([], ["--proxytunnel"]):
        done = curl(world, "--proxy", f"http://127.0.0.1:{proxy}", *arguments, url)
        assert "Company wiki" in done.stdout, done.stderr
    done = curl(world, "--proxy", f"http://127.0.0.1:{proxy}", "-i", f"http://127.0.0.1:{world.denied}/")
    assert "403" in done.stdout.splitlines()[0] and "request" in done.stdout, done.stdout


@pytest.mark.parametrize("bad", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x00\r\n\r\n", b"CONNECT x HTTP/1.1\r\n\r\n",
                                 b"GET http://a@b/ HTTP/1.1\r\n\r\n", b"GET http://b/ HTTP/1.1\r\nA: b\n c\r\n\r\n",
                                 b"CONNECT [::1]:0 HTTP/1.1\r\n\r\n", b"GET http://b/ FTP/1.1\r\n\r\n"])
def test_http_proxy_refuses_what_is_no_request_to_a_proxy(proxy, bad):
    with socket.create_connection(("127.0.0.1", proxy), 20) as peer:
        peer.sendall(bad)
        assert peer.recv(100).startswith(b"HTTP/1.1 400")


def test_http_proxy_takes_a_head_in_pieces_and_a_body(world, proxy):
    with socket.create_connection(("127.0.0.1", proxy), 20) as peer:
        head = f"CONNECT 127.0.0.1:{world.echo} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        for piece in (head[:10], head[10:-2], head[-2:] + b"early"):
            peer.sendall(piece)
        received = b""
        while not received.endswith(b"early"):
            received += peer.recv(1000)
        assert received.startswith(b"HTTP/1.1 200")


def test_pac_names_what_may_be_reached(world):
    text = client(world, "pac", "9999").stdout
    assert "FindProxyForURL" in text and '"127.0.0.1"' in text and "PROXY 127.0.0.1:9999" in text


def test_exec_gives_the_command_its_way(world):
    done = client(world, "exec", "--", "curl", "-sS", f"http://127.0.0.1:{world.web}/")
    assert "Company wiki" in done.stdout, done.stderr
    assert client(world, "exec", "--", "sh", "-c", "exit 42").returncode == 42
    assert client(world, "exec", "no-such-program").returncode == 1
    done = client(world, "exec", "env")
    assert "all_proxy=socks5h://127.0.0.1:" in done.stdout


def test_forwards_are_kept_by_the_agent_and_come_back(world):
    port, other = free_port(), free_port()
    assert client(world, "forward", "add", "-L", f"{port}:127.0.0.1:{world.echo}", "-D", str(other)).returncode == 0
    with socket.create_connection(("127.0.0.1", port), 20) as peer:
        peer.sendall(b"kept")
        assert peer.recv(10) == b"kept"
    listed = client(world, "forward", "list").stdout
    assert str(port) in listed and str(other) in listed
    assert client(world, "down").returncode == 0
    assert client(world, "status").returncode == 0
    with socket.create_connection(("127.0.0.1", port), 20) as peer:
        peer.sendall(b"back")
        assert peer.recv(10) == b"back"
    assert client(world, "forward", "drop", str(port)).returncode == 0
    assert client(world, "forward", "drop", str(other)).returncode == 0
    assert not answers(port)
    assert client(world, "forward", "drop", str(port)).returncode == 1
    kept = [item for item in json.loads(client(world, "forward", "list", "--json").stdout) if item["kept"]]
    assert kept == []


def test_why_says_yes_or_no_and_why(world):
    done = client(world, "why", f"127.0.0.1:{world.echo}")
    assert done.returncode == 0 and "echo" in done.stdout and "can be reached" in done.stdout, done.stderr
    done = client(world, "why", f"127.0.0.1:{world.denied}")
    assert done.returncode == 3 and "request" in done.stderr
    wait_until(lambda: not agent_report(world)["tunnels"], "the end of the probe")


def ssh_home(world):
    """A home whose ssh knows the key of the shell host by each of its names."""
    folder, home = world.path("ssh"), world.private_folder("home")
    (home / ".ssh").mkdir(exist_ok=True)
    host_key = (folder / "host.pub").read_text()
    (home / ".ssh" / "known_hosts").write_text("".join(
        f"[{name}]:{world.ssh} {host_key}" for name in ("127.0.0.1", "ssh", "127.0.0.2")))
    (home / ".ssh" / "config").write_text(f"Host *\n\tIdentityFile {folder}/user\n\tBatchMode yes\n")
    return home


def ssh_from(world, home, *words):
    """ssh takes the home of the account, so this folder is laid over it, for this program alone."""
    return subprocess.run(["unshare", "-m", "sh", "-c", 'mount --bind "$0" "$1" && shift && exec ssh "$@"', str(home),
                           pwd.getpwuid(os.getuid()).pw_dir, *words], env=world.client_environment(), text=True,
                          capture_output=True, check=False, timeout=60, input="through\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to lay a home over its own")
def test_ssh_goes_by_the_installed_configuration(new_world):
    world = new_world()
    world.policy.write_text(world.policy.read_text() + f'''
resource "racks" {{ address = {{"127.0.0.2/31:{world.ssh}", "*.rack.example:22"}}  kind = ssh }}
resource "site" {{ address = {{"site.example:443"}} }}
resource "base" {{ address = {{"base.example:22"}}  kind = postgres }}
rule "racks" {{ users = {{"alice"}} resources = {{"racks", "site", "base"}} }}
''')
    apply(world)
    log_in(world)
    text = client(world, "ssh-config").stdout
    assert f"\nHost 127.0.0.1 ssh\n\tPort {world.ssh}\n\tProxyCommand sallyport -W %h:%p\n" in text
    assert f'\nMatch host "127.0.0.2,127.0.0.3"\n\tPort {world.ssh}\n' in text and '\nMatch host "*.rack.example"\n\tProxy' in text
    # What is no shell by its kind or its port is left out.
    assert "site.example" not in text and "base.example" not in text and str(world.web) not in text and str(world.echo) not in text
    home = ssh_home(world)
    for _ in range(2):
        assert client(world, "ssh-config", "--install", environment={"HOME": str(home)}).returncode == 0
    config = (home / ".ssh" / "config").read_text()
    assert config.startswith("Include sallyport_config\n") and config.count("Include") == 1 and "IdentityFile" in config
    for name in ("127.0.0.1", "ssh"):
        done = ssh_from(world, home, name, "cat")
        assert done.stdout == "through\n", (name, done.stderr)
    # By the pattern as well; nothing listens there, and it is the gateway that says so.
    done = ssh_from(world, home, "127.0.0.2", "cat")
    assert done.returncode == 255 and "sallyport: 127.0.0.2:" in done.stderr, done.stderr


def test_exec_leads_git_and_curl(world):
    """The proxy variables are those that git and curl honour, names and all."""
    folder = world.path("wiki", "pages", "repo.git")
    run(["git", "init", "-q", "--bare", folder])
    work = world.private_folder("work")
    git = ["git", "-c", "user.name=alice", "-c", "user.email=alice@example.com", "-C", work]
    run(["git", "init", "-q", work])
    run([*git, "commit", "-q", "--allow-empty", "-m", "first"])
    run([*git, "push", "-q", folder, "HEAD:refs/heads/main"])
    run(["git", "-C", folder, "update-server-info"])
    done = client(world, "exec", "--", "git", "ls-remote", f"http://wiki:{world.web}/repo.git")
    assert "refs/heads/main" in done.stdout, done.stderr
    done = client(world, "exec", "--", "sh", "-c", f'curl -sS --proxy "$all_proxy" http://wiki:{world.web}/')
    assert "Company wiki" in done.stdout, done.stderr


def test_doctor_and_version(world):
    done = client(world, "doctor", environment={"SALLYPORT_ASKPASS": "/bin/true"})
    assert done.returncode == 0 and "BAD" not in done.stdout, done.stdout
    done = client(world, "doctor", "--gateway", f"https://localhost:{free_port()}",
                  environment={"SALLYPORT_ASKPASS": "/bin/true"})
    assert done.returncode == 6 and "BAD" in done.stdout
    assert client(world, "version").stdout.startswith("sallyport ")


def test_profiles_by_name(world):
    folder = world.private_folder("client", "alice-laptop") / "sallyport" / "profiles"
    folder.mkdir(parents=True, exist_ok=True)
    laptop = world.laptops["alice-laptop"]
    (folder / "work").write_text(f"gateway = {world.url}\nca = {world.path('etc', 'server-ca.crt')}\n"
                                 f"cert = {laptop.certificate}\nkey = {laptop.key}\n")
    wrong = {"SALLYPORT_URL": "https://127.0.0.1:1"}
    assert client(world, "status", environment=wrong).returncode == 6
    assert client(world, "-p", "work", "status", environment=wrong).returncode == 0
    assert client(world, "status", environment={**wrong, "SALLYPORT_PROFILE": "work"}).returncode == 0
    for name in ("nothing", "../work", ""):
        assert client(world, "-p", name, "status").returncode == 2


def test_next_gateway_of_a_profile_when_the_first_is_gone(world):
    done = client(world, "--gateway", f"https://localhost:{free_port()} {world.url}", "login", "alice",
                  answers_text=f"{world.users['alice'].password}\n{world.users['alice'].code()}\n")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("arguments", [["-D", "0"], ["-D", "x"], ["-D", "1:2:3"], ["http-proxy", "0"], ["exec"], ["why"],
                                       ["forward", "jump"], ["forward", "add"], ["forward", "drop"], ["why", "h"],
                                       ["ls", "--install"], ["-W", "h:1", "-D", "1080"], ["ls", "-D", "1080"]])
def test_wrong_usage(world, arguments):
    done = client(world, *arguments)
    assert done.returncode == 2 and len(done.stderr.strip().splitlines()) == 1, done.stderr
