"""Responders that an adopted certificate names: openssl's, good and bad, silent and gone (RFC 6960)."""
import json
import socket

import pytest
from enterprise import Enterprise, Place, Responder
from test_door_one import assert_shut, curl_with
from test_metrics import scrape, value
from test_no_means_no import Session
from test_revocation import add, is_in, rows
from world import WorldError, free_port, run, wait_until


class Scene:
    """A world with an enterprise whose laptops name a responder."""

    def __init__(self, new_world, *lines, grace="1h"):
        self.port, self.metrics = free_port(), free_port()
        self.world = new_world(laptops=(), settings=[f'metrics_listen = "127.0.0.1:{self.metrics}"'])
        self.enterprise = Enterprise(self.world, leaf=f"authorityInfoAccess = OCSP;URI:http://127.0.0.1:{self.port}/ocsp")
        self.world.admin("ca", "trust", self.enterprise.certificate)
        self.one = self.enterprise.laptop("pc-1", "alice")
        self.two = self.enterprise.laptop("pc-2", "alice")
        self.responder = Responder(self.enterprise, self.port)
        add(self.world, f'authority "corp" {{ certificate = "{self.enterprise.certificate}"  ocsp = yes  ocsp_grace = "{grace}" }}')

    def knock(self, laptop=None):
        laptop = laptop or self.one
        return curl_with(self.world, laptop.certificate, laptop.key)

    def assert_refused(self, code, laptop=None):
        """What was said a moment ago counts for some seconds."""
        wait_until(lambda: self.knock(laptop).stdout == "" and rows(
            self.world, "SELECT code FROM audit WHERE event = 'door_one' ORDER BY sequence DESC LIMIT 1") == [(code,)], code)
        assert_shut(self.world, self.knock(laptop), code)

    def wait_in(self, laptop=None):
        wait_until(lambda: is_in(self.world, laptop or self.one), "being let in", interval=0.5)

    def trouble(self):
        return json.loads(self.world.admin("ca", "show", "--json"))[1]["revocations"]


@pytest.fixture
def scene(new_world):
    scene = Scene(new_world)
    yield scene
    scene.responder.stop()


def alarms(world):
    return rows(world, "SELECT code FROM audit WHERE event = 'alarm' ORDER BY sequence")


def test_A3_the_responder_is_asked_and_believed(scene):
    world = scene.world
    scene.responder.start()
    assert is_in(world, scene.one) and is_in(world, scene.two)
    (certificate,) = json.loads(world.admin("device", "show", "pc-1", "--json"))["certificates"]
    assert certificate["responder"] == f"http://127.0.0.1:{scene.port}/ocsp"
    first, second = Session(world, "pc-1"), Session(world, "pc-2")
    scene.enterprise.revoke("pc-1")
    scene.responder.start()
    assert first.all_ended(20), "asked again while it is connected"
    scene.assert_refused("certificate_revoked")
    assert rows(world, "SELECT device, code FROM audit WHERE event = 'device_barred'") == [("pc-1", "certificate_revoked")]
    number, status = second.h2.connect(f"127.0.0.1:{world.echo}", second.token)
    assert status == 200 and is_in(world, scene.two)


def test_an_answer_counts_for_as_long_as_it_says(scene):
    scene.responder.start(minutes=10)
    assert is_in(scene.world, scene.one)
    scene.responder.stop()
    for _ in range(3):
        assert is_in(scene.world, scene.one), "it is not asked again"
    assert alarms(scene.world) == []
    scene.assert_refused("ocsp_unavailable", scene.two)
    assert alarms(scene.world) == [("ocsp_silent",)]
    page = scrape(scene.metrics)
    assert value(page, "sallyport_handshakes_total", outcome="ocsp_unavailable") >= 1
    assert value(page, "sallyport_handshakes_total", outcome="other") == 0


