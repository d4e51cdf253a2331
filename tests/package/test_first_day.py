"""The first day as the README tells it, on two fresh machines; then an upgrade, a refused downgrade, and the end.

The tests of this file are one story: each goes on where the one before has stopped.
"""
import hashlib
import json
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
    (documented,) = re.findall(r"an\s+exposure of ([0-9.]+)", ROOT.joinpath("docs/admin-handbook.md").read_text())
    shown = day.gateway.run("systemd-analyze security --no-pager sallyport-gateway.service")
    assert f"Overall exposure level for sallyport-gateway.service: {documented} " in shown
    assert day.laptop.run("XDG_RUNTIME_DIR=/tmp systemd-analyze --user verify --man=no /usr/lib/systemd/user/sallyport-*.service 2>&1") == ""


def test_the_gateways_certificate_looks_after_itself(day):
    """Nobody has typed anything for it: the gateway's unit brings the timer, and what that starts can do its work."""
    assert day.gateway.run("systemctl is-active sallyport-server-renew.timer").strip() == "active"
    day.gateway.run("systemctl start sallyport-server-renew.service")
    assert "not due yet" in day.gateway.run("journalctl --no-pager -u sallyport-server-renew.service")
    day.gateway.run("sed -i 's/ --if-due//' /lib/systemd/system/sallyport-server-renew.service && systemctl daemon-reload")
    before = day.gateway.run("sallyport-admin server show")
    day.gateway.run("systemctl start sallyport-server-renew.service")
    assert day.gateway.run("sallyport-admin server show") != before, "its sandbox leaves it what a renewal needs"
    day.gateway.run("sed -i 's/server renew$/server renew --if-due/' /lib/systemd/system/sallyport-server-renew.service && "
                    "systemctl daemon-reload")


def test_reload_says_when_it_is_refused(day):
    day.gateway.run("sallyport-admin resource add hold --address db1:5433 && "
                    "sallyport-admin rule add hold --resource hold --allow-group staff && systemctl reload sallyport-gateway")
    day.gateway.run("echo 'rule \"no end' > /etc/sallyport/policy.d/bad.conf")
    with pytest.raises(MachineError, match="Job for sallyport-gateway.service failed"):
        day.gateway.run("systemctl reload sallyport-gateway")
    day.gateway.run("rm /etc/sallyport/policy.d/bad.conf && systemctl is-active sallyport-gateway")
    assert fetched_rightly(day)


ON_THE_WAY = "on the way to the browser"
BROWSER = f"""
cert = "browser.p12:{ON_THE_WAY}"
cert-type = P12
cacert = server-ca.crt
cookie = cookies
cookie-jar = cookies
silent
show-error
max-time = 30
"""
PROXY = BROWSER + f"""
proxy = https://gw.example.com
proxy-cert = "browser.p12:{ON_THE_WAY}"
proxy-cert-type = P12
proxy-cacert = server-ca.crt
"""


def browse(day, words, config="browser"):
    """What curl prints as alice's browser; with the config `proxy` it asks the gateway for what is inside."""
    return day.laptop.run(f"curl --config {config}.curl {words}", "alice")


def post(day, path, body):
    return json.loads(browse(day, f"-H 'Origin: https://gw.example.com' --json '{json.dumps(body)}' https://gw.example.com{path}"))


def test_a_browser_is_let_in_where_the_admin_says_so(day):
    day.gateway.run("echo 'browser = yes' >> /etc/sallyport/gateway.conf && sallyport-admin resource add wiki --address db1:8080 && "
                    "sallyport-admin rule add wiki --resource wiki --allow-group staff && systemctl reload sallyport-gateway")
    line = day.gateway.run("sallyport-admin device invite alice-browser --user alice").strip()
    day.laptop.run(f"sallyport -p browser enroll {line}", "alice")
    day.laptop.converse("sallyport -p browser export-p12 browser.p12", [("for the file", ON_THE_WAY), ("again", ON_THE_WAY)], "alice")
    home = day.laptop.root / "home/alice"
    for name, text in (("server-ca.crt", day.gateway.run("cat /etc/sallyport/server-ca.crt")), ("browser.curl", BROWSER), ("proxy.curl", PROXY)):
        home.joinpath(name).write_text(text)


def test_the_portal_lets_alice_in(day):
    page = browse(day, "-H 'Accept: text/html' https://gw.example.com/")
    assets = re.findall(r'(?:src|href)="(/assets/portal\.[^"]*)"', page)
    assert "<title>" in page and {pathlib.Path(asset).suffix for asset in assets} >= {".css", ".js"}
    for asset in assets:
        assert browse(day, f"-o /dev/null -w '%{{http_code}}' https://gw.example.com{asset}") == "200"
    asked = post(day, "/v1/login", {"user": "alice", "portal": True})
    granted = post(day, f"/v1/login/{asked['conversation']}", {"answers": ["correct horse battery"]})
    assert granted["state"] == "granted" and "session" not in granted
    shown = json.loads(browse(day, "https://gw.example.com/v1/session"))
    assert (shown["user"], shown["device"], shown["portal"], shown["browser"]) == ("alice", "alice-browser", True, True)
    assert "<svg" in browse(day, """-H 'Origin: https://gw.example.com' --json '{"text":"otpauth://"}' https://gw.example.com/v1/qr""")


