"""Who vouches for devices and for the gateway: successors, others, and no tunnel lost meanwhile (D4)."""
import base64
import json
import os
import pathlib
import shutil
import socket
import sqlite3
import ssl
import subprocess
import tempfile

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from h2.errors import ErrorCodes
from h2.settings import SettingCodes

import api
import clients
from test_door_one import DAY, NOW, assert_shut, authority, curl_with, issue
from test_enrolment import EST, code_of, curl, query, request_for
from test_renewal import sallyport
from world import WorldError, run


def authorities(world):
    return json.loads(world.admin("ca", "show", "--json"))


def tunnel(world):
    token = api.login(world).body["session"]
    h2 = clients.Http2(world)
    number, status = h2.connect(f"127.0.0.1:{world.echo}", token)
    assert status == 200
    return h2, number


def still_works(h2, number):
    before = len(h2.streams[number].data)
    h2.send(number, b"still here")
    return h2.wait(lambda: bytes(h2.streams[number].data[before:]) == b"still here", 10)


def shown_certificate(world):
    with socket.create_connection(("127.0.0.1", world.port), 10) as raw:
        context = clients.tls_context(world, "alice-laptop")
        with context.wrap_socket(raw, server_hostname="localhost") as peer:
            return x509.load_der_x509_certificate(peer.getpeercert(True))


def make_authority(world, name):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, name)])
    certificate = (x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
                   .serial_number(x509.random_serial_number()).not_valid_before(NOW - DAY).not_valid_after(NOW + 100 * DAY)
                   .add_extension(x509.BasicConstraints(True, None), True).sign(key, hashes.SHA256()))
    path = world.private_folder("others") / f"{name}.crt"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return certificate, key, path


# ---- the gateway's own certificate ---------------------------------------------------------------------------


def test_D4_the_server_certificate_is_renewed_under_live_tunnels(new_world):
    world = new_world()
    before = shown_certificate(world)
    h2, number = tunnel(world)
    assert "not due" in world.admin("server", "renew", "--if-due")
    assert "read its files again" in world.admin("server", "renew")
    after = shown_certificate(world)
    assert before.serial_number != after.serial_number and before.issuer == after.issuer
    assert still_works(h2, number)
    assert json.loads(world.admin("server", "show", "--json"))["fingerprint"] == after.fingerprint(hashes.SHA256()).hex()


def test_D4_the_server_certificate_renews_itself_when_it_is_due(new_world):
    """What the timer does, with a certificate that has lived for two thirds of its life."""
    world = new_world(laptops=("alice",))
    names = ("server-ca.crt", "server-ca.key", "server.key")
    authority_pem, authority_key_pem, key_pem = (world.path("etc", name).read_bytes() for name in names)
    issuer = x509.load_pem_x509_certificate(authority_pem)
    key = serialization.load_pem_private_key(key_pem, None)
    short = (x509.CertificateBuilder().subject_name(x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "localhost")]))
             .issuer_name(issuer.subject).public_key(key.public_key()).serial_number(x509.random_serial_number())
             .not_valid_before(NOW - 3 * DAY).not_valid_after(NOW + DAY)
             .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
             .add_extension(x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]), False)
             .sign(serialization.load_pem_private_key(authority_key_pem, None), hashes.SHA256()))
    world.path("etc", "server.crt").write_bytes(short.public_bytes(serialization.Encoding.PEM))
    world.admin("reload")
    assert shown_certificate(world).serial_number == short.serial_number
    assert json.loads(world.admin("server", "show", "--json"))["due"] is True
    h2, number = tunnel(world)
    assert "read its files again" in world.admin("server", "renew", "--if-due")
    after = shown_certificate(world)
    assert after.serial_number != short.serial_number and (after.not_valid_after - NOW).days > 390
    assert still_works(h2, number)
    assert "not due" in world.admin("server", "renew", "--if-due")


