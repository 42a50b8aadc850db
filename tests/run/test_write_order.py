"""Settling: provers that die, hang or panic; proofs that an interrupted run left; how often a
commitment may be opened; and what follows a checkpoint."""

import os
import shutil
import signal
import threading
from hashlib import sha256
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import pytest

from tests.run.settled import create, failure_of, finish, interrupted, resume
from tests.run.trainer import (
    FailingFiles,
    FaultyProver,
    TracedFiles,
    audit,
    die,
    gradients,
    hang,
    panic,
    train,
)
from zk_autograd.core import canonical
from zk_autograd.core.errors import ProverError, RunError, UnreadableError, VerificationError, ZkError
from zk_autograd.core.note import Checkpoint
from zk_autograd.core.records import header_digest
from zk_autograd.core.register import Kind
from zk_autograd.core.statement import Statement
from zk_autograd.prove.protocol import BlockProof, BlockWitness
from zk_autograd.run.coordinator import MAX_TRIES
from zk_autograd.run.events import Event, ProofDone, ProofFailed, ProofStarted, RecordWritten, Waiting


def test_a_prover_that_dies_is_begun_again(tmp_path: Path) -> None:
    events: list[Event] = []
    backend = FaultyProver([die, die])
    writer = create(tmp_path / "run", backend, on_event=events.append)
    train(writer, 3)
    writer.close()
    assert audit(tmp_path / "run", backend).close
    failed = [e for e in events if isinstance(e, ProofFailed)]
    assert [(e.segment, e.block, e.attempt) for e in failed] == [(0, 0, 1), (0, 0, 2)]
    assert "signal 9" in failed[0].reason


@pytest.mark.parametrize("most", [1, 2, 100])
def test_a_prover_that_keeps_dying_stops_the_run_and_nothing_is_lost(tmp_path: Path, most: int) -> None:
    backend = FaultyProver([die] * 1000, most)
    writer = create(tmp_path / "run", backend)
    with pytest.raises(
        ProverError, match=rf"block 0 of segment 0 .* in {MAX_TRIES} attempts: .*signal 9.*Nothing is lost"
    ):
        train(writer, 3)
        writer.drain()
    for use in (writer.drain, writer.close, lambda: writer.append(gradients(4))):
        assert isinstance(failure_of(use), ProverError)
    writer.abandon()
    finish(tmp_path / "run", FaultyProver(different_proofs=most))


def test_no_step_follows_a_failure(tmp_path: Path) -> None:
    writer = create(tmp_path / "run", FaultyProver([die] * 3), backlog=1000)
    with pytest.raises(ProverError, match="could not be proved in 3 attempts"):
        train(writer, 1000)
    last = writer.step
    assert last < 1000
    writer.abandon()
    again = resume(tmp_path / "run", FaultyProver())
    assert again.step == last
    again.drain()
    again.abandon()


def test_a_failure_ends_the_waiting_of_the_training(tmp_path: Path) -> None:
    def wait_and_die(prover: FaultyProver) -> None:
        prover.stopped.wait()
        die(prover)

    def on_event(event: Event) -> None:
        if isinstance(event, Waiting):
            backend.stopped.set()

    backend = FaultyProver([wait_and_die, die, die])
    writer = create(tmp_path / "run", backend, backlog=1, on_event=on_event)
    with pytest.raises(ProverError, match="could not be proved in 3 attempts"):
        train(writer, 100)
    writer.abandon()


def test_a_panic_in_the_prover_is_told_and_not_swallowed(tmp_path: Path) -> None:
    backend = FaultyProver([panic])
    writer = create(tmp_path / "run", backend)
    train(writer, 2)
    with pytest.raises(
        ProverError, match=r"proving segment 0 failed with PanicException.*index out of bounds"
    ) as caught:
        writer.drain()
    assert caught.value.__cause__ is not None
    writer.abandon()
    finish(tmp_path / "run", backend)


def test_a_listener_that_raises_in_the_thread_is_told(tmp_path: Path) -> None:
    def on_event(event: Event) -> None:
        if isinstance(event, RecordWritten):
            raise ZeroDivisionError

    backend = FaultyProver()
    writer = create(tmp_path / "run", backend, on_event=on_event)
    train(writer, 2)
    with pytest.raises(ProverError, match="ZeroDivisionError"):
        writer.drain()
    writer.abandon()
    finish(tmp_path / "run", backend)


