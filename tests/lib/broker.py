"""A real broker, with everybody around it played by the test: monitor, workers, signer, conversations."""
import hashlib
import http.client
import json
import os
import pathlib
import socket
import sqlite3
import time

import frames
import rooms

IDENTITY = 64103
SCHEMA = pathlib.Path(__file__).resolve().parents[2] / "sql" / "0001_schema.sql"
FAR = 4102444800000


class Device:
    """A registered laptop: its fingerprint and public key are bytes that nobody but the script looks into."""

    def __init__(self, name, users, state="active", tags="", certificate_state="active", not_before=0, not_after=FAR):
        self.name, self.users, self.state, self.tags = name, users, state, tags
        self.certificate_state, self.not_before, self.not_after = certificate_state, not_before, not_after
        self.fingerprint = hashlib.sha256(name.encode()).digest()
        self.key = b"key of " + name.encode()
        self.id = hashlib.sha256(b"id" + name.encode()).hexdigest()[:32]


def seed(path, devices):
    """A store as a gateway leaves it."""
    with sqlite3.connect(path) as database:
        database.executescript(SCHEMA.read_text())
        database.execute("PRAGMA user_version = 1")
        for d in devices:
            database.execute("INSERT INTO device (id, name, state, tags, generation, created_at) VALUES (?,?,?,?,1,1)",
                             (d.id, d.name, d.state, "".join(t + "\n" for t in d.tags.split())))
            for user in d.users:
                database.execute("INSERT INTO device_user VALUES (?,?)", (d.id, user))
            database.execute("INSERT INTO certificate VALUES (?,?,?,1,?,'ec-p256',?,?,?,1)",
                             (d.fingerprint.hex(), d.id, d.id, d.key.hex(), d.not_before, d.not_after,
                              d.certificate_state))
    database.close()


class UnixHttp(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("admin", timeout=frames.SECONDS)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Broker:
    def __init__(self, programs, folder, devices=(), policy="", **settings):
        self.programs, self.folder = programs, pathlib.Path(folder)
        self.state = self.folder / "state"
        self.database = self.state / "sallyport.db"
        self.policy = policy
        self.settings = {"store": str(self.database), "end_grace": "400ms", "name": "gateway.test", **settings}
        if os.geteuid() == 0:
            self.settings["broker_user"] = str(IDENTITY)
        self.state.mkdir(mode=0o700, exist_ok=True)
        seed(self.database, devices)
        self.own(self.database)
        self.own(self.state)
        self.workers = []
        self.asides = []
        self.start()

    def own(self, path):
        if path.is_file():
            path.chmod(0o600)
        if os.geteuid() == 0:
            os.chown(path, IDENTITY, IDENTITY)

    # ---- life ----

    def make(self, kept=()):
        """The room with all it is sent, before `begin`; kept: descriptors of the broker before."""
        self.signer, signer_end = frames.pair("broker_signer")
        self.admin_path = self.folder / "admin.sock"
        self.admin_path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.admin_path))
        listener.listen(16)
        policy = frames.open_bytes(self.policy.encode())
        self.room = rooms.Room(self.programs, "broker", self.settings,
                               [("policy", "policy.conf", policy), ("signer_edge", "signer", signer_end.fileno()),
                                ("admin_listener", str(self.admin_path), listener.fileno()), *kept])
        os.close(policy)
        listener.close()
        signer_end.close()
        self.monitor = self.room.monitor
        self.number = 0
        return self.room

    def start(self):
        self.make().begin_well()

    def kill(self):
        os.kill(self.room.pid, 9)
        self.room.wait()
        self.room.end()

    def end(self):
        self.room.end()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    # ---- the others ----

    def query(self, text, *arguments):
        with sqlite3.connect(f"file:{self.database}?mode=ro", uri=True) as database:
            rows = database.execute(text, arguments).fetchall()
        database.close()
        return rows

    def admin(self, method, path, body=None):
        connection = UnixHttp(self.admin_path)
        connection.request(method, path, json.dumps(body) if body is not None else None,
                           {"Content-Type": "application/json"})
        answer = connection.getresponse()
        content = json.loads(answer.read() or b"null")
        connection.close()
        return answer.status, content

    def told(self, wanted, seconds=None):
        """The next message of that kind to the monitor; others are kept aside for their own caller."""
        for message in self.asides:
            if message.name == wanted:
                self.asides.remove(message)
                return message
        deadline = time.monotonic() + (seconds or frames.SECONDS)
        while True:
            message = self.monitor.receive(seconds=max(0.01, deadline - time.monotonic()))
            if message.name == wanted:
                return message
            self.asides.append(message)

    def new_worker(self, address="192.0.2.7", proxied=0, listener=1):
        self.number += 1
        ours, theirs = frames.pair("worker_broker")
        self.monitor.send("worker", worker=self.number, fd=theirs.fileno())
        theirs.close()
        self.monitor.send("worker_client", worker=self.number, address=address, port=40000, proxied=proxied, listener=listener)
        return Worker(self, ours, self.number)

    def connect(self, device, address="192.0.2.7"):
        """A worker whose client has passed door one."""
        worker = self.new_worker(address)
        worker.show(device)
        worker.verified()
        accepted = worker.peer.receive("accepted")
        assert accepted.device == device.name
        worker.connection = accepted.connection
        assert self.told("door_one").worker == worker.number
        return worker

    def conversation(self):
        """The broker wants one: here it is. Returns its end after `start`, with the facts."""
        self.told("conversation_wanted")
        ours, theirs = frames.pair("broker_conversation")
        self.monitor.send("conversation", fd=theirs.fileno())
        theirs.close()
        ours.facts = {}
        while (message := ours.receive()).name == "fact":
            ours.facts[message.values["name"]] = message.value
        assert message.name == "start"
        ours.started = message
        return ours


