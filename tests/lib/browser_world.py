"""A world in which people work with a browser alone: a wiki by http and https that only the gateway reaches by its name, pages
of strangers outside, and browsers that know who they are."""
import contextlib
import http.server
import json
import os
import pathlib
import shutil
import ssl
import tempfile
import threading

from browsers import Chromium, Firefox, Store
from names import NameServer
from weather import Place
from world import World, run

WIKI, LEDGER, BOARD, FLIP = "wiki.corp.example", "ledger.corp.example", "board.corp.example", "flip.guests.example"
SHOP, ELSEWHERE = "shop.example", "elsewhere.example"
FRESH_SECONDS = 8
PASSPHRASE = "on the way to the browser"


class Inside(Place):
    """The internal network: one address in a network of its own, where ports 80 and 443 are free."""

    made = 0

    def __init__(self):
        Inside.made += 1
        subnet = f"10.{64 + os.getpid() % 128}.{Inside.made % 256}"
        self.address, link = f"{subnet}.2", f"sp{os.getpid()}x{Inside.made}"
        super().__init__()
        run(["ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", self.pid])
        run(["ip", "addr", "add", f"{subnet}.1/24", "dev", link])
        run(["ip", "link", "set", link, "up"])
        self.run(f"ip addr add {self.address}/24 dev eth0; ip link set eth0 up; ip route add default via {subnet}.1")


