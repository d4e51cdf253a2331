"""The programs as people use them: sallyport on the laptop, sallyport-admin on the gateway."""
import json
import os
import re
import signal
import socket
import subprocess
import urllib.request

import pytest

import api
from world import WorldError, answers, free_port, wait_until


def client(world, *arguments, laptop="alice-laptop", answers_text=None, **options):
    command = [world.program("sallyport"), *arguments]
    passed = ()
    ends = ()
    if answers_text is not None:
        ends = socket.socketpair()
        ends[1].sendall(answers_text.encode())
        ends[1].shutdown(socket.SHUT_WR)
        command += ["--answers-from", str(ends[0].fileno())]
        passed = (ends[0].fileno(),)
    done = subprocess.run(command, env=world.client_environment(laptop), text=True, capture_output=True, check=False,
                          timeout=60, pass_fds=passed, stdin=options.pop("stdin", subprocess.DEVNULL),
                          start_new_session=True, **options)
    for end in ends:
        end.close()
    return done


def log_in(world, user="alice", laptop="alice-laptop"):
    person = world.users[user]
    done = client(world, "login", user, laptop=laptop, answers_text=f"{person.password}\n{person.code()}\n")
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module", autouse=True)
def logged_in(world):
    log_in(world)


def test_status_and_ls(world):
    status = json.loads(client(world, "status", "--json").stdout)
    assert status["user"] == "alice"
    assert "alice" in client(world, "status").stdout
    listed = client(world, "ls").stdout
    assert "wiki" in listed and "echo" in listed


def test_logout_forgets_the_session(new_world):
    world = new_world()
    log_in(world)
    assert client(world, "logout").stdout == "Logged out; 0 tunnels were closed.\n"
    done = client(world, "status")
    assert done.returncode == 4 and "sallyport login" in done.stderr + done.stdout


def test_logout_says_how_many_tunnels_it_closed(new_world):
    world = new_world()
    log_in(world)
    held = [subprocess.Popen([world.program("sallyport"), "-W", f"127.0.0.1:{world.echo}"], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=world.client_environment()) for _ in range(3)]
    try:
        for process in held:
            process.stdin.write(b"open\n")
            process.stdin.flush()
            assert process.stdout.readline() == b"open\n"
        done = client(world, "logout")
        assert (done.returncode, done.stdout) == (0, "Logged out; 3 tunnels were closed.\n")
        assert all(process.wait(20) != 0 for process in held), "cut in the middle, and it looks like a good end"
    finally:
        for process in held:
            process.kill()
            process.communicate()


def test_exit_7_when_nobody_can_answer(world):
    done = client(world, "login", "alice")
    assert done.returncode == 7 and len(done.stderr.strip().splitlines()) == 1


def test_wrong_password_is_4_with_request_id(world):
    done = client(world, "login", "alice", answers_text="wrong\n000000\n")
    assert done.returncode == 4 and re.search(r"[0-9a-f]+-\d+", done.stderr)
    log_in(world)


@pytest.mark.parametrize("arguments", [["-L", "0:h:1"], ["-L", "70000:h:1"], ["-L", "x"], ["-L", "1:h:0"], ["-W", "["],
                                       ["-W", "h:70000"], ["-W", "h"], ["nonsense"], ["--no-such-option"], ["-L"]])
def test_wrong_usage_is_one_sentence_and_2(world, arguments):
    done = client(world, *arguments)
    assert done.returncode == 2 and done.stderr.strip()


def test_refused_resource_is_3(world):
    done = client(world, "-W", f"127.0.0.1:{world.denied}")
    assert done.returncode == 3 and re.search(r"[0-9a-f]+-\d+", done.stderr), done.stderr


def test_gateway_away_is_6(world):
    done = client(world, "--gateway", f"https://localhost:{free_port()}", "status")
    assert done.returncode == 6 and done.stderr.strip()


def test_locked_device_is_5(new_world):
    world = new_world()
    world.admin("device", "lock", "alice-laptop")
    done = client(world, "status")
    assert done.returncode == 5 and done.stderr.strip(), "also without a session"
    log_in(world, "bob", "bob-laptop")
    world.admin("device", "lock", "bob-laptop")
    for words in (["status"], ["ls"], ["-W", f"127.0.0.1:{world.web}"]):
        done = client(world, *words, laptop="bob-laptop")
        assert done.returncode == 5 and "locked" in done.stderr, (words, done.returncode, done.stderr)
    done = client(world, "login", "bob", laptop="bob-laptop", answers_text="x\n")
    assert done.returncode == 5, done.stderr


