"""The real signer against scripted peers: monitor, broker, workers, some of them hostile.

What a worker may ask: edge/worker_signer.h. What a hostile one tries, and must not gain: promises A2, F2.
"""
import contextlib
import datetime
import hashlib
import os
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

import frames
import handshake
import rooms

IDENTITY = "64102"


class Keys:
    """The files that the monitor opens for the signer."""

    def __init__(self, server="p256", authority="p256", authority_days=(-1, 365)):
        self.server_kind, self.server_key = server, handshake.make_key(server)
        self.server = handshake.certificate(self.server_key, "gateway.test")
        self.authority_key = handshake.make_key(authority)
        self.authority = handshake.certificate(self.authority_key, "Device authority", True, days=authority_days)

    def files(self):
        return {"server_key": handshake.key_pem(self.server_key), "server_certificate": handshake.pem(self.server),
                "device_authority_key": handshake.key_pem(self.authority_key),
                "device_authority": handshake.pem(self.authority)}

    @property
    def leaf(self):
        return handshake.der(self.server)


@contextlib.contextmanager
def opened(files):
    descriptors = [(purpose, f"/etc/{purpose}.pem", frames.open_bytes(content)) for purpose, content in files.items()]
    try:
        yield descriptors
    finally:
        for _, _, fd in descriptors:
            os.close(fd)


class Signer:
    """A signer at work, its monitor and its broker."""

    def __init__(self, programs, keys, settings=None):
        self.keys = keys
        self.broker, broker_end = frames.pair("broker_signer")
        with opened(keys.files()) as descriptors:
            self.room = rooms.Room(programs, "signer", settings or {"signer_user": IDENTITY},
                                   descriptors + [("broker_edge", "broker", broker_end.fileno())])
        broker_end.close()
        self.room.begin_well()
        self.next_worker = 1

    def worker(self, number=None):
        number = self.next_worker if number is None else number
        self.next_worker = max(self.next_worker, number) + 1
        worker, theirs = frames.pair("worker_signer")
        self.room.monitor.send("worker", worker=number, fd=theirs.fileno())
        theirs.close()
        worker.number = number
        return worker

    def verdict(self, worker, public_key):
        self.broker.send("verify", worker=worker.number, public_key=public_key)
        answer = self.broker.receive("verified")
        assert answer.worker == worker.number
        return answer

    def issue(self, **changes):
        now = int(time.time())
        order = dict(request=7, public_key=handshake.public_der(handshake.make_key()), device_id="d-1",
                     device_name="alice-laptop", serial=bytes(range(16)), not_before_s=now - 60, not_after_s=now + 86400)
        self.broker.send("issue", **{**order, **changes})
        answer = self.broker.receive()
        assert answer.request == 7
        return answer

    def checkpoint(self, sequence, hash_byte=1, kind=1):
        self.broker.send("checkpoint", kind=kind, sequence=sequence, hash=bytes([hash_byte]) * 32)
        return self.broker.receive("checkpoint_signed")

    def end(self):
        self.room.end()
        self.broker.close()


@pytest.fixture(scope="module")
def keys():
    return Keys()


@pytest.fixture
def signer(programs, keys):
    signer = Signer(programs, keys)
    yield signer
    said = signer.room.said()
    signer.end()
    assert signer.room.status == 0, said
    assert "Sanitizer" not in said and "runtime error" not in said, said


def signed(signer, worker, hash_number=1, retry=False):
    """An honest worker up to the signature: (transcript, scheme, signature)."""
    scheme = handshake.scheme_of(signer.keys.server_kind)
    transcript = handshake.start(signer.keys.leaf, retry)
    worker.send("sign", hash=hash_number, scheme=scheme, transcript=transcript)
    answer = worker.receive("signature")
    assert answer.scheme == scheme
    return transcript, scheme, answer.signature


def proven(signer, worker, device_key, kind="p256", hash_number=1, retry=False):
    """An honest worker whose client holds device_key, up to proof_kept."""
    transcript, scheme, signature = signed(signer, worker, hash_number, retry)
    rest = handshake.rest(scheme, signature)
    client_scheme = handshake.scheme_of(kind)
    client_signature = handshake.client_signature(device_key, client_scheme, transcript + rest, hash_number)
    worker.send("proof", rest=rest, scheme=client_scheme, signature=client_signature)
    worker.receive("proof_kept")
    return transcript, rest, client_scheme, client_signature


