"""From the files of a run to the point where it resumes. Nothing here makes a proof: that is the
proving thread's work."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from zk_autograd.core import record_bytes, records
from zk_autograd.core.attestation import MAX_DOCUMENT
from zk_autograd.core.errors import RangeError, RunError, UnreadableError, UsageError, VerificationError
from zk_autograd.core.keys import PublicKey, Signer
from zk_autograd.core.merkle import leaf_hash, root
from zk_autograd.core.records import Header, Segment, header_digest
from zk_autograd.core.register import Kind
from zk_autograd.evidence.files import read_bounded
from zk_autograd.evidence.layout import CHECKPOINT, proof_place
from zk_autograd.kernels.protocol import Kernel, Stepper
from zk_autograd.kernels.reference import REFERENCE
from zk_autograd.prove.protocol import Backend
from zk_autograd.run import header_signature
from zk_autograd.run.events import Listener
from zk_autograd.run.exact_files import check_public
from zk_autograd.run.files import Files, exists, is_own_folder, names_in
from zk_autograd.run.journal import Journal, Salts, read_proof
from zk_autograd.run.layout import Layout
from zk_autograd.run.log import RunLog
from zk_autograd.run.marker import require_kept
from zk_autograd.run.private_file import damaged, read
from zk_autograd.run.step import constants_of, take
from zk_autograd.run.write_order import Settlement, Stage

BEACON_PART = "beacon"
ATTESTATION_PART = "attestation"
"""Its name in the file private/header."""


@dataclass(frozen=True, slots=True, eq=False)
class Position:
    """Where a run stands: in the open segment, which begins with step `first`, after `step`, with
    its `stepper` there and the loop's own state.

    `settings` are those of `step`; `last_lr` is the lr in its file, () if the open segment has no
    steps."""

    segment: int
    first: int
    salts: Salts
    step: int
    stepper: Stepper
    loop_state: bytes
    settings: bytes
    last_lr: tuple[str, ...]


def recover(
    layout: Layout,
    header: Header,
    leaf: bytes,
    backend_for: Callable[[Header], Backend],
    signers: Sequence[Signer],
    files: Files,
    emit: Listener,
    stopping: threading.Event,
    stages: Sequence[Stage] = (),
    kernel: Kernel = REFERENCE,
    sync_every: int = 1,
) -> tuple[Settlement, Position]:
    """Brings the log as far as the files allow without a new proof, and the state to the last step
    of the journal.

    The caller holds the lock. `signers` are in the order of the header's keys. Raises RunError as
    `RunWriter.resume` does.
    """
    for folder in (layout.log, layout.proofs, layout.model, layout.segments):
        if exists(folder) and not is_own_folder(folder):
            raise RunError(
                f"{folder} is a link or not a folder, and nothing is written behind it: put the run's own there"
            )
    require_own(layout, leaf, [signer.public_key for signer in signers])
    log = RunLog(layout, header.origin, signers, files)
    leaves = log.take_leaves()
    for stage in stages:
        require_held(leaves, stage.newest(), layout)
    found = parse_found(leaves, leaf)
    complete = found is not None and found.close is not None
    closed = complete and not log.confirms()
    if closed and (log.head is None or all(stage.done(log.head, Kind.CLOSE) for stage in stages)):
        raise RunError(f"{layout.root} is complete: it has a close record, and nothing can follow it")
    backend = backend_for(header)
    try:
        require_prover(backend, header)
        digest = header_digest(leaf)
        journal = Journal(layout.segments, header, digest, files, sync_every)
        beacon, attestation = read_beginning(layout, digest)
        check_document(layout, attestation)
        check_public(layout, header)
        settlement = Settlement(
            layout,
            header,
            digest,
            backend,
            journal,
            log,
            files,
            emit,
            stopping.is_set,
            stages,
            beacon,
            attestation,
            kernel,
        )
        confirm(settlement, found, leaf, closed=closed)
        if complete:
            raise RunError(
                f"{layout.root} is complete; what should follow its last record was missing, and has been added"
            )
        segments = found.segments if found else ()
        check_proofs(layout, segments)
        position = replay(header, journal, len(segments), segments[-1].last + 1 if segments else 1, kernel)
        remove_orphans(layout, position.segment, files)
    except BaseException:
        backend.stop()
        raise
    return settlement, position


def read_header(layout: Layout) -> tuple[Header, bytes]:
    """The header of the run and its leaf. RunError if there is no run, it was forgotten, or is of a
    format that this version doesn't read."""
    require_kept(layout)
    if not exists(layout.header):
        state = "its creation was interrupted before the first step" if exists(layout.private) else "there is no run"
        raise RunError(f"{layout.root} can't be resumed: {state}; remove it if it is there, and begin a new run")
    fields, parts = read(layout.header, "header", None)
    try:
        fields.end()
        leaf = parts["leaf"]
        header = record_bytes.parse(leaf, None)
    except (KeyError, VerificationError) as error:
        raise RunError(
            f"{layout.root} is a run that this version can't resume: {error}; use the version that began it"
        ) from error
    assert isinstance(header, Header)
    return header, leaf


