"""F: from an invitation to a certificate: one line, one key, one winner; and nothing else at that door."""
import base64
import concurrent.futures
import contextlib
import datetime
import json
import os
import pathlib
import random
import re
import signal
import sqlite3
import subprocess
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

import elsewhere
from world import WorldError, wait_until

EST = "/.well-known/est/"


def query(world, text, *arguments):
    with sqlite3.connect(f"file:{world.database}?mode=ro", uri=True) as database:
        return database.execute(text, arguments).fetchall()


def enroll(world, name, line, *options, folder=None):
    folder = folder or world.private_folder("laptops", name)
    return subprocess.run([world.program("sallyport"), "enroll", line, *options], text=True, capture_output=True,
                          env=world.laptop_environment(folder), timeout=60, check=False)


def parts(line):
    """gateway, enrolment, pin, id, secret, until"""
    return line.split("/")[1:]


def change(line, index, value):
    words = line.split("/")
    words[1 + index] = value
    return "/".join(words)


def certificate_of(folder):
    return x509.load_pem_x509_certificate((folder / "sallyport" / "device.pem").read_bytes())


def request_for(key, name="laptop", digest=hashes.SHA256()):
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, digest).public_bytes(
        serialization.Encoding.DER)


def curl(world, path, *options, port=None, data=None):
    command = ["curl", "-sS", "--max-time", "20", "--cacert", str(world.path("etc", "server-ca.crt")),
               "-w", "\n%{http_code}", *options, f"https://localhost:{port or world.enroll_port}{path}"]
    if data is not None:
        command += ["-H", "Content-Type: application/pkcs10", "--data-binary", "@-"]
    done = subprocess.run(command, input=data or b"", capture_output=True, check=False)
    body, _, status = done.stdout.rpartition(b"\n")
    return int(status or 0), body


def simpleenroll(world, line, der, secret=None):
    _, _, _, identity, right, _ = parts(line)
    return curl(world, EST + "simpleenroll", "-u", f"{identity}:{secret or right}", data=base64.encodebytes(der))


def certs_only(body):
    done = subprocess.run(["openssl", "pkcs7", "-inform", "DER", "-print_certs"], input=base64.b64decode(body),
                          capture_output=True, check=True)
    end = b"-----END CERTIFICATE-----"
    return [x509.load_pem_x509_certificate(piece + end) for piece in done.stdout.split(end)[:-1]]


def code_of(body):
    return json.loads(body)["code"]


# ---- the one line ----------------------------------------------------------------------------------------


def test_F3_one_line_makes_a_device(world):
    folder = world.private_folder("laptops", "one-line")
    line = world.invite("one-line", "alice")
    done = enroll(world, "one-line", line)
    assert done.returncode == 0, done.stderr
    code = re.search("Confirmation code of this device: (....-....)", done.stdout).group(1)
    (used,) = [i for i in json.loads(world.admin("device", "invitations", "--json"))["invitations"] if i["name"] == "one-line"]
    assert (used["state"], used["confirmation"]) == ("used", code), "the same at both ends, also where nobody approves"
    identity = folder / "sallyport" / "device.pem"
    assert identity.stat().st_mode & 0o777 == 0o600
    assert not list((folder / "sallyport").glob("enroll-*")), "the waiting key is gone"
    status = subprocess.run([world.program("sallyport"), "status"], text=True, capture_output=True,
                            env=world.laptop_environment(folder), check=False)
    assert status.returncode == 4 and "not logged in" in status.stderr, "the device passes door one with that alone"
    shown = json.loads(world.admin("device", "show", "one-line", "--json"))
    assert (shown["users"], shown["key_kind"], shown["key_store"]) == (["alice"], "ec-p256", "software")


def test_F3_only_a_hash_of_the_secret_is_kept(world):
    line = world.invite("hashed", "alice")
    secret = parts(line)[4]
    enroll(world, "hashed", line)
    key = (world.path("laptops", "hashed") / "sallyport" / "device.pem").read_text().splitlines()[1]
    for text in (secret, key):
        assert text.encode() not in b"".join(p.read_bytes() for p in world.path("state").iterdir())
        assert text not in world.path("log", "gateway.log").read_text()


