"""Who releases a job's key: AWS KMS asked by another process, through the relay; and who can't."""

import json
import os
import socket
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

pytest.importorskip("boto3", reason="AWS KMS needs the [aws] extra")
pytest.importorskip("asn1crypto", reason="answers of AWS KMS need the [tee] extra")
pytest.importorskip("cbor2", reason="attestation documents need the [tee] extra")

from tests.broker.brokers import PCRS
from tests.enclave.aws import configure, kms_client
from tests.enclave.hosting import judged, measurements, records, secret_job
from tests.enclave.instances import RUN_ID
from tests.enclave.kms_double import REGION, KmsDouble, serving
from tests.enclave.relay.pairs import served
from zk_autograd.cli import enclave
from zk_autograd.core.errors import UsageError
from zk_autograd.enclave.local_port import local_port
from zk_autograd.enclave.relay.kept import Kept
from zk_autograd.enclave.relay.server import Services
from zk_autograd.enclave.relay.tunnel import Target
from zk_autograd.enclave.release.asking import _sign_in, released
from zk_autograd.enclave.start import BrokerPlace, KmsPlace, Start
from zk_autograd.tee.device.emulated import EmulatedDevice
from zk_autograd.vault.context import of_enclave
from zk_autograd.vault.holder.kms import KmsKey
from zk_autograd.vault.keys import KEYFILE, KMS, KeyFile, Wrap
from zk_autograd.vault.pairs import Holding, sealed_pair
from zk_autograd.vault.seal import Sealed

MEASURED = {"kms:RecipientAttestation:ImageSha384": [PCRS[0].hex()], "kms:EncryptionContext:run": [RUN_ID.hex()]}


@pytest.fixture
def kms(monkeypatch: pytest.MonkeyPatch) -> Iterator[KmsDouble]:
    configure(monkeypatch)
    with serving(KmsDouble()) as double:
        yield double


def sealed(folder: Path, kms: KmsDouble) -> Path:
    key = kms.create({"Encrypt": {}, "Decrypt": MEASURED})
    holding = Holding(KmsKey(kms_client(kms.endpoint), key.arn), key.arn, KMS)
    data, key_file = sealed_pair(secret_job().encode(), of_enclave(RUN_ID), [holding])
    folder.mkdir()
    (folder / "job.enc").write_bytes(data)
    (folder / "job.key.json").write_bytes(key_file.encode())
    return folder


def run(folder: Path, kms: KmsDouble, out: str = "out", pcrs: dict[int, bytes] = PCRS) -> int:
    device = ["--process", "--measurements", str(measurements(folder / f"{out}.json", pcrs))]
    places = [
        "--kms-region",
        REGION,
        "--kms-endpoint",
        kms.endpoint,
        "--job",
        str(folder / "job"),
        "--out",
        str(folder / out),
    ]
    return enclave.main(["run", *device, *places])


