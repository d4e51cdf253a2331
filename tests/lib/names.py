"""A name server of a test's own: it says what it is told to, and changes its mind where that is wanted."""
import socket
import struct
import threading


class NameServer(threading.Thread):
    """Answers every A question by the next of its answers, for ever to be kept; silent without any. `answers` may also be a
    table {name: answers}: other names do not exist."""

    def __init__(self, answers=()):
        super().__init__(daemon=True)
        self.answers, self.asked = answers, 0
        self.counts = {}
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                self.answer(*self.socket.recvfrom(512))
            except OSError:
                return  # closed

    def answer(self, query, peer):
        end = query.index(b"\0", 12) + 5
        kind = struct.unpack("!H", query[end - 4:end - 2])[0]
        if not self.answers:
            return
        found = self.next_answer(name_of(query)) if kind == 1 else None
        record = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 86400, 4) + socket.inet_aton(found) if found else b""
        status = b"\x81\x83" if found is None and kind == 1 else b"\x81\x80"
        self.socket.sendto(query[:2] + status + struct.pack("!HHHH", 1, bool(record), 0, 0) + query[12:end] + record, peer)

    def next_answer(self, name):
        """None: there is no such name."""
        answers = self.answers.get(name) if isinstance(self.answers, dict) else self.answers
        if not answers:
            return None
        count = self.counts.get(name, 0)
        self.counts[name] = count + 1
        self.asked += 1
        return answers[count % len(answers)]

    def close(self):
        self.socket.close()


def name_of(query):
    labels, position = [], 12
    while query[position]:
        labels.append(query[position + 1:position + 1 + query[position]].decode())
        position += 1 + query[position]
    return ".".join(labels).lower()
