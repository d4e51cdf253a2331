#!/usr/bin/env python3
"""Writes the numbered migrations as C strings: embed.py OUTPUT 0001_name.sql 0002_name.sql ..."""
import pathlib
import re
import sys

output, *files = sys.argv[1:]
lines = ["/* Made by sql/embed.py. */", '#include "migrations.h"', "", "const struct migration migrations[] = {"]
due = 1
for name in sorted(files, key=lambda f: pathlib.Path(f).name):
    path = pathlib.Path(name)
    number = int(path.name[:4]) if re.match(r"\d{4}_", path.name) else 0
    if number < due:
        sys.exit(f"{path.name}: a migration's name begins with its own number; here {due:04} or later is due")
    # A number that is given to work not yet here changes nothing; the numbers of the others stay.
    for absent in range(due, number):
        lines.append(f'\t{{.name = "{absent:04}", .text = ""}},')
    due = number + 1
    lines.append(f'\t{{.name = "{path.name}", .text =')
    for line in path.read_text(encoding="utf-8").splitlines():
        escaped = line.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t").replace("?", "\\?")
        lines.append(f'\t\t"{escaped}\\n"')
    lines.append("\t},")
lines += ["};", "const unsigned migration_count = sizeof(migrations) / sizeof(migrations[0]);", ""]
pathlib.Path(output).write_text("\n".join(lines), encoding="utf-8")