def test_F1_the_secret_leaves_the_command_line(new_world):
    """Whoever lists processes while the laptop waits for its approval reads no invitation, there or at the gateway."""
    world = new_world(settings=["enroll_needs_approval = yes"], laptops=())
    line = world.invite("seen", "alice")
    folder = world.private_folder("laptops", "seen")
    with subprocess.Popen([world.program("sallyport"), "enroll", line], stdout=subprocess.PIPE, text=True,
                          env=world.laptop_environment(folder)) as process:
        try:
            assert process.stdout.readline().startswith("Confirmation code")
            with open(f"/proc/{process.pid}/cmdline", "rb") as file:
                words = file.read()
            assert b"enroll" in words and parts(line)[4].encode() not in words
            wait_until(lambda: query(world, "SELECT 1 FROM invitation WHERE state = 'pending'"), "the laptop waits")
            for entry in pathlib.Path("/proc").glob("[0-9]*"):
                for name in ("cmdline", "environ"):
                    with contextlib.suppress(OSError):
                        assert parts(line)[4].encode() not in (entry / name).read_bytes(), f"{entry}/{name}"
        finally:
            process.kill()


def test_F3_a_line_is_good_once(world):
    line = world.invite("once", "alice")
    assert enroll(world, "once", line).returncode == 0
    second = enroll(world, "once-thief", line)
    assert second.returncode != 0 and "invitation_used" in second.stderr
    assert query(world, "SELECT count(*) FROM certificate JOIN device ON device.id = device WHERE name = 'once'") == [(1,)]


def test_F3_two_laptops_at_the_same_instant_one_wins(world):
    line = world.invite("contested", "alice")
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda n: enroll(world, f"contested-{n}", line), range(6)))
    assert sorted(d.returncode == 0 for d in done) == [False] * 5 + [True]
    assert all("invitation_used" in d.stderr for d in done if d.returncode)
    assert query(world, "SELECT count(*) FROM device WHERE name = 'contested'") == [(1,)]


def test_F3_another_pin_and_nothing_is_sent(world):
    """Somebody else answers at the gateway's address: he sees one question that says nothing, and no more."""
    with elsewhere.Enroller(world.private_folder("impostor")) as impostor:
        line = change(change(world.invite("pinned", "alice"), 1, f"localhost:{impostor.port}"), 2, "00" * 32)
        done = enroll(world, "pinned", line)
        assert done.returncode == 6 and "not the gateway of this invitation" in done.stderr
        assert impostor.requests == [("GET", EST + "cacerts", b"")]
        assert not any(name in (b"authorization", b"cookie") for name in impostor.header_names)
        assert parts(line)[4].encode() not in impostor.bytes and parts(line)[3].encode() not in impostor.bytes
    assert query(world, "SELECT state, attempts FROM invitation WHERE device_name = 'pinned'") == [("open", 0)]


def test_F3_wrong_secrets_use_the_invitation_up(world):
    line = world.invite("guessed", "alice")
    der = request_for(ec.generate_private_key(ec.SECP256R1()))
    for _ in range(5):
        status, body = simpleenroll(world, line, der, secret="0" * 32)
        assert (status, code_of(body)) == (401, "invitation_invalid")
    status, body = simpleenroll(world, line, der)
    assert (status, code_of(body)) == (401, "invitation_invalid"), "the right one comes too late"
    assert query(world, "SELECT state, attempts FROM invitation WHERE device_name = 'guessed'") == [("withdrawn", 5)]


