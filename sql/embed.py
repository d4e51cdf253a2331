#!/usr/bin/env python3
"""Writes the numbered migrations as C strings: embed.py OUTPUT 0001_name.sql 0002_name.sql ..."""
import pathlib
import sys

output, *files = sys.argv[1:]
lines = ["/* Made by sql/embed.py. */", '#include "migrations.h"', "", "const struct migration migrations[] = {"]
for number, name in enumerate(sorted(files, key=lambda f: pathlib.Path(f).name), 1):
    path = pathlib.Path(name)
    if not path.name.startswith(f"{number:04}_"):
        sys.exit(f"{path.name}: the migrations must be numbered without a gap; here {number:04} is due")
    lines.append(f'\t{{.name = "{path.name}", .text =')
    for line in path.read_text(encoding="utf-8").splitlines():
        escaped = line.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t").replace("?", "\\?")
        lines.append(f'\t\t"{escaped}\\n"')
    lines.append("\t},")
lines += ["};", "const unsigned migration_count = sizeof(migrations) / sizeof(migrations[0]);", ""]
pathlib.Path(output).write_text("\n".join(lines), encoding="utf-8")