def test_a_hanging_proof_is_stopped_at_once(tmp_path: Path) -> None:
    backend = FaultyProver([hang])
    writer = create(tmp_path / "run", backend)
    train(writer, 3)
    began = monotonic()
    writer.abandon()
    assert monotonic() - began < 2
    assert backend.proved == 0
    finish(tmp_path / "run", FaultyProver())


def test_nothing_is_proved_after_the_run_was_abandoned(tmp_path: Path) -> None:
    events: list[Event] = []
    started = threading.Event()

    def on_event(event: Event) -> None:
        events.append(event)
        if isinstance(event, ProofStarted):
            started.set()

    backend = FaultyProver([hang])
    writer = create(tmp_path / "run", backend, on_event=on_event)
    train(writer, 3)
    assert started.wait(10)
    writer.abandon()
    assert [e for e in events if isinstance(e, ProofDone | ProofFailed)] == []


def test_no_further_proof_is_begun_after_the_run_was_abandoned(tmp_path: Path) -> None:
    started = threading.Event()

    def finish_when_stopped(prover: FaultyProver) -> None:
        started.set()
        assert prover.stopped.wait(10)

    backend = FaultyProver([finish_when_stopped])
    writer = create(tmp_path / "run", backend)
    train(writer, 3)
    assert started.wait(10)
    writer.abandon()
    assert backend.proved == 1
    finish(tmp_path / "run", backend)
    assert backend.proved == 6


def test_an_interrupt_while_draining_leaves_a_run_that_goes_on(tmp_path: Path) -> None:
    def interrupt_and_hang(prover: FaultyProver) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        hang(prover)

    writer = create(tmp_path / "run", FaultyProver([interrupt_and_hang]))
    with pytest.raises(KeyboardInterrupt):
        train(writer, 3)
        writer.close()
    writer.abandon()
    finish(tmp_path / "run", FaultyProver())


def test_a_commitment_of_another_state_is_not_recorded(tmp_path: Path) -> None:
    class Swapping(FaultyProver):
        def prove(self, statement: Statement, witness: BlockWitness) -> BlockProof:
            proof = super().prove(statement, witness)
            return BlockProof(proof.proof, {**proof.state_in, "M": bytes(64)}, proof.state_out, proof.gradient)

    backend = Swapping()
    writer = create(tmp_path / "run", backend)
    train(writer, 2)
    with pytest.raises(ProverError, match="commitment to M before segment 0, block 0, is not the one"):
        writer.drain()
    writer.abandon()
    assert (tmp_path / "run" / "log" / "records.jsonl").read_bytes().count(b"\n") == 2
    assert list((tmp_path / "run" / "proofs").iterdir()) == []
    finish(tmp_path / "run", FaultyProver())


# ---- proofs that were left -----------------------------------------------------------------------


def test_a_proof_without_a_record_is_adopted(tmp_path: Path) -> None:
    run = tmp_path / "run"
    backend = interrupted(run, "append log/records.jsonl #2")
    left = {path.name: (path.read_bytes(), path.stat().st_ino) for path in (run / "proofs").iterdir()}
    assert sorted(left) == ["0-0", "0-1", "0-2"]
    events = finish(run, backend)
    assert backend.proved == 6
    assert [e.found for e in events if isinstance(e, ProofDone)] == [True] * 3 + [False] * 3
    for name, found in left.items():
        assert ((run / "proofs" / name).read_bytes(), (run / "proofs" / name).stat().st_ino) == found


def test_a_proof_that_could_not_be_published_is_not_made_again(tmp_path: Path) -> None:
    run = tmp_path / "run"
    for n, write in enumerate(("write private/segments/0/published #1", "write proofs/0-1 #0")):
        backend = interrupted(run, write)
        assert (run / "private" / "segments" / "0" / "proof-1").exists()
        finish(run, backend)
        assert backend.proved == 6
        run.rename(tmp_path / f"done-{n}")
    assert list((tmp_path / "done-1").rglob("proof-*")) == []


def test_a_proof_is_noted_before_it_is_public(tmp_path: Path) -> None:
    files = TracedFiles(tmp_path / "run")
    backend = FaultyProver()
    writer = create(tmp_path / "run", backend, files=files)
    train(writer, 2)
    writer.close()
    order = [
        files.done.index(name)
        for name in (
            "append private/segments/0/journal #1",
            "write_stream private/segments/1/journal #0",
            "write private/segments/0/proof-1 #0",
            "write private/segments/0/published #1",
            "write proofs/0-1 #0",
            "append log/records.jsonl #2",
            "write log/checkpoint #2",
        )
    ]
    assert order == sorted(order)


