"""The walls of the house, as tests: who may include whom, who links what, what is documented.

Taste is not tested here; only what the design promises (docs, gateway/README.md).
"""
import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCES = [p for folder in ("include", "src", "gateway", "pam_module") for p in sorted(ROOT.joinpath(folder).rglob("*.[ch]"))]
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.M)

# Foreign headers and the only files that may know them.
OWNERS = {
    "gnutls/": r"src/net/|gateway/signer/|src/admin/|gateway/worker/",
    "nghttp2/": r"src/net/h2",
    "http_parser.h": r"src/net/http1",
    "sqlite3.h": r"gateway/broker/store|src/admin/record_read|src/admin/store_copy",
    "ares.h": r"gateway/broker/resolve",
    "microhttpd.h": r"gateway/broker/admin",
    "confuse.h": r"gateway/monitor/conf_file",
    "security/": r"gateway/conversation/|pam_module/",
    "seccomp.h": r"gateway/room/",
    "linux/landlock.h": r"gateway/room/",
    "cap-ng.h": r"gateway/room/|gateway/monitor/",
    "curl/": r"gateway/courier/transfer|src/admin/call|src/client/|pam_module/call",
    "jansson.h": r"gateway/worker/|gateway/courier/message|gateway/broker/(admin|handover|heritage)|src/admin/|src/client/|pam_module/call",
    "nettle/": r"gateway/broker/|gateway/courier/deliver",
    "liboath/": r"gateway/broker/oath",
    "qrencode.h": r"src/qr/",
    "systemd/": r"gateway/monitor/",
    "libintl.h": r"src/client/words\.h",
    "locale.h": r"src/client/words\.c",
}

README = ROOT.joinpath("gateway", "README.md").read_text()
# Where a library's file is not called as people call it.
FILES = {"GnuTLS": "libgnutls", "nghttp2": "libnghttp2", "http-parser": "libhttp_parser", "jansson": "libjansson",
         "SQLite": "libsqlite3", "c-ares": "libcares", "nettle": "libnettle", "libcurl": "libcurl-gnutls", "PAM": "libpam"}


def rooms_table():
    """Program to libraries, as the table of rooms in gateway/README.md says."""
    table = {}
    for room, program, *_, links in (re.split(r" *\| *", line.strip("| ")) for line in README.splitlines()
                                     if re.match(r"\| \w+ \| `sallyport-", line)):
        libraries = {FILES.get(name, name) for name in links.split(", ")}
        table[re.match(r"`([\w-]+)`", program).group(1)] = libraries | (set() if room == "monitor" else {"libseccomp", "libcap-ng"})
    return table


# What an executable links, besides libc and what its libraries pull in themselves: its privilege table.
LIBRARIES = {
    **rooms_table(),
    "sallyport-admin": {"libgnutls", "libcurl-gnutls", "libjansson", "libqrencode", "libsqlite3"},
    "sallyport": {"libgnutls", "libnghttp2", "libjansson", "libqrencode", "libuv"},
    "pam_sallyport.so": {"libpam", "libcurl-gnutls", "libjansson", "libqrencode"},
}
COMMON = {"libc", "libm", "libpthread", "libdl", "ld-linux-x86-64", "libgcc_s"}


def relative(path):
    return path.relative_to(ROOT).as_posix()


def includes(path):
    return [match.group(2) for match in INCLUDE.finditer(path.read_text())]


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_foreign_headers_stay_with_their_owners(path):
    for header in includes(path):
        for prefix, owners in OWNERS.items():
            if header.startswith(prefix):
                assert re.match(owners, relative(path)), f"{relative(path)} includes {header}"


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_a_room_includes_no_other_room(path):
    parts = pathlib.PurePosixPath(relative(path)).parts
    if parts[0] != "gateway":
        return
    rooms = {p.name for p in ROOT.joinpath("gateway").iterdir() if p.is_dir()} - {"room"}
    for header in includes(path):
        named = [r for r in rooms if f"{r}/" in header]
        assert all(r == parts[1] for r in named), f"{relative(path)} includes {header}"


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_dependencies_point_one_way(path):
    """base <- ipc <- net <- {client, rooms}."""
    layers = {"src/base": r"(wire|link|edge|tls|x509|h2|http1|pump)", "src/ipc": r"(tls|x509|h2|http1|pump)",
              "src/net": r"(edge|link|wire)"}
    for folder, forbidden in layers.items():
        if relative(path).startswith(folder + "/"):
            for header in includes(path):
                assert not re.match(rf"sallyport/{forbidden}[./]", header), f"{relative(path)} includes {header}"


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_every_file_says_what_it_answers_for(path):
    assert path.read_text().startswith(f"/* {path.name}: "), "the head comment is missing"


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_functions_that_bite_are_not_used(path):
    text = re.sub(r"/\*.*?\*/|//[^\n]*|\"(?:[^\"\\]|\\.)*\"", "", path.read_text(), flags=re.S)
    found = re.findall(r"\b(system|popen|strcpy|strcat|sprintf|vsprintf|gets|strtok|alloca|mktemp|tmpnam)\s*\(", text)
    assert not found


