"""Browsers and their worlds.

A browser starts in one to six seconds, so tests share: one world, one Chromium and one Firefox for all that leave things as
they were; `new_browser` and `new_world` for the others. Pictures of what people see go into SALLYPORT_PICTURES, or into
the build folder.
"""
import contextlib
import os
import pathlib

import pytest

from browser_world import ELSEWHERE, SHOP, Outside, browser_world
from portal import Portal


FOLDER = pytest.StashKey[pathlib.Path]()


@pytest.fixture(scope="session")
def world(programs):
    with browser_world(programs, realms=("expired", "telling", "mixed"), settings=["browser = yes"]) as made:
        made.enroll("alice-spare", "alice")
        yield made


@pytest.fixture
def new_world(programs):
    with contextlib.ExitStack() as worlds:
        yield lambda **options: worlds.enter_context(browser_world(programs, **options))


@pytest.fixture(scope="session")
def pictures(request):
    folder = pathlib.Path(os.environ.get("SALLYPORT_PICTURES") or pathlib.Path(os.environ["SALLYPORT_BUILD"]) / "pictures")
    folder.mkdir(parents=True, exist_ok=True)
    request.config.stash[FOLDER] = folder
    return folder


def pytest_terminal_summary(terminalreporter, config):
    if FOLDER in config.stash:
        terminalreporter.write_line(f"pictures of the browsers: {config.stash[FOLDER]}")


class Shared:
    """At most one browser of a kind and laptop at a time is kept."""

    def __init__(self, world):
        self.world, self.kept = world, {}

    def __call__(self, kind, laptop="alice-laptop"):
        if (kind, laptop) not in self.kept:
            self.kept[kind, laptop] = self.world.browser(kind, laptop)
        return self.kept[kind, laptop]

    def close(self):
        for browser in self.kept.values():
            browser.close()


@pytest.fixture(scope="session")
def shared(world):
    browsers = Shared(world)
    yield browsers
    browsers.close()


@pytest.fixture(params=["chromium", "firefox"])
def kind(request):
    return request.param


@pytest.fixture
def browser(shared, kind):
    return shared(kind)


@pytest.fixture
def new_browser():
    """new_browser(world, kind, ...): as World.browser, and closed at the end."""
    with contextlib.ExitStack() as opened:
        def make(world, *arguments, **options):
            made = world.browser(*arguments, **options)
            opened.callback(made.close)
            return made
        yield make


@pytest.fixture(scope="session")
def outside(world):
    """A stranger's pages: as shop.example, elsewhere.example, and as another port of the gateway's own host."""
    made = Outside(world, SHOP, ELSEWHERE, "localhost")
    yield made
    made.close()


@pytest.fixture
def portal(world, browser):
    """Nobody is logged in at the beginning, nor at the end; codes count from now on."""
    world.forget_codes()
    made = Portal(world, browser)
    made.leave()
    yield made
    made.leave()
