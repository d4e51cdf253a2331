"""The packages themselves: what the RPM packages hold and do, and Debian's own test of the installed packages.

lintian, blhc, hardening-check, rpmlint and the comparison of two builds are part of `packaging/build --check --twice`, by
which the fixture `built` makes the packages.
"""
import pathlib
import re
import shutil
import tempfile

import pytest

from machine import Machine, run, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]


def rpm(built, name):
    (found,) = built.joinpath("rpm").glob(f"{name}-[0-9]*.x86_64.rpm")
    return found


def asked(package, *words):
    """rpm's own words, without a database of this machine's."""
    with tempfile.TemporaryDirectory() as database:
        return run(["rpm", "--dbpath", database, "-qp", *words, package]).splitlines()


def paths_of_deb(built, name):
    (found,) = built.joinpath("repository").glob(f"{name}_[0-9]*.deb")
    return {line.split()[5].lstrip(".") for line in run(["dpkg-deb", "-c", found]).splitlines() if not line.startswith("d")}


def plain(path):
    """Debian and Fedora have other folders for the same thing, and both compress manual pages."""
    path = re.sub(r"^/lib/|^/usr/lib64/|^/usr/lib/x86_64-linux-gnu/", "/usr/lib/", path)
    return path.replace("/vendor-completions/", "/site-functions/").removesuffix(".gz")


@pytest.mark.parametrize("fedora, debian", [("sallyport", "sallyport"), ("sallyport-gateway", "sallyport-gateway"),
                                            ("sallyport-pam", "libpam-sallyport")])
def test_both_kinds_of_packages_hold_the_same(built, fedora, debian):
    ours = {plain(path) for path in asked(rpm(built, fedora), "-l")}
    theirs = {plain(path) for path in paths_of_deb(built, debian) if not path.startswith("/usr/share/doc/")}
    folders = {path for path in ours if any(other.startswith(path + "/") for other in ours)} | {"/etc/sallyport/policy.d"}
    assert ours - folders == theirs


def test_an_rpm_makes_identities_and_keeps_what_the_admin_wrote(built):
    gateway = rpm(built, "sallyport-gateway")
    scripts = "\n".join(asked(gateway, "--scripts"))
    for room in ("worker", "signer", "broker", "courier"):
        assert f"sallyport-{room}" in scripts
    assert asked(gateway, "-c") == ["/etc/pam.d/sallyport"]
    assert not [line for line in asked(gateway, "--queryformat", "[%{FILEMODES:perms}\n]") if "s" in line[1:]]
    assert any(line.startswith("sallyport-pam") for line in asked(gateway, "-R"))
    assert not any(line.startswith("sallyport-gateway") for line in asked(rpm(built, "sallyport"), "-R"))


def test_the_stack_of_the_rpm_reads_as_pam_reads_it():
    lines = [line for line in ROOT.joinpath("packaging/rpm/sallyport.pam").read_text().splitlines() if line and line[0] != "#"]
    for line in lines:
        assert re.fullmatch(r"(auth|account|password|session)\s+(required|requisite|include|substack)\s+[\w./-]+( \w+)*", line), line
    assert {line.split()[0] for line in lines} == {"auth", "account", "password"}


@pytest.fixture(scope="module")
def tried(built):
    """A machine with the packages in its repository and what debian/tests/control wants."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="sallyport-package.", dir="/var/tmp"))
    machine = Machine(built / "base", folder, "tried")
    control = ROOT.joinpath("packaging/debian/tests/control").read_text()
    wanted = re.search(r"(?m)^Depends: (.*)$", control).group(1).replace(",", " ").split()
    try:
        machine.add_repository(built / "repository", *wanted, "libpam-systemd")
        machine.chroot("apt-get", "install", "-y", "-q", *wanted, "libpam-systemd")
        shutil.copy(ROOT / "packaging/debian/tests/install-and-login", machine.root / "opt")
        yield machine.boot()
    finally:
        machine.stop()
        shutil.rmtree(folder, ignore_errors=True)


def test_the_package_s_own_test_and_its_units(tried):
    tried.run("sh /opt/install-and-login > /opt/said 2>&1 || { tail -20 /opt/said >&2; journalctl -u sallyport-gateway --no-pager -n 20 >&2; exit 1; }", timeout=240)
    # The laptop's units, by a real manager of a real user. The agent has no profile yet, so it waits for one.
    tried.run("useradd --create-home --shell /bin/bash bea && systemctl start systemd-logind && loginctl enable-linger bea")
    user = "XDG_RUNTIME_DIR=/run/user/$(id -u) systemctl --user"
    wait_until(lambda: tried.run(f"{user} is-system-running || true", "bea").strip() in ("running", "degraded"), "the user's manager")
    tried.run(f"{user} enable --now sallyport-renew.timer", "bea")
    assert "active" in tried.run(f"{user} is-active sallyport-renew.timer", "bea")
    tried.run(f"{user} start sallyport-agent", "bea")
    assert "ConditionResult=no" in tried.run(f"{user} show -p ConditionResult sallyport-agent", "bea")


SOCKET = """[Socket]
ListenStream=
ListenStream=127.0.0.1:9443
ListenStream=127.0.0.1:9444
"""


def test_the_first_client_starts_the_gateway(tried):
    """Socket activation, where an admin wants it: nobody is refused while the gateway is not there."""
    drop_in = tried.root / "etc/systemd/system/sallyport-gateway.socket.d"
    drop_in.mkdir()
    drop_in.joinpath("here.conf").write_text(SOCKET)
    tried.run("systemctl stop sallyport-gateway; systemctl daemon-reload; systemctl start sallyport-gateway.socket")
    assert "inactive" in tried.run("systemctl is-active sallyport-gateway || true")
    tried.run("echo | timeout 30 openssl s_client -connect 127.0.0.1:9444 -CAfile /etc/sallyport/server-ca.crt -verify_return_error")
    assert tried.run("systemctl is-active sallyport-gateway").strip() == "active"
    assert "are refused" not in tried.run("journalctl -u sallyport-gateway --no-pager -n 20")
    tried.run("systemctl stop sallyport-gateway.socket sallyport-gateway")


def test_purge_takes_what_a_host_s_enrolment_has_made(tried):
    apt = "DEBIAN_FRONTEND=noninteractive apt-get -y -q"
    tried.run(f"{apt} remove sallyport-gateway; cd /etc/sallyport; touch profile device.pem gateway-ca.crt enroll-0123.key mine")
    tried.run(f"{apt} purge libpam-sallyport")
    assert "mine" in tried.run("ls /etc/sallyport").split()
    assert not {"profile", "device.pem", "gateway-ca.crt", "enroll-0123.key"} & set(tried.run("ls /etc/sallyport").split())
