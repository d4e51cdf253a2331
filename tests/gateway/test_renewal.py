"""F5, C2 and the life of a certificate: generations, lost answers, copies, laptops back from leave, the inventory."""
import base64
import csv
import datetime
import io
import json
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import api
import clients
import thief
from test_door_one import assert_shut, codes, curl_with, issue
from test_enrolment import EST, certificate_of, certs_only, code_of, curl, enroll, query, request_for
from wrong_clock import wrong_clock
from world import Laptop, WorldError, wait_until


def sallyport(world, folder, *arguments, **options):
    return subprocess.run([world.program("sallyport"), *arguments], text=True, capture_output=True,
                          env=world.laptop_environment(folder), timeout=60, check=False, **options)


def new_laptop(world, name, user="alice"):
    world.enroll(name, user)
    return world.laptops[name].folder


def keep_copy(world, name):
    """What a thief has copied: key and certificate as they are now."""
    thief = world.private_folder("thieves", name)
    copy = thief / "device.pem"
    shutil.copy(world.laptops[name].folder / "sallyport" / "device.pem", copy)
    return copy


def use(world, pem):
    return curl_with(world, pem, pem)


def reenroll(world, pem, der):
    return curl(world, EST + "simplereenroll", "--cert", pem, "--key", pem, port=world.port, data=base64.encodebytes(der))


def states(world, name):
    return query(world, "SELECT certificate.generation, certificate.state FROM certificate JOIN device "
                        "ON device.id = device WHERE name = ? ORDER BY certificate.generation", name)


# ---- generations -------------------------------------------------------------------------------------------


def test_a_renewal_makes_a_new_key_and_ends_the_old_certificate_when_it_is_used(world):
    folder = new_laptop(world, "renewing")
    before = certificate_of(folder)
    done = sallyport(world, folder, "renew")
    assert done.returncode == 0 and done.stdout.startswith("Renewed until"), done.stderr
    after = certificate_of(folder)
    assert before.public_key().public_numbers() != after.public_key().public_numbers() and before.subject == after.subject
    assert states(world, "renewing") == [(1, "active"), (2, "active")], "not used yet: the old one still counts"
    assert sallyport(world, folder, "status").returncode == 4
    assert states(world, "renewing") == [(1, "superseded"), (2, "active")]
    assert not list((folder / "sallyport").glob("*.next*"))


def test_a_session_survives_the_renewal(world):
    folder = new_laptop(world, "working")
    person = world.users["alice"]
    read, write = os.pipe()
    os.write(write, f"{person.password}\n{person.code()}\n".encode())
    os.close(write)
    assert sallyport(world, folder, "login", "alice", "--answers-from", str(read), pass_fds=[read]).returncode == 0
    assert sallyport(world, folder, "renew").returncode == 0
    done = sallyport(world, folder, "status")
    assert done.returncode == 0 and "working" in done.stdout, done.stderr


def test_not_before_it_is_due(world):
    folder = new_laptop(world, "early")
    done = sallyport(world, folder, "renew", "--if-due")
    assert done.returncode == 0 and done.stdout.startswith("Not due before")
    assert states(world, "early") == [(1, "active")]


def test_a_lost_answer_to_a_renewal_is_given_again(world):
    new_laptop(world, "lost-renewal", "bob")
    pem = keep_copy(world, "lost-renewal")
    der = request_for(ec.generate_private_key(ec.SECP256R1()))
    first, second = reenroll(world, pem, der), reenroll(world, pem, der)
    assert first[0] == second[0] == 200 and certs_only(first[1]) == certs_only(second[1])
    assert states(world, "lost-renewal") == [(1, "active"), (2, "active")]


