"""The verdict for a policy engine, held against the specification and an independent reader."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from securesystemslib.dsse import Envelope as TheirEnvelope
from securesystemslib.exceptions import VerificationError as TheirVerificationError
from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]  # it is documented there

from tests.credentials.test_auditor_key import write
from tests.verify.kinds import GOLDEN
from zk_autograd.credentials.auditor_key import load
from zk_autograd.verify import svr
from zk_autograd.verify.report import Report

MADE = datetime(2026, 11, 30, 14, 2, 23, tzinfo=UTC)


def test_the_statement_is_that_of_the_specification(report_of: Callable[[str], Report]) -> None:
    report = report_of("passed, native")
    assert report.summary is not None
    records = (GOLDEN / "log/checkpoint").read_bytes()
    assert svr.statement(report, MADE) == {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [
            {
                "name": f"zk-autograd/{report.summary.run}",
                "digest": {"rfc9162Sha256": report.summary.root.hex()},
                "annotations": {"run": report.summary.run, "size": 4},
            },
            {"name": "log/checkpoint", "digest": {"sha256": sha256(records).hexdigest()}},
            *(
                {"name": f"model/{path.name}", "digest": {"sha256": sha256(path.read_bytes()).hexdigest()}}
                for path in sorted((GOLDEN / "model").iterdir())
            ),
        ],
        "predicateType": "https://in-toto.io/attestation/svr/v0.2",
        "predicate": {
            "verifier": {"id": "pkg:generic/zk-autograd@0.1.0", "policies": []},
            "timeCreated": "2026-11-30T14:02:23Z",
            "properties": ["ZK_AUTOGRAD_L0", "ZK_AUTOGRAD_L1"],
            "zkAutograd": {
                "verdict": "L0, L1",
                "exitStatus": 0,
                "emulated": False,
                "required": ["L1"],
                "uncoveredAccepted": 0,
            },
        },
    }


@pytest.mark.parametrize(
    ("kind", "properties"),
    [
        ("sample", ["ZK_AUTOGRAD_L0", "ZK_AUTOGRAD_L1_SAMPLED"]),
        ("sample accepted", ["ZK_AUTOGRAD_L0", "ZK_AUTOGRAD_L1_SAMPLED"]),
        ("less, no proofs", ["ZK_AUTOGRAD_L0"]),
        ("less, no SRS allowed", ["ZK_AUTOGRAD_L0"]),
        ("unpinned", []),
        ("unpinned, native", []),
        ("unpinned sample", []),
        ("failed, proof", []),
        ("failed, model", []),
        ("unreadable", []),
    ],
)
def test_properties_are_the_levels_reached(
    kind: str, properties: list[str], report_of: Callable[[str], Report]
) -> None:
    assert svr.properties(report_of(kind)) == properties


def test_levels_of_a_report_that_says_otherwise_are_no_properties(report_of: Callable[[str], Report]) -> None:
    """Whatever a report's fields hold: the verdict decides."""
    passed, failed = report_of("passed"), report_of("failed, proof")
    assert svr.properties(replace(passed, pinned=False)) == []
    assert svr.properties(replace(passed, failure=failed.failure)) == []
    assert svr.properties(replace(passed, unreadable=report_of("unreadable").unreadable)) == []


def test_a_failed_run_is_named_by_what_was_found_of_it(report_of: Callable[[str], Report]) -> None:
    subjects = {kind: [s["name"] for s in svr.subjects(report_of(kind))] for kind in
                ("failed, model", "failed, wrong root", "failed, wrong key", "failed, no checkpoint")}  # fmt: skip
    assert subjects == {
        "failed, model": [f"zk-autograd/{bytes(range(16)).hex()}", "log/checkpoint"],
        "failed, wrong root": ["log/checkpoint"],  # its root is not known to be one of the run's
        "failed, wrong key": ["log/checkpoint"],
        "failed, no checkpoint": [],
    }
    with pytest.raises(ValueError, match="at least one subject"):
        svr.statement(report_of("failed, no checkpoint"), MADE)


def test_a_policy_file_is_named_by_its_digest(report_of: Callable[[str], Report]) -> None:
    report = report_of("policy file met")
    assert report.policy is not None
    assert svr.statement(report, MADE)["predicate"]["verifier"]["policies"] == [
        {"name": "policy", "digest": {"sha256": report.policy.digest.hex()}}
    ]


def test_a_continued_sample_says_on_whose_word(report_of: Callable[[str], Report]) -> None:
    report = report_of("continued")
    assert report.sample is not None and svr.properties(report) == ["ZK_AUTOGRAD_L0", "ZK_AUTOGRAD_L1"]
    assert svr.statement(report, MADE)["predicate"]["zkAutograd"]["continues"] == report.sample.report.hex()
    assert svr.properties(report_of("continued, unpinned")) == []


def test_time_is_in_utc(report_of: Callable[[str], Report]) -> None:
    there = MADE.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert svr.statement(report_of("passed"), there) == svr.statement(report_of("passed"), MADE)


@pytest.mark.parametrize("curve", ["ed25519", "p256"])
@pytest.mark.parametrize("kind", ["passed", "failed, proof"])
def test_securesystemslib_accepts_the_envelope(
    curve: str, kind: str, report_of: Callable[[str], Report], tmp_path: Path
) -> None:
    private = ed25519.Ed25519PrivateKey.generate() if curve == "ed25519" else ec.generate_private_key(ec.SECP256R1())
    key = load(write(tmp_path / "key", private))
    text = json.dumps(key.signed(svr.envelope(report_of(kind), MADE)).to_json())
    public, other = SSlibKey.from_crypto(private.public_key(), key.keyid), ed25519.Ed25519PrivateKey.generate()
    theirs = TheirEnvelope.from_dict(json.loads(text))
    assert list(theirs.verify([public], 1)) == [key.keyid]
    assert json.loads(theirs.payload)["predicate"]["properties"] == svr.properties(report_of(kind))
    assert theirs.payload_type == "application/vnd.in-toto+json"
    with pytest.raises(TheirVerificationError):
        theirs.verify([SSlibKey.from_crypto(other.public_key(), key.keyid)], 1)
    changed = json.loads(text)
    changed["payload"] = changed["payload"].replace("A", "B", 1)
    with pytest.raises(TheirVerificationError):
        TheirEnvelope.from_dict(changed).verify([public], 1)