@pytest.mark.parametrize("damage", ["garbage", "other place", "public and kept"])
def test_a_proof_that_is_not_valid_is_replaced(tmp_path: Path, damage: str) -> None:
    run = tmp_path / "run"
    backend = interrupted(run, "append log/records.jsonl #2")
    proof = run / "proofs" / "0-1"
    proof.write_bytes((run / "proofs" / "0-2").read_bytes() if damage == "other place" else b"x" * 40)
    if damage == "public and kept":
        (run / "private" / "segments" / "0" / "proof-1").write_bytes(b"y" * 40)
    finish(run, backend)
    assert backend.proved == 7
    assert not (run / "private" / "segments" / "0" / "proof-1").exists()


def test_a_proof_that_is_not_valid_is_gone_even_if_no_other_can_be_made(tmp_path: Path) -> None:
    run = tmp_path / "run"
    interrupted(run, "append log/records.jsonl #2")
    (run / "proofs" / "0-1").write_bytes(b"x" * 40)
    writer = resume(run, FaultyProver([die] * 3))
    assert isinstance(failure_of(writer.drain), ProverError)
    writer.abandon()
    assert {path.name for path in (run / "proofs").iterdir()} == {"0-0", "0-2"}


def test_a_proof_whose_check_was_stopped_is_kept(tmp_path: Path) -> None:
    checking = threading.Event()

    class Slow(FaultyProver):
        def check(self, statement: Statement, proof: bytes) -> BlockProof:
            checking.set()
            assert self.stopped.wait(10)
            raise VerificationError("the child was ended")

    run = tmp_path / "run"
    backend = interrupted(run, "append log/records.jsonl #2")
    writer = resume(run, Slow())
    assert checking.wait(10)
    writer.abandon()
    assert {path.name for path in (run / "proofs").iterdir()} == {"0-0", "0-1", "0-2"}
    finish(run, backend)
    assert backend.proved == 6


def test_a_valid_proof_of_other_steps_is_not_adopted(tmp_path: Path) -> None:
    # The private folder was restored from a copy, and training went another way from there: the
    # statement is the same.
    run, fork = tmp_path / "run", tmp_path / "fork"
    create(run, FaultyProver()).abandon()
    shutil.copytree(run, fork)
    writer = resume(fork, FaultyProver())
    writer.append(gradients(77))
    writer.append(gradients(78))
    writer.drain()
    writer.abandon()
    writer = resume(run, FaultyProver([die] * 3))
    train(writer, 2)
    assert isinstance(failure_of(writer.drain), ProverError)
    writer.abandon()
    for name in ("0-0", "0-1", "0-2"):
        shutil.copy(fork / "proofs" / name, run / "proofs" / name)
    backend = FaultyProver()
    finish(run, backend)
    assert backend.proved == 6


def test_a_valid_proof_from_another_state_is_not_adopted(tmp_path: Path) -> None:
    run = tmp_path / "run"
    backend = interrupted(run, "append log/records.jsonl #2")
    proof = run / "proofs" / "0-1"
    said: Any = canonical.decode(proof.read_bytes()[32:], max_bytes=10**6)
    said["in"]["V"] = "00" * 64
    leaf = (run / "log" / "records.jsonl").read_bytes().split(b"\n")[0]
    statement = Statement(header_digest(leaf), 0, 1, 1, 3, ())
    backend.check(statement, proof.read_bytes())
    content = canonical.encode(said)
    proof.write_bytes(sha256(statement.context + content).digest() + content)
    backend.check(statement, proof.read_bytes())
    finish(run, backend)
    assert backend.proved == 7


def test_proofs_of_a_segment_that_is_not_sealed_are_deleted(tmp_path: Path) -> None:
    backend = FaultyProver()
    writer = create(tmp_path / "run", backend)
    train(writer, 3)
    writer.abandon()
    for name in ("1-0", "7-2"):
        (tmp_path / "run" / "proofs" / name).write_bytes(b"left")
    (tmp_path / "run" / "proofs" / "README").write_bytes(b"not ours")
    again = resume(tmp_path / "run", backend)
    again.abandon()
    names = {path.name for path in (tmp_path / "run" / "proofs").iterdir()}
    assert names <= {"README", "0-0", "0-1", "0-2"}
    assert "README" in names


