"""The login API of a gateway, spoken by an unmodified curl (docs/wire.md)."""
import json
import subprocess


class Answer:
    """Status and JSON body of one answer; status 0 when curl got none (then `error` says why)."""

    def __init__(self, status, body, error):
        self.status, self.error, self.text = status, error, body
        try:
            self.body = json.loads(body) if body else {}
        except ValueError:
            self.body = {}


def curl_arguments(world, laptop, extra=()):
    device = world.laptops[laptop]
    return ["curl", "-sS", "--max-time", "40", "--cacert", str(world.path("etc", "server-ca.crt")),
            "--cert", str(device.certificate), "--key", str(device.key), *extra]


def call(world, method, path, body=None, laptop="alice-laptop", token=None, extra=()):
    command = curl_arguments(world, laptop, extra) + ["-X", method, "-w", "\n%{http_code}", world.url + path]
    if token:
        command += ["-H", "@-"]  # a token never stands in an argument list
    if body is not None:
        command += ["-H", "Content-Type: application/json", "--data-binary", json.dumps(body)]
    done = subprocess.run(command, input=f"Authorization: Bearer {token}" if token else "", text=True,
                          capture_output=True, check=False)
    text, _, status = done.stdout.rpartition("\n")
    return Answer(int(status or 0), text, done.stderr.strip())


def converse(world, user, answers, laptop, extra=(), **wishes):
    """Starts a login and answers its prompts, in order, until it is granted or refused. `wishes`: of its start."""
    answer = call(world, "POST", "/v1/login", {"user": user, **wishes}, laptop, extra=extra)
    left = list(answers)
    while answer.status == 200 and answer.body.get("state") in ("prompt", "info"):
        prompts = [m for m in answer.body.get("messages", []) if m["style"] in ("secret", "text")]
        given = [left.pop(0) for _ in prompts]
        body = {"answers": given} if answer.body["state"] == "prompt" else {"answers": []}
        answer = call(world, "POST", "/v1/login/" + answer.body["conversation"], body, laptop, extra=extra)
    return answer


def login(world, user="alice", laptop=None, extra=(), code=None, **wishes):
    person = world.users[user]
    return converse(world, user, [person.password, code or person.code()], laptop or f"{user}-laptop", extra, **wishes)
