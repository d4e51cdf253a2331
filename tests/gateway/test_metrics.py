"""Metrics: where they are read, by whom, what they say; with the Prometheus of the distribution."""
import json
import pathlib
import re
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request

import api
import clients
import pytest
from test_restart import restart
from world import answers, free_port, run, wait_until

MONITORING = pathlib.Path(__file__).resolve().parents[2] / "packaging" / "monitoring"
RULES = MONITORING / "sallyport-alerts.yml"
REALM = 'realm "desk" { pam_service = "sallyport"  device_tags = {"kiosk"} }'


def ask(url):
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.headers["Content-Type"], answer.read().decode()


def scrape(port):
    kind, text = ask(f"http://127.0.0.1:{port}/metrics")
    assert kind.startswith("text/plain; version=0.0.4")
    return text


def value(text, name, **labels):
    """The one sample that has these labels."""
    wanted = ",".join(f'{key}="{word}"' for key, word in labels.items())
    (line,) = [line for line in text.splitlines() if line.startswith(f"{name}{{{wanted}}} " if wanted else f"{name} ")]
    return float(line.split()[-1])


@pytest.fixture
def port():
    return free_port()


@pytest.fixture
def world(new_world, port):
    return new_world(settings=[f'metrics_listen = "127.0.0.1:{port}"', REALM])


def test_what_is_counted(world, port):
    before = scrape(port)
    assert value(before, "sallyport_logins_total", realm="desk", outcome="granted") == 0, "a realm is there before it is used"
    granted = api.login(world)
    assert granted.status == 200, granted.text
    token = granted.body["session"]
    world.forget_codes()
    assert api.login(world, "alice", laptop="bob-laptop").status == 403
    _, _, peer = clients.http1_connect(world, f"{world.inside}:{world.echo}", token)
    peer.sendall(b"x" * 50000)
    while value(scrape(port), "sallyport_tunnel_bytes_total", direction="to_target") < 50000:
        peer.recv(65536)
    page = scrape(port)
    assert value(page, "sallyport_tunnels") == 1 and value(page, "sallyport_sessions", realm="default") == 1
    assert value(page, "sallyport_logins_total", realm="default", outcome="granted") == 1
    assert value(page, "sallyport_logins_total", realm="default", outcome="not_bound") == 1
    assert value(page, "sallyport_handshakes_total", outcome="accepted") >= 3
    assert value(page, "sallyport_dials_total", outcome="connected") == 1 == value(page, "sallyport_dial_seconds_count")
    assert value(page, "sallyport_commit_seconds_count") > value(before, "sallyport_commit_seconds_count")
    assert value(page, "sallyport_devices", state="active") == 2 == value(page, "sallyport_certificates", days_left="30")
    assert value(page, "sallyport_store_good") == 1 == value(page, "sallyport_signer_connected")
    assert value(page, "sallyport_workers") >= 2
    peer.close()
    wait_until(lambda: value(scrape(port), "sallyport_tunnels") == 0, "the tunnel's end")
    after = scrape(port)
    assert value(after, "sallyport_tunnel_bytes_total", direction="to_target") >= 50000, "what has ended stays counted"
    checked = subprocess.run(["promtool", "check", "metrics"], input=after, text=True, capture_output=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, ""), checked.stderr


def bytes_to_target(port):
    return value(scrape(port), "sallyport_tunnel_bytes_total", direction="to_target")


def test_bytes_of_before_a_restart_are_not_counted_again(world, port):
    """A counter that begins anew begins at zero: Prometheus adds what stands there to what the broker before had counted."""
    def say(count, least):
        peer.sendall(b"x" * count)
        while bytes_to_target(port) < least:
            peer.recv(65536)
    token = api.login(world).body["session"]
    _, _, peer = clients.http1_connect(world, f"{world.inside}:{world.echo}", token)
    say(50000, 50000)
    assert restart(world) == "1 of 1 live connections are taken over, with 1 tunnels"
    assert bytes_to_target(port) == 0
    (live,) = json.loads(world.admin("--json", "tunnel", "list"))["tunnels"]
    assert live["bytes_to_target"] == 50000, "of the tunnel itself all is told"
    say(7000, 7000)
    assert bytes_to_target(port) == 7000
    peer.close()
    wait_until(lambda: value(scrape(port), "sallyport_tunnels") == 0, "the tunnel's end")
    assert bytes_to_target(port) == 7000, "also when it has ended"


