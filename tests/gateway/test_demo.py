"""The demo as its user meets it: the whole tour, then D/env in a shell of his own and a login by hand."""
import json
import os
import shutil
import signal
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
def demo(request):
    folder = tempfile.mkdtemp(prefix="sallyport-demo-test.", dir="/tmp")
    root = request.config.rootpath
    process = subprocess.Popen(
        ["/usr/bin/python3", "-B", root / "packaging/world/demo.py", "--dir", folder, "--programs",
         os.environ["SALLYPORT_RELEASE"]], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield folder, process
    finally:
        process.kill()
        process.communicate()
        shutil.rmtree(folder, ignore_errors=True)


def wait_for_env(folder, process):
    limit = time.monotonic() + 120
    while not os.path.exists(f"{folder}/env"):
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < limit, "no env"
        time.sleep(0.1)


def by_hand(folder, which):
    arguments = " ".join(f'"$SALLYPORT_{which}{name}"' for name in ("CERT", "KEY", "USER", "PASSWORD", "TOTP_SECRET"))
    outer = f'. "{folder}/env"; sh -c "$LOGIN" sh "{folder}" {arguments}'
    done = subprocess.run(["sh", "-c", outer], env={**os.environ, "LOGIN": LOGIN}, capture_output=True, text=True,
                          timeout=60)
    return json.loads(done.stdout)


def test_the_tour_works_and_leaves_a_world_for_the_next(demo):
    folder, process = demo
    wait_for_env(folder, process)
    shown = subprocess.run(["sh", "-c", f'. "{folder}/env"; env'], env={}, capture_output=True, text=True, check=True)
    names = {line.split("=")[0] for line in shown.stdout.splitlines()}
    assert names >= set(NAMES)
    # The present codes were left for whoever tries by hand, and they are good at once.
    assert by_hand(folder, "")["state"] == "granted"
    assert by_hand(folder, "OTHER_")["state"] == "granted"
    process.send_signal(signal.SIGTERM)
    text = process.communicate(timeout=60)[0]
    assert "All of it worked." in text
    assert process.returncode == 0
