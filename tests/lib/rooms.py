"""Starts one real room, as the monitor does: exec'd with its edge as descriptor 3, no environment."""
import os
import pathlib
import signal
import tempfile
import time

import frames


def find_program(programs, name):
    found = [p for p in pathlib.Path(programs).rglob(name) if p.is_file() and os.access(p, os.X_OK)]
    assert found, f"{name} is not below {programs}"
    return found[0]


def spawn(program, edge, log):
    """posix_spawn: every other descriptor of this process is close-on-exec."""
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    actions = [(os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, null, 1), (os.POSIX_SPAWN_DUP2, log, 2)]
    if edge is not None:
        actions.append((os.POSIX_SPAWN_DUP2, edge, 3))
    try:
        return os.posix_spawn(str(program), [str(program)], {}, file_actions=actions)
    finally:
        os.close(null)


class Room:
    """A room in the state STARTING. We are its monitor: .monitor is our end.

    `descriptors` is a list of (purpose, name, fd); they stay the caller's.
    """

    def __init__(self, programs, name, settings=(), descriptors=()):
        self.log = tempfile.TemporaryFile("a+b")
        self.status = None
        self.monitor, theirs = frames.pair("monitor_room")
        try:
            self.pid = spawn(find_program(programs, f"sallyport-{name}"), theirs.fileno(), self.log.fileno())
        finally:
            theirs.close()
        for key, value in dict(settings).items():
            self.monitor.send("setting", name=key, value=value)
        for purpose, title, fd in descriptors:
            self.monitor.send("descriptor", purpose=purpose, name=title, fd=fd)

    def begin(self):
        """`ready` or `failed`, as a message."""
        self.monitor.send("begin")
        return self.monitor.receive()

    def begin_well(self):
        answer = self.begin()
        assert answer.name == "ready", f"{answer}\n{self.said()}"
        if os.geteuid() == 0:
            assert answer.missing == ""
        return self

    def said(self):
        return os.pread(self.log.fileno(), 1 << 20, 0).decode(errors="replace")

    def wait(self, seconds=20):
        """The exit status (negative: the signal), or None when it still lives."""
        deadline = time.monotonic() + seconds
        while self.status is None and time.monotonic() < deadline:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
            else:
                time.sleep(0.01)
        return self.status

    def end(self):
        self.monitor.close()
        if self.status is None and self.wait(5) is None:
            os.kill(self.pid, signal.SIGKILL)
            self.wait()
        self.log.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()
