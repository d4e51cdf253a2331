"""A machine for the package tests: a minimal Debian root with a real systemd in it, booted by systemd-nspawn.

The root is a copy of the one that packaging/build makes. The machine has a network of its own; wires between machines
are pairs of virtual interfaces. Nothing of the host takes part in what runs inside.
"""
import os
import pathlib
import pty
import select
import shutil
import signal
import subprocess
import time

# systemd-nspawn wants a /run and a cgroup tree of its own where the host's first process is no systemd. The machine
# lives in that private mount namespace and ends with it. Landlock is not among the calls that it allows by itself.
BOOT = r"""
mount --make-rprivate /
mount -t tmpfs tmpfs /run
umount -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p /sys/fs/cgroup/$1
echo $$ > /sys/fs/cgroup/$1/cgroup.procs
SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 exec systemd-nspawn -D "$0" --machine="$1" --register=no --keep-unit --quiet --boot \
    --private-network --resolv-conf=off --console=pipe \
    --system-call-filter="landlock_create_ruleset landlock_add_rule landlock_restrict_self"
"""
REMOVE_CGROUP = """
umount -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
find /sys/fs/cgroup/$0 -depth -type d -exec rmdir {} + 2>/dev/null
"""


class MachineError(Exception):
    """Something did not work; the text has the command and what it said."""


def run(command, **options):
    done = subprocess.run([str(word) for word in command], text=True, capture_output=True, check=False, **options)
    if done.returncode != 0:
        raise MachineError(f"{command} failed ({done.returncode}):\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return done.stdout


def wait_until(condition, what, seconds=60, interval=0.1):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(interval)
    raise MachineError(f"{what} did not happen within {seconds} s")


class Machine:
    def __init__(self, base, folder, name):
        self.name = f"sp-{name}-{os.getpid()}"
        self.root = pathlib.Path(folder) / name
        self.log = pathlib.Path(folder) / f"{name}.log"
        self.process = self.leader = None
        self.spawned = []
        run(["cp", "-a", "--reflink=auto", base, self.root])
        self.root.joinpath("etc/hostname").write_text(name + "\n")

    # ---- before the start ---------------------------------------------------------------------------

    def chroot(self, *command, **options):
        """Runs a command in the root with the host's network, as whoever prepares an image does."""
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
        return run(["unshare", "-m", "--propagation", "private", "sh", "-c",
                    'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"', self.root, *command], env=environment, **options)

    def add_repository(self, repository, *packages):
        """Makes a local repository known to apt, and fetches what `packages` need: the network ends at the boot."""
        shutil.copytree(repository, self.root / "srv" / "sallyport")
        self.root.joinpath("etc/apt/sources.list.d/sallyport.list").write_text("deb [trusted=yes] file:/srv/sallyport ./\n")
        self.chroot("apt-get", "update", "-q")
        self.chroot("apt-get", "install", "-y", "-q", "--download-only", *packages)

    # ---- life ---------------------------------------------------------------------------------------

    def boot(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(["unshare", "-m", "sh", "-ec", BOOT, self.root, self.name],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.leader = wait_until(self._find_leader, f"{self.name}: the first process (log: {self.log})", 20)
        wait_until(self._is_up, f"{self.name}: the start of systemd (log: {self.log})")
        return self

    def _find_leader(self):
        if self.process.poll() is not None:
            raise MachineError(f"{self.name} ended: {self.log.read_text(errors='replace')[-2000:]}")
        done = subprocess.run(["pgrep", "-P", str(self.process.pid)], text=True, capture_output=True, check=False)
        for pid in done.stdout.split():
            try:
                if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == "systemd":
                    return int(pid)
            except OSError:
                pass  # one that was gone by then
        return None

    def _is_up(self):
        done = subprocess.run(self.inside(["systemctl", "is-system-running"]), text=True, capture_output=True, check=False)
        return done.stdout.strip() in ("running", "degraded")

    def stop(self):
        # The end of a machine waits for those whose parent is outside.
        for process in self.spawned:
            process.kill()
            process.wait()
        if self.process and self.process.poll() is None:
            subprocess.run(self.inside(["systemctl", "poweroff"]), capture_output=True, check=False)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                os.kill(self.leader, signal.SIGKILL)
                self.process.wait()
        subprocess.run(["unshare", "-m", "sh", "-c", REMOVE_CGROUP, self.name], capture_output=True, check=False)

    # ---- commands -----------------------------------------------------------------------------------

    def inside(self, command, user=None):
        enter = ["nsenter", "-t", str(self.leader), "-m", "-p", "-u", "-i", "-n", "-r", "-w", "env", "-i",
                 "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "TERM=dumb"]
        if user:
            enter += [f"HOME=/home/{user}", f"USER={user}", "setpriv", "--reuid", user, "--regid", user, "--init-groups"]
        else:
            enter += ["HOME=/root", "USER=root"]
        return enter + [str(word) for word in command]

    def run(self, line, user=None, **options):
        """Runs a line of shell and returns what it printed."""
        return run(self.inside(["bash", "-c", f"cd; {line}"], user), **options)

    def spawn(self, line, user=None, **options):
        self.spawned.append(subprocess.Popen(self.inside(["bash", "-c", f"cd; {line}"], user), text=True, **options))
        return self.spawned[-1]

    def converse(self, line, answers, user=None, seconds=60):
        """Runs a line at a terminal; types each answer when its prompt has come. Returns what the terminal showed."""
        command = self.inside(["bash", "-c", f"cd; {line}"], user)
        pid, terminal = pty.fork()
        if pid == 0:
            os.execvp(command[0], command)
        shown, left, deadline = "", list(answers), time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not select.select([terminal], [], [], 0.5)[0]:
                continue
            try:
                more = os.read(terminal, 4096).decode(errors="replace")
            except OSError:
                break
            if not more:
                break
            shown += more
            if left and left[0][0].lower() in shown.lower():
                time.sleep(0.2)
                os.write(terminal, (left.pop(0)[1] + "\n").encode())
        else:
            os.kill(pid, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os.close(terminal)
        if status != 0 or left:
            raise MachineError(f"{line!r} ended with {status}; the terminal showed:\n{shown}")
        return shown

    # ---- network ------------------------------------------------------------------------------------

    def address(self, interface, address):
        """Gives an interface of the machine an address and brings it up."""
        give_address(self.leader, interface, address)

    def knows_host(self, name, address):
        with self.root.joinpath("etc/hosts").open("a") as hosts:
            hosts.write(f"{address} {name}\n")


def give_address(pid, interface, address):
    in_network = ["nsenter", "-t", str(pid), "-n", "ip"]
    run([*in_network, "addr", "add", address, "dev", interface])
    run([*in_network, "link", "set", interface, "up"])


def wire(one, its_interface, its_address, other, others_interface, others_address):
    """Joins two network namespaces, named by a process of each."""
    run(["ip", "link", "add", "name", its_interface, "netns", one, "type", "veth", "peer", "name", others_interface,
         "netns", other])
    give_address(one, its_interface, its_address)
    give_address(other, others_interface, others_address)
