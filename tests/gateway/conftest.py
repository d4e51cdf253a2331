"""Worlds for the end-to-end tests.

`world` is one world for all tests of a module: a test that changes what others rely on (revokes alice's laptop,
kills the gateway) makes its own with `new_world`.
"""
import pathlib
import shutil
import tempfile

import pytest

from world import World


class Worlds:
    """Makes worlds and takes every one of them down, whatever happened in between."""

    def __init__(self, programs):
        self.programs, self.made = programs, []

    def __call__(self, settings=(), programs=None, laptops=("alice", "bob")):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="sallyport-test.", dir="/tmp"))
        world = World(folder, programs or self.programs, quiet=True, settings=settings)
        self.made.append(world)
        return world.start(laptops)

    def close(self):
        for world in self.made:
            world.stop()
            shutil.rmtree(world.folder, ignore_errors=True)


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
