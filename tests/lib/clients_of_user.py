"""The program `sallyport` as a user starts it, for the end-to-end tests."""
import json
import pathlib
import signal
import socket
import subprocess


def client(world, *arguments, laptop="alice-laptop", answers_text=None, environment=None, **options):
    """Runs it to its end, without a terminal."""
    command, ends = [world.program("sallyport"), *arguments], ()
    if answers_text is not None:
        ends = socket.socketpair()
        ends[1].sendall(answers_text.encode())
        ends[1].shutdown(socket.SHUT_WR)
        command += ["--answers-from", str(ends[0].fileno())]
    options.setdefault("stdin", subprocess.DEVNULL)
    options.setdefault("timeout", 60)
    done = subprocess.run(command, env=dict(world.client_environment(laptop), **(environment or {})), text=True,
                          capture_output=True, check=False, pass_fds=[end.fileno() for end in ends[:1]],
                          start_new_session=True, **options)
    for end in ends:
        end.close()
    return done


def log_in(world, user="alice", laptop="alice-laptop", **options):
    person = world.users[user]
    done = client(world, "login", user, laptop=laptop, answers_text=f"{person.password}\n{person.code()}\n", **options)
    assert done.returncode == 0, done.stderr
    return done


def state_folder(world, laptop="alice-laptop"):
    return pathlib.Path(world.client_environment(laptop)["XDG_RUNTIME_DIR"], "sallyport")


def agent_report(world, laptop="alice-laptop"):
    done = client(world, "status", "--json", laptop=laptop)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["agent"]


def agent_pid(world, laptop="alice-laptop"):
    return int(agent_report(world, laptop)["pid"])


class Held:
    """A command that runs until it is interrupted; its standard error is kept."""

    def __init__(self, world, *arguments, laptop="alice-laptop", **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        self.process = subprocess.Popen([world.program("sallyport"), *arguments], env=world.client_environment(laptop),
                                        stderr=subprocess.PIPE, start_new_session=True, **options)

    def __enter__(self):
        return self.process

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(20)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream:
                stream.close()
