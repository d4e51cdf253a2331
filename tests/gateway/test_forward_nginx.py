"""Plain pages of a real nginx: what a company's wiki does all day, through the gateway and unchanged."""
import gzip
import hashlib
import os
import shutil

import pytest

import api
from pages import Http1, Http2
from targets import allow
from world import free_port

PAGE = b"Company handbook. " * 5000
LARGE = os.urandom(1 << 20) * 12


class Intranet:
    """An nginx with a page, a large file, a page made of parts (chunked), and a place to put files."""

    def __init__(self, world):
        self.world, self.port = world, free_port()
        self.folder = world.private_folder("intranet")
        for name in ("pages", "pages/parts", "pages/up", "pages/small"):
            (self.folder / name).mkdir(exist_ok=True)
        (self.folder / "pages" / "handbook.txt").write_bytes(PAGE)
        (self.folder / "pages" / "large.bin").write_bytes(LARGE)
        (self.folder / "pages" / "parts" / "index.html").write_text('<h1>Parts</h1><!--#include virtual="/handbook.txt" -->')
        temporary = "".join(f"{kind}_temp_path {self.folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        conf = self.folder / "nginx.conf"
        conf.write_text(f"""user root; worker_processes 1; daemon off; pid {self.folder}/pid; error_log {self.folder}/error.log;
events {{ worker_connections 512; }}
http {{ access_log off; {temporary} default_type text/plain; gzip on; gzip_proxied any; gzip_types text/plain; keepalive_timeout 65;
  server {{ listen 127.0.0.1:{self.port}; root {self.folder}/pages;
    location /parts/ {{ ssi on; gzip off; default_type text/html; }}
    location /moved {{ return 302 http://$http_host/handbook.txt; }}
    location /up/ {{ dav_methods PUT DELETE; client_max_body_size 64m; }}
    location /small/ {{ dav_methods PUT; client_max_body_size 1m; }} }} }}
""")
        binary = shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin:/bin")
        world.spawn_inside("intranet", [binary, "-c", conf, "-e", self.folder / "error.log"], self.port)

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"


@pytest.fixture(scope="module")
def intranet(world):
    made = Intranet(world)
    allow(world, made.port)
    yield made
    world.stop_process("intranet")


@pytest.fixture(scope="module", params=[Http1, Http2], ids=["h1", "h2"])
def client(world, intranet, request):
    """One connection for all: it must stay good."""
    made = request.param(world, api.login(world).body["session"])
    yield made
    made.close()


def test_a_page_as_it_is_and_compressed(client, intranet):
    plain = client.ask(intranet.url("/handbook.txt"))
    assert (plain.status, plain.body) == (200, PAGE) and plain.headers["content-length"] == str(len(PAGE))
    packed = client.ask(intranet.url("/handbook.txt"), headers=[("Accept-Encoding", "gzip")])
    assert packed.headers["content-encoding"] == "gzip" and gzip.decompress(packed.body) == PAGE and len(packed.body) < len(PAGE)


def test_a_page_in_chunks(client, intranet):
    answer = client.ask(intranet.url("/parts/"))
    assert answer.status == 200 and answer.body == b"<h1>Parts</h1>" + PAGE and "content-length" not in answer.headers


def test_a_large_file_arrives_unchanged(client, intranet):
    answer = client.ask(intranet.url("/large.bin"))
    assert answer.headers["content-length"] == str(len(LARGE))
    assert hashlib.sha256(answer.body).digest() == hashlib.sha256(LARGE).digest()


def test_a_part_of_it(client, intranet):
    answer = client.ask(intranet.url("/large.bin"), headers=[("Range", "bytes=1000000-1999999")])
    assert (answer.status, answer.body) == (206, LARGE[1000000:2000000])
    assert answer.headers["content-range"] == f"bytes 1000000-1999999/{len(LARGE)}"


def test_head_and_what_has_not_changed(client, intranet):
    head = client.ask(intranet.url("/large.bin"), "HEAD")
    assert (head.status, head.headers["content-length"], head.body) == (200, str(len(LARGE)), b"")
    same = client.ask(intranet.url("/large.bin"), headers=[("If-None-Match", head.headers["etag"])])
    assert (same.status, same.body) == (304, b"")


def test_a_redirect_is_the_browsers_matter(client, intranet):
    answer = client.ask(intranet.url("/moved"))
    assert answer.status == 302 and answer.headers["location"] == intranet.url("/handbook.txt")


def test_20_mib_on_their_way_up(client, intranet):
    body = os.urandom(1 << 20) * 20
    name = f"/up/{type(client).__name__}"
    answer = client.ask(intranet.url(name), "PUT", [("Content-Length", str(len(body)))], body)
    assert answer.status == 201, answer.body
    stored = (intranet.folder / "pages").joinpath(name[1:]).read_bytes()
    assert hashlib.sha256(stored).digest() == hashlib.sha256(body).digest()
    assert client.ask(intranet.url(name), "DELETE").status == 204


def test_what_nginx_finds_too_large_is_said_so(world, intranet):
    """It answers before the body is whole, and reads no more."""
    token = api.login(world).body["session"]
    for kind in (Http1, Http2):
        client = kind(world, token)
        answer = client.ask(intranet.url("/small/x"), "PUT", [("Content-Length", str(3 << 20))], bytes(3 << 20))
        assert answer.status == 413 and b"nginx" in answer.body
        client.close()
