"""Internal servers that behave badly on purpose, and the rule that lets alice reach them."""
import socket
import threading


class Deaf:
    """A target that accepts one client and reads nothing; or sends as much as it can, for a client that reads nothing."""

    def __init__(self, floods):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.floods, self.peers, self.sent, self.reset = floods, [], 0, threading.Event()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        peer, _ = self.listener.accept()
        self.peers.append(peer)
        try:
            while self.floods:
                self.sent += peer.send(b"x" * 65536)
        except OSError:
            self.reset.set()

    def close(self):
        for one in (self.listener, *self.peers):
            one.close()


def allow(world, *ports):
    listed = ", ".join(f'"127.0.0.1:{port}"' for port in ports)
    world.policy.write_text(world.policy.read_text() + f'resource "own" {{ address = {{{listed}}} }}\n'
                            'rule "own" { users = {"alice"} resources = {"own"} }\n')
    world.admin("policy", "apply")