def test_D4_a_certificate_from_elsewhere_is_picked_up_on_reload(new_world):
    world = new_world()
    h2, number = tunnel(world)
    folder = world.private_folder("acme")
    run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-nodes", "-subj", "/CN=localhost",
         "-keyout", folder / "key", "-out", folder / "csr"])
    (folder / "ext").write_text("subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\n")
    run(["openssl", "x509", "-req", "-in", folder / "csr", "-CA", world.path("etc", "server-ca.crt"), "-CAkey",
         world.path("etc", "server-ca.key"), "-days", "30", "-extfile", folder / "ext", "-out", folder / "crt"])
    world.path("etc", "server.crt").write_text((folder / "crt").read_text())
    with pytest.raises(WorldError, match="server_key is not the key"):
        world.admin("reload")
    assert still_works(h2, number) and shown_certificate(world).public_key().curve.name == "secp256r1", "all stayed as it was"
    world.path("etc", "server.key").write_text((folder / "key").read_text())
    world.admin("reload")
    assert shown_certificate(world).public_key().curve.name == "secp384r1"
    assert still_works(h2, number)


def test_a_reload_that_fails_says_why_and_changes_nothing(new_world):
    world = new_world()
    text = world.conf.read_text()
    world.conf.write_text(text + 'lease = "12"\n')
    with pytest.raises(WorldError, match="gateway.conf:.*lease.*what was in force stays"):
        world.admin("reload")
    world.conf.write_text(text)
    assert "read its files again" in world.admin("reload")


# ---- the device authority --------------------------------------------------------------------------------------


def test_rotate_and_no_laptop_is_visited(new_world):
    world = new_world()
    h2, number = tunnel(world)
    old = authorities(world)
    assert [(a["role"], a["certificates"]) for a in old] == [("own", 2)]
    world.admin("ca", "rotate")
    new = authorities(world)
    assert [(a["role"], a["certificates"]) for a in new] == [("own", 0), ("retired", 2)]
    assert new[1]["fingerprint"] == old[0]["fingerprint"]
    assert still_works(h2, number)
    laptop = world.laptops["alice-laptop"]
    assert '"status":' in curl_with(world, laptop.certificate, laptop.key).stdout, "the old certificate still counts"
    with pytest.raises(WorldError, match="2 certificates of it are in use"):
        world.admin("ca", "drop", old[0]["fingerprint"][:16])
    for name in ("alice-laptop", "bob-laptop"):
        folder = world.laptops[name].folder
        assert sallyport(world, folder, "renew").returncode == 0
        assert sallyport(world, folder, "status").returncode == 4
    assert [(a["role"], a["certificates"]) for a in authorities(world)] == [("own", 2), ("trusted", 0)]
    world.admin("ca", "drop", old[0]["fingerprint"][:16])
    assert_shut(world, curl_with(world, laptop.certificate, laptop.key), "not_trusted")
    assert sallyport(world, world.laptops["bob-laptop"].folder, "status").returncode == 4
    with pytest.raises(WorldError, match="authority in force"):
        world.admin("ca", "drop", new[0]["fingerprint"])
    key = world.path("etc", "device-ca.key")
    assert key.stat().st_mode & 0o777 == 0o600
    assert not list(key.parent.glob("device-ca.key.*")), "no other key lies about"


def test_a_rotation_that_cannot_replace_the_key_changes_nothing(new_world):
    world = new_world(laptops=())
    names = ("device-ca.crt", "device-ca.key")
    before = [world.path("etc", name).read_bytes() for name in names]
    blocked = world.private_folder("etc", "device-ca.key.former")
    with pytest.raises(WorldError, match="cannot be replaced"):
        world.admin("ca", "rotate")
    assert [world.path("etc", name).read_bytes() for name in names] == before
    blocked.rmdir()
    world.admin("ca", "rotate")
    assert [a["role"] for a in authorities(world)] == ["own", "trusted"]


# ---- its key in a token ----------------------------------------------------------------------------------------

SOFTHSM = "/usr/lib/softhsm/libsofthsm2.so"