def assert_dropped(signer, worker, sentence):
    assert worker.is_closed()
    assert sentence in signer.room.said()


# ---- an honest handshake ----

@pytest.mark.parametrize("hash_number", [1, 2])
@pytest.mark.parametrize("kind", list(handshake.KEYS))
def test_A2_proof_of_the_registered_key_is_good(signer, kind, hash_number):
    device_key, worker = handshake.make_key(kind), signer.worker()
    proven(signer, worker, device_key, kind, hash_number)
    answer = signer.verdict(worker, handshake.public_der(device_key))
    assert (answer.good, answer.reason) == (1, "")


def test_proof_after_a_hello_retry_request(signer):
    device_key, worker = handshake.make_key(), signer.worker()
    proven(signer, worker, device_key, retry=True)
    assert signer.verdict(worker, handshake.public_der(device_key)).good == 1


@pytest.mark.parametrize("kind", ["p256", "p384", "rsa"])
def test_F2_signature_is_over_the_transcript_and_fresh(programs, kind):
    signer = Signer(programs, Keys(server=kind))
    try:
        first, second = signer.worker(), signer.worker()
        transcript, scheme, signature = signed(signer, first, 2)
        handshake.check(signer.keys.server_key.public_key(), scheme, signature,
                        handshake.content(handshake.SERVER, transcript, 2))
        second.send("sign", hash=2, scheme=scheme, transcript=transcript)
        assert second.receive("signature").signature != signature
    finally:
        signer.end()


def test_many_workers_each_with_its_own_proof(signer):
    held = []
    for _ in range(300):
        device_key, worker = handshake.make_key(), signer.worker()
        held.append((worker, device_key))
    for worker, device_key in held:
        proven(signer, worker, device_key)
    for (worker, device_key), (other, _) in zip(held, held[1:]):
        assert signer.verdict(worker, handshake.public_der(device_key)).good == 1
    for worker, _ in held:
        worker.close()


# ---- the hostile worker ----

def test_A2_other_fingerprint_other_public_key(signer):
    """The worker's client proves its own key; the worker tells the broker a victim's fingerprint."""
    victim, own, worker = handshake.make_key(), handshake.make_key(), signer.worker()
    proven(signer, worker, own)
    answer = signer.verdict(worker, handshake.public_der(victim))
    assert answer.good == 0 and "not made with the registered key" in answer.reason


def test_A2_other_kind_of_key(signer):
    victim, own, worker = handshake.make_key("rsa"), handshake.make_key(), signer.worker()
    proven(signer, worker, own)
    answer = signer.verdict(worker, handshake.public_der(victim))
    assert answer.good == 0 and "does not fit" in answer.reason


def test_A2_old_handshake_played_again(signer):
    """All messages of a victim's genuine handshake, recorded by a worker that once served it."""
    victim = handshake.make_key()
    transcript, rest, scheme, signature = proven(signer, signer.worker(), victim)
    hostile = signer.worker()
    hostile.send("sign", hash=1, scheme=0x0403, transcript=transcript)
    hostile.receive("signature")
    hostile.send("proof", rest=rest, scheme=scheme, signature=signature)
    assert_dropped(signer, hostile, "does not begin with the signature that was given")
    assert signer.verdict(hostile, handshake.public_der(victim)).good == 0


def test_A2_old_handshake_with_the_fresh_signature_put_in(signer):
    victim = handshake.make_key()
    transcript, rest, scheme, signature = proven(signer, signer.worker(), victim)
    hostile = signer.worker()
    hostile.send("sign", hash=1, scheme=0x0403, transcript=transcript)
    fresh = handshake.verify_message(0x0403, hostile.receive("signature").signature)
    old_verify_size = 4 + int.from_bytes(rest[1:4], "big")
    hostile.send("proof", rest=fresh + rest[old_verify_size:], scheme=scheme, signature=signature)
    hostile.receive("proof_kept")
    assert signer.verdict(hostile, handshake.public_der(victim)).good == 0


@pytest.mark.parametrize("place", ["transcript", "finished"])
def test_A2_altered_transcript(signer, place):
    """The client's signature is genuine, but over other messages than the signer was shown."""
    device_key, worker = handshake.make_key(), signer.worker()
    transcript, scheme, signature = signed(signer, worker)
    rest = handshake.rest(scheme, signature)
    whole = bytearray(transcript + rest)
    whole[10 if place == "transcript" else len(whole) - 60] ^= 1
    client_signature = handshake.client_signature(device_key, 0x0403, bytes(whole), 1)
    worker.send("proof", rest=rest, scheme=0x0403, signature=client_signature)
    worker.receive("proof_kept")
    assert signer.verdict(worker, handshake.public_der(device_key)).good == 0


