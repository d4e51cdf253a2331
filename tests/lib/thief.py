"""A TLS client that shows one certificate and signs with the key of another.

OpenSSL and Python look whether they fit, and refuse to try; GnuTLS can be told not to look, and is asked here directly.
"""
import ctypes
import ctypes.util
import socket

GNUTLS = ctypes.CDLL("libgnutls.so.30")
CLIENT, X509, PEM = 2, 1, 1
SKIP_KEY_CERT_MATCH = 1
FATAL_ALERT_RECEIVED = -12
TRY_AGAIN = (-28, -52, -16)  # AGAIN, INTERRUPTED, WARNING_ALERT_RECEIVED
DECRYPT_ERROR, BAD_CERTIFICATE = 51, 42
REQUEST = b"GET /v1/session HTTP/1.1\r\nHost: localhost\r\n\r\n"


def again(call, *arguments):
    while (result := call(*arguments)) in TRY_AGAIN:
        pass
    return result


def converse(session):
    result = again(GNUTLS.gnutls_handshake, session)
    if result == 0:
        result = again(GNUTLS.gnutls_record_send, session, REQUEST, ctypes.c_size_t(len(REQUEST)))
    answer = ctypes.create_string_buffer(65536)
    if result >= 0:
        result = again(GNUTLS.gnutls_record_recv, session, answer, ctypes.c_size_t(len(answer)))
    if result == FATAL_ALERT_RECEIVED:
        return b"", GNUTLS.gnutls_alert_get(session)
    return answer.raw[:max(result, 0)], None


def ask(world, certificate, key):
    """One request: (what came back, the alert that ended the connection or None)."""
    credentials, session = ctypes.c_void_p(), ctypes.c_void_p()
    GNUTLS.gnutls_certificate_allocate_credentials(ctypes.byref(credentials))
    GNUTLS.gnutls_certificate_set_flags(credentials, SKIP_KEY_CERT_MATCH)
    loaded = GNUTLS.gnutls_certificate_set_x509_key_file(credentials, str(certificate).encode(), str(key).encode(), PEM)
    assert loaded >= 0, loaded
    GNUTLS.gnutls_init(ctypes.byref(session), CLIENT)
    GNUTLS.gnutls_set_default_priority(session)
    GNUTLS.gnutls_credentials_set(session, X509, credentials)
    try:
        with socket.create_connection(("127.0.0.1", world.port), 20) as peer:
            peer.setblocking(True)
            GNUTLS.gnutls_transport_set_int2(session, peer.fileno(), peer.fileno())
            GNUTLS.gnutls_handshake_set_timeout(session, 20000)
            GNUTLS.gnutls_record_set_timeout(session, 20000)
            return converse(session)
    finally:
        GNUTLS.gnutls_deinit(session)
        GNUTLS.gnutls_certificate_free_credentials(credentials)
