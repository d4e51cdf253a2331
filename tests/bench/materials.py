"""What every peer needs: packages, the C programs, certificates, ports, the target, a folder of its own."""
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile

from processes import BenchError, Server

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD_FOLDER = ROOT / "build-bench"
COMMON_PACKAGES = ("gcc", "libc6-dev", "meson", "ninja-build", "pkg-config", "libgnutls28-dev", "libnghttp2-dev",
                   "openssl", "curl", "util-linux")
POLICY = pathlib.Path("/usr/sbin/policy-rc.d")


def run(command, **options):
    """Runs a command; what it printed is in the error when it fails."""
    done = subprocess.run([str(word) for word in command], text=True, capture_output=True, check=False, **options)
    if done.returncode != 0:
        raise BenchError(f"{command[0]} failed ({done.returncode}): {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def is_installed(package):
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Status}", package], text=True, capture_output=True, check=False)
    return done.stdout.endswith(" installed")


def install(packages):
    """Installs what is missing. A package's server must not be started by its installation."""
    missing = [package for package in dict.fromkeys(packages) if not is_installed(package)]
    if not missing:
        return
    if os.geteuid() != 0:
        raise BenchError(f"these packages are missing: {' '.join(missing)}")
    print(f"installing {' '.join(missing)}", flush=True)
    made = not POLICY.exists()
    try:
        if made:
            POLICY.write_text("#!/bin/sh\nexit 101\n")
            POLICY.chmod(0o755)
        environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive", RUNLEVEL="1")
        run(["apt-get", "update", "-qq"], env=environment)
        run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing], env=environment)
    finally:
        if made:
            POLICY.unlink(missing_ok=True)


def build():
    """Compiles load, target, relay and bare_tls; returns their folder."""
    if not (BUILD_FOLDER / "build.ninja").exists():
        run(["meson", "setup", BUILD_FOLDER, HERE])
    run(["ninja", "-C", BUILD_FOLDER])
    return BUILD_FOLDER


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


class Materials:
    """The folder with certificates and logs, and the target; a context that takes all of it away again."""

    def __init__(self, programs, server_core, load_core):
        self.programs = programs
        self.server_core, self.load_core = server_core, load_core
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sallyport-bench.", dir="/tmp"))
        self.folder.chmod(0o711)
        self.target_port = free_port()
        self.target = None

    def __enter__(self):
        try:
            self.make_certificates()
            command = [self.programs / "target", self.target_port]
            self.target = Server("target", command, self.load_core, self.log("target"))
            self.target.wait_until(lambda: answers(self.target_port))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.target:
            self.target.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, *parts):
        return self.folder.joinpath(*parts)

    def log(self, name):
        return self.path(f"{name}.log")

    def subfolder(self, name):
        """A new, empty folder."""
        return pathlib.Path(tempfile.mkdtemp(prefix=f"{name}.", dir=self.folder))

    @property
    def authority(self):
        return self.path("authority.crt")

    def certificate(self, who):
        return self.path(f"{who}.crt")

    def key(self, who):
        return self.path(f"{who}.key")

    def both(self, who):
        """Key and certificate in one file, as haproxy and hitch want it."""
        return self.path(f"{who}.pem")

    def make_certificates(self):
        new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        run(["openssl", "req", "-x509", *new_key, "-days", "2", "-subj", "/CN=Bench authority",
             "-addext", "keyUsage=critical,keyCertSign,cRLSign",
             "-keyout", self.key("authority"), "-out", self.authority])
        for who, usage in (("server", "serverAuth"), ("client", "clientAuth")):
            extensions = self.path(f"{who}.ext")
            extensions.write_text(f"basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n"
                                  f"extendedKeyUsage={usage}\nsubjectAltName=DNS:localhost\n")
            request = self.path(f"{who}.csr")
            run(["openssl", "req", *new_key, "-subj", f"/CN=bench {who}", "-keyout", self.key(who), "-out", request])
            run(["openssl", "x509", "-req", "-in", request, "-CA", self.authority, "-CAkey", self.key("authority"),
                 "-days", "2", "-extfile", extensions, "-out", self.certificate(who)])
            self.both(who).write_text(self.key(who).read_text() + self.certificate(who).read_text())
            self.both(who).chmod(0o600)
