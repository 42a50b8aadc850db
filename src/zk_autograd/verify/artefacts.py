"""Step 10, the trainer's own files: they are those of the close record, and hashes.json is what it
must be.

environment.json, config.toml (if there is one), train_log.jsonl and hashes.json lie at the run's
top level. The close record names them by their SHA-256: one that is missing, and one whose bytes
are others are failures. What stands in hashes.json is computed again from config.toml,
environment.json, the header and the published integers. What the files say is the trainer's word,
and no step shows that it is true.

A run that was written without them names none. One that is there and that no record names is no
part of this: verify.uncovered. Digests under other names are of files that are no part of the run.
"""

from hashlib import sha256

from zk_autograd.core.errors import VerificationError
from zk_autograd.core.records import Log
from zk_autograd.evidence.hashes import Hashes
from zk_autograd.evidence.layout import ARTEFACTS, CONFIG, ENVIRONMENT, HASHES, TRAIN_LOG
from zk_autograd.evidence.run import Evidence, digests
from zk_autograd.verify.outcome import Claim, Finding, Outcome, Source, Status
from zk_autograd.verify.statement import SEGMENT_RECORD

_SAID = "environment, configuration and log of the training"

LIMITS = {ENVIRONMENT: 2**16, CONFIG: 2**21, TRAIN_LOG: 2**30, HASHES: 2**12}
"""The most bytes of each that are read."""


def check_artefacts(log: Log, files: Evidence, weights: bytes | None) -> Outcome:
    """Step 10's part for them. `weights` is the hash of the published integers, None if none are."""
    if log.close is None:
        there = files.artefact_names()
        found = (
            (f"no close record in this view names {_and(there)}: nothing covers what stands there",) if there else ()
        )
        return Outcome(Finding(Status.ABSENT, found), claims=(Claim(_SAID, Source.ABSENT),))
    try:
        sentences = _check(log, dict(log.close.artefacts), files, weights)
    except VerificationError as error:
        raise error.at(0, SEGMENT_RECORD + len(log.segments)) from error
    if not log.close.artefacts:
        return Outcome(Finding(Status.ABSENT), claims=(Claim(_SAID, Source.ABSENT),))
    limit = "what the trainer's own files say (environment, configuration, log of the training) is the trainer's word"
    return Outcome(Finding(Status.PASSED, sentences), claims=(Claim(_SAID, Source.CLAIMED),), limits=(limit,))


def check_digests(log: Log, files: Evidence) -> None:
    """That those which the close record names have its digests: what can be told of them where the
    model can't be read. VerificationError."""
    if log.close is None:
        return
    try:
        _check_digests(dict(log.close.artefacts), files)
    except VerificationError as error:
        raise error.at(0, SEGMENT_RECORD + len(log.segments)) from error


def _check_digests(expected: dict[str, bytes], files: Evidence) -> None:
    for name, found in digests(files, {name: LIMITS[name] for name in ARTEFACTS if name in expected}):
        _require(name, expected[name], found)


def _check(log: Log, expected: dict[str, bytes], files: Evidence, weights: bytes | None) -> tuple[str, ...]:
    named = [name for name in ARTEFACTS if name in expected]
    foreign = expected.keys() - set(ARTEFACTS)
    sentences = []
    if named:
        _check_digests(expected, files)
        if not {ENVIRONMENT, TRAIN_LOG, HASHES} <= set(named):
            raise VerificationError(
                "the close record leaves out a file of the trainer's",
                expected=f"{ENVIRONMENT}, {TRAIN_LOG} and {HASHES}",
                found=_and(named),
            )
        # The log of the training may have a gigabyte, and its digest is all that is needed of it.
        contents = {name: files.artefact(name, LIMITS[name]) for name in named if name != TRAIN_LOG}
        for name, data in contents.items():
            _require(name, expected[name], sha256(data).digest())
        hashes = Hashes.of(contents.get(CONFIG), log.header.data, contents[ENVIRONMENT], weights)
        _compare(Hashes.parse(contents[HASHES]).named(), hashes.named())
        sentences = [
            f"{_and(named)} are those of the close record; what they say is the trainer's word",
            f"{HASHES} was computed again: {_and(list(hashes.named()))}",
        ]
    if foreign:
        sentences.append(f"digests of files that are no part of a run, and were not looked at: {len(foreign)}")
    return tuple(sentences)


def _require(name: str, expected: bytes, found: bytes) -> None:
    if found != expected:
        raise VerificationError(
            f"{name} is not the one of the close record", expected=expected.hex(), found=found.hex()
        )


def _compare(found: dict[str, bytes], expected: dict[str, bytes]) -> None:
    for name in sorted(found.keys() | expected.keys()):
        if found.get(name) != expected.get(name):
            raise VerificationError(
                f"{HASHES} has another hash {name} than the run",
                expected=_hex(expected.get(name)),
                found=_hex(found.get(name)),
            )


def _hex(digest: bytes | None) -> str:
    return "none" if digest is None else digest.hex()


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
