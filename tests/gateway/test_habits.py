"""What people do all day, with the programs that they do it with, from a laptop behind a NAT to an internal network."""
import base64
import glob
import os
import subprocess

import pytest

from clients_of_user import client, log_in
from far_world import Listener, far_world
from world import free_port

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not os.path.exists("/dev/net/tun"),
                                reason="needs root and /dev/net/tun")


@pytest.fixture(scope="module")
def world(release):
    with far_world(release) as world:
        world.database_port = free_port()
        with world.policy.open("a") as policy:
            policy.write(f'resource "db" {{ address = {{"{world.inside}:{world.database_port}"}} }}\n'
                         'rule "alice asks" { users = {"alice"}  resources = {"db"} }\n')
        world.admin("reload")
        log_in(world)
        world.weather.set(delay=0.005)
        yield world


def at_laptop(world, *command, seconds=60, **options):
    """Runs it there; `sallyport` is in its path."""
    done = subprocess.run([*world.places["alice-laptop"].prefix, *[str(word) for word in command]], text=True,
                          capture_output=True, check=False, timeout=seconds,
                          env=dict(world.client_environment(), HOME=str(world.path("home")), **options))
    assert done.returncode == 0, (command, done.stderr)
    return done.stdout


@pytest.fixture(scope="module")
def ssh(world):
    """How ssh is called: `sallyport ssh-config --install` has told it the way."""
    home = world.private_folder("home")
    world.private_folder("home", ".ssh")
    at_laptop(world, "sallyport", "ssh-config", "--install")
    return ["ssh", "-F", home / ".ssh" / "config", "-o", f"Port={world.ssh}", "-o", f"IdentityFile={world.path('ssh', 'user')}",
            "-o", f"UserKnownHostsFile={world.path('ssh', 'known_hosts')}", "-o", "BatchMode=yes"]


def as_one(words):
    return " ".join(str(word) for word in words)


@pytest.fixture
def there(world):
    """A folder at the other end."""
    return world.private_folder("there")


def test_ssh(world, ssh):
    assert at_laptop(world, *ssh, f"root@{world.inside}", "ip -o addr show inside0").count(world.inside) == 1
    # A shell with a terminal, a command that fails, and a port of its own through the same way.
    assert "not a tty" not in at_laptop(world, *ssh, "-tt", f"root@{world.inside}", "tty")
    refused = subprocess.run([*world.places["alice-laptop"].prefix, *map(str, ssh), f"root@{world.inside}", "exit 3"],
                             env=world.client_environment() | {"HOME": str(world.path("home"))}, check=False, timeout=60)
    assert refused.returncode == 3


def test_scp_of_1_gib(world, ssh, there):
    world.weather.set(delay=0)
    big = world.path("home", "big")
    with big.open("wb") as file:
        for _ in range(64):
            file.write(os.urandom(16 << 20))
    scp = ["scp", "-q", *ssh[1:]]
    at_laptop(world, *scp, big, f"root@{world.inside}:{there}/big", seconds=300)
    sums = at_laptop(world, "sha256sum", big, there / "big", seconds=120).splitlines()
    for path in (big, there / "big"):
        path.unlink()
    world.weather.set(delay=0.005)
    assert len(sums) == 2 and len({line.split()[0] for line in sums}) == 1, sums


def test_rsync(world, ssh, there):
    here = world.path("home", "tree")
    for number in range(300):
        path = here / str(number % 10) / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(number * 40))
    rsync = ["rsync", "-a", "--delete", "--stats", "-e", as_one(ssh)]
    at_laptop(world, *rsync, f"{here}/", f"root@{world.inside}:{there}/tree/")
    (here / "5" / "5.txt").write_text("changed")
    (here / "7" / "7.txt").unlink()
    said = at_laptop(world, *rsync, f"{here}/", f"root@{world.inside}:{there}/tree/")
    assert "regular files transferred: 1\n" in said and "deleted files: 1" in said, said
    subprocess.run(["diff", "-r", here, there / "tree"], check=True)


