"""F1: no secret in a log, a store, an argument list, an environment, an error message, or the memory of who is done with it."""
import json
import os
import re
import sqlite3
import subprocess

import pytest
from cryptography.hazmat.primitives import serialization

import api
import clients
import proc
from clients_of_user import client, log_in

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root sees all processes")


def key_lines(path):
    """The lines of a PEM file with the private part; behind it stands the public key, which certificates have too."""
    return [line for line in path.read_text().splitlines() if len(line) >= 40 and "-" not in line][:2]


def secrets_of(world, *tokens):
    """What must stand nowhere: {what it is: bytes}."""
    alice = world.users["alice"]
    found = {"password": alice.password, "one-time secret": alice.secret_base32, "one-time secret in hex": alice.secret.hex()}
    for name in ("server", "device-ca"):
        for number, line in enumerate(key_lines(world.path("etc", f"{name}.key"))):
            found[f"{name}.key, line {number}"] = line
    for number, token in enumerate(tokens):
        found[f"token {number}"] = token
    return {name: value.encode() for name, value in found.items()}


def scalars_of(world):
    """Private keys as programs hold them: the number, in either order of its bytes."""
    found = {}
    for name in ("server", "device-ca"):
        key = serialization.load_pem_private_key(world.path("etc", f"{name}.key").read_bytes(), None)
        number = key.private_numbers().private_value
        found |= {f"{name}.key, {order} endian": number.to_bytes(32, order) for order in ("big", "little")}
    return found


def named_in(content, secrets):
    return [name for name, value in secrets.items() if value in content]


def read(path):
    with open(path, "rb") as file:
        return file.read()


def memory_of(pid):
    """All that the process can write, as one piece after the other."""
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            start, end, flags = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+)", line).groups()
            if flags.startswith("rw"):
                memory.seek(int(start, 16))
                try:
                    yield memory.read(int(end, 16) - int(start, 16))
                except OSError:
                    pass  # a guard, or the kernel's own


@pytest.fixture
def used(new_world, release):
    """Two logins (curl; the client), a wrong password, a tunnel, a refusal, at the most talkative level of the log."""
    world = new_world(settings=['log_level = "debug"'], programs=release)
    token = api.login(world).body["session"]
    with clients.Http2(world) as h2:
        assert h2.connect(f"127.0.0.1:{world.echo}", token)[1] == 200
        assert h2.connect(f"127.0.0.1:{world.denied}", token)[1] == 403
    wrong = world.users["alice"].password + "x"
    said = [api.converse(world, "alice", [wrong, "000000"], "alice-laptop").text]
    log_in(world)
    said.append(client(world, "-W", f"127.0.0.1:{world.denied}").stderr)
    return world, token, said


def test_F1_in_no_log_no_store_and_no_sentence(used):
    world, token, said = used
    secrets = secrets_of(world, token)
    assert len(secrets) >= 6
    assert named_in(" ".join(said).encode(), secrets) == []
    for log in world.path("log").iterdir():
        assert named_in(read(log), secrets) == [], log
    with sqlite3.connect(f"file:{world.database}?mode=ro", uri=True) as database:
        dump = "\n".join(database.iterdump()).encode()
    assert b"alice" in dump and named_in(dump, secrets) == []
    for file in world.database.parent.iterdir():
        assert named_in(read(file), secrets) == [], file


def test_F1_in_no_argument_list_and_no_environment(used):
    """While a login waits at its second question, and while the client's agent holds a connection."""
    world, token, _ = used
    path = "/v1/login/" + api.call(world, "POST", "/v1/login", {"user": "alice"}).body["conversation"]
    assert api.call(world, "POST", path, {"answers": [world.users["alice"].password]}).body["state"] == "prompt"
    secrets, seen = secrets_of(world, token), set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            content = read(f"/proc/{pid}/cmdline") + read(f"/proc/{pid}/environ")
        except OSError:
            continue
        assert named_in(content, secrets) == [], content[:200]
        seen.add(proc.program_of(pid))
    assert {"sallyport-gateway", "sallyport-worker", "sallyport-broker", "sallyport-signer", "sallyport-conversation",
            "sallyport"} <= seen


def test_F1_not_in_the_memory_of_who_is_done_with_it(used):
    """Token and password have gone through the broker; the keys are the signer's alone. That the search finds what is there
    shows in the signer, and by the name of a device in the broker."""
    world, token, _ = used
    keys, secrets = scalars_of(world), {**secrets_of(world, token), **scalars_of(world)}
    found = {program: set() for program in proc.gateway(world).values()}
    for pid, program in proc.gateway(world).items():
        for piece in memory_of(pid):
            found[program] |= set(named_in(piece, {**secrets, "a device": b"alice-laptop"}))
    assert "a device" in found["sallyport-broker"]
    assert any(name.startswith("server.key") for name in found["sallyport-signer"] & set(keys))
    found["sallyport-signer"] -= {name for name in secrets if ".key" in name}
    assert {program: names - {"a device"} for program, names in found.items() if names - {"a device"}} == {}


def test_F1_a_core_of_no_room_can_be_written(used):
    """Neither by the kernel (limit, not dumpable) nor by whoever runs as the same user."""
    world, _, _ = used
    for pid, program in proc.gateway(world).items():
        if program == "sallyport-gateway":
            continue
        uid = int(proc.status(pid)["Uid"].split()[0])
        if uid == 0:
            continue
        done = subprocess.run(["/bin/cat", f"/proc/{pid}/mem"], capture_output=True, check=False, user=uid, group=uid,
                              extra_groups=[], cwd="/")
        assert done.returncode != 0 and b"Permission denied" in done.stderr, program
    assert json.loads(world.admin("status", "--json"))
