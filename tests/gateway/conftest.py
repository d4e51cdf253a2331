"""Worlds for the end-to-end tests.

`world` is one world for all tests of a module: a test that changes what others rely on (revokes alice's laptop,
kills the gateway) makes its own with `new_world`.
"""
import pytest

from worlds import Worlds


@pytest.fixture(scope="module")
def world(programs):
    worlds = Worlds(programs)
    try:
        yield worlds()
    finally:
        worlds.close()


@pytest.fixture
def new_world(programs):
    worlds = Worlds(programs)
    try:
        yield worlds
    finally:
        worlds.close()
