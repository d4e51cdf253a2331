"""A world whose laptops, gateway and internal servers stand in networks of their own (weather.py)."""
import contextlib
import os
import pathlib
import shlex
import shutil
import subprocess
import tempfile

from weather import INSIDE, NAME, Weather
from world import World, free_port, wait_until


class FarWorld(World):
    """`devices` are names of alice's laptops, one for each of the weather's."""

    server_name, inside = NAME, INSIDE

    def __init__(self, weather, devices, *arguments, **options):
        super().__init__(*arguments, **options)
        self.weather = weather
        self.places = dict(zip(devices, weather.laptops))
        self.inside_prefix = weather.inside.prefix
        self.users = {"alice": self.users["alice"]}

    def program(self, name):
        if name != "sallyport":
            return super().program(name)
        wrapper = self.path("sallyport-on-laptop")
        if not wrapper.exists():
            # Which laptop: the caller's environment says so.
            prefix = shlex.join(self.weather.laptops[0].prefix).replace(str(self.weather.laptops[0].pid), '"$LAPTOP"')
            wrapper.write_text(f'#!/bin/sh\nexec {prefix} {shlex.quote(super().program(name))} "$@"\n')
            wrapper.chmod(0o755)
        return str(wrapper)

    def client_environment(self, laptop="alice-laptop", user=None):
        return dict(super().client_environment(laptop, user), LAPTOP=str(self.places[laptop].pid))

    def laptop_environment(self, folder):
        return dict(super().laptop_environment(folder), LAPTOP=str(self.places[folder.name].pid))

    def prepare(self):
        super().prepare()
        conf = self.conf.read_text()
        for port in (self.port, self.enroll_port):
            conf = conf.replace(f"127.0.0.1:{port}", f"0.0.0.0:{port}")
        self.conf.write_text(conf)

    def start(self, laptops=()):
        super().start(())
        for name in self.places:
            self.enroll(name, "alice")
        return self

    def on_laptop(self, *command, laptop="alice-laptop", **options):
        """A program of another kind, at that laptop."""
        return subprocess.Popen([*self.places[laptop].prefix, *command], **options)


@contextlib.contextmanager
def far_world(programs, devices=("alice-laptop",), **options):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="sallyport-test.", dir="/tmp"))
    with Weather(folder / "weather", len(devices)) as weather:
        world = FarWorld(weather, devices, folder / "world", programs, quiet=True, **options)
        folder.chmod(0o711)
        try:
            yield world.start()
        finally:
            world.stop()
            shutil.rmtree(folder, ignore_errors=True)


class Listener:
    """A local way of a laptop (`-L`, `-D`, ...) for as long as it is entered; `said` is what its command has written."""

    def __init__(self, world, option, rest="", laptop="alice-laptop"):
        self.world, self.laptop, self.port = world, laptop, free_port()
        self.words = [option, f"{self.port}{rest}"]

    def __enter__(self):
        self.log = tempfile.TemporaryFile("w+b")
        self.process = subprocess.Popen([self.world.program("sallyport"), *self.words], stderr=self.log,
                                        stdin=subprocess.DEVNULL, env=self.world.client_environment(self.laptop),
                                        start_new_session=True)
        wait_until(lambda: self.process.poll() is not None or "listening" in self.said, "the local port")
        assert self.process.poll() is None, self.said
        return self

    @property
    def said(self):
        return os.pread(self.log.fileno(), 1 << 20, 0).decode(errors="replace")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)
        self.log.close()