def test_a_stranger_makes_no_series(world, port):
    """Users who are not there, codes, addresses, realms: the same lines as before."""
    def series():
        return {line.rsplit(" ", 1)[0] for line in scrape(port).splitlines()}
    assert api.call(world, "POST", "/v1/login", {"user": "alice", "realm": "desk"}).status == 403, "a refusal that is there from now on"
    before = series()
    for name in ('mallory"} 1', "mallory\n", "x" * 200):
        api.call(world, "POST", "/v1/login", {"user": name})
        api.call(world, "POST", "/v1/login", {"user": "alice", "realm": name[:30]})
    assert series() == before
    assert not re.search(r"alice|bob|mallory|127\.0\.0", scrape(port))


def test_nothing_but_metrics_and_nowhere_else(new_world, world, port):
    for path in ("/", "/v1/status", "/metrics/"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            ask(f"http://127.0.0.1:{port}{path}")
        assert refused.value.code == 404
    world.stop_process("gateway")
    for text in (f"0.0.0.0:{port}", f"localhost:{port}", f"[::]:{port}", f"127.0.0.2:{port}", "127.0.0.1", "metrics.sock"):
        world.conf.write_text(re.sub(r'metrics_listen = .*', f'metrics_listen = "{text}"', world.conf.read_text()))
        for arguments in (["-T"], []):
            done = subprocess.run([world.program("sallyport-gateway"), "-f", world.conf, *arguments], text=True, capture_output=True, check=False, timeout=60)
            assert done.returncode == 1 and f'metrics_listen: "{text}" is neither' in done.stderr, done.stderr


def test_by_a_unix_socket_for_few(new_world):
    """And it is closed where nobody has asked for it."""
    world = new_world()
    assert not [line for line in run(["ss", "-xlntp"]).splitlines() if "metrics" in line]
    world.stop_process("gateway")
    place = world.path("run", "metrics.sock")
    with world.conf.open("a") as conf:
        conf.write(f'metrics_listen = "{place}"\nadmin_users = {{"daemon"}}\n')
    world.start_gateway()

    def curl(*who):
        return subprocess.run([*who, "curl", "-s", "-w", "%{http_code}", "--unix-socket", place, "http://localhost/metrics"],
                              text=True, capture_output=True, check=False).stdout
    assert curl().endswith("200") and "sallyport_build_info" in curl("setpriv", "--reuid=daemon", "--clear-groups")
    assert curl("setpriv", "--reuid=nobody", "--clear-groups").endswith("403")


def names_in(text):
    return set(re.findall(r"\bsallyport_[a-z_]+", text))


def queries():
    dashboard = json.loads((MONITORING / "sallyport-dashboard.json").read_text())
    return [target["expr"].replace("$__rate_interval", "5m").replace("$instance", ".*")
            for panel in dashboard["panels"] for target in panel["targets"]]


def test_rules_and_dashboard_speak_of_what_there_is(world, port):
    run(["promtool", "check", "rules", RULES])
    have = re.findall(r"^# TYPE (\w+) (\w+)$", scrape(port), re.M)
    have = {name + ("_bucket" if kind == "histogram" else "") for name, kind in have}
    assert names_in(RULES.read_text()) <= have
    assert names_in(" ".join(queries())) <= have and len(queries()) > 15


def assert_panel_fits(panel):
    """What Grafana's schema of a panel wants (kinds/dashboard, panelcfg), and what it would silently show without."""
    place, options = panel["gridPos"], panel["options"]
    assert place["w"] > 0 and place["h"] > 0 and place["x"] >= 0 and place["x"] + place["w"] <= 24 and place["y"] >= 0, panel["title"]
    assert isinstance(panel["fieldConfig"]["overrides"], list) and panel["fieldConfig"]["defaults"]["unit"]
    assert all(one["datasource"] == {"type": "prometheus", "uid": "${datasource}"} for one in (panel, *panel["targets"]))
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]) > 0
    if panel["type"] == "stat":
        assert options["reduceOptions"]["calcs"] and panel["fieldConfig"]["defaults"]["thresholds"]["steps"][0]["value"] is None
    else:
        assert panel["type"] == "timeseries" and options["tooltip"] == {"mode": "multi", "sort": "desc"}
        # From version 37 of the schema on a legend without showLegend is hidden.
        legend = options["legend"]
        assert legend["showLegend"] is True and legend["displayMode"] in ("list", "table") and legend["placement"] in ("bottom", "right")
        assert isinstance(legend["calcs"], list)