def test_its_browser_reaches_the_wiki_without_a_client(day):
    script = browse(day, "https://gw.example.com/proxy.pac")
    assert "FindProxyForURL" in script and "db1" in script and "HTTPS gw.example.com:443" in script
    assert browse(day, "http://db1:8080/", "proxy") == "only from inside", "carried"
    assert browse(day, "--proxytunnel http://db1:8080/", "proxy") == "only from inside", "tunnelled"
    refused = browse(day, "-H 'Accept: text/html' -w '%{http_code}' http://db1:8081/", "proxy")
    assert refused.endswith("403") and "<html" in refused and "https://gw.example.com" in refused
    ways = {(one["way"], one["form"]) for one in json.loads(day.gateway.run("sallyport-admin --json tunnel list --all"))["tunnels"]
            if one["port"] == 8080}
    assert ways == {("browser_session", "request"), ("browser_session", "connect")}
    browse(day, "-X DELETE -H 'Origin: https://gw.example.com' https://gw.example.com/v1/session")
    assert browse(day, "-o /dev/null -w '%{http_code}' http://db1:8080/", "proxy") == "407"


def test_the_policies_of_a_fleet_are_what_browsers_read(day):
    chromium = json.loads(day.gateway.run("sallyport-admin browser policy --chromium"))
    assert "gw.example.com" in json.dumps(chromium["AutoSelectCertificateForUrls"]) and chromium["CACertificates"]
    firefox = json.loads(day.gateway.run("sallyport-admin browser policy --firefox"))
    assert firefox["policies"]["Proxy"]["AutoConfigURL"] == "https://gw.example.com/proxy.pac"


def test_no_room_died_of_what_a_browser_wants(day):
    """A library that asks for a call which a room's filter does not know would end the room."""
    for event in ("breach", "room_restarted"):
        assert json.loads(day.gateway.run(f"sallyport-admin --json audit --event {event}"))["audit"] == []
    assert not re.search(r"signal \d", day.gateway.run("journalctl --no-pager -o cat -u sallyport-gateway"))