def test_a_commitment_is_opened_only_so_often(tmp_path: Path) -> None:
    run = tmp_path / "run"
    backend = interrupted(run, "append log/records.jsonl #2")
    for public in range(2, 5):
        (run / "proofs" / "0-1").write_bytes(b"torn")
        backend._different_proofs = 4
        writer = resume(run, backend, files=FailingFiles(run, "append log/records.jsonl #0", "lost"))
        error = failure_of(writer.drain)
        writer.abandon()
        assert isinstance(error, RunError), public
    (run / "proofs" / "0-1").write_bytes(b"torn")
    writer = resume(run, backend)
    with pytest.raises(ProverError, match=r"no more than 4 different proofs of block 1 of segment 0 may become known"):
        writer.drain()
    writer.abandon()
    # The one too many was made, and is nowhere.
    assert not (run / "proofs" / "0-1").exists()
    assert not list((run / "private" / "segments" / "0").glob("proof-*"))


def test_proofs_that_never_became_public_do_not_count(tmp_path: Path) -> None:
    run = tmp_path / "run"
    create(run, FaultyProver(different_proofs=1)).abandon()
    for _ in range(3):
        writer = resume(run, FaultyProver([die] * MAX_TRIES, different_proofs=1))
        train(writer, 2)
        assert isinstance(failure_of(writer.drain), ProverError)
        writer.abandon()
    finish(run, FaultyProver(different_proofs=1))


class Repeating(FaultyProver):
    """One whose proofs are the same when they are made again; that of another `version` makes
    others."""

    def __init__(self, version: int) -> None:
        super().__init__(different_proofs=1)
        self._version = version
        self.contexts: dict[int, bytes] = {}

    def prove(self, statement: Statement, witness: BlockWitness) -> BlockProof:
        self.contexts[statement.block] = statement.context
        said = canonical.decode(super().prove(statement, witness).proof[32:], max_bytes=10**6)
        assert isinstance(said, dict)
        content = canonical.encode({**said, "nonce": str(self._version)})
        return self.check(statement, sha256(statement.context + content).digest() + content)


def test_the_same_proof_is_made_again_as_often_as_it_takes_and_another_versions_is_not_published(
    tmp_path: Path,
) -> None:
    run = tmp_path / "run"
    writer = create(run, Repeating(1), files=FailingFiles(run, "append log/records.jsonl #2", "lost"))
    train(writer, 2)
    assert isinstance(failure_of(writer.drain), RunError)
    writer.abandon()
    proof = (run / "proofs" / "0-1").read_bytes()
    for _ in range(3):
        (run / "proofs" / "0-1").unlink()
        writer = resume(run, Repeating(1), files=FailingFiles(run, "append log/records.jsonl #0", "lost"))
        assert isinstance(failure_of(writer.drain), RunError)
        writer.abandon()
        assert (run / "proofs" / "0-1").read_bytes() == proof
    (run / "proofs" / "0-1").unlink()
    writer = resume(run, Repeating(2))
    with pytest.raises(ProverError, match=r"no more than 1 different proofs of block 1 of segment 0 may become known"):
        writer.drain()
    writer.abandon()
    assert not (run / "proofs" / "0-1").exists()
    finish(run, Repeating(1))
    assert (run / "proofs" / "0-1").read_bytes() == proof


def test_a_staged_proof_beyond_the_limit_is_not_published(tmp_path: Path) -> None:
    """What lies in the journal may have been put there by a version that counted otherwise."""
    run, backend = tmp_path / "run", Repeating(1)
    writer = create(run, backend, files=FailingFiles(run, "append log/records.jsonl #2", "lost"))
    train(writer, 2)
    assert isinstance(failure_of(writer.drain), RunError)
    writer.abandon()
    first = (run / "proofs" / "0-1").read_bytes()
    said = canonical.decode(first[32:], max_bytes=10**6)
    assert isinstance(said, dict)
    content = canonical.encode({**said, "nonce": "another"})
    context = backend.contexts[1]
    (run / "proofs" / "0-1").unlink()
    (run / "private" / "segments" / "0" / "proof-1").write_bytes(sha256(context + content).digest() + content)
    writer = resume(run, Repeating(1))
    with pytest.raises(ProverError, match="no more than 1 different proofs of block 1 of segment 0 may become known"):
        writer.drain()
    writer.abandon()
    assert not (run / "proofs" / "0-1").exists()


