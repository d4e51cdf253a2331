"""What export-p12 writes, in the stores of browsers: NSS databases, as Chromium and Firefox have them."""
import datetime
import os
import re
import subprocess

import pytest

from clients_of_user import client
from world import run


@pytest.fixture
def database(world):
    folder = world.private_folder("nss", os.urandom(4).hex())
    run(["certutil", "-d", f"sql:{folder}", "-N", "--empty-password"])
    return f"sql:{folder}"


def exported(world, passphrase, name="export.p12"):
    path = world.private_folder("export", os.urandom(4).hex()) / name
    done = client(world, "export-p12", str(path), answers_text=f"{passphrase}\n{passphrase}\n")
    assert done.returncode == 0, done.stderr
    return path, done.stdout


def take(database, path, passphrase):
    return subprocess.run(["pk12util", "-d", database, "-i", path, "-W", passphrase, "-K", ""], text=True, capture_output=True, check=False,
                          env=dict(os.environ, LC_ALL="C.UTF-8"))


@pytest.mark.parametrize("passphrase", ["correct horse", "Gr\u00fc\u00dfe 12345", "\u5408\u8a00\u8449 \U0001f600 12345", 'quote" \\ $HOME \'', 64 * "x"])
def test_a_browsers_store_takes_certificate_and_key(world, database, passphrase):
    path, _ = exported(world, passphrase)
    assert take(database, path, passphrase + "x").returncode != 0
    done = take(database, path, passphrase)
    assert done.returncode == 0, done.stdout + done.stderr
    # "u": there is a key to it. It is this laptop's own.
    assert re.search(r"^alice-laptop +u,u,u$", run(["certutil", "-d", database, "-L"]), re.M)
    kept = run(["certutil", "-d", database, "-L", "-n", "alice-laptop", "-a"])
    assert kept.split() == world.laptops["alice-laptop"].certificate.read_text().split()


def test_the_key_in_the_store_is_the_one_that_the_gateway_knows(world, database):
    """Out again, and to the gateway with it."""
    path, _ = exported(world, "correct horse")
    assert take(database, path, "correct horse").returncode == 0
    run(["pk12util", "-d", database, "-o", path.with_suffix(".out"), "-n", "alice-laptop", "-W", "another horse", "-K", ""])
    pem = path.with_suffix(".pem")
    run(["openssl", "pkcs12", "-in", path.with_suffix(".out"), "-passin", "pass:another horse", "-nodes", "-out", pem])
    page = run(["curl", "-sS", "--cacert", world.path("etc", "server-ca.crt"), "--cert", pem, world.url + "/"])
    assert '"device":"alice-laptop"' in page


def test_it_says_until_when_the_browser_can_use_it(world):
    path, said = exported(world, "correct horse")
    (due,) = re.findall(r"From (\S+) on", said)
    left = datetime.datetime.fromisoformat(due.replace("Z", "+00:00")) - datetime.datetime.now(datetime.timezone.utc)
    assert str(path) in said and datetime.timedelta(days=15) < left < datetime.timedelta(days=25)


def test_F5_a_browser_of_its_own_gets_the_renewed_certificate(world, database):
    """As docs/browsers.md has it: the former certificate leaves the browser before the next one is used."""
    environment = {"SALLYPORT_PROFILE": "browser"}
    for name in ("SALLYPORT_URL", "SALLYPORT_CA", "SALLYPORT_CERT", "SALLYPORT_KEY"):
        environment[name] = ""
    folder = world.private_folder("export", os.urandom(4).hex())

    def ours(*words, **options):
        done = client(world, "-p", "browser", *words, environment=environment, **options)
        assert done.returncode == 0, done.stderr

    def in_the_store():
        return re.findall(r"^(\S+) +u,u,u$", run(["certutil", "-d", database, "-L"]), re.M)

    def serial():
        return re.search(r"Serial Number:\s+(\S+)", run(["certutil", "-d", database, "-L", "-n", "alice-browser"])).group(1)

    def import_anew(path):
        ours("export-p12", str(path), answers_text="correct horse\ncorrect horse\n")
        assert take(database, path, "correct horse").returncode == 0
    ours("enroll", world.admin("device", "invite", "alice-browser", "--user", "alice").strip())
    import_anew(folder / "first.p12")
    first = serial()
    run(["certutil", "-d", database, "-F", "-n", "alice-browser"])
    assert in_the_store() == []
    ours("renew")
    import_anew(folder / "second.p12")
    assert in_the_store() == ["alice-browser"] and serial() != first
    run(["openssl", "pkcs12", "-in", folder / "second.p12", "-passin", "pass:correct horse", "-nodes", "-out", folder / "second.pem"])
    page = run(["curl", "-sS", "--cacert", world.path("etc", "server-ca.crt"), "--cert", folder / "second.pem", world.url + "/"])
    assert '"device":"alice-browser"' in page
    assert "active" in world.admin("device", "show", "alice-browser")
