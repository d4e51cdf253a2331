"""Medians, spread, ratios, limits and goals: as tables for people and as JSON."""
import json
import os
import platform
import statistics
import time

from figures import BIGGER_IS_BETTER, ROWS
from peers import LIMIT, TLS_PER_TUNNEL

KIB_PER_CLIENT, KIB_PER_TUNNEL = 400, 8
KIB_PER_CLIENT_GOAL, KIB_PER_TUNNEL_GOAL = 200, 4
TUNNELS_A_SECOND = 2000
FAR_SHARE = 0.8
BULK_ROWS = [row for row in ROWS if row[0] == "bulk"]


REFERENCES = ("relay", "nginx", "openssh", "direct")  # besides the best


class Notes:
    """What a reader has to know besides the numbers; and what failed, so that numbers are missing."""

    def __init__(self):
        self.remarks, self.failures = set(), []

    def add(self, remark):
        self.remarks.add(remark)

    def fail(self, peer, what):
        self.failures.append({"peer": peer, "what": str(what)})


class Results:
    """All values of all rounds: results[row][peer] is a list."""

    def __init__(self, kinds):
        self.kinds = kinds  # name of a peer to its kind
        self.values = {}

    def add(self, row, peer, value):
        self.values.setdefault(row, {}).setdefault(peer, []).append(value)

    def median(self, row, peer):
        values = self.values.get(row, {}).get(peer)
        return statistics.median(values) if values else None

    def names(self, row):
        return [name for name in self.kinds if self.values.get(row, {}).get(name)]

    def best(self, row, kind=None):
        """Name and median of the best peer; the limits of the path are no peers, nor is Sallyport its own."""
        peers = [name for name in self.names(row) if self.kinds[name] != LIMIT and name != "sallyport"
                 and (kind is None or self.kinds[name] == kind)]
        choose = max if row in BIGGER_IS_BETTER else min
        name = choose(peers, key=lambda peer: self.median(row, peer), default=None)
        return name, self.median(row, name)


# ---- tables ---------------------------------------------------------------------------------------------------------

def number(value):
    if value is None:
        return "-"
    digits = 0 if value >= 1000 else 1 if value >= 100 else 2 if value >= 1 else 3
    return f"{value:.{digits}f}"


def ratio(value, reference):
    return f"{value / reference:.2f}" if value is not None and reference else "-"


def print_columns(lines):
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        first, rest = line[0].ljust(widths[0]), (word.rjust(width) for word, width in zip(line[1:], widths[1:]))
        print("  " + "  ".join([first, *rest]))


def print_row(results, row):
    names = results.names(row)
    if not names:
        return
    title, unit = ROWS[row]
    best_name, best = results.best(row)
    references = [(f"x best ({best_name})", best)]
    references += [(f"x {name}", results.median(row, name)) for name in REFERENCES
                   if name in names and name != best_name]
    lines = [["", "median", "from", "to", *(label for label, _ in references)]]
    for name in names:
        values, median = results.values[row][name], results.median(row, name)
        lines.append([name, number(median), number(min(values)), number(max(values)),
                      *(ratio(median, reference) for _, reference in references)])
    print(f"\n{title} ({unit})")
    print_columns(lines)


# ---- the limits ---------------------------------------------------------------------------------------------

def limit(name, value, bound, at_least=False):
    """One line of the limits; a value or bound that was not measured is neither met nor not met."""
    known = value is not None and bound is not None
    met = known and (value >= bound if at_least else value <= bound)
    verdict = ("met" if met else "not met") if known else "not measured"
    return {"limit": name, "value": value, "bound": bound, "verdict": verdict}


def times(factor, value):
    return None if value is None else factor * value


def best_limit(results, row):
    name, best = results.best(row)
    return limit(f"{ROWS[row][0]}: at most the best peer ({name})", results.median(row, "sallyport"), best)


def slow_bests(results):
    """A best peer that takes its time: what it costs to go slowly is no bound for who goes fast, and the reader decides."""
    for row in BULK_ROWS:
        pace, (name, _) = ("pace", row[1]), results.best(row)
        theirs, ours = results.median(pace, name), results.median(pace, "sallyport")
        if theirs and ours and theirs < ours / 2:
            yield f"{ROWS[row][0]}: {name} moves {number(theirs)} MB a second meanwhile, sallyport {number(ours)}"