def test_F3_unknown_expired_and_wrong_look_the_same(world):
    line = world.invite("alike", "alice")
    der = request_for(ec.generate_private_key(ec.SECP256R1()))
    wrong = simpleenroll(world, line, der, secret="1" * 32)
    unknown = simpleenroll(world, change(line, 3, "f" * 16), der)
    sentence = json.loads(wrong[1])["detail"]
    assert wrong[0] == unknown[0] == 401 and sentence == json.loads(unknown[1])["detail"]


def test_F3_an_expired_line_is_refused_on_the_laptop_and_at_the_gateway(new_world):
    world = new_world()
    line = world.invite("late", "alice")
    assert "good until" in enroll(world, "late", change(line, 5, "1600000000")).stderr
    world.stop_process("gateway")
    with sqlite3.connect(world.database) as database:
        database.execute("UPDATE invitation SET expires_at = 1600000000000 WHERE device_name = 'late'")
    database.close()
    world.start_gateway()
    der = request_for(ec.generate_private_key(ec.SECP256R1()))
    status, body = simpleenroll(world, line, der)
    assert (status, code_of(body)) == (401, "invitation_invalid")
    unknown = json.loads(simpleenroll(world, change(line, 3, "f" * 16), der)[1])
    assert {**json.loads(body), "request_id": ""} == {**unknown, "request_id": ""}, "nobody learns that it was there"


@pytest.mark.parametrize("line", ["", "hello", "sallyport:1/", "sallyport:2/a/b/c/d/e/f", "sallyport:1/a/b/c/d/e/f",
                                  "sallyport:1/gw:443/gw:1/xyz/id/secret/1", "sallyport:1/gw:443/gw:0/-/id/s/1",
                                  "sallyport:1/gw:443/gw:8443/-/i d/s/1", "sallyport:1/gw:443/gw:8443/-/id/s/soon"])
def test_a_line_that_is_none_gets_one_sentence(world, line):
    done = enroll(world, "bad-line", line)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and done.stdout == ""


def test_a_line_from_standard_input(world):
    folder = world.private_folder("laptops", "piped")
    done = subprocess.run([world.program("sallyport"), "enroll", "-"], input=world.invite("piped", "alice") + "\n",
                          text=True, capture_output=True, env=world.laptop_environment(folder), check=False)
    assert done.returncode == 0, done.stderr


def test_a_laptop_of_another_gateway_is_left_alone(world):
    folder = world.private_folder("laptops", "taken")
    (folder / "sallyport").mkdir(mode=0o700)
    profile = folder / "sallyport" / "profile"
    profile.write_text("gateway = https://gw.other.example\n")
    profile.chmod(0o600)
    done = enroll(world, "taken", world.invite("taken", "alice"))
    assert done.returncode == 2 and "set up for https://gw.other.example already" in done.stderr
    assert profile.read_text() == "gateway = https://gw.other.example\n"


# ---- a key that cannot leave -------------------------------------------------------------------------------


def make_token(folder):
    """A token of softhsm2 with a P-256 key in it; its URL, and the environment that finds it."""
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\n")
    (folder / "pin").write_text("123456")
    environment = dict(os.environ, SOFTHSM2_CONF=str(folder / "softhsm2.conf"))
    for command in (["softhsm2-util", "--init-token", "--free", "--label", "laptop", "--pin", "123456", "--so-pin", "123456"],
                    ["p11tool", "--login", "--set-pin", "123456", "--generate-privkey", "ecdsa", "--curve", "secp256r1",
                     "--label", "device", "pkcs11:token=laptop"]):
        subprocess.run(command, env=environment, check=True, capture_output=True)
    return f"pkcs11:token=laptop;object=device;type=private?pin-source=file:{folder}/pin", environment["SOFTHSM2_CONF"]


def test_F3_a_key_in_a_token_stays_there(world, tmp_path):
    url, conf = make_token(tmp_path)
    lives_in_token(world, tmp_path, "in-token", url, {"SOFTHSM2_CONF": conf}, "pkcs11", lambda: None)


