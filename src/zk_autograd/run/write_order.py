"""Settling: from what the journal holds to what the log says. The happy path and recovery take the
same one.

    number  write             where                what a crash after it leaves; settling again
    1       witness           private/segments/    a sealed segment: settles it
    2       proof staged      private/segments/    a proof nobody was shown: checks it, and adopts
                                                   it if it is about the journal's states and
                                                   gradients (Committing)
    3       proof published   proofs/              a proof that no record names: the same; deletes
                                                   a wrong one
    4       record            log/records.jsonl    a record that no checkpoint covers: remakes and
                                                   compares it (RunLog.put)
    5       checkpoint        log/checkpoint       a signed log that is not registered: takes the
                                                   stages after it
    6a      register: entry   the register         an entry without its line: the same entry is not
                                                   made again, its line is
    6b      register: line    register/views.jsonl a register that its file anchor lacks: 7a
    7a      anchor: file      the register's       a line without its receipt: gives it again
                              anchors.jsonl
    7b      anchor: receipt   anchors/             nothing
                              receipts.jsonl

The numbers are those of `Settlement.settle`. Each write looks for what is there already, takes it
if it is right, and makes the rest; so a crash between any two of them is repaired by settling
again. A torn append is cut off when its file is opened (RunLog, run.lines).

The header is taken to 7b alone, before there is a genesis: a run is in the register before its
first weights are (run.registering). 6 and 7 follow an entry that is due, and not each checkpoint.
Anchors that are somebody else's have threads of their own beside all this, and write as 6b and 7b
do: a line for the register's newest checkpoint, then the receipts for it (run.anchoring).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from time import perf_counter
from typing import Protocol

from zk_autograd.core import record_bytes
from zk_autograd.core.errors import ProverError, RunError, UnreadableError, UsageError, VerificationError
from zk_autograd.core.note import Checkpoint
from zk_autograd.core.records import Close, Genesis, Header, Record, StateCommitments
from zk_autograd.core.register import Kind
from zk_autograd.core.statement import Statement
from zk_autograd.kernels.protocol import Kernel
from zk_autograd.kernels.reference import REFERENCE
from zk_autograd.prove.executors.protocol import Workers
from zk_autograd.prove.protocol import Backend, BlockProof, BlockWitness, Committing
from zk_autograd.run.coordinator import MAX_TRIES, STOPPED, Coordinator
from zk_autograd.run.events import Listener, ProofDone, ProofFailed, ProofStarted, RecordWritten
from zk_autograd.run.files import PRIVATE_FILE, Files, exists
from zk_autograd.run.journal import Journal, Start, read_proof
from zk_autograd.run.layout import Layout
from zk_autograd.run.log import RunLog
from zk_autograd.run.private_file import encode, read
from zk_autograd.run.sealed import SealedSegments


class Stage(Protocol):
    """What follows a checkpoint. All of it may raise RunError, and an earlier `do` may have been
    interrupted anywhere."""

    def newest(self) -> tuple[int, bytes] | None:
        """Called first: the most records that it was ever taken for, and their root, which the log
        must hold (None: it never was)."""
        ...

    def done(self, head: Checkpoint, kind: Kind) -> bool:
        """Whether nothing is to be taken for this tree head, which is that of the header alone, of
        records up to a genesis or segment, or of a closed log."""
        ...

    def do(self, head: Checkpoint, kind: Kind) -> None:
        """Takes it."""
        ...


@dataclass(slots=True)
class Settlement:
    """Settles a run's records in their order; one thread at a time.

    `stages` follow each checkpoint, in their order; `beacon` gave the first weights, if the header
    leaves them to one; `kernel` computes steps once more. `settled` segments are in the log, under
    a checkpoint, and so are the steps up to `recorded`; `last` is the newest one's state-out (the
    genesis state at first). `newest` is the last segment that is sealed, which only workers who
    prove ahead need to know. `stopped` says whether the work was abandoned.
    """

    layout: Layout
    header: Header
    digest: bytes
    backend: Backend
    journal: Journal
    log: RunLog
    files: Files
    emit: Listener
    stopped: Callable[[], bool]
    stages: Sequence[Stage] = ()
    beacon: bytes = b""
    attestation: bytes = b""
    kernel: Kernel = REFERENCE
    last: StateCommitments = field(default_factory=dict)
    settled: int = 0
    recorded: int = 0
    newest: int = -1
    sealed: SealedSegments = field(init=False)
    coordinator: Coordinator | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.sealed = SealedSegments(self.header, self.digest, self.journal, self.kernel)

    def prove_by(self, workers: Workers) -> None:
        """From now on `workers`, which are this run's alone, make its proofs. A run without proofs
        has none made, and a backend that commits to no gradients makes them here. UsageError if it
        can't be their answers' judge."""
        backend = self.backend
        if self._has_proofs and not isinstance(backend, Committing) and not workers.own:
            raise UsageError("this backend's proofs can't be made by a cluster: it commits to no gradients by itself")
        if not self._has_proofs or not isinstance(backend, Committing):
            workers.stop()
            return
        self.coordinator = Coordinator(
            workers,
            backend,
            self.header,
            self.digest,
            self.sealed,
            lambda: self.newest,
            self._left,
            self._stage,
            self.emit,
            self.stopped,
        )
        workers.start()

    def stop_proving(self) -> None:
        """Ends a proof in progress, wherever it is made. From any thread."""
        self.backend.stop()
        if self.coordinator is not None:
            self.coordinator.stop()

    def begin(self, header_leaf: bytes, *, closed: bool = False) -> None:
        """The header and genesis records, each under its checkpoint. `closed`: the checkpoint that
        is there covers a close record."""
        if self.log.size == 0:
            self.log.put(header_leaf)
        if self.log.size == 1:
            self.sign(Kind.BEGIN)
            start = self.journal.start(0)
            genesis = self._genesis(start)
            self.log.put(leaf_of(genesis, self.header))
            self.last = genesis.state
        self.sign(Kind.CLOSE if closed else Kind.CHECKPOINT)

    def settle(self, index: int) -> None:
        """Proofs, record and checkpoint of the sealed segment `index`, the first that has no
        confirmed record.

        Raises ProverError if the prover fails for good, RunError if a write fails or files
        contradict each other.
        """
        # (1) Witness: the segment is in the journal, whole, since it was sealed.
        sealed = self.sealed.segment(index)
        draft = replace(sealed.draft, state_in=self.last)
        # (2) Proof staged, (3) proof published: before a record names it.
        proofs = [self._prove(statement) for statement in sealed.statements]
        segment = replace(
            draft,
            state_out={name: tuple(p.state_out[name] for p in proofs) for name in self.header.states},
            gradients=tuple(p.gradient for p in proofs),
            proofs=tuple(sha256(p.proof).digest() for p in proofs) if self._has_proofs else (),
        )
        # (4) Record.
        self.log.put(leaf_of(segment, self.header))
        # (5) Checkpoint, (6) register, (7) anchor.
        self.sign(Kind.CHECKPOINT)
        self.last = segment.state_out
        self.settled, self.recorded = index + 1, segment.last
        self.sealed.forget(index)
        self.emit(RecordWritten(index, segment.last, self.log.size))

    def close(self, record: Close) -> None:
        """The close record and the last checkpoint. RunError for a record no reader would
        accept."""
        frame = encode("close", self.digest, {}, {"leaf": leaf_of(record, self.header)})
        self.files.write_atomic(self.layout.close, frame, PRIVATE_FILE)
        self.finish()

    def finish(self) -> None:
        """What `close` does once its record is in the folder `private`."""
        fields, parts = read(self.layout.close, "close", self.digest)
        fields.end()
        self.log.put(parts["leaf"])
        self.sign(Kind.CLOSE)

    def sign(self, kind: Kind) -> None:
        """Signs the checkpoint over the records so far, unless it is there, and takes each stage
        not yet taken for it."""
        head = self.log.sign()
        for stage in self.stages:
            if not stage.done(head, kind):
                stage.do(head, kind)

    @property
    def _has_proofs(self) -> bool:
        return self.header.prover.form.proves

    def _genesis(self, start: Start) -> Genesis:
        names, blocks = self.header.states, range(len(self.header.blocks))
        messages = (
            (self.header.padded(start.state[name], block), start.salts.state_in[name][block])
            for name in names
            for block in blocks
        )
        commitments = iter(self.backend.commit_all(messages))
        state = {name: tuple(next(commitments) for _ in blocks) for name in names}
        zeros = {name: start.salts.state_in[name] for name in self.header.states[1:]}
        salts = start.salts.state_in["W"] if self.beacon else ()
        return Genesis(state, zeros, self.beacon, salts, self.attestation)

    def _prove(self, statement: Statement) -> BlockProof:
        """The block's proof, found or made, public on disk."""
        began, blocks = perf_counter(), len(self.header.blocks)
        segment, block = statement.segment, statement.block
        asked = self.coordinator is not None and self.coordinator.begun(segment, block)
        if not asked:
            self.emit(ProofStarted(segment, block, blocks))
        proof = self._adopted(statement) if self._has_proofs and not asked and self._left(segment, block) else None
        found, seconds, worker = proof is not None, 0.0, ""
        if proof is None and self.coordinator is not None:
            made = self.coordinator.made(segment, block)
            proof, seconds, worker = made.proof, made.seconds, made.worker
            self._check_chain(statement, proof)
        elif proof is None:
            proof = self._made(statement, self.sealed.witness(segment, block, follow=True))
        if self._has_proofs:
            self._publish(statement, proof.proof)
        seconds = seconds or perf_counter() - began
        self.emit(ProofDone(segment, block, blocks, seconds, len(proof.proof), found, worker))
        return proof

    def _publish(self, statement: Statement, proof: bytes) -> None:
        segment, block = statement.segment, statement.block
        path = self.layout.proof(segment, block)
        if read_proof(path) != proof:
            self._require_few(segment, block, proof)
            self.journal.publish(segment, block, proof)
            self.files.write_atomic(path, proof)
        if self.journal.staged(segment, block) is not None:
            self.journal.unstage(segment, block)

    def _left(self, segment: int, block: int) -> bool:
        """Whether there is anything to adopt, or that must be."""
        return (
            self.log.confirms()
            or exists(self.layout.proof(segment, block))
            or self.journal.staged(segment, block) is not None
        )

    def _stage(self, segment: int, block: int, proof: bytes) -> None:
        self._require_few(segment, block, proof)
        self.journal.stage(segment, block, proof)

    def _adopted(self, statement: Statement) -> BlockProof | None:
        """A proof that an interrupted run left, if it is right. One that isn't is deleted, unless a
        record names it."""
        segment, block = statement.segment, statement.block
        public = self.layout.proof(segment, block)
        witness = self.sealed.witness(segment, block, follow=True)
        proof = self._checked(statement, witness, read_proof(public))
        if proof is not None:
            return proof
        if self.log.confirms():
            raise RunError(f"{public} is missing or not valid, but the log has its record: restore it from a copy")
        if exists(public):
            self.files.remove(public)
        return self._checked(statement, witness, self.journal.staged(segment, block))

    def _checked(self, statement: Statement, witness: BlockWitness, proof: bytes | None) -> BlockProof | None:
        if proof is None:
            return None
        try:
            checked = self.backend.check(statement, proof)
        except VerificationError as error:
            if self.stopped():  # in the middle of its check: the proof may well be good
                raise ProverError(STOPPED) from error
            if isinstance(error, UnreadableError):  # that says nothing against the proof, which must not be deleted
                where = f"block {statement.block} of segment {statement.segment}"
                raise ProverError(
                    f"the proof found for {where} could not be checked: {error}; resume the run to try again"
                ) from error
            return None
        # Valid, but perhaps of steps that this journal doesn't have: one of the two was restored
        # from a copy, or a worker's answer that was refused was put here.
        ends = ((values, witness.salts[f"{name}_out"]) for name, values in witness.end.items())
        wanted = dict(zip(witness.end, self.backend.commit_all(ends), strict=True))
        same_in = all(checked.state_in[name] == self.last[name][statement.block] for name in wanted)
        same = same_in and dict(checked.state_out) == wanted and self._of_gradients(checked, witness)
        return checked if same else None

    def _of_gradients(self, proof: BlockProof, witness: BlockWitness) -> bool:
        """Whether a proof is about the journal's gradients: others may lead from and to the same
        states. A backend that is not Committing can't tell."""
        if not isinstance(self.backend, Committing):
            return True
        return proof.gradient == self.backend.commit_gradients(witness.gradients, witness.salts["G"])

    def _made(self, statement: Statement, witness: BlockWitness) -> BlockProof:
        segment, block = statement.segment, statement.block
        reason = ""
        for attempt in range(1, MAX_TRIES + 1):
            if self.stopped():
                raise ProverError(STOPPED)
            try:
                proof = self.backend.prove(statement, witness)
            except ProverError as error:
                if self.stopped():
                    raise
                reason = str(error)
                self.emit(ProofFailed(segment, block, attempt, reason))
                continue
            self._check_chain(statement, proof)
            if self._has_proofs:
                self._stage(segment, block, proof.proof)
            return proof
        raise ProverError(
            f"block {block} of segment {segment} could not be proved in {MAX_TRIES} attempts: {reason}. Nothing is lost: "
            "fix the cause and resume the run"
        )

    def _require_few(self, segment: int, block: int, proof: bytes) -> None:
        """ProverError for a proof that must not become known beside those that are."""
        known, most = self.journal.published(segment).get(block, []), self.backend.different_proofs
        if sha256(proof).digest() not in known and len(known) >= most:
            raise ProverError(
                f"no more than {most} different proofs of block {block} of segment {segment} may become known, since each opens its "
                "commitments at other points, and that many are: restore its proof file from a copy, or begin a new run"
            )

    def _check_chain(self, statement: Statement, proof: BlockProof) -> None:
        for name in self.header.states:
            if proof.state_in[name] != self.last[name][statement.block]:
                raise ProverError(
                    f"the prover's commitment to {name} before segment {statement.segment}, block {statement.block}, is "
                    "not the one that the record before it has; nothing was recorded"
                )


def leaf_of(record: Record, header: Header | None) -> bytes:
    """The bytes of a record, read back once. RunError for a record no reader would accept."""
    try:
        leaf = record_bytes.to_bytes(record)
        record_bytes.parse(leaf, header)
    except (ValueError, VerificationError) as error:
        raise RunError(f"this {type(record).__name__.lower()} can't be recorded: {error}") from error
    return leaf
