"""A store on a disk that can be full or read-only, and a client that keeps count of what was acknowledged to it."""
import contextlib
import ssl
import subprocess

import api
import clients
from records import rows
from world import WorldError, run, wait_until


class Disk:
    """The store's folder on a disk of its own, of a few MiB."""

    def __init__(self, world):
        self.folder, self.world = world.database.parent, world
        world.stop_process("gateway")
        kept = world.path("kept")
        run(["cp", "-a", self.folder, kept])
        status = self.folder.stat()
        run(["mount", "-t", "tmpfs", "-o", f"size=6m,mode=0700,uid={status.st_uid},gid={status.st_gid}", "none", self.folder])
        try:
            run(["cp", "-a", f"{kept}/.", self.folder])
            world.start_gateway()
        except BaseException:
            self.away()
            raise

    def fill(self):
        with contextlib.suppress(OSError), self.folder.joinpath("filler").open("wb", buffering=0) as file:
            while file.write(b"x" * 4096):
                pass

    def empty(self):
        self.folder.joinpath("filler").unlink()

    def remount(self, how):
        return subprocess.run(["mount", "-o", f"remount,{how}", self.folder], check=False, capture_output=True).returncode == 0

    def away(self):
        subprocess.run(["umount", "-l", self.folder], check=False)


class Client:
    """What the gateway has acknowledged to it."""

    def __init__(self, world):
        self.world, self.sessions, self.opened = world, 0, 0
        world.forget_codes()
        answer = api.login(world)
        assert answer.status == 200, answer.text
        self.token, self.sessions = answer.body["session"], 1

    def tunnel(self):
        """A tunnel's peer, or None: already door one is shut when it cannot be recorded who came."""
        try:
            status, _, peer = clients.http1_connect(self.world, f"{self.world.inside}:{self.world.echo}", self.token)
        except ssl.SSLError as refused:
            assert "INTERNAL_ERROR" in str(refused)
            return None
        if status == 200:
            self.opened += 1
            return peer
        assert status == 503, status
        peer.close()
        return None

    def until_refused(self):
        """Small free pages take some rows before the disk is truly full."""
        for _ in range(300):
            peer = self.tunnel()
            if not peer:
                return
            peer.close()
        raise WorldError("a full disk refuses nothing")

    def login(self):
        """The status; the token of the first login stays."""
        self.world.forget_codes()
        answer = api.login(self.world)
        self.sessions += answer.status == 200
        return answer.status


def echoes(peer, data):
    peer.sendall(data)
    got = b""
    while len(got) < len(data):
        got += peer.recv(65536)
    return got == data


def assert_record_is_whole(world, client):
    """What was said to be done is there; what is open is open, and nothing else; and the chain holds."""
    assert rows(world, "SELECT count(*) FROM session") == [(client.sessions,)]
    wait_until(lambda: rows(world, "SELECT count(*) FROM tunnel WHERE closed_at IS NULL") == [(0,)], "the ends of the tunnels")
    wait_until(lambda: rows(world, "SELECT count(*) FROM tunnel WHERE address <> ''")[0][0] >= client.opened, "what was dialed")
    world.admin("audit", "verify", "--store", world.database, "--key", world.path("etc", "audit.pub"))