def test_W_carries_both_directions_and_half_close(world):
    payload = os.urandom(3 << 20)
    done = subprocess.run([world.program("sallyport"), "-W", f"127.0.0.1:{world.echo}"], input=payload,
                          env=world.client_environment(), capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout == payload


def test_ssh_through_W(world):
    folder = world.path("ssh")
    done = subprocess.run(["ssh", "-F", "none", "-i", str(folder / "user"), "-o",
                           f"UserKnownHostsFile={folder}/known_hosts", "-o", "BatchMode=yes", "-o",
                           f"ProxyCommand={world.program('sallyport')} -W %h:%p", "-p", str(world.ssh), "127.0.0.1",
                           "cat"], input="through the gate\n", env=world.client_environment(), text=True,
                          capture_output=True, check=False, timeout=60)
    assert done.stdout == "through the gate\n", done.stderr


class Forward:
    def __init__(self, world, *specs):
        command = [world.program("sallyport")]
        for spec in specs:
            command += ["-L", spec]
        self.process = subprocess.Popen(command, env=world.client_environment(), stdin=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, text=True)

    def __enter__(self):
        return self.process

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)  # a test run in the background ignores SIGINT
            self.process.wait(10)
        self.process.stderr.close()


def test_L_carries_many_connections(world):
    web, echo = free_port(), free_port()
    with Forward(world, f"{web}:127.0.0.1:{world.web}", f"127.0.0.1:{echo}:127.0.0.1:{world.echo}"):
        wait_until(lambda: answers(web) and answers(echo), "the local listeners")
        with urllib.request.urlopen(f"http://127.0.0.1:{web}/", timeout=20) as page:
            assert b"Company wiki" in page.read()
        peers = [socket.create_connection(("127.0.0.1", echo), 20) for _ in range(50)]
        for index, peer in enumerate(peers):
            peer.sendall(b"%d" % index)
            peer.shutdown(socket.SHUT_WR)
        for index, peer in enumerate(peers):
            received = b""
            while piece := peer.recv(1000):
                received += piece
            assert received == b"%d" % index
            peer.close()


def test_L_on_a_port_in_use(world):
    done = client(world, "-L", f"{world.web}:127.0.0.1:{world.web}")
    assert done.returncode == 1 and str(world.web) in done.stderr


def test_admin_tables_and_json(world):
    for command in (["device", "list"], ["session", "list"], ["tunnel", "list"], ["status"], ["audit"]):
        assert world.admin(*command).strip()
        json.loads(world.admin(*command, "--json"))
    assert "alice-laptop" in world.admin("device", "list")
    shown = json.loads(world.admin("device", "show", "alice-laptop", "--json"))
    assert "alice" in json.dumps(shown)


def test_policy_check_and_explain(world):
    assert world.admin("policy", "check", world.policy).strip()
    bad = world.path("bad-policy.conf")
    bad.write_text('rule "x" { users = {"a"} resources = {"nothing"} }\nresurce "y" { }\n')
    done = subprocess.run([world.program("sallyport-admin"), "--socket", str(world.admin_socket), "policy", "check",
                           str(bad)], text=True, capture_output=True, check=False)
    assert done.returncode == 1 and "bad-policy.conf:" in done.stderr + done.stdout
    told = world.admin("policy", "explain", "--user", "alice", "--device", "alice-laptop", "--to",
                       f"127.0.0.1:{world.echo}")
    assert "alice administers" in told and "allow" in told.lower()
    told = world.admin("policy", "explain", "--user", "bob", "--device", "bob-laptop", "--to",
                       f"127.0.0.1:{world.echo}")
    assert "alice administers" in told and ("refus" in told.lower() or "not allowed" in told.lower() or "den" in told.lower())