def test_F3_a_key_behind_a_tpm_stays_there(world, tmp_path, chip):
    """The key is made there by the enrolment itself. Without a resource manager one process at a time uses the TPM, so the
    laptop is switched off in between."""
    (tmp_path / "pin").write_text(chip.pin)
    url = f"{chip.url('device')}?pin-source=file:{tmp_path}/pin"
    lives_in_token(world, tmp_path, "behind-tpm", url, chip.variables, "tpm", chip.restart)


def lives_in_token(world, tmp_path, name, url, variables, store, between):
    folder = world.private_folder("laptops", name)
    environment = dict(world.laptop_environment(folder), **variables)

    def sallyport(*arguments, **options):
        between()
        try:
            return subprocess.run([world.program("sallyport"), *arguments], env=environment, text=True, capture_output=True,
                                  timeout=60, check=False, **options)
        finally:
            if arguments[0] == "status" or "login" in arguments:
                subprocess.run([world.program("sallyport"), "down"], env=environment, capture_output=True, timeout=60, check=False)

    done = sallyport("--key", url, "enroll", world.invite(name, "bob"))
    assert done.returncode == 0, done.stderr
    assert "PRIVATE KEY" not in (folder / "sallyport" / "device.pem").read_text()
    before = certificate_of(folder)
    status = sallyport("status")
    assert status.returncode == 4, status.stderr
    assert json.loads(world.admin("device", "show", name, "--json"))["key_store"] == store
    done = sallyport("renew")
    assert done.returncode == 0, done.stderr
    after = certificate_of(folder)
    assert before.public_key().public_numbers() == after.public_key().public_numbers() and before.serial_number != after.serial_number
    bob = world.users["bob"]
    answers, ours = os.pipe()
    os.write(ours, f"{bob.password}\n{bob.code()}\n".encode())
    os.close(ours)
    done = sallyport("--answers-from", str(answers), "login", "bob", pass_fds=[answers])
    os.close(answers)
    assert done.returncode == 0, done.stderr
    assert sallyport("status").returncode == 0
    assert "cannot leave it" in sallyport("export-p12", str(tmp_path / "x.p12")).stderr


def test_F3_a_key_that_is_not_there_is_made_in_the_token(world, tmp_path):
    url, conf = make_token(tmp_path)
    environment = dict(world.laptop_environment(world.private_folder("laptops", "fresh-token")), SOFTHSM2_CONF=conf)

    def sallyport(key, line):
        return subprocess.run([world.program("sallyport"), "--key", key, "enroll", line], env=environment, text=True,
                              capture_output=True, timeout=60, check=False)

    line = world.invite("fresh-token", "carol")
    done = sallyport(url.replace("object=device;", ""). replace("token=laptop", "token=laptop;id=%99"), line)
    assert done.returncode == 2 and "add ;object=NAME" in done.stderr, done.stderr
    done = sallyport(url.replace("token=laptop", "token=nowhere"), line)
    assert done.returncode == 2 and "the token's key cannot be used" in done.stderr.splitlines()[-1], "other modules talk, too"
    done = sallyport(url.replace("object=device", "object=fresh"), line)
    assert done.returncode == 0, done.stderr
    listed = subprocess.run(["p11tool", "--login", "--set-pin", "123456", "--list-privkeys", "pkcs11:token=laptop"], text=True,
                            capture_output=True, env=environment, check=True).stdout
    assert "Label: fresh" in listed and "Label: device" in listed
    assert json.loads(world.admin("device", "show", "fresh-token", "--json"))["key_store"] == "pkcs11"


# ---- what the certificate says ---------------------------------------------------------------------------


def test_F2_the_certificate_is_of_the_gateways_making(world):
    line = world.invite("profile", "alice", )
    key = ec.generate_private_key(ec.SECP256R1())
    status, body = simpleenroll(world, line, request_for(key, "somebody-else"))
    assert status == 200
    (certificate,) = certs_only(body)
    assert certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "profile"
    identity = json.loads(world.admin("device", "show", "profile", "--json"))["id"]
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [n.value for n in names] == [f"sallyport:device:{identity}"]
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    life = certificate.not_valid_after - certificate.not_valid_before
    assert life.days == 30 and life.seconds == 300
    assert 120 < certificate.serial_number.bit_length() <= 128


