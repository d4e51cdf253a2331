"""What runs below a world's gateway, and what it holds, by /proc."""
import os
import pathlib

from storms import tree


def program_of(pid):
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe")).removesuffix(" (deleted)")
    except OSError:
        return ""


def gateway(world, program=None):
    """The gateway's processes, or those of one program: {pid: program}."""
    found = {pid: program_of(pid) for pid in tree(world.gateway.pid)}
    return {pid: name for pid, name in found.items() if name and program in (None, name)}


def private_kib(pid):
    """Memory that is nobody else's. Not the clean pages of files: they become ours whenever another world ends."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as lines:
        return sum(int(line.split()[1]) for line in lines if line.startswith(("Private_Dirty:", "Swap:")))


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def status(pid):
    """/proc/PID/status as a table."""
    lines = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def workers_of_clients(world):
    """Workers that hold a TCP connection: not the template, not the spares."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        tcp = {line.split()[9] for line in table.readlines()[1:]}
    found = []
    for pid, name in gateway(world).items():
        if not name.endswith("worker"):  # test_hostile_worker.py has one of its own
            continue
        try:
            links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        except OSError:
            continue
        if any(link[8:-1] in tcp for link in links if link.startswith("socket:")):
            found.append(pid)
    return found
