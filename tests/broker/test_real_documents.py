"""Real documents of AWS Nitro enclaves and SEV-SNP guests, before a broker of their time: genuine,
and about something else. No key goes to whoever has found one."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.broker.brokers import RUN, Enclave, Place, nonce_of
from tests.tee.nitro.documents import read, real, time_of
from tests.tee.snp.real import Real, certificate, chain, first_day, reports
from zk_autograd.broker.messages import Request
from zk_autograd.core.attestation import Collateral, Document

POLICY = (
    'format = "zk-autograd/policy/v1"\nrequire = ["L2"]\n'
    f'[attestation.nitro]\nmeasurements = [{{ pcr0 = "{"01" * 48}", pcr1 = "{"02" * 48}", pcr2 = "{"03" * 48}" }}]\n'
    f'[attestation.snp]\nmeasurements = ["{"04" * 48}"]\nproducts = ["milan", "genoa", "turin"]\n'
)


def refused(path: Path, kind: str, raw: bytes, collateral: Collateral, now: datetime) -> tuple[str, str]:
    """The root that the document's chain ends in, and why it gets no key."""
    place = Place(path, clock=now.timestamp)
    place.policy.write_text(POLICY)
    with place.opened() as broker:
        document = Document(kind, raw, Enclave().key.public, nonce_of(broker))
        decision, _ = broker.release(Request(RUN, document, collateral))
    assert not decision.granted
    return decision.root, decision.reason


@pytest.fixture(autouse=True)
def early(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock of the documents' time counts as set."""
    monkeypatch.setattr("zk_autograd.broker.deciding.EARLIEST", 0)


@pytest.mark.parametrize("name", [*real("accept-at-timestamp")[:3], *real("reject-debug")[:1]])
def test_a_nitro_document_of_another(name: str, tmp_path: Path) -> None:
    at_the_time = refused(tmp_path / "then", "nitro", read(name), Collateral(), time_of(name))
    assert at_the_time == ("aws-nitro", "the document attests another run, release key or nonce than the request's")
    root, reason = refused(tmp_path / "later", "nitro", read(name), Collateral(), time_of(name) + timedelta(days=1))
    assert root == ""
    assert "the enclave is not one that the policy allows" in reason


@pytest.mark.parametrize("real_report", [one for one in reports() if one.signers][:4], ids=lambda one: one.name)
def test_a_report_of_another_guest(real_report: Real, tmp_path: Path) -> None:
    leaf = certificate(real_report.signers[0])
    root, reason = refused(tmp_path, "snp", real_report.data, Collateral((leaf, *chain())), first_day(leaf))
    assert root.startswith("amd-")
    assert reason == "the document attests another run, release key or nonce than the request's"
    root, reason = refused(tmp_path / "alone", "snp", real_report.data, Collateral(), first_day(leaf))
    assert root == ""
    assert "the enclave is not one that the policy allows" in reason