def read_beginning(layout: Layout, digest: bytes) -> tuple[bytes, bytes]:
    """The beacon that gave the first weights of the run, b"" if the trainer chose them; and the
    SHA-256 of its attestation's file, b"" if it has none."""
    _, parts = read(layout.header, "header", digest)
    return parts.get(BEACON_PART, b""), parts.get(ATTESTATION_PART, b"")


def is_own(layout: Layout, leaf: bytes, keys: Sequence[PublicKey]) -> bool | None:
    """Whether the private header, whose leaf this is, was signed by these keys when the run was
    made; None for a run of an earlier version, which doesn't say. RunError if the file can't be
    read."""
    _, parts = read(layout.header, "header", header_digest(leaf))
    note = parts.get(header_signature.PART)
    return None if note is None else header_signature.is_signed(note, header_digest(leaf), keys)


def require_own(layout: Layout, leaf: bytes, keys: Sequence[PublicKey]) -> None:
    """RunError for a possibly foreign run: resuming it would sign what a stranger recorded, and use
    what they wrote in its plan."""
    own = is_own(layout, leaf, keys)
    if own is None:  # an earlier version's, none of which is in a register: a published log says no more than that
        header = record_bytes.parse(leaf, None)
        signed = exists(layout.log / CHECKPOINT) and not (isinstance(header, Header) and header.register)
        missing = "is not signed, nor does its log say so"
    else:
        signed, missing = own, "is not signed by your key"
    if not signed:
        raise RunError(
            f"nothing says that {layout.root} is yours: its header in the folder `private` {missing}; begin a new run, or restore the "
            "folder from a copy"
        )


def parse_found(leaves: list[bytes], header_leaf: bytes) -> records.Log | None:
    """The records found in the log; None if it has none. RunError if they are not this run's."""
    if not leaves:
        return None
    if leaves[0] != header_leaf:
        raise RunError("the log's first record is not the header in the folder `private`; restore both from a copy")
    try:
        return record_bytes.parse_log(leaves)
    except VerificationError as error:
        raise RunError(f"the log can't be read: {error}; restore it from a copy") from error


def require_held(leaves: Sequence[bytes], newest: tuple[int, bytes] | None, layout: Layout) -> None:
    """RunError unless the log's records begin with those that the trainer's register has: whoever
    continued would write a second branch of the run."""
    if newest is None:
        return
    size, head = newest
    if len(leaves) < size or root([leaf_hash(leaf) for leaf in leaves[:size]]) != head:
        raise RunError(
            f"{layout.root} does not hold the {size} records that the trainer's register has of it: it is an older copy, or another "
            "copy of it was continued, and going on would be a second branch of this run; go on with the newest copy, or begin a new run"
        )