def bad_self_signature():
    der = bytearray(request_for(ec.generate_private_key(ec.SECP256R1())))
    der[-1] ^= 1
    return bytes(der)


@pytest.mark.parametrize("der, status, words", [
    (b"garbage", 400, "not a certificate request"), (bad_self_signature(), 400, "not signed by its own key"),
    (request_for(rsa.generate_private_key(65537, 1024)), 400, "1024"), (b"\x30\x82" + os.urandom(65534), 413, "64 KiB"),
    (b"", 400, "not base64"), (request_for(ec.generate_private_key(ec.SECP256R1()))[:-20], 400, "not a certificate request")],
    ids=["garbage", "bad self-signature", "RSA 1024", "64 KiB", "empty", "cut"])
def test_F2_a_request_that_is_none_gets_one_clear_sentence(world, der, status, words, bad_requests):
    found, body = simpleenroll(world, bad_requests, der)
    answer = json.loads(body)
    assert (found, answer["code"]) == (status, {400: "bad_request", 413: "too_large"}[status])
    assert words in answer["detail"] and answer["detail"].endswith(".") and "\n" not in answer["detail"]
    assert query(world, "SELECT count(*) FROM audit WHERE request_id = ?", answer["request_id"]) == [(1,)]


@pytest.fixture(scope="module")
def bad_requests(world):
    return world.invite("bad-requests", "bob")


def named_request(*names, common="laptop"):
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(list(names)), False)
    return builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def test_F2_a_request_in_somebody_elses_name_gets_one_clear_sentence(world):
    identity = json.loads(world.admin("device", "show", "bob-laptop", "--json"))["id"]
    line = world.invite("impostor", "carol")
    for der in (named_request(common="bob-laptop"), named_request(x509.DNSName("bob-laptop")),
                named_request(x509.DNSName("first"), x509.UniformResourceIdentifier(f"sallyport:device:{identity}"))):
        status, body = simpleenroll(world, line, der)
        answer = json.loads(body)
        assert (status, answer["code"]) == (403, "wrong_name") and "another device" in answer["detail"]
        (detail,) = query(world, "SELECT detail FROM audit WHERE request_id = ?", answer["request_id"])
        assert "bob-laptop" in detail[0], "the admin is told whose; the asker is not"
        assert "bob" not in answer["detail"]
    laptop = world.laptops["alice-laptop"]
    status, body = curl(world, EST + "simplereenroll", "--cert", laptop.certificate, "--key", laptop.key, port=world.port,
                        data=base64.encodebytes(named_request(common="bob-laptop")))
    assert (status, code_of(body)) == (403, "wrong_name")
    assert simpleenroll(world, line, named_request(x509.DNSName("impostor"), common="impostor"))[0] == 200


def test_E5_names_that_are_no_text_are_ignored(world):
    """A certificate's names are of the gateway's making: what a request calls itself in bytes that are no text hurts nobody."""
    line = world.invite("no-text", "carol")
    status, body = simpleenroll(world, line, signed_anyway(b"\xff\xfe" * 20))
    assert status == 200, body
    assert certs_only(body)[0].subject.rfc4514_string() == "CN=no-text"
    assert query(world, "SELECT count(*) FROM audit WHERE event = 'breach'") == [(0,)]