def test_A2_signature_made_for_another_server(signer):
    """A victim connects to a server of the attacker, whose certificate message holds, inside, what could be
    taken for the rest of our handshake. The signer must see where messages begin and end."""
    victim = handshake.make_key()
    worker = signer.worker()
    start = b"".join(handshake.message(kind) for kind in (1, 2, 8, 13))
    inner = handshake.certificate_message(signer.keys.leaf)
    outer_head = bytes([11]) + (len(inner) + 400).to_bytes(3, "big")
    worker.send("sign", hash=1, scheme=0x0403, transcript=start + outer_head + inner)
    assert_dropped(signer, worker, "not that of a handshake")
    assert signer.verdict(worker, handshake.public_der(victim)).good == 0


def test_A2_server_signature_as_device_proof(signer):
    """Context strings keep the two CertificateVerify apart: our own signature proves nothing."""
    worker = signer.worker()
    transcript, scheme, signature = signed(signer, worker)
    worker.send("proof", rest=handshake.rest(scheme, signature), scheme=scheme, signature=signature)
    worker.receive("proof_kept")
    assert signer.verdict(worker, handshake.public_der(signer.keys.server_key)).good == 0


def test_F2_second_signature(signer):
    worker = signer.worker()
    transcript, scheme, _ = signed(signer, worker)
    worker.send("sign", hash=1, scheme=scheme, transcript=transcript)
    assert_dropped(signer, worker, "sign is not allowed now")


def test_A2_second_proof(signer):
    device_key, worker = handshake.make_key(), signer.worker()
    _, rest, scheme, signature = proven(signer, worker, device_key)
    worker.send("proof", rest=rest, scheme=scheme, signature=signature)
    assert_dropped(signer, worker, "proof is not allowed now")
    assert signer.verdict(worker, handshake.public_der(device_key)).good == 0


def test_A2_signature_after_the_proof(signer):
    worker = signer.worker()
    proven(signer, worker, handshake.make_key())
    worker.send("sign", hash=1, scheme=0x0403, transcript=handshake.start(signer.keys.leaf))
    assert_dropped(signer, worker, "sign is not allowed now")


def test_A2_no_proof(signer):
    device_key = handshake.make_key()
    silent, half = signer.worker(), signer.worker()
    signed(signer, half)
    for worker in (silent, half):
        answer = signer.verdict(worker, handshake.public_der(device_key))
        assert answer.good == 0 and "no proof" in answer.reason


def test_A2_proof_without_signature(signer):
    worker = signer.worker()
    worker.send("proof", rest=b"", scheme=0x0403, signature=b"x")
    assert_dropped(signer, worker, "proof is not allowed now")


def test_A2_proof_is_judged_once(signer):
    device_key, worker = handshake.make_key(), signer.worker()
    proven(signer, worker, device_key)
    assert signer.verdict(worker, handshake.public_der(device_key)).good == 1
    assert signer.verdict(worker, handshake.public_der(device_key)).good == 0


def test_A2_proof_of_another_worker(signer):
    """Proofs belong to the worker that the monitor gave the edge to, not to a number that somebody says."""
    device_key, honest, hostile = handshake.make_key(), signer.worker(), signer.worker()
    proven(signer, honest, device_key)
    assert signer.verdict(hostile, handshake.public_der(device_key)).good == 0
    answer = signer.verdict(type("Nobody", (), {"number": 4711}), handshake.public_der(device_key))
    assert answer.good == 0 and "no such worker" in answer.reason
    assert signer.verdict(honest, handshake.public_der(device_key)).good == 1


def test_proof_of_a_dead_worker_is_gone(signer):
    device_key, worker = handshake.make_key(), signer.worker()
    proven(signer, worker, device_key)
    worker.close()
    deadline = time.monotonic() + 5
    answer = signer.verdict(worker, handshake.public_der(device_key))
    while "no such worker" not in answer.reason and time.monotonic() < deadline:
        time.sleep(0.02)
        answer = signer.verdict(worker, handshake.public_der(device_key))
    assert answer.good == 0 or signer.verdict(worker, handshake.public_der(device_key)).good == 0


