"""Attack: give an enclave the sealed job of another run.

Gain: one owner's data is trained, and its model is sealed and signed, under another's run; or an
older job of the same owner's, with other rows, under the id of the new one.

Why it fails: run id, purpose and step are what the seal's key is derived from, and what the job's
key is wrapped under; the key file names the ciphertext; and the job says its run once more inside
(enclave.working, vault.seal).
"""

from dataclasses import dataclass, replace
from pathlib import Path

from attacks.tools.enclaves import Attempt, outcome, said
from attacks.tools.outcome import Outcome
from tests.enclave.instances import NONE, RUN_ID, make_job
from zk_autograd.core.errors import ZkError
from zk_autograd.enclave.job import Job
from zk_autograd.enclave.release.asking import Released
from zk_autograd.enclave.working import opened
from zk_autograd.vault.context import of_enclave
from zk_autograd.vault.holder.recipient import RecipientKey
from zk_autograd.vault.keys import RECIPIENT, KeyFile
from zk_autograd.vault.pairs import Holding, sealed_pair
from zk_autograd.vault.seal import described

GAIN = "one owner's data under another's run"
OTHER_ID = bytes(reversed(RUN_ID))


@dataclass(frozen=True)
class Sealed:
    """A job as its owner gave it to the host, and whose key it is."""

    data: bytes
    key_file: KeyFile
    holder: RecipientKey

    def key(self, run: bytes) -> bytes:
        """The job's key, as whoever holds it opens it for the run. VaultError."""
        return self.holder.unwrap(self.key_file.wrap(RECIPIENT).wrapped, of_enclave(run))


def sealed(run: bytes, job: Job | None = None) -> Sealed:
    """A job of this run; `job`: what is in it, if something else."""
    holder = RecipientKey.generate()
    holding = Holding(holder.recipient, holder.recipient.fingerprint, RECIPIENT)
    data, key_file = sealed_pair((job or make_job(NONE, run=run)).encode(), of_enclave(run), [holding])
    return Sealed(data, key_file, holder)


def _opened(data: bytes, key_file: KeyFile, dek: bytes) -> str:
    """What the enclave says to a job that should be of the run with the first id."""
    return said(lambda: opened(data, key_file, RUN_ID, Released(dek, b"")), ZkError)


def the_ciphertext(folder: Path) -> str:
    """The other run's ciphertext, beside this one's key file."""
    one, other = sealed(RUN_ID), sealed(OTHER_ID)
    return _opened(other.data, one.key_file, one.key(RUN_ID))


def the_ciphertext_and_its_name(folder: Path) -> str:
    """And the key file is made to name that ciphertext."""
    one, other = sealed(RUN_ID), sealed(OTHER_ID)
    return _opened(other.data, replace(one.key_file, ciphertext=described(other.data)), one.key(RUN_ID))


def with_its_own_key(folder: Path) -> str:
    """The other job with its key, under this run's id: what a holder of both keys could release by
    mistake."""
    other = sealed(OTHER_ID)
    renamed = replace(other.key_file, context=of_enclave(RUN_ID))
    return _opened(other.data, renamed, other.key(OTHER_ID))


def the_wrapped_key(folder: Path) -> str:
    """The other's wrapped key, for its holder to open for this run."""
    other = sealed(OTHER_ID)
    return said(lambda: other.key(RUN_ID), ZkError)


def in_the_seal_of_this_run(folder: Path) -> str:
    """An owner's other job, sealed as this run's by mistake."""
    one = sealed(RUN_ID, make_job(NONE, run=OTHER_ID))
    return _opened(one.data, one.key_file, one.key(RUN_ID))


ATTEMPTS = (
    Attempt("the ciphertext", "is not the one that its key file names", the_ciphertext),
    Attempt("the ciphertext and its name", "does not open with its key", the_ciphertext_and_its_name),
    Attempt("with its own key", "does not open with its key", with_its_own_key),
    Attempt("the wrapped key", "does not open under the recipient's key", the_wrapped_key),
    Attempt("in the seal of this run", "the job in the seal is for another run", in_the_seal_of_this_run),
)


def run() -> Outcome:
    """All attempts."""
    return outcome("two jobs exchanged", "the seal, and the enclave", GAIN, ATTEMPTS)
