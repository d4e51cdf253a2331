"""Firefox by Marionette, the protocol that is built into it: JSON in packets "LENGTH:TEXT" on a TCP port of loopback.

A command is [0, ID, NAME, PARAMETERS], its answer [1, ID, ERROR, RESULT]. Debian has no geckodriver, and needs none for this.
"""
import json
import socket

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # how WebDriver names an element in JSON


class MarionetteError(Exception):
    """What Firefox says of a command that failed: `kind` is WebDriver's word for it."""

    def __init__(self, error):
        super().__init__(f"{error['error']}: {error['message']}")
        self.kind = error["error"]


class Marionette:
    def __init__(self, port, seconds=60):
        self.socket = socket.create_connection(("127.0.0.1", port), seconds)
        self.received, self.count = b"", 0
        self.greeting = self.receive()

    def receive(self):
        while b":" not in self.received:
            self.more()
        length, _, self.received = self.received.partition(b":")
        while len(self.received) < int(length):
            self.more()
        text, self.received = self.received[:int(length)], self.received[int(length):]
        return json.loads(text)

    def more(self):
        piece = self.socket.recv(1 << 18)
        if not piece:
            raise ConnectionError("Firefox has ended the connection")
        self.received += piece

    def call(self, name, **parameters):
        self.count += 1
        text = json.dumps([0, self.count, name, parameters]).encode()
        self.socket.sendall(b"%d:%s" % (len(text), text))
        answer = self.receive()
        # Somebody who gave up after a time-out left an answer behind.
        while answer[1] != self.count:
            answer = self.receive()
        _, _, error, result = answer
        if error:
            raise MarionetteError(error)
        return result.get("value", result) if isinstance(result, dict) else result

    def script(self, text, arguments=(), chrome=False, waits=False):
        """Runs the body of a function in the page, or with chrome=True in the browser itself. One that `waits` calls its last
        argument with the value."""
        if chrome:
            self.call("Marionette:SetContext", value="chrome")
        try:
            return self.call("WebDriver:ExecuteAsyncScript" if waits else "WebDriver:ExecuteScript", script=text, args=list(arguments), sandbox=None if chrome else "default",
                             newSandbox=False)
        finally:
            if chrome:
                self.call("Marionette:SetContext", value="content")

    def close(self):
        self.socket.close()
