"""A TCP echo that keeps half-close: whatever comes goes back, and the end comes back after the last byte.

Usage: echo.py PORT [ADDRESS] (127.0.0.1)
"""
import selectors
import socket
import sys


class Connection:
    LIMIT = 1 << 20

    def __init__(self, peer):
        self.peer, self.held, self.ended = peer, bytearray(), False

    def events(self):
        wanted = 0
        if not self.ended and len(self.held) < self.LIMIT:
            wanted |= selectors.EVENT_READ
        return wanted | (selectors.EVENT_WRITE if self.held else 0)

    def turn(self, events):
        """Moves what can be moved; False when the connection is over."""
        if events & selectors.EVENT_READ:
            piece = self.peer.recv(65536)
            self.ended = not piece
            self.held += piece
        if events & selectors.EVENT_WRITE:
            del self.held[:self.peer.send(self.held)]
        return not (self.ended and not self.held)


def serve(port, address="127.0.0.1"):
    selector = selectors.DefaultSelector()
    listener = socket.create_server((address, port), backlog=512)
    selector.register(listener, selectors.EVENT_READ)
    while True:
        for key, events in selector.select():
            if key.fileobj is listener:
                peer, _ = listener.accept()
                peer.setblocking(False)
                selector.register(peer, selectors.EVENT_READ, Connection(peer))
                continue
            connection = key.data
            try:
                alive = connection.turn(events)
            except OSError:
                alive = False
            if alive and connection.events():
                selector.modify(connection.peer, connection.events(), connection)
                continue
            selector.unregister(connection.peer)
            connection.peer.close()


if __name__ == "__main__":
    serve(int(sys.argv[1]), *sys.argv[2:3])