def signed_anyway(name):
    """A request whose common name is a UTF8String of these bytes, signed as it is."""
    key = ec.generate_private_key(ec.SECP256R1())
    def element(tag, *parts):
        body = b"".join(parts)
        head = bytes([tag, len(body)]) if len(body) < 128 else bytes([tag, 0x81, len(body)])
        return head + body
    subject = element(0x30, element(0x31, element(0x30, b"\x06\x03\x55\x04\x03", element(0x0c, name))))
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    info = element(0x30, b"\x02\x01\x00", subject, public, b"\xa0\x00")
    signature = key.sign(info, ec.ECDSA(hashes.SHA256()))
    return element(0x30, info, element(0x30, b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"), element(0x03, b"\x00", signature))


def test_F2_a_key_belongs_to_one_device(world):
    key = ec.generate_private_key(ec.SECP256R1())
    assert simpleenroll(world, world.invite("first-owner", "bob"), request_for(key))[0] == 200
    status, body = simpleenroll(world, world.invite("second-owner", "bob"), request_for(key))
    assert (status, code_of(body)) == (409, "key_in_use")


# ---- standard clients, and nothing else at that door --------------------------------------------------------


def test_est_cacerts_and_simpleenroll_by_curl_and_openssl(world, tmp_path):
    status, body = curl(world, EST + "cacerts")
    assert status == 200
    authorities = {c.subject.rfc4514_string() for c in certs_only(body)}
    assert authorities == {"CN=Sallyport devices of localhost", "CN=Sallyport server authority of localhost"}
    key, request = tmp_path / "est.key", tmp_path / "est.csr"
    subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-nodes", "-subj",
                    "/CN=x", "-keyout", key, "-out", request, "-outform", "DER"], check=True, capture_output=True)
    status, body = simpleenroll(world, world.invite("by-openssl", "bob"), request.read_bytes())
    assert status == 200
    certificate = tmp_path / "est.crt"
    certificate.write_bytes(certs_only(body)[0].public_bytes(serialization.Encoding.PEM))
    # simplereenroll on the main listener, with the certificate that it is about
    status, body = curl(world, EST + "simplereenroll", "--cert", certificate, "--key", key, port=world.port,
                        data=base64.encodebytes(request.read_bytes()))
    assert status == 200
    (renewed,) = certs_only(body)
    assert renewed.serial_number != x509.load_pem_x509_certificate(certificate.read_bytes()).serial_number


@pytest.mark.parametrize("method, path, status", [
    ("POST", "/v1/login", 404), ("GET", "/v1/session", 404), ("GET", "/", 404), ("POST", EST + "simplereenroll", 404),
    ("GET", EST + "simpleenroll", 405), ("POST", EST + "simpleenroll", 401)])
def test_nothing_else_lives_on_the_enrolment_listener(world, method, path, status):
    found, body = curl(world, path, "-X", method, *(["-H", "Content-Type: application/pkcs10"] if method == "POST" else []))
    assert found == status, body


