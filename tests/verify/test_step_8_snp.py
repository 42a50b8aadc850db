"""Step 8 with a report of AMD SEV-SNP: made by a platform of the tests' own, whose root stands in
for AMD's, through the same device, collateral and policy as a real one."""

from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("rfc3161_client", reason="the package rfc3161-client is not installed: [rfc3161]")

from tests.tee.device.test_snp import table
from tests.tee.snp.platforms import MEASUREMENT, Platform, platform, revocation_list
from tests.verify.attested_runs import BEGUN, NONCE, STAMPED, EnclaveRun, enclave_run, judged, policy
from zk_autograd.core.attestation import Collateral
from zk_autograd.core.errors import VerificationError
from zk_autograd.tee.device.snp import SnpDevice
from zk_autograd.tee.snp import evidence
from zk_autograd.tee.snp import verify as verify_report
from zk_autograd.verify.outcome import Level, Source, Status, Step
from zk_autograd.verify.report import Report

GENOA, VLEK, MILAN, TURIN = platform(), platform("genoa", "vlek"), platform("milan"), platform("turin")
TRUSTED = f'[attestation.snp]\nmeasurements = ["{MEASUREMENT.hex()}"]\n'
GUIDS = [bytes.fromhex(text) for text in ("63da758de6644564adc5f4b93be8accd", "4ab7b379bbac4fe4a02f05aef327c782")]


@pytest.fixture(autouse=True)
def roots(monkeypatch: pytest.MonkeyPatch) -> None:
    """AMD's roots exchanged for the tests': there is no way to do so from outside."""
    found = {**GENOA.roots, **MILAN.roots, **TURIN.roots}
    monkeypatch.setattr(evidence, "verify_report", partial(verify_report, roots=found))


def made(of: Platform = GENOA, *, nonce: bytes = b"", crls: tuple[bytes, ...] = (), **changed: object) -> EnclaveRun:
    """A run in a guest of this platform, whose host gives the key's certificate and its issuer's;
    the root's is fetched by whoever publishes."""
    host = table((GUIDS[0], of.leaf), (GUIDS[1], of.ask))
    device = SnpDevice(lambda data: (of.report(report_data=data, **changed), host))
    run = enclave_run(by=device, nonce=nonce)
    run.collateral = Collateral((*device.collateral().certificates, of.ark), crls).encode()
    return run


def report_on(run: EnclaveRun, tmp_path: Path, trusted: str = TRUSTED, more: str = "") -> Report:
    tmp_path.mkdir(exist_ok=True)
    asked = policy(tmp_path / "own", keys=False, attestation=more + trusted)
    return judged(run.write(tmp_path / "run"), asked)


def short(report: Report, why: str) -> None:
    assert report.failure is None, str(report.failure)
    assert report.exit_status == 3 and Level.L2 not in report.levels and Level.L0 not in report.levels
    assert report.findings[Step.ATTESTATION].status is Status.NOT_SHOWN
    assert any(why in sentence for sentence in report.missing), report.missing
    assert not any(claim.source is Source.ATTESTED for claim in report.claims)


def false(report: Report, why: str) -> None:
    assert isinstance(report.failure, VerificationError) and report.exit_status == 1
    assert report.failure.step == Step.ATTESTATION and why in str(report.failure)


@pytest.mark.parametrize("of", [GENOA, TURIN], ids=["genoa", "turin"])
def test_step8_a_guest_with_a_measurement_that_is_trusted(of: Platform, tmp_path: Path) -> None:
    """The auditor pins no key: the report vouches for those that the header names."""
    report = report_on(made(of), tmp_path)
    assert (report.exit_status, report.levels) == (0, frozenset({Level.L0, Level.L1, Level.L2})), report.text()
    attested = [claim.what for claim in report.claims if claim.source is Source.ATTESTED]
    assert attested[0] == "that measured code in a snp enclave computed the gradients"
    assert f"launch digest {MEASUREMENT.hex()} on {of.product.capitalize()}, signed by a VCEK" in attested[1]
    found = report.to_json()["attestation"]
    assert (found["kind"], found["emulated"], found["time"], found["counts"]) == ("snp", False, None, True)
    assert found["at"] == int(STAMPED.timestamp())
    assert any("it has no time" in limit for limit in report.limits)
    assert any("OCI" in limit for limit in report.limits)


