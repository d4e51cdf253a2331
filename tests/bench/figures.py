"""The figures: what is done, how much of it, and what is read. Each returns a list of (row, value).

A row is (figure, detail): ("bulk", "1 up"). Values are in the unit that ROWS names.
"""
import contextlib

import materials as making
import processes
from peers import SSH, TLS_PER_TUNNEL
from processes import BenchError, Load, settled_cpu_seconds

GIGABYTE, MEGABYTE = 1e9, 1e6
IN_FLIGHT = 32

ROWS = {
    ("connection", "cpu"): ("Connection through door one", "server CPU, ms each"),
    ("tunnel", "cpu"): ("New tunnel", "server CPU, ms each"),
    ("tunnel", "rate"): ("New tunnels a second", f"wall time, {IN_FLIGHT} in flight"),
    ("bulk", "1 up"): ("Bulk, 1 tunnel, to the target", "server CPU, s per GB"),
    ("bulk", "1 down"): ("Bulk, 1 tunnel, from the target", "server CPU, s per GB"),
    ("bulk", "32 up"): ("Bulk, 32 tunnels, to the target", "server CPU, s per GB"),
    ("bulk", "32 down"): ("Bulk, 32 tunnels, from the target", "server CPU, s per GB"),
    ("pace", "1 up"): ("Bulk, 1 tunnel, to the target: pace", "MB a second of wall time"),
    ("pace", "1 down"): ("Bulk, 1 tunnel, from the target: pace", "MB a second of wall time"),
    ("pace", "32 up"): ("Bulk, 32 tunnels, to the target: pace", "MB a second of wall time"),
    ("pace", "32 down"): ("Bulk, 32 tunnels, from the target: pace", "MB a second of wall time"),
    ("pingpong", "median"): ("Ping-pong of 64 bytes", "median round trip, us"),
    ("far", "up"): ("100 ms, 1 Gbit/s: one transfer to the target", "MB a second of wall time"),
    ("far", "down"): ("100 ms, 1 Gbit/s: one transfer from the target", "MB a second of wall time"),
    ("memory", "client pss"): ("Idle client connection, PSS", "KiB each"),
    ("memory", "client kernel"): ("Idle client connection, kernel's part", "KiB each"),
    ("memory", "tunnel pss"): ("Idle tunnel, PSS", "KiB each"),
    ("memory", "tunnel kernel"): ("Idle tunnel, kernel's part", "KiB each"),
}
BIGGER_IS_BETTER = {("tunnel", "rate"), ("far", "up"), ("far", "down"), *(row for row in ROWS if row[0] == "pace")}


class Amounts:
    """How much work a round is."""

    def __init__(self, quick):
        self.connections = 100 if quick else 500
        self.ssh_connections = 10 if quick else 40
        self.tls_tunnels = 300 if quick else 1500
        self.stream_tunnels = 1500 if quick else 6000
        self.bytes = 100_000_000 if quick else 500_000_000
        self.round_trips = 1000 if quick else 5000
        self.far_megabytes = 50 if quick else 500
        self.idle_clients = 50 if quick else 200
        self.idle_ssh_clients = 10 if quick else 25
        self.idle_tunnels = 200 if quick else 500