NOT_A_START = {
    "empty": lambda leaf: b"",
    "a byte": lambda leaf: b"\x01",
    "text": lambda leaf: b"x" * 300,
    "cut": lambda leaf: handshake.start(leaf)[:-1],
    "longer": lambda leaf: handshake.start(leaf) + b"\0",
    "one message more": lambda leaf: handshake.start(leaf) + handshake.message(15),
    "two requests for a certificate": lambda leaf: b"".join(handshake.message(k) for k in (1, 2, 8, 13, 13))
                                                   + handshake.certificate_message(leaf),
    "client hello twice": lambda leaf: handshake.message(1) + handshake.start(leaf),
    "length beyond the end": lambda leaf: b"\x01\xff\xff\xff" + handshake.start(leaf)[4:],
    "another's certificate": lambda leaf: handshake.start(leaf[:-1] + bytes([leaf[-1] ^ 1])),
    "certificate with a context": lambda leaf: b"".join(handshake.message(k) for k in (1, 2, 8, 13))
                                               + handshake.message(11, b"\1x" + handshake.vector(handshake.vector(leaf, 3), 3)),
    "empty certificate": lambda leaf: b"".join(handshake.message(k) for k in (1, 2, 8, 13)) + handshake.message(11, b""),
}


@pytest.mark.parametrize("what", NOT_A_START)
def test_F2_nothing_but_a_handshake_is_signed(signer, what):
    worker = signer.worker()
    worker.send("sign", hash=1, scheme=0x0403, transcript=NOT_A_START[what](signer.keys.leaf))
    assert_dropped(signer, worker, "is dropped: the transcript")


def test_A2_no_proof_of_a_handshake_that_asked_for_no_certificate(signer):
    """The enrolment listener asks for none; what follows such a handshake identifies nobody."""
    worker = signer.worker()
    transcript = b"".join(handshake.message(k) for k in (1, 2, 8)) + handshake.certificate_message(signer.keys.leaf)
    worker.send("sign", hash=1, scheme=0x0403, transcript=transcript)
    signature = worker.receive("signature").signature
    worker.send("proof", rest=handshake.rest(0x0403, signature), scheme=0x0403, signature=b"x")
    assert_dropped(signer, worker, "asked for no certificate")


@pytest.mark.parametrize("hash_number, scheme, sentence", [
    (0, 0x0403, "no known hash"), (3, 0x0403, "no known hash"), (255, 0x0403, "no known hash"),
    (1, 0x0503, "does not fit the key"), (1, 0x0804, "does not fit the key"), (1, 0x0807, "does not fit the key"),
    (1, 0x0401, "not among ours"), (1, 0x0201, "not among ours"), (1, 0x10403, "not among ours")])
def test_F2_scheme_must_fit_the_key(signer, hash_number, scheme, sentence):
    worker = signer.worker()
    worker.send("sign", hash=hash_number, scheme=scheme, transcript=handshake.start(signer.keys.leaf))
    assert_dropped(signer, worker, sentence)


@pytest.mark.parametrize("change", ["no finished", "no certificate", "more", "scheme", "cut signature", "empty"])
def test_A2_rest_must_be_that_of_a_handshake(signer, change):
    worker = signer.worker()
    _, scheme, signature = signed(signer, worker)
    good = handshake.rest(scheme, signature)
    verify = handshake.verify_message(scheme, signature)
    rest = {"no finished": verify + handshake.certificate_message(b"x"), "no certificate": verify + handshake.message(20),
            "more": good + handshake.message(20), "scheme": handshake.rest(0x0503, signature),
            "cut signature": handshake.rest(scheme, signature[:-1]), "empty": b""}[change]
    worker.send("proof", rest=rest, scheme=0x0403, signature=b"x" * 70)
    assert_dropped(signer, worker, "is dropped: the rest")


@pytest.mark.parametrize("frame", [b"", b"\0", b"\xff\xff", b"\1\0", os.urandom(5000)], ids=lambda f: f"{len(f)} bytes")
def test_E5_garbage_ends_that_worker_only(signer, frame):
    other, device_key = signer.worker(), handshake.make_key()
    worker = signer.worker()
    if frame:
        worker.send_raw(frame)
    else:
        worker.end.shutdown(1)
    assert worker.is_closed()
    proven(signer, other, device_key)
    assert signer.verdict(other, handshake.public_der(device_key)).good == 1