class Authority:
    """The company's own, for its internal servers; everybody's browser trusts it here."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.certificate, self.key = folder / "corp-ca.crt", folder / "corp-ca.key"
        run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
             "-subj", "/CN=Corp internal servers", "-addext", "keyUsage=critical,keyCertSign", "-keyout", self.key,
             "-out", self.certificate])

    def sign(self, *names):
        certificate, key = self.folder / f"{names[0]}.crt", self.folder / f"{names[0]}.key"
        listed = ",".join(f"DNS:{name}" for name in names)
        run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
             "-subj", f"/CN={names[0]}", "-addext", f"subjectAltName={listed}", "-addext", "basicConstraints=critical,CA:FALSE",
             "-addext", "extendedKeyUsage=serverAuth", "-CA", self.certificate, "-CAkey", self.key,
             "-keyout", key, "-out", certificate])
        return certificate, key


class BrowserWorld(World):
    """`realms`: names of realms that are asked for, each with a PAM service of its own, the usual one until a test writes it."""

    def __init__(self, *arguments, settings=(), realms=(), **options):
        self.network, self.realms = Inside(), realms
        self.inside, self.inside_prefix = self.network.address, self.network.prefix
        self.names = NameServer({name: [self.inside] for name in (WIKI, LEDGER, BOARD)})
        sections = [f'realm "{name}" {{ pam_service = "{name}" on_request = true }}' for name in realms]
        super().__init__(*arguments, settings=[f'resolver = {{"{self.names.address}"}}', *sections, *settings], **options)
        self.web, self.secure_web = 80, 443
        self.browsers = 0

    @property
    def http_wiki(self):
        return f"http://{WIKI}/"

    @property
    def https_wiki(self):
        return f"https://{WIKI}/"

    def prepare(self):
        super().prepare()
        self.corp = Authority(self.path("corp"))

    def write_pam_stack(self):
        super().write_pam_stack()
        usual = self.path("etc", "pam.d", "sallyport")
        for name in self.realms:
            shutil.copy(usual, usual.with_name(name))

    def write_policy(self):
        super().write_policy()
        self.policy.write_text(self.policy.read_text().replace(
            f'resource "wiki" {{ address = {{"{self.inside}:{self.web}"}}',
            f'resource "wiki" {{ address = {{"{WIKI}:80", "{WIKI}:443"}}  kind = web') + f'''
resource "ledger" {{ address = {{"{LEDGER}:80", "{LEDGER}:443"}}  description = "Ledger"  kind = web }}
resource "board" {{ address = {{"{BOARD}:80", "{BOARD}:443"}}  description = "Minutes of the board"  kind = web }}
resource "guests" {{ address = {{"*.guests.example:80"}} }}
rule "the ledger wants a fresh login" {{ users = {{"alice"}}  resources = {{"ledger"}}  fresh_login = "{FRESH_SECONDS}s" }}
rule "bob reads the minutes" {{ users = {{"bob"}}  resources = {{"board"}} }}
rule "alice looks at guests" {{ users = {{"alice"}}  resources = {{"guests"}} }}
''')

    def start_nginx(self):
        certificate, key = self.corp.sign(WIKI, LEDGER, BOARD)
        folder = self.path("wiki")
        pages = folder / "pages"
        pages.mkdir(parents=True, exist_ok=True)
        (pages / "index.html").write_text("<!DOCTYPE html><html lang=en><title>Company wiki</title><h1>Company wiki</h1>\n"
                                          "<p>Only from inside.</p>\n")
        with (pages / "large.bin").open("wb") as large:
            large.truncate(1 << 30)
        conf = folder / "nginx.conf"
        user = "user root;\n" if os.geteuid() == 0 else ""
        conf.write_text(f'''{user}worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{ access_log {folder}/access.log; sendfile on; add_header Cache-Control no-store;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  types {{ text/html html; application/octet-stream bin; }}
  server {{ listen {self.inside}:{self.web}; root {pages};
    location /slow {{ alias {pages}/; limit_rate 200k; }} }}
  server {{ listen {self.inside}:{self.secure_web} ssl http2; root {pages}; ssl_protocols TLSv1.2 TLSv1.3;
    ssl_certificate {certificate}; ssl_certificate_key {key};
    location /slow {{ alias {pages}/; limit_rate 200k; }} }}
}}
''')
        binary = shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin:/bin")
        self.spawn_inside("nginx", [binary, "-c", conf, "-e", folder / "error.log"], self.web)

    # ---- browsers ----

    def export(self, laptop):
        """`sallyport export-p12` on that laptop."""
        path = self.path("laptops", f"{laptop}.p12")
        if path.exists():
            return path
        read, write = os.pipe()
        os.write(write, f"{PASSPHRASE}\n{PASSPHRASE}\n".encode())
        os.close(write)
        try:
            run([self.program("sallyport"), "export-p12", path, "--answers-from", read], pass_fds=[read],
                env=self.laptop_environment(self.laptops[laptop].folder))
        finally:
            os.close(read)
        return path

    def browser(self, kind, laptop="alice-laptop", identity=True, policies=None, **options):
        """A new browser at that laptop. `policies`: instead of those that `sallyport-admin browser policy` prints."""
        self.browsers += 1
        folder = self.path("browsers", f"{kind}-{self.browsers}")
        store = Store(folder / ("profile" if kind == "firefox" else ".pki/nssdb"))
        store.trust("corp", self.corp.certificate)
        if identity:
            store.take(self.export(laptop), PASSPHRASE)
        made = self.policies(kind) if policies is None else policies
        return (Chromium if kind == "chromium" else Firefox)(folder, store, made, **options)

    def policies(self, kind):
        """As the administrator gives them to the fleet."""
        more = ["--authority-file", self.path("etc", "server-ca.crt")] if kind == "firefox" else []
        return json.loads(self.admin("browser", "policy", f"--{kind}", *more))


class Outside:
    """A stranger's web server, with a name and a certificate that the browser trusts: `pages` are {path: html}; what came, in
    order, is in `requests`."""

    def __init__(self, world, *names):
        self.pages, self.requests = {}, []
        outside = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                outside.requests.append((self.command, self.headers.get("Host"), self.path))
                body = outside.pages.get(self.path.partition("?")[0])
                self.send_response(200 if body is not None else 404)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len((body or "").encode())))
                self.end_headers()
                self.wfile.write((body or "").encode())

            def do_POST(self):
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.do_GET()

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*world.corp.sign(*names))
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, name, path="/"):
        return f"https://{name}:{self.port}{path}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@contextlib.contextmanager
def browser_world(programs, **options):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="sallyport-test.", dir="/tmp"))
    world = BrowserWorld(folder, programs, quiet=True, **options)
    try:
        yield world.start()
    finally:
        world.stop()
        world.names.close()
        world.network.end()
        shutil.rmtree(folder, ignore_errors=True)