def test_audit_follow_shows_what_comes(world):
    process = subprocess.Popen([world.program("sallyport-admin"), "--socket", str(world.admin_socket), "audit",
                                "--follow"], stdout=subprocess.PIPE)
    try:
        client(world, "-W", f"127.0.0.1:{world.denied}")
        os.set_blocking(process.stdout.fileno(), False)
        seen = bytearray()

        def not_allowed():
            try:
                seen.extend(os.read(process.stdout.fileno(), 65536))
            except BlockingIOError:
                pass
            return b"not_allowed" in seen
        wait_until(not_allowed, "the refusal in the followed log")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_init_never_overwrites(world):
    before = world.path("etc", "device-ca.key").read_bytes()
    done = subprocess.run([world.program("sallyport-admin"), "init", "--name", "localhost", "--dir", str(world.folder)],
                          text=True, capture_output=True, check=False)
    assert done.returncode == 1 and "exists" in done.stderr
    assert world.path("etc", "device-ca.key").read_bytes() == before


def test_admin_without_gateway_is_3(world):
    done = subprocess.run([world.program("sallyport-admin"), "--socket", "/nonexistent/admin.sock", "status"], text=True,
                          capture_output=True, check=False)
    assert done.returncode == 3 and "/nonexistent/admin.sock" in done.stderr


@pytest.mark.parametrize("program", ["sallyport", "sallyport-admin", "sallyport-gateway"])
def test_help_and_version(world, program):
    assert "sage" in subprocess.run([world.program(program), "--help"], text=True, capture_output=True, check=True).stdout
    assert "0.1" in subprocess.run([world.program(program), "--version"], text=True, capture_output=True, check=True).stdout


def test_token_file_is_private(world):
    tokens = [p for p in world.path("client", "alice-laptop").rglob("*") if p.is_file()]
    assert tokens and all(p.stat().st_mode & 0o077 == 0 for p in tokens)
    assert api.call(world, "GET", "/v1/session").status == 401


def init(world, folder, *more):
    return subprocess.run([world.program("sallyport-admin"), "init", "--name", "gw.example.com", "--dir", str(folder), *more],
                          text=True, capture_output=True, check=False)


def test_init_writes_the_first_policy(world, scratch):
    done = init(world, scratch / "gw", "--resource", "db=db1:5432", "--resource", "wiki=[2001:db8::1]:443", "--allow-group", "staff")
    assert done.returncode == 0, done.stderr
    first = scratch / "gw" / "etc" / "policy.d" / "first.conf"
    assert "the policy is good: 2 resources, 1 rules" in world.admin("policy", "check", str(first))


@pytest.mark.parametrize("more", [["--resource", "db=db1:5432"], ["--allow-group", "staff"],
                                  ["--resource", "db1:5432", "--allow-group", "staff"],
                                  ["--resource", "db=db1", "--allow-group", "staff"],
                                  ["--resource", "../x=db1:1", "--allow-group", "staff"],
                                  ["--resource", "db=db1:5432", "--allow-group", 'a"}'],
                                  ["--resource", "db=db1:5432", "--allow-group", "${HOME}"]], ids=lambda words: words[1])
def test_init_with_a_policy_that_cannot_be_written_makes_nothing(world, scratch, more):
    done = init(world, scratch / "gw", *more)
    assert done.returncode == 1 and done.stderr
    assert not (scratch / "gw").exists()


def test_resource_and_rule_add_write_what_the_gateway_accepts(new_world):
    world = new_world()
    folder = ["--dir", str(world.folder)]
    target = f"127.0.0.1:{world.denied}"
    world.admin("resource", "add", "vault2", "--address", target, "--description", "A second name", *folder)
    with pytest.raises(WorldError, match="no resource \"vault3\""):
        world.admin("rule", "add", "bad", "--resource", "vault3", "--user", "alice", *folder)
    with pytest.raises(WorldError, match="exists"):
        world.admin("resource", "add", "vault2", "--address", target, *folder)
    world.admin("rule", "add", "alice-vault", "--resource", "vault2", "--user", "alice", *folder)
    assert sorted(path.name for path in world.path("etc", "policy.d").iterdir()) == [
        "resource-vault2.conf", "rule-alice-vault.conf"]
    explain = ["policy", "explain", "--user", "alice", "--device", "alice-laptop", "--to", target]
    assert "alice-vault" not in world.admin(*explain)
    os.kill(world.gateway.pid, signal.SIGHUP)
    wait_until(lambda: "alice-vault" in world.admin(*explain), "the new rule's coming into force")
