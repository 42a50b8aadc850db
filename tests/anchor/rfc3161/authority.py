"""Time-stamp authorities for the tests: an honest one, OpenSSL's `ts`, and whatever a hostile one
would sign, built element by element; and a server that gives what it is told to."""

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha1, sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from zk_autograd.core import der

STAMPING = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.8")
UNKNOWN = x509.ObjectIdentifier("1.3.6.1.4.1.99999.1")
BEGIN, END = datetime(2025, 1, 1, tzinfo=UTC), datetime(2035, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Holder:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)


def holder(
    name: str,
    issuer: Holder | None = None,
    *,
    ca: bool = False,
    path_length: int | None = None,
    uses: tuple[x509.ObjectIdentifier, ...] = (STAMPING,),
    critical: bool = True,
    signs: bool = True,
    issues: bool | None = None,
    begin: datetime = BEGIN,
    end: datetime = END,
    extra: x509.ExtensionType | None = None,
    serial: int | None = None,
    key: ec.EllipticCurvePrivateKey | None = None,
) -> Holder:
    """A certificate by `issuer` (None: by itself)."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issues = ca if issues is None else issues
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca, path_length), critical=True)
        .add_extension(x509.KeyUsage(signs, False, False, False, False, issues, issues, False, False), critical=True)
    )
    if uses and not ca:
        builder = builder.add_extension(x509.ExtendedKeyUsage(uses), critical=critical)
    if extra is not None:
        builder = builder.add_extension(extra, critical=True)
    return Holder(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key)


def oid(text: str) -> bytes:
    """An OBJECT IDENTIFIER in DER."""
    first, second, *rest = map(int, text.split("."))
    content = bytearray()
    for number in (40 * first + second, *rest):
        digits = [number & 0x7F]
        while number := number >> 7:
            digits.append(0x80 | number & 0x7F)
        content += bytes(reversed(digits))
    return der.encode(der.OBJECT, bytes(content))


SHA256 = der.encode(der.SEQUENCE, oid("2.16.840.1.101.3.4.2.1"))
SHA1 = der.encode(der.SEQUENCE, oid("1.3.14.3.2.26"))


def stamp(digest: bytes, nonce: int | None, **changes: Any) -> bytes:
    """A TSTInfo. `changes`: algorithm, version, policy, accuracy (seconds), written (the time),
    extension."""
    parts = [
        der.encode_integer(changes.get("version", 1)),
        oid(changes.get("policy", "1.2.3.4.1")),
        der.encode(der.SEQUENCE, changes.get("algorithm", SHA256), der.encode(der.OCTETS, digest)),
        der.encode_integer(7),
        der.encode(0x18, changes.get("written", f"{NOW:%Y%m%d%H%M%SZ}").encode()),
    ]
    if "accuracy" in changes:
        parts.append(der.encode(der.SEQUENCE, der.encode_integer(changes["accuracy"])))
    if nonce is not None:
        parts.append(der.encode_integer(nonce))
    if "extension" in changes:
        critical = [der.encode(der.BOOLEAN, b"\xff")] if changes["extension"] == "critical" else []
        extension = der.encode(der.SEQUENCE, oid("1.2.3.9"), *critical, der.encode(der.OCTETS, b"\x05\x00"))
        parts.append(der.encode(0xA1, extension))
    return der.encode(der.SEQUENCE, *parts)


def token(signer: Holder, content: bytes, **changes: Any) -> bytes:
    """A token: signed data over `content`. `changes`: certificates (in it; None: none), named (the
    certificate that the attributes name; None: none), names (in which form: v1 or v2), also
    (another that they name in form v1), digest (of the content), hash (its algorithm), kind
    (what the content is), outer (what the token is), twice (an attribute), signatures (how
    many), sid, unsigned (attributes), parts (others of the signed data)."""
    kind = oid(changes.get("kind", "1.2.840.113549.1.9.16.1.4"))
    named, certificates = changes.get("named", signer), changes.get("certificates", (signer,))
    attributes = [
        _attribute("1.2.840.113549.1.9.3", oid(changes.get("attribute_kind", "1.2.840.113549.1.9.16.1.4"))),
        _attribute("1.2.840.113549.1.9.4", der.encode(der.OCTETS, changes.get("digest", sha256(content).digest()))),
    ]
    if named is not None:
        attributes.append(_names(named, changes.get("names", "v2")))
    if "also" in changes:
        attributes.append(_names(changes["also"], "v1"))
    if changes.get("twice"):
        attributes.append(attributes[1])
    signed = b"".join(sorted(attributes))
    signature = signer.key.sign(der.encode(der.SET, signed), ec.ECDSA(hashes.SHA256()))
    sid = changes.get("sid", signer).certificate
    info = der.encode(
        der.SEQUENCE,
        der.encode_integer(1),
        der.encode(der.SEQUENCE, sid.issuer.public_bytes(), der.encode_integer(sid.serial_number)),
        changes.get("hash", SHA256),
        der.encode(0xA0, signed),
        der.encode(der.SEQUENCE, oid(changes.get("signed_by", "1.2.840.10045.4.3.2"))),
        der.encode(der.OCTETS, changes.get("signature", signature)),
        *changes.get("unsigned", ()),
    )
    inside = [der.encode(0xA0, *(one.der for one in certificates))] if certificates is not None else []
    data = der.encode(
        der.SEQUENCE,
        der.encode_integer(3),
        der.encode(der.SET, SHA256),
        der.encode(der.SEQUENCE, kind, der.encode(0xA0, der.encode(der.OCTETS, content))),
        *inside,
        *changes.get("parts", ()),
        der.encode(der.SET, *[info] * changes.get("signatures", 1)),
    )
    return der.encode(der.SEQUENCE, oid(changes.get("outer", "1.2.840.113549.1.7.2")), der.encode(0xA0, data))


def reply(given: bytes | None, status: int = 0, text: str = "") -> bytes:
    """A TimeStampResp."""
    said = [der.encode(der.SEQUENCE, der.encode(0x0C, text.encode()))] if text else []
    parts = [der.encode(der.SEQUENCE, der.encode_integer(status), *said)]
    return der.encode(der.SEQUENCE, *parts, *([given] if given is not None else []))


def asked(query: bytes) -> tuple[bytes, int]:
    """The digest and the nonce of a request."""
    parts = der.element(query, der.SEQUENCE).items()
    return parts[1].items()[1].content, int.from_bytes(parts[2].content, "big")


class OpenSsl:
    """An authority by `openssl ts`, in a folder of its own."""

    def __init__(self, folder: Path, signer: Holder, chain: tuple[Holder, ...] = ()) -> None:
        folder.mkdir()
        self._folder, self._chain = folder, chain
        private = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        (folder / "key.pem").write_bytes(signer.key.private_bytes(serialization.Encoding.PEM, *private))
        (folder / "signer.pem").write_bytes(signer.pem)
        (folder / "chain.pem").write_bytes(b"".join(one.pem for one in chain))
        (folder / "serial").write_text("01\n")
        (folder / "tsa.cnf").write_text(
            f"[tsa]\nserial = {folder / 'serial'}\nsigner_digest = sha256\ndefault_policy = 1.2.3.4.1\n"
            "digests = sha256\naccuracy = secs:1\ness_cert_id_alg = sha256\n"
        )
        self._lock = threading.Lock()

    def __call__(self, query: bytes) -> bytes:
        """The reply to a request."""
        with self._lock:
            (self._folder / "query").write_bytes(query)
            command = (
                "openssl ts -reply -config tsa.cnf -section tsa -queryfile query -inkey key.pem -signer signer.pem"
            )
            chain = ["-chain", "chain.pem"] if self._chain else []
            subprocess.run(
                [*command.split(), *chain, "-out", "reply"], cwd=self._folder, check=True, capture_output=True
            )
            return (self._folder / "reply").read_bytes()


@contextmanager
def served(answer: Callable[[bytes], bytes], **how: Any) -> Iterator[str]:
    """The address of a server that answers requests so. `how`: status, headers, pause (seconds
    between bytes), announced (the length that it says)."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.headers["Content-Type"] == "application/timestamp-query"
            body = answer(query)
            self.send_response(how.get("status", 200))
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(how.get("announced", len(body))))
            for name, value in how.get("headers", {}).items():
                self.send_header(name, value)
            self.end_headers()
            try:
                for place in range(0, len(body), how.get("piece", 2**20)):
                    self.wfile.write(body[place : place + how.get("piece", 2**20)])
                    time.sleep(how.get("pause", 0))
            except OSError:
                pass  # the client has had enough

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/tsr"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _attribute(kind: str, value: bytes) -> bytes:
    return der.encode(der.SEQUENCE, oid(kind), der.encode(der.SET, value))


def _names(certificate: Holder, form: str) -> bytes:
    if form == "v1":
        kind, digest = "1.2.840.113549.1.9.16.2.12", sha1(certificate.der).digest()
    else:
        kind, digest = "1.2.840.113549.1.9.16.2.47", sha256(certificate.der).digest()
    name = der.encode(der.SEQUENCE, der.encode(der.OCTETS, digest))
    return _attribute(kind, der.encode(der.SEQUENCE, der.encode(der.SEQUENCE, name)))
