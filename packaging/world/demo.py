"""The demo: makes a world, walks through the main job aloud, stays up until Ctrl-C.

Started by packaging/demo, which has built the programs. The world is world.py's; what it is told here is how a
person would use it: curl, sallyport, ssh, sqlite3, sallyport-admin.
"""
import argparse
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

from tour import Tour
from world import World, WorldError

MARK = ".made-by-sallyport-demo"


def reachable_by_others(folder):
    """The gateway's rooms have identities of their own: each folder above must let them pass."""
    return all(parent.stat().st_mode & 0o001 for parent in pathlib.Path(folder).resolve().parents)


def clear(place):
    """Takes away what an earlier demo has made there, and nothing else."""
    real = place.resolve()
    if real.exists() and not (real / MARK).exists():
        raise WorldError(f"{place} is there already, and no demo has made it: choose another folder (--dir)")
    if real.exists():
        shutil.rmtree(real)
    if place.is_symlink():
        place.unlink()


def world_folder(directory):
    """DIR/world, made anew. Below a private folder the rooms could not reach their files: the world then lives below
    /tmp for as long as the demo runs, and DIR/world is a link to it."""
    place = directory / "world"
    clear(place)
    if os.geteuid() != 0 or reachable_by_others(place):
        place.mkdir()
    else:
        place.symlink_to(tempfile.mkdtemp(prefix="sallyport-world.", dir="/tmp"))
    (place / MARK).touch()
    return place.resolve()


def by_hand(world, env):
    print(f"""
Everything is up. In another shell:

  . {env}
  sallyport login                          # password: $SALLYPORT_PASSWORD
                                           # code: oathtool --totp -b "$SALLYPORT_TOTP_SECRET"
  sallyport ls
  sallyport -L 8080:$SALLYPORT_WEB         # then: curl http://127.0.0.1:8080/
  sallyport-admin session list
  sallyport-admin device revoke bob-laptop
  sqlite3 "$SALLYPORT_DB" 'SELECT * FROM v_tunnel'

With a browser alone: the portal is {world.url}/

  sallyport export-p12 alice.p12           # the laptop's certificate: import it into the browser
  echo "$SALLYPORT_CA"                     # the authority to trust for web sites; then open the portal

Ctrl-C ends the demo.""", flush=True)


def stay(world):
    """Until Ctrl-C; a world whose gateway has ended is no world."""
    while True:
        try:
            world.gateway.wait(1)
            raise WorldError(f"the gateway ended: {world.log_end('gateway')}")
        except subprocess.TimeoutExpired:
            continue


def arguments():
    parser = argparse.ArgumentParser(prog="packaging/demo")
    parser.add_argument("--dir", required=True, type=pathlib.Path)
    parser.add_argument("--programs", required=True, type=pathlib.Path)
    parser.add_argument("--once", action="store_true")
    parser.add_argument("--no-tour", action="store_true")
    return parser.parse_args()


def main():
    options = arguments()
    # SIGINT too: a shell that starts the demo in the background has told it to ignore Ctrl-C.
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    env = options.dir / "env"
    env.unlink(missing_ok=True)
    worked = True
    world = World(world_folder(options.dir), options.programs, settings=("browser = yes",))
    print(f"Making a world in {world.folder}", flush=True)
    try:
        with world:
            print(f"The gateway answers at {world.url}", flush=True)
            if not options.no_tour:
                worked = Tour(world).walk()
                world.forget_codes()
            world.write_env(env)
            if not options.once:
                by_hand(world, env)
                stay(world)
    finally:
        if (options.dir / "world").is_symlink():
            clear(options.dir / "world")
    return 0 if worked else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except WorldError as error:
        print(f"demo: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print()
        sys.exit(0)
