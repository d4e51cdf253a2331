#!/usr/bin/python3
"""Writes the seeds of the fuzz target edges.c: a frame of each message of each edge, as the tables have them now. To be run after
a change of a table: the messages behind a new one have other numbers."""
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))
import frames  # noqa: E402


def senders(name):
    """{message: what the target's second byte says of it}: who sends it, and whether a descriptor comes along."""
    text = frames.EDGES.joinpath(f"{name}.h").read_text()
    rows = re.findall(rf"\bM\({name}, (\w+), EDGE_FROM_(FIRST|SECOND), [^,]*, EDGE_(NO|WITH)_FD\)", text)
    return {message: (sender == "SECOND") | (fd == "WITH") << 1 for message, sender, fd in rows}


def seeds():
    """{file name: its bytes}"""
    listed = re.search(r"edges\[\] = \{(.*?)\};", (HERE / "edges.c").read_text(), re.S).group(1)
    made = {}
    for number, name in enumerate(re.findall(r"&(\w+)_edge", listed)):
        edge, bits = frames.Edge(name), senders(name)
        for message in edge.messages:
            values = {field: 1 if kind in frames.NUMBERS else b"ab" for kind, field in edge.fields[message]}
            made[f"{name}_{message}"] = bytes([number, bits[message]]) + edge.encode(message, **values)
    return made


if __name__ == "__main__":
    folder = HERE / "corpus" / "edges"
    for name, content in seeds().items():
        (folder / name).write_bytes(content)
