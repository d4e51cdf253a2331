"""docs/wire.md: its lines, pasted one block after the other into a shell that has sourced env, do what they are there for."""
import re
import subprocess

import pytest


def blocks(root):
    """The fenced blocks that are commands, in order."""
    found = re.findall(r"^```\n(.*?)^```$", root.joinpath("docs", "wire.md").read_text(), re.M | re.S)
    return [block for block in found if not block.startswith("{")]


def prepared(block):
    """What a reader does by hand: fills in the conversation's id and his answer, listens for a while, logs out last."""
    block = block.replace("/login/ID", "/login/$FIRST_ID").replace("""'{"answers":["..."]}'""",
                                                                   r'''"{\"answers\":[\"$SALLYPORT_PASSWORD\"]}"''')
    if "/v1/events" in block:
        return block.rstrip() + " > events & sleep 2; kill $!; cat events\n"
    return "".join(line for line in block.splitlines(True) if "-X DELETE \"$SALLYPORT_URL/v1/session\"" not in line)


@pytest.fixture(scope="module")
def outputs(world, request, tmp_path_factory):
    """One bash runs them all: {what a block is about: what it printed}."""
    folder = tmp_path_factory.mktemp("wire")
    world.write_env(folder / "env")
    found = blocks(request.config.rootpath)
    logout = [line for block in found for line in block.splitlines() if "-X DELETE \"$SALLYPORT_URL/v1/session\"" in line]
    script = f". {folder}/env\n"
    for number, block in enumerate(found):
        script += f"exec > out.{number} 2>&1\n{prepared(block)}"
        if "$SALLYPORT_URL/v1/login\"" in block and "SP_ID" not in block:
            script += f"FIRST_ID=$(jq --raw-output .conversation out.{number})\n"
    script += "exec > out.logout 2>&1\n" + "\n".join(logout) + "\n"
    subprocess.run(["bash", "-c", script], cwd=folder, check=True, timeout=120)
    said = {path.suffix[1:]: path.read_text() for path in folder.glob("out.*")}
    return found, said, folder


@pytest.mark.parametrize("line, answer", [
    ('sp "$SALLYPORT_URL/v1/session"\n', '"code":"no_session"'),
    ('-d "{\\"user\\":\\"$SALLYPORT_USER\\"}"\n', '"state":"prompt"'),
    ("""-d '{"answers":["..."]}'""", '"style":"secret"'),
    ('sp -X DELETE "$SALLYPORT_URL/v1/login/ID"', None),
    ("what may I reach", '"wiki"'),
    ("what may I reach", '"user":"alice"'),
    ("which gateway this is", '"gateway":"localhost"'),
    ("the head of the page", "x-frame-options: DENY"),
    ("/v1/events", '"event":"begin"'),
    ("--proxytunnel", "Company wiki"),
    ("/v1/session/browser-token", "200 with a browser token"),
    ("/index.html", "Company wiki"),
    ("/cacerts", "subject"),
])
def test_every_block_does_what_it_says(outputs, line, answer):
    found, said, _ = outputs
    (number,) = [number for number, block in enumerate(found) if line in block and "SP_ID=" not in block]
    printed = said[str(number)]
    if answer is None:
        assert "problem" not in printed and '"status":4' not in printed, printed
    else:
        assert answer in printed, printed


def test_certificates_and_the_end(outputs):
    _, said, folder = outputs
    for name in ("spare.crt", "spare-next.crt"):
        assert "BEGIN CERTIFICATE" in (folder / name).read_text(), said
    assert '"tunnels_closed":' in said["logout"], said["logout"]
    assert not any("curl:" in text or "bash:" in text for text in said.values()), said