class Token:
    """A token of softhsm2 for the gateway."""

    def __init__(self, folder):
        self.folder = folder
        folder.chmod(0o755)
        (folder / "tokens").mkdir(mode=0o700)
        (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\n")
        (folder / "pin").write_text("4711-pin\n")
        (folder / "pin").chmod(0o600)
        run(["softhsm2-util", "--init-token", "--free", "--label", "gateway", "--so-pin", "12345678", "--pin", "4711-pin"],
            env=self.environment)

    @property
    def environment(self):
        return dict(os.environ, SOFTHSM2_CONF=str(self.folder / "softhsm2.conf"))

    @property
    def settings(self):
        return [f'token_module = "{SOFTHSM}"', f'token_paths = {{"{self.folder}/tokens"}}',
                f'token_environment = {{"SOFTHSM2_CONF={self.folder}/softhsm2.conf"}}']

    def url(self, name):
        return f"pkcs11:token=gateway;object={name};type=private?pin-source=file:{self.folder}/pin"

    def give(self):
        """What the module writes as root, to the signer's identity."""
        if os.geteuid() == 0:
            for path in [self.folder / "tokens", *(self.folder / "tokens").rglob("*")]:
                os.chown(path, 64102, 64102)


@pytest.fixture
def token():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="sallyport-token.", dir="/tmp"))
    yield Token(folder)
    shutil.rmtree(folder, ignore_errors=True)


def set_key(world, printed):
    """The line that the command printed, into the configuration."""
    (line,) = [line for line in printed.splitlines() if line.strip().startswith("device_authority_key = ")]
    with world.conf.open("a") as conf:
        conf.write(line.strip() + "\n")


def test_F2_rotate_and_import_with_keys_in_a_token(new_world, token, tmp_path):
    world = new_world(settings=token.settings)
    printed = world.admin("ca", "rotate", "--key", token.url("first"), cwd=tmp_path)
    token.give()
    assert [a["role"] for a in authorities(world)] == ["trusted", "own"], "it signs when the configuration says so"
    set_key(world, printed)
    with pytest.raises(WorldError, match="takes a restart"):
        world.admin("reload")
    world.stop_process("gateway")
    world.start_gateway()
    assert [(a["role"], a["certificates"]) for a in authorities(world)] == [("own", 0), ("retired", 2)]
    laptop = world.enroll("by-token", "alice")
    assert '"status":' in curl_with(world, laptop.certificate, laptop.key).stdout
    with pytest.raises(WorldError, match="--key"):
        world.admin("ca", "rotate", cwd=tmp_path)
    with pytest.raises(WorldError, match="--key"):
        world.admin("ca", "request", cwd=tmp_path)
    assert list(tmp_path.iterdir()) == [], "no key lies about"
    # the next one, in the same token: reloaded, not restarted, and a tunnel lives on
    h2, number = tunnel(world)
    certificate, key, _ = make_authority(world, "Enterprise root")
    request = x509.load_pem_x509_csr(world.admin("ca", "request", "--key", token.url("second")).encode())
    token.give()
    signed = (x509.CertificateBuilder().subject_name(request.subject).issuer_name(certificate.subject)
              .public_key(request.public_key()).serial_number(x509.random_serial_number())
              .not_valid_before(NOW - DAY).not_valid_after(NOW + 50 * DAY)
              .add_extension(x509.BasicConstraints(True, 0), True).sign(key, hashes.SHA256()))
    path = world.private_folder("others") / "signed.pem"
    path.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    with pytest.raises(WorldError, match="not for the token's key"):
        world.admin("ca", "import", path, "--key", token.url("first"))
    set_key(world, world.admin("ca", "import", path, "--key", token.url("second")))
    world.admin("reload")
    assert [(a["role"], a["certificates"]) for a in authorities(world)] == [("own", 0), ("retired", 1), ("retired", 2)]
    assert world.enroll("by-second", "alice") and still_works(h2, number)
    assert b"4711" not in world.path("log", "gateway.log").read_bytes()


def test_F2_init_with_the_authority_in_a_token(programs, token, tmp_path):
    admin = pathlib.Path(programs) / "bin" / "sallyport-admin"
    run([admin, "init", "--name", "localhost", "--dir", tmp_path / "gateway", "--listen", "127.0.0.1:1", "--key", token.url("ca")],
        env=token.environment)
    token.give()
    etc = tmp_path / "gateway" / "etc"
    tmp_path.chmod(0o755)
    assert not (etc / "device-ca.key").exists() and "PRIVATE" not in (etc / "device-ca.crt").read_text()
    with (etc / "gateway.conf").open("a") as conf:
        conf.write("\n".join(token.settings) + "\n")
    run([pathlib.Path(programs) / "sbin" / "sallyport-gateway", "-f", etc / "gateway.conf", "-T"])
    # the authority alone
    alone = ["ca", "init", "--name", "localhost", "--dir", tmp_path / "alone"]
    made = run([admin, *alone])
    assert (tmp_path / "alone" / "etc" / "device-ca.key").stat().st_mode & 0o777 == 0o600 and "device_authority_key" in made
    with pytest.raises(WorldError, match="exists already"):
        run([admin, *alone])


