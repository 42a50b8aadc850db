"""A run as its writer makes it: every rule, every record, and what the caller is told."""

import threading
from dataclasses import fields, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.run.plain_run import block_of, create, expected_states, resume
from tests.run.trainer import (
    BLOCK,
    SIGNER,
    STEPS,
    FaultyProver,
    TracedFiles,
    audit,
    gradients,
    hang,
    hashed_backend,
    make_header,
    train,
)
from zk_autograd import verify_run
from zk_autograd.core.errors import RangeError, RunError, UsageError, ZkError
from zk_autograd.core.hyper import Rule
from zk_autograd.core.keys import Ed25519Signer, MlDsa44Signer
from zk_autograd.core.records import Segment
from zk_autograd.prove.hashed.commitment import commit
from zk_autograd.run.claims import Claims
from zk_autograd.run.events import (
    Event,
    ProofDone,
    ProofStarted,
    RecordWritten,
    SegmentSealed,
    StepLogged,
    Waiting,
)
from zk_autograd.run.journal import Journal
from zk_autograd.run.layout import Layout
from zk_autograd.run.sealed import batch_commitment

OTHER = Ed25519Signer("other", bytes(32))
PQ = MlDsa44Signer("trainer/log", bytes(range(32)))


@pytest.mark.parametrize("rule", Rule)
def test_a_run_without_proofs_is_complete_and_its_commitments_open(tmp_path: Path, rule: Rule) -> None:
    run = tmp_path / "run"
    writer = create(run, header=make_header(hashed_backend(), rule))
    train(writer, 5)
    model = {"weights.i64.safetensors": writer.state["W"].tobytes()}
    writer.close(model, {"config.toml": sha256(b"config").digest()})

    log = audit(run, hashed_backend())
    assert log.close is not None
    assert log.genesis is not None
    assert [(s.first, s.last) for s in log.segments] == [(1, 2), (3, 4), (5, 5)]
    assert log.close.model == (("weights.i64.safetensors", sha256(model["weights.i64.safetensors"]).digest()),)
    assert log.close.artefacts == (("config.toml", sha256(b"config").digest()),)
    assert (run / "model" / "weights.i64.safetensors").read_bytes() == model["weights.i64.safetensors"]
    assert (writer.head.size, writer.segments_done, writer.pending) == (6, 3, 0)

    states = expected_states(rule, 5)
    np.testing.assert_array_equal(writer.state["W"], states[5]["W"])
    journal = Journal(Layout(run).segments, log.header, log.header_digest, TracedFiles(run))
    assert set(log.genesis.zero_salts) == set(log.header.states) - {"W"}
    for block in range(3):
        for name in log.header.states[1:]:
            salt = log.genesis.zero_salts[name][block]
            assert log.genesis.state[name][block] == commit(np.zeros(BLOCK), salt)
    for segment in log.segments:
        salts = journal.start(segment.index).salts
        numbers = range(segment.first, segment.last + 1)
        batches = [sha256(bytes([t])).digest() for t in numbers]
        assert segment.batches == batch_commitment(salts.batches, batches)
        assert segment.loss == tuple(f"0.{t}" for t in numbers)
        assert segment.saturated == tuple(numbers)
        assert (segment.lr, segment.proofs) == ((), ())
        for block in range(3):
            for name in log.header.states:
                before, after = states[segment.first - 1][name], states[segment.last][name]
                opened_in = commit(block_of(before, block), salts.state_in[name][block])
                opened_out = commit(block_of(after, block), salts.state_out[name][block])
                assert segment.state_in[name][block] == opened_in
                assert segment.state_out[name][block] == opened_out
            taken = np.zeros((STEPS, BLOCK), np.int64)
            for row, t in enumerate(numbers):
                taken[row] = block_of(gradients(t), block)
            assert segment.gradients[block] == commit(taken, salts.gradients[block])


