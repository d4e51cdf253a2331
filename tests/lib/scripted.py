"""A web server that says what a test wants, byte for byte, and keeps what it was asked."""
import socket
import struct
import threading

SECONDS = 20


def reset(peer):
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


class Scripted:
    """`say` sets what the next connections are answered with. `seen` holds the bytes of each question, in their order: the
    head and what stood behind it, until the answer began."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.seen, self.peers = [], []
        self.say(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        threading.Thread(target=self.serve, daemon=True).start()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def say(self, answer, then="close", early=False, wait=None):
        """`answer`: bytes, or a function that gets the connection. then: close, reset, stay (until the client has gone).
        early: without waiting for the body. wait: an event before the answer begins."""
        self.answer, self.then, self.early, self.wait = answer, then, early, wait

    def serve(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            self.peers.append(peer)
            threading.Thread(target=self.handle, args=(peer,), daemon=True).start()

    def read_question(self, peer):
        """Until the body that the head announces has come, and a moment longer: for what should not be there."""
        text = bytearray()
        self.seen.append(text)
        peer.settimeout(SECONDS)
        while b"\r\n\r\n" not in text:
            piece = peer.recv(65536)
            if not piece:
                return
            text += piece
        if self.early:
            return
        head, _, _ = bytes(text).partition(b"\r\n\r\n")
        lengths = [int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        whole = len(head) + 4 + sum(lengths)
        while len(text) < whole:
            piece = peer.recv(1 << 20)
            if not piece:
                return
            text += piece

    def handle(self, peer):
        try:
            self.read_question(peer)
            if self.wait:
                self.wait.wait(SECONDS)
            if callable(self.answer):
                self.answer(peer)
            else:
                peer.sendall(self.answer)
            if self.then == "stay":
                while piece := peer.recv(65536):
                    self.seen[-1] += piece
            if self.then == "reset":
                reset(peer)
        except OSError:
            pass
        finally:
            peer.close()

    def close(self):
        for one in (self.listener, *self.peers):
            one.close()