def confirm(settlement: Settlement, found: records.Log | None, header_leaf: bytes, *, closed: bool) -> None:
    """Confirms the records that no checkpoint covers, and signs them: `settlement` is then as far
    along as `found`. `closed`: a checkpoint covers a close record."""
    log = settlement.log
    if found and found.genesis:
        settlement.last = found.genesis.state
    segments = found.segments if found else ()
    settlement.settled = min(max(log.size - 2, 0), len(segments))  # a checkpoint covers these
    if settlement.settled:
        newest = segments[settlement.settled - 1]
        settlement.last, settlement.recorded = newest.state_out, newest.last
    settlement.begin(header_leaf, closed=closed)
    while settlement.settled < len(segments):
        settlement.settle(settlement.settled)
    if log.confirms():
        settlement.finish()


def check_proofs(layout: Layout, segments: Sequence[Segment]) -> None:
    """Each recorded proof is there and is the one recorded. RunError otherwise."""
    for segment in segments:
        for block, digest in enumerate(segment.proofs):
            path = layout.proof(segment.index, block)
            proof = read_proof(path)
            if proof is None or sha256(proof).digest() != digest:
                raise RunError(f"{path} is missing, or is not the proof whose hash the log has; restore it from a copy")


def check_document(layout: Layout, digest: bytes) -> None:
    """The enclave's document, if the run has one, is there and is the one that its genesis names or
    will name. RunError otherwise."""
    if not digest:
        return
    try:
        found = sha256(read_bounded(layout.document, MAX_DOCUMENT)).digest()
    except UnreadableError as error:
        raise RunError(f"{layout.document} can't be read: {error}") from error
    except VerificationError:
        found = b""
    if found != digest:
        raise RunError(
            f"{layout.document} is missing, or is not the one that the genesis names; restore it from a copy"
        )


def remove_orphans(layout: Layout, sealed: int, files: Files) -> None:
    """Deletes proofs of segments that are not sealed: nothing in the journal is theirs."""
    for name in names_in(layout.proofs):
        place = proof_place(name)
        if place is not None and place[0] >= sealed:
            files.remove(layout.proofs / name)


def replay(header: Header, journal: Journal, settled: int, next_step: int, kernel: Kernel = REFERENCE) -> Position:
    """The position after the last step of the journal, whose segments from `settled` on must be
    whole. `next_step` is the first step that no record covers. RunError for a gap or a step that
    can't be taken."""
    begun = journal.segments()
    newest = begun[-1] if begun else -1
    missing = sorted(set(range(settled, max(newest, settled) + 1)) - set(begun))
    if missing:
        raise damaged(journal.path(missing[0]), "the run has got further than that")
    if journal.start(settled).first != next_step:
        raise damaged(journal.path(settled), f"it doesn't begin with step {next_step}, which is the log's next one")
    start = journal.start(newest)
    numbers = journal.reopen(newest)
    if numbers != list(range(start.first, start.first + len(numbers))) or len(numbers) > header.prover.steps:
        raise damaged(journal.path(newest), "its steps have a gap, or are too many")
    sequences = [header.sequence(group) for group in range(len(header.groups))]
    loop_state, settings = start.loop_state, start.settings
    last_lr: tuple[str, ...] = ()
    try:
        stepper = kernel.stepper(header.rule, header.parameters, start.state)
    except (RangeError, UsageError) as error:
        raise damaged(journal.path(newest), str(error)) from error
    for number in numbers:
        step = journal.step(newest, number)
        try:
            take(header, stepper, step.gradients, constants_of(header, sequences, number, step.lr))
        except (RangeError, UsageError) as error:
            raise damaged(journal.path(newest), str(error)) from error
        loop_state, settings, last_lr = step.claims.loop_state, step.settings, step.lr
    journal.mend()
    last = start.first + len(numbers) - 1
    return Position(newest, start.first, start.salts, last, stepper, loop_state, settings, last_lr)


def require_prover(backend: Backend, header: Header) -> None:
    """RunError unless the backend is the one that the header names."""
    if backend.prover != header.prover:
        raise RunError(
            f"the run's prover is {header.prover}, this one is {backend.prover}; use the version, circuit and SRS that "
            "began the run"
        )
