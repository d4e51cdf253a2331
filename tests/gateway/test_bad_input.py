"""E5: bad input of every kind gets one clear sentence; nothing crashes, and the next client is served."""
import json
import os
import select
import socket
import ssl
import subprocess
import time

import pytest

import api
import clients


@pytest.fixture(autouse=True)
def next_client_is_served(world):
    yield
    assert world.gateway.poll() is None, world.log_end("gateway")
    assert api.call(world, "GET", "/v1/session").status == 401


def gateway(world, *arguments, conf=None):
    return subprocess.run([world.program("sallyport-gateway"), "-f", str(conf or world.conf), *arguments], text=True,
                          capture_output=True, check=False, timeout=60)


def broken_conf(world, old, new):
    """The world's configuration with one thing changed, in a file of its own."""
    conf = world.path("etc", "broken.conf")
    conf.write_text(world.conf.read_text() + new if old is None else world.conf.read_text().replace(old, new))
    os.chmod(conf, 0o600)
    return conf


def one_sentence(done, *words):
    assert done.returncode != 0
    lines = [line for line in done.stderr.strip().splitlines() if line]
    assert 1 <= len(lines) <= 3, done.stderr
    for word in words:
        assert word in done.stderr, done.stderr


@pytest.mark.parametrize("line, words", [
    ('login_grase = "10s"', ("login_grase", "login_grace")),
    ('login_grace = "10"', ("login_grace", "unit")),
    ('login_grace = "10 parsecs"', ("login_grace",)),
    ('spare_workers = "many"', ("spare_workers",)),
    ('store = "relative.db"', ("store", "absolute")),
    ('login_grace = {"1s", "2s"', ()),
    ('log_level = "loud"', ("log_level",)),
], ids=["unknown-key", "no-unit", "wrong-unit", "not-a-number", "relative-path", "unclosed", "unknown-level"])
def test_a_configuration_error_names_file_line_and_field(world, line, words):
    conf = broken_conf(world, None, line + "\n")
    number = len(conf.read_text().splitlines())
    one_sentence(gateway(world, "-T", conf=conf), f"broken.conf:{number}", *words)


def test_an_emptied_list_is_taken_as_such(world):
    one_sentence(gateway(world, "-T", conf=broken_conf(world, None, "listen = {}\n")), "broken.conf", "listen", "1 to 16")


def test_a_missing_configuration(world):
    one_sentence(gateway(world, "-T", conf=world.path("etc", "none.conf")), "none.conf", "No such file")


def test_a_missing_key_file(world):
    conf = broken_conf(world, None, f'server_key = "{world.path("etc", "no.key")}"\n')
    one_sentence(gateway(world, "-T", conf=conf), "no.key")


def test_F4_a_key_that_others_can_read(world):
    key = world.path("etc", "open.key")
    key.write_bytes(world.path("etc", "server.key").read_bytes())
    os.chmod(key, 0o644)
    conf = broken_conf(world, None, f'server_key = "{key}"\n')
    one_sentence(gateway(world, "-T", conf=conf), "open.key", "chmod")


def test_a_policy_that_does_not_parse(world):
    policy = world.path("etc", "broken-policy.conf")
    policy.write_text('resource "a" { address = {"h:1"} }\nrule "r" { users = {"alice"} resources = {"b"} }\n')
    conf = broken_conf(world, None, f'policy = "{policy}"\n')
    one_sentence(gateway(world, "-T", conf=conf), "broken-policy.conf:2", '"b"')


@pytest.mark.parametrize("service, words", [("no-such-stack", ("no-such-stack", "pam_service")), ("../passwd", ("pam_service",)),
                                            ("", ("pam_service",))], ids=["missing", "path", "empty"])
def test_a_pam_service_that_is_none(world, service, words):
    conf = broken_conf(world, None, f'pam_service = "{service}"\n')
    one_sentence(gateway(world, "-T", conf=conf), *words)


def test_T_prints_what_is_in_force(world):
    done = gateway(world, "-T")
    assert done.returncode == 0, done.stderr
    assert "login_grace" in done.stdout and "10s" in done.stdout and str(world.database) in done.stdout


def csr(world, *arguments):
    path = world.path("bad.csr")
    subprocess.run(["openssl", "req", "-new", "-nodes", "-keyout", "/dev/null", "-subj", "/CN=x", "-out", str(path),
                    *arguments], check=True, capture_output=True)
    return path


def add_device(world, path, name="bad-csr"):
    return subprocess.run([world.program("sallyport-admin"), "--socket", str(world.admin_socket), "device", "add", name,
                           "--user", "alice", "--csr", str(path)], text=True, capture_output=True, check=False)


def test_a_csr_that_is_none(world):
    garbage = world.path("garbage.csr")
    for content in (b"", b"hello\n", os.urandom(500), b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n"
                    b"-----END CERTIFICATE REQUEST-----\n", b"A" * 65536):
        garbage.write_bytes(content)
        one_sentence(add_device(world, garbage), "garbage.csr")


