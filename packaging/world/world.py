"""A whole Sallyport world in one folder: authority, gateway, users, laptops, internal servers.

Used by the demo (demo.py) and by the end-to-end tests (tests/gateway). Everything is real: PAM modules of the
distribution, nginx, sshd, openssl for the laptops' keys, and the programs as they are installed. It knows the
command lines and files of Sallyport as a user does; it imports nothing of it.
"""
import base64
import hashlib
import hmac
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent


class WorldError(Exception):
    """Something of the world did not start; the text says what, and where its log is."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition, what, seconds=30, interval=0.05):
    """Waits for condition() to be true; a bound for a hang, not a measure of time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(interval)
    raise WorldError(f"{what} did not happen within {seconds} s")


def answers(port, host="127.0.0.1"):
    try:
        socket.create_connection((host, port), 1).close()
        return True
    except OSError:
        return False


def run(command, **options):
    """Runs a command; its output is in the error when it fails."""
    done = subprocess.run([str(word) for word in command], text=True, capture_output=True, check=False, **options)
    if done.returncode != 0:
        raise WorldError(f"{command[0]} failed ({done.returncode}): {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


class User:
    """A person: password and one-time-code secret, as PAM's own files have them."""

    def __init__(self, name):
        self.name = name
        self.password = f"{name}-" + os.urandom(6).hex()
        self.secret = os.urandom(20)
        self.ahead_s = 0  # of his telephone's clock
        self._last_step = 0

    @property
    def secret_base32(self):
        return base64.b32encode(self.secret).decode()

    def forget_codes(self):
        self._last_step = 0

    def code(self):
        """A one-time code (RFC 6238) that was not used yet: the present one, or the next ones, which
        the window of the demo's PAM stack accepts ahead of time."""
        step = max(int(time.time() + self.ahead_s) // 30, self._last_step + 1)
        self._last_step = step
        digest = hmac.new(self.secret, step.to_bytes(8, "big"), hashlib.sha1).digest()
        offset = digest[-1] & 15
        number = int.from_bytes(digest[offset:offset + 4], "big") & 0x7FFFFFFF
        return f"{number % 1000000:06d}"


class Laptop:
    """A device: its key was made on it, the admin has invited it."""

    def __init__(self, folder, name, user):
        self.name, self.user = name, user
        self.key = folder / f"{name}.key"
        self.certificate = folder / f"{name}.crt"
        self.folder = folder / name  # what the user has in ~/.config


class World:
    """start() brings all of it up, stop() takes it down; in between `env()` tells where everything is."""

    server_name = "localhost"
    inside = "127.0.0.1"  # where the internal servers are
    inside_prefix = ()    # of their commands
    gateway_prefix = ()   # of the gateway's

    def __init__(self, folder, programs, quiet=False, settings=(), environment=None):
        self.folder = pathlib.Path(folder)
        self.programs = pathlib.Path(programs)
        self.quiet = quiet
        self.settings = list(settings)
        self.environment = environment or {}
        self.processes = {}
        self.users = {name: User(name) for name in ("alice", "bob", "carol")}
        self.laptops = {}
        self.port, self.enroll_port = free_port(), free_port()
        self.web, self.ssh, self.echo, self.denied = (free_port() for _ in range(4))

    # ---- places -------------------------------------------------------------------------------------

    def path(self, *parts):
        return self.folder.joinpath(*parts)

    @property
    def conf(self):
        return self.path("etc", "gateway.conf")

    @property
    def policy(self):
        return self.path("etc", "policy.conf")

    @property
    def database(self):
        return self.path("state", "sallyport.db")

    @property
    def admin_socket(self):
        return self.path("run", "admin.sock")

    @property
    def url(self):
        return f"https://{self.server_name}:{self.port}"

    @property
    def gateway(self):
        return self.processes["gateway"]

    def program(self, name):
        folder = "sbin" if name == "sallyport-gateway" else "bin"
        return str(self.programs / folder / name)

    def admin(self, *arguments, **options):
        """Runs sallyport-admin and returns what it printed."""
        return run([self.program("sallyport-admin"), "--socket", self.admin_socket, *arguments], **options)

    def client_environment(self, laptop="alice-laptop", user=None):
        device = self.laptops[laptop]
        return dict(os.environ, **self.environment, SALLYPORT_URL=self.url, SALLYPORT_CA=str(self.path("etc", "server-ca.crt")),
                    SALLYPORT_CERT=str(device.certificate), SALLYPORT_KEY=str(device.key),
                    SALLYPORT_USER=user or device.user, XDG_RUNTIME_DIR=str(self.private_folder("client", laptop)),
                    XDG_STATE_HOME=str(self.private_folder("client", laptop)),
                    XDG_CONFIG_HOME=str(self.private_folder("client", laptop)),
                    # Whoever reads it here expects English.
                    LC_ALL="C.UTF-8", LANGUAGE="",
                    PATH=f"{self.programs}/bin:{self.programs}/sbin:{os.environ.get('PATH', '/usr/bin:/bin')}")

    def private_folder(self, *parts):
        folder = self.path(*parts)
        folder.mkdir(parents=True, exist_ok=True)
        os.chmod(folder, 0o700)
        return folder

    # ---- making -------------------------------------------------------------------------------------

    def say(self, text):
        if not self.quiet:
            print(text, flush=True)

    def prepare(self):
        """Everything that stands on disk before the first start."""
        self.folder.mkdir(parents=True, exist_ok=True)
        os.chmod(self.folder, 0o711)
        run([self.program("sallyport-admin"), "init", "--name", self.server_name, "--dir", self.folder,
             "--listen", f"127.0.0.1:{self.port}", "--enroll-listen", f"127.0.0.1:{self.enroll_port}"])
        self.write_pam_stack()
        self.write_settings()
        self.write_policy()

    def conversation_identity(self):
        for line in self.conf.read_text().splitlines():
            key, _, value = line.partition("=")
            if key.strip() == "conversation_user":
                value = value.strip().strip('"')
                return int(value) if value.isdigit() else 0
        return 0

    def write_pam_stack(self):
        """A password module and a one-time-code module of the distribution, in a folder of their own."""
        folder = self.path("pam")
        folder.mkdir(exist_ok=True)
        stack = self.path("etc", "pam.d", "sallyport")
        stack.parent.mkdir(exist_ok=True)
        stack.write_text("# The demo's user door: a password, then a one-time code.\n"
                         f"auth requisite pam_pwdfile.so pwdfile={folder}/passwd\n"
                         f"auth required pam_oath.so usersfile={folder}/oath window=20 digits=6\n"
                         "account required pam_permit.so\n")
        passwords = [f"{user.name}:{run(['openssl', 'passwd', '-6', '-stdin'], input=user.password).strip()}"
                     for user in self.users.values()]
        (folder / "passwd").write_text("\n".join(passwords) + "\n")
        self.own_pam_file(folder / "passwd")
        self.forget_codes()
        os.chmod(folder, 0o700)
        if os.geteuid() == 0:
            os.chown(folder, *2 * [self.conversation_identity()])

    def own_pam_file(self, path):
        os.chmod(path, 0o600)
        if os.geteuid() == 0:
            os.chown(path, *2 * [self.conversation_identity()])

    def forget_codes(self):
        """The one-time-code module starts anew. It takes no code older than the last one it took: whoever uses codes
        ahead of their time would keep the present ones out for minutes."""
        path = self.path("pam", "oath")
        fresh = path.with_name("oath.new")
        fresh.write_text("".join(f"HOTP/T30/6\t{user.name}\t-\t{user.secret.hex()}\n" for user in self.users.values()))
        self.own_pam_file(fresh)
        fresh.replace(path)
        for user in self.users.values():
            user.forget_codes()

    def write_settings(self):
        with self.conf.open("a") as conf:
            conf.write("\n# What this world sets itself.\n")
            conf.write(f'pam_directory = "{self.path("etc", "pam.d")}"\n')
            conf.write(f'pam_writable = {{"{self.path("pam")}"}}\n')
            for line in self.settings:
                conf.write(line + "\n")

    def write_policy(self):
        self.policy.write_text(f'''# Who may reach what. Nothing else is allowed.
resource "wiki" {{ address = {{"{self.inside}:{self.web}"}}  description = "Company wiki" }}
resource "ssh"  {{ address = {{"{self.inside}:{self.ssh}"}}  description = "Shell host"  kind = ssh }}
resource "echo" {{ address = {{"{self.inside}:{self.echo}"}}  description = "TCP echo" }}
resource "vault" {{ address = {{"{self.inside}:{self.denied}"}}  description = "Nobody's yet" }}
rule "everybody reads the wiki" {{ users = {{"alice", "bob"}}  resources = {{"wiki"}} }}
rule "alice administers" {{ users = {{"alice"}}  resources = {{"ssh", "echo"}} }}
''')

    def invite(self, name, user):
        return self.admin("device", "invite", name, "--user", user).strip()

    def laptop_environment(self, folder):
        """What a person at that laptop has before anything is set up."""
        base = {name: value for name, value in os.environ.items() if not name.startswith("SALLYPORT_")}
        return dict(base, **self.environment, XDG_CONFIG_HOME=str(folder), XDG_RUNTIME_DIR=str(folder),
                    XDG_STATE_HOME=str(folder), HOME=str(folder))

    def enroll(self, name, user):
        """The admin invites, the laptop enrols itself; certificate and key also as files of their own."""
        laptop = Laptop(self.private_folder("laptops"), name, user)
        self.private_folder("laptops", name)
        run([self.program("sallyport"), "enroll", self.invite(name, user)], env=self.laptop_environment(laptop.folder))
        identity = laptop.folder / "sallyport" / "device.pem"
        laptop.certificate.write_text(run(["openssl", "x509", "-in", identity]))
        with open(os.open(laptop.key, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as key:
            key.write(run(["openssl", "pkey", "-in", identity]))
        self.laptops[name] = laptop
        return laptop

    # ---- processes ----------------------------------------------------------------------------------

    def spawn(self, name, command, ready=None, **options):
        log = self.path("log", f"{name}.log")
        log.parent.mkdir(exist_ok=True)
        with log.open("ab") as output:
            process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=output,
                                       stderr=output, start_new_session=True, **options)
        self.processes[name] = process
        if ready:
            def settled():
                if process.poll() is not None:
                    raise WorldError(f"{name} ended ({process.returncode}); its log: {log}\n{self.log_end(name)}")
                return ready()
            wait_until(settled, f"start of {name} (log: {log})")
        return process

    def log_end(self, name, lines=15):
        log = self.path("log", f"{name}.log")
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""

    def gateway_ready(self):
        try:
            self.admin("status", "--json")
            return answers(self.port)
        except WorldError:
            return False

    def start_gateway(self):
        return self.spawn("gateway", [*self.gateway_prefix, self.program("sallyport-gateway"), "-f", self.conf], self.gateway_ready)

    def spawn_inside(self, name, command, port):
        return self.spawn(name, [*self.inside_prefix, *command], lambda: answers(port, self.inside))

    def start_servers(self):
        self.start_nginx()
        self.start_sshd()
        for name, port in (("echo", self.echo), ("denied", self.denied)):
            self.spawn_inside(name, [sys.executable, "-B", HERE / "echo.py", port, self.inside], port)

    def start_nginx(self):
        folder = self.path("wiki")
        pages = folder / "pages"
        pages.mkdir(parents=True, exist_ok=True)
        (pages / "index.html").write_text("<h1>Company wiki</h1>\nOnly from inside.\n")
        conf = folder / "nginx.conf"
        user = "user root;\n" if os.geteuid() == 0 else ""
        conf.write_text(f'''{user}worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{ access_log off; sendfile on;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  server {{ listen {self.inside}:{self.web}; root {pages}; }} }}
''')
        binary = shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin:/bin")
        self.spawn_inside("nginx", [binary, "-c", conf, "-e", folder / "error.log"], self.web)

    def start_sshd(self):
        folder = self.private_folder("ssh")
        for name in ("host", "user"):
            if not (folder / name).exists():
                run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name])
        conf = folder / "sshd_config"
        conf.write_text(f'''ListenAddress {self.inside}:{self.ssh}
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
''')
        (folder / "known_hosts").write_text(f"[{self.inside}]:{self.ssh} {(folder / 'host.pub').read_text()}")
        if os.geteuid() == 0:
            os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
        binary = shutil.which("sshd", path="/usr/sbin:/usr/bin:/sbin:/bin")
        self.spawn_inside("sshd", [binary, "-D", "-e", "-f", conf], self.ssh)

    def start(self, laptops=("alice", "bob")):
        self.prepare()
        self.start_gateway()
        for user in laptops:
            self.enroll(f"{user}-laptop", user)
        self.start_servers()
        return self

    def stop_process(self, name, seconds=10):
        process = self.processes.pop(name, None)
        if not process:
            return None
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        return process.returncode

    def stop(self):
        for name in ("nginx", "sshd", "echo", "denied", *list(self.processes)):
            self.stop_process(name)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_):
        self.stop()

    # ---- telling ------------------------------------------------------------------------------------

    def env(self):
        alice, bob = self.users["alice"], self.users["bob"]
        laptop, other = self.laptops["alice-laptop"], self.laptops["bob-laptop"]
        local = f"{self.inside}:{{}}".format
        return {
            "SALLYPORT_URL": self.url, "SALLYPORT_CA": self.path("etc", "server-ca.crt"),
            "SALLYPORT_CERT": laptop.certificate, "SALLYPORT_KEY": laptop.key,
            "SALLYPORT_USER": alice.name, "SALLYPORT_PASSWORD": alice.password,
            "SALLYPORT_TOTP_SECRET": alice.secret_base32,
            "SALLYPORT_OTHER_CERT": other.certificate, "SALLYPORT_OTHER_KEY": other.key,
            "SALLYPORT_OTHER_USER": bob.name, "SALLYPORT_OTHER_PASSWORD": bob.password,
            "SALLYPORT_OTHER_TOTP_SECRET": bob.secret_base32,
            "SALLYPORT_DEVICE_CA": self.path("etc", "device-ca.crt"),
            "SALLYPORT_DEVICE_CA_KEY": self.path("etc", "device-ca.key"),
            "SALLYPORT_DB": self.database, "SALLYPORT_CONF": self.conf, "SALLYPORT_POLICY": self.policy,
            "SALLYPORT_ADMIN_SOCKET": self.admin_socket,
            "SALLYPORT_WEB": local(self.web), "SALLYPORT_SSH": local(self.ssh), "SALLYPORT_ECHO": local(self.echo),
            "SALLYPORT_DENIED": local(self.denied), "SALLYPORT_GATEWAY_PID": self.gateway.pid,
        }

    def write_env(self, path):
        """The last step of a start: whoever sees the file may use everything in it."""
        path = pathlib.Path(path)
        lines = [f"export {name}='{value}'" for name, value in self.env().items()]
        lines.append(f"export PATH='{self.programs}/bin:{self.programs}/sbin':\"$PATH\"")
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".env.")
        with os.fdopen(handle, "w") as output:
            output.write("\n".join(lines) + "\n")
        os.rename(temporary, path)
