"""The container file: an image made of the packages, and the gateway in it, walls and all."""
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

from machine import MachineError, run, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
# podman wants a cgroup tree of one kind; it lives in a mount namespace of its own, and so do its folders.
PODMAN = """
mount --make-rprivate /
umount -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
exec podman --runtime crun --cgroup-manager cgroupfs "$@"
"""
POWERS = ["--cap-add", "SYS_ADMIN", "--cap-add", "AUDIT_WRITE", "--security-opt", "seccomp=unconfined"]
# Where the container's limits would be above those of whoever starts it.
LIMITS = ["--cgroups", "disabled", "--network", "none", "--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096"]


class Podman:
    def __init__(self, folder):
        self.volumes = ["-v", f"{folder.name}-etc:/etc/sallyport", "-v", f"{folder.name}-lib:/var/lib/sallyport"]
        configuration = folder / "storage.conf"
        configuration.write_text(f'[storage]\ndriver = "vfs"\nrunroot = "{folder}/run"\ngraphroot = "{folder}/graph"\n')
        self.environment = {**os.environ, "CONTAINERS_STORAGE_CONF": str(configuration)}

    def __call__(self, *words, **options):
        return run(["unshare", "-m", "sh", "-c", PODMAN, "podman", *words], env=self.environment, timeout=240, **options)

    def started(self, *words, name):
        return self("run", *words, *POWERS, *LIMITS, *self.volumes, "--name", name, "localhost/sallyport")


@pytest.fixture(scope="module")
def podman(built):
    if not shutil.which("podman") or not shutil.which("crun"):
        pytest.skip("podman is missing (packaging/install-depends package)")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="sallyport-container.", dir="/var/tmp"))
    podman = Podman(folder)
    try:
        with subprocess.Popen(["tar", "-C", built / "base", "-cf", "-", "."], stdout=subprocess.PIPE) as tar:
            podman("import", "-", "localhost/base", stdin=tar.stdout)
        podman("build", "--layers=false", "--isolation", "chroot", "--build-arg", "BASE=localhost/base", "-f",
               ROOT / "packaging" / "container" / "Containerfile", "-t", "localhost/sallyport", built)
        yield podman
    finally:
        for words in (["rm", "-a", "-f"], ["volume", "rm", "-a", "-f"], ["rmi", "-a", "-f"]):
            subprocess.run(["unshare", "-m", "sh", "-c", PODMAN, "podman", *words], env=podman.environment,
                           capture_output=True, check=False)
        shutil.rmtree(folder, ignore_errors=True)


def answers(podman, name, *words):
    try:
        return podman("exec", name, *words)
    except MachineError:
        return ""


def test_the_gateway_runs_in_a_container(podman):
    podman("run", "--rm", *LIMITS, *podman.volumes, "--entrypoint", "/usr/bin/sallyport-admin", "localhost/sallyport",
           "init", "--name", "localhost", "--resource", "db=db1:5432", "--allow-group", "staff")
    podman.started("-d", name="gateway")
    try:
        status = wait_until(lambda: answers(podman, "gateway", "sallyport-admin", "status"), "the gateway's answer")
        assert [line.split()[1].isdigit() for line in status.splitlines() if line.startswith("signer ")] == [True], status
        line = podman("exec", "gateway", "sallyport-admin", "device", "invite", "laptop", "--user", "root")
        assert "sallyport:1/localhost" in line
        assert "walls are missing" not in podman("logs", "gateway")
    finally:
        podman("stop", "-t", "20", "gateway")
    # In good order: the record says so, and the status is 0.
    assert podman("inspect", "-f", "{{.State.ExitCode}}", "gateway").strip() == "0"


def test_without_its_powers_it_refuses_to_start(podman):
    """A wall that cannot be built is a refusal, in a container too."""
    with pytest.raises(MachineError, match="sallyport-gateway: "):
        podman("run", "--rm", *LIMITS, *podman.volumes, "localhost/sallyport")
