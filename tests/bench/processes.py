"""What a tree of processes costs, CPU time and memory; and pinning, starting, ending.

CPU time is read from a control group of the server's own, because a process that nobody reaps (SA_NOCLDWAIT, as with
Sallyport's workers) leaves its CPU time in no ancestor's cutime. Where no control group can be made, it is that of
the living processes plus the cutime/cstime that they hold for those they have reaped; a note then says so.
"""
import contextlib
import itertools
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
TICKS = os.sysconf("SC_CLK_TCK")
STACK_KIB = 16  # kernel stack of a thread on x86-64 and arm64
SERVER_NUMBERS = itertools.count(1)
UNIX_SOCKET_BYTES = 1088  # the kernel merges their slab with others, so it has no line in slabinfo


class BenchError(Exception):
    """A step of the benchmark failed; the text says which and why."""


def kill_quietly(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


# ---- the tree -------------------------------------------------------------------------------------------------------

def stat_fields(pid):
    """Fields of /proc/PID/stat from the state (field 3) on, or None when the process is gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()


def tree(root):
    """The process and all of its descendants, the root first."""
    children = {}
    for entry in os.listdir("/proc"):
        fields = stat_fields(entry) if entry.isdigit() else None
        if fields:
            children.setdefault(int(fields[1]), []).append(int(entry))
    found = [root]
    for pid in found:
        found.extend(children.get(pid, ()))
    return found


# ---- CPU time -------------------------------------------------------------------------------------------------------

def control_groups():
    """Where the second version of control groups is mounted, or None."""
    for line in pathlib.Path("/proc/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        if kind == "cgroup2":
            return pathlib.Path(place)
    return None


def group_cpu_seconds(group):
    return number_in(group / "cpu.stat", r"^usage_usec (\d+)") / 1e6


def own_cpu_seconds(pid):
    """All threads of one process, those that have ended included."""
    try:
        return time.clock_gettime((~pid << 3) | 2)  # the process's CPU clock, see clock_getcpuclockid(3)
    except OSError:  # gone, or a zombie without a clock
        fields = stat_fields(pid)
        return (int(fields[11]) + int(fields[12])) / TICKS if fields else 0.0


def reaped_cpu_seconds(pid):
    fields = stat_fields(pid)
    return (int(fields[13]) + int(fields[14])) / TICKS if fields else 0.0


def tree_cpu_seconds(root):
    """CPU time of all below the warden `root`: the warden's own is not the server's."""
    for _ in range(20):
        pids = tree(root)
        total = sum(own_cpu_seconds(pid) for pid in pids[1:]) + sum(reaped_cpu_seconds(pid) for pid in pids)
        if tree(root) == pids:
            return total
    raise BenchError("the tree of processes does not come to rest")


def settled_cpu_seconds(server, seconds=5.0):
    """The CPU time once the server has finished what it was given (closing, reaping)."""
    deadline = time.monotonic() + seconds
    last = server.cpu_seconds()
    quiet = 0
    while quiet < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
        now = server.cpu_seconds()
        quiet = quiet + 1 if abs(now - last) < 0.001 else 0
        last = now
    return last


# ---- memory ---------------------------------------------------------------------------------------------------------

def number_in(path, pattern):
    try:
        found = re.search(pattern, pathlib.Path(path).read_text(), re.M)
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(found.group(1)) if found else 0


def pss_kib(root):
    return sum(number_in(f"/proc/{pid}/smaps_rollup", r"^Pss:\s*(\d+)") for pid in tree(root)[1:])


def slab_sizes():
    """Bytes of one object of each kind of the kernel's."""
    lines = pathlib.Path("/proc/slabinfo").read_text().splitlines()[2:]
    return {line.split()[0]: int(line.split()[3]) for line in lines}


def open_sockets(pids):
    """How many distinct sockets the processes hold: TCP, and others."""
    held = set()
    for pid in pids:
        try:
            for entry in os.scandir(f"/proc/{pid}/fd"):
                held.update(re.findall(r"^socket:\[(\d+)\]$", os.readlink(entry.path)))
        except (FileNotFoundError, ProcessLookupError):
            continue
    tcp = set(re.findall(r"^(?:\s*\S+){9}\s+(\d+)", pathlib.Path("/proc/net/tcp").read_text(), re.M))
    return len(held & tcp), len(held - tcp)


def count_lines(path):
    try:
        return pathlib.Path(path).read_text().count("\n")
    except (FileNotFoundError, ProcessLookupError):
        return 0


def kernel_kib(root):
    """What the kernel holds for a tree, as far as it can be told whose it is: page tables, a stack and a task for each
    thread, the structures of a process, its mappings, and its sockets without what is queued in them."""
    pids = tree(root)[1:]
    size = slab_sizes()
    threads = sum(number_in(f"/proc/{pid}/status", r"^Threads:\s*(\d+)") for pid in pids)
    mappings = sum(count_lines(f"/proc/{pid}/maps") for pid in pids)
    tables = sum(number_in(f"/proc/{pid}/status", r"^VmPTE:\s*(\d+)") for pid in pids)
    tcp, other = open_sockets(pids)
    of_process = sum(size.get(name, 0) for name in ("mm_struct", "signal_cache", "sighand_cache", "files_cache", "pid"))
    of_socket = sum(size.get(name, 0) for name in ("sock_inode_cache", "filp", "dentry"))
    slab_bytes = (threads * size.get("task_struct", 0) + len(pids) * of_process
                  + mappings * size.get("vm_area_struct", 0)
                  + tcp * (size.get("TCP", 0) + of_socket) + other * (UNIX_SOCKET_BYTES + of_socket))
    return tables + threads * STACK_KIB + slab_bytes / 1024


# ---- starting and ending --------------------------------------------------------------------------------------------

def pinned(core, command):
    return ["taskset", "-c", str(core), *[str(word) for word in command]]


def pin_tree(root, core):
    """Puts every thread on the core, those too that have chosen another one for themselves (hitch's worker does)."""
    for pid in tree(root):
        for thread in os.listdir(f"/proc/{pid}/task"):
            os.sched_setaffinity(int(thread), {core})


def strays(root, core):
    """Processes of the tree that may run elsewhere."""
    return [pid for pid in tree(root) if os.sched_getaffinity(pid) != {core}]


class Server:
    """A server under its warden, on one core; its output is in a log."""

    def __init__(self, name, command, core, log):
        self.name, self.core, self.log = name, core, log
        groups = control_groups() or pathlib.Path("/nowhere")
        self.group = groups / f"sallyport-bench.{os.getpid()}.{next(SERVER_NUMBERS)}"  # the warden makes and removes it
        warden = [sys.executable, "-B", HERE / "warden.py", self.group, *command]
        with open(log, "ab") as output:
            self.process = subprocess.Popen(pinned(core, warden), stdin=subprocess.DEVNULL, stdout=output,
                                            stderr=output, start_new_session=True)

    @property
    def root(self):
        return self.process.pid

    def is_grouped(self):
        return self.group.exists()

    def cpu_seconds(self):
        return group_cpu_seconds(self.group) if self.is_grouped() else tree_cpu_seconds(self.root)

    def wait_until(self, condition, seconds=20.0):
        deadline = time.monotonic() + seconds
        while not condition():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise BenchError(f"{self.name} did not start: {self.log_end()}")
            time.sleep(0.05)
        pin_tree(self.root, self.core)

    def log_end(self):
        return " / ".join(pathlib.Path(self.log).read_text(errors="replace").splitlines()[-8:]) or "(its log is empty)"

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            for pid in tree(self.root):
                kill_quietly(pid)
            self.process.wait()


SPINNER = """import os, signal
signal.alarm(300)
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
while True:
    pass
"""


@contextlib.contextmanager
def awake(cores):
    """Keeps cores from sleeping: a spinner of the lowest class, which gives way to everything else at once. Without it
    a round trip is mostly the time that a (virtual) core takes to wake up."""
    command = [sys.executable, "-c", SPINNER]
    spinners = [subprocess.Popen(pinned(core, command), stdin=subprocess.DEVNULL) for core in cores]
    try:
        yield
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.wait()


class Load:
    """The load generator, stopped at the points where the server is read (figures.h)."""

    def __init__(self, command, core):
        self.process = subprocess.Popen(pinned(core, command), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)

    def line(self):
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            raise BenchError(self.process.stderr.read().strip() or "the load ended without a word")
        return line.strip()

    def wait_ready(self):
        if self.line() != "ready":
            raise BenchError("the load is not ready")

    def go(self):
        self._step("go")

    def result(self):
        return {key: float(value) for key, value in (pair.split("=") for pair in self.line().split())}

    def end(self):
        self._step("end")
        if self.process.wait(30) != 0:
            raise BenchError(self.process.stderr.read().strip())

    def _step(self, word):
        try:
            self.process.stdin.write(word + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            self.line()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            try:
                pipe.close()
            except BrokenPipeError:
                pass
