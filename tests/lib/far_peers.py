"""What moves bytes over a long way: a peer inside, one at the gateway itself for comparison, and a transfer's time."""
import subprocess

from weather import GATEWAY
from world import answers, free_port

# Gives or takes as the first byte wants it: d (a number of MB follows, in three digits), u, or s: takes 8 MB, then no more.
PEER = """
import socket, sys, threading, time
def serve(peer):
    order = peer.recv(1)
    if order == b"d":
        peer.sendall(bytes(int(peer.recv(3)) * 1000000))
        peer.close()
    else:
        left = 8000000 if order == b"s" else 1 << 60
        while left > 0 and (piece := peer.recv(min(left, 1 << 18))):
            left -= len(piece)
        if order == b"s":
            time.sleep(3600)
        peer.sendall(b"!")
        peer.close()
listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
while True:
    threading.Thread(target=serve, args=listener.accept()[:1], daemon=True).start()
"""

TRANSFER = """
import socket, sys, time
host, port, order, size = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
begun = time.monotonic()
peer = socket.create_connection((host, port))
if order == "d":
    peer.sendall(b"d%03d" % size)
    got = 0
    while piece := peer.recv(1 << 20):
        got += len(piece)
    assert got == size * 1000000, got
else:
    peer.sendall(order.encode() + bytes(size * 1000000))
    peer.shutdown(socket.SHUT_WR)
    assert peer.recv(1) == b"!"
print(time.monotonic() - begun)
"""


def start_peers(world):
    """`world.peer` is the port of the one inside, `world.direct` of the other; the policy lets alice in."""
    world.peer, world.direct = free_port(), free_port()
    world.spawn_inside("peer", ["python3", "-c", PEER, world.inside, world.peer], world.peer)
    world.spawn("direct", ["python3", "-c", PEER, GATEWAY, world.direct], lambda: answers(world.direct, GATEWAY))
    with world.policy.open("a") as policy:
        policy.write(f'resource "peer" {{ address = {{"{world.inside}:{world.peer}"}} }}\n'
                     'rule "far" { users = {"alice"}  resources = {"peer"} }\n')
    world.admin("reload")


def transfer_seconds(world, host, port, order, megabytes, limit=60):
    """From the laptop; order: d or u."""
    with world.on_laptop("python3", "-c", TRANSFER, host, str(port), order, str(megabytes), stdout=subprocess.PIPE) as transfer:
        try:
            return float(transfer.communicate(timeout=limit)[0])
        finally:
            transfer.kill()
