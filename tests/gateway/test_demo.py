"""The demo as its user meets it: packaging/demo, then DIR/env in a shell of his own and a login by hand."""
import glob
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import pytest

NAMES = """SALLYPORT_URL SALLYPORT_CA SALLYPORT_CERT SALLYPORT_KEY SALLYPORT_USER SALLYPORT_PASSWORD SALLYPORT_TOTP_SECRET
SALLYPORT_OTHER_CERT SALLYPORT_OTHER_KEY SALLYPORT_OTHER_USER SALLYPORT_OTHER_PASSWORD SALLYPORT_OTHER_TOTP_SECRET
SALLYPORT_DEVICE_CA SALLYPORT_DEVICE_CA_KEY SALLYPORT_DB SALLYPORT_CONF SALLYPORT_POLICY SALLYPORT_ADMIN_SOCKET SALLYPORT_WEB
SALLYPORT_SSH SALLYPORT_ECHO SALLYPORT_DENIED SALLYPORT_GATEWAY_PID PATH""".split()

# One login with curl as docs/wire.md shows it, the code from oathtool.
LOGIN = """
. "$1/env"
call() { curl --silent --cacert "$SALLYPORT_CA" --cert "$2" --key "$3" --header 'Content-Type: application/json' \
	--data "$4" "$SALLYPORT_URL$1"; }
id=$(call /v1/login "$2" "$3" "{\\"user\\":\\"$4\\"}" | jq --raw-output .conversation)
call "/v1/login/$id" "$2" "$3" "{\\"answers\\":[\\"$5\\"]}" > /dev/null
call "/v1/login/$id" "$2" "$3" "{\\"answers\\":[\\"$(oathtool --totp --base32 "$6")\\"]}"
"""


@pytest.fixture
def folder(release):
    """Where the demo finds its programs built: what it builds is what is there."""
    made = pathlib.Path(tempfile.mkdtemp(prefix="sallyport-demo-test.", dir="/tmp"))
    made.chmod(0o711)
    (made / "programs").symlink_to(release)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def start(request, folder):
    running = []

    def make(*options, **more):
        command = [request.config.rootpath / "packaging" / "demo", "--no-install", "--dir", folder, *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
                                   **more)
        running.append(process)
        return process
    yield make
    for process in running:
        process.terminate()
        process.communicate()


def wait_for_env(folder, process):
    limit = time.monotonic() + 180
    while not (folder / "env").exists():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < limit, "no env"
        time.sleep(0.1)


def shell(folder, text, **more):
    """What a shell that has sourced env prints."""
    done = subprocess.run(["sh", "-c", f'. "{folder}/env"; {text}'], capture_output=True, text=True, timeout=60, check=False, **more)
    return done.stdout.strip()


def by_hand(folder, which):
    arguments = " ".join(f'"$SALLYPORT_{which}{name}"' for name in ("CERT", "KEY", "USER", "PASSWORD", "TOTP_SECRET"))
    return json.loads(shell(folder, f'sh -c "$LOGIN" sh "{folder}" {arguments}', env={**os.environ, "LOGIN": LOGIN}))


def is_alive(pid):
    return os.path.exists(f"/proc/{pid}/exe")


def test_the_tour_works_and_leaves_a_world_for_the_next(folder, start):
    process = start()
    wait_for_env(folder, process)
    shown = shell(folder, "env", env={})
    assert {line.split("=")[0] for line in shown.splitlines()} >= set(NAMES)
    # The present codes were left for whoever tries by hand, and they are good at once.
    assert by_hand(folder, "")["state"] == "granted"
    assert by_hand(folder, "OTHER_")["state"] == "granted"
    assert "another demo runs" in start().communicate(timeout=60)[0]
    process.send_signal(signal.SIGTERM)
    text = process.communicate(timeout=60)[0]
    assert "All of it worked." in text and text.count("\n--- ") == 10
    assert process.returncode == 0


def test_without_a_tour_everything_in_env_is_true(folder, start):
    """And Ctrl-C ends it all."""
    process = start("--no-tour")
    wait_for_env(folder, process)
    pid = shell(folder, 'echo "$SALLYPORT_GATEWAY_PID"')
    assert os.readlink(f"/proc/{pid}/exe").endswith("sbin/sallyport-gateway")
    for program in ("sallyport", "sallyport-admin", "sallyport-gateway"):
        assert shell(folder, f"command -v {program}").startswith(os.path.realpath(folder / "programs")), program
    keys = shell(folder, 'openssl x509 -in "$SALLYPORT_DEVICE_CA" -noout -pubkey; openssl pkey -in "$SALLYPORT_DEVICE_CA_KEY" -pubout')
    first, second = keys.split("-----END PUBLIC KEY-----\n")
    assert first.strip() == second.replace("-----END PUBLIC KEY-----", "").strip()
    assert shell(folder, 'sallyport-admin device list').count("active") == 2
    token = by_hand(folder, "")["session"]
    proxy = ('curl --silent --max-time 20 --proxytunnel --proxy "$SALLYPORT_URL" --proxy-cacert "$SALLYPORT_CA" --proxy-cert '
             '"$SALLYPORT_CERT" --proxy-key "$SALLYPORT_KEY" --proxy-user "$SALLYPORT_USER:$TOKEN" --output /dev/null '
             '--write-out "%{http_connect}" "http://$WHERE/"')
    for name, status in (("WEB", "200"), ("DENIED", "403")):
        where = shell(folder, f'echo "$SALLYPORT_{name}"')
        host, port = where.split(":")
        socket.create_connection((host, int(port)), 5).close()  # listening, whatever the policy says
        assert shell(folder, proxy, env={**os.environ, "TOKEN": token, "WHERE": where}) == status, name
    os.killpg(process.pid, signal.SIGINT)  # Ctrl-C reaches the whole foreground
    text = process.communicate(timeout=60)[0]
    assert process.returncode == 0 and "Traceback" not in text, text
    assert "\n--- " not in text and not is_alive(pid)


def test_once_says_by_its_status_whether_it_worked(folder, start):
    """In a folder of somebody's own; then once more in the same one, with an ssh that fails."""
    folder.chmod(0o700)
    (folder / "env").write_text("export SALLYPORT_URL=stale\n")
    elsewhere = set(glob.glob("/tmp/sallyport-world.*"))
    process = start("--once")
    text = process.communicate(timeout=180)[0]
    assert process.returncode == 0 and "All of it worked." in text, text
    assert "stale" not in (folder / "env").read_text()
    assert set(glob.glob("/tmp/sallyport-world.*")) <= elsewhere, "the world below /tmp stays behind"
    (folder / "ssh").write_text("#!/bin/sh\nexit 1\n")
    (folder / "ssh").chmod(0o755)
    process = start("--once", env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"})
    text = process.communicate(timeout=180)[0]
    assert process.returncode == 1 and "Not all of it worked." in text and "FAILED: ssh did not work" in text, text


def test_a_world_that_no_demo_has_made_is_left_alone(folder, start):
    (folder / "world").mkdir()
    (folder / "world" / "precious").touch()
    process = start("--once")
    text = process.communicate(timeout=60)[0]
    assert process.returncode == 1 and "demo: " in text and "no demo has made it" in text, text
    assert (folder / "world" / "precious").exists()
