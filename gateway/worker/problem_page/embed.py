#!/usr/bin/env python3
"""Writes a style sheet as C, with the hash by which a page's policy lets it in: embed.py OUTPUT page.css

Its comments are for readers here, and stay here.
"""
import base64
import hashlib
import pathlib
import re
import sys

output, name = sys.argv[1:]
style = re.sub(r"/\*.*?\*/\n?", "", pathlib.Path(name).read_text(encoding="utf-8"), flags=re.S)
digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
quoted = [f'"{line}\\n"' for line in style.replace("\\", "\\\\").replace('"', '\\"').splitlines()]
pathlib.Path(output).write_text("/* Made by problem_page/embed.py. */\n#define PROBLEM_PAGE_STYLE \\\n\t" + " \\\n\t".join(quoted)
                                + f'\n#define PROBLEM_PAGE_STYLE_HASH "{digest}"\n', encoding="utf-8")