def test_weights_are_those_of_an_undisturbed_run_whatever_the_prover_does(tmp_path: Path) -> None:
    states = []
    for n, faults in enumerate(([], [die, die], [die])):
        writer = create(tmp_path / str(n), FaultyProver(faults))
        train(writer, 5)
        writer.close()
        states.append(writer.state)
    for state in states[1:]:
        for name, values in states[0].items():
            np.testing.assert_array_equal(state[name], values)


# ---- what follows a checkpoint -------------------------------------------------------------------


class Noted:
    """A `Stage` that takes what it is given, or dies in the middle of the `dies`-th time."""

    def __init__(self, dies: int = 0) -> None:
        self.heads: list[Checkpoint] = []
        self.kinds: list[Kind] = []
        self._left = dies

    def newest(self) -> tuple[int, bytes] | None:
        return (self.heads[-1].size, self.heads[-1].root) if self.heads else None

    def done(self, head: Checkpoint, kind: Kind) -> bool:
        return head in self.heads

    def do(self, head: Checkpoint, kind: Kind) -> None:
        self._left -= 1
        if self._left == 0:
            raise RunError("the register can't be reached")
        self.heads.append(head)
        self.kinds.append(kind)


def test_each_checkpoint_is_followed_by_its_stages_in_order(tmp_path: Path) -> None:
    class After(Noted):
        def do(self, head: Checkpoint, kind: Kind) -> None:
            assert first.heads[-1] == head
            super().do(head, kind)

    first, second = Noted(), After()
    writer = create(tmp_path / "run", FaultyProver(), stages=[first, second])
    train(writer, 3)
    writer.close()
    assert [head.size for head in first.heads] == [1, 2, 3, 4, 5]
    assert first.kinds == [Kind.BEGIN, Kind.CHECKPOINT, Kind.CHECKPOINT, Kind.CHECKPOINT, Kind.CLOSE]
    assert second.heads == first.heads
    assert first.heads[-1].size == 5


@pytest.mark.parametrize("dies", [1, 2, 3, 4, 5])
def test_a_stage_that_fails_is_taken_when_the_run_goes_on(tmp_path: Path, dies: int) -> None:
    """Whatever the failure interrupted: the last one is after the close record's checkpoint, when
    nothing else is left to do."""
    run, noted = tmp_path / "run", Noted(dies)
    with pytest.raises(ZkError, match="register can't be reached"):
        writer = create(run, FaultyProver(), stages=[noted])
        try:
            train(writer, 3)
            writer.close()
        finally:
            writer.abandon()
    if dies <= 2:  # the run was begun by nobody's account, and nothing of it is left
        assert not run.exists()
        return
    try:
        writer = resume(run, FaultyProver(), stages=[noted])
    except RunError as error:
        assert dies == 5
        assert "is complete; what should follow its last record was missing, and has been added" in str(error)
    else:
        train(writer, 3)
        writer.close()
    assert audit(run, FaultyProver()).close
    assert [head.size for head in noted.heads] == [1, 2, 3, 4, 5]
    with pytest.raises(RunError, match="it has a close record, and nothing can follow it"):
        resume(run, FaultyProver(), stages=[noted])


def test_a_proof_that_this_machine_can_not_check_is_kept(tmp_path: Path) -> None:
    class Unreadable(FaultyProver):
        def check(self, statement: Statement, proof: bytes) -> BlockProof:
            raise UnreadableError("no space for the proof")

    run = tmp_path / "run"
    backend = interrupted(run, "append log/records.jsonl #2")
    left = sorted(path.name for path in (run / "proofs").iterdir())
    writer = resume(run, Unreadable())
    with pytest.raises(ProverError, match=r"could not be checked: no space for the proof"):
        writer.drain()
    writer.abandon()
    assert sorted(path.name for path in (run / "proofs").iterdir()) == left
    finish(run, backend)
    assert backend.proved == 6


def test_a_stage_that_was_taken_for_a_tree_head_is_not_taken_for_it_again(tmp_path: Path) -> None:
    run, noted = tmp_path / "run", Noted()
    writer = create(run, FaultyProver(), stages=[noted])
    train(writer, 2)
    writer.drain()
    writer.abandon()
    before = list(noted.heads)
    resume(run, FaultyProver(), stages=[noted]).abandon()
    assert noted.heads == before
    assert before