def test_a_run_with_proofs_is_complete(tmp_path: Path) -> None:
    backend = FaultyProver()
    writer = create(tmp_path / "run", backend)
    train(writer, 5)
    writer.close()
    log = audit(tmp_path / "run", backend)
    assert [len(s.proofs) for s in log.segments] == [3, 3, 3]
    assert backend.proved == 9


def test_recorded_rates_are_in_the_records(tmp_path: Path) -> None:
    backend = FaultyProver()
    writer = create(tmp_path / "run", backend, header=make_header(backend, schedule="recorded"))
    train(writer, 3)
    writer.close()
    log = audit(tmp_path / "run", backend)
    assert [s.lr for s in log.segments] == [(("0.001", "0.001"), ("0.002", "0.002")), (("0.003", "0.003"),)]


def test_a_run_of_no_steps_can_be_closed(tmp_path: Path) -> None:
    writer = create(tmp_path / "run")
    writer.close()
    log = audit(tmp_path / "run", hashed_backend())
    assert (list(log.segments), log.close and log.close.last_step) == ([], 0)


def test_steps_without_batches_have_no_commitment_to_them(tmp_path: Path) -> None:
    writer = create(tmp_path / "run")
    for t in (1, 2, 3):
        writer.append(gradients(t), Claims(batch=bytes(32) if t == 3 else b""))
    writer.close()
    first, second = audit(tmp_path / "run", hashed_backend()).segments
    assert (first.batches, len(second.batches)) == (b"", 32)


def test_batch_commitments_tell_apart_which_step_had_the_batch() -> None:
    digest = bytes(32)
    assert batch_commitment(b"salt", [digest, b""]) != batch_commitment(b"salt", [b"", digest])
    assert batch_commitment(b"salt", [digest]) != batch_commitment(b"other", [digest])


def test_draining_seals_a_short_segment_and_the_run_goes_on(tmp_path: Path) -> None:
    writer = create(tmp_path / "run")
    train(writer, 1)
    writer.drain()
    assert (writer.segments_done, writer.pending) == (1, 0)
    writer.drain()  # nothing to seal
    train(writer, 4)
    writer.close()
    log = audit(tmp_path / "run", hashed_backend())
    assert [(s.first, s.last) for s in log.segments] == [(1, 1), (2, 3), (4, 4)]


def test_the_salts_of_the_last_commitments_open_them(tmp_path: Path) -> None:
    writer = create(tmp_path / "run")
    train(writer, 3)
    with pytest.raises(UsageError, match="the state after step 3 has no commitment yet; drain the run first"):
        writer.final_salts("W")
    writer.drain()
    salts = {name: writer.final_salts(name) for name in ("W", "V")}
    writer.close()
    close = audit(tmp_path / "run", hashed_backend()).close
    assert close is not None
    for name, of_blocks in salts.items():
        for block, salt in enumerate(of_blocks):
            assert close.state[name][block] == commit(block_of(writer.state[name], block), salt)


def test_the_caller_is_told_what_happens(tmp_path: Path) -> None:
    events: list[Event] = []
    writer = create(tmp_path / "run", FaultyProver(), on_event=events.append)
    train(writer, 3)
    writer.close()
    assert [e.step for e in events if isinstance(e, StepLogged)] == [1, 2, 3]
    assert [e for e in events if isinstance(e, SegmentSealed)] == [SegmentSealed(0, 1, 2), SegmentSealed(1, 3, 3)]
    proofs = [(segment, block) for segment in (0, 1) for block in range(3)]
    assert [(e.segment, e.block) for e in events if isinstance(e, ProofStarted)] == proofs
    done = [e for e in events if isinstance(e, ProofDone)]
    assert [(e.segment, e.block) for e in done] == proofs
    for event in done:
        assert (event.blocks, event.found) == (3, False)
        assert event.size == (tmp_path / "run" / "proofs" / f"{event.segment}-{event.block}").stat().st_size
        assert event.seconds > 0
    assert [e for e in events if isinstance(e, RecordWritten)] == [RecordWritten(0, 2, 3), RecordWritten(1, 3, 4)]