def test_key_and_certificate_in_two_files_are_replaced_together(world):
    laptop = world.enroll("two-files", "bob")
    environment = dict(world.laptop_environment(world.private_folder("two-files")), SALLYPORT_URL=world.url,
                       SALLYPORT_CA=str(world.path("etc", "server-ca.crt")), SALLYPORT_CERT=str(laptop.certificate),
                       SALLYPORT_KEY=str(laptop.key))
    before = laptop.key.read_text()
    done = subprocess.run([world.program("sallyport"), "renew"], text=True, capture_output=True, env=environment, check=False)
    assert done.returncode == 0 and laptop.key.read_text() != before, done.stderr
    assert laptop.key.stat().st_mode & 0o777 == 0o600
    assert '"status":' in curl_with(world, laptop.certificate, laptop.key).stdout
    # a crash between the two renames: the certificate waits, the key is there already
    shutil.move(laptop.certificate, f"{laptop.certificate}.next-certificate")
    laptop.certificate.write_text(world.laptops["bob-laptop"].certificate.read_text())
    done = subprocess.run([world.program("sallyport"), "renew"], text=True, capture_output=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr


def test_D1_kill_the_laptop_anywhere_in_a_renewal(new_world):
    world = new_world(laptops=())
    folder = new_laptop(world, "cut")
    dice = random.Random(6)
    for _ in range(12):
        process = subprocess.Popen([world.program("sallyport"), "renew"], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, env=world.laptop_environment(folder))
        time.sleep(dice.uniform(0, 0.12))
        process.kill()
        process.wait()
        assert sallyport(world, folder, "status").returncode == 4, "whatever happened: the files fit, and door one opens"
    assert sallyport(world, folder, "renew").returncode == 0
    assert query(world, "SELECT count(*) FROM audit WHERE event = 'alarm'") == [(0,)]


# ---- copies ------------------------------------------------------------------------------------------------


def test_F5_a_copied_key_shows_itself_and_locks_the_device(new_world):
    world = new_world(settings=["renew_overlap = 0s"])
    folder = new_laptop(world, "copied")
    copy = keep_copy(world, "copied")
    assert sallyport(world, folder, "renew").returncode == 0
    assert sallyport(world, folder, "status").returncode == 4
    assert_shut_with(world, use(world, copy), "certificate_superseded")
    assert query(world, "SELECT code FROM audit WHERE event = 'alarm' AND device = 'copied'") == [("copied_key",)]
    wait_until(lambda: json.loads(world.admin("device", "show", "copied", "--json"))["state"] == "locked", "the lock")
    done = sallyport(world, folder, "status")
    assert done.returncode == 5, "the laptop is out as well, until somebody has looked"


def assert_shut_with(world, done, code):
    assert done.stdout == "" and done.returncode != 0
    assert code in codes(world)


def test_F5_without_the_key_an_old_certificate_alarms_nobody(new_world):
    """Otherwise whoever has seen a certificate could lock its device."""
    world = new_world(settings=["renew_overlap = 0s"])
    folder = new_laptop(world, "seen")
    copy = keep_copy(world, "seen")
    assert sallyport(world, folder, "renew").returncode == 0
    assert sallyport(world, folder, "status").returncode == 4
    _, other_key = issue(world, "thief")
    assert thief.ask(world, copy, other_key) == (b"", thief.DECRYPT_ERROR)
    assert query(world, "SELECT count(*) FROM audit WHERE event = 'alarm'") == [(0,)]


def test_F5_the_overlap_is_quiet_and_only_the_alarm_when_so_configured(new_world):
    world = new_world(settings=["renew_overlap = 1h", "copied_key_locks = no"])
    folder = new_laptop(world, "quiet")
    copy = keep_copy(world, "quiet")
    assert sallyport(world, folder, "renew").returncode == 0
    assert sallyport(world, folder, "status").returncode == 4
    assert_shut(world, use(world, copy), "certificate_superseded")
    assert query(world, "SELECT count(*) FROM audit WHERE event = 'alarm'") == [(0,)]


def test_F5_a_thief_who_renews_first_is_found_by_the_laptop(new_world):
    world = new_world(settings=["renew_overlap = 0s"])
    folder = new_laptop(world, "raced")
    copy = keep_copy(world, "raced")
    key = ec.generate_private_key(ec.SECP256R1())
    status, body = reenroll(world, copy, request_for(key))
    assert status == 200
    thief = copy.with_name("new.pem")
    thief.write_bytes(certs_only(body)[0].public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    assert '"status":' in use(world, thief).stdout
    assert sallyport(world, folder, "status").returncode == 5
    assert_shut_with(world, use(world, thief), "device_locked")


# ---- clocks ------------------------------------------------------------------------------------------------


def by_clock(world, release, ahead_s, *arguments, environment):
    return subprocess.run([f"{release}/bin/sallyport", *arguments], text=True, capture_output=True, timeout=60, check=False,
                          env=dict(environment, **wrong_clock(world, ahead_s)))


def test_a_clock_that_is_far_ahead_is_named(world, release):
    folder = new_laptop(world, "ahead", "carol")
    done = by_clock(world, release, 40 * 86400, "renew", "--if-due", environment=world.laptop_environment(folder))
    later = datetime.datetime.utcnow() + datetime.timedelta(days=40)
    assert done.returncode == 0 and "set this device's clock" in done.stderr, done
    assert f"This device's clock says {later:%Y-%m-%d}" in done.stderr
    assert f"the gateway's said about {datetime.datetime.utcnow():%Y-%m-%d}" in done.stderr
    done = by_clock(world, release, 400 * 86400, "status", environment=world.laptop_environment(folder))
    assert done.returncode == 6 and "check this device's clock" in done.stderr, "the gateway's certificate is over by then"


def test_a_clock_that_is_behind_is_named(world, release):
    folder = new_laptop(world, "behind", "carol")
    done = by_clock(world, release, -86400, "status", environment=world.laptop_environment(folder))
    assert done.returncode == 5 and "check this device's clock" in done.stderr, done


def test_a_certificate_that_begins_tomorrow_by_the_gateways_clock(new_world, release):
    """Good by the laptop's clock: then it says that one of the two is wrong, and not that the certificate has expired."""
    world = new_world(laptops=("alice",))
    new_laptop(world, "early")
    expire(world, "early", -9, begins=-1)
    done = by_clock(world, release, 2 * 86400, "renew", environment=world.client_environment("early"))
    assert done.returncode == 5 and "this clock or the gateway's is wrong" in done.stderr, done
    assert "expired at" not in done.stderr and "new one" not in done.stderr
    assert "not_yet_valid" in codes(world)


def test_doctor_warns_when_a_renewal_is_overdue(new_world):
    world = new_world(laptops=())
    new_laptop(world, "slow")
    for begins, ends, overdue in ((22, 8, False), (26, 4, True)):
        expire(world, "slow", -ends, begins=begins)
        done = subprocess.run([world.program("sallyport"), "doctor"], text=True, capture_output=True, check=False,
                              env=dict(world.client_environment("slow"), SALLYPORT_ASKPASS="/bin/true"))
        (line,) = [line for line in done.stdout.splitlines() if "device  " in line]
        assert line.startswith("BAD" if overdue else "ok") and ("should have renewed itself" in line) == overdue, done.stdout


# ---- revoked, lost, back from leave --------------------------------------------------------------------------


def test_C2_a_revoked_device_cannot_renew(world):
    folder = new_laptop(world, "gone", "bob")
    peer = clients.connect(world, "gone", alpn=("http/1.1",))
    world.admin("device", "revoke", "gone")
    done = sallyport(world, folder, "renew")
    assert done.returncode == 5, done.stderr
    body = base64.encodebytes(request_for(ec.generate_private_key(ec.SECP256R1())))
    request = (f"POST {EST}simplereenroll HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/pkcs10\r\n"
               f"Content-Length: {len(body)}\r\n\r\n").encode() + body
    try:
        status, _, _, _ = clients.http1(world, request, peer=peer)
    except OSError:
        status = 0
    assert status == 0, "the connection from before is gone too"
    assert states(world, "gone") == [(1, "revoked")]


def test_only_the_newest_certificate_renews(world):
    folder = new_laptop(world, "newest", "bob")
    peer = clients.connect(world, "newest", alpn=("http/1.1",))
    assert sallyport(world, folder, "renew").returncode == 0
    assert sallyport(world, folder, "status").returncode == 4
    body = base64.encodebytes(request_for(ec.generate_private_key(ec.SECP256R1())))
    request = (f"POST {EST}simplereenroll HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/pkcs10\r\n"
               f"Content-Length: {len(body)}\r\n\r\n").encode() + body
    status, _, answer, _ = clients.http1(world, request, peer=peer)
    assert (status, code_of(answer)) == (403, "certificate_superseded")


def test_a_lost_disk_has_a_way_back(world):
    folder = new_laptop(world, "reborn", "bob")
    copy = keep_copy(world, "reborn")
    shutil.rmtree(folder / "sallyport")
    line = world.admin("device", "reinvite", "reborn").strip()
    done = enroll(world, "reborn", line, folder=folder)
    assert done.returncode == 0, done.stderr
    assert sallyport(world, folder, "status").returncode == 4
    assert states(world, "reborn") == [(1, "revoked"), (2, "active")]
    assert_shut(world, use(world, copy), "certificate_revoked")
    with pytest.raises(WorldError, match="there is no device"):
        world.admin("device", "reinvite", "nobody")


def test_C1_a_reinvitation_ends_what_the_lost_disk_has_open(new_world):
    """The disk may have been stolen while its user was logged in: its tunnels end when the new laptop takes its place."""
    world = new_world(laptops=("alice",))
    token = api.login(world, "alice", "alice-laptop").body["session"]
    h2 = clients.Http2(world, "alice-laptop")
    number, status = h2.connect(f"127.0.0.1:{world.echo}", token)
    assert status == 200
    line = world.admin("device", "reinvite", "alice-laptop").strip()
    assert not h2.wait(lambda: h2.closed or h2.streams[number].ended, 0.5), "inviting alone ends nothing"
    assert enroll(world, "reborn", line).returncode == 0
    assert h2.wait(lambda: h2.closed, 10)
    assert query(world, "SELECT end_reason FROM session") == [("reinvited",)]
    assert query(world, "SELECT close_reason FROM tunnel") == [("reinvited",)]


@pytest.mark.parametrize("forgotten", [False, True])
def test_C2_an_invitation_of_a_revoked_device_is_worth_nothing(new_world, forgotten):
    world = new_world()
    line = world.admin("device", "reinvite", "alice-laptop").strip()
    assert query(world, "SELECT state FROM invitation WHERE device_name = 'alice-laptop' ORDER BY created_at") == [("used",), ("open",)]
    world.admin("device", "revoke", "alice-laptop")
    assert query(world, "SELECT state FROM invitation WHERE device_name = 'alice-laptop' ORDER BY created_at") == [("used",), ("withdrawn",)]
    if forgotten:
        world.admin("device", "forget", "alice-laptop")
    done = enroll(world, "too-late", line)
    assert done.returncode != 0 and "invitation_invalid" in done.stderr
    assert query(world, "SELECT count(*) FROM device WHERE state = 'active'") == [(1,)]


def is_being_enrolled(world, name):
    """Approving is refused all the same, but the reason tells."""
    try:
        world.admin("device", "approve", name)
    except WorldError as error:
        return "being enrolled at this moment" in str(error)
    return False


@pytest.mark.parametrize("forgotten", [False, True])
def test_C2_a_device_that_is_revoked_while_its_certificate_is_made(new_world, forgotten):
    """The signer stands still between the question and its answer; meanwhile the admin says no."""
    world = new_world()
    line = world.admin("device", "reinvite", "alice-laptop").strip()
    (signer,) = clients.children(world, "sallyport-signer")
    broker = clients.children(world, "sallyport-broker")
    csr = base64.encodebytes(request_for(ec.generate_private_key(ec.SECP256R1())))
    _, _, _, identity, secret, _ = line.split("/")[1:]
    context = clients.tls_context(world, alpn=("http/1.1",))
    with socket.create_connection(("127.0.0.1", world.enroll_port), 20) as raw, \
            context.wrap_socket(raw, server_hostname="localhost") as peer:
        os.kill(signer, signal.SIGSTOP)
        try:
            peer.sendall((f"POST {EST}simpleenroll HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/pkcs10\r\n"
                          f"Authorization: Basic {base64.b64encode(f'{identity}:{secret}'.encode()).decode()}\r\n"
                          f"Content-Length: {len(csr)}\r\n\r\n").encode() + csr)
            wait_until(lambda: is_being_enrolled(world, "alice-laptop"), "the question at the signer")
            world.admin("device", "revoke", "alice-laptop")
            if forgotten:
                world.admin("device", "forget", "alice-laptop")
        finally:
            os.kill(signer, signal.SIGCONT)
        assert b" 409 " in peer.recv(4096)
    assert query(world, "SELECT certificate.state FROM certificate JOIN device ON device.id = device WHERE name LIKE 'alice-laptop%'") == [
        ("revoked",)]
    assert query(world, "SELECT count(*) FROM device WHERE state = 'active'") == [(1,)]
    assert clients.children(world, "sallyport-broker") == broker, "nobody died of it"


def test_C2_also_one_that_an_older_gateway_has_left_open(new_world):
    world = new_world()
    lines = {name: world.admin("device", "reinvite", name).strip() for name in ("alice-laptop", "bob-laptop")}
    world.admin("device", "revoke", "alice-laptop")
    world.admin("device", "revoke", "bob-laptop")
    world.admin("device", "forget", "bob-laptop")
    world.stop_process("gateway")
    with sqlite3.connect(world.database) as database:
        database.execute("UPDATE invitation SET state = 'open' WHERE state = 'withdrawn'")
    database.close()
    world.start_gateway()
    for name, line in lines.items():
        done = enroll(world, f"{name}-again", line)
        assert done.returncode != 0 and "invitation_invalid" in done.stderr
    assert query(world, "SELECT count(*) FROM certificate WHERE state = 'active'") == [(0,)]


def test_a_renamed_device_is_reinvited_under_its_new_name(new_world):
    world = new_world()
    line = world.admin("device", "reinvite", "alice-laptop").strip()
    world.admin("device", "rename", "alice-laptop", "alice-pc")
    folder = world.private_folder("laptops", "alice-pc")
    assert enroll(world, "alice-pc", line, folder=folder).returncode == 0
    assert certificate_of(folder).subject.rfc4514_string() == "CN=alice-pc"
    world.invite("taken", "bob")
    with pytest.raises(WorldError, match="invited already"):
        world.admin("device", "rename", "bob-laptop", "taken")


def test_a_renewal_that_fails_hides_no_coming_end(new_world):
    world = new_world(settings=["certificate_life = 1h"], laptops=("alice",))
    world.stop_process("gateway")
    with sqlite3.connect(world.database) as database:
        database.execute("UPDATE certificate SET not_before = not_before - 3000000, not_after = not_after - 3000000")
    database.close()
    world.start_gateway()
    ending = lambda: json.loads(world.admin("status", "--json"))["certificates_ending_soon"]
    assert ending() == 1
    peer = clients.connect(world, "alice-laptop", alpn=("http/1.1",))
    (signer,) = clients.children(world, "sallyport-signer")
    os.kill(signer, signal.SIGSTOP)
    body = base64.encodebytes(request_for(ec.generate_private_key(ec.SECP256R1())))
    peer.sendall((f"POST {EST}simplereenroll HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/pkcs10\r\n"
                  f"Content-Length: {len(body)}\r\n\r\n").encode() + body)
    time.sleep(1)  # the question is at the signer, or on its way
    os.kill(signer, signal.SIGKILL)
    assert b" 503 " in peer.recv(4096)
    assert states(world, "alice-laptop") == [(1, "active")]
    assert ending() == 1, "nothing was renewed"


def expire(world, name, days, begins=40):
    """The device's certificate began and ended some days ago: made behind the gateway's back, and registered."""
    device = query(world, "SELECT id FROM device WHERE name = ?", name)[0][0]
    now = datetime.datetime.utcnow()
    pair = issue(world, name, begin=now - datetime.timedelta(days=begins), end=now - datetime.timedelta(days=days), subject=name)
    certificate = x509.load_pem_x509_certificate(pair[0].read_bytes())
    key = certificate.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    own = x509.load_pem_x509_certificate(world.path("etc", "device-ca.crt").read_bytes())
    world.stop_process("gateway")
    with sqlite3.connect(world.database) as database:
        database.execute("DELETE FROM certificate WHERE device = ?", (device,))
        database.execute("INSERT INTO certificate (fingerprint, serial, device, generation, public_key, key_kind, not_before,"
                         " not_after, state, issued_at, first_used_at, authority) VALUES (?, ?, ?, 1, ?, 'ec-p256', ?, ?, 'active', 1, 1, ?)",
                         (certificate.fingerprint(hashes.SHA256()).hex(), f"{certificate.serial_number:x}", device, key.hex(),
                          int(certificate.not_valid_before.timestamp() * 1000),
                          int(certificate.not_valid_after.replace(tzinfo=datetime.timezone.utc).timestamp() * 1000),
                          own.fingerprint(hashes.SHA256()).hex()))
    database.close()
    world.start_gateway()
    laptop = Laptop(world.path("laptops"), name, "alice")
    laptop.certificate, laptop.key = pair
    laptop.key.chmod(0o600)
    world.laptops[name] = laptop
    return pair


def test_back_from_leave_a_login_renews_and_nothing_else_works(new_world):
    world = new_world(settings=["renew_grace = 14d"])
    new_laptop(world, "leave")
    certificate, key = expire(world, "leave", 3)
    der = request_for(ec.generate_private_key(ec.SECP256R1()))
    options = ["--cert", certificate, "--key", key]
    status, body = curl(world, EST + "simplereenroll", *options, port=world.port, data=base64.encodebytes(der))
    assert (status, code_of(body)) == (403, "fresh_login_required")
    answer = api.login(world, "alice", "leave")
    assert answer.status == 200, answer.text
    token = answer.body["session"]
    assert api.call(world, "GET", "/v1/resources", laptop="leave", token=token).body["code"] == "certificate_expired"
    status, body, _ = clients.http1_connect(world, f"127.0.0.1:{world.echo}", token, "leave")
    assert (status, code_of(body)) == (403, "certificate_expired")
    status, body = curl(world, EST + "simplereenroll", *options, port=world.port, data=base64.encodebytes(der))
    assert status == 200
    assert query(world, "SELECT count(*) FROM tunnel") == [(0,)]


def answers(*lines):
    read, write = os.pipe()
    os.write(write, "".join(f"{line}\n" for line in lines).encode())
    os.close(write)
    return read


def log_in(world, environment, user):
    person = world.users[user]
    read = answers(person.password, person.code())
    done = subprocess.run([world.program("sallyport"), "login", user, "--answers-from", str(read)], text=True, capture_output=True,
                          env=environment, pass_fds=[read], timeout=60, check=False)
    os.close(read)
    return done


def test_back_from_leave_with_the_client_and_an_approval(new_world):
    """login, renew: it waits; the admin sees whose renewal that is, approves it, and the same command goes on."""
    world = new_world(settings=["renew_grace = 14d"], laptops=("alice",))
    new_laptop(world, "leave")
    with world.conf.open("a") as conf:
        conf.write("enroll_needs_approval = yes\n")
    expire(world, "leave", 3)
    environment = world.client_environment("leave")

    def renew():
        return subprocess.run([world.program("sallyport"), "renew"], text=True, capture_output=True, env=environment, check=False)

    assert "log in first" in renew().stderr
    assert log_in(world, environment, "alice").returncode == 0
    for _ in range(2):
        done = renew()
        assert done.returncode == 5 and "waits for your administrator's approval" in done.stderr, done.stderr
    code = done.stderr.split()[-1]
    (waiting,) = json.loads(world.admin("device", "invitations", "--json"))["invitations"][:1]
    assert (waiting["name"], waiting["state"], waiting["purpose"]) == ("leave", "pending", "late renewal")
    assert waiting["confirmation"] == code and code in world.admin("device", "invitations"), "the same at both ends"
    assert json.loads(world.admin("status", "--json"))["enrolments_pending"] == 1
    assert query(world, "SELECT event FROM audit WHERE event LIKE 'renewal_%' AND device = 'leave' AND code = ''") == [("renewal_pending",)]
    assert world.admin("device", "approve", "leave", code).startswith(f"leave: the key with the confirmation code {code} is approved")
    done = renew()
    assert done.returncode == 0 and done.stdout.startswith("Renewed until"), done.stderr
    laptop = world.laptops["leave"]
    assert '"status":' in curl_with(world, laptop.certificate, laptop.key).stdout
    assert states(world, "leave") == [(1, "superseded"), (2, "active")]
    assert json.loads(world.admin("status", "--json"))["enrolments_pending"] == 0


def waiting_code(world, name):
    """Of what waits now."""
    (waiting,) = [row for row in json.loads(world.admin("device", "invitations", "--json"))["invitations"]
                  if (row["name"], row["state"]) == (name, "pending")]
    return waiting["confirmation"], waiting["invitation"]


def test_a_late_renewal_is_approved_by_its_code_not_by_its_name(new_world):
    """The admin has looked; then that one is withdrawn and another key waits under the same name: it is not approved."""
    world = new_world(settings=["renew_grace = 14d"], laptops=("alice",))
    new_laptop(world, "leave")
    with world.conf.open("a") as conf:
        conf.write("enroll_needs_approval = yes\n")
    certificate, key = expire(world, "leave", 3)
    assert api.login(world, "alice", "leave").status == 200
    ders = [request_for(ec.generate_private_key(ec.SECP256R1())) for _ in range(2)]

    def ask(what):
        return curl(world, EST + "simplereenroll", "--cert", certificate, "--key", key, port=world.port, data=base64.encodebytes(what))[0]

    assert ask(ders[0]) == 202
    seen, id_seen = waiting_code(world, "leave")
    with pytest.raises(WorldError, match="compare its code .* device approve leave CODE"):
        world.admin("device", "approve", "leave")
    world.admin("device", "withdraw", "leave")
    assert ask(ders[1]) == 202
    for what in (seen, id_seen):
        with pytest.raises(WorldError, match=f"what waits as \"leave\" is not {what}"):
            world.admin("device", "approve", "leave", what)
    assert [ask(der) for der in ders] == [409, 202], "nothing was approved"
    code, number = waiting_code(world, "leave")
    world.admin("device", "approve", "leave", code.lower())
    assert query(world, "SELECT detail FROM audit WHERE event = 'renewal_approved'") == [
        (f"by root (uid 0); invitation {number}, confirmation code {code}",)]
    assert query(world, "SELECT count(*) FROM audit WHERE event = 'renewal_pending' AND detail LIKE ?", f"%code is {code}") == [(1,)]
    assert [ask(der) for der in ders] == [409, 200]


def test_a_late_renewal_belongs_to_its_key_until_it_is_withdrawn(new_world):
    """Else whoever holds the expired key could put another one in between the admin's look and `device approve`."""
    world = new_world(settings=["renew_grace = 14d"], laptops=("alice",))
    new_laptop(world, "leave")
    with world.conf.open("a") as conf:
        conf.write("enroll_needs_approval = yes\n")
    certificate, key = expire(world, "leave", 3)
    assert api.login(world, "alice", "leave").status == 200
    der, other = (request_for(ec.generate_private_key(ec.SECP256R1())) for _ in range(2))

    def ask(what):
        status, body = curl(world, EST + "simplereenroll", "--cert", certificate, "--key", key, port=world.port,
                            data=base64.encodebytes(what))
        return (status, code_of(body)) if status == 409 else status

    assert ask(der) == 202
    assert ask(other) == (409, "not_issued")
    assert query(world, "SELECT code FROM audit WHERE event = 'renewal' AND device = 'leave'") == [("not_issued",)]
    assert ask(der) == 202, "it asks on"
    world.admin("device", "approve", "leave", waiting_code(world, "leave")[0])
    assert ask(other) == (409, "not_issued"), "that is another key than the one that was approved"
    world.admin("device", "withdraw", "leave")
    assert ask(other) == 202
    assert ask(der) == (409, "not_issued")
    world.stop_process("gateway")
    world.start_gateway()
    assert api.login(world, "alice", "leave").status == 200
    assert ask(der) == (409, "not_issued"), "a restart forgets nothing"
    world.admin("device", "withdraw", "leave")
    assert ask(der) == 202
    world.admin("device", "approve", "leave", waiting_code(world, "leave")[1])
    assert ask(der) == 200
    assert states(world, "leave") == [(1, "active"), (2, "active")]


def test_F5_a_restored_backup_has_a_way_back(new_world):
    """Alarm, lock; then the admin reinvites and unlocks."""
    world = new_world(settings=["renew_overlap = 0s"], laptops=())
    folder = new_laptop(world, "restored")
    shutil.copytree(folder, f"{folder}.backup")
    assert sallyport(world, folder, "renew").returncode == 0
    assert sallyport(world, folder, "status").returncode == 4
    shutil.rmtree(folder)
    shutil.copytree(f"{folder}.backup", folder)
    done = sallyport(world, folder, "status")
    assert done.returncode == 5, done.stderr
    wait_until(lambda: json.loads(world.admin("device", "show", "restored", "--json"))["state"] == "locked", "the lock")
    assert query(world, "SELECT code FROM audit WHERE event = 'alarm'") == [("copied_key",)]
    line = world.admin("device", "reinvite", "restored").strip()
    assert enroll(world, "restored", line, folder=folder).returncode == 0
    assert sallyport(world, folder, "status").returncode == 5, "still locked"
    world.admin("device", "unlock", "restored")
    assert sallyport(world, folder, "status").returncode == 4
    assert states(world, "restored")[-1] == (3, "active")


def test_A1_by_default_and_after_the_grace_expired_means_no(new_world):
    world = new_world(settings=["renew_grace = 2d"])
    new_laptop(world, "leave")
    assert_shut(world, curl_with(world, *expire(world, "leave", 3)), "certificate_expired")


def test_a_certificate_that_ends_soon_is_noticed(new_world):
    world = new_world(settings=["certificate_life = 1h"])
    name = "soon"
    new_laptop(world, name)
    world.stop_process("gateway")
    with sqlite3.connect(world.database) as database:
        database.execute("UPDATE certificate SET not_before = not_before - 3000000, not_after = not_after - 3000000")
    database.close()
    world.start_gateway()
    assert json.loads(world.admin("status", "--json"))["certificates_ending_soon"] == 3
    listed = json.loads(world.admin("device", "list", "--expiring", "30m", "--json"))["devices"]
    assert {d["name"] for d in listed} == {"alice-laptop", "bob-laptop", "soon"}
    noticed = lambda: query(world, "SELECT device, detail FROM audit WHERE event = 'certificate_ends_soon' ORDER BY device")
    wait_until(lambda: len(noticed()) == 3, "the notice, at the first look")
    assert [device for device, _ in noticed()] == ["alice-laptop", "bob-laptop", "soon"] and "was not renewed" in noticed()[0][1]
    world.stop_process("gateway")
    world.start_gateway()
    assert json.loads(world.admin("status", "--json"))["certificates_ending_soon"] == 3
    time.sleep(2)
    assert len(noticed()) == 3, "once for each certificate"


# ---- inventory ---------------------------------------------------------------------------------------------


def names(world, *filters):
    return {d["name"] for d in json.loads(world.admin("device", "list", "--json", *filters))["devices"]}


def test_the_inventory_can_be_filtered_and_printed(new_world):
    world = new_world()
    world.admin("device", "tag", "alice-laptop", "managed", "berlin")
    assert names(world) == {"alice-laptop", "bob-laptop"}
    assert names(world, "--tag", "managed") == names(world, "--user", "alice") == {"alice-laptop"}
    assert names(world, "--expiring", "14d") == set() and names(world, "--expiring", "31d") == names(world)
    assert names(world, "--unseen", "30d") == names(world), "none has ever come"
    curl_with(world, world.laptops["bob-laptop"].certificate, world.laptops["bob-laptop"].key)
    assert names(world, "--unseen", "30d") == {"alice-laptop"}
    world.enroll("sold", "alice")
    world.admin("device", "revoke", "sold")
    assert names(world, "--unseen", "30d") == {"alice-laptop"} and "sold" not in names(world, "--expiring", "31d")
    world.admin("device", "forget", "sold")
    rows = list(csv.DictReader(io.StringIO(world.admin("device", "list", "--csv"))))
    assert {r["name"]: r["tags"] for r in rows} == {"alice-laptop": "managed,berlin", "bob-laptop": "-"}
    assert {r["name"]: (r["key_store"], r["renewals"], r["networks"]) for r in rows} == {
        "alice-laptop": ("software", "0", "0"), "bob-laptop": ("software", "0", "0")}
    assert "KEY IN (CLAIMED)" in world.admin("device", "list") and "KEY IN (CLAIMED)" in world.admin("device", "show", "bob-laptop")
    assert sallyport(world, world.laptops["alice-laptop"].folder, "renew").returncode == 0
    (alice,) = [d for d in json.loads(world.admin("device", "list", "--json", "--user", "alice"))["devices"]]
    assert alice["renewals"] == 1 and [c["generation"] for c in alice["certificates"]] == [2, 1]
    assert {"serial", "fingerprint", "state", "not_before", "not_after", "first_used_at", "key_kind"} <= alice["certificates"][0].keys()
    assert "certificates" not in rows[0]
    with pytest.raises(WorldError, match="--expiring 14: wanted is a time with its unit"):
        world.admin("device", "list", "--expiring", "14")
    assert query(world, "SELECT key_kind, key_store FROM v_device WHERE name = 'bob-laptop'") == [("ec-p256", "software")]


def test_a_long_list_is_whole(new_world):
    """It is asked for in pieces."""
    world = new_world(laptops=("alice",))
    world.stop_process("gateway")
    with sqlite3.connect(world.database) as database:
        database.executemany("INSERT INTO device (id, name, state, tags, generation, created_at) VALUES (?, ?, 'active', '', 1, 1)",
                             ((f"{n:032x}", f"fleet-{n}") for n in range(1000)))
        database.executemany("INSERT INTO device_user (device, \"user\") VALUES (?, 'bob')", ((f"{n:032x}",) for n in range(1000)))
    database.close()
    world.start_gateway()
    listed = [d["name"] for d in json.loads(world.admin("device", "list", "--json"))["devices"]]
    assert len(listed) == 1001 and set(listed) == {"alice-laptop"} | {f"fleet-{n}" for n in range(1000)}
    assert len(list(csv.DictReader(io.StringIO(world.admin("device", "list", "--csv"))))) == 1001
    assert names(world, "--user", "alice") == {"alice-laptop"}


def test_one_certificate_in_two_networks_is_shown(new_world):
    world = new_world(laptops=("alice",))
    rows = lambda: query(world, "SELECT device, detail FROM audit WHERE event = 'two_networks'")
    networks = lambda: json.loads(world.admin("device", "show", "alice-laptop", "--json"))["networks"]
    here = [clients.connect(world, source=f"127.0.0.{n}") for n in (5, 6)]
    assert networks() == 1 and rows() == [], "one network has many addresses"
    there = [clients.connect(world, source="127.0.9.5") for _ in range(2)]
    wait_until(lambda: networks() == 2 and len(rows()) == 1, "the row, once for the pair")
    assert rows()[0][0] == "alice-laptop" and "127.0.9.5" in rows()[0][1]
    third = clients.connect(world, source="127.0.10.5")
    wait_until(lambda: networks() == 3 and len(rows()) > 1, "another pair")
    (row,) = csv.DictReader(io.StringIO(world.admin("device", "list", "--csv")))
    assert row["networks"] == "3"
    for peer in (*here, *there, third):
        peer.close()


def test_caps_hold_for_every_way_in(new_world, tmp_path):
    world = new_world(settings=["devices_per_user = 1"])
    for command in (["device", "bind", "bob-laptop", "--user", "alice"], ["device", "invite", "more", "--user", "alice"]):
        with pytest.raises(WorldError, match="devices_per_user allows 1"):
            world.admin(*command)
    csr = tmp_path / "more.csr"
    csr.write_bytes(request_for(ec.generate_private_key(ec.SECP256R1())))
    with pytest.raises(WorldError, match="devices_per_user allows 1"):
        world.admin("device", "add", "more", "--user", "alice", "--csr", csr)
    pair = issue(world, "adopted")
    with pytest.raises(WorldError, match="devices_per_user allows 1"):
        world.admin("device", "adopt", "more", "--user", "alice", "--cert", pair[0])


def test_rename_bind_unbind_forget(new_world):
    world = new_world()
    world.admin("device", "rename", "alice-laptop", "laptop-1")
    world.laptops["laptop-1"] = world.laptops["alice-laptop"]
    with pytest.raises(WorldError, match="there is a device"):
        world.admin("device", "rename", "bob-laptop", "laptop-1")
    assert api.login(world, "alice", "laptop-1").status == 200
    assert api.login(world, "bob", "laptop-1").body["code"] == "not_bound"
    world.admin("device", "bind", "laptop-1", "--user", "bob")
    token = api.login(world, "bob", "laptop-1").body["session"]
    h2 = clients.Http2(world, "laptop-1")
    number, status = h2.connect(f"127.0.0.1:{world.web}", token)
    assert status == 200
    said = world.admin("device", "unbind", "laptop-1", "--user", "bob")
    assert "1 sessions ended, 1 tunnels closed" in said
    assert h2.wait(lambda: h2.closed or h2.streams[number].ended, 10)
    assert api.login(world, "bob", "laptop-1").body["code"] == "not_bound"
    with pytest.raises(WorldError, match="only user"):
        world.admin("device", "unbind", "laptop-1", "--user", "alice")
    with pytest.raises(WorldError, match="only a revoked device"):
        world.admin("device", "forget", "laptop-1")
    world.admin("device", "revoke", "laptop-1")
    world.admin("device", "forget", "laptop-1")
    assert names(world) == {"bob-laptop"}
    laptop = world.laptops["laptop-1"]
    assert_shut(world, curl_with(world, laptop.certificate, laptop.key), "device_unknown")
    world.stop_process("gateway")
    world.start_gateway()
    assert_shut(world, curl_with(world, laptop.certificate, laptop.key), "device_unknown")
    world.enroll("laptop-1", "alice")
    assert len(query(world, "SELECT id FROM session")) == 2, "the record stays"


# ---- for browsers ------------------------------------------------------------------------------------------


def export(world, folder, path, *lines):

    read, write = os.pipe()
    os.write(write, "".join(line + "\n" for line in lines).encode())
    os.close(write)
    return sallyport(world, folder, "export-p12", str(path), "--answers-from", str(read), pass_fds=[read])


def test_F3_export_for_a_browser(world, tmp_path):
    folder = new_laptop(world, "browser")
    path = tmp_path / "browser.p12"
    assert "at least 8" in export(world, folder, path, "short", "short").stderr
    assert "not the same" in export(world, folder, path, "correct horse", "battery staple").stderr
    assert not path.exists()
    done = export(world, folder, path, "correct horse", "correct horse")
    assert done.returncode == 0, done.stderr
    assert path.stat().st_mode & 0o777 == 0o600
    shown = subprocess.run(["openssl", "pkcs12", "-in", path, "-passin", "pass:correct horse", "-nodes"], text=True,
                           capture_output=True, check=True).stdout
    assert "BEGIN PRIVATE KEY" in shown and "friendlyName: browser" in shown
    assert export(world, folder, path, "correct horse", "correct horse").returncode == 1, "never overwritten"