def test_git_over_ssh(world, ssh, there):
    work, copy, remote = world.path("home", "work"), world.path("home", "copy"), f"root@{world.inside}:{there}/project.git"
    who = ["-c", "user.name=Alice", "-c", "user.email=alice@example.com"]
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", there / "project.git"], check=True)
    subprocess.run(["git", "init", "-q", "-b", "main", work], check=True)
    (work / "big").write_bytes(os.urandom(5_000_000))
    for number in range(20):
        (work / "file").write_text(f"{number}\n")
        subprocess.run(["git", "-C", work, "add", "."], check=True)
        subprocess.run(["git", "-C", work, *who, "commit", "-q", "-m", f"change {number}"], check=True)
    at_laptop(world, "git", "-C", work, "push", "-q", remote, "main", GIT_SSH_COMMAND=as_one(ssh))
    at_laptop(world, "git", "clone", "-q", remote, copy, GIT_SSH_COMMAND=as_one(ssh))
    heads = {at_laptop(world, "git", "-C", folder, "rev-parse", "HEAD") for folder in (work, copy)}
    assert len(heads) == 1 and (copy / "big").read_bytes() == (work / "big").read_bytes()


@pytest.fixture(scope="module")
def database(world):
    """PostgreSQL, as its package has it, in the internal network."""
    (programs,) = glob.glob("/usr/lib/postgresql/*/bin")
    folder = world.path("database")
    folder.mkdir()
    (folder / "password").write_text("secret\n")
    subprocess.run(["chown", "-R", "postgres:", folder], check=True)
    as_itself = ["runuser", "-u", "postgres", "--"]
    subprocess.run([*as_itself, f"{programs}/initdb", "-D", folder / "data", "--no-sync", "--locale=C", "-A", "scram-sha-256",
                    f"--pwfile={folder}/password"], check=True, capture_output=True, cwd="/")
    with (folder / "data" / "pg_hba.conf").open("a") as rules:
        rules.write("host all all 10.9.2.0/24 scram-sha-256\n")
    world.spawn_inside("postgres", [*as_itself, f"{programs}/postgres", "-D", folder / "data", "-h", world.inside, "-p",
                                    world.database_port, "-k", folder, "-c", "fsync=off"], world.database_port)
    return world.database_port


def test_psql(world, database):
    with Listener(world, "-L", f":{world.inside}:{database}") as port:
        psql = ["psql", "-h", "127.0.0.1", "-p", port.port, "-U", "postgres", "-At", "-v", "ON_ERROR_STOP=1"]
        at_laptop(world, *psql, "-c", "create table t as select g, md5(g::text) from generate_series(1, 200000) g",
                  PGPASSWORD="secret")
        rows = at_laptop(world, *psql, "-c", "copy (select * from t order by g) to stdout", PGPASSWORD="secret")
        assert rows.count("\n") == 200000
        copied = world.path("home", "rows")
        copied.write_text(rows)
        at_laptop(world, *psql, "-c", "create table u (like t)", "-c", f"\\copy u from {copied}", PGPASSWORD="secret")
        assert at_laptop(world, *psql, "-c", "select count(*) from u join t using (g, md5)", PGPASSWORD="secret") == "200000\n"


def test_curl(world):
    url = f"http://{world.inside}:{world.web}/"
    assert "Company wiki" in at_laptop(world, "sallyport", "exec", "--", "curl", "-sS", url)
    with Listener(world, "-D") as socks, Listener(world, "http-proxy") as proxy:
        for way in (f"socks5h://127.0.0.1:{socks.port}", f"http://127.0.0.1:{proxy.port}"):
            assert "Company wiki" in at_laptop(world, "curl", "-sS", "--max-time", "30", "--proxy", way, url)


SCRIPTS = 400


def test_chromium_through_the_pac(world):
    """A page of hundreds of parts; each adds one. Nothing else leads there: the laptop has no route inside."""
    pages = world.path("wiki", "pages", "parts")
    pages.mkdir()
    for number in range(SCRIPTS):
        (pages / f"{number}.js").write_text(f"count++; // {number} {'x' * 2000}\n")
    tags = "".join(f'<script src="{number}.js"></script>' for number in range(SCRIPTS))
    (pages / "page.html").write_text(f"<script>let count = 0</script><body>{tags}<p id=sum></p>"
                                     "<script>document.getElementById('sum').textContent = `sum ${count}`</script></body>")
    with Listener(world, "http-proxy") as proxy:
        pac = client(world, "pac", str(proxy.port)).stdout
        assert world.inside in pac
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
                 "--disable-sync", "--no-first-run", f"--user-data-dir={world.path('home', 'chromium')}",
                 f"--proxy-pac-url=data:application/x-ns-proxy-autoconfig;base64,{base64.b64encode(pac.encode()).decode()}"]
        page = at_laptop(world, "timeout", "60", "chromium", *flags, "--dump-dom",
                         f"http://{world.inside}:{world.web}/parts/page.html", seconds=90)
    assert f"sum {SCRIPTS}<" in page, page[-300:]
