"""A host, an enclave in another process, and AWS KMS (a stand-in that enforces its key's policy):
the key passes the host, and is the enclave's alone."""

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("boto3", reason="AWS KMS needs the [aws] extra")
pytest.importorskip("asn1crypto", reason="answers of AWS KMS need the [tee] extra")
pytest.importorskip("cbor2", reason="attestation documents need the [tee] extra")

from tests.enclave.aws import configure, kms_client
from tests.enclave.hosting import PATIENCE, judged, measurements, records
from tests.enclave.instances import NONE, make_job
from tests.enclave.kms_double import KmsDouble, serving
from zk_autograd.enclave.host import Hosted, Order, host
from zk_autograd.enclave.main import UNOPENED
from zk_autograd.enclave.relay.tunnel import Target
from zk_autograd.enclave.start import KmsPlace, Start
from zk_autograd.enclave.starting import Process
from zk_autograd.vault.context import of_enclave
from zk_autograd.vault.holder.kms import KmsKey
from zk_autograd.vault.keys import KMS, SUFFIX
from zk_autograd.vault.pairs import Holding, sealed_pair

pytestmark = pytest.mark.slow

IMAGE = {0: b"\x10" * 48, 1: b"\x11" * 48, 2: b"\x12" * 48}
POLICY = {"Encrypt": {}, "Decrypt": {f"kms:RecipientAttestation:PCR{n}": [pcr.hex()] for n, pcr in IMAGE.items()}}


@pytest.fixture
def kms(monkeypatch: pytest.MonkeyPatch) -> Iterator[KmsDouble]:
    configure(monkeypatch)
    with serving(KmsDouble()) as double:
        yield double


def hosted(kms: KmsDouble, path: Path, pcrs: dict[int, bytes], said: list[str]) -> Hosted:
    """What a host does with a job that its owner sealed for the image."""
    arn, job, folder = kms.create(POLICY).arn, make_job(NONE), path / "job"
    folder.mkdir()
    holding = Holding(KmsKey(kms_client(kms.endpoint), arn), arn, KMS)
    data, key_file = sealed_pair(job.encode(), of_enclave(job.run), [holding])
    (folder / "job.enc").write_bytes(data)
    (folder / f"job{SUFFIX}").write_bytes(key_file.encode())
    address, _, port = kms.endpoint.removeprefix("http://").partition(":")
    order = Order(
        job=folder,
        out=path / "out",
        start=Start(kms=KmsPlace("us-east-1", kms.endpoint, "id", "secret")),
        launch=lambda where: Process(where, measurements(path / "measurements.json", pcrs), PATIENCE),
        tunnels={"kms": Target(address, int(port))},
        patience=PATIENCE,
    )
    return host(order, said.append)


def test_the_measured_enclave_trains_the_job(kms: KmsDouble, tmp_path: Path) -> None:
    said: list[str] = []
    found = hosted(kms, tmp_path, IMAGE, said)
    assert found.complete, said
    assert judged(found.out).failure is None
    assert [operation for operation, _ in kms.requests] == ["Encrypt", "Decrypt"]


def test_another_image_trains_nothing(kms: KmsDouble, tmp_path: Path) -> None:
    """The host starts a program of its own, which would print the table."""
    said: list[str] = []
    found = hosted(kms, tmp_path, {**IMAGE, 2: b"\x99" * 48}, said)
    assert not found.complete and records(tmp_path / "out") == []
    assert "AccessDeniedException" in found.reason
    assert [operation for operation, _ in kms.requests] == ["Encrypt", "Decrypt"]


def test_a_host_that_answers_in_kms_place_is_refused(kms: KmsDouble, tmp_path: Path) -> None:
    """It passes the answer on, with the key in the clear beside it."""
    kms.spoil = lambda operation, answer: {**answer, "Plaintext": "AAAA"} if operation == "Decrypt" else answer
    said: list[str] = []
    found = hosted(kms, tmp_path, IMAGE, said)
    assert not found.complete and found.reason == UNOPENED