def test_a_subordinate_of_an_enterprise(new_world):
    world = new_world()
    certificate, key, _ = make_authority(world, "Enterprise root")
    request = x509.load_pem_x509_csr(world.admin("ca", "request").encode())
    signed = (x509.CertificateBuilder().subject_name(request.subject).issuer_name(certificate.subject)
              .public_key(request.public_key()).serial_number(x509.random_serial_number())
              .not_valid_before(NOW - DAY).not_valid_after(NOW + 50 * DAY)
              .add_extension(x509.BasicConstraints(True, 0), True).sign(key, hashes.SHA256()))
    path = world.private_folder("others") / "signed.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    with pytest.raises(WorldError, match="not for the key of the last ca request"):
        world.admin("ca", "import", path)
    path.write_bytes(signed.public_bytes(serialization.Encoding.PEM) + path.read_bytes())
    world.admin("ca", "import", path)
    laptop = world.enroll("under-enterprise", "alice")
    assert '"status":' in curl_with(world, laptop.certificate, laptop.key).stdout
    issuer = x509.load_pem_x509_certificate(laptop.certificate.read_bytes()).issuer
    assert issuer == request.subject
    assert [a["role"] for a in authorities(world)] == ["own", "retired"]


def test_F2_an_import_that_is_no_authority_is_refused_and_put_back(new_world):
    world = new_world()
    certificate, key, _ = make_authority(world, "Enterprise root")
    request = x509.load_pem_x509_csr(world.admin("ca", "request").encode())
    signed = (x509.CertificateBuilder().subject_name(request.subject).issuer_name(certificate.subject)
              .public_key(request.public_key()).serial_number(x509.random_serial_number())
              .not_valid_before(NOW - DAY).not_valid_after(NOW + 50 * DAY)
              .add_extension(x509.BasicConstraints(False, None), True).sign(key, hashes.SHA256()))
    path = world.private_folder("others") / "signed.pem"
    path.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    before = [world.path("etc", name).read_bytes() for name in ("device-ca.crt", "device-ca.key")]
    with pytest.raises(WorldError, match="not the certificate of an authority"):
        world.admin("ca", "import", path)
    assert [world.path("etc", name).read_bytes() for name in ("device-ca.crt", "device-ca.key")] == before
    assert world.enroll("after-all", "alice")


def test_A3_another_authority_is_trusted_but_each_device_must_be_adopted(new_world):
    world = new_world(settings=["adopt_unknown = yes"])
    certificate, key, path = make_authority(world, "Enterprise devices")
    pair = issue(world, "enterprise", issuer=(certificate, key), subject="pc-4711")
    assert_shut(world, curl_with(world, *pair), "not_trusted")
    world.admin("ca", "trust", path)
    assert_shut(world, curl_with(world, *pair), "device_unknown")
    assert_shut(world, curl_with(world, *pair), "device_unknown")
    assert json.loads(world.admin("status", "--json"))["unknown_devices_pending"] == 1
    assert query(world, "SELECT count(*) FROM audit WHERE event = 'device_pending'") == [(1,)], "told once"
    (pending,) = json.loads(world.admin("device", "pending", "--json"))["pending"]
    assert (pending["name"], pending["issuer"]) == ("pc-4711", "Enterprise devices")
    world.admin("device", "adopt", "pc-4711", "--user", "alice", "--pending", pending["fingerprint"][:12])
    assert '"status":' in curl_with(world, *pair).stdout
    assert json.loads(world.admin("device", "pending", "--json"))["pending"] == []
    with pytest.raises(WorldError, match="registered already"):
        world.admin("device", "adopt", "again", "--user", "alice", "--cert", pair[0])
    wrong = issue(world, "server-like", issuer=(certificate, key), purpose=x509.oid.ExtendedKeyUsageOID.SERVER_AUTH)
    with pytest.raises(WorldError, match="cannot be adopted"):
        world.admin("device", "adopt", "server-like", "--user", "alice", "--cert", wrong[0])
    other = issue(world, "by-file", issuer=(certificate, key), subject="pc-4712")
    world.admin("device", "adopt", "pc-4712", "--user", "bob", "--cert", other[0])
    assert '"status":' in curl_with(world, *other).stdout
    world.admin("device", "revoke", "pc-4711")
    assert_shut(world, curl_with(world, *pair), "device_revoked")


