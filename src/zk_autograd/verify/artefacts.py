"""Step 10, the trainer's own files: they match the close record, and hashes.json is correct.

environment.json, config.toml (if there is one), train_log.jsonl and hashes.json lie at the run's
top level. The close record names them by their SHA-256: a missing file and one with different bytes
are failures. The contents of hashes.json are recomputed from config.toml, environment.json, the
header and the published integers. What the files say is the trainer's word, and no step shows that
it is true.

A run written without them names none. A file that exists but that no record names is left to
verify.uncovered. Digests under other names belong to files that are not part of the run.
"""

from collections.abc import Collection
from hashlib import sha256

from zk_autograd.core.errors import VerificationError
from zk_autograd.core.records import Log
from zk_autograd.evidence.hashes import Hashes
from zk_autograd.evidence.layout import ARTEFACTS, CONFIG, ENVIRONMENT, HASHES, TRAIN_LOG
from zk_autograd.evidence.run import Evidence, digests
from zk_autograd.verify.outcome import Claim, Finding, Outcome, Source, Status
from zk_autograd.verify.statement import SEGMENT_RECORD

_SAID = {ENVIRONMENT: "environment", CONFIG: "configuration", TRAIN_LOG: "log"}

LIMITS = {ENVIRONMENT: 2**16, CONFIG: 2**21, TRAIN_LOG: 2**30, HASHES: 2**12}
"""The most bytes of each that are read."""


def check_artefacts(log: Log, files: Evidence, weights: bytes | None) -> Outcome:
    """Step 10's part for them. `weights` is the published integers' hash, None if there are
    none."""
    if log.close is None:
        there = files.artefact_names() if files.listable else []
        found = (f"no close record in this view names {_and(there)}: nothing covers what is there",) if there else ()
        return Outcome(Finding(Status.ABSENT, found), claims=_claims(()))
    try:
        sentences = _check(log, dict(log.close.artefacts), files, weights)
    except VerificationError as error:
        raise error.at(0, SEGMENT_RECORD + len(log.segments)) from error
    if not log.close.artefacts:
        return Outcome(Finding(Status.ABSENT), claims=_claims(()))
    limit = "what the trainer's own files say (environment, configuration, log of the training) is the trainer's word"
    claims = _claims([name for name, _ in log.close.artefacts])
    return Outcome(Finding(Status.PASSED, sentences), claims=claims, limits=(limit,))


def _claims(named: Collection[str]) -> tuple[Claim, ...]:
    """What the files that a close record names say, and what none of them says. Digests of foreign
    files say nothing of these."""
    said = [what for name, what in _SAID.items() if name in named]
    unsaid = [what for name, what in _SAID.items() if name not in named]
    return tuple(
        Claim(f"{_and(parts)} of the training", source)
        for parts, source in ((said, Source.CLAIMED), (unsaid, Source.ABSENT))
        if parts
    )


def check_digests(log: Log, files: Evidence) -> None:
    """Checks that the files which the close record names have its digests: all that can be checked
    where the model can't be read. VerificationError."""
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
                "the close record leaves out one of the trainer's own files",
                expected=f"{ENVIRONMENT}, {TRAIN_LOG} and {HASHES}",
                found=_and(named),
            )
        # The training log may have a gigabyte, and only its digest is needed.
        contents = {name: files.artefact(name, LIMITS[name]) for name in named if name != TRAIN_LOG}
        for name, data in contents.items():
            _require(name, expected[name], sha256(data).digest())
        hashes = Hashes.of(contents.get(CONFIG), log.header.data, contents[ENVIRONMENT], weights, log.header.exact)
        _compare(Hashes.parse(contents[HASHES]).named(), hashes.named())
        sentences = [
            f"{_and(named)} match the close record; what they say is the trainer's word",
            f"{HASHES} was recomputed: {_and(list(hashes.named()))}",
        ]
    if foreign:
        sentences.append(f"digests of files that are not part of a run, which were not looked at: {len(foreign)}")
    return tuple(sentences)


def _require(name: str, expected: bytes, found: bytes) -> None:
    if found != expected:
        raise VerificationError(f"{name} does not match the close record", expected=expected.hex(), found=found.hex())


def _compare(found: dict[str, bytes], expected: dict[str, bytes]) -> None:
    for name in sorted(found.keys() | expected.keys()):
        if found.get(name) != expected.get(name):
            raise VerificationError(
                f"the hash {name} in {HASHES} is not the run's",
                expected=_hex(expected.get(name)),
                found=_hex(found.get(name)),
            )


def _hex(digest: bytes | None) -> str:
    return "none" if digest is None else digest.hex()


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