def test_the_dashboard_fits_the_schema_of_its_version():
    """Facts of Grafana's schema; that program itself is in no distribution that we build for."""
    dashboard = json.loads((MONITORING / "sallyport-dashboard.json").read_text())
    panels, (source, instance) = dashboard["panels"], dashboard["templating"]["list"]
    assert dashboard["schemaVersion"] == 38 and 8 <= len(dashboard["uid"]) <= 40 and dashboard["graphTooltip"] in (0, 1, 2)
    assert set(dashboard["time"]) == {"from", "to"} and dashboard["annotations"] == {"list": []} and "id" not in dashboard
    assert (source["type"], source["query"], source["name"]) == ("datasource", "prometheus", "datasource")
    assert (instance["type"], instance["multi"], instance["includeAll"], instance["refresh"]) == ("query", True, True, 2)
    assert instance["current"]["value"] == ["$__all"] and instance["datasource"]["uid"] == "${datasource}"
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [(x, y) for place in (panel["gridPos"] for panel in panels) for x in range(place["x"], place["x"] + place["w"])
             for y in range(place["y"], place["y"] + place["h"])]
    assert len(set(cells)) == len(cells), "no panel lies over another"
    for panel in panels:
        assert_panel_fits(panel)
        assert all('instance=~"$instance"' in target["expr"] for target in panel["targets"]), "with several gateways, all or one"


def test_prometheus_reads_it_and_an_alert_fires(world, port, scratch):
    """The files that we ship, with another port and a shorter interval: a revoked laptop knocks."""
    conf = (MONITORING / "prometheus.yml").read_text().replace("9469", str(port)).replace("15s", "500ms")
    scratch.joinpath("prometheus.yml").write_text(conf.replace("global:", "global:\n  evaluation_interval: 500ms"))
    scratch.joinpath(RULES.name).write_text(RULES.read_text())
    run(["promtool", "check", "config", scratch / "prometheus.yml"])
    web = free_port()
    prometheus = subprocess.Popen(["prometheus", f"--config.file={scratch}/prometheus.yml", f"--storage.tsdb.path={scratch}/data",
                                   f"--web.listen-address=127.0.0.1:{web}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def query(path):
        return json.loads(ask(f"http://127.0.0.1:{web}/api/v1/{path}")[1])["data"]

    def is_ready():
        try:
            return ask(f"http://127.0.0.1:{web}/-/ready")
        except urllib.error.HTTPError:
            return False

    def up():
        return [row["value"][1] for row in query("query?query=up")["result"]]
    try:
        wait_until(lambda: answers(web) and is_ready(), "Prometheus")
        wait_until(lambda: up() == ["1"], "the first scrape")
        wait_until(lambda: query("query?query=sallyport_devices")["result"], "a metric")
        assert query("alerts")["alerts"] == []
        world.admin("device", "revoke", "bob-laptop")
        api.call(world, "GET", "/v1/session", laptop="bob-laptop")
        wait_until(lambda: [a for a in query("alerts")["alerts"] if a["state"] == "firing"], "the alert")
        (alert,) = query("alerts")["alerts"]
        assert alert["labels"]["alertname"] == "SallyportBarredDeviceKnocks" and alert["labels"]["outcome"] == "device_revoked"
        assert "--code device_revoked" in alert["annotations"]["mend"]
        for line in queries():
            assert query("query?" + urllib.parse.urlencode({"query": line}))["resultType"] == "vector", line
    finally:
        prometheus.terminate()
        prometheus.wait()


def test_systemctl_status_says_what_goes_on(world, monkeypatch):
    """sd_notify's STATUS, heard on a socket of our own."""
    world.stop_process("gateway")
    heard = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        place = world.path("notify.sock")
        notified.bind(str(place))
        notified.settimeout(0)

        def status():
            try:
                while True:
                    heard.extend(line for line in notified.recv(4096).decode().splitlines() if line.startswith("STATUS="))
            except BlockingIOError:
                return heard[-1:]
        monkeypatch.setenv("NOTIFY_SOCKET", str(place))
        world.start_gateway()
        wait_until(lambda: status() == ["STATUS=0 sessions, 0 tunnels"], "the first status")
        assert api.login(world).status == 200
        wait_until(lambda: status() == ["STATUS=1 sessions, 0 tunnels"], "the session")
