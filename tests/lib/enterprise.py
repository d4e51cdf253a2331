"""An enterprise's authority as openssl has it: certificates, a database of them, lists of what is revoked; and where it is read."""
import http.server
import subprocess
import threading

from world import Laptop, run, wait_until

CONF = """
[ca]
default_ca = it
[it]
database = {folder}/index.txt
serial = {folder}/serial
crlnumber = {folder}/crlnumber
new_certs_dir = {folder}
certificate = {folder}/ca.crt
private_key = {folder}/ca.key
default_md = sha256
default_days = 30
policy = any
unique_subject = no
copy_extensions = none
[any]
commonName = supplied
[leaf]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
{leaf}
[sub]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
[responder]
basicConstraints = critical, CA:FALSE
extendedKeyUsage = OCSPSigning
[whole]
authorityKeyIdentifier = keyid
[part]
issuingDistributionPoint = critical, @user_only
[user_only]
onlyuser = TRUE
"""


class Enterprise:
    def __init__(self, world, name="Enterprise devices", leaf="", usage="keyCertSign, cRLSign", folder="enterprise"):
        self.world, self.folder = world, world.private_folder(folder)
        self.certificate = self.folder / "ca.crt"
        (self.folder / "index.txt").write_text("")
        (self.folder / "serial").write_text("9A00\n")
        (self.folder / "crlnumber").write_text("01\n")
        (self.folder / "conf").write_text(CONF.format(folder=self.folder, leaf=leaf))
        run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "100",
             "-subj", f"/CN={name}", "-addext", f"keyUsage=critical,{usage}", "-keyout", self.folder / "ca.key",
             "-out", self.certificate])

    def sign(self, name, section="leaf"):
        """Certificate and key in files."""
        key, request, certificate = (self.folder / f"{name}.{kind}" for kind in ("key", "csr", "crt"))
        run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
             "-keyout", key, "-out", request])
        run(["openssl", "ca", "-batch", "-config", self.folder / "conf", "-extensions", section, "-notext", "-in", request,
             "-out", certificate])
        return certificate, key

    def laptop(self, name, user):
        """Signed here, adopted there."""
        laptop = Laptop(self.folder, name, user)
        laptop.certificate, laptop.key = self.sign(name)
        self.world.admin("device", "adopt", name, "--user", user, "--cert", laptop.certificate)
        self.world.laptops[name] = laptop
        return laptop

    def revoke(self, name, *reason):
        run(["openssl", "ca", "-config", self.folder / "conf", "-revoke", self.folder / f"{name}.crt", *reason])

    def unhold(self, name):
        """openssl takes nobody off its list."""
        index = self.folder / "index.txt"
        lines = [line.split("\t") for line in index.read_text().splitlines()]
        for fields in lines:
            if fields[-1] == f"/CN={name}":
                fields[0], fields[2] = "V", ""
        index.write_text("".join("\t".join(fields) + "\n" for fields in lines))

    def crl(self, *options, section="whole"):
        """A new list, in PEM; its number grows by one."""
        options = options or ("-crldays", "7")
        return run(["openssl", "ca", "-config", self.folder / "conf", "-gencrl", "-crlexts", section, *options])

    def der(self, *options, **more):
        return run_bytes(["openssl", "crl", "-outform", "DER"], self.crl(*options, **more).encode())


def run_bytes(command, text):
    return subprocess.run(command, input=text, capture_output=True, check=True).stdout


class Place:
    """Gives everybody who asks the same: `body`, with `status`."""

    def __init__(self, body=b"", status=200):
        self.body, self.status = body, status
        place = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                self.do_GET()

            def do_GET(self):
                self.send_response(place.status)
                self.send_header("Content-Length", str(len(place.body)))
                self.end_headers()
                self.wfile.write(place.body)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/devices.crl"

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Responder:
    """openssl's OCSP responder for an authority; it signs with the authority's own key, or with another pair."""

    def __init__(self, enterprise, port):
        self.enterprise, self.port, self.process = enterprise, port, None

    def start(self, signer=None, index=None, minutes=None):
        self.stop()
        folder = self.enterprise.folder
        certificate, key = signer or (self.enterprise.certificate, folder / "ca.key")
        log = folder / "responder.log"
        output = log.open("wb")
        self.process = subprocess.Popen(
            ["openssl", "ocsp", "-port", str(self.port), "-index", index or folder / "index.txt", "-CA", self.enterprise.certificate,
             "-rsigner", certificate, "-rkey", key, *(["-nmin", str(minutes)] if minutes else [])],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        output.close()
        # One that is connected to and asked nothing would hang for ever.
        wait_until(lambda: "waiting for OCSP client" in log.read_text(), "the responder")

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None
