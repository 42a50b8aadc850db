"""A time-stamp authority of this machine's own, by `openssl ts`: for the demonstration, in place of
one that anybody would trust."""

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from zk_autograd.core.errors import UsageError

_DAYS = 7
_MAX_QUERY = 2**14
_SECONDS = 20
_CONFIG = """[tsa]
serial = serial
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ess_cert_id_alg = sha256
"""


@contextmanager
def local_authority(folder: Path) -> Iterator[tuple[str, Path]]:
    """The address of an authority that answers until the end of the context, and the file of its
    root. `folder` is made. UsageError if there is no openssl here."""
    folder.mkdir(mode=0o700)
    root, root_key = _certificate("demonstration root", None, None)
    signer, key = _certificate("demonstration authority", root, root_key)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for name, data in (
        ("key.pem", private),
        ("signer.pem", signer.public_bytes(serialization.Encoding.PEM)),
        ("root.pem", root.public_bytes(serialization.Encoding.PEM)),
        ("serial", b"01\n"),
        ("tsa.cnf", _CONFIG.encode()),
    ):
        (folder / name).write_bytes(data)
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            if length > _MAX_QUERY:
                self.send_error(413)
                return
            with lock:
                reply = _reply(folder, self.rfile.read(length))
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/", folder / "root.pem"
        finally:
            server.shutdown()
            thread.join()


def _reply(folder: Path, query: bytes) -> bytes:
    (folder / "query").write_bytes(query)
    command = "openssl ts -reply -config tsa.cnf -section tsa -queryfile query -inkey key.pem -signer signer.pem"
    try:
        subprocess.run(
            [*command.split(), "-chain", "root.pem", "-out", "reply"],
            cwd=folder,
            check=True,
            capture_output=True,
            timeout=_SECONDS,
        )
    except FileNotFoundError as error:
        raise UsageError("the demonstration's time-stamp authority needs the program openssl") from error
    return (folder / "reply").read_bytes()


def _certificate(
    name: str, issuer: x509.Certificate | None, issuer_key: ec.EllipticCurvePrivateKey | None
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """A root, or the certificate of a signer of time stamps by it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"zk-autograd {name}: shows nothing")])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=_DAYS))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if issuer is None:
        usage = {"key_cert_sign": True, "crl_sign": True, "digital_signature": False}
    else:
        usage = {"key_cert_sign": False, "crl_sign": False, "digital_signature": True}
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
    others = {
        name: False for name in ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    } | {"encipher_only": False, "decipher_only": False}
    builder = builder.add_extension(x509.KeyUsage(**usage, **others), critical=True)
    return builder.sign(issuer_key or key, hashes.SHA256()), key