def needed(binary):
    output = subprocess.run(["readelf", "-d", binary], text=True, capture_output=True, check=True).stdout
    names = re.findall(r"\(NEEDED\).*\[(.+?)\]", output)
    return {re.sub(r"\.so.*", "", name) for name in names} - COMMON


@pytest.mark.parametrize("program", LIBRARIES)
def test_privilege_table_of_libraries(program, release):
    (binary,) = [p for p in pathlib.Path(release).rglob(program) if p.is_file() and os.access(p, os.X_OK)]
    assert needed(binary) == LIBRARIES[program]


def test_every_room_is_in_the_table_of_rooms(release):
    installed = {path.name for path in pathlib.Path(release, "libexec", "sallyport").iterdir()}
    assert set(rooms_table()) == installed | {"sallyport-gateway"} and len(installed) >= 5


@pytest.mark.parametrize("program", LIBRARIES)
def test_H2_hardened_executables(program, release):
    (binary,) = [p for p in pathlib.Path(release).rglob(program) if p.is_file() and os.access(p, os.X_OK)]
    output = subprocess.run(["readelf", "-hldW", binary], text=True, capture_output=True, check=True).stdout
    assert "DYN (" in output, "not a PIE"
    assert "GNU_RELRO" in output and "BIND_NOW" in output, "not full RELRO"
    assert re.search(r"GNU_STACK.*RW ", output), "an executable stack"
    symbols = subprocess.run(["readelf", "--dyn-syms", "-W", binary], text=True, capture_output=True, check=True).stdout
    assert "__stack_chk_fail" in symbols
    assert not binary.stat().st_mode & 0o6000, "setuid"


def test_the_pam_module_has_no_state_of_its_own(release):
    """It lives in programs of others, perhaps in several threads: what can be written is the C runtime's (16 bytes)."""
    (module,) = pathlib.Path(release).rglob("pam_sallyport.so")
    output = subprocess.run(["readelf", "-SW", module], text=True, capture_output=True, check=True).stdout
    sizes = {name: int(size, 16) for name, size in re.findall(r" (\.\w+)\s+\w+\s+[0-9a-f]{16} [0-9a-f]{6} ([0-9a-f]{6})", output)}
    assert sizes[".data"] + sizes[".bss"] <= 16 and ".tdata" not in sizes and ".tbss" not in sizes, sizes


def conf_keys():
    text = ROOT.joinpath("include/sallyport/conf.h").read_text()
    return re.findall(r"^\tK\([A-Z]+, (\w+),", text, re.M)


def test_every_configuration_key_is_documented(release):
    (page,) = pathlib.Path(release).rglob("sallyport-gateway.conf.5*")
    text = page.read_text()
    assert len(conf_keys()) > 30
    for key in conf_keys():
        assert key.replace("_", r"\_") in text or key in text, f"{key} is not in the man page"


def test_every_message_of_an_edge_is_documented():
    readme = ROOT.joinpath("gateway/README.md").read_text()
    for header in ROOT.joinpath("include/sallyport/edge").glob("*.h"):
        for edge, message in re.findall(r"^\tM\((\w+), (\w+),", header.read_text(), re.M):
            assert f"`{message}`" in readme, f"{edge}: {message} is not in gateway/README.md"


def test_every_edge_has_a_chart():
    """A section that names it in its heading, with a chart in which one of its messages goes over."""
    sections = re.split(r"^### ", README, flags=re.M)[1:]
    for header in ROOT.joinpath("include/sallyport/edge").glob("*.h"):
        messages = re.findall(r"^\tM\(\w+, (\w+),", header.read_text(), re.M)
        charts = [chart for section in sections if f"`{header.stem}`" in section.splitlines()[0]
                  for chart in re.findall(r"^```\n(.*?)^```$", section, re.M | re.S)]
        assert charts, f"no heading with a chart names `{header.stem}`"
        assert any(re.search(rf"\b{message}\b", chart) for chart in charts for message in messages), header.stem


