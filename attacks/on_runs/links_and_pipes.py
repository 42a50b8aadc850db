"""Attack: something other than a file in a file's place.

Gain: a link makes the verifier read what the attacker can't, and repeat parts of it in a message,
or judge one run while the user takes another; a pipe makes it wait for ever.

Why it fails: files are opened without following links and without waiting, and must be regular;
folders likewise (step 1, 7 or 10, whichever reads first). The run's own path, which the auditor
gave, may be a link.
"""

import os
import socket
from collections.abc import Callable
from pathlib import Path

from attacks.tools.attempt import Attempt, Scene, Submission, outcome
from attacks.tools.outcome import Outcome
from zk_autograd.evidence.layout import CHECKPOINT, LOG, MODEL, PROOFS, RECORDS, proof_name
from zk_autograd.verify.model import FLOATS
from zk_autograd.verify.outcome import Step

GAIN = "the auditor reads another file, or waits for ever"


def elsewhere_of(run: Path) -> Path:
    """Where a copy of the file or folder lies, beside the run's folder, that a link may lead to."""
    return run.with_name(f"{run.name}-elsewhere")


_Plant = Callable[[Path, Path], None]


def link(path: Path, elsewhere: Path) -> None:
    """A link to a copy, so that all else is right."""
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def pipe(path: Path, elsewhere: Path) -> None:
    """A pipe that nobody writes to; a copy of the file lies beside it."""
    path.rename(elsewhere)
    os.mkfifo(path)


def folder(path: Path, elsewhere: Path) -> None:
    """A folder."""
    path.unlink()
    path.mkdir()


def socket_file(path: Path, elsewhere: Path) -> None:
    """A socket. Its name is bound from within its folder: an address has room for 107 bytes."""
    path.unlink()
    here = os.open(".", os.O_RDONLY)
    try:
        os.chdir(path.parent)
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(path.name)
    finally:
        os.fchdir(here)
        os.close(here)


def _planted(plant: _Plant, *path: str) -> Callable[[Scene], Submission]:
    def forge(scene: Scene) -> Submission:
        submission = scene.submit(scene.victim.forgery())
        plant(submission.path.joinpath(*path), elsewhere_of(submission.path))
        return submission

    return forge


_PROOF = proof_name(0, 0)
_READ = "can't be read"
_REGULAR = "is not a regular file"

ATTEMPTS = (
    Attempt("link for the records", Step.PARSE, _READ, _planted(link, LOG, RECORDS)),
    Attempt("link for the checkpoint", Step.PARSE, _READ, _planted(link, LOG, CHECKPOINT)),
    Attempt("link for the folder log", Step.PARSE, _READ, _planted(link, LOG)),
    Attempt("link for a proof", Step.PROOFS, _READ, _planted(link, PROOFS, _PROOF)),
    Attempt("link for the folder proofs", Step.PROOFS, _READ, _planted(link, PROOFS)),
    Attempt("link for the weights", Step.MODEL, _READ, _planted(link, MODEL, FLOATS)),
    Attempt("link for the folder model", Step.MODEL, _READ, _planted(link, MODEL)),
    Attempt("pipe for the records", Step.PARSE, _REGULAR, _planted(pipe, LOG, RECORDS)),
    Attempt("pipe for a proof", Step.PROOFS, _REGULAR, _planted(pipe, PROOFS, _PROOF)),
    Attempt("folder for the checkpoint", Step.PARSE, _REGULAR, _planted(folder, LOG, CHECKPOINT)),
    Attempt("socket for a proof", Step.PROOFS, _READ, _planted(socket_file, PROOFS, _PROOF)),
)


def run(scene: Scene) -> Outcome:
    """All attempts."""
    return outcome("links, pipes and other things in a file's place", GAIN, ATTEMPTS, scene)
