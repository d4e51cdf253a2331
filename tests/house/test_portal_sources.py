"""The portal's sources: nothing from elsewhere, nothing inline, and what somebody else has written never becomes markup."""
import html.parser
import pathlib
import re

import pytest

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "gateway" / "worker" / "portal"
PAGE = FOLDER.joinpath("portal.html").read_text()
SCRIPTS = sorted(FOLDER.glob("*.js"))
MARKUP_FROM_TEXT = (r"\b(?:innerHTML|insertAdjacentHTML|srcdoc|document\.write|DOMParser|createContextualFragment|parseFromString)\b"
                    r"|\bouterHTML\s*\+?=[^=]|\beval\b|\bnew Function\b|\bset(?:Timeout|Interval)\(\s*[\"'`]|javascript:")
KEPT = r"\b(?:localStorage|sessionStorage|indexedDB|caches|document\.cookie|serviceWorker)\b"


class Elements(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found, self.ids, self.labels, self.inline = [], [], [], []
        self.inside = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.found.append((tag, values))
        self.ids += [values["id"]] if "id" in values else []
        self.labels += [values["for"]] if tag == "label" else []
        self.inside = tag

    def handle_data(self, data):
        if self.inside in ("script", "style") and data.strip():
            self.inline.append(data)

    def handle_endtag(self, tag):
        self.inside = None


ELEMENTS = Elements(PAGE)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_makes_text_and_elements_only(path):
    text = path.read_text()
    assert text.startswith(f"/* {path.name}: ")
    assert not re.findall(MARKUP_FROM_TEXT, text)
    assert not re.findall(KEPT, text), "the page remembers nothing"
    assert len(text.splitlines()) < 250


@pytest.mark.parametrize("path", sorted(path for path in FOLDER.iterdir() if path.suffix in (".html", ".css", ".js")), ids=lambda path: path.name)
def test_nothing_from_elsewhere(path):
    text = re.sub(r"\$\{[^}]*\}", "", path.read_text())
    assert not re.findall(r"(?:https?:|wss?:|data:)?//[a-z0-9]", text.replace("otpauth:", "").replace("http://www.w3.org/2000/svg", ""))
    assert not re.findall(r"@import|url\(", text)


def test_nothing_inline():
    assert len(ELEMENTS.found) > 50
    assert not ELEMENTS.inline
    for tag, attributes in ELEMENTS.found:
        assert tag not in ("style", "iframe", "object", "embed", "base"), tag
        assert not [name for name in attributes if name.startswith("on") or name == "style"], (tag, attributes)
    assert [attributes for tag, attributes in ELEMENTS.found if tag == "script"] == [{"defer": None, "src": "portal.js"}]


def test_every_field_has_a_label_every_id_is_one_and_every_name_is_listed():
    assert len(ELEMENTS.ids) == len(set(ELEMENTS.ids))
    for tag, attributes in ELEMENTS.found:
        if tag == "input" and "hidden" not in attributes:
            assert attributes["id"] in ELEMENTS.labels, attributes
        for name in ("aria-labelledby", "aria-describedby"):
            assert attributes.get(name, ELEMENTS.ids[0]) in ELEMENTS.ids
    head = PAGE.partition("-->")[0]
    shown = [name for name in ELEMENTS.ids if not name.startswith("view-") and not name.endswith(("-title", "-hint", "-text"))]
    assert [name for name in shown if f"#{name}" not in head] == []


def luminance(colour):
    parts = [int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_every_pair_of_colours_can_be_read(scheme):
    """WCAG 2.2 AA: 4.5:1 for text, 3:1 for the edges of fields."""
    style = FOLDER.joinpath("portal.css").read_text()
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", re.findall(r":root \{(.*?)\}", style, re.S)[scheme]))
    for ground in ("ground", "paper"):
        for text in ("ink", "faint", "accent", "good", "bad"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    for text, ground in (("on-accent", "accent"), ("ink", "note"), ("ink", "bad-ground"), ("faint", "bad-ground"), ("ground", "ink")):
        assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