def names_of_tests():
    """Test functions, TAP lines of tests/jail, files and folders below tests."""
    text = "\n".join(p.read_text() for p in ROOT.joinpath("tests").rglob("*.[pc]*") if p.suffix in (".py", ".c"))
    return set(re.findall(r"\btest_\w+", text))


def is_there(reference, names):
    if reference.startswith("tests/"):
        return ROOT.joinpath(reference).exists()
    stem = reference.rstrip(".*")
    return any(name.startswith(stem) if stem != reference else name == stem for name in names)


@pytest.mark.parametrize("document, sentences", [
    ("gateway/README.md", r"^\d+\. .*?(?=^\d+\. |^## )"),
    ("docs/security.md", r"^- \*\*[A-H]\d+\*\*.*?(?=^- |^#|\Z)"),
])
def test_every_promise_names_tests_that_exist(document, sentences):
    names = names_of_tests()
    found = re.findall(sentences, ROOT.joinpath(document).read_text(), re.M | re.S)
    assert len(found) >= 10
    for sentence in found:
        if sentence.startswith("- **G3**"):
            continue  # what nobody can know, nobody can test
        references = re.findall(r"`(test_\w+(?:\*|\.\.\.)?|tests/[\w./]+)`", sentence)
        assert references, f"no test is named: {sentence}"
        for reference in references:
            assert is_there(reference, names), f"{document} names {reference}, which does not exist"


def test_every_key_of_the_policy_is_documented():
    source = (ROOT / "gateway" / "broker" / "policy_parse.c").read_text()
    page = (ROOT / "docs" / "sallyport-policy.conf.5.scd").read_text()
    rows = re.findall(r'^\t\{"(\w+)", "(\w+)", take_', source, re.M)
    assert len(rows) > 15
    for section, key in rows:
        assert f"*{section}* _NAME_" in page and f"*{key}*" in page, f"{section} {key}"


# Where the programs name what they record: as an argument, a member, or a row of a table of refusals.
RECORDED = re.compile(r'audit_fill\(\s*[^,]+,\s*"([a-z_]+)"|\.(?:event|code|recorded_code) = "([a-z_]+)"|\b[45]\d\d,\s*"([a-z_]+)"'
                      r'|door_one_reject\([^,]+, "([a-z_]+)"|refuse\(\w+, "([a-z_]+)", "|\{(?:GNUTLS|\w+->\w+|now_ms|furthest_ms)[^"\n;]*"([a-z_]+)"'
                      r'|return "([a-z]+_[a-z_]+)";')


def test_every_code_of_the_record_is_documented():
    documented = "".join(ROOT.joinpath("docs", page).read_text() for page in ("wire.md", "codes.md"))
    sources = [*ROOT.glob("gateway/broker/*.c"), *ROOT.glob("gateway/worker/*.c"), ROOT / "src/net/tls_verify.c", ROOT / "src/net/x509_profile.c"]
    found = {word: path.name for path in sources for match in RECORDED.findall(path.read_text()) for word in match if word}
    assert len(found) > 90, "the pattern no longer fits the sources"
    assert {word: name for word, name in found.items() if f"`{word}`" not in documented} == {}


def test_every_code_of_door_one_is_counted_by_its_name():
    """What docs/codes.md names for door one is an outcome of sallyport_handshakes_total, not "other"."""
    table = ROOT.joinpath("docs/codes.md").read_text().partition("\nDoor one:\n\n")[2].partition("\n\n")[0]
    codes = {code for row in table.splitlines()[2:] for code in re.findall(r"`(\w+)`", row.split("|")[1])}
    outcomes = ROOT.joinpath("gateway/broker/metrics_count.c").read_text().partition("door_one_outcomes[METRICS_OUTCOMES_MAX] = {")[2].partition("}")[0]
    assert len(codes) > 15 and codes - set(re.findall(r'"(\w+)"', outcomes)) == set()


