"""The verdict for a policy engine: an in-toto Statement whose predicate is a Simple Verification
Result, to be signed by the auditor.

Its properties are the levels that the report reached, `ZK_AUTOGRAD_L1` for L1, and no others: none
for FAILED, NOT JUDGED and UNPINNED. An engine must ask for a property that it wants to see, never
for the absence of another (in-toto's monotonic principle). The subjects are what was judged, by
digests: the log's root, the checkpoint's file, and, where the run was judged to its end, the
published model's files.

Sources: https://github.com/in-toto/attestation, spec/predicates/svr.md (v0.2), spec/v1.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from zk_autograd.core.canonical import encode
from zk_autograd.core.dsse import IN_TOTO, STATEMENT, Envelope
from zk_autograd.verify.outcome import Level
from zk_autograd.verify.report import Report
from zk_autograd.version import __version__

PREDICATE = "https://in-toto.io/attestation/svr/v0.2"
VERIFIER = f"pkg:generic/zk-autograd@{__version__}"
"""The verifier's identity: this program, by a package URL. Who ran it is whose key signs."""

ROOT = "rfc9162Sha256"
"""How a digest set calls the root of a Merkle tree (RFC 9162 section 2.1, SHA-256): it is no digest
of any file."""


def statement(report: Report, made: datetime) -> dict[str, Any]:
    """The Statement. `made` is when the run was judged, with its time zone. ValueError if the
    report has nothing that a subject could be (`subjects`)."""
    named = list(subjects(report))
    if not named:
        raise ValueError("a statement has at least one subject")
    return {
        "_type": STATEMENT,
        "subject": named,
        "predicateType": PREDICATE,
        "predicate": {
            "verifier": {"id": VERIFIER, "policies": _policies(report)},
            "timeCreated": made.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "properties": properties(report),
            "zkAutograd": {
                "verdict": report.verdict,
                "emulated": report.emulated,
                "exitStatus": int(report.exit_status),
                "required": sorted(level.value for level in report.required),
                "uncoveredAccepted": sum(file.accepted for file in report.uncovered or ()),
                **_continued(report),
            },
        },
    }


def _policies(report: Report) -> list[dict[str, Any]]:
    """The policy file, by its digest, where there was one. Flags are no artefact."""
    return [] if report.policy is None else [{"name": "policy", "digest": {"sha256": report.policy.digest.hex()}}]


def _continued(report: Report) -> dict[str, str]:
    """The SHA-256 of the report on whose word some proofs count as verified, if there is one."""
    return {"continues": report.sample.report.hex()} if report.sample is not None and report.sample.report else {}


def envelope(report: Report, made: datetime) -> Envelope:
    """The statement in an envelope that nobody has signed yet."""
    return Envelope(IN_TOTO, encode(statement(report, made)), ())


def properties(report: Report) -> list[str]:
    """The levels that were reached, without those that rest on an emulated enclave: a reader of
    properties doesn't know that anybody can make one."""
    if not report.judged or not report.pinned or (report.emulated and report.vouched):
        return []
    levels = report.levels - {Level.L2} if report.emulated else report.levels
    return [f"ZK_AUTOGRAD_{level.value.upper().replace('-', '_')}" for level in sorted(levels, key=lambda x: x.value)]


def subjects(report: Report) -> Iterator[dict[str, Any]]:
    """What was judged, by digests. Nothing if not even a checkpoint could be read."""
    if report.summary is not None:
        run = report.summary
        yield {
            "name": f"zk-autograd/{run.run}",
            "digest": {ROOT: run.root.hex()},
            "annotations": {"run": run.run, "size": run.size},
        }
    if report.checkpoint is not None:
        yield {"name": "log/checkpoint", "digest": {"sha256": report.checkpoint.hex()}}
    if report.judged and report.log is not None and report.log.close is not None:
        for name, digest in report.log.close.model:
            yield {"name": f"model/{name}", "digest": {"sha256": digest.hex()}}
