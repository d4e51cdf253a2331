"""What another authority has revoked: its lists, from a file and by the network, good ones and bad ones, fresh and stale."""
import json

import api
import pytest
from enterprise import Enterprise, Place
from records import rows
from test_door_one import assert_shut, curl_with
from test_no_means_no import Session
from world import WorldError, run, wait_until


@pytest.fixture
def place():
    place = Place()
    yield place
    place.close()


def add(world, *lines):
    with world.conf.open("a") as conf:
        conf.write("\n".join(lines) + "\n")
    world.admin("reload")


def section(enterprise, crl, every="1s", grace="1d", **more):
    more = "  ".join(f'{key} = "{value}"' for key, value in more.items())
    return (f'authority "corp" {{ certificate = "{enterprise.certificate}"  crl = "{crl}"  crl_every = "{every}"  '
            f'crl_grace = "{grace}"  {more} }}')


def lists(world):
    return json.loads(world.admin("ca", "show", "--json"))[1]["revocations"]


def wait_for_list(world, number):
    wait_until(lambda: rows(world, "SELECT number FROM issuer_list") == [(f"{number:040x}",)], f"list {number}: {lists(world)}")


def is_in(world, laptop):
    return '"status":' in curl_with(world, laptop.certificate, laptop.key).stdout


def start(new_world, crl=None, settings=()):
    """An enterprise that is trusted, and two of its laptops."""
    world = new_world(settings=settings, laptops=("alice",))
    enterprise = Enterprise(world)
    world.admin("ca", "trust", enterprise.certificate)
    return world, enterprise, enterprise.laptop("pc-1", "alice"), enterprise.laptop("pc-2", "alice")


def test_A3_a_list_in_a_file(new_world):
    world, enterprise, one, two = start(new_world)
    assert is_in(world, one), "without a section nobody asks for a list"
    path = enterprise.folder / "devices.crl"
    add(world, section(enterprise, path))
    assert_shut(world, curl_with(world, one.certificate, one.key), "crl_stale")
    wait_until(lambda: "cannot open" in lists(world), "the missing file")
    wait_until(lambda: rows(world, "SELECT 1 FROM audit WHERE code = 'crl_stale' AND detail LIKE '%never came%'"), "the alarm")
    path.write_text(enterprise.crl())
    wait_for_list(world, 1)
    assert is_in(world, one) and is_in(world, two) and is_in(world, world.laptops["alice-laptop"])
    enterprise.revoke("pc-1")
    path.write_text(enterprise.crl())
    wait_for_list(world, 2)
    assert_shut(world, curl_with(world, one.certificate, one.key), "certificate_revoked")
    assert is_in(world, two)
    assert lists(world).startswith("fresh, 1, next due 20") and "lists of other authorities are overdue" not in world.admin("status")
    assert [a["role"] for a in json.loads(world.admin("ca", "show", "--json"))] == ["own", "trusted"]
    path.chmod(0o666)
    wait_until(lambda: "others can write" in lists(world), "the complaint about the file's mode")
    assert is_in(world, two), "the last list counts"


def test_C1_a_new_list_cuts_live_tunnels(new_world, place):
    world, enterprise, one, two = start(new_world)
    place.body = enterprise.der()
    add(world, section(enterprise, place.url))
    wait_for_list(world, 1)
    first, second = Session(world, "pc-1"), Session(world, "pc-2")
    enterprise.revoke("pc-1")
    place.body = enterprise.der()
    assert first.all_ended(20)
    wait_until(lambda: len(rows(world, "SELECT 1 FROM tunnel WHERE closed_at IS NULL")) == len(second.numbers), "the record of the end")
    (begun,), (ended,) = rows(world, "SELECT max(at) FROM audit WHERE event = 'revocation_list' UNION ALL "
                                     "SELECT max(closed_at) FROM tunnel")
    assert ended - begun <= 1000
    assert rows(world, "SELECT device, code FROM audit WHERE event = 'device_barred'") == [("pc-1", "certificate_revoked")]
    assert rows(world, "SELECT end_reason FROM session WHERE ended_at IS NOT NULL") == [("certificate_revoked",)]
    number, status = second.h2.connect(f"127.0.0.1:{world.echo}", second.token)
    assert status == 200, "others go on"
    assert_shut(world, curl_with(world, one.certificate, one.key), "certificate_revoked")
    assert api.call(world, "GET", "/v1/session", laptop="pc-2", token=first.token).status == 401


