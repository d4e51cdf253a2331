"""E1, F1: the processes of a running gateway, looked at from outside. What they cannot do, tests/jail tries from inside."""
import os
import re
import stat

import pytest

import api
import clients
import proc
from world import wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can build every wall")

CONVERSATION = 64131
SPACES = {"sallyport-worker": {"net", "mnt", "ipc", "uts", "cgroup"}, "sallyport-signer": {"net", "mnt", "ipc", "uts", "cgroup"},
          "sallyport-broker": {"ipc", "uts"}, "sallyport-conversation": {"mnt", "ipc", "uts"}}
ALL_SPACES = ("net", "mnt", "ipc", "uts", "cgroup")
# chown, dac_override, dac_read_search, setgid, setuid, audit_write: what PAM modules need of root
OF_ROOT = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 6 | 1 << 7 | 1 << 29


def identities(world):
    """Program to uid, as the configuration in force says."""
    text = world.conf.read_text()
    return {f"sallyport-{room}": int(re.findall(rf'^{room}_user = "?(\d+)"?', text, re.M)[-1])
            for room in ("worker", "signer", "broker", "conversation")}


def capabilities(status):
    return {name: int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}


def assert_walled(pid, program, uid):
    status = proc.status(pid)
    assert status["Uid"].split() == [str(uid)] * 4 and status["Gid"].split() == [str(uid)] * 4, (program, status["Uid"])
    assert status["Groups"] == "", program
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2", program
    allowed = OF_ROOT if uid == 0 else 0
    assert capabilities(status) == {"CapInh": 0, "CapAmb": 0, "CapPrm": allowed, "CapEff": allowed, "CapBnd": allowed}, program
    own = {space for space in ALL_SPACES if os.readlink(f"/proc/{pid}/ns/{space}") != os.readlink(f"/proc/self/ns/{space}")}
    assert own >= SPACES[program], (program, own)
    # Undumpable: what stands in /proc is root's, whoever the process is.
    assert os.stat(f"/proc/{pid}/environ").st_uid == 0, program
    with open(f"/proc/{pid}/environ", "rb") as environment:
        assert environment.read() == b"" or program == "sallyport-conversation"
    with open(f"/proc/{pid}/limits", encoding="ascii") as limits:
        assert re.search(r"^Max core file size +0 +0 ", limits.read(), re.M), program
    if program in ("sallyport-worker", "sallyport-signer"):
        assert os.listdir(f"/proc/{pid}/root") == [], program
        sockets_of_a_network(pid)


def sockets_of_a_network(pid):
    """Its network has nothing in it but a loopback that is down."""
    with open(f"/proc/{pid}/net/dev", encoding="ascii") as devices:
        assert [line.split(":")[0].strip() for line in devices.readlines()[2:]] == ["lo"]
    with open(f"/proc/{pid}/net/route", encoding="ascii") as routes:
        assert len(routes.readlines()) <= 1


@pytest.mark.parametrize("conversation_user", ["root", "own"])
def test_E1_every_process_of_a_running_gateway_stands_behind_its_walls(new_world, conversation_user):
    uid = CONVERSATION if conversation_user == "own" else 0
    world = new_world(settings=[f'conversation_user = "{uid}"'])
    for path in (world.path("pam"), *world.path("pam").iterdir()):
        os.chown(path, uid, uid)
    token = api.login(world).body["session"]
    with clients.Http2(world) as h2:
        assert h2.connect(f"127.0.0.1:{world.echo}", token)[1] == 200
        assert api.call(world, "POST", "/v1/login", {"user": "bob"}, "bob-laptop").body["state"] == "prompt"
        wait_until(lambda: len(proc.workers_of_clients(world)) == 1, "the end of curl's workers")
        found, expected = proc.gateway(world), identities(world)
        for pid, program in found.items():
            if program != "sallyport-gateway":
                assert_walled(pid, program, expected[program])
    programs = list(found.values())
    # The template, the spares, the one of the client; a keeper and its stack.
    assert programs.count("sallyport-worker") >= 3 and programs.count("sallyport-conversation") == 2
    assert programs.count("sallyport-signer") == programs.count("sallyport-broker") == programs.count("sallyport-gateway") == 1
    assert len({expected[program] for program in SPACES}) == len(SPACES), "two rooms share an identity"


def template(world):
    """The process whose children the workers are."""
    workers = proc.gateway(world, "sallyport-worker")
    (pid,) = {parent for parent in (int(proc.status(pid)["PPid"]) for pid in workers) if parent in workers}
    return pid


def test_E7_a_reload_replaces_the_template(new_world):
    """What a worker learned of its address layout is worth nothing after it; who is connected stays."""
    world = new_world()
    token = api.login(world).body["session"]
    before = template(world)
    with clients.Http2(world) as h2:
        number, status = h2.connect(f"127.0.0.1:{world.echo}", token)
        assert status == 200
        world.admin("reload")
        wait_until(lambda: before not in proc.gateway(world), "the end of the former template")
        assert template(world) != before
        h2.send(number, b"alive")
        assert h2.wait(lambda: bytes(h2.streams[number].data) == b"alive")


def test_E1_the_monitor_keeps_few_capabilities_and_is_undumpable(new_world):
    world = new_world()
    status = proc.status(world.gateway.pid)
    allowed = capabilities(status)["CapEff"]
    assert allowed and allowed & (1 << 19 | 1 << 12 | 1 << 16) == 0, "sys_ptrace, net_admin, sys_module"
    assert allowed == capabilities(status)["CapPrm"] and capabilities(status)["CapAmb"] == 0
    assert stat.S_IMODE(os.stat(world.database).st_mode) == 0o600
