"""Runs one server and answers for all of its processes: they can be counted, and they end when the bench does.

Usage: warden.py GROUP COMMAND...

The server runs in a control group of its own, which counts the CPU time of the dead as well; processes.py reads it. The
warden is the "subreaper" of everything the server forks: an orphan becomes the warden's child, and is found. On SIGTERM, or when the bench dies in whatever way, the server is asked to end; after a while whatever is left is killed.
"""
import ctypes
import os
import pathlib
import signal
import subprocess
import sys
import time

import processes

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
GRACE_SECONDS = 5


def become_warden():
    library = ctypes.CDLL(None, use_errno=True)
    for option, value in ((PR_SET_CHILD_SUBREAPER, 1), (PR_SET_PDEATHSIG, signal.SIGTERM)):
        if library.prctl(option, value, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


def has_children():
    """Reaps whoever has ended; False when nobody is left."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
        return True
    except ChildProcessError:
        return False


def end_all(server):
    deadline = time.monotonic() + GRACE_SECONDS
    try:
        os.kill(server, signal.SIGTERM)
    except ProcessLookupError:
        pass
    while has_children():
        if time.monotonic() > deadline:
            for pid in processes.tree(os.getpid())[1:]:
                processes.kill_quietly(pid)
        time.sleep(0.02)


def make_group(group):
    """False where control groups are not ours to make; processes.py then counts what /proc shows."""
    try:
        group.mkdir()
        return True
    except OSError:
        return False


def remove_group(group):
    """Processes that have just ended may still be in it."""
    for _ in range(100):
        try:
            group.rmdir()
            return
        except OSError:
            time.sleep(0.02)


def start(group, command):
    def enter():
        (group / "cgroup.procs").write_text("0")
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=enter if make_group(group) else None).pid


def serve(server):
    wanted = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, wanted)
    while has_children():
        if signal.sigwait(wanted) != signal.SIGCHLD:
            end_all(server)


def main():
    group = pathlib.Path(sys.argv[1])
    become_warden()
    try:
        serve(start(group, sys.argv[2:]))
    finally:
        remove_group(group)


if __name__ == "__main__":
    main()
