#!/usr/bin/env python3
"""Writes the portal as C: embed.py OUTPUT portal.html FILE...

Files of one kind become one asset, in the order given. The page names them as portal.css, portal.js, portal.svg; in the C file
each name has become the asset's address, which holds its hash, and the hash that the browser checks. Comments of the page are
for its readers here, and stay here.
"""
import base64
import hashlib
import pathlib
import re
import sys

KINDS = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}


def as_c(name, data):
    rows = (data[i:i + 24] for i in range(0, len(data), 24))
    return [f"static const unsigned char {name}[] = {{", *("\t" + "".join(f"{byte}," for byte in row) for row in rows), "};"]


def refer(page, kind, where, digest):
    """The one place where the page names the asset; a picture has no integrity attribute."""
    check = "" if kind == "svg" else f' integrity="sha256-{base64.b64encode(digest).decode()}"'
    page, count = re.subn(rf'(href|src)="portal\.{kind}"', rf'\1="{where}"{check}', page)
    if count != 1:
        sys.exit(f"the page must name portal.{kind} once, not {count} times")
    return page


output, page_name, *names = sys.argv[1:]
page = re.sub(r"<!--.*?-->\n?", "", pathlib.Path(page_name).read_text(encoding="utf-8"), flags=re.S)
lines = ["/* Made by portal/embed.py. */", '#include "portal_assets.h"', ""]
for kind, content_type in KINDS.items():
    data = b"".join(pathlib.Path(name).read_bytes() for name in names if name.endswith(f".{kind}"))
    digest = hashlib.sha256(data).digest()
    where = f"/assets/portal.{digest.hex()[:16]}.{kind}"
    page = refer(page, kind, where, digest)
    lines += [*as_c(f"{kind}_bytes", data), f'const char portal_{kind}_path[] = "{where}";',
              f'const struct portal_asset portal_{kind} = {{"{content_type}", {{{kind}_bytes, sizeof({kind}_bytes)}}}};', ""]
lines += [*as_c("page_bytes", page.encode()),
          'const struct portal_asset portal_page = {"text/html; charset=utf-8", {page_bytes, sizeof(page_bytes)}};', ""]
pathlib.Path(output).write_text("\n".join(lines), encoding="utf-8")