@pytest.mark.parametrize("public_key", [b"", b"garbage", bytes(4096)], ids=lambda k: f"{len(k)} bytes")
def test_public_key_that_is_none(signer, public_key):
    worker = signer.worker()
    proven(signer, worker, handshake.make_key())
    assert signer.verdict(worker, public_key).good == 0


# ---- certificates ----

def test_issued_certificate_has_the_profile(signer):
    key = handshake.make_key()
    answer = signer.issue(public_key=handshake.public_der(key), serial=b"\xff" * 16)
    assert answer.name == "issued", answer
    found = x509.load_der_x509_certificate(answer.certificate)
    authority = signer.keys.authority
    authority.public_key().verify(found.signature, found.tbs_certificate_bytes, ec.ECDSA(found.signature_hash_algorithm))
    assert found.issuer == authority.subject
    assert [a.value for a in found.subject] == ["alice-laptop"]
    assert found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert found.serial_number == int.from_bytes(b"\x7f" + b"\xff" * 15, "big")
    assert handshake.public_der(key) == handshake.public_der(type("K", (), {"public_key": lambda s: found.public_key()})())
    by_type = {type(e.value): e for e in found.extensions}
    assert by_type[x509.BasicConstraints].critical and not by_type[x509.BasicConstraints].value.ca
    usage = by_type[x509.KeyUsage]
    assert usage.critical and usage.value.digital_signature
    assert not (usage.value.key_cert_sign or usage.value.crl_sign or usage.value.key_encipherment or usage.value.key_agreement)
    assert list(by_type[x509.ExtendedKeyUsage].value) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    names = by_type[x509.SubjectAlternativeName].value
    assert [n.value for n in names] == ["sallyport:device:d-1"] and isinstance(names[0], x509.UniformResourceIdentifier)
    own = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    assert by_type[x509.AuthorityKeyIdentifier].value.key_identifier == own
    assert len(by_type[x509.SubjectKeyIdentifier].value.digest) == 20
    assert len(by_type) == 6


@pytest.mark.parametrize("authority", list(handshake.KEYS))
@pytest.mark.parametrize("kind", list(handshake.KEYS))
def test_every_kind_of_key_gets_its_certificate(programs, scratch, authority, kind):
    signer = Signer(programs, Keys(authority=authority))
    try:
        answer = signer.issue(public_key=handshake.public_der(handshake.make_key(kind)))
        assert answer.name == "issued", answer
        scratch.joinpath("ca.pem").write_bytes(handshake.pem(signer.keys.authority))
        found = x509.load_der_x509_certificate(answer.certificate)
        scratch.joinpath("device.pem").write_bytes(handshake.pem(found))
        status = os.system(f"openssl verify -purpose sslclient -CAfile {scratch}/ca.pem {scratch}/device.pem >/dev/null")
        assert status == 0
    finally:
        signer.end()


# ---- the list of revoked certificates ----


def entry(serial, at_s, issuer):
    return serial.to_bytes(20, "big") + at_s.to_bytes(8, "big") + issuer


def revoked(signer, entries, number=77):
    """The list in DER; empty when there is none."""
    fd = frames.open_bytes(b"".join(entries))
    signer.broker.send("revoked", number=number, this_s=1700000000, next_s=1700600000, fd=fd)
    os.close(fd)
    pieces = [signer.broker.receive("revocation_list")]
    while not pieces[-1].last:
        pieces.append(signer.broker.receive("revocation_list"))
    return b"".join(piece.piece for piece in pieces)


def is_good_list(scratch, signer, der):
    scratch.joinpath("ca.pem").write_bytes(handshake.pem(signer.keys.authority))
    scratch.joinpath("crl").write_bytes(der)
    return os.system(f"openssl crl -inform DER -in {scratch}/crl -CAfile {scratch}/ca.pem -noout -verify 2>{scratch}/said") == 0 \
        and "OK" in scratch.joinpath("said").read_text()


