"""What an enclave does, from its inputs to the closed run: the job is got and opened, trained
(enclave.training), and what is public of it sent as it comes to be (enclave.outbox)."""

from hashlib import sha256
from pathlib import Path

from zk_autograd.core.errors import ProverError, RunError, UsageError, VerificationError
from zk_autograd.core.records import OUTSIDE, Header
from zk_autograd.core.register import RUN_BYTES
from zk_autograd.core.text import counted
from zk_autograd.enclave import settings
from zk_autograd.enclave.job import Job
from zk_autograd.enclave.outbox import Outbox
from zk_autograd.enclave.outside import OutsideProver
from zk_autograd.enclave.relay.client import Outlet, Relay
from zk_autograd.enclave.release.asking import Released, released
from zk_autograd.enclave.start import MAX_START, Start
from zk_autograd.enclave.training import RUN, SEALED, train_inside
from zk_autograd.run.events import Entered, RecordWritten
from zk_autograd.tee.device import Device
from zk_autograd.train.command import Interrupted
from zk_autograd.vault.context import of_enclave
from zk_autograd.vault.errors import VaultError
from zk_autograd.vault.keys import MAX_KEY_FILE, KeyFile
from zk_autograd.vault.seal import described, unsealed

JOB, KEY, START = "job", "key", "start"
"""The inputs: the sealed job, its key file, and enclave.start."""

MAX_JOB = 2**32
"""Bytes of a sealed job, which is in memory."""


def work(relay: Relay, outlet: Outlet, device: Device, folder: Path) -> int | None:
    """Trains the job in `folder`, and returns the steps; None if it was interrupted, which leaves
    an unfinished run. ZkError for all else: what of it may be said outside is for the caller to
    choose (`main.said_of`)."""
    start, key_file = _start(relay), _key_file(relay)
    run = run_of(key_file)
    sealed = relay.input(JOB, min(MAX_JOB, key_file.ciphertext.size))
    if described(sealed) != key_file.ciphertext:  # before the key is asked for: a broker may release it once
        raise RunError(f"the sealed job is not the one that the key file of run {run.hex()} names: bring the right one")
    relay.say(f"a sealed job of {len(sealed)} bytes for run {run.hex()}")
    key = released(key_file, run, start, relay, device)
    job = opened(sealed, key_file, run, key)
    relay.say("its key was released to this enclave, and opens it")  # not before: see main.UNOPENED
    outbox = Outbox(folder / RUN, folder / SEALED, outlet)
    telling = Telling(relay, outbox)
    outside = job.proving == OUTSIDE
    try:
        found = train_inside(
            job,
            folder,
            device=device,
            release_key=key.release_key,
            tell=telling,
            backend=(lambda prover: OutsideProver(prover, relay.prover)) if outside else None,
            nonce=start.nonce,
            sealed=sha256(sealed).digest(),
            on_event=outbox.listener,
        )
    except ProverError as error:
        if outside:  # who proves there has seen it all
            raise RunError(str(error).partition(". Nothing is lost")[0]) from error
        raise
    except UsageError as error:
        raise settings.said_outside(error) from None
    outbox.flush()
    return None if isinstance(found, Interrupted) else found.steps


def run_of(key_file: KeyFile) -> bytes:
    """The run whose job a key file is of. RunError for a key file of anything else."""
    try:
        run = bytes.fromhex(key_file.context.run)
    except ValueError:
        run = b""
    if len(run) != RUN_BYTES or key_file.context != of_enclave(run):
        raise RunError(f"the key file is of {key_file.context}, and no job of an enclave")
    return run


def opened(sealed: bytes, key_file: KeyFile, run: bytes, key: Released) -> Job:
    """The job. VaultError if it doesn't open with the key, in the context of its run;
    VerificationError for what is no job; RunError for another run's."""
    job = Job.parse(unsealed(sealed, of_enclave(run), key.dek, key_file.ciphertext, MAX_JOB))
    if job.run != run:
        raise RunError(f"the job in the seal is for another run than {run.hex()}: its owner sealed it wrongly")
    return job


class Telling:
    """Lines for people, outside: that steps were taken and recorded, and nothing of what is in
    them (train.command.Teller)."""

    def __init__(self, relay: Relay, outbox: Outbox) -> None:
        self._relay = relay
        self._outbox = outbox

    def __call__(self, event: object) -> None:
        if isinstance(event, RecordWritten):
            self._relay.say(f"step {event.last_step}: recorded, {counted(event.size, 'record')} in all")
        elif isinstance(event, Entered):
            self._relay.say(f"entered in the enclave's register: {counted(event.records, 'record')}")

    def note(self, text: str) -> None:
        """A sentence about the training may have names from the job in it: it stays inside."""

    def header(self, header: Header | None) -> None:
        if header is not None:
            self._relay.say(f"run {header.run.hex()} begins, of the key {header.keys[0]}")


def _key_file(relay: Relay) -> KeyFile:
    try:
        return KeyFile.parse(relay.input(KEY, MAX_KEY_FILE))
    except VaultError as error:  # no secret is in it: the host may know what is wrong
        raise RunError(str(error)) from error


def _start(relay: Relay) -> Start:
    try:
        return Start.parse(relay.input(START, MAX_START))
    except VerificationError as error:
        raise RunError(f"what the host says of the start is malformed: {error}") from error
