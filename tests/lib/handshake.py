"""A TLS 1.3 handshake as the signer sees it: keys, certificates, messages, and the two CertificateVerify.

There is no key exchange here: the bodies that the signer does not look at are random.
"""
import datetime
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import NameOID

SERVER, CLIENT = b"TLS 1.3, server CertificateVerify\0", b"TLS 1.3, client CertificateVerify\0"
HASHES = {1: hashes.SHA256, 2: hashes.SHA384}
PSS_HASHES = {0x0804: hashes.SHA256, 0x0805: hashes.SHA384, 0x0806: hashes.SHA512}
CURVE_HASHES = {0x0403: hashes.SHA256, 0x0503: hashes.SHA384}
KEYS = {
    "p256": (lambda: ec.generate_private_key(ec.SECP256R1()), 0x0403),
    "p384": (lambda: ec.generate_private_key(ec.SECP384R1()), 0x0503),
    "ed25519": (ed25519.Ed25519PrivateKey.generate, 0x0807),
    "rsa": (lambda: rsa.generate_private_key(65537, 2048), 0x0804),
}


def make_key(kind="p256"):
    return KEYS[kind][0]()


def scheme_of(kind):
    return KEYS[kind][1]


def key_pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def public_der(key):
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def certificate(key, name, authority=False, issuer=None, days=(-1, 365)):
    """Self-signed, or by issuer = (key, certificate)."""
    now = datetime.datetime.utcnow()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer[1].subject if issuer else subject)
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now + datetime.timedelta(days=days[0]))
    builder = builder.not_valid_after(now + datetime.timedelta(days=days[1]))
    builder = builder.add_extension(x509.BasicConstraints(authority, 0 if authority else None), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    signer = issuer[0] if issuer else key
    return builder.sign(signer, None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256())


def pem(cert):
    return cert.public_bytes(serialization.Encoding.PEM)


def der(cert):
    return cert.public_bytes(serialization.Encoding.DER)


def message(kind, body=None):
    body = os.urandom(40) if body is None else body
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


def vector(data, size):
    return len(data).to_bytes(size, "big") + data


def certificate_message(leaf_der):
    return message(11, vector(b"", 1) + vector(vector(leaf_der, 3) + vector(b"", 2), 3))


def verify_message(scheme, signature):
    return message(15, scheme.to_bytes(2, "big") + vector(signature, 2))


def start(leaf_der, retry=False):
    """From ClientHello to the server's Certificate."""
    before = message(254, os.urandom(32)) + message(2) if retry else b""
    return before + message(1) + message(2) + message(8) + message(13) + certificate_message(leaf_der)


def rest(scheme, signature, client_der=b"a client's certificate"):
    """From the server's CertificateVerify to the client's Certificate."""
    return verify_message(scheme, signature) + message(20) + certificate_message(client_der)


def content(context, transcript, hash_number):
    digest = hashes.Hash(HASHES[hash_number]())
    digest.update(transcript)
    return b" " * 64 + context + digest.finalize()


def sign(key, scheme, data):
    if scheme == 0x0807:
        return key.sign(data)
    if scheme in CURVE_HASHES:
        return key.sign(data, ec.ECDSA(CURVE_HASHES[scheme]()))
    algorithm = PSS_HASHES[scheme]()
    return key.sign(data, padding.PSS(padding.MGF1(algorithm), algorithm.digest_size), algorithm)


def check(public_key, scheme, signature, data):
    """Raises cryptography's InvalidSignature."""
    if scheme in CURVE_HASHES:
        public_key.verify(signature, data, ec.ECDSA(CURVE_HASHES[scheme]()))
    else:
        algorithm = PSS_HASHES[scheme]()
        public_key.verify(signature, data, padding.PSS(padding.MGF1(algorithm), algorithm.digest_size), algorithm)


def client_signature(device_key, scheme, whole_transcript, hash_number):
    return sign(device_key, scheme, content(CLIENT, whole_transcript, hash_number))
