"""Attack: end an honest enclave's log early, or go on with it, under a key of the host's own.

Gain: a training that measured code began, and that ends as the host likes.

Why it fails: the log's key is made in the enclave and never leaves it; the header names it, and the
document is about that header. A signature by another key isn't the run's (step 2), a header with
another key isn't the document's, and every key of the header has to sign (step 8).
"""

from dataclasses import replace
from pathlib import Path

from attacks.tools.enclaves import Attempt, outcome, refusal, shown
from attacks.tools.outcome import Outcome
from tests.verify.attested_runs import EnclaveRun, enclave_run, judged, policy
from tests.verify.run_builder import SIGNER
from zk_autograd.core.keys import Ed25519Signer, MlDsa44Signer

GAIN = "an enclave's training that ends as the host likes"
HOST, SECOND = Ed25519Signer("host", bytes(range(100, 132))), MlDsa44Signer("host", bytes(range(100, 132)))
"""Keys that never were in the enclave."""


def _ended_early(made: EnclaveRun) -> EnclaveRun:
    """After the first segment, with the register's entries to match."""
    made.run.segments[1:], made.run.close = [], None
    made.run.proofs = {place: proof for place, proof in made.run.proofs.items() if place[0] == 0}
    made.run.model.clear()
    made.enter()
    made.tree.entries.pop()
    made.views = made.views[:-1]
    return made


def under_the_hosts_key(folder: Path) -> str:
    """Everything is signed by the host; the header still names the enclave's key."""
    made = _ended_early(enclave_run())
    made.run.signers = made.tree.signers = (HOST,)
    return shown(made, folder)


def with_the_hosts_key_in_the_header(folder: Path) -> str:
    """The header names the host's key in place of the enclave's, and keeps the document."""
    made = enclave_run(signers=(HOST,))
    made.document = enclave_run().document
    made.name()
    return shown(_ended_early(made), folder)


def beside_the_enclaves_key(folder: Path) -> str:
    """The header has both keys, and so has the document: an owner who let the host name one. Pinned
    is the host's; the enclave signed nothing of this."""
    made = _ended_early(enclave_run(signers=(SIGNER, SECOND)))
    made.run.signers = (SECOND,)
    asked = replace(policy(folder / "own", keys=False), keys=(SECOND.public_key,))
    return refusal(judged(made.write(folder / "run"), asked))


ATTEMPTS = (
    Attempt("under the host's key", "step 2", under_the_hosts_key),
    Attempt("with the host's key in the header", "is of another run", with_the_hosts_key_in_the_header),
    Attempt(
        "beside the enclave's key", "a key that the enclave's document is about did not sign", beside_the_enclaves_key
    ),
)


def run() -> Outcome:
    """All attempts."""
    return outcome("an enclave's log under the host's key", "step 2 and step 8", GAIN, ATTEMPTS)
