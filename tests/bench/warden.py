"""Runs one server and answers for all of its processes: they can be counted, and they end when the bench does.

Usage: warden.py COMMAND...

The warden is the "subreaper" of everything the server forks: an orphan becomes the warden's child, so the CPU time of
whatever dies below it ends up either in its parent's or in the warden's cutime/cstime (processes.py reads both). On
SIGTERM, or when the bench dies in whatever way, the server is asked to end; after a while whatever is left is killed.
"""
import ctypes
import os
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


def main():
    become_warden()
    server = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL).pid
    wanted = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, wanted)
    while has_children():
        if signal.sigwait(wanted) != signal.SIGCHLD:
            end_all(server)


if __name__ == "__main__":
    main()
