"""The first day as the README tells it, on two fresh machines; then an upgrade, a refused downgrade, and the end.

The tests of this file are one story: each goes on where the one before has stopped.
"""
import hashlib
import pathlib
import re
import subprocess

import pytest

from machine import MachineError, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
FETCH = "cat < /dev/tcp/127.0.0.1/5432 | sha256sum"
# What was on the machine before, and what an installation leaves by design of the system.
NOT_OURS = r"^/(proc|sys|dev|run|tmp|var/(lib/(dpkg|apt|systemd|pam)|cache|log)|root/\.|srv|home)(/|$)"


def commands():
    """(who, command) in the order of the README."""
    text = ROOT.joinpath("README.md").read_text().split("## The first day, from packages")[1].split("\n## ")[0]
    blocks = re.findall(r"^```sh (\w+)\n(.*?)^```", text, re.M | re.S)
    return [(who, line) for who, block in blocks for line in block.splitlines()]


def carry_out(day, who, command):
    machine, user = (day.gateway, None) if who == "gateway" else (day.laptop, "alice" if who == "alice" else None)
    if command.endswith(" LINE"):  # what alice was given
        command = command.replace("LINE", day.line)
    if command.startswith("apt install"):
        # apt asks only when there is more to install than it was told.
        return machine.converse(command, [("continue?", "y")], seconds=120)
    if command == "sallyport login":
        return machine.converse(command, [("password", "correct horse battery")], user)
    if command.startswith("sallyport -L"):
        day.forward = machine.spawn(command, user, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        return ""
    shown = machine.run(command, user)
    if " device invite " in command:
        day.line = shown.strip()
    return shown


def fetch(day):
    return day.laptop.run(FETCH, "alice", timeout=60).split()[0]


def fetched_rightly(day):
    try:
        return fetch(day) == hashlib.sha256(day.payload.read_bytes()).hexdigest()
    except (MachineError, subprocess.TimeoutExpired):
        return False


def files(machine):
    paths = machine.run("find / -xdev -print").splitlines()
    return {path for path in paths if not re.match(NOT_OURS, path)}


def test_the_commands_of_the_readme(day):
    day.before = files(day.gateway)
    done = commands()
    assert len(done) == 8 and [who for who, _ in done[:4]] == ["gateway"] * 4 and done[-1][1].startswith("sallyport -L")
    for who, command in done:
        carry_out(day, who, command)
    assert "db1:5432" in day.laptop.run("sallyport ls", "alice")
    wait_until(lambda: fetched_rightly(day), "a checksum's way through the tunnel")


def test_the_unit_runs_as_it_says(day):
    shown = day.gateway.run("systemctl show -p ActiveState,StatusErrno,NRestarts,WatchdogUSec sallyport-gateway")
    assert "ActiveState=active" in shown and "NRestarts=0" in shown and "WatchdogUSec=3min" in shown
    assert day.gateway.run("systemd-analyze verify --man=no sallyport-gateway.service 2>&1") == ""
    day.gateway.run("systemd-analyze security --threshold=40 sallyport-gateway.service")
    assert day.laptop.run("XDG_RUNTIME_DIR=/tmp systemd-analyze --user verify --man=no /usr/lib/systemd/user/sallyport-*.service 2>&1") == ""


def test_reload_says_when_it_is_refused(day):
    day.gateway.run("sallyport-admin resource add hold --address db1:5433 && "
                    "sallyport-admin rule add hold --resource hold --allow-group staff && systemctl reload sallyport-gateway")
    day.gateway.run("echo 'rule \"no end' > /etc/sallyport/policy.d/bad.conf")
    with pytest.raises(MachineError, match="Job for sallyport-gateway.service failed"):
        day.gateway.run("systemctl reload sallyport-gateway")
    day.gateway.run("rm /etc/sallyport/policy.d/bad.conf && systemctl is-active sallyport-gateway")
    assert fetched_rightly(day)


def hold_a_tunnel(day):
    """A tunnel that stays open; the file tells how it ended."""
    line = ("exec 3<> /dev/tcp/127.0.0.1/5433; echo hello >&3; read -r word <&3; echo \"$word\" > held; "
            "read -r word <&3; echo ended > held")
    forward = day.laptop.spawn("sallyport -L 5433:db1:5433", "alice", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    wait_until(lambda: "5433" in day.laptop.run("cat /proc/net/tcp | grep -i :1539 >/dev/null && echo 5433 || true"), "the port")
    held = day.laptop.spawn(line, "alice", stdin=subprocess.DEVNULL)
    path = day.laptop.root / "home/alice/held"
    wait_until(lambda: path.exists() and path.read_text() == "hello\n", "the tunnel")
    return forward, held, path


def test_an_upgrade_under_live_tunnels(day):
    """Tunnels do not outlive a restart in this version: they are closed and recorded; the session stays, and the
    client connects again by itself."""
    forward, held, path = hold_a_tunnel(day)
    day.gateway.run("echo '# a line of the admin' >> /etc/pam.d/sallyport")
    before = day.gateway.run("sallyport-admin --json session list")
    day.gateway.run("DEBIAN_FRONTEND=noninteractive apt-get install -y -q /srv/newer/sallyport-gateway_*.deb")
    assert "0.1.0" in day.gateway.run("dpkg-query -W sallyport-gateway")
    wait_until(lambda: "active" in day.gateway.run("systemctl is-active sallyport-gateway"), "the gateway's return")
    wait_until(lambda: path.read_text() == "ended\n", "the old tunnel's end")
    assert day.gateway.run("tail -1 /etc/pam.d/sallyport") == "# a line of the admin\n"
    session = re.search(r'"id": *"?([\w-]+)', before).group(1)
    assert session in day.gateway.run("sallyport-admin --json session list")
    wait_until(lambda: fetched_rightly(day), "the way back through the same forward")
    ended = day.gateway.run("sallyport-admin --json tunnel list --all")
    assert "db1" in ended
    forward.terminate()
    held.wait(10)


def test_a_downgrade_is_refused(day):
    with pytest.raises(MachineError, match="no downgrade"):
        day.gateway.run("DEBIAN_FRONTEND=noninteractive apt-get install -y -q --allow-downgrades /srv/sallyport/sallyport-gateway_0.0.9.deb")
    assert "0.1.0" in day.gateway.run("dpkg-query -W sallyport-gateway")
    wait_until(lambda: "active" in day.gateway.run("systemctl is-active sallyport-gateway || true").split(), "the gateway")


def test_purge_leaves_nothing(day):
    day.gateway.run("DEBIAN_FRONTEND=noninteractive apt-get purge -y -q sallyport-gateway")
    day.gateway.run("DEBIAN_FRONTEND=noninteractive apt-get autoremove --purge -y -q")
    assert "sallyport" not in day.gateway.run("getent passwd; getent group; ls -d /run/* /etc/systemd/system/*/*")
    left = files(day.gateway) - day.before
    packaged = set(day.gateway.run("cat /var/lib/dpkg/info/*.list").splitlines())
    assert not {path for path in left - packaged if "sallyport" in path}
    assert sorted(left - packaged) == []