def test_no_tunnel_through_the_enrolment_listener(world):
    done = subprocess.run(["curl", "-sS", "--max-time", "10", "--proxy", f"https://localhost:{world.enroll_port}",
                           "--proxy-cacert", str(world.path("etc", "server-ca.crt")), "-p", f"http://127.0.0.1:{world.web}/"],
                          capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "404" in done.stderr, done.stderr
    assert query(world, "SELECT count(*) FROM tunnel WHERE device NOT IN (SELECT id FROM device)") == [(0,)]


def test_no_enrolment_on_the_main_listener(world):
    laptop = world.laptops["alice-laptop"]
    status, body = curl(world, EST + "simpleenroll", "-X", "POST", "--cert", laptop.certificate, "--key", laptop.key,
                        port=world.port)
    assert (status, code_of(body)) == (404, "not_found")


# ---- approval ----------------------------------------------------------------------------------------------


def test_an_admin_compares_the_code_and_approves(new_world):
    world = new_world(settings=["enroll_needs_approval = yes"], laptops=())
    folder = world.private_folder("laptops", "approved")
    process = subprocess.Popen([world.program("sallyport"), "enroll", world.invite("approved", "alice")], text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=world.laptop_environment(folder))
    shown = wait_until(lambda: [i for i in json.loads(world.admin("device", "invitations", "--json"))["invitations"]
                                if i["state"] == "pending"], "the laptop waits")
    with pytest.raises(WorldError):
        world.admin("device", "show", "approved")
    with pytest.raises(WorldError, match="what waits as \"approved\" is not ABCD-EFGH"):
        world.admin("device", "approve", "approved", "ABCD-EFGH")
    assert shown[0]["confirmation"] in world.admin("device", "approve", "approved", shown[0]["confirmation"])
    output, error = process.communicate(timeout=60)
    assert process.returncode == 0, error
    assert f"Confirmation code of this device: {shown[0]['confirmation']}" in output
    assert len(shown[0]["confirmation"]) == 9


def test_another_key_cannot_step_in_front_of_the_one_that_waits(new_world):
    world = new_world(settings=["enroll_needs_approval = yes"], laptops=())
    line = world.invite("waiting", "alice")
    first, second = (request_for(ec.generate_private_key(ec.SECP256R1())) for _ in range(2))
    assert simpleenroll(world, line, first)[0] == 202
    status, body = simpleenroll(world, line, second)
    assert (status, code_of(body)) == (403, "invitation_used")
    world.admin("device", "approve", "waiting")
    assert simpleenroll(world, line, second)[0] == 403
    assert simpleenroll(world, line, first)[0] == 200


# ---- cut at every step -------------------------------------------------------------------------------------


def test_a_lost_answer_is_given_again_to_the_same_key(world):
    line = world.invite("lost-answer", "bob")
    der = request_for(ec.generate_private_key(ec.SECP256R1()))
    first, second = simpleenroll(world, line, der), simpleenroll(world, line, der)
    assert first[0] == second[0] == 200 and certs_only(first[1]) == certs_only(second[1])


def test_D1_kill_the_laptop_anywhere_and_the_same_line_goes_on(new_world):
    world = new_world(settings=["devices_per_user = 100"], laptops=())
    dice = random.Random(4)
    for number in range(12):
        name, line = f"cut-{number}", world.invite(f"cut-{number}", "alice")
        folder = world.private_folder("laptops", name)
        process = subprocess.Popen([world.program("sallyport"), "enroll", line], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, env=world.laptop_environment(folder))
        time.sleep(dice.uniform(0, 0.15))
        process.kill()
        process.wait()
        done = enroll(world, name, line)
        if done.returncode:  # it had come to its end already
            assert "invitation_used" in done.stderr and certificate_of(folder), done.stderr
        assert query(world, "SELECT count(*) FROM certificate JOIN device ON device.id = device WHERE name = ?", name) == [(1,)]


def test_D1_kill_the_gateway_anywhere_and_the_same_line_goes_on(new_world):
    world = new_world(settings=["devices_per_user = 100"], laptops=())
    dice = random.Random(5)
    for number in range(4):
        name, line = f"cut-{number}", world.invite(f"cut-{number}", "alice")
        folder = world.private_folder("laptops", name)
        process = subprocess.Popen([world.program("sallyport"), "enroll", line], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, env=world.laptop_environment(folder))
        time.sleep(dice.uniform(0.02, 0.12))
        world.gateway.send_signal(signal.SIGKILL)
        world.gateway.wait(10)
        process.wait(30)
        world.start_gateway()
        done = enroll(world, name, line)
        if done.returncode:
            assert "invitation_used" in done.stderr and certificate_of(folder), done.stderr
        assert query(world, "SELECT count(*) FROM certificate JOIN device ON device.id = device WHERE name = ?", name) == [(1,)]


# ---- many, and limits --------------------------------------------------------------------------------------


def test_import_names_the_wrong_line_and_goes_on(new_world, tmp_path):
    world = new_world(laptops=())
    file = tmp_path / "fleet.csv"
    file.write_text("name,users,tags\nfleet1,alice bob,managed\nbad name,alice,\nfleet2,bob\n\n# later\nfleet3,alice,a b,c\n")
    done = subprocess.run([world.program("sallyport-admin"), "--socket", world.admin_socket, "device", "import", file],
                          text=True, capture_output=True, check=False)
    made = dict(line.split(",", 1) for line in done.stdout.splitlines()[1:])
    assert done.returncode == 1 and sorted(made) == ["fleet1", "fleet2"]
    assert f"{file}:3:" in done.stderr and f"{file}:7:" in done.stderr and "2 invitations made, 2 lines refused" in done.stderr
    assert enroll(world, "fleet1", made["fleet1"]).returncode == 0
    shown = json.loads(world.admin("device", "show", "fleet1", "--json"))
    assert (shown["users"], shown["tags"]) == (["alice", "bob"], ["managed"])


def test_import_tells_its_progress_and_reads_standard_input(new_world):
    world = new_world(settings=["devices_per_user = 1000"], laptops=())
    fleet = "".join(f"laptop-{n},alice,fleet\n" for n in range(230))
    done = subprocess.run([world.program("sallyport-admin"), "--socket", world.admin_socket, "device", "import", "-", "--expires", "2h"],
                          input=fleet, text=True, capture_output=True, check=True)
    assert done.stderr.splitlines() == ["100 invitations made", "200 invitations made", "230 invitations made, 0 lines refused"]
    lines = done.stdout.splitlines()
    assert lines[0] == "name,invitation" and len(lines) == 231
    assert query(world, "SELECT count(*), min(expires_at - created_at), max(expires_at - created_at) FROM invitation") == [
        (230, 7200000, 7200000)]


def test_invitations_expire_when_they_were_told_to(world):
    line = world.admin("device", "invite", "two-hours", "--user", "carol", "--expires", "2h").strip()
    until = datetime.datetime.fromtimestamp(int(parts(line)[5]), datetime.timezone.utc)
    left = until - datetime.datetime.now(datetime.timezone.utc)
    assert datetime.timedelta(minutes=110) < left <= datetime.timedelta(hours=2)
    for wrong in ("5", "10s", "91d", "soon"):
        with pytest.raises(WorldError, match=f"\"{wrong}\" is no time for an invitation"):
            world.admin("device", "invite", "never", "--user", "carol", "--expires", wrong)


def dark(rows):
    """The dark modules of a drawn code, two rows of them a line, without its margin."""
    halves = {"\u2588": (False, False), "\u2580": (False, True), "\u2584": (True, False), " ": (True, True)}
    grid = [[halves[c][half] for c in row] for row in rows for half in (0, 1)]
    width = len(grid[0])
    assert not any(any(row[:2] + row[-2:]) for row in grid[:width]) and not any(map(any, grid[:2]))
    return [row[2:-2] for row in grid[2:width - 2]]


def test_a_qr_code_holds_the_line(world):
    shown = world.admin("device", "invite", "drawn", "--user", "carol", "--qr").splitlines()
    assert shown[0].startswith("sallyport:1/")
    drawn = subprocess.run(["qrencode", "-8", "-l", "L", "-m", "0", "-t", "ASCII", shown[0]], text=True, capture_output=True, check=True)
    expected = [[row[n] == "#" for n in range(0, len(row), 2)] for row in drawn.stdout.splitlines()]
    assert dark(shown[1:]) == expected


def test_a_user_has_a_bounded_number_of_devices(new_world):
    world = new_world(settings=["devices_per_user = 2"], laptops=())
    world.enroll("cap1", "carol")
    world.invite("cap2", "carol")
    with pytest.raises(WorldError, match="devices_per_user allows 2"):
        world.invite("cap3", "carol")


def test_without_an_enrolment_listener_the_admin_is_told(new_world):
    world = new_world(settings=["enroll_listen = {}"], laptops=())
    with pytest.raises(WorldError, match="enroll_listen"):
        world.invite("nowhere", "alice")


def test_any_user_may_log_in_on_a_shared_device(world):
    line = world.admin("device", "invite", "kiosk", "--any-user").strip()
    assert enroll(world, "kiosk", line).returncode == 0
    assert json.loads(world.admin("device", "show", "kiosk", "--json"))["users"] == ["*"]