def test_who_is_taken_off_the_list_is_let_in_again(new_world, place):
    world, enterprise, one, _ = start(new_world)
    enterprise.revoke("pc-1", "-crl_reason", "certificateHold")
    place.body = enterprise.der()
    add(world, section(enterprise, place.url))
    wait_for_list(world, 1)
    assert_shut(world, curl_with(world, one.certificate, one.key), "certificate_revoked")
    enterprise.unhold("pc-1")
    place.body = enterprise.der()
    wait_for_list(world, 2)
    assert is_in(world, one)


def test_bad_lists_count_for_nothing(new_world, place):
    """Somebody else's, an old one played back, a part, garbage, nothing: the last good one stays in force."""
    world, enterprise, one, two = start(new_world)
    other = Enterprise(world, folder="other")
    stranger = Enterprise(world, name="Somebody else", folder="stranger")
    before = enterprise.der()
    enterprise.revoke("pc-1")
    place.body = enterprise.der()
    add(world, section(enterprise, place.url))
    wait_for_list(world, 2)
    damaged = bytearray(place.body)
    damaged[-3] ^= 1
    for body, complaint in [(before, "older than the last one (number 0x1 after 0x2)"), (other.der(), "not this authority's"),
                            (stranger.der(), "another authority's"), (enterprise.der(section="part"), "critical extension 2.5.29.28"),
                            (b"garbage", "no list of revoked certificates"), (b"", "no list"), (place.body[:-20], "no list"),
                            (bytes(damaged), "not this authority's"), (enterprise.crl().encode()[:300], "cannot be read")]:
        place.body = body
        wait_until(lambda: complaint in lists(world), f"{complaint}; there is: {lists(world)}")
        assert_shut(world, curl_with(world, one.certificate, one.key), "certificate_revoked")
        assert is_in(world, two)
    place.status = 404
    wait_until(lambda: "status 404" in lists(world), "the server's status")
    assert rows(world, "SELECT number FROM issuer_list") == [(f"{2:040x}",)]


def test_a_restart_has_the_last_list(new_world, place):
    world, enterprise, one, two = start(new_world)
    enterprise.revoke("pc-1")
    place.body = enterprise.der()
    add(world, section(enterprise, place.url))
    wait_for_list(world, 1)
    place.status = 503
    world.stop_process("gateway")
    world.start_gateway()
    assert_shut(world, curl_with(world, one.certificate, one.key), "certificate_revoked")
    assert is_in(world, two)


def test_a_stale_list_is_told_and_then_nobody_comes(new_world, place):
    """Before the end of the grace: said once. After it: refused, cut off; the session waits for the next list."""
    world, enterprise, one, _ = start(new_world, settings=['alert "a" { events = {"crl-stale"}  to = "http://127.0.0.1:9/" }'])
    place.body = enterprise.der("-crlsec", "6")
    add(world, section(enterprise, place.url, grace="12s"))
    wait_for_list(world, 1)
    session = Session(world, "pc-1")
    told = "SELECT code FROM audit WHERE event = 'alarm' ORDER BY sequence"
    wait_until(lambda: rows(world, told) == [("crl_stale_soon",)], "the notice")
    assert lists(world).startswith("stale, 0") and is_in(world, one)
    assert "lists of other authorities are overdue" in world.admin("status") and json.loads(world.admin("status", "--json"))["revocation_lists_stale"] == 1
    assert session.all_ended(30)
    assert_shut(world, curl_with(world, one.certificate, one.key), "crl_stale")
    assert lists(world).startswith("refused, 0") and is_in(world, world.laptops["alice-laptop"])
    wait_until(lambda: len(rows(world, told)) == 2, "the second notice")
    assert rows(world, told) == [("crl_stale_soon",), ("crl_stale",)]
    ((detail,),) = rows(world, "SELECT detail FROM audit WHERE code = 'crl_stale_soon'")
    assert "should have been renewed by 20" in detail and "on its devices are refused" in detail
    assert rows(world, "SELECT event FROM spool ORDER BY id") == [("crl-stale",), ("crl-stale",)]
    assert rows(world, "SELECT count(*) FROM audit WHERE event = 'device_barred' AND code = 'crl_stale'") == [(1,)]
    place.body = enterprise.der()
    wait_for_list(world, 2)
    assert api.call(world, "GET", "/v1/session", laptop="pc-1", token=session.token).status == 200
    assert rows(world, "SELECT noticed_at FROM issuer_list") == [(0,)]