def test_C2_an_adopted_device_renews_where_it_came_from(new_world):
    """Its next certificate is the enterprise's too, adopted for the same device; ours would escape their revocation."""
    world = new_world()
    certificate, key, path = make_authority(world, "Enterprise devices")
    world.admin("ca", "trust", path)
    first, second = (issue(world, f"pc-{n}", issuer=(certificate, key), subject="pc-4711") for n in (1, 2))
    with pytest.raises(WorldError, match="at least one user"):
        world.admin("device", "adopt", "pc-4711", "--cert", first[0])
    world.admin("device", "adopt", "pc-4711", "--user", "alice", "--cert", first[0])
    status, body = curl(world, EST + "simplereenroll", "--cert", first[0], "--key", first[1], port=world.port,
                        data=base64.encodebytes(request_for(ec.generate_private_key(ec.SECP256R1()))))
    assert (status, code_of(body)) == (403, "not_issued_here")
    world.admin("device", "adopt", "pc-4711", "--cert", second[0])
    assert '"status":' in curl_with(world, *first).stdout, "until the next one is used"
    assert '"status":' in curl_with(world, *second).stdout
    assert_shut(world, curl_with(world, *first), "certificate_superseded")
    shown = json.loads(world.admin("device", "show", "pc-4711", "--json"))
    assert (shown["users"], shown["renewals"]) == (["alice"], 1)
    with pytest.raises(WorldError, match="already"):
        world.admin("device", "adopt", "pc-4711", "--cert", second[0])
    world.admin("device", "revoke", "pc-4711")
    third = issue(world, "pc-3", issuer=(certificate, key), subject="pc-4711")
    with pytest.raises(WorldError, match="stays so"):
        world.admin("device", "adopt", "pc-4711", "--cert", third[0])


def test_without_adopt_unknown_nobody_is_kept(world):
    pair = issue(world, "unknown")
    curl_with(world, *pair)
    assert json.loads(world.admin("device", "pending", "--json"))["pending"] == []


def revoked(world, *options):
    done = subprocess.run(["curl", "-sS", *options, "--cacert", world.path("etc", "server-ca.crt"),
                           f"https://localhost:{world.enroll_port}/crl"], capture_output=True, check=True)
    crl = x509.load_der_x509_crl(done.stdout)
    authority_certificate = x509.load_pem_x509_certificate(world.path("etc", "device-ca.crt").read_bytes())
    assert crl.is_signature_valid(authority_certificate.public_key())
    assert crl.next_update > crl.last_update
    return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number, {entry.serial_number for entry in crl}


def test_the_list_of_revoked_certificates_is_published(new_world):
    world = new_world()
    number, serials = revoked(world)
    assert serials == set()
    serial = x509.load_pem_x509_certificate(world.laptops["bob-laptop"].certificate.read_bytes()).serial_number
    world.admin("device", "revoke", "bob-laptop")
    later, serials = revoked(world)
    assert serials == {serial} and later > number
    old = x509.load_pem_x509_certificate(world.laptops["alice-laptop"].certificate.read_bytes()).serial_number
    folder = world.laptops["alice-laptop"].folder
    assert sallyport(world, folder, "renew").returncode == 0
    assert sallyport(world, folder, "status").returncode == 4
    assert revoked(world)[1] == {serial, old}, "what was superseded is on it too"


