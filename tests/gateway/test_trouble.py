"""D2: a full disk, a disk that is read-only, a mail server that is down: each alone and all of them together. What was
acknowledged is there, no tunnel is unrecorded, and the gateway comes back by itself. (A clock that jumps: tests/room/test_clock.py.)
"""
import contextlib
import os
import signal
import ssl
import subprocess
import time

import api
import clients
import pytest
from elsewhere import Mailbox
from records import rows
from world import run, wait_until

MAIL = ["store-trouble", "first-login", "wrong-device"]


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


@pytest.fixture
def mailbox(scratch):
    box = Mailbox(scratch).start()
    yield box
    box.stop()


@pytest.fixture
def world(new_world, mailbox):
    if os.geteuid():
        pytest.skip("mounting wants root")
    return new_world(settings=[mailbox.section(MAIL, at_most="1000/1s")])


@pytest.fixture
def disk(world):
    made = Disk(world)
    yield made
    made.away()


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
        pytest.fail("a full disk refuses nothing")

    def login(self):
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


def test_D2_a_full_disk(world, disk, mailbox):
    client = Client(world)
    live = client.tunnel()
    disk.fill()
    client.until_refused()
    assert client.login() in (0, 503) and echoes(live, b"the live one goes on")
    assert subprocess.run([world.program("sallyport-admin"), "--socket", world.admin_socket, "status", "--check"],
                          capture_output=True, check=False).returncode == 2
    # While it lasts: it cannot be recorded, and is told all the same.
    mailbox.wait_for("store-trouble")
    disk.empty()
    wait_until(lambda: client.login() == 200, "a login, with no help")
    assert echoes(live, b"still")
    live.close()
    assert_record_is_whole(world, client)


def test_D2_trouble_that_is_over_at_once_is_told(world, disk, mailbox):
    """Also when nobody else asks for anything afterwards; and a full disk is told once, however often it is tried."""
    client = Client(world)
    disk.fill()
    client.until_refused()
    disk.empty()
    mail = mailbox.wait_for("the record can be written again; it could not since")
    assert "database or disk is full" in mail.get_content()
    assert world.admin("status", "--check").startswith("ok")
    disk.fill()
    client.until_refused()
    mailbox.wait_for("so nobody is let in")
    for _ in range(8):
        assert client.login() in (0, 503)
        time.sleep(0.3)
    assert mailbox.text().count("so nobody is let in") <= 2
    disk.empty()
    wait_until(lambda: mailbox.text().count("it could not since") == 2, "the second end")
    assert_record_is_whole(world, client)


def test_D2_a_disk_that_is_read_only(world, disk, mailbox):
    """The kernel makes a disk read-only while nobody writes: the broker dies, and its successor finds it so."""
    client = Client(world)
    (broker,) = clients.children(world, "sallyport-broker")
    world.gateway.send_signal(signal.SIGSTOP)
    os.kill(broker, signal.SIGKILL)
    wait_until(lambda: disk.remount("ro"), "a disk that is read-only")
    world.gateway.send_signal(signal.SIGCONT)
    time.sleep(1)
    assert api.call(world, "GET", "/v1/session", extra=["--max-time", "2"]).status == 0, "nobody is served without a record"
    assert disk.remount("rw")
    wait_until(lambda: client.login() == 200, "a login, with no help", seconds=60)
    client.tunnel().close()
    assert_record_is_whole(world, client)


def test_D2_all_of_it_together(world, disk, mailbox):
    """Mail is down, the disk fills, the broker is killed in the middle, the disk is read-only, and then each comes back."""
    mailbox.stop()
    client = Client(world)
    disk.fill()
    client.until_refused()
    (broker,) = clients.children(world, "sallyport-broker")
    world.gateway.send_signal(signal.SIGSTOP)
    os.kill(broker, signal.SIGKILL)
    wait_until(lambda: disk.remount("ro"), "a disk that is read-only")
    world.gateway.send_signal(signal.SIGCONT)
    time.sleep(1)
    assert disk.remount("rw")
    disk.empty()
    wait_until(lambda: client.login() == 200, "a login, with no help", seconds=60)
    peer = client.tunnel()
    assert peer and echoes(peer, b"again")
    peer.close()
    assert_record_is_whole(world, client)
    mailbox.start()
    mailbox.wait_for("first-login")
    assert "the first login of alice on alice-laptop" in mailbox.text(), "what waited for the mail server has arrived"