@pytest.mark.parametrize("authority", list(handshake.KEYS))
def test_F2_a_list_of_revoked_certificates_is_of_what_this_authority_has_issued(programs, scratch, authority):
    signer = Signer(programs, Keys(authority=authority))
    own = signer.keys.authority.fingerprint(hashes.SHA256())
    try:
        empty = revoked(signer, [])
        assert is_good_list(scratch, signer, empty) and list(x509.load_der_x509_crl(empty)) == []
        serials = {1: 1600000000, 0x80: 1600000001, 2**126 + 5: 2600000000, 2**158: 1600000003}
        der = revoked(signer, [entry(s, at, own) for s, at in serials.items()] + [entry(99, 1, bytes(32))], number=2**40)
        assert is_good_list(scratch, signer, der)
        found = x509.load_der_x509_crl(der)
        assert {e.serial_number: int(e.revocation_date.replace(tzinfo=datetime.timezone.utc).timestamp()) for e in found} == serials
        assert found.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 2**40
        assert found.issuer == signer.keys.authority.subject
        assert int(found.next_update.replace(tzinfo=datetime.timezone.utc).timestamp()) == 1700600000
    finally:
        signer.end()


def test_a_list_as_long_as_it_may_be(signer, scratch):
    own = signer.keys.authority.fingerprint(hashes.SHA256())
    der = revoked(signer, [entry(2**126 + n, 1600000000, own) for n in range(24000)])
    assert 800000 < len(der) <= 1000000 and is_good_list(scratch, signer, der)
    assert len(list(x509.load_der_x509_crl(der))) == 24000
    assert revoked(signer, [entry(2**126 + n, 1600000000, own) for n in range(24001)]) == b""
    assert revoked(signer, [b"cut"]) == b""
    assert is_good_list(scratch, signer, revoked(signer, [entry(5, 1600000000, own)])), "and it goes on"


def test_the_signer_tells_which_authority_it_signs_with(signer):
    signer.broker.send("authority_wanted")
    assert signer.broker.receive("authority").fingerprint == signer.keys.authority.fingerprint(hashes.SHA256())


def not_before(cert):
    return int(cert.not_valid_before.replace(tzinfo=datetime.timezone.utc).timestamp())


def not_after(cert):
    return int(cert.not_valid_after.replace(tzinfo=datetime.timezone.utc).timestamp())


def test_validity_lies_within_the_authoritys(signer):
    found = x509.load_der_x509_certificate(signer.issue(not_before_s=0, not_after_s=2**40).certificate)
    authority = signer.keys.authority
    assert not_before(found) == not_before(authority) and not_after(found) == not_after(authority)


def test_no_device_certificate_lives_for_ever(programs):
    signer = Signer(programs, Keys(authority_days=(-1, 36500)))
    try:
        now = int(time.time())
        found = x509.load_der_x509_certificate(signer.issue(not_before_s=now, not_after_s=2**40).certificate)
        assert not_after(found) - not_before(found) == 825 * 86400
    finally:
        signer.end()


@pytest.mark.parametrize("changes, sentence", [
    ({"public_key": b""}, "no public key"),
    ({"public_key": b"not a key"}, "no public key"),
    ({"public_key": handshake.public_der(ec.generate_private_key(ec.SECP521R1()))}, "is not accepted"),
    ({"public_key": handshake.public_der(ec.generate_private_key(ec.SECP256K1()))}, "no"),
    ({"public_key": handshake.public_der(handshake.rsa.generate_private_key(65537, 1024))}, "is not accepted"),
    ({"device_id": ""}, "device id"), ({"device_id": "a b"}, "device id"), ({"device_id": "a/../b"}, "device id"),
    ({"device_name": ""}, "device name"), ({"device_name": "*.test"}, "device name"),
    ({"device_name": "a,CN=b"}, "device name"), ({"device_name": "a\nb"}, "device name"),
    ({"serial": b""}, "serial number"), ({"serial": b"123456789012345"}, "serial number"),
    ({"not_after_s": 0}, "no time is left"), ({"not_before_s": 2**40}, "no time is left"),
    ({"not_before_s": 2**63, "not_after_s": 2**64 - 1}, "no time is left")], ids=lambda v: v if isinstance(v, str) else ",".join(v))
def test_what_cannot_be_issued_gets_a_sentence(signer, changes, sentence):
    answer = signer.issue(**changes)
    assert answer.name == "not_issued" and sentence in answer.reason, answer
    assert signer.issue().name == "issued"


# ---- keys, reload, start, end ----

def reload(signer, files):
    signer.room.monitor.send("setting", name="signer_user", value=IDENTITY)
    with opened(files) as descriptors:
        for purpose, name, fd in descriptors:
            signer.room.monitor.send("descriptor", purpose=purpose, name=name, fd=fd)
        signer.room.monitor.send("reload")
        return signer.room.monitor.receive("reloaded")


