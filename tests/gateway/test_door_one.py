"""Door one: which device is this? Promises A1 to A6, tried with certificates of every wrong kind."""
import datetime
import json
import os
import pathlib
import shutil
import sqlite3
import ssl
import subprocess
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

import api
import clients
import thief

NOW = datetime.datetime.utcnow()
DAY = datetime.timedelta(days=1)


def authority(world):
    certificate = x509.load_pem_x509_certificate(world.path("etc", "device-ca.crt").read_bytes())
    key = serialization.load_pem_private_key(world.path("etc", "device-ca.key").read_bytes(), None)
    return certificate, key


def other_authority_of_the_same_name(world):
    """Same subject and same key identifier, another key."""
    real, _ = authority(world)
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (x509.CertificateBuilder().subject_name(real.subject).issuer_name(real.subject)
               .public_key(key.public_key()).serial_number(real.serial_number)
               .not_valid_before(NOW - DAY).not_valid_after(NOW + 100 * DAY))
    for extension in real.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    return builder.sign(key, hashes.SHA256()), key


def issue(world, name, issuer=None, begin=NOW - DAY, end=NOW + 10 * DAY, purpose=ExtendedKeyUsageOID.CLIENT_AUTH,
          key=None, digest=None, names=(), is_authority=False, subject="stranger"):
    """A certificate and key in files, made behind the gateway's back."""
    issuer_certificate, issuer_key = issuer or authority(world)
    key = key or ec.generate_private_key(ec.SECP256R1())
    builder = (x509.CertificateBuilder()
               .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
               .issuer_name(issuer_certificate.subject).public_key(key.public_key())
               .serial_number(x509.random_serial_number()).not_valid_before(begin).not_valid_after(end)
               .add_extension(x509.BasicConstraints(is_authority, None), True))
    if purpose:
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), False)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), False)
    folder = world.private_folder("strangers")
    certificate_path, key_path = folder / f"{name}.crt", folder / f"{name}.key"
    certificate = builder.sign(issuer_key, digest or hashes.SHA256())
    certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                           serialization.NoEncryption()))
    return certificate_path, key_path


def curl_with(world, certificate=None, key=None, *extra, path="/v1/session"):
    command = ["curl", "-sS", "--max-time", "20", "--cacert", str(world.path("etc", "server-ca.crt"))]
    if certificate:
        command += ["--cert", str(certificate), "--key", str(key)]
    return subprocess.run([*command, *extra, world.url + path], text=True, capture_output=True, check=False)


def codes(world):
    with sqlite3.connect(f"file:{world.database}?mode=ro", uri=True) as database:
        return [row[0] for row in database.execute("SELECT code FROM audit ORDER BY sequence")]


def assert_shut(world, done, code):
    """No byte of the API, and the reason in the audit log."""
    assert done.stdout == "" and done.returncode != 0, done.stdout
    assert codes(world)[-1] == code


def test_A1_no_certificate_no_byte(world):
    assert_shut(world, curl_with(world), "no_certificate")


def test_A1_registered_device_is_served_on_both_protocols(world):
    device = world.laptops["alice-laptop"]
    for protocol in ("--http1.1", "--http2"):
        done = curl_with(world, device.certificate, device.key, protocol, "-o", "/dev/null", "-w",
                         "%{http_code} %{http_version}")
        assert done.stdout == ("401 1.1" if protocol == "--http1.1" else "401 2"), done.stderr


def test_A1_other_authority_of_the_same_name(world):
    pair = issue(world, "forged", issuer=other_authority_of_the_same_name(world))
    assert_shut(world, curl_with(world, *pair), "not_trusted")


def test_A1_expired_certificate(world):
    pair = issue(world, "expired", begin=NOW - 3 * DAY, end=NOW - DAY)
    assert_shut(world, curl_with(world, *pair), "certificate_expired")


def test_A1_certificate_of_tomorrow(world):
    pair = issue(world, "tomorrow", begin=NOW + DAY)
    assert_shut(world, curl_with(world, *pair), "not_yet_valid")


@pytest.mark.parametrize("purpose", [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE, None],
                         ids=["serverAuth", "any", "none"])