@pytest.mark.long
def test_kms_releases_the_key_to_the_measured_image_and_each_instance_is_its_own_run(
    tmp_path: Path, kms: KmsDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    """KMS counts nothing: a host may start an image twice, and has two logs of two keys then."""
    sealed(tmp_path / "job", kms)
    assert run(tmp_path, kms, "first") == 0
    assert run(tmp_path, kms, "second") == 0
    asked = [json.dumps(request) for operation, request in kms.requests if operation == "Decrypt"]
    assert len(asked) == 2
    assert all("Recipient" in one for one in asked)
    one, other = (judged(tmp_path / name) for name in ("first", "second"))
    assert one.failure is None and other.failure is None
    assert records(tmp_path / "first")[0] != records(tmp_path / "second")[0]
    capsys.readouterr()
    assert run(tmp_path, kms, "third", {**PCRS, 0: PCRS[1]}) == 1
    assert "AWS KMS refused" in capsys.readouterr().err
    assert not (tmp_path / "third").exists()


def key_file(*holders: str) -> KeyFile:
    return KeyFile(of_enclave(RUN_ID), Sealed("00" * 32, 100), tuple(Wrap("kek", by, b"wrapped") for by in holders))


@pytest.mark.parametrize(
    ("holders", "start", "said"),
    [
        ((KMS,), Start(), "wrapped by kms, and the host named no AWS KMS to release it: start it with --kms-region"),
        ((KMS,), Start(broker=BrokerPlace("h:1", "key")), "the host named no AWS KMS"),
        ((KEYFILE,), Start(), "wrapped by keyfile, and the host named no broker to release it: start it with --broker"),
        ((KEYFILE,), Start(kms=KmsPlace("here")), "the host named no broker"),
        ((KEYFILE,), Start(broker=BrokerPlace("h:1", "no key")), "the broker's key is none"),
        ((KEYFILE,), Start(broker=BrokerPlace("h:1", "a+00000000+AA==")), "the broker's key is none"),
    ],
)
def test_a_key_that_nobody_named_can_release_is_asked_of_nobody(
    tmp_path: Path, holders: tuple[str, ...], start: Start, said: str
) -> None:
    with served(tmp_path, Services({}, Kept(tmp_path / "run"))) as (relay, _), pytest.raises(UsageError) as caught:
        released(key_file(*holders), RUN_ID, start, relay, EmulatedDevice(PCRS))
    assert said in str(caught.value)


def test_a_real_enclave_asks_no_endpoint_in_the_clear(tmp_path: Path) -> None:
    """Who answers there is the host: it would see the request, and choose the answer."""

    class RealDevice(EmulatedDevice):  # what it signs is never reached
        name = "AWS Nitro"

    start = Start(kms=KmsPlace(REGION, "http://127.0.0.1:1"))
    with served(tmp_path, Services({}, Kept(tmp_path / "run"))) as (relay, _), pytest.raises(UsageError) as caught:
        released(key_file(KMS), RUN_ID, start, relay, RealDevice(PCRS))
    assert "asks AWS's own KMS over TLS, and no other endpoint" in str(caught.value)


def test_only_the_hosts_own_credentials_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 would else ask an address on the network for some, and whoever answers is the host."""
    configure(monkeypatch)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "")
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    _sign_in(KmsPlace(REGION, id="its id", secret="its secret", token="its token"))
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_EC2_METADATA_DISABLED")
    assert [os.environ[name] for name in names] == ["its id", "its secret", "its token", "true"]


def test_a_start_is_read_as_it_was_written() -> None:
    for start in (
        Start(),
        Start(BrokerPlace("127.0.0.1:1", "key", "-----BEGIN\nabc\n"), nonce=bytes(16)),
        Start(kms=KmsPlace("us-east-1", "http://h:1", "id", "secret", "token")),
    ):
        assert Start.parse(start.encode()) == start
    assert "secret" not in repr(KmsPlace("us-east-1", id="secret", secret="secret", token="secret"))


def test_a_port_of_the_enclaves_own_leads_through_the_tunnel_as_a_proxy_too(tmp_path: Path) -> None:
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *arguments: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        services = Services({}, Kept(tmp_path / "run"), {"kms": Target("127.0.0.1", server.server_port)})
        with served(tmp_path, services) as (relay, _):
            with local_port(relay, "kms") as port:
                assert _got(HTTPConnection("127.0.0.1", port, timeout=10)) == b"ok"
            with local_port(relay, "kms", proxy=True) as port:
                proxied = HTTPConnection("127.0.0.1", port, timeout=10)
                proxied.set_tunnel("kms.us-east-1.amazonaws.com", 443)
                assert _got(proxied) == b"ok"
                for request in (b"GET / HTTP/1.1\r\n\r\n", b"CONNECTED x\r\n\r\n", b"x" * 5000):
                    assert _said(port, request) == b""
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert len(asked) == 2


def _said(port: int, request: bytes) -> bytes:
    """What the proxy says to such a request: nothing, and it ends."""
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        try:
            connection.sendall(request)
            return connection.recv(100)
        except ConnectionError:
            return b""


def _got(connection: HTTPConnection) -> bytes:
    try:
        connection.request("GET", "/")
        return connection.getresponse().read()
    finally:
        connection.close()
