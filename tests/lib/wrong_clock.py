"""A clock that is wrong, for one program: a library to preload (LD_PRELOAD; programs built without sanitizers only)."""
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


def wrong_clock(world, ahead_s):
    """The environment in which it is so many seconds later (negative: earlier)."""
    library = world.path(f"clock{ahead_s}.so")
    if not library.exists():
        source = world.path(f"clock{ahead_s}.c")
        source.write_text(textwrap.dedent(SOURCE))
        subprocess.run(["cc", "-shared", "-fPIC", f"-DAHEAD={ahead_s}", "-o", library, source, "-ldl"], check=True)
    return {"LD_PRELOAD": str(library)}
