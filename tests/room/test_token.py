"""The real signer with its authority's key in a PKCS#11 token: softhsm2, and a TPM (swtpm behind tpm2-pkcs11).

F2: the key never is in a file of the gateway; F4: the PIN is read from a file of its own, before the door is locked.
"""
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

import frames
import handshake
import rooms
import test_signer
import tpm
from test_signer import IDENTITY, Keys, opened

SOFTHSM = "/usr/lib/softhsm/libsofthsm2.so"
PIN = "4711-pin"


def run(command, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture
def folder():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="sallyport-token.", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def give(folder):
    """To the signer's identity, as an admin does with a token's folder."""
    if os.geteuid() == 0:
        for path in [folder, *folder.rglob("*")]:
            os.chown(path, int(IDENTITY), int(IDENTITY))


class Token:
    def __init__(self, module, environment, paths, label):
        self.module, self.environment, self.paths = module, environment, paths
        self.url = f"pkcs11:token={label};object=ca;type=private"

    def settings(self, url=None):
        url = url or f"{self.url}?pin-source=file:/etc/sallyport/device-ca.pin"
        return {"signer_user": IDENTITY, "device_authority_key": url, "token_module": str(self.module),
                "token_paths": "".join(f"{path}\n" for path in self.paths),
                "token_environment": "".join(f"{name}={value}\n" for name, value in self.environment.items())}


def softhsm(folder, key):
    """A token that holds the authority's key, put there by the tools of the distribution."""
    tokens = folder / "tokens"
    tokens.mkdir(mode=0o700)
    conf = folder / "softhsm2.conf"
    conf.write_text(f"directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n")
    pem = folder / "ca.pem"
    pem.write_bytes(handshake.key_pem(key))
    environment = {"SOFTHSM2_CONF": str(conf)}
    tools = dict(os.environ, **environment)
    run(["softhsm2-util", "--init-token", "--free", "--label", "gateway", "--so-pin", "12345678", "--pin", PIN], env=tools)
    run(["softhsm2-util", "--import", pem, "--token", "gateway", "--label", "ca", "--id", "01", "--pin", PIN], env=tools)
    pem.unlink()
    give(tokens)
    return Token(SOFTHSM, environment, [tokens], "gateway")


class Signer:
    def __init__(self, programs, keys, settings, pin):
        files = keys.files()
        files["device_authority_key"] = pin
        self.broker, broker_end = frames.pair("broker_signer")
        with opened(files) as descriptors:
            self.room = rooms.Room(programs, "signer", settings,
                                   descriptors + [("broker_edge", "broker", broker_end.fileno())])
        broker_end.close()

    def issue(self):
        now = int(time.time())
        self.broker.send("issue", request=7, public_key=handshake.public_der(handshake.make_key()), device_id="d-1",
                         device_name="alice-laptop", serial=bytes(range(16)), not_before_s=now - 60,
                         not_after_s=now + 86400)
        return self.broker.receive()

    def reload(self, keys, settings, pin):
        files = keys.files()
        files["device_authority_key"] = pin
        for name, value in settings.items():
            self.room.monitor.send("setting", name=name, value=value)
        with opened(files) as descriptors:
            for purpose, title, fd in descriptors:
                self.room.monitor.send("descriptor", purpose=purpose, name=title, fd=fd)
        self.room.monitor.send("reload")
        return self.room.monitor.receive("reloaded")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        said = self.room.said()
        self.room.end()
        self.broker.close()
        assert "Sanitizer" not in said and "runtime error" not in said, said


def check_issued(keys, answer):
    assert answer.name == "issued", answer
    certificate = x509.load_der_x509_certificate(answer.certificate)
    keys.authority_key.public_key().verify(certificate.signature, certificate.tbs_certificate_bytes,
                                           ec.ECDSA(certificate.signature_hash_algorithm))


def test_F2_the_authority_may_live_in_a_token(programs, folder):
    keys = Keys()
    token = softhsm(folder, keys.authority_key)
    with Signer(programs, keys, token.settings(), PIN.encode() + b"\n") as signer:
        signer.room.begin_well()
        for _ in range(3):
            check_issued(keys, signer.issue())
        assert PIN not in signer.room.said()
        answer = signer.reload(keys, token.settings(), PIN.encode())
        assert answer.good == 1, answer
        check_issued(keys, signer.issue())


@pytest.mark.parametrize("pin, expected", [(b"wrong-pin\n", "cannot be used"), (b"", "must hold the token's PIN"),
                                           (b"a" * 400, "must hold the token's PIN")])
def test_a_pin_that_does_not_fit_is_told(programs, folder, pin, expected):
    keys = Keys()
    token = softhsm(folder, keys.authority_key)
    with Signer(programs, keys, token.settings(), pin) as signer:
        answer = signer.room.begin()
        assert answer.name == "failed" and expected in answer.sentence, answer


def test_F2_the_token_must_hold_the_key_of_an_authority_that_is_trusted(programs, folder):
    keys = Keys()
    token = softhsm(folder, handshake.make_key())
    with Signer(programs, keys, token.settings(), PIN.encode()) as signer:
        answer = signer.room.begin()
        assert answer.name == "failed" and "not the key of device_authority" in answer.sentence, answer


def test_F1_a_pin_in_the_url_itself_is_refused(programs, folder):
    keys = Keys()
    token = softhsm(folder, keys.authority_key)
    settings = token.settings(f"{token.url}?pin-value={PIN}")
    with Signer(programs, keys, settings, b"") as signer:
        answer = signer.room.begin()
        assert answer.name == "failed" and "0600" in answer.sentence, answer
        assert PIN not in answer.sentence + signer.room.said()


def test_A1_of_several_authorities_the_one_whose_key_is_there_issues(programs):
    keys = Keys()
    others = [handshake.certificate(handshake.make_key(), f"Other {n}", True) for n in range(3)]
    bundle = b"".join(handshake.pem(c) for c in [*others[:2], keys.authority, others[2]])
    files = dict(keys.files(), device_authority=bundle)
    broker, broker_end = frames.pair("broker_signer")
    with opened(files) as descriptors:
        room = rooms.Room(programs, "signer", {"signer_user": IDENTITY},
                          descriptors + [("broker_edge", "broker", broker_end.fileno())])
    broker_end.close()
    with room:
        room.begin_well()
        signer = Signer.__new__(Signer)
        signer.broker = broker
        check_issued(keys, signer.issue())
    broker.close()


# ---- behind a TPM ----------------------------------------------------------------------------------------------


class Public:
    """What is known of a key that never was here."""

    def __init__(self, public):
        self.public = public

    def public_key(self):
        return self.public


class KeysInTpm(Keys):
    """One of the keys is made in the TPM, and somebody has certified it. Both at once want a resource manager in front of
    the TPM (/dev/tpmrm0): by itself it has room for three objects."""

    def __init__(self, chip, which):
        super().__init__()
        self.chip, self.which = chip, which
        maker, inside = handshake.make_key(), Public(chip.make_key("gateway-key"))
        above = maker, handshake.certificate(maker, "Above", True)
        if which == "server_key":
            self.server_key, self.server = inside, handshake.certificate(inside, "gateway.test", issuer=above)
        else:
            self.authority_key, self.authority = inside, handshake.certificate(inside, "Device authority", True, issuer=above)

    def files(self):
        files = {"server_certificate": handshake.pem(self.server), "device_authority": handshake.pem(self.authority)}
        for name, key in (("server_key", self.server_key), ("device_authority_key", self.authority_key)):
            files[name] = self.chip.pin.encode() + b"\n" if name == self.which else handshake.key_pem(key)
        return files

    def settings(self):
        return {"signer_user": IDENTITY, self.which: self.chip.url("gateway-key") + "?pin-source=file:/etc/sallyport/tpm.pin",
                "token_module": tpm.MODULE, "token_paths": f"{self.chip.store}\n",
                "token_environment": "".join(f"{name}={value}\n" for name, value in self.chip.variables.items())}


@pytest.mark.parametrize("which", ["server_key", "device_authority_key"])
def test_F2_a_key_of_the_gateway_may_live_behind_a_tpm(programs, chip, which):
    keys = KeysInTpm(chip, which)
    chip.give(int(IDENTITY))
    signer = test_signer.Signer(programs, keys, keys.settings())
    try:
        for _ in range(3):
            worker, device = signer.worker(), handshake.make_key()
            test_signer.proven(signer, worker, device)
            assert signer.verdict(worker, handshake.public_der(device)).good == 1
            transcript, scheme, signature = test_signer.signed(signer, signer.worker())
            handshake.check(keys.server_key.public_key(), scheme, signature, handshake.content(handshake.SERVER, transcript, 1))
            check_issued(keys, signer.issue())
        said = signer.room.said()
        assert chip.pin not in said and "Sanitizer" not in said and "runtime error" not in said, said
    finally:
        signer.end()


def test_F2_a_tpm_that_is_gone_is_told(programs, chip):
    keys = KeysInTpm(chip, "device_authority_key")
    chip.give(int(IDENTITY))
    chip.close()
    with opened(keys.files()) as descriptors:
        room = rooms.Room(programs, "signer", keys.settings(), descriptors)
    with room:
        answer = room.begin()
        assert answer.name == "failed" and "cannot be loaded" in answer.sentence, answer
