"""What all Python tests share: where the programs are, and a world for the end-to-end tests.

tests/run sets SALLYPORT_PROGRAMS (built with sanitizers), SALLYPORT_RELEASE (as shipped) and SALLYPORT_BUILD.
"""
import os
import pathlib
import shutil
import sys
import tempfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "packaging" / "world"), str(ROOT / "tests" / "lib")]


def folder_from_environment(name):
    folder = os.environ.get(name)
    if not folder:
        pytest.fail(f"{name} is not set: run tests/run (or set it to what packaging/build-programs prints)")
    return folder


@pytest.fixture(scope="session")
def programs():
    return folder_from_environment("SALLYPORT_PROGRAMS")


@pytest.fixture(scope="session")
def release():
    return folder_from_environment("SALLYPORT_RELEASE")


@pytest.fixture
def scratch():
    """A folder that the rooms' identities can pass through (pytest's own are private)."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="sallyport-test.", dir="/tmp"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def chip():
    """A TPM of its own (tests/lib/tpm.py)."""
    import tpm
    place = tpm.folder()
    made = tpm.Tpm(place)
    yield made
    made.close()
    shutil.rmtree(place, ignore_errors=True)