class Worker:
    def __init__(self, broker, peer, number):
        self.broker, self.peer, self.number = broker, peer, number
        self.request = 0

    def show(self, device):
        fingerprint = device.fingerprint if isinstance(device, Device) else device
        self.peer.send("peer", fingerprint=fingerprint, protocol="TLS1.3", suite="AES-128-GCM")

    def verified(self, good=1):
        asked = self.broker.signer.receive("verify")
        assert asked.worker == self.number
        self.broker.signer.send("verified", worker=self.number, good=good, reason="" if good else "another key")
        return asked

    def ask(self, message, **values):
        self.request += 1
        self.peer.send(message, request=self.request, **values)
        return self.request

    def call(self, message, **values):
        """The answer to one request; what only goes before it is passed over."""
        request = self.ask(message, **values)
        while (answer := self.peer.receive()).name == "session_tunnel":
            pass
        assert answer.request == request, answer
        return answer

    def request_id(self):
        return f"{self.connection}-{self.request}"

    def answer(self, conversation, *answers):
        self.request += 1
        for text in answers:
            self.peer.send("answer_item", request=self.request, text=text)
        self.peer.send("login_answer", request=self.request, conversation=conversation, answers=len(answers))
        return self.request

    def login(self, user="alice", pam_user=None, good=1, portal=0):
        """One password round. The last message: login_granted or problem; items are kept in .resources."""
        self.ask("login_start", user=user, portal=portal)
        conversation = self.broker.conversation()
        assert conversation.started.user == user
        conversation.send("message", style=1, text="Password: ")
        conversation.send("round", prompts=1)
        assert self.peer.receive("login_message").text == "Password: "
        state = self.peer.receive("login_state")
        assert state.prompting == 1
        self.answer(state.conversation, "secret")
        assert conversation.receive("answer").text == b"secret"
        conversation.send("result", good=good, phase=0 if good else 2, pam_code=0 if good else 7,
                          user=pam_user or user, reason="" if good else "Authentication failure")
        self.resources = []
        while (message := self.peer.receive()).name == "resource_item":
            self.resources.append(message)
        assert message.request == self.request
        return message

    def token(self, user="alice", portal=0):
        granted = self.login(user, portal=portal)
        assert granted.name == "login_granted", granted
        return granted.token

    def open(self, token, host, port, **values):
        return self.call("open", token=token, host=host, port=port, **values)
