"""The verifier's own steps over a run that names its own keys, before anything is trained again."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from zk_autograd.anchor.kinds import verifiers
from zk_autograd.core.errors import RunError, UnreadableError, VerificationError
from zk_autograd.core.keys import PublicKey
from zk_autograd.core.progress import Progress
from zk_autograd.core.record_bytes import parse_log
from zk_autograd.core.records import Log
from zk_autograd.evidence.layout import HASHES
from zk_autograd.evidence.run import Evidence
from zk_autograd.run.files import is_own_folder
from zk_autograd.run.layout import Layout
from zk_autograd.run.marker import forgotten_on
from zk_autograd.run.resumption import way_to_resume
from zk_autograd.tee.kinds import verifiers as attestation_verifiers
from zk_autograd.verify.outcome import Finding, Level, Status, Step
from zk_autograd.verify.policy import Policy
from zk_autograd.verify.proof_system import ProofSystem
from zk_autograd.verify.verifier import Verifier


def judged(
    path: Path, files: Evidence, systems: Mapping[str, ProofSystem], progress: Progress
) -> tuple[Log, Mapping[Step, Finding]]:
    """The records of the finished run at `path`, and the outcome of each step, after the verifier
    found nothing wrong with them and all that they name. VerificationError if it did; RunError for
    a run that is unfinished, or has no hashes."""
    policy = Policy(keys=(), srs=frozenset(), require=frozenset({Level.L0}))
    log: Log | None = None
    try:
        log = parse_log(files.leaves())
        keys = tuple(PublicKey.parse(text) for text in log.header.keys)
        policy = replace(policy, keys=keys, srs=frozenset({log.header.prover.srs_digest} - {b""}))
    except VerificationError:
        pass  # the verifier says what and where
    report = Verifier(policy, systems, verifiers(), attestation_verifiers()).verify(files, progress)
    wrong = report.failure or report.unreadable
    if wrong is not None:
        raise _of_evidence(wrong)
    if log is None:
        raise UnreadableError("log/records.jsonl changed while it was being read")
    if log.close is None:
        raise RunError(f"{path} is unfinished, so it has no hashes yet: {_end_of(path)}")
    if HASHES not in dict(log.close.artefacts):
        raise RunError(f"{path} has no {HASHES}: it was made without, so there is nothing to compare a repetition with")
    return log, report.findings


def unseen(findings: Mapping[Step, Finding]) -> list[str]:
    """What the verifier could not check here, though there is something to check."""
    return [
        f"{step.title.lower()}: {'; '.join(findings[step].sentences)}"
        for step in (Step.STATEMENT, Step.CHAIN, Step.PROOFS, Step.MODEL)
        if findings[step].status in (Status.NOT_SHOWN, Status.SKIPPED)
    ]


def _end_of(path: Path) -> str:
    """How to end the run, which may be a bundle or a copy without what the trainer keeps."""
    if is_own_folder(Layout(path).private) and forgotten_on(Layout(path)) is None:
        return f"`{way_to_resume(path)}` resumes it"
    return "its trainer must resume and close it"


_PLACES = {Step.PARSE: "log/", Step.SIGNATURES: "log/checkpoint", Step.LOG: "log/records.jsonl and log/checkpoint"}
"""What a step of the verifier reads, where its message doesn't name it."""


def _of_evidence(wrong: VerificationError) -> VerificationError:
    """The same, with the file that the step reads; an UnreadableError stays one."""
    step = Step(wrong.step)
    place = _PLACES.get(step, "proofs/" if step is Step.PROOFS else "log/records.jsonl" if step < Step.MODEL else "")
    return type(wrong)(f"{place + ': ' if place else ''}{wrong}")