class Bench:
    """Measures one peer after the other, with the given amounts."""

    def __init__(self, materials, amounts, notes):
        self.materials, self.amounts, self.notes = materials, amounts, notes

    def load(self, peer, figure, **options):
        words = [self.materials.programs / "load", figure, *peer.load_options()]
        for name, value in options.items():
            words.append("--" + name.replace("_", "-"))
            if value is not True:
                words.append(value)
        return Load([str(word) for word in words], self.materials.load_core)

    def timed(self, peer, figure, **options):
        """CPU seconds of the server while the load works, and the load's results."""
        with self.load(peer, figure, **options) as load:
            load.wait_ready()
            if processes.strays(peer.server.root, peer.server.core):
                raise BenchError("a process of the server has left its core")
            before = settled_cpu_seconds(peer.server)
            load.go()
            result = load.result()
            after = settled_cpu_seconds(peer.server)
            load.end()
        return after - before, result

    # ---- CPU --------------------------------------------------------------------------------------------------------

    def connection(self, peer):
        if peer.kind == SSH:
            return self.ssh_connection(peer)
        count = self.amounts.connections
        cpu, _ = self.timed(peer, "connection", count=count, warm=20)
        return [(("connection", "cpu"), 1000 * cpu / count)]

    def ssh_connection(self, peer):
        count = self.amounts.ssh_connections
        peer.visit()
        before = settled_cpu_seconds(peer.server)
        for _ in range(count):
            peer.visit()
        cpu = settled_cpu_seconds(peer.server) - before
        return [(("connection", "cpu"), 1000 * cpu / count)]

    def tunnel(self, peer):
        count = self.amounts.tls_tunnels if peer.kind == TLS_PER_TUNNEL else self.amounts.stream_tunnels
        cpu, result = self.timed(peer, "tunnel", count=count, warm=100, in_flight=IN_FLIGHT)
        if peer.kind == TLS_PER_TUNNEL and result["resumed"] < count:
            self.notes.add(f"{peer.name} resumed only {result['resumed']:.0f} of {count} TLS connections")
        return [(("tunnel", "cpu"), 1000 * cpu / count), (("tunnel", "rate"), count / result["seconds"])]

    def bulk(self, peer):
        values = []
        for tunnels in (1, 32) if peer.many_tunnels else (1,):
            for direction, options in (("up", {}), ("down", {"download": True})):
                cpu, result = self.timed(peer, "bulk", tunnels=tunnels, bytes=self.amounts.bytes, **options)
                work = f"{tunnels} {direction}"
                values.append((("bulk", work), cpu * GIGABYTE / result["bytes"]))
                values.append((("pace", work), result["bytes"] / MEGABYTE / result["seconds"]))
        return values

    def pingpong(self, peer):
        with processes.awake((self.materials.server_core, self.materials.load_core)):
            _, result = self.timed(peer, "pingpong", count=self.amounts.round_trips, warm=500)
        return [(("pingpong", "median"), result["median_us"])]

    # ---- memory -----------------------------------------------------------------------------------------------------

    def memory(self, peer):
        """On a server that has just started: one that has worked would serve idle clients from memory it has kept."""
        values = []
        for kind in peer.idle_kinds:
            fresh = type(peer)(self.materials)
            with fresh:
                pss, kernel = self.idle(fresh, kind)
            values += [(("memory", f"{name} pss"), pss) for name in self.memory_names(peer, kind)]
            values += [(("memory", f"{name} kernel"), kernel) for name in self.memory_names(peer, kind)]
        return values

    @staticmethod
    def memory_names(peer, kind):
        """Where a connection is a tunnel, its figure is that of both."""
        if len(peer.idle_kinds) == 1:
            return ("client", "tunnel")
        return ("client",) if kind == "connection" else ("tunnel",)

    def idle(self, peer, kind):
        if kind == "connection" and peer.kind == SSH:
            return self.idle_ssh_clients(peer)
        streams = kind == "tunnel" and len(peer.idle_kinds) > 1
        count = self.amounts.idle_tunnels if streams else self.amounts.idle_clients
        with self.load(peer, f"idle-{kind}s", count=count, warm=8, in_flight=8) as load:
            load.wait_ready()
            before = self.read_memory(peer)
            load.go()
            load.result()
            after = self.read_memory(peer)
            load.end()
        return [(late - early) / count for early, late in zip(before, after)]

    def idle_ssh_clients(self, peer):
        count = self.amounts.idle_ssh_clients
        before = self.read_memory(peer)
        clients = []
        with contextlib.ExitStack() as stack:
            for _ in range(count):
                client = peer.open_client(making.free_port())
                stack.callback(client.wait)
                stack.callback(client.terminate)
                clients.append(client)
            after = self.read_memory(peer)
        return [(late - early) / count for early, late in zip(before, after)]

    @staticmethod
    def read_memory(peer):
        settled_cpu_seconds(peer.server)
        return processes.pss_kib(peer.server.root), processes.kernel_kib(peer.server.root)

    # ---- all --------------------------------------------------------------------------------------------------------

    def measure(self, figure, peer):
        """The figure's values of this peer; none, and a note, when it cannot be measured."""
        if figure not in peer.figures:
            return []
        try:
            return getattr(self, figure)(peer)
        except (BenchError, OSError) as error:
            self.notes.fail(peer.name, f"{figure}: {error}")
            return []


FIGURES = ("connection", "tunnel", "bulk", "pingpong", "memory", "far")
