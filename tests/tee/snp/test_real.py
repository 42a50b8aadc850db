"""Every real report is what its manifest says, under AMD's own roots."""

from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256

import pytest

from tests.tee.snp.real import (
    AUTHORITIES,
    Real,
    certificate,
    chain,
    first_day,
    leaves,
    manifest,
    reports,
    signed_reports,
)
from zk_autograd.core.attestation import Collateral
from zk_autograd.core.errors import AttestationError, AttestationShort
from zk_autograd.tee.snp import ROOTS, evidence, leaf
from zk_autograd.tee.snp.abi import PRODUCTS, Report
from zk_autograd.tee.snp.judge import SnpPolicy, judge

ALL, SIGNED = reports(), signed_reports()


def policy(of: Real) -> SnpPolicy:
    """One that allows just this guest."""
    return SnpPolicy(frozenset({Report.parse(of.data).measurement}), frozenset(PRODUCTS))


def test_they_are_those_of_the_manifest() -> None:
    assert len(ALL) == 25 and len(SIGNED) == 19 and sum(one.debug for one in ALL) == 1
    for one in ALL:
        assert sha256(one.data).hexdigest() == one.entry["sha256"]
    for name in manifest()["certificates"]:
        assert sha256(certificate(name)).hexdigest().startswith(name)
    assert {sha256(certificate(name)).hexdigest() for name in AUTHORITIES} >= set(ROOTS)


@pytest.mark.parametrize("real", ALL, ids=lambda one: one.name)
def test_its_fields_are_those_of_the_manifest(real: Real) -> None:
    report, entry = Report.parse(real.data), real.entry
    assert report.version == entry["version"]
    assert list(report.processor or (0, 0, 0)) == entry["family_model_step"]
    assert report.policy == int(entry["policy"], 16)
    assert report.platform_info == int(entry["platform_info"], 16)
    assert report.vmpl == entry["vmpl"]
    assert report.unknown_bits() == (0, 0)


@pytest.mark.parametrize("real", SIGNED, ids=lambda one: one.name)
def test_it_is_accepted_under_its_own_key(real: Real) -> None:
    """The debug one, too: it is genuine, and the policy refuses it."""
    for signer in real.signers:
        claim = real.verify(signer)
        assert claim.signer == ("vlek" if claim.provider else "vcek")
        assert claim.root == f"amd-{claim.product}" == ROOTS[claim.certificates[2]].name
        if real.debug:
            with pytest.raises(AttestationShort, match="debug guest"):
                judge(claim, policy(real))
        else:
            assert claim.report.measurement.hex() in judge(claim, policy(real))[0]


@pytest.mark.parametrize("real", ALL, ids=lambda one: one.name)
def test_it_is_refused_under_every_other_key(real: Real) -> None:
    """Those whose certificate isn't there, or that were changed, under all."""
    for name in leaves().keys() - set(real.signers):
        with pytest.raises(AttestationError) as caught:
            real.verify(name)
        assert not isinstance(caught.value, AttestationShort), name


@pytest.mark.parametrize("real", SIGNED, ids=lambda one: one.name)
def test_no_signed_byte_can_be_changed(real: Real) -> None:
    for at in (*range(0, 0x2A0, 37), 0x2A0, 0x2A0 + 48 + 23, 0x2A0 + 72, 0x4A0 - 1):
        changed = bytearray(real.data)
        changed[at] ^= 0x10
        with pytest.raises(AttestationError):
            replace(real, data=bytes(changed)).verify()


@pytest.mark.parametrize("real", SIGNED[:3], ids=lambda one: one.name)
def test_its_length_is_exact(real: Real) -> None:
    for data in (real.data[:-1], real.data + b"\0", real.data * 2, b""):
        with pytest.raises(AttestationError, match="another length"):
            replace(real, data=data).verify()


def test_a_certificate_of_a_year_ends() -> None:
    (real,) = [one for one in SIGNED if one.verify().signer == "vlek"]
    assert real.verify(at=datetime(2025, 12, 1, tzinfo=UTC)).provider == "CN=cc-eu-west-1.amazonaws.com"
    for year in (2024, 2027):
        with pytest.raises(AttestationShort, match="SEV-VLEK was not valid"):
            real.verify(at=datetime(year, 1, 1, tzinfo=UTC))


def test_turins_certificate_is_read() -> None:
    """No report of a Turin is public: its key's certificate, and the chain above it, are."""
    found = leaf.parse(certificate("a4a6abff1c435f21"), "vcek")
    assert found.product == "turin" and found.hardware.hex() == "1e550a8ee5cf9f4d"
    assert found.tcb.parts() == {"fmc": 0, "bootloader": 0, "tee": 0, "snp": 0, "microcode": 9}


@pytest.mark.parametrize("real", ALL, ids=lambda one: one.name)
def test_the_right_certificate_is_found_in_the_collateral(real: Real) -> None:
    own = [certificate(name) for name in real.signers[:1]]
    others = [certificate(name) for name in sorted(leaves())[:5] if name not in real.signers]
    collateral = Collateral((*others, *own, *chain()))
    at = int(first_day(own[0]).timestamp()) if own else 1_750_000_000
    if not own:
        with pytest.raises(AttestationError, match=r"not signed by|no certificate of"):
            evidence.verify(real.data, collateral, at)
        return
    for when in (at, None):
        attested = evidence.verify(real.data, collateral, when)
        assert attested.bound == real.data[0x50:0x90] and attested.time is None and not attested.emulated
        assert attested.claim == real.verify()
