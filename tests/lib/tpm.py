"""A TPM 2.0 in software (swtpm), reached by a unix socket, and the PKCS#11 module of the distribution in front of it.

The tokens are made by p11tool through the module itself, which puts its objects away when it is done; tpm2_ptool leaves them
in the TPM, which has room for three, and counts on a resource manager (/dev/tpmrm0) to take them out.
"""
import os
import pathlib
import signal
import subprocess
import tempfile
import time

from cryptography.hazmat.primitives import serialization

MODULE = "/usr/lib/x86_64-linux-gnu/pkcs11/libtpm2_pkcs11.so"


class Tpm:
    def __init__(self, folder, pin="4711-pin", label="tpm"):
        self.folder, self.pin, self.label = pathlib.Path(folder), pin, label
        self.store, state = self.folder / "store", self.folder / "state"
        self.socket = self.folder / "tpm.sock"
        for made in (self.store, state):
            made.mkdir(mode=0o700)
        self.start()
        self.tool("--initialize", "--label", label, "--set-so-pin", "12345678", "pkcs11:manufacturer=IBM")
        self.tool("--initialize-pin", "--set-so-pin", "12345678", "--set-pin", pin, self.url())

    def start(self):
        self.process = subprocess.Popen(
            ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.folder}/state", "--flags", "not-need-init,startup-clear",
             "--server", f"type=unixio,path={self.socket}", "--ctrl", f"type=unixio,path={self.socket}.ctrl"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        deadline = time.monotonic() + 20
        while not self.socket.exists():
            assert self.process.poll() is None and time.monotonic() < deadline, "swtpm does not start"
            time.sleep(0.02)

    def restart(self):
        """As the machine's, in good order: what is on the disk stays, what a process has left in the TPM does not."""
        subprocess.run(["tpm2_shutdown", "-c", "-T", f"swtpm:path={self.socket}"], check=True, capture_output=True, timeout=60)
        self.close()
        for path in (self.socket, pathlib.Path(f"{self.socket}.ctrl")):
            path.unlink(missing_ok=True)
        self.start()

    @property
    def variables(self):
        """What the module wants to know; no more of it in the environment than this."""
        return {"TPM2_PKCS11_STORE": str(self.store), "TPM2_PKCS11_TCTI": f"swtpm:path={self.socket}",
                "TSS2_LOG": "all+none", "TPM2_PKCS11_LOG_LEVEL": "0"}

    @property
    def environment(self):
        return dict(os.environ, **self.variables)

    def url(self, name=None):
        return f"pkcs11:token={self.label}" + (f";object={name};type=private" if name else "")

    def tool(self, *arguments):
        done = subprocess.run(["p11tool", "--provider", MODULE, *arguments], env=self.environment, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=60, check=False)
        assert done.returncode == 0, f"p11tool {arguments}\n{done.stdout}{done.stderr}"
        return done.stdout

    def make_key(self, name):
        """A new key inside; its public half."""
        printed = self.tool("--login", "--set-pin", self.pin, "--generate-privkey", "ecdsa", "--curve", "secp256r1", "--label", name,
                            self.url())
        return serialization.load_pem_public_key(printed.encode())

    def give(self, user):
        """Its folder and sockets to the identity that uses it, as an admin does with a device's group."""
        if os.geteuid() == 0:
            for path in [self.folder, *self.folder.rglob("*")]:
                os.chown(path, user, user)

    def close(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait()


def folder():
    """Outside of pytest's own, whose names are too long for a socket."""
    made = pathlib.Path(tempfile.mkdtemp(prefix="sallyport-tpm.", dir="/tmp"))
    made.chmod(0o755)
    return made
