"""A clock that is wrong, that has slept, or that a test sets: a library to preload (programs built without sanitizers
only)."""
import calendar
import pathlib
import struct
import subprocess
import textwrap
import time

SOURCE = """
    #define _GNU_SOURCE
    #include <dlfcn.h>
    #include <time.h>
    int clock_gettime(clockid_t id, struct timespec *now)
    {
        int (*real)(clockid_t, struct timespec *) = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
        int result = real(id, now);
        if (id == CLOCK_REALTIME)
            now->tv_sec += AHEAD;
        return result;
    }
    time_t time(time_t *out)
    {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        if (out)
            *out = now.tv_sec;
        return now.tv_sec;
    }
"""


SLEEP = """
    #define _GNU_SOURCE
    #include <dlfcn.h>
    #include <fcntl.h>
    #include <stdlib.h>
    #include <time.h>
    #include <unistd.h>
    int clock_gettime(clockid_t id, struct timespec *now)
    {
        int (*real)(clockid_t, struct timespec *) = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
        int result = real(id, now);
        char text[32] = "";
        int fd = id == CLOCK_BOOTTIME ? open(SLEPT, O_RDONLY) : -1;
        if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0)
            now->tv_sec += atol(text);
        if (fd >= 0)
            close(fd);
        return result;
    }
"""


class SleepingLaptop:
    """`environment`: in it a program's clock goes on by sleep(SECONDS) as over the sleep of the device: the clock that counts
    it, and not the one that stands still meanwhile."""

    def __init__(self, world):
        self.file, self.seconds = world.path("slept"), 0
        self.file.write_text("0")
        self.environment = {"LD_PRELOAD": str(compiled(world, "sleep", SLEEP, f'-DSLEPT="{self.file}"'))}

    def sleep(self, seconds):
        self.seconds += seconds
        self.file.with_suffix(".new").write_text(str(self.seconds))
        self.file.with_suffix(".new").replace(self.file)


def compiled(world, name, text, define):
    library = world.path(f"{name}.so")
    if not library.exists():
        source = world.path(f"{name}.c")
        source.write_text(textwrap.dedent(text))
        subprocess.run(["cc", "-shared", "-fPIC", define, "-o", library, source, "-ldl"], check=True)
    return library


def wrong_clock(world, ahead_s):
    """The environment in which it is so many seconds later (negative: earlier)."""
    return {"LD_PRELOAD": str(compiled(world, f"clock{ahead_s}", SOURCE, f"-DAHEAD={ahead_s}"))}


class SetClock:
    """A wall clock that is set back and forth under running programs: those that the loader was told to preload `shim` into, or
    those that are started behind `prefix`, as root, and all that they start: rooms have no environment."""

    def __init__(self, folder):
        self.folder, self.path, self.shim = folder, folder / "clock", folder / "clock.so"
        self.set(0)
        self.path.chmod(0o644)
        source = pathlib.Path(__file__).with_name("clock.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", self.shim, source, f'-DCLOCK_FILE="{self.path}"'], check=True)

    def set(self, lead_s):
        """The wall clock's lead before the true one."""
        self.lead_s = lead_s
        with open(self.path, "r+b" if self.path.exists() else "wb") as file:
            file.write(struct.pack("q", int(lead_s)))

    def set_to(self, moment):
        self.set(calendar.timegm(moment) - time.time())

    @property
    def prefix(self):
        """A mount namespace whose /etc/ld.so.preload is its own."""
        upper = self.folder / "over-etc"
        script = (f"mkdir -p {upper} && mount -t tmpfs none {upper} && mkdir {upper}/up {upper}/work && "
                  f"mount -t overlay -o lowerdir=/etc,upperdir={upper}/up,workdir={upper}/work none /etc && "
                  f'echo {self.shim} > /etc/ld.so.preload && exec "$@"')
        return ("unshare", "--mount", "sh", "-ec", script, "behind-another-clock")