def test_training_waits_when_too_many_segments_wait_and_says_so(tmp_path: Path) -> None:
    backend = FaultyProver([hang])
    started, waits = threading.Event(), []

    def on_event(event: Event) -> None:
        if isinstance(event, ProofStarted):
            started.set()
        if isinstance(event, Waiting):
            waits.append(event)
            backend.stopped.set()  # the hanging proof ends, and is begun again

    writer = create(tmp_path / "run", backend, on_event=on_event, backlog=1)
    train(writer, STEPS)
    assert started.wait(10)
    train(writer, 2 * STEPS)  # one being proved, one waiting
    assert (waits, writer.pending) == ([], 2)
    train(writer, 3 * STEPS)
    assert waits == [Waiting(2)]
    writer.close()
    assert len(audit(tmp_path / "run", backend).segments) == 3


def test_the_state_cannot_be_changed_by_the_caller(tmp_path: Path) -> None:
    writer = create(tmp_path / "run")
    before = writer.state
    for values in before.values():
        np.add(values, 1, out=values)
    before.clear()
    writer.append(gradients(1))
    expected = expected_states(Rule.ADAM, 1)[1]
    for name, values in writer.state.items():
        np.testing.assert_array_equal(values, expected[name])
    assert set(writer.state) == {"W", "M", "V"}
    writer.abandon()


def test_a_step_out_of_range_changes_nothing(tmp_path: Path) -> None:
    files = TracedFiles(tmp_path / "run")
    writer = create(tmp_path / "run", files=files)
    train(writer, 1)
    before, written = writer.state["W"], list(files.done)
    too_large = gradients(2)
    too_large[8] = 2**30
    bad: list[tuple[type[ZkError], str, dict[str, Any]]] = [
        (RangeError, r"gradient of b.weight\[1\]", {"gradients": too_large}),
        (UsageError, "must be int32 or int64", {"gradients": too_large.astype(np.int16)}),
        (UsageError, "learning rates", {"lr": ("0.1", "0.1")}),
        (UsageError, "loss is", {"claims": Claims("0" * 61)}),
        (UsageError, "loss is", {"claims": Claims("0.1\n")}),
        (UsageError, "saturated is -1", {"claims": Claims(saturated=-1)}),
        (UsageError, "has 31 bytes", {"claims": Claims(batch=bytes(31))}),
    ]
    for error, message, arguments in bad:
        with pytest.raises(error, match=message):
            writer.append(**{"gradients": gradients(2)} | arguments)
    assert (writer.step, bool((writer.state["W"] == before).all()), files.done) == (1, True, written)
    train(writer, 3)
    writer.close()
    assert audit(tmp_path / "run", hashed_backend()).close


@pytest.mark.parametrize("keys", [2, 1])
def test_every_checkpoint_is_signed_with_all_keys_of_the_header_in_its_order(tmp_path: Path, keys: int) -> None:
    signers = [OTHER, SIGNER][:keys]
    header = replace(make_header(hashed_backend()), keys=tuple(s.public_key.encode() for s in signers))
    writer = create(tmp_path / "run", header=header, signers=signers[::-1])
    train(writer, 1)
    writer.abandon()
    lines = (tmp_path / "run" / "log" / "checkpoint").read_text().split("\n\n")[1].splitlines()
    assert [line.split()[1] for line in lines] == [s.name for s in signers]
    with pytest.raises(UsageError, match=r"the run's key .* \(Ed25519\) is missing"):
        resume(tmp_path / "run", signers=[SIGNER] if keys == 2 else [])
    for given in (signers, [SIGNER, OTHER], [PQ, OTHER, SIGNER]):  # those that the header doesn't name sign nothing
        writer = resume(tmp_path / "run", signers=given)
        train(writer, writer.step + 2)
        writer.drain()
        writer.abandon()
        lines = (tmp_path / "run" / "log" / "checkpoint").read_text().split("\n\n")[1].splitlines()
        assert [line.split()[1] for line in lines] == [s.name for s in signers]


