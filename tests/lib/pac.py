"""A PAC script as a browser runs it: in a JavaScript engine (libpacparser's), asked with the URL and host that browsers pass."""
import re

import pacparser


def spell(url):
    """URL and host as Chromium and Firefox hand them over: of https and wss without path, IPv6 without brackets."""
    scheme, authority, path = re.fullmatch(r"(\w+)://([^/]+)(/.*)?", url).groups()
    host = re.fullmatch(r"(?:.*@)?(\[.*\]|[^:]*)(?::\d+)?", authority).group(1).strip("[]")
    return f"{scheme}://{authority}{'/' if scheme in ('https', 'wss') else path or '/'}", host


class Script:
    def __init__(self, text):
        self.text = text
        pacparser.init()
        try:
            pacparser.parse_pac_string(text)
        finally:
            pacparser.cleanup()

    def __call__(self, *urls):
        """What each URL is answered."""
        pacparser.init()
        try:
            pacparser.parse_pac_string(self.text)
            return [pacparser.find_proxy(*spell(url)) for url in urls]
        finally:
            pacparser.cleanup()