def test_step8_a_nonce_makes_it_fresh(tmp_path: Path) -> None:
    """Gain: an old report, from before a hole was closed."""
    nonce = f'[attestation]\nnonce = "{NONCE.hex()}"\n'
    assert report_on(made(nonce=NONCE), tmp_path, more=nonce).exit_status == 0
    short(report_on(made(), tmp_path / "b", more=nonce), "does not have the policy's nonce")


def test_step8_a_report_of_another_run_is_false(tmp_path: Path) -> None:
    """Gain: one guest that was measured vouches for a run that it never saw."""
    other = made()
    run = enclave_run(by=SnpDevice(lambda data: (GENOA.report(report_data=data), b"")))
    run.document = replace(run.document, raw=GENOA.report(report_data=bytes(range(64))))
    run.collateral = other.collateral
    run.name()
    false(report_on(run, tmp_path), "of another run")


def test_step8_a_report_that_the_host_asked_for_is_false(tmp_path: Path) -> None:
    """Gain: no guest at all. Its REPORT_DATA is zero, so that no run is what it is about."""
    run = made()
    run.document = replace(run.document, raw=GENOA.report(vmpl=0xFFFFFFFF, report_data=bytes(64)))
    run.name()
    false(report_on(run, tmp_path), "of another run")


def test_step8_a_report_that_nobody_signed_is_false(tmp_path: Path) -> None:
    run = made()
    run.document = replace(run.document, raw=run.document.raw[:0x90] + b"\1" + run.document.raw[0x91:])
    run.name()
    false(report_on(run, tmp_path), "not signed by the VCEK")


@pytest.mark.parametrize(
    ("run", "why"),
    [
        (lambda: made(policy=0xB0000), "debug guest"),
        (lambda: made(measurement=bytes(48)), "launch digest"),
        (lambda: made(VLEK), "require a VCEK"),
        (lambda: made(MILAN), "product line milan"),
        (lambda: made(vmpl=2), "VMPL 2"),
        (lambda: made(launch_tcb=bytes(8)), "of the launch TCB is 0, below 23"),
        (lambda: made(GENOA.with_leaf(begin=STAMPED + timedelta(seconds=1))), "SEV-VCEK was not valid"),
        (lambda: made(GENOA.with_leaf(end=BEGUN)), "SEV-VCEK was not valid"),
        (lambda: made(chip_id=bytes(64)), "masked"),
    ],
    ids=["debug", "zero", "vlek", "milan", "vmpl", "tcb", "later", "ended", "masked"],
)
def test_step8_what_falls_short_is_no_l2(run: object, why: str, tmp_path: Path) -> None:
    trusted = f'{TRUSTED}signer = "vcek"\n[attestation.snp.tcb]\ngenoa = {{snp = 23}}\nturin = {{snp = 23}}\n'
    assert callable(run)
    short(report_on(run(), tmp_path, trusted), why)


def test_step8_a_missing_certificate_falls_short(tmp_path: Path) -> None:
    run = made()
    run.collateral = Collateral((GENOA.leaf, GENOA.ask)).encode()
    short(report_on(run, tmp_path), "is missing")
    run.collateral = None
    short(report_on(run, tmp_path / "b"), "no certificate of the VCEK")


def test_step8_a_revocation_list_of_the_time(tmp_path: Path) -> None:
    asked = f"{TRUSTED}revocation = true\n"
    short(report_on(made(), tmp_path, asked), "no revocation list")
    listed = revocation_list(begin=BEGUN - timedelta(days=1), end=STAMPED + timedelta(days=1))
    assert report_on(made(crls=(listed,)), tmp_path / "b", asked).exit_status == 0
    unsaid = "whether one of its certificates was revoked"
    for crls, is_said in (((), True), ((listed,), False)):
        report = report_on(made(crls=crls), tmp_path / f"c{len(crls)}")
        assert report.exit_status == 0
        assert any(unsaid in limit for limit in report.limits) is is_said


def test_step8_another_root_is_false(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gain: a processor of one's own making."""
    monkeypatch.setattr(evidence, "verify_report", verify_report)
    false(report_on(made(), tmp_path), "a root that is none of AMD's")