def test_reload_takes_new_keys(signer):
    new = Keys(server="p384")
    assert reload(signer, new.files()).good == 1
    signer.keys = new
    device_key, worker = handshake.make_key(), signer.worker()
    proven(signer, worker, device_key)
    assert signer.verdict(worker, handshake.public_der(device_key)).good == 1
    assert x509.load_der_x509_certificate(signer.issue().certificate).issuer == new.authority.subject


# ---- checkpoints of the record ----


class KeysOfTheRecord(Keys):
    def __init__(self, kind="p256"):
        super().__init__()
        self.audit_key = handshake.make_key(kind)

    def files(self):
        return {**super().files(), "audit_key": handshake.key_pem(self.audit_key)}


@pytest.fixture
def witness(programs):
    signer = Signer(programs, KeysOfTheRecord())
    yield signer
    said = signer.room.said()
    signer.end()
    assert signer.room.status == 0 and "Sanitizer" not in said and "runtime error" not in said, said


def netstrings(*fields):
    return b"".join(b"%d:%s," % (len(field), field) for field in (str(f).encode() for f in fields))


def test_G1_a_checkpoint_is_a_text_of_the_signers_own(witness):
    answer = witness.checkpoint(17, 0xab)
    text = netstrings("sallyport-audit-checkpoint-1", "record", answer.gateway, 17, "ab" * 32, answer.at_ms)
    assert abs(answer.at_ms / 1000 - time.time()) < 60
    assert answer.key == hashlib.sha256(handshake.public_der(witness.keys.audit_key)).digest()
    witness.keys.audit_key.public_key().verify(answer.signature, text, ec.ECDSA(hashes.SHA256()))


def test_G1_the_signer_does_not_go_back(witness):
    assert witness.checkpoint(17).signature and witness.checkpoint(17).signature and witness.checkpoint(20, 2).signature
    for wrong in (dict(sequence=19), dict(sequence=20, hash_byte=3), dict(sequence=0), dict(sequence=21, kind=3),
                  dict(sequence=21, kind=0), dict(sequence=21, kind=2)):
        answer = witness.checkpoint(**wrong)
        assert not answer.signature and answer.reason, wrong
    assert witness.checkpoint(15, kind=2).signature, "old records are cut off behind the last checkpoint"
    assert not witness.checkpoint(14, kind=2).signature
    assert witness.checkpoint(21).signature


def test_without_its_key_no_checkpoint_is_signed(signer):
    answer = signer.checkpoint(1)
    assert not answer.signature and "audit_key" in str(answer.reason)


@pytest.mark.parametrize("change, word", [
    (lambda keys: setattr(keys, "audit_key", keys.server_key), "same key"),
    (lambda keys: setattr(keys, "audit_key", keys.authority_key), "same key"),
    (lambda keys: setattr(keys, "audit_key", handshake.make_key("ed25519")), "no EC key"),
])
def test_G1_the_records_key_is_a_key_of_its_own(programs, change, word):
    keys = KeysOfTheRecord()
    change(keys)
    with opened(keys.files()) as descriptors:
        with rooms.Room(programs, "signer", {"signer_user": IDENTITY}, descriptors) as room:
            answer = room.begin()
            assert answer.name == "failed" and word in answer.sentence, answer
            assert room.wait() == 1


def test_reload_of_bad_keys_changes_nothing(signer):
    answer = reload(signer, {**Keys().files(), "server_key": b"no key"})
    assert answer.good == 0 and "/etc/server_key.pem holds no private key" in answer.sentence
    answer = reload(signer, {})
    assert answer.good == 0 and "server_key" in answer.sentence
    worker, device_key = signer.worker(), handshake.make_key()
    proven(signer, worker, device_key)
    assert signer.verdict(worker, handshake.public_der(device_key)).good == 1


def test_E7_new_broker_takes_the_place_of_the_old(signer):
    worker, device_key = signer.worker(), handshake.make_key()
    proven(signer, worker, device_key)
    old = signer.broker
    signer.broker, theirs = frames.pair("broker_signer")
    signer.room.monitor.send("descriptor", purpose="broker_edge", name="broker", fd=theirs.fileno())
    theirs.close()
    assert signer.verdict(worker, handshake.public_der(device_key)).good == 1
    assert old.is_closed()
    signer.broker.close()
    signer.broker, theirs = frames.pair("broker_signer")
    signer.room.monitor.send("descriptor", purpose="broker_edge", name="broker", fd=theirs.fileno())
    theirs.close()
    assert signer.issue().name == "issued"