def test_a_csr_with_a_weak_key(world):
    one_sentence(add_device(world, csr(world, "-newkey", "rsa:1024")), "2048")


def test_a_csr_with_a_bad_self_signature(world):
    path = csr(world, "-newkey", "rsa:2048", "-outform", "DER")
    content = bytearray(path.read_bytes())
    content[-5] ^= 0xff
    path.write_bytes(content)
    one_sentence(add_device(world, path), "signature")


@pytest.mark.parametrize("name", ["", "UPPER", "a/b", "../x", "a" * 200, "a b", "-x", "a\nb"])
def test_a_device_name_that_is_none(world, name):
    done = add_device(world, csr(world, "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"), name)
    assert done.returncode in (1, 2) and done.stderr.strip()


def post(world, body, kind="application/json", path="/v1/login"):
    device = world.laptops["alice-laptop"]
    done = subprocess.run(["curl", "-sS", "--cacert", str(world.path("etc", "server-ca.crt")), "--cert",
                           str(device.certificate), "--key", str(device.key), "-H", f"Content-Type: {kind}",
                           "-w", "\n%{http_code}", "--data-binary", "@-", world.url + path], input=body,
                          capture_output=True, check=False)
    text, _, status = done.stdout.rpartition(b"\n")
    return api.Answer(int(status), text.decode(), done.stderr.decode())


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"user":1}', b'{"user":""}', b'{"user":"a","x":1}',
                                  b'{"user":"a","user":"b"}', b'{"user":"a\\u0000b"}', b'\xff\xfe', b'{"user":"a"} x',
                                  b'[' * 10000, b'{"user":"' + b"a" * 1000 + b'"}'])
def test_json_that_is_none(world, body):
    answer = post(world, body)
    assert answer.status == 400, answer.text
    assert answer.body["code"] == "bad_request" and answer.body["detail"] and answer.body["request_id"]


def test_a_body_too_large(world):
    answer = post(world, b'{"user":"' + b"a" * 400000 + b'"}')
    assert (answer.status, answer.body["code"]) == (413, "too_large")


def test_wrong_content_type_path_and_method(world):
    assert post(world, b'{"user":"a"}', "text/plain").status in (400, 415)
    assert api.call(world, "GET", "/nowhere").status == 404
    assert api.call(world, "PUT", "/v1/login").status == 405


def test_a_head_of_one_mebibyte(world):
    """Sent as quick as it goes, by a client that reads what comes: the refusal arrives whole, then the end."""
    head = b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * (1 << 20) + b"\r\n\r\n"
    with clients.connect(world, alpn=("http/1.1",)) as peer:
        peer.setblocking(False)
        received, ended, deadline = b"", False, time.monotonic() + 20
        while not ended and time.monotonic() < deadline:
            select.select([peer], [peer] if head else [], [], 1)
            try:
                while piece := peer.recv(65536):
                    received += piece
                ended = True
            except ssl.SSLWantReadError:
                pass
            try:
                head = head[peer.send(head[:16384]):] if head else head
            except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
                pass
            except OSError:
                head = b""  # it takes no more; what it has said may still come
        assert ended, "the connection stays open"
    top, _, body = received.partition(b"\r\n\r\n")
    assert top.startswith(b"HTTP/1.1 431 "), top[:200]
    problem = json.loads(body)
    assert (problem["status"], problem["code"]) == (431, "too_large") and problem["detail"] and problem["request_id"]


@pytest.mark.parametrize("head", [
    b"POST /v1/login HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /v1/login HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    b"POST /v1/login HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\nhello",
    b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n",
    b"GET / HTTP/1.1\nHost: x\n\rX: y\r\n\r\n",
    b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
    b"\x00\x01\x02\x03\r\n\r\n",
], ids=["te-and-cl", "two-lengths", "plus-length", "space-before-colon", "folded", "bare-cr", "version", "binary"])
def test_ambiguous_framing_closes_the_connection(world, head):
    with clients.connect(world, alpn=("http/1.1",)) as peer:
        peer.sendall(head)
        try:
            status, _, rest = clients.read_head(peer)
            while peer.recv(65536):
                pass
        except OSError:
            status = 0
        assert status in (0, 400, 411, 417, 431, 501, 505), status


def test_admin_socket_drops_only_the_client_that_misbehaves(world):
    for garbage in (b"\0" * 100, b"POST /v1/devices HTTP/1.1\r\nContent-Length: 3\r\n\r\n{{{", b"GET / HTTP/1.1\r\n\r\n"):
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(5)
            peer.connect(str(world.admin_socket))
            peer.sendall(garbage)
            peer.shutdown(socket.SHUT_WR)
            try:
                while peer.recv(65536):
                    pass
            except OSError:
                pass
    world.admin("status")
