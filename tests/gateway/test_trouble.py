"""D2: a full disk, a disk that is read-only, a mail server that is down: each alone and all of them together. What was
acknowledged is there, no tunnel is unrecorded, and the gateway comes back by itself. (With a clock that jumps besides: test_trouble_clock.py.)
"""
import os
import signal
import subprocess
import time

import api
import clients
import pytest
from elsewhere import Mailbox
from trouble import Client, Disk, assert_record_is_whole, echoes
from world import wait_until

MAIL = ["store-trouble", "first-login", "wrong-device"]


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
