"""Step 8 over runs that an enclave's own program made, with real proofs: only the device is
emulated, and the time-stamp authority is a local one."""

import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

pytest.importorskip("rfc3161_client", reason="the package rfc3161-client is not installed: [rfc3161]")
pytest.importorskip("cbor2", reason="the package cbor2 is not installed: [tee]")

from tests.enclave.instances import PCRS, make_enclave_run
from tests.shared import Shared
from tests.verify.attested_runs import PCRS as MEASURED
from tests.verify.attested_runs import PRODUCTION, judged, policy, stamped
from zk_autograd.core.checkpoint import Checkpoint
from zk_autograd.core.note import parse_checkpoint, parse_unverified
from zk_autograd.core.record_bytes import parse_log
from zk_autograd.core.register import View
from zk_autograd.verify.outcome import Level, Status, Step
from zk_autograd.verify.policy import Policy

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(shared: Shared, native_prover: None) -> Path:
    """A run of five steps, proved inside, whose genesis was stamped when it was over."""
    return shared.made("enclave-run", make) / "run"


def make(folder: Path) -> None:
    """With the authority's stamp for the register's first checkpoint over header and genesis."""
    make_enclave_run(folder)
    receipt = stamped(next(head for size, head in heads(folder / "run") if size >= 2), datetime.now(UTC))
    with (folder / "run/anchors/receipts.jsonl").open("ab") as file:
        file.write(receipt.encode() + b"\n")


def heads(run: Path) -> list[tuple[int, Checkpoint]]:
    """How many records each entry of the run covers, and the register's tree head with it."""
    views = [View.parse(line) for line in (run / "register/views.jsonl").read_bytes().splitlines()]
    return [(view.entry.size, parse_checkpoint(parse_unverified(view.note).text)) for view in views]


def asked(folder: Path, **changes: str) -> Policy:
    return policy(folder, keys=False, provers="[provers.native]\n", **changes)


def test_step8_an_enclaves_run_reaches_l2(run: Path, tmp_path: Path) -> None:
    assert PCRS == MEASURED
    report = judged(run, asked(tmp_path / "own"), systems=True)
    assert report.levels == {Level.L0, Level.L1, Level.L2}, report.text()
    assert (report.exit_status, report.vouched) == (0, True)
    log = parse_log((run / "log/records.jsonl").read_bytes().splitlines())
    assert log.header.data.root.hex() in " ".join(claim.what for claim in report.claims)
    assert log.genesis is not None and report.attestation is not None
    assert report.attestation.document == log.genesis.attestation


def test_step8_header_and_genesis_are_entered_before_any_step(run: Path) -> None:
    """Else no anchor could say when they were there, before the training was over."""
    assert [size for size, _ in heads(run)][:2] == [1, 2]


def test_step8_a_production_policy_refuses_its_device_by_name(run: Path, tmp_path: Path) -> None:
    report = judged(run, asked(tmp_path / "own", attestation=PRODUCTION), systems=True)
    assert (report.exit_status, report.verdict) == (3, "UNPINNED")
    assert report.failure is None
    assert any("emulated device" in why for why in report.missing)


def test_step8_attack_a_clone_of_it_shows_the_document_of_the_other(run: Path, tmp_path: Path) -> None:
    """The host starts the image twice, with one job: two instances, two keys, two documents. Each
    document would have vouched for the other's log."""
    other = make_enclave_run(tmp_path / "other")
    assert other is not None
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    shutil.copy(tmp_path / "other/run/attestation/document.json", copy / "attestation/document.json")
    report = judged(copy, asked(tmp_path / "own"), systems=True)
    assert report.failure is not None
    assert (report.failure.step, report.findings[Step.ATTESTATION].status) == (8, Status.FAILED)
    assert "not the attestation that the genesis names" in report.failure.message
    keys = [
        parse_log((one / "log/records.jsonl").read_bytes().splitlines()).header.keys
        for one in (copy, tmp_path / "other/run")
    ]
    assert not set(keys[0]) & set(keys[1])


def test_step8_without_a_stamp_nothing_vouches_for_its_key(run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    path = copy / "anchors/receipts.jsonl"
    path.write_bytes(b"".join(line for line in path.read_bytes().splitlines(True) if b"rfc3161" not in line))
    report = judged(copy, replace(asked(tmp_path / "own")), systems=True)
    assert (report.exit_status, report.verdict) == (3, "UNPINNED")
