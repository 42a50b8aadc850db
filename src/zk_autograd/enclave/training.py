"""A job trained inside an enclave, from the log key to the closed run. The key is made here, and is
in memory alone: when this process ends, nobody can sign for the run any more."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from zk_autograd.core.anchors import Anchor
from zk_autograd.core.errors import UsageError
from zk_autograd.core.keys import SEED_BYTES, Ed25519Signer
from zk_autograd.core.records import OUTSIDE
from zk_autograd.enclave import settings
from zk_autograd.enclave.attesting import Attesting
from zk_autograd.enclave.job import Job
from zk_autograd.enclave.sealing import Sealing
from zk_autograd.enclave.session import Outside, Session, rows_of
from zk_autograd.optim.registering import Registering
from zk_autograd.register.register import Register
from zk_autograd.run.events import Listener, ignore
from zk_autograd.tee.device import Device
from zk_autograd.train.command import Interrupted, Order, Recording, Teller, train
from zk_autograd.train.plan import SECRET_BYTES, Plan
from zk_autograd.train.summary import Summary

RUN = "run"
REGISTER = "register"
SEALED = "sealed"
"""In the folder of an instance: the run (evidence.layout, and its private folder, which never
leaves), the register's database, and the files that are sealed for the job's owner."""

KEY_NAME = "enclave"


def train_inside(
    job: Job,
    folder: Path,
    *,
    device: Device,
    release_key: bytes,
    tell: Teller,
    backend: Outside | None = None,
    nonce: bytes = b"",
    sealed: bytes = b"",
    anchors: Sequence[Anchor] = (),
    on_event: Listener = ignore,
) -> Summary | Interrupted:
    """Trains the job, and records, attests, proves and closes its run in `folder`, which is the
    enclave's own. `release_key` is the public key that the job's key was released to, `sealed` the
    SHA-256 of the job as it was sealed (b"": it wasn't).

    `backend` proves in place of the prover inside: a backend, or what makes one for the run's
    core.records.Prover. What it says is compared with what was computed here
    (`enclave.checked_proofs`). `tell` and `on_event` are called from several threads.

    Raises UsageError for a job that can't be trained, before anything is written; RunError, of it
    ForeignProofError, and also if the device attests nothing; GradientError, RangeError,
    ProverError.
    """
    if (job.proving == OUTSIDE) != (backend is not None):
        raise UsageError(
            f"the job's owner wants proofs made {job.proving}, and the enclave was started for the other: a prover outside sees all data"
        )
    registering = Registering(str(folder / REGISTER), tuple(anchors))
    plan = settings.plan_of(job.settings, os.urandom(SECRET_BYTES), registering)
    rows = rows_of(job, plan)
    signer = Ed25519Signer(KEY_NAME, os.urandom(SEED_BYTES))
    sealing = Sealing(job.recipient, job.checkpoint_every, folder / SEALED) if job.recipient else None

    def compute(plan: Plan, recording: Recording) -> Session:
        attesting = Attesting(device, release_key, nonce, sealed)
        return Session(plan, recording, job, rows, attesting, backend, sealing)

    Register.begin(folder / REGISTER, [signer]).close()
    order = Order(plan=plan, run=folder / RUN, key=Path(), key_named=False, signers=(signer,))
    try:
        return train(order, compute, _Told(tell, on_event))
    finally:
        if not (folder / RUN).exists():
            shutil.rmtree(folder / REGISTER, ignore_errors=True)  # of a key that ends here, and shown to nobody


class _Told:
    """Tells of a training, and passes its events on to a listener."""

    def __init__(self, tell: Teller, listener: Listener) -> None:
        self.note, self.header = tell.note, tell.header
        self._tell, self._listener = tell, listener

    def __call__(self, event: object) -> None:
        self._tell(event)
        self._listener(event)  # type: ignore[arg-type]
