"""Makes worlds for tests, and takes every one of them down, whatever happened in between."""
import pathlib
import shutil
import tempfile

from world import World


class Worlds:
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