def test_stop_ends_in_good_order(programs, keys):
    signer = Signer(programs, keys)
    signer.room.monitor.send("stop")
    assert signer.room.wait() == 0
    signer.end()


ED25519 = handshake.make_key("ed25519")
OTHER = Keys()


@pytest.mark.parametrize("files, sentence", [
    ({"server_key": b""}, "server_key.pem holds no private key"),
    ({"server_key": b"x" * 300000}, "is larger than"),
    ({"server_certificate": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}, "holds no certificate"),
    ({"server_certificate": handshake.pem(OTHER.server)}, "server_key is not the key of"),
    ({"server_key": handshake.key_pem(ED25519), "server_certificate": handshake.pem(handshake.certificate(ED25519, "g"))},
     "Ed25519"),
    ({"device_authority_key": handshake.key_pem(OTHER.authority_key)}, "device_authority_key is not the key of"),
    ({"device_authority": handshake.pem(OTHER.server), "device_authority_key": handshake.key_pem(OTHER.server_key)},
     "not the certificate of an authority"),
    ({"device_authority_key": None}, "has not sent the file for device_authority_key"),
], ids=lambda v: v[:24] if isinstance(v, str) else "")
def test_F4_unfit_keys_are_refused_at_start(programs, keys, files, sentence):
    present = {purpose: content for purpose, content in {**keys.files(), **files}.items() if content is not None}
    with opened(present) as descriptors:
        with rooms.Room(programs, "signer", {"signer_user": IDENTITY}, descriptors) as room:
            answer = room.begin()
            assert answer.name == "failed" and sentence in answer.sentence, answer
            assert room.wait() == 1
            assert "PRIVATE" not in room.said()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can build every wall")
@pytest.mark.parametrize("user, sentence", [("root", "must not run as root"), ("0", "must not run as root"),
                                            ("sallyport-nobody-knows", "there is no user")])
def test_E1_signer_needs_an_identity_of_its_own(programs, keys, user, sentence):
    with opened(keys.files()) as descriptors:
        with rooms.Room(programs, "signer", {"signer_user": user}, descriptors) as room:
            answer = room.begin()
            assert answer.name == "failed" and sentence in answer.sentence, answer
            assert room.wait() == 1


def test_unknown_setting_is_refused(programs):
    with rooms.Room(programs, "signer", {"no_such_key": "1"}) as room:
        answer = room.begin()
        assert answer.name == "failed" and "no_such_key" in answer.sentence
        assert room.wait() == 1


def test_started_by_hand_it_says_who_starts_it(programs, scratch):
    with open(scratch / "log", "w+b") as log:
        pid = rooms.spawn(rooms.find_program(programs, "sallyport-signer"), None, log.fileno())
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 2
        log.seek(0)
        assert b"is started by sallyport-gateway" in log.read()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can look")
def test_E1_the_locked_signer_as_the_kernel_sees_it(signer):
    status = dict(line.split(":", 1) for line in open(f"/proc/{signer.room.pid}/status").read().splitlines() if ":" in line)
    status = {key: value.split() for key, value in status.items()}
    assert status["Uid"] == [IDENTITY] * 4 and status["Gid"] == [IDENTITY] * 4 and status["Groups"] == []
    for capabilities in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[capabilities][0], 16) == 0, capabilities
    assert status["NoNewPrivs"] == ["1"] and status["Seccomp"] == ["2"] and status["Threads"] == ["1"]
    assert os.stat(f"/proc/{signer.room.pid}/mem").st_uid == 0, "dumpable"
    assert os.listdir(f"/proc/{signer.room.pid}/root/") == []
    for space in ("net", "mnt", "ipc", "uts", "cgroup"):
        assert os.readlink(f"/proc/{signer.room.pid}/ns/{space}") != os.readlink(f"/proc/self/ns/{space}"), space
    limits = open(f"/proc/{signer.room.pid}/limits").read()
    assert "Max core file size        0                    0" in limits
    links = sorted(os.readlink(f"/proc/{signer.room.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{signer.room.pid}/fd"))
    kinds = [link.split(":")[0].rstrip("0123456789") for link in links]
    assert kinds.count("socket") == 2 and kinds.count("anon_inode") == 1 and kinds.count("/dev/null") == 2, links
    assert len(links) == 6, links
    assert open(f"/proc/{signer.room.pid}/environ", "rb").read() == b""