def limits(results):
    def ours(*row):
        return results.median(row, "sallyport")

    connection, tunnel = ("connection", "cpu"), ("tunnel", "cpu")
    best_tls_name, best_tls = results.best(tunnel, TLS_PER_TUNNEL)
    nginx, openssh = (results.median(connection, name) for name in ("nginx", "openssh"))
    return [
        limit("Connection: at most 3 x nginx", ours(*connection), times(3, nginx)),
        limit("Connection: at most 1/5 of OpenSSH", ours(*connection), times(1 / 5, openssh)),
        limit(f"New tunnel: at most 1/3 of the best TLS-per-tunnel peer ({best_tls_name})", ours(*tunnel),
              times(1 / 3, best_tls)),
        limit("New tunnels a second: thousands", ours("tunnel", "rate"), TUNNELS_A_SECOND, at_least=True),
        *(best_limit(results, row) for row in BULK_ROWS),
        best_limit(results, ("pingpong", "median")),
        *(limit(f"{ROWS['far', way][0]}: at least {FAR_SHARE} of plain TCP", ours("far", way),
                times(FAR_SHARE, results.median(("far", way), "direct")), at_least=True) for way in ("up", "down")),
        limit("Idle client: PSS at most 400 KiB", ours("memory", "client pss"), KIB_PER_CLIENT),
        limit("Idle tunnel: PSS at most 8 KiB", ours("memory", "tunnel pss"), KIB_PER_TUNNEL),
    ]


def sum_of(*values):
    return None if None in values else sum(values)


def goals(results):
    """Where it should come to later."""
    def ours(*row):
        return results.median(row, "sallyport")

    def copied_and_sealed(row):
        """What the path and the records cost; the bare library serves one tunnel."""
        direction = row[1].split()[1]
        return sum_of(results.median(row, "relay"), results.median(("bulk", f"1 {direction}"), "bare_tls"))

    return [
        limit("Connection: 2 x nginx", ours("connection", "cpu"), times(2, results.median(("connection", "cpu"), "nginx"))),
        limit("New tunnel: nghttpx's bare stream", ours("tunnel", "cpu"), results.median(("tunnel", "cpu"), "nghttpx")),
        *(limit(f"{ROWS[row][0]}: 1.1 x (relay + bare_tls)", ours(*row), times(1.1, copied_and_sealed(row)))
          for row in BULK_ROWS),
        limit(f"Idle client: PSS {KIB_PER_CLIENT_GOAL} KiB", ours("memory", "client pss"), KIB_PER_CLIENT_GOAL),
        limit(f"Idle tunnel: PSS {KIB_PER_TUNNEL_GOAL} KiB", ours("memory", "tunnel pss"), KIB_PER_TUNNEL_GOAL),
    ]


def print_limits(title, lines):
    lines = [line for line in lines if line["value"] is not None or line["bound"] is not None]
    print(f"\n{title}, for Sallyport")
    print_columns([["", "value", "bound", "of it", ""]] + [
        [line["limit"], number(line["value"]), number(line["bound"]), ratio(line["value"], line["bound"]),
         line["verdict"]]
        for line in lines])


# ---- all ------------------------------------------------------------------------------------------------------------

def print_report(results, notes):
    for row in ROWS:
        print_row(results, row)
    print_limits("Limits", limits(results))
    print_limits("Goals", goals(results))
    for remark in [*slow_bests(results), *sorted(notes.remarks)]:
        print(f"\nNote: {remark}")
    for failure in notes.failures:
        print(f"\nFAILED: {failure['peer']}: {failure['what']}")


def described(results, row, name):
    """One peer's values of a row, with their spread, and how often the references' go into them."""
    values, median, (best_name, best) = results.values[row][name], results.median(row, name), results.best(row)
    references = {"best": best, **{other: results.median(row, other) for other in REFERENCES}}
    return {"figure": row[0], "detail": row[1], "title": ROWS[row][0], "unit": ROWS[row][1], "peer": name,
            "kind": results.kinds[name], "median": median, "from": min(values), "to": max(values), "values": values,
            "best": best_name, "ratios": {other: median / value for other, value in references.items() if value}}


def write_json(path, results, notes, options):
    report = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "kernel": platform.release(),
              "cores": os.cpu_count(), "options": options,
              "rows": [described(results, row, name) for row in ROWS for name in results.names(row)],
              "limits": limits(results), "goals": goals(results), "notes": [*slow_bests(results), *sorted(notes.remarks)],
              "failures": notes.failures}
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8") as output:
        json.dump(report, output, indent=2)
        output.write("\n")
    print(f"\nAll values: {path}")
