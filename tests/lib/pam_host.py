"""A program of somebody else that uses PAM: FOLDER SERVICE USER FLAGS [account], answers on standard input, one a line.

Prints one JSON object: PAM's code, and what the conversation has said, as [style, text]. An answer "!PID" kills that
process first and then answers 000000.
"""
import ctypes
import json
import os
import signal
import sys
import time

PROMPTS = (1, 2)  # PAM_PROMPT_ECHO_OFF, PAM_PROMPT_ECHO_ON


class Message(ctypes.Structure):
    _fields_ = [("style", ctypes.c_int), ("text", ctypes.c_char_p)]


class Response(ctypes.Structure):
    _fields_ = [("text", ctypes.c_void_p), ("code", ctypes.c_int)]


CONVERSE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.POINTER(ctypes.POINTER(Message)),
                            ctypes.POINTER(ctypes.POINTER(Response)), ctypes.c_void_p)


class Conversation(ctypes.Structure):
    _fields_ = [("function", CONVERSE), ("data", ctypes.c_void_p)]


libc = ctypes.CDLL("libc.so.6")
libc.calloc.restype = libc.strdup.restype = ctypes.c_void_p
pam = ctypes.CDLL("libpam.so.0")
said = []


def answer():
    line = sys.stdin.buffer.readline().rstrip(b"\n")
    if line.startswith(b"!"):
        os.kill(int(line[1:]), signal.SIGKILL)
        time.sleep(0.5)
        return b"000000"
    return line


@CONVERSE
def converse(count, messages, responses, _):
    space = libc.calloc(count, ctypes.sizeof(Response))
    array = ctypes.cast(space, ctypes.POINTER(Response))
    for i in range(count):
        message = messages[i].contents
        said.append([message.style, message.text.decode()])
        if message.style in PROMPTS:
            array[i].text = libc.strdup(answer())
    responses[0] = array
    return 0


def main():
    folder, service, user, flags = sys.argv[1:5]
    phase = pam.pam_acct_mgmt if sys.argv[5:] == ["account"] else pam.pam_authenticate
    handle = ctypes.c_void_p()
    conversation = Conversation(converse, None)
    code = pam.pam_start_confdir(service.encode(), user.encode(), ctypes.byref(conversation), folder.encode(),
                                 ctypes.byref(handle))
    if code == 0:
        code = phase(handle, int(flags))
    print(json.dumps({"code": code, "said": said}))
    pam.pam_end(handle, code)


main()