class Held:
    """A tunnel that stays open; it says another word when it is asked to, and tells how it ended."""

    SCRIPT = """
exec 3<> /dev/tcp/127.0.0.1/5433
say() { echo "$1" >&3 && read -r word <&3 && echo "$word" > held || echo ended > held; }
say hello
while [ "$(cat held)" != ended ]; do
    # A word comes by a file; an end without one is noticed too.
    if [ -e word ]; then word=$(cat word); rm word; say "$word"; fi
    if read -t 0.1 -r -u 3 word; then :; elif [ $? -le 128 ]; then echo ended > held; fi
done
"""

    def __init__(self, day):
        self.folder = day.laptop.root / "home/alice"
        self.path = self.folder / "held"
        self.path.unlink(missing_ok=True)
        self.forward = day.laptop.spawn("sallyport -L 5433:db1:5433", "alice", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        wait_until(lambda: "5433" in day.laptop.run("cat /proc/net/tcp | grep -i :1539 >/dev/null && echo 5433 || true"), "the port")
        self.process = day.laptop.spawn(self.SCRIPT, "alice", stdin=subprocess.DEVNULL)
        wait_until(lambda: self.said("hello"), "the tunnel")

    def said(self, word):
        return self.path.exists() and self.path.read_text() == word + "\n"

    def says(self, word):
        self.folder.joinpath("word.new").write_text(word + "\n")
        self.folder.joinpath("word.new").rename(self.folder / "word")
        wait_until(lambda: self.said(word), f"the word {word} through the tunnel")

    def end(self):
        wait_until(lambda: self.said("ended"), "the tunnel's end")
        self.forward.terminate()
        self.process.wait(10)


def begin_to_fetch(day):
    """The file, as far as it comes until somebody says that the rest is wanted: more than all buffers hold."""
    line = ("exec 3< /dev/tcp/127.0.0.1/5432; (head -c 1000000 <&3; touch begun; until [ -e rest ]; do sleep 0.1; done; cat <&3) "
            "| sha256sum > sum.new; mv sum.new sum")
    day.laptop.spawn(line, "alice", stdin=subprocess.DEVNULL)
    wait_until(lambda: (day.laptop.root / "home/alice/begun").exists(), "the first megabyte")


def fetched_the_rest(day):
    home = day.laptop.root / "home/alice"
    home.joinpath("rest").touch()
    wait_until(lambda: (home / "sum").exists(), "the rest of the file")
    return home.joinpath("sum").read_text().split()[0] == hashlib.sha256(day.payload.read_bytes()).hexdigest()


def live_tunnels(day):
    listed = json.loads(day.gateway.run("sallyport-admin --json tunnel list"))
    return {tunnel["tunnel"]: tunnel["port"] for tunnel in listed["tunnels"]}


def sessions(day):
    return [one["session"] for one in json.loads(day.gateway.run("sallyport-admin --json session list"))["sessions"]]


def main_process(day):
    return day.gateway.run("systemctl show -P MainPID sallyport-gateway").strip()


def in_the_unit(day, name=""):
    """Processes that systemd counts to the gateway, of that name."""
    command = ("for p in $(cat /sys/fs/cgroup$(systemctl show -P ControlGroup sallyport-gateway)/cgroup.procs 2>/dev/null); do "
               "echo $p $(cat /proc/$p/comm); done || true")
    return [line.split()[0] for line in day.gateway.run(command).splitlines() if name in line]


def test_D4_an_upgrade_under_live_tunnels(day):
    """None is lost: one is idle, and the sum of a file is taken over it."""
    held = day.held = Held(day)
    begin_to_fetch(day)
    day.gateway.run("echo '# a line of the admin' >> /etc/pam.d/sallyport")
    session = sessions(day)
    before, process = live_tunnels(day), main_process(day)
    assert sorted(before.values()) == [5432, 5433]
    day.gateway.run("DEBIAN_FRONTEND=noninteractive apt-get install -y -q /srv/newer/sallyport-gateway_*.deb /srv/newer/libpam-sallyport_*.deb")
    assert "0.1.0" in day.gateway.run("dpkg-query -W sallyport-gateway")
    wait_until(lambda: "active" in day.gateway.run("systemctl is-active sallyport-gateway || true").split(), "the gateway's return")
    assert main_process(day) != process and live_tunnels(day) == before
    held.says("upgraded")
    assert fetched_the_rest(day)
    assert day.gateway.run("tail -1 /etc/pam.d/sallyport") == "# a line of the admin\n"
    assert sessions(day) == session
    assert fetched_rightly(day)


def test_D4_a_restart_is_no_stop(day):
    for word in ("again", "and again"):
        process = main_process(day)
        day.gateway.run("systemctl restart sallyport-gateway")
        assert main_process(day) != process
        day.held.says(word)
    process, before = main_process(day), in_the_unit(day, "sallyport-broke")
    day.gateway.run("systemctl kill --kill-who=main --signal=SIGUSR2 sallyport-gateway")
    wait_until(lambda: in_the_unit(day, "sallyport-broke") not in ([], before), "the restart in place")
    day.held.says("in place")
    assert main_process(day) == process
    day.gateway.run("systemctl stop sallyport-gateway")
    day.held.end()
    assert in_the_unit(day) == []
    day.gateway.run("systemctl start sallyport-gateway")
    ended = json.loads(day.gateway.run("sallyport-admin --json tunnel list --all"))["tunnels"]
    assert [tunnel["close_reason"] for tunnel in ended if tunnel["port"] == 5433][-1] == "gateway_stopped"
    wait_until(lambda: fetched_rightly(day), "the way back through the same forward")


def test_a_crash_leaves_nobody_behind(day):
    """A worker that does not even notice: it is stopped."""
    held = Held(day)
    workers = in_the_unit(day, "sallyport-worke")
    assert workers
    day.gateway.run(f"kill -STOP {' '.join(workers)}; kill -KILL {main_process(day)}")
    held.end()
    wait_until(lambda: "active" in day.gateway.run("systemctl is-active sallyport-gateway || true").split(), "the gateway's return")
    assert not set(workers) & set(in_the_unit(day))


def test_a_downgrade_is_refused(day):
    with pytest.raises(MachineError, match="no downgrade"):
        day.gateway.run("DEBIAN_FRONTEND=noninteractive apt-get install -y -q --allow-downgrades /srv/sallyport/sallyport-gateway_0.0.9.deb /srv/sallyport/libpam-sallyport_0.0.9.deb")
    assert "0.1.0" in day.gateway.run("dpkg-query -W sallyport-gateway")
    wait_until(lambda: "active" in day.gateway.run("systemctl is-active sallyport-gateway || true").split(), "the gateway")


def test_purge_leaves_nothing(day):
    # The tests above have named it to apt; nobody else has.
    day.gateway.run("apt-mark auto libpam-sallyport")
    day.gateway.run("DEBIAN_FRONTEND=noninteractive apt-get purge -y -q sallyport-gateway")
    day.gateway.run("DEBIAN_FRONTEND=noninteractive apt-get autoremove --purge -y -q")
    assert "sallyport" not in day.gateway.run("getent passwd; getent group; ls -d /run/* /etc/systemd/system/*/*")
    left = files(day.gateway) - day.before
    packaged = set(day.gateway.run("cat /var/lib/dpkg/info/*.list").splitlines())
    assert not {path for path in left - packaged if "sallyport" in path}
    assert sorted(left - packaged) == []
