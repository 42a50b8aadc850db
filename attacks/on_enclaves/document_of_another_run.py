"""Attack: show an honest enclave's document with a run that the host computed itself.

Gain: any gradients at all, of which an auditor believes that measured code computed them.

Why it fails: the device signed a digest over run id, header, keys, release key and nonce, each with
its length, in a domain of its own; and the genesis record names the document (step 8).
"""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from attacks.tools.enclaves import STEP_8, Attempt, outcome, shown
from attacks.tools.outcome import Outcome
from tests.verify.attested_runs import BEGUN, DATA, device, documented, enclave_run
from zk_autograd.core.attestation import release_digest

GAIN = "gradients of the host's own, called those of measured code"
WORDS = "is of another run"


def of_another_run(folder: Path) -> str:
    """A genuine document, of a run with another id."""
    made = enclave_run()
    made.document = enclave_run(run=bytes(range(16, 32))).document
    made.name()
    return shown(made, folder)


def of_another_header(folder: Path) -> str:
    """The same run's, and a header that commits to other data: those that the host trained on."""
    made = enclave_run()
    made.run.edit_header(data=replace(DATA, root=bytes(32)[:-1] + b"\1"))
    made.name()
    return shown(made, folder)


def of_a_release(folder: Path) -> str:
    """The document with which the enclave got the job's key: genuine, about the same run id."""
    made = enclave_run()
    digest = release_digest(made.run.header.run, made.document.release_key, b"")
    made.document = replace(made.document, raw=device().attest(digest))
    made.name()
    return shown(made, folder)


def not_the_named_one(folder: Path) -> str:
    """Another genuine document for this very run, made later, put in the place of the first."""
    made = enclave_run()
    made.document = documented(made.run, device(at=BEGUN + timedelta(minutes=1)))
    return shown(made, folder)


ATTEMPTS = (
    Attempt("of another run", WORDS, of_another_run),
    Attempt("of another header", WORDS, of_another_header),
    Attempt("of a release", WORDS, of_a_release),
    Attempt("not the one that the genesis names", "is not the attestation that the genesis names", not_the_named_one),
)


def run() -> Outcome:
    """All attempts."""
    return outcome("an enclave's document on another run", STEP_8, GAIN, ATTEMPTS)
