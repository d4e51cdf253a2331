"""A clock that is wrong, or that has slept, for one program: a library to preload (LD_PRELOAD; programs built without
sanitizers only)."""
import subprocess
import textwrap

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