def test_A1_wrong_purpose(world, purpose):
    pair = issue(world, "purpose", purpose=purpose)
    assert_shut(world, curl_with(world, *pair), "wrong_purpose")


def test_A1_stolen_certificate_without_its_key(world):
    """alice's certificate with another key: the handshake's own proof fails."""
    alice = world.laptops["alice-laptop"]
    _, key = issue(world, "thief")
    assert thief.ask(world, alice.certificate, key) == (b"", thief.DECRYPT_ERROR)
    assert codes(world)[-1] == "proof_failed"
    answer, alert = thief.ask(world, alice.certificate, alice.key)
    assert answer.startswith(b"HTTP/1.1 401 ") and alert is None, "the same client with the right key"


def begun_conversations(world):
    log = world.path("pam", "begun")
    return log.read_text().count("begun") if log.exists() else 0


def test_A1_stolen_password_and_code_on_a_laptop_that_never_enrolled(new_world):
    """Real credentials: no byte, no PAM stack that hears them, no session. Then the same ones on the laptop that did enrol."""
    world = new_world(laptops=("alice",))
    module = next(pathlib.Path(os.environ["SALLYPORT_BUILD"]).rglob("pam_awkward.so"))
    shutil.copy(module, world.path("etc", "pam.d", module.name))
    stack = world.path("etc", "pam.d", "sallyport")
    stack.write_text(f"auth required {stack.parent}/{module.name} [append={world.path('pam')}/begun:begun]\n" + stack.read_text())
    alice = world.users["alice"]
    code = alice.code()
    stranger = ec.generate_private_key(ec.SECP256R1())
    himself = issue(world, "himself", issuer=(SimpleNamespace(subject=x509.Name([])), stranger), key=stranger, subject="alice-laptop")
    forged = issue(world, "forged", issuer=other_authority_of_the_same_name(world), subject="alice-laptop")
    for pair, reason in (((), "no_certificate"), (himself, "not_trusted"), (forged, "not_trusted")):
        for body in ({"user": "alice"}, {"user": "alice", "answers": [alice.password, code]}):
            for protocol in ("--http1.1", "--http2"):
                assert_shut(world, curl_with(world, *pair or (None, None), protocol, "-d", json.dumps(body),
                                             path="/v1/login"), reason)
    with sqlite3.connect(f"file:{world.database}?mode=ro", uri=True) as database:
        assert database.execute("SELECT count(*) FROM session").fetchone() == (0,)
        assert database.execute("SELECT count(*) FROM audit WHERE event = 'login'").fetchone() == (0,)
    assert begun_conversations(world) == 0
    assert api.login(world, code=code).body["state"] == "granted"
    assert begun_conversations(world) == 1


def test_A2_A3_certificate_that_chains_but_is_not_registered(world):
    pair = issue(world, "unregistered", subject="alice-laptop")
    assert_shut(world, curl_with(world, *pair), "device_unknown")


def test_A2_chain_member_identifies_nobody(world):
    """A stranger's leaf that brings alice's registered certificate along as a chain member."""
    certificate, key = issue(world, "rider", subject="alice-laptop")
    certificate.write_bytes(certificate.read_bytes() + world.laptops["alice-laptop"].certificate.read_bytes())
    assert_shut(world, curl_with(world, certificate, key), "device_unknown")


def test_A3_locked_and_unlocked_device(world):
    laptop = world.enroll("lockable", "alice")
    assert '"status":' in curl_with(world, laptop.certificate, laptop.key).stdout
    world.admin("device", "lock", "lockable")
    assert_shut(world, curl_with(world, laptop.certificate, laptop.key), "device_locked")
    world.admin("device", "unlock", "lockable")
    assert '"status":' in curl_with(world, laptop.certificate, laptop.key).stdout


def test_A3_revoked_device_stays_revoked(world):
    laptop = world.enroll("revocable", "alice")
    world.admin("device", "revoke", "revocable")
    assert_shut(world, curl_with(world, laptop.certificate, laptop.key), "device_revoked")
    done = subprocess.run([world.program("sallyport-admin"), "--socket", str(world.admin_socket), "device", "unlock",
                           "revocable"], text=True, capture_output=True, check=False)
    assert done.returncode == 1 and "revoked" in done.stderr
    assert_shut(world, curl_with(world, laptop.certificate, laptop.key), "device_revoked")