def test_a_large_list_is_read_quickly(new_world, place):
    """20,000 entries of an openssl authority: nobody else waits for it."""
    world, enterprise, one, _ = start(new_world)
    lines = [f"R\t401231000000Z\t261101000000Z\t{0x10000 + n:08X}\tunknown\t/CN=old-{n}\n" for n in range(20000)]
    with (enterprise.folder / "index.txt").open("a") as index:
        index.writelines(lines)
    enterprise.revoke("pc-1")
    place.body = enterprise.der()
    add(world, section(enterprise, place.url))
    wait_for_list(world, 1)
    assert lists(world).startswith("fresh, 20001,")
    assert_shut(world, curl_with(world, one.certificate, one.key), "certificate_revoked")


WRONG_SECTIONS = [
    (lambda e, w: section(e, "devices.crl"), "needs crl: an absolute path"),
    (lambda e, w: section(e, "/x", every="1"), "crl_every is from 1s to 7d"),
    (lambda e, w: section(e, "/x", grace="91d"), "crl_grace from 0s to 90d"),
    (lambda e, w: section(e, "/x", crl_evry="1h"), 'no key "crl_evry" in an authority; did you mean "crl_every"'),
    (lambda e, w: section(e, "/x") + "\n" + section(e, "/y"), "conf:[0-9]+:.*corp"),
    (lambda e, w: section(Enterprise(w, folder="untrusted"), "/x"), "not among the other authorities in device_authority"),
    (lambda e, w: section(e, "/x").replace("ca.crt", "ca.key"), "holds no certificate"),
    (lambda e, w: section(e, "/x").replace("ca.crt", "none.crt"), "cannot open"),
]


def test_a_wrong_section_is_refused_and_named(new_world):
    world, enterprise, one, _ = start(new_world)
    text = world.conf.read_text()
    for wrong, sentence in WRONG_SECTIONS:
        world.conf.write_text(text)
        with pytest.raises(WorldError, match=sentence):
            add(world, wrong(enterprise, world))
        assert is_in(world, one)


def test_an_authority_that_may_not_sign_lists(new_world):
    world = new_world(laptops=())
    enterprise = Enterprise(world, usage="keyCertSign")
    world.admin("ca", "trust", enterprise.certificate)
    with pytest.raises(WorldError, match="without cRLSign"):
        add(world, section(enterprise, "/x"))


def test_C1_the_next_certificate_of_a_device_is_judged_by_itself(new_world, place):
    """Authorities put what they have replaced on their list: that must not cost the device its new certificate."""
    world, enterprise, one, _ = start(new_world)
    place.body = enterprise.der()
    add(world, section(enterprise, place.url))
    wait_for_list(world, 1)
    assert is_in(world, one)
    later = enterprise.sign("pc-1-later")
    world.admin("device", "adopt", "pc-1", "--cert", later[0])
    enterprise.revoke("pc-1", "-crl_reason", "superseded")
    place.body = enterprise.der()
    wait_for_list(world, 2)
    assert_shut(world, curl_with(world, one.certificate, one.key), "certificate_revoked")
    assert '"status":' in curl_with(world, *later).stdout
    enterprise.revoke("pc-1-later")
    place.body = enterprise.der()
    wait_for_list(world, 3)
    assert_shut(world, curl_with(world, *later), "certificate_revoked")
    with pytest.raises(WorldError, match="adopted devices have certificates of it"):
        world.admin("ca", "drop", json.loads(world.admin("ca", "show", "--json"))[1]["fingerprint"])


def test_a_device_of_an_authority_in_between_depends_on_every_list(new_world, place):
    """The laptop sends the certificate in between; nobody here knows it."""
    world, enterprise, _, _ = start(new_world)
    sub, sub_key = enterprise.sign("sub", "sub")
    leaf, key = enterprise.folder / "leaf.crt", enterprise.folder / "leaf.key"
    run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=below",
         "-keyout", key, "-out", enterprise.folder / "leaf.csr"])
    run(["openssl", "x509", "-req", "-in", enterprise.folder / "leaf.csr", "-CA", sub, "-CAkey", sub_key, "-days", "5",
         "-extfile", enterprise.folder / "conf", "-extensions", "leaf", "-out", leaf])
    leaf.write_text(leaf.read_text() + sub.read_text())
    world.admin("device", "adopt", "below", "--user", "alice", "--cert", leaf)
    assert '"status":' in curl_with(world, leaf, key).stdout
    place.status = 500
    add(world, section(enterprise, place.url))
    assert_shut(world, curl_with(world, leaf, key), "crl_stale")
    place.body, place.status = enterprise.der(), 200
    wait_for_list(world, 1)
    assert '"status":' in curl_with(world, leaf, key).stdout