def fill_with_revoked(world, count):
    """So many certificates of alice's laptop were revoked and have not expired."""
    own = next(a["fingerprint"] for a in authorities(world) if a["role"] == "own")
    device = query(world, "SELECT id FROM device WHERE name = 'alice-laptop'")[0][0]
    world.stop_process("gateway")
    with sqlite3.connect(world.database) as database:
        database.execute("DELETE FROM certificate WHERE fingerprint LIKE 'feed%'")
        database.executemany(
            "INSERT INTO certificate (fingerprint, serial, device, generation, public_key, key_kind, not_before, not_after, state,"
            " issued_at, first_used_at, authority) VALUES (?, ?, ?, ?, 'aa', 'ec-p256', 1, 4000000000000, 'revoked', 1, 1, ?)",
            ((f"feed{n:060x}", f"4{n:031x}", device, n + 10, own) for n in range(count)))
    database.close()
    world.start_gateway()


def test_the_list_of_a_fleet_is_published_whole(new_world):
    world = new_world()
    fill_with_revoked(world, 20000)
    for version in ("--http1.1", "--http2"):
        assert revoked(world, version)[1] == {int(f"4{n:031x}", 16) for n in range(20000)}
    assert json.loads(world.admin("status", "--json"))["revocations_trouble"] == ""
    fill_with_revoked(world, 24001)
    done = subprocess.run(["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", world.path("etc", "server-ca.crt"),
                           f"https://localhost:{world.enroll_port}/crl"], capture_output=True, text=True, check=True)
    assert done.stdout == "503", "no list is better than one that is not whole"
    assert "24000" in json.loads(world.admin("status", "--json"))["revocations_trouble"]


def connect_a_stranger(world, window):
    context = clients.tls_context(world)
    raw = socket.create_connection(("127.0.0.1", world.enroll_port), 20)
    return clients.Http2(world, window=window, peer=context.wrap_socket(raw, server_hostname="localhost"))


def ask_for_list(world, h2, path="/crl"):
    return h2.request([(":method", "GET"), (":scheme", "https"), (":path", path), (":authority", f"localhost:{world.enroll_port}")])


def test_a_stranger_holds_one_list_and_few_streams(new_world):
    """Each list is a megabyte of the worker's memory until it is taken."""
    world = new_world()
    with connect_a_stranger(world, 0) as h2:
        first, second = ask_for_list(world, h2), ask_for_list(world, h2)
        assert h2.wait(lambda: h2.streams[first].status and h2.streams[second].status)
        assert (h2.streams[first].status, h2.streams[second].status) == (200, 429)
        h2.h2.increment_flow_control_window(1 << 16, first)
        h2.h2.increment_flow_control_window(1 << 16, second)
        h2.flush()
        assert h2.wait(lambda: h2.streams[first].ended and h2.streams[second].ended)
        assert h2.streams[second].problem["code"] == "too_many"
        x509.load_der_x509_crl(bytes(h2.streams[first].data))
        # Whoever has taken it may ask anew.
        third = ask_for_list(world, h2)
        assert h2.wait(lambda: h2.streams[third].status == 200)
        assert h2.h2.remote_settings.max_concurrent_streams == 8
        # Who knows that and opens a ninth breaks the protocol; this library would not, if it were not told otherwise.
        h2.h2.remote_settings[SettingCodes.MAX_CONCURRENT_STREAMS] = 100
        h2.h2.remote_settings.acknowledge()
        waiting = [ask_for_list(world, h2, "/.well-known/est/cacerts") for _ in range(7)]
        assert h2.wait(lambda: all(h2.streams[n].status == 200 for n in waiting))
        ask_for_list(world, h2, "/.well-known/est/cacerts")
        assert h2.wait(lambda: h2.closed) and h2.goaway == ErrorCodes.PROTOCOL_ERROR


def test_a_list_holds_what_its_authority_has_issued(new_world):
    world = new_world()
    world.admin("device", "revoke", "bob-laptop")
    assert len(revoked(world)[1]) == 1
    world.admin("ca", "rotate")
    assert revoked(world)[1] == set(), "the serial number of another authority's certificate means nothing on it"
    laptop = world.enroll("later", "bob")
    world.admin("device", "revoke", "later")
    assert revoked(world)[1] == {x509.load_pem_x509_certificate(laptop.certificate.read_bytes()).serial_number}
