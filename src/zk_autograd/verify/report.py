"""What was shown and what was not: the report, as data, as JSON and as text.

Rules: a report says no more than was shown. A step is *passed* if all of it was shown; *not shown*
if part of it could not be checked and nothing was found wrong; *skipped* if none of it was checked;
*absent* if the run has nothing for it to check; *failed*, and those after it *not reached*;
*unreadable* if this machine could not read or compute what it needs, which says nothing against the
run. Texts that come from a run are quoted, and the text form prints nothing that a terminal obeys.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from zk_autograd.core.errors import ExitStatus, UnreadableError, VerificationError
from zk_autograd.core.keys import PublicKey
from zk_autograd.core.records import Log
from zk_autograd.core.text import printable
from zk_autograd.core.trust import Security
from zk_autograd.evidence.finding import Found
from zk_autograd.verify.anchoring import NOTHING, Anchored, Anchoring, Held, Registered
from zk_autograd.verify.attestation import Attestation
from zk_autograd.verify.demand import PolicyChecked
from zk_autograd.verify.fixes import of_failure
from zk_autograd.verify.outcome import (
    NOT_REACHED,
    Claim,
    Finding,
    Level,
    Outcome,
    SampleTaken,
    Source,
    Step,
    UncoveredFile,
)

if TYPE_CHECKING:
    from zk_autograd.verify.replayed import Replayed

FORMAT = "zk-autograd/report/v1"


@dataclass(frozen=True, slots=True)
class Summary:
    """The run that was judged, in the view that counts: its first `size` records, under `root`."""

    run: str
    rule: str
    backend: str
    parameters: int
    root: bytes
    size: int
    steps: int
    segments: int
    blocks: int
    finished: bool


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a verification.

    `outcomes` are those of the steps that were reached. `levels` are those reached: none if
    something failed or no key is pinned. `missing` says why that is less than was asked for; it is
    empty if it isn't; `advice` what to do then. `security` says how hard it is to forge a proof,
    where that is known. `unreadable` says what could not be read on this machine, so that nothing
    was judged; a report has it or `failure`, never both. `uncovered` are the names that no record
    names, None if step 10 was not completed; `uncovered_more`: there are others. `log` is the view
    that was judged, from step 3 on; `signers` are the pinned keys, all of which signed it;
    `model_signer` is the fingerprint of the pinned model key, if it was shown to have signed the
    published model; `found` says what the auditor named, and where its evidence was found; `policy`
    what became of the demands of a policy file, None without one; `checkpoint` is the SHA-256 of
    the checkpoint's file, None if it could not be read; `anchoring` is what step 4 knows, nothing
    if a step failed; `attestation` is what step 8 knows, likewise None of a run of no enclave;
    `vouched`: no key was pinned, and it vouches for the `signers`.
    """

    outcomes: Mapping[Step, Outcome]
    required: frozenset[Level]
    pinned: bool
    levels: frozenset[Level] = frozenset()
    missing: tuple[str, ...] = ()
    advice: str = ""
    failure: VerificationError | None = None
    unreadable: UnreadableError | None = None
    summary: Summary | None = None
    sample: SampleTaken | None = None
    replayed: "Replayed | None" = None
    security: Security | None = None
    uncovered: tuple[UncoveredFile, ...] | None = None
    uncovered_more: bool = False
    log: Log | None = None
    signers: tuple[PublicKey, ...] = ()
    model_signer: str | None = None
    found: Found | None = None
    policy: PolicyChecked | None = None
    checkpoint: bytes | None = None
    anchoring: Anchoring = NOTHING
    attestation: Attestation | None = None
    vouched: bool = False

    @property
    def findings(self) -> Mapping[Step, Finding]:
        """How each step ended."""
        return {step: self.outcomes[step].finding if step in self.outcomes else NOT_REACHED for step in Step}

    @property
    def judged(self) -> bool:
        """Whether all steps were carried out and nothing false was found."""
        return self.failure is None and self.unreadable is None

    @property
    def claims(self) -> tuple[Claim, ...]:
        """What is said of the run and where it comes from. Nothing if a step failed or could not be
        taken here, nor where no key is pinned: then nobody claims anything."""
        return tuple(claim for outcome in self._counted for claim in outcome.claims) if self.pinned else ()

    @property
    def limits(self) -> tuple[str, ...]:
        """What the levels that were reached do not mean. As `claims`."""
        return tuple(limit for outcome in self._counted for limit in outcome.limits)

    @property
    def _counted(self) -> Sequence[Outcome]:
        return [self.outcomes[step] for step in Step if step in self.outcomes] if self.judged else ()

    @property
    def verdict(self) -> str:
        """FAILED, NOT JUDGED, UNPINNED, or the levels that were reached, as `L0, L1`, with the mark
        `(emulated)` if an emulated device is what one of them rests on: a program that compares it
        with what it wants must not take that for the same."""
        return self._reached + (" (emulated)" if self.emulated else "")

    @property
    def _reached(self) -> str:
        if self.failure is not None:
            return "FAILED"
        if self.unreadable is not None:
            return "NOT JUDGED"
        return ", ".join(sorted(level.value for level in self.levels)) if self.pinned else "UNPINNED"

    @property
    def fix(self) -> str:
        """What to do about a failure, or about less than was asked for, in a sentence; "" if there
        is nothing to do."""
        if (error := self.failure or self.unreadable) is not None:
            return of_failure(error)
        return self.advice

    @property
    def emulated(self) -> bool:
        """Whether an emulated device, under whose root anybody can sign, is what L2 rests on, or
        L0."""
        on_it = self.vouched or Level.L2 in self.levels
        return on_it and self.attestation is not None and self.attestation.emulated

    @property
    def verdict_line(self) -> str:
        """The verdict, whether its attestation is an emulated one, and how many uncovered files the
        auditor accepted, if any."""
        accepted = sum(file.accepted for file in self.uncovered or ())
        marks = ["the enclave is emulated, and shows nothing"] if self.emulated else []
        marks += [f"uncovered files accepted: {accepted}"] if accepted else []
        return f"verdict: {self._reached}" + (f" ({'; '.join(marks)})" if marks else "")

    @property
    def exit_status(self) -> int:
        """0 everything required was shown, 1 failed, 3 nothing false found but less shown than
        required, 4 could not be judged here."""
        if self.failure is not None:
            return ExitStatus.REFUSED
        if self.unreadable is not None:
            return ExitStatus.UNJUDGED
        return ExitStatus.DONE if self.pinned and not self.missing else ExitStatus.LESS

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values; docs/verification.md lists the fields."""
        return {
            "format": FORMAT,
            "verdict": self.verdict,
            "exit_status": self.exit_status,
            "emulated": self.emulated,
            "levels": sorted(level.value for level in self.levels),
            "required": sorted(level.value for level in self.required),
            "missing": list(self.missing),
            "fix": self.fix,
            "evidence": None if self.found is None else _found(self.found),
            "signers": [key.encode() for key in self.signers],
            "failure": None if self.failure is None else _failure(self.failure),
            "unreadable": None if self.unreadable is None else _unreadable(self.unreadable),
            "run": None if self.summary is None else _summary(self.summary),
            "steps": [
                {
                    "number": step.value,
                    "name": step.title,
                    "status": self.findings[step].status.value,
                    "findings": list(self.findings[step].sentences),
                }
                for step in Step
            ],
            "sample": None if self.sample is None else _sample(self.sample),
            "replay": None if self.replayed is None else _replay(self.replayed),
            "security": None if self.security is None else asdict(self.security),
            "register": None if self.anchoring.registered is None else _register(self.anchoring.registered),
            "anchors": [_anchored(one) for one in self.anchoring.anchored],
            "online": [_held(one) for one in self.anchoring.held],
            "attestation": None if self.attestation is None else _attestation(self.attestation),
            "claims": [{"claim": claim.what, "source": claim.source.value} for claim in self.claims],
            "limits": list(self.limits),
            "uncovered": None if self.uncovered is None else [asdict(file) for file in self.uncovered],
            "uncovered_more": self.uncovered_more,
            "policy": None if self.policy is None else _policy(self.policy),
        }

    def text(self, width: int = 100) -> str:
        """The report for a reader, in printable ASCII and lines of at most `width` columns, except
        for longer words. The last line is the verdict, and no other begins like it, whatever a run
        contains.
        """
        lines = []
        if self.found is not None:
            lines += _wrapped((f"evidence: {self.found.line}",), width, "")
        if self.summary is not None:
            run = self.summary
            lines += [
                f"run {run.run}: rule {run.rule}, {run.parameters} parameters, backend {run.backend}",
                f"{run.steps} steps, {'finished' if run.finished else 'unfinished'}",
                f"root {run.root.hex()}@{run.size}",
                "",
            ]
        for step in Step:
            finding = self.findings[step]
            lines.append(f"{step.value:2}  {step.title:21}{finding.status.value}")
            lines += _wrapped(finding.sentences, width, "      ")
        if self.claims:
            lines += ["", "Where each claim comes from"]
            for source in Source:
                of_it = "; ".join(claim.what for claim in self.claims if claim.source is source)
                lines += _wrapped((f"{source.value}: {of_it}",) if of_it else (), width, "  - ")
        if self.limits:
            lines += ["", "What this does not show"]
            lines += _wrapped(self.limits, width, "  - ")
        if self.missing:
            lines += ["", "Why this is less than was asked for"]
            lines += _wrapped(self.missing, width, "  - ")
        if self.fix:
            lines += ["", *_wrapped((f"Fix: {self.fix}",), width, "")]
        lines += ["", self.verdict_line]
        return "\n".join(line.encode("ascii", "backslashreplace").decode() for line in map(printable, lines))


def _wrapped(sentences: tuple[str, ...], width: int, indent: str) -> list[str]:
    rest = " " * len(indent)
    found: list[str] = []
    for sentence in sentences:
        # Quoted text has no blanks (core.text.quoted). A word from a run that is longer than a line
        # stays whole, for the same reason.
        lines = wrap(sentence, width - len(indent), break_on_hyphens=False, break_long_words=False)
        for i, line in enumerate(lines):
            if not _like_a_verdict(line):
                found.append((rest if i else indent) + line)
            elif i:
                found[-1] += f" {line}"
            else:
                found.append(f"{indent}| {line}")
    return found


def _like_a_verdict(line: str) -> bool:
    return line.lstrip(" -|").lower().startswith("verdict")


def _found(found: Found) -> dict[str, Any]:
    return {
        "target": found.target,
        "run": str(found.run),
        "how": found.how,
        "files": [{"name": s.name, "sha256": s.digest and s.digest.hex()} for s in found.subjects],
    }


def _failure(error: VerificationError) -> dict[str, Any]:
    return {
        "step": error.step,
        "record": error.record,
        "message": error.message,
        "expected": error.expected,
        "found": error.found,
    }


def _unreadable(error: UnreadableError) -> dict[str, Any]:
    return {"step": error.step, "record": error.record, "message": error.message}


def _summary(run: Summary) -> dict[str, Any]:
    return {
        "id": run.run,
        "rule": run.rule,
        "backend": run.backend,
        "parameters": run.parameters,
        "root": run.root.hex(),
        "size": run.size,
        "steps": run.steps,
        "segments": run.segments,
        "blocks": run.blocks,
        "finished": run.finished,
    }


def _policy(policy: PolicyChecked) -> dict[str, Any]:
    return {
        "sha256": policy.digest.hex(),
        "demands": [
            {
                "name": demand.field,
                "expected": demand.expected,
                "found": demand.found,
                "met": demand.met,
                "claimed": demand.claimed,
            }
            for demand in policy.demands
        ],
    }


def _register(registered: Registered) -> dict[str, Any]:
    index, last = registered.last
    return {
        "origin": registered.origin,
        "size": registered.newest.size,
        "root": registered.newest.root.hex(),
        "index": registered.index,
        "newest": index,
        "records": last.size,
    }


def _anchored(one: Anchored) -> dict[str, Any]:
    claim = one.claim
    return {
        "kind": claim.kind,
        "size": one.size,
        "root": one.root.hex(),
        "records": one.records,
        "standing": claim.standing.value,
        "time": claim.time,
        "rests_on": claim.rests_on,
        "excludes_forks": claim.excludes_forks,
        "identity": list(claim.identity),
    }


def _attestation(found: Attestation) -> dict[str, Any]:
    return {
        "kind": found.kind,
        "root": found.root or None,
        "emulated": found.emulated,
        "measurement": found.measurement or None,
        "bound": bool(found.root),
        "time": found.time,
        "at": found.at,
        "counts": found.counts,
        "judged": list(found.judged),
        "short": list(found.short),
        "sha256": found.document.hex(),
        "job": found.job.hex() or None,
        "raw_sha256": found.raw.hex(),
    }


def _held(held: Held) -> dict[str, Any]:
    return {
        "anchor": held.asked.spec,
        "time": held.asked.time,
        "checkpoints": held.placed,
        "entries": held.entries,
        "whole": held.whole,
        "runs_begun": held.begun if held.entries else None,
        "runs_open": held.open if held.entries else None,
    }


def _sample(sample: SampleTaken) -> dict[str, Any]:
    return {
        "proofs": sample.proofs,
        "verified": list(sample.verified),
        "seed": sample.seed.hex(),
        "seed_from": "earlier report" if sample.report else "beacon" if sample.beacon else "verifier",
        "miss_one": sample.miss_one,
        "found_with_99_percent": sample.surely_found,
        "earlier": None if not sample.report else {"report": sample.report.hex(), "verified": list(sample.earlier)},
    }


def _replay(replayed: "Replayed") -> dict[str, Any]:
    return {
        "segments": replayed.count,
        "recomputed": list(replayed.segments),
        "steps": replayed.steps,
        "drawn": list(replayed.drawn),
        "seed": replayed.seed.hex() or None,
        "seed_from": None if not replayed.drawn else "beacon" if replayed.beacon else "verifier",
        "miss_one": None if not replayed.drawn else f"{replayed.missed.numerator}/{replayed.missed.denominator}",
        "found_with_99_percent": replayed.surely_found,
    }
