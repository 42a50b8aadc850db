"""Servers on this machine that hold runs: an honest one, and ones that lie where a test says."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.verify.run_builder import KEY
from zk_autograd.core.errors import ZkError
from zk_autograd.core.progress import Progress, silent
from zk_autograd.evidence.pace import LIMITS, Limits
from zk_autograd.evidence.remote import open_url
from zk_autograd.prove.verifiers import Systems
from zk_autograd.verify.outcome import Level
from zk_autograd.verify.policy import Policy
from zk_autograd.verify.report import Report
from zk_autograd.verify.verifier import Verifier

Lie = Callable[["Handler", bytes], object]
"""Answers a request in its own way, where the file has these bytes."""

POLICY = Policy(keys=(KEY,), require=frozenset({Level.L0}))


@dataclass
class Served:
    """A server that holds the files below `folder`. `asked` are method, path and range of each
    request, `sent` counts the bytes of bodies; what `lies` has for a path is done instead."""

    folder: Path
    ranges: bool = True
    lies: dict[str, Lie] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    sent: int = 0
    connections: int = 0
    url: str = ""

    @property
    def paths(self) -> list[str]:
        return [path for _, path, _ in self.asked]


class Handler(BaseHTTPRequestHandler):
    """Gives files, and ranges of them, over connections that last."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    held: Served

    def setup(self) -> None:
        self.held.connections += 1
        super().setup()

    def do_GET(self) -> None:
        wanted = self.headers.get("Range", "")
        self.held.asked.append((self.command, self.path, wanted))
        file = self.held.folder / self.path.lstrip("/")
        data = file.read_bytes() if file.is_file() else None
        if self.path in self.held.lies:
            self.close_connection = True
            self.held.lies[self.path](self, data or b"")
        elif data is None:
            self.answer(404, b"not found")
        elif wanted and self.held.ranges:
            self.answer_range(data, *map(int, wanted.removeprefix("bytes=").split("-")))
        else:
            self.answer(200, data)

    do_HEAD = do_GET

    def answer_range(self, data: bytes, start: int, end: int, **headers: str) -> None:
        if start >= len(data):
            self.answer(416, b"")
            return
        end = min(end, len(data) - 1)
        part = data[start : end + 1]
        self.answer(206, part, **{"Content-Range": f"bytes {start}-{end}/{len(data)}", **headers})

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.held.sent += len(body)
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@contextmanager
def served(
    folder: Path, *, ranges: bool = True, lies: dict[str, Lie] | None = None, tls: "Tls | None" = None
) -> Iterator[Served]:
    """The folder on a server, until the block ends."""
    held = Served(folder, ranges, lies or {})

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that hangs up is none of ours."""

    server = Server(("127.0.0.1", 0), type("Bound", (Handler,), {"held": held}))
    if tls is not None:
        server.socket = tls.server.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    held.url = f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield held
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def raw(text: bytes) -> Lie:
    """Answers with these bytes, and hangs up."""
    return lambda handler, data: handler.wfile.write(text)


def swapped(data: bytes) -> bytes:
    """The records with one changed: another loss of the first segment."""
    changed = data.replace(b'"0.5"', b'"0.4"', 1)
    assert changed != data
    return changed


def judged(
    url: str, policy: Policy = POLICY, *, limits: Limits = LIMITS, progress: Progress = silent, **options: Any
) -> tuple[int, int, str]:
    """Exit status, the step that failed or could not be taken (0: before the first), and why."""
    try:
        with open_url(url, progress, limits=limits, **options) as files:
            assert files.has_log()
            report = Verifier(policy, Systems()).verify(files)
    except ZkError as error:
        return error.exit_status, 0, str(error)
    return report.exit_status, failed_in(report), str(report.failure or report.unreadable or "")


def failed_in(report: Report) -> int:
    error = report.failure or report.unreadable
    return 0 if error is None else error.step


@dataclass(frozen=True)
class Tls:
    """A server's side, and whom a client trusts, in a context and in a file."""

    server: ssl.SSLContext
    client: ssl.SSLContext
    authority: Path


def tls(folder: Path, name: str = "127.0.0.1") -> Tls:
    """A self-made authority, and a certificate of it for `name`."""
    now = datetime.now(UTC)
    signer, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority")])

    def certificate(public: ec.EllipticCurvePublicKey, subject: x509.Name, ca: bool) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .issuer_name(issuer)
            .subject_name(subject)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            # Without these, OpenSSL's strict form, which Python asks for from 3.13 on, refuses it.
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
            .add_extension(_usage(ca), critical=True)
        )

    try:
        alternative: x509.GeneralName = x509.IPAddress(ip_address(name))
    except ValueError:
        alternative = x509.DNSName(name)
    top = certificate(signer.public_key(), issuer, True).sign(signer, hashes.SHA256())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a server")])
    leaf = (
        certificate(key.public_key(), subject, False)
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .sign(signer, hashes.SHA256())
    )
    folder.mkdir(exist_ok=True)
    authority, chain = folder / "authority.pem", folder / "server.pem"
    authority.write_bytes(top.public_bytes(Encoding.PEM))
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    chain.write_bytes(leaf.public_bytes(Encoding.PEM) + secret)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(chain)
    return Tls(server, ssl.create_default_context(cafile=authority), authority)


def _usage(ca: bool) -> x509.KeyUsage:
    """An authority signs certificates, a server signs handshakes."""
    return x509.KeyUsage(not ca, False, False, False, False, ca, ca, False, False)


@contextmanager
def listening(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """The host and port of a socket whose connections `answer` gets, one after another."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        stopped = threading.Event()

        def serve() -> None:
            while True:
                connection, _ = server.accept()
                with connection:
                    if stopped.is_set():
                        return
                    with suppress(OSError):
                        answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            stopped.set()
            socket.create_connection(server.getsockname()).close()
            thread.join()