def test_who_may_sign_an_answer(scene):
    """The authority, or whom it has made its responder; nobody else, though he is in the certificate's place."""
    stranger = Enterprise(scene.world, folder="stranger")
    scene.responder.start(signer=(stranger.certificate, stranger.folder / "ca.key"))
    scene.assert_refused("ocsp_unavailable")
    assert "not signed by the authority or its responder" in scene.trouble()
    scene.responder.start(signer=scene.enterprise.sign("no-responder"))
    scene.assert_refused("ocsp_unavailable", scene.two)
    assert alarms(scene.world) == [("ocsp_silent",)], "told once"
    scene.responder.start(signer=scene.enterprise.sign("delegate", "responder"))
    scene.wait_in()
    assert "ocsp" not in scene.trouble()


def test_a_certificate_that_the_responder_does_not_know(scene):
    empty = scene.enterprise.folder / "empty.txt"
    empty.write_text("")
    scene.responder.start(index=empty)
    scene.assert_refused("certificate_revoked")
    scene.responder.start()
    scene.wait_in()


def test_silent_and_gone_mean_no_until_there_was_an_answer(new_world):
    scene = Scene(new_world, grace="12s")
    try:
        scene.assert_refused("ocsp_unavailable")
        with socket.create_server(("127.0.0.1", scene.port)):
            scene.assert_refused("ocsp_unavailable", scene.two)
        assert alarms(scene.world) == [("ocsp_silent",)]
        scene.responder.start()
        scene.wait_in()
        session = Session(scene.world, "pc-1")
        scene.responder.stop()
        assert is_in(scene.world, scene.one), "within the grace"
        assert session.all_ended(30), "after it the connection ends too"
        scene.assert_refused("ocsp_unavailable")
        assert rows(scene.world, "SELECT count(*) FROM session WHERE ended_at IS NOT NULL") == [(0,)]
        scene.responder.start()
        scene.wait_in()
    finally:
        scene.responder.stop()


def test_answers_that_do_not_fit(new_world):
    """To another question, about another certificate, none at all; one made beforehand, without a nonce, is taken."""
    place = Place()
    world = new_world(laptops=())
    enterprise = Enterprise(world, leaf=f"authorityInfoAccess = OCSP;URI:{place.url}")
    world.admin("ca", "trust", enterprise.certificate)
    one, two = enterprise.laptop("pc-1", "alice"), enterprise.laptop("pc-2", "alice")
    responder = Responder(enterprise, free_port())

    def recorded(laptop, *options):
        path = enterprise.folder / "answer.der"
        run(["openssl", "ocsp", "-issuer", enterprise.certificate, "-cert", laptop.certificate, "-respout", path, "-noverify",
             "-url", f"http://127.0.0.1:{responder.port}/", *options])
        return path.read_bytes()

    def shown():
        return json.loads(world.admin("ca", "show", "--json"))[1]["revocations"]

    try:
        responder.start(minutes=10)
        with pytest.raises(WorldError, match="needs crl"):
            add(world, f'authority "corp" {{ certificate = "{enterprise.certificate}"  ocsp = no }}')
        world.conf.write_text("\n".join(world.conf.read_text().splitlines()[:-1]) + "\n")
        place.body = recorded(one)
        for body, complaint in ((place.body, "to another question (nonce)"), (recorded(two, "-no_nonce"), "about another certificate"),
                                (b"garbage", "the answer is none"), (b"", "the answer is none")):
            place.body = body
            text = world.conf.read_text()
            # A section that is new has not complained yet.
            add(world, f'authority "corp" {{ certificate = "{enterprise.certificate}"  ocsp = yes }}')
            wait_until(lambda: curl_with(world, one.certificate, one.key).stdout == "" and complaint in shown(), complaint, interval=1)
            world.conf.write_text(text)
            world.admin("reload")
        place.body = recorded(one, "-no_nonce")
        add(world, f'authority "corp" {{ certificate = "{enterprise.certificate}"  ocsp = yes }}')
        wait_until(lambda: is_in(world, one), "the answer that was made beforehand", interval=1)
    finally:
        responder.stop()
        place.close()
