"""Attack: files that are cheap to make and expensive to read.

Gain: an auditor's machine that runs out of memory or time, and a verifier that dies with a
traceback instead of a verdict.

Why it fails: a file's size is compared with a bound before a byte of it is read, and again while it
is read; a record's length and the number of records likewise (step 1); a proof's and a published
file's too (steps 7 and 10), and at most a thousand names that no record names are kept. JSON is
measured for depth before it is parsed (step 1).
"""

import os
from collections.abc import Callable
from pathlib import Path

from attacks.tools.attempt import Attempt, Scene, Submission, outcome
from attacks.tools.outcome import Outcome
from zk_autograd.evidence.layout import CHECKPOINT, LOG, MAX_LEAVES, MODEL, PROOFS, RECORDS, proof_name
from zk_autograd.verify.model import INTEGERS
from zk_autograd.verify.outcome import Step

GAIN = "the auditor's memory and time"
DEPTH = 10**6
FILES = 3000


def sparse(path: Path, size: int) -> None:
    """A file of `size` zeros that takes no space on disk."""
    path.unlink(missing_ok=True)
    path.touch()
    os.truncate(path, size)


def _planted(plant: Callable[[Path], None]) -> Callable[[Scene], Submission]:
    def forge(scene: Scene) -> Submission:
        submission = scene.submit(scene.victim.forgery())
        plant(submission.path)
        return submission

    return forge


def deep_header(run: Path) -> None:
    """A first record of a million brackets."""
    (run / LOG / RECORDS).write_bytes(b"[" * DEPTH + b"]" * DEPTH + b"\n")


def many_lines(run: Path) -> None:
    """One record too many: after those that the checkpoint covers, which alone are parsed, empty
    ones, each of which costs less to write than to hash."""
    with (run / LOG / RECORDS).open("ab") as records:
        records.write(b"\n" * MAX_LEAVES)


def many_files(run: Path) -> None:
    """Thousands of files in model/."""
    for number in range(FILES):
        (run / MODEL / f"{number:0200d}").touch()


def _sparse(*path: str, size: int) -> Callable[[Scene], Submission]:
    return _planted(lambda run: sparse(run.joinpath(*path), size))


_LARGE = "too large"

ATTEMPTS = (
    Attempt("log of 5 GiB", Step.PARSE, _LARGE, _sparse(LOG, RECORDS, size=5 * 2**30)),
    Attempt("record of 1 GiB", Step.PARSE, "does not end", _sparse(LOG, RECORDS, size=2**30)),
    Attempt("checkpoint of 1 GiB", Step.PARSE, _LARGE, _sparse(LOG, CHECKPOINT, size=2**30)),
    Attempt("proof of 1 GiB", Step.PROOFS, _LARGE, _sparse(PROOFS, proof_name(0, 0), size=2**30)),
    Attempt("weights of 1 GiB", Step.MODEL, _LARGE, _sparse(MODEL, INTEGERS, size=2**30)),
    Attempt("header of a million brackets", Step.PARSE, "nested deeper than", _planted(deep_header)),
    Attempt("millions of empty records", Step.PARSE, "has too many records", _planted(many_lines)),
    Attempt("thousands of published files", Step.MODEL, "more than 1000 such names", _planted(many_files)),
)


def run(scene: Scene) -> Outcome:
    """All attempts."""
    return outcome("length bombs", GAIN, ATTEMPTS, scene)
