"""The peers, each with its configuration: one process or worker, TLS 1.3, a client certificate demanded, P-256 keys.

A peer has a name, a kind (how it compares), the packages it needs and the server that `start` brings up. `load_options`
tells the load generator how to reach it. All of them forward to the same target.
"""
import os
import pathlib
import subprocess
import time

from materials import answers, free_port, run
from processes import BenchError, Server, pinned

LIMIT = "limit"              # not a peer: what the path or the library costs by itself
TLS_PER_TUNNEL = "tls"       # every tunnel is a TLS connection
HTTP2 = "http2"              # tunnels are streams
SSH = "ssh"                  # tunnels are channels
SALLYPORT = "sallyport"

IDLE_SECONDS = 3600


class Peer:
    name = kind = None
    packages = ()
    way = "tls"
    figures = ("connection", "tunnel", "bulk", "pingpong", "memory")
    many_tunnels = True        # serves more than one at the same time
    idle_kinds = ("tunnel",)   # a connection is a tunnel: one figure is both

    def __init__(self, materials):
        self.materials = materials
        self.port = free_port()
        self.folder = materials.subfolder(self.name)
        self.server = None

    def command(self):
        raise NotImplementedError

    def start(self):
        self.server = Server(self.name, self.command(), self.materials.server_core, self.materials.log(self.name))
        self.server.wait_until(lambda: answers(self.port))
        return self

    def stop(self):
        if self.server:
            self.server.stop()
            self.server = None

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_):
        self.stop()

    @property
    def target_port(self):
        return self.materials.target_port

    def load_options(self):
        options = ["--way", self.way, "--port", self.port, "--target-port", self.target_port]
        if self.way in ("tls", "h2"):
            options += ["--authority", self.materials.authority, "--certificate", self.materials.certificate("client"),
                        "--key", self.materials.key("client")]
        return options

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path


class Relay(Peer):
    """The limit of the path: copies, and does nothing else."""
    name, kind, way = "relay", LIMIT, "plain"

    def command(self):
        return [self.materials.programs / "relay", self.port, self.target_port]


class BareTls(Peer):
    """GnuTLS with nothing around it; it is its own target and serves one connection after the other."""
    name, kind = "bare_tls", LIMIT
    figures = ("connection", "bulk", "pingpong")
    many_tunnels = False

    def command(self):
        own = self.materials
        return [own.programs / "bare_tls", self.port, own.certificate("server"), own.key("server"), own.authority]


class Stunnel(Peer):
    name, kind, packages = "stunnel", TLS_PER_TUNNEL, ("stunnel4",)

    def command(self):
        own = self.materials
        return ["/usr/bin/stunnel4", self.write("stunnel.conf", f"""foreground = yes
pid =
debug = err
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
[bench]
accept = 127.0.0.1:{self.port}
connect = 127.0.0.1:{self.target_port}
cert = {own.certificate("server")}
key = {own.key("server")}
CAfile = {own.authority}
verifyChain = yes
requireCert = yes
sslVersion = TLSv1.3
TIMEOUTidle = {IDLE_SECONDS}
""")]


class Haproxy(Peer):
    name, kind, packages = "haproxy", TLS_PER_TUNNEL, ("haproxy",)

    def command(self):
        own = self.materials
        return ["/usr/sbin/haproxy", "-f", self.write("haproxy.cfg", f"""global
  nbthread 1
  maxconn 4000
defaults
  mode tcp
  timeout connect 5s
  timeout client {IDLE_SECONDS}s
  timeout server {IDLE_SECONDS}s
listen bench
  bind 127.0.0.1:{self.port} ssl crt {own.both("server")} ca-file {own.authority} verify required ssl-min-ver TLSv1.3
  server target 127.0.0.1:{self.target_port}
""")]


class Nginx(Peer):
    name, kind, packages = "nginx", TLS_PER_TUNNEL, ("nginx-light", "libnginx-mod-stream")

    def command(self):
        own = self.materials
        conf = self.write("nginx.conf", f"""load_module /usr/lib/nginx/modules/ngx_stream_module.so;
user root;
worker_processes 1;
daemon off;
pid {self.folder}/pid;
error_log {self.folder}/error.log;
events {{ worker_connections 8192; }}
stream {{
  server {{
    listen 127.0.0.1:{self.port} ssl;
    ssl_certificate {own.certificate("server")};
    ssl_certificate_key {own.key("server")};
    ssl_client_certificate {own.authority};
    ssl_verify_client on;
    ssl_protocols TLSv1.3;
    ssl_session_cache shared:bench:10m;
    proxy_pass 127.0.0.1:{self.target_port};
    proxy_timeout {IDLE_SECONDS}s;
  }}
}}
""")
        return ["/usr/sbin/nginx", "-c", conf, "-e", self.folder / "error.log"]