def test_a_closed_run_is_complete(tmp_path: Path) -> None:
    writer = create(tmp_path / "run")
    train(writer, 1)
    writer.close()
    before = (tmp_path / "run" / "log" / "records.jsonl").read_bytes()
    for use in (lambda: writer.append(gradients(2)), writer.drain, writer.close):
        with pytest.raises(RunError, match="is complete"):
            use()
    with pytest.raises(RunError, match="is complete: it has a close record"):
        resume(tmp_path / "run")
    writer.abandon()  # does nothing
    assert (tmp_path / "run" / "log" / "records.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("model", "artefacts", "message"),
    [
        ({"../log/checkpoint": b""}, {}, "not the name"),
        ({}, {".hidden": bytes(32)}, "not the name"),
        ({}, {"a": bytes(31)}, "31 bytes"),
        ({}, {f"a{i}": bytes(32) for i in range(101)}, "more than 100"),
    ],
    ids=["path", "hidden", "digest", "many"],
)
def test_files_that_cannot_be_published_are_refused_before_the_end(
    tmp_path: Path, model: dict[str, bytes], artefacts: dict[str, bytes], message: str
) -> None:
    writer = create(tmp_path / "run")
    train(writer, 1)
    with pytest.raises(UsageError, match=message):
        writer.close(model, artefacts)
    train(writer, 2)  # nothing was sealed
    writer.close()
    assert [s.last for s in audit(tmp_path / "run", hashed_backend()).segments] == [2]


def test_segments_are_recorded_with_all_of_their_fields(tmp_path: Path) -> None:
    # A field that Segment gets later must be filled in by the writer, or this says so.
    writer = create(tmp_path / "run", FaultyProver(), header=make_header(FaultyProver(), schedule="recorded"))
    train(writer, 2)
    writer.close()
    (segment,) = audit(tmp_path / "run", FaultyProver()).segments
    empty = [f.name for f in fields(Segment) if f.name != "index" and not getattr(segment, f.name)]
    assert empty == []


def test_a_run_of_both_keys_is_crashed_resumed_and_verified(tmp_path: Path) -> None:
    run, signers = tmp_path / "run", [SIGNER, PQ]
    header = replace(make_header(hashed_backend()), keys=tuple(s.public_key.encode() for s in signers))
    writer = create(run, header=header, signers=signers)
    train(writer, 5)
    writer.drain()
    writer.abandon()
    older = (run / "log" / "checkpoint").read_bytes()
    writer = resume(run, signers=signers[::-1])
    train(writer, 8)
    writer.drain()
    writer.abandon()
    (run / "log" / "checkpoint").write_bytes(older)  # as a crash before the last checkpoints leaves it
    writer = resume(run, signers=signers)
    train(writer, 9)
    writer.close()
    assert verify_run(run, [s.public_key for s in signers], require=["L0"]).exit_status == 0
    with pytest.raises(RunError, match="is complete"):
        resume(run, signers=signers)


def test_a_checkpoint_that_one_of_two_keys_signed_is_not_gone_on_with(tmp_path: Path) -> None:
    run, signers = tmp_path / "run", [SIGNER, PQ]
    header = replace(make_header(hashed_backend()), keys=tuple(s.public_key.encode() for s in signers))
    writer = create(run, header=header, signers=signers)
    train(writer, 3)
    writer.abandon()
    checkpoint = run / "log" / "checkpoint"
    lines = checkpoint.read_text().splitlines(keepends=True)
    for dropped in (-1, -2):
        checkpoint.write_text("".join(line for line in lines if line is not lines[dropped]))
        with pytest.raises(RunError, match="is not this run's: note is not signed by the key"):
            resume(run, signers=signers)


def test_a_run_needs_a_key_that_signs_its_header(tmp_path: Path) -> None:
    header = replace(make_header(hashed_backend()), keys=(PQ.public_key.encode(),))
    with pytest.raises(UsageError, match="a run needs an Ed25519 key beside its ML-DSA-44 key"):
        create(tmp_path / "run", header=header, signers=[PQ])
    assert not (tmp_path / "run").exists()