def test_A5_no_tickets_no_resumption(world):
    with clients.connect(world, alpn=("http/1.1",)) as peer:
        peer.sendall(b"GET /v1/session HTTP/1.1\r\nHost: localhost\r\n\r\n")
        clients.read_head(peer)
        assert peer.session is None or not peer.session.has_ticket
    device = world.laptops["alice-laptop"]
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{world.port}", "-cert", str(device.certificate),
                           "-key", str(device.key), "-CAfile", str(world.path("etc", "server-ca.crt")), "-tls1_3",
                           "-reconnect"], input="GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", text=True,
                          capture_output=True, check=False, timeout=30)
    assert "Reused" not in done.stdout and "New Session Ticket" not in done.stdout


def last_refusal(world):
    with sqlite3.connect(f"file:{world.database}?mode=ro", uri=True) as database:
        return database.execute("SELECT code, detail FROM audit ORDER BY sequence DESC LIMIT 1").fetchone()


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1", "TLSv1_2"])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_A6_only_tls_1_3(world, version):
    context = clients.tls_context(world, "alice-laptop")
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, version)
    with pytest.raises(ssl.SSLError) as refused:
        clients.connect(world, context=context)
    assert refused.value.reason == "TLSV1_ALERT_PROTOCOL_VERSION"
    code, detail = last_refusal(world)
    assert code == "handshake_failed" and "version" in detail, detail


@pytest.fixture(scope="module")
def rsa_authority(world):
    """A second authority that is trusted, with an RSA key: EC has no signatures with MD5."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "RSA authority")])
    certificate = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
                   .serial_number(x509.random_serial_number()).not_valid_before(NOW - DAY).not_valid_after(NOW + 100 * DAY)
                   .add_extension(x509.BasicConstraints(True, 0), True).sign(key, hashes.SHA256()))
    with world.path("etc", "device-ca.crt").open("ab") as authorities:
        authorities.write(certificate.public_bytes(serialization.Encoding.PEM))
    world.admin("reload")
    return certificate, key


@pytest.mark.filterwarnings("ignore:.* signatures are deprecated")
@pytest.mark.parametrize("weakness, options", [("rsa-1024", {"key": rsa.generate_private_key(65537, 1024)}),
                                               ("sha1", {"digest": hashes.SHA1()}), ("md5", {"digest": hashes.MD5()})])
def test_A6_weak_keys_and_digests(world, rsa_authority, weakness, options):
    """By an authority's own hand, and all the same refused, before anybody asks whether it is registered."""
    good = issue(world, "strong", issuer=rsa_authority)
    assert thief.ask(world, *good)[0] == b"" and last_refusal(world)[0] == "device_unknown"
    pair = issue(world, weakness, issuer=rsa_authority, **options)
    assert thief.ask(world, *pair) == (b"", thief.BAD_CERTIFICATE)
    assert last_refusal(world)[0] == "weak_key"


@pytest.mark.parametrize("names, word", [(["*.example.com"], "wildcard"), (["one", "two"], "several")])
def test_A6_certificates_for_more_than_one_device(world, names, word):
    pair = issue(world, "many", names=names)
    assert_shut(world, curl_with(world, *pair), "wrong_purpose")
    assert word in last_refusal(world)[1]


def test_a_foreign_application_protocol_is_refused(world):
    with pytest.raises(ssl.SSLError) as refused:
        clients.connect(world, alpn=("spdy/1",))
    assert "no application protocol" in str(refused.value)
    assert last_refusal(world)[0] == "handshake_failed"


def test_a_client_that_is_not_tls_disturbs_nobody(world):
    for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"\0" * 70000, bytes(range(256)) * 40, b""):
        raw = clients.socket.create_connection(("127.0.0.1", world.port), 10)
        try:
            raw.sendall(garbage)
            raw.shutdown(clients.socket.SHUT_WR)
            raw.settimeout(15)
            while raw.recv(65536):
                pass
        except OSError:
            pass
        raw.close()
    assert api.call(world, "GET", "/v1/session").status == 401