class Hitch(Peer):
    name, kind, packages = "hitch", TLS_PER_TUNNEL, ("hitch",)

    def command(self):
        own = self.materials
        return ["/usr/sbin/hitch", "--config", self.write("hitch.conf", f"""frontend = "[127.0.0.1]:{self.port}"
backend = "[127.0.0.1]:{self.target_port}"
pem-file = "{own.both("server")}"
workers = 1
daemon = off
user = "root"
client-verify = required
client-verify-ca = "{own.authority}"
tls-protos = TLSv1.3
""")]


class Nghttpx(Peer):
    """The HTTP/2 peer: CONNECT streams on one connection, each handed on to the target as an HTTP/1.1 CONNECT."""
    name, kind, way, packages = "nghttpx", HTTP2, "h2", ("nghttp2-proxy",)
    idle_kinds = ("connection", "tunnel")

    def command(self):
        own = self.materials
        return ["/usr/sbin/nghttpx", "--conf", self.write("nghttpx.conf", f"""frontend=127.0.0.1,{self.port}
backend=127.0.0.1,{self.target_port}
http2-proxy=yes
workers=1
private-key-file={own.key("server")}
certificate-file={own.certificate("server")}
verify-client=yes
verify-client-cacert={own.authority}
tls-min-proto-version=TLSv1.3
backend-connections-per-host=4096
frontend-http2-max-concurrent-streams=2048
frontend-http2-window-size=1048576
frontend-http2-connection-window-size=16777216
frontend-http2-read-timeout={IDLE_SECONDS}
frontend-write-timeout={IDLE_SECONDS}
stream-read-timeout={IDLE_SECONDS}
stream-write-timeout={IDLE_SECONDS}
backend-read-timeout={IDLE_SECONDS}
backend-write-timeout={IDLE_SECONDS}
accesslog-file=/dev/null
""")]


class OpenSsh(Peer):
    """sshd with channels (direct-tcpip); the client is ssh -D, which the load asks by SOCKS 5. Only sshd is measured.
    """
    name, kind, way, packages = "openssh", SSH, "socks", ("openssh-server", "openssh-client")
    idle_kinds = ("connection", "tunnel")
    run_folder = pathlib.Path("/run/sshd")

    def __init__(self, materials):
        super().__init__(materials)
        self.made_run_folder = False
        self.client = None
        self.socks_port = free_port()

    def command(self):
        for name in ("host", "user"):
            run(["ssh-keygen", "-q", "-t", "ecdsa", "-b", "256", "-N", "", "-f", self.folder / name])
        self.write("authorized", (self.folder / "user.pub").read_text())
        host_key = (self.folder / "host.pub").read_text()
        self.write("known", f"[127.0.0.1]:{self.port} {host_key}")
        if not self.run_folder.exists():
            self.run_folder.mkdir(mode=0o755)
            self.made_run_folder = True
        return ["/usr/sbin/sshd", "-D", "-e", "-f", self.write("sshd.conf", f"""ListenAddress 127.0.0.1:{self.port}
HostKey {self.folder}/host
AuthorizedKeysFile {self.folder}/authorized
PidFile none
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
AllowTcpForwarding yes
MaxStartups 500
LogLevel ERROR
""")]

    def ssh(self, *options):
        """The cipher is that of the TLS peers."""
        settings = {"UserKnownHostsFile": self.folder / "known", "StrictHostKeyChecking": "yes", "BatchMode": "yes",
                    "IdentitiesOnly": "yes", "ExitOnForwardFailure": "yes", "Ciphers": "aes128-gcm@openssh.com"}
        pairs = [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
        return ["ssh", "-F", "none", *pairs, "-i", self.folder / "user", "-p", self.port, *options, "127.0.0.1"]

    def open_client(self, socks_port):
        """A client that has logged in: it listens only then."""
        client = subprocess.Popen(pinned(self.materials.load_core, self.ssh("-N", "-D", f"127.0.0.1:{socks_port}")),
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        deadline = time.monotonic() + 20
        while not answers(socks_port):
            if client.poll() is not None or time.monotonic() > deadline:
                client.kill()
                raise BenchError(f"ssh: {client.stderr.read().decode().strip()}")
            time.sleep(0.02)
        return client

    def visit(self):
        """A connection with one tiny exchange."""
        command = pinned(self.materials.load_core, self.ssh("-W", f"127.0.0.1:{self.target_port}"))
        done = subprocess.run(command, input=b"ex", capture_output=True, check=False)
        if done.stdout != b"x":
            raise BenchError(f"ssh: {done.stderr.decode().strip()}")

    def start(self):
        super().start()
        self.client = self.open_client(self.socks_port)
        return self

    def stop(self):
        if self.client:
            self.client.terminate()
            self.client.wait()
            self.client = None
        super().stop()
        if self.made_run_folder and not os.listdir(self.run_folder):
            self.run_folder.rmdir()
            self.made_run_folder = False

    def load_options(self):
        return ["--way", "socks", "--port", self.socks_port, "--target-port", self.target_port]


PEERS = {peer.name: peer for peer in (Relay, BareTls, Stunnel, Haproxy, Nginx, Hitch, Nghttpx, OpenSsh)}