@pytest.mark.parametrize("program, page", [("sallyport", "sallyport.1.scd"), ("sallyport-admin", "sallyport-admin.8.scd")])
def test_every_command_and_option_is_in_the_manual(program, page, release):
    (binary,) = [p for p in pathlib.Path(release).rglob(program) if p.is_file() and os.access(p, os.X_OK)]
    shown = subprocess.run([binary, "--help"], text=True, capture_output=True, check=True).stdout
    manual = re.sub(r"[*_\\]", "", ROOT.joinpath("docs", page).read_text())
    words = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", shown))
    commands = {match.group(1) for match in re.finditer(r"(?m)^  ([a-z][a-z0-9-]+(?: [a-z]+)?)\b", shown) if "  " not in match.group(1)}
    assert len(words) > 10 and len(commands) > 10
    assert [word for word in sorted(words | commands) if not re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", manual)] == []


def refusal_codes():
    """Those of the table of refusals in docs/wire.md."""
    table = ROOT.joinpath("docs/wire.md").read_text().partition("\n## Refusals\n")[2]
    return sorted({code for row in re.findall(r"^\| [\d, ]+ \| ([^|]+) \|", table, re.M) for code in re.findall(r"`(\w+)`", row)})


@pytest.mark.parametrize("code", refusal_codes())
def test_the_client_says_what_to_do_about_every_refusal(code):
    """What happened stands in front, the gateway's sentence says why; a row of the client, or the one of the status, adds what
    to do."""
    text = ROOT.joinpath("src/client/problem.c").read_text()
    rows = re.findall(r'^\t\{"(\w*)", STATUS_\w+, \w+, [^,]+, (.+)\},$', text, re.M)
    assert all(advice != "NULL" for _, advice in rows), rows
    generic = {"bad_request", "not_found", "method_not_allowed", "too_large", "not_issued", "key_in_use"}
    assert code in generic or code in dict(rows), f"{code}: src/client/problem.c says nothing of it"


# ---- words: the client's sentences and their translations ----

PO = ROOT / "po"
SPEAKERS = [line for line in PO.joinpath("POTFILES.in").read_text().splitlines() if not line.startswith("#")]


def messages(catalogue):
    return set(re.findall(r'^(?:msgid|msgid_plural) ((?:"[^\n]*"\n?)+)', catalogue, re.M))


def test_every_file_that_speaks_is_in_the_list():
    marked = {relative(path) for path in SOURCES if re.search(r'\b(?:_|N_|P_)\("', path.read_text())}
    assert marked and marked == set(SPEAKERS)


def test_the_template_holds_every_sentence_and_no_other():
    """After a change of a sentence: ninja -C BUILD sallyport-update-po."""
    arguments = re.findall(r"'(--[^']+)'", PO.joinpath("meson.build").read_text())
    made = subprocess.run(["xgettext", *arguments, "-o", "-", *SPEAKERS], cwd=ROOT, text=True, capture_output=True, check=True).stdout
    assert len(messages(made)) > 300
    assert messages(made) == messages(PO.joinpath("sallyport.pot").read_text())


@pytest.mark.parametrize("language", [line for line in PO.joinpath("LINGUAS").read_text().splitlines() if line[0] != "#"])
def test_a_translation_is_whole_and_its_formats_fit(language):
    """msgfmt compares the formats; msgcmp finds what is not translated, or only vaguely."""
    catalogue = PO / f"{language}.po"
    subprocess.run(["msgfmt", "--check", "-o", "/dev/null", catalogue], check=True)
    compared = subprocess.run(["msgcmp", catalogue, PO / "sallyport.pot"], text=True, capture_output=True, check=False)
    assert compared.returncode == 0, compared.stderr
    left = subprocess.run(["msgattrib", "--only-obsolete", catalogue], text=True, capture_output=True, check=True).stdout
    assert not left.strip(), "sentences that are no longer said"


# A sentence for people that is said without its mark.
SAID = re.compile(r'\b(?:diag_set\([^,"]+, STATUS_\w+, |diag_system\(\w+, |say\(|puts\(|over_with\(\w+, STATUS_\w+, )"((?:[^"\\]|\\.)*)"')


def test_every_sentence_of_the_client_is_marked():
    assert len(re.findall(r"diag_set\([^,\"]+, STATUS_\w+, _\(", "".join(path.read_text() for path in ROOT.glob("src/client/*.c")))) > 100
    for path in ROOT.glob("src/client/*.c"):
        for sentence in SAID.findall(path.read_text()):
            assert not re.search(r"[a-z]{2}", re.sub(r"%[-.*\d]*(?:ll|z)?[a-z]", "", sentence)), f"{relative(path)}: {sentence}"


def test_the_gateways_sentences_that_are_translated_are_still_said():
    gateway = re.sub(r'"\s*\n?\s*"', "", "".join(path.read_text() for path in ROOT.glob("gateway/*/*.c")))
    block = ROOT.joinpath("src/client/problem.c").read_text().partition("#define SENTENCES_OF_THE_GATEWAY")[2].partition("\n\n")[0]
    sentences = re.findall(r'N_\("(.*?)"\)', block)
    assert len(sentences) > 20
    assert [sentence for sentence in sentences if f'"{sentence}"' not in gateway] == []
