"""Every write of a run fails once, in each way that it can; and everything that a run rests on is
altered once."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.run.journals import frames_of, rewrite
from tests.run.trainer import (
    SIGNER,
    FailingFiles,
    FaultyProver,
    TracedFiles,
    audit,
    first_weights,
    make_header,
    told,
    train,
)
from zk_autograd.core.errors import RunError
from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.core.merkle import leaf_hash, root
from zk_autograd.core.note import checkpoint_text, sign
from zk_autograd.core.records import Log, header_digest
from zk_autograd.core.rules import State
from zk_autograd.run.files import Files
from zk_autograd.run.inventory import look_at
from zk_autograd.run.journal import Journal
from zk_autograd.run.layout import Layout
from zk_autograd.run.private_file import encode, read
from zk_autograd.run.writer import RunWriter

STEPS = 3
MODEL = {"weights": b"published"}


def begin(path: Path, files: Files) -> RunWriter:
    backend = FaultyProver()
    return RunWriter.create(path, make_header(backend), backend, [SIGNER], first_weights(), files=files)


def resume(path: Path) -> RunWriter:
    return RunWriter.resume(path, lambda _: FaultyProver(), [SIGNER], files=Files(lambda _: None))


def complete(writer: RunWriter) -> State:
    train(writer, STEPS)
    state = writer.state
    writer.close(MODEL)
    return state


def undisturbed(path: Path) -> tuple[State, Log, list[str]]:
    files = TracedFiles(path)
    state = complete(begin(path, files))
    return state, audit(path, FaultyProver()), files.done


def recovered(path: Path, state: State) -> Log:
    """The log after the run was resumed and completed; `state` is what it must come to."""
    try:
        writer = resume(path)
    except RunError as error:
        assert "is complete" in str(error)  # only closing was left to do
    else:
        end = complete(writer)
        for name, values in state.items():
            np.testing.assert_array_equal(end[name], values)
    return audit(path, FaultyProver())


@pytest.mark.slow
@pytest.mark.parametrize("way", ["lost", "kept", "torn"])
def test_whichever_write_fails_the_run_comes_back_whole(tmp_path: Path, way: str) -> None:
    state, log, writes = undisturbed(tmp_path / "undisturbed")
    assert len(writes) > 40
    story = told(log)
    created = writes.index("append private/segments/0/journal #0")
    for n, write in enumerate(writes):
        if way == "torn" and not write.startswith("append"):
            continue
        path = tmp_path / str(n)
        files = FailingFiles(path, write, way)
        if n < created:
            with pytest.raises(RunError, match=f"failed and was {way}"):
                begin(path, files)
            if write == "make_dir . #0" and way == "kept":
                path.rmdir()  # its fate was unknown: what is there is not touched
            assert not path.exists()
            continue
        writer = begin(path, files)
        with pytest.raises(RunError, match=f"failed and was {way}"):
            complete(writer)
        acknowledged = writer.step
        writer.abandon()
        if (path / "private").exists():
            assert look_at(path).steps >= acknowledged, write
        assert told(recovered(path, state)) == story, write
        shutil.rmtree(path)


def test_a_run_that_fails_at_each_recovery_comes_back_whole(tmp_path: Path) -> None:
    run = tmp_path / "run"
    state, log, _ = undisturbed(tmp_path / "undisturbed")
    writer = begin(run, FailingFiles(run, "append log/records.jsonl #2", "torn"))
    with pytest.raises(RunError):
        complete(writer)
    writer.abandon()
    for write in ("truncate log/records.jsonl #0", "write proofs/1-0 #0", "append log/records.jsonl #1"):
        with pytest.raises(RunError, match="failed and was lost"):
            files = FailingFiles(run, write, "lost")
            writer = RunWriter.resume(run, lambda _: FaultyProver(), [SIGNER], files=files)
            try:
                complete(writer)
            finally:
                writer.abandon()
    assert told(recovered(run, state)) == told(log)


def test_a_full_disk_stops_the_run_and_it_goes_on_when_there_is_space(small_disk: Path) -> None:
    state, log, _ = undisturbed(small_disk / "undisturbed")
    shutil.rmtree(small_disk / "undisturbed")
    ballast = small_disk / "ballast"
    stopped_at = set()
    for pages in range(2, 25, 2):
        run = small_disk / str(pages)
        free = os.statvfs(small_disk).f_bavail
        ballast.write_bytes(bytes(4096 * (free - pages)))
        writer = None
        with pytest.raises(RunError, match="No space left on device; free some space"):
            writer = begin(run, Files())
            complete(writer)
        stopped_at.add(writer.step if writer else None)
        ballast.unlink()
        if writer:
            writer.abandon()
            assert told(recovered(run, state)) == told(log)
            shutil.rmtree(run)
        assert not run.exists()
    assert {None, STEPS} <= stopped_at


# ---- what was altered ----------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run abandoned in its third segment, two segments settled."""
    path = tmp_path / "run"
    writer = begin(path, Files(lambda _: None))
    train(writer, 4)
    writer.drain()
    train(writer, 5)
    writer.abandon()
    return path


def refused(run: Path, message: str) -> None:
    """Resuming says this, and changes nothing."""
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path.name != "lock"}
    with pytest.raises(RunError, match=message):
        resume(run)
    after = {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path.name != "lock"}
    assert after == before


def edit(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


def sign_again(run: Path, signer: Ed25519Signer = SIGNER, origin: str | None = None) -> None:
    """A checkpoint over whatever the log holds now."""
    leaves = (run / "log" / "records.jsonl").read_bytes().split(b"\n")[:-1]
    text = checkpoint_text(
        origin or f"zk-autograd/{bytes(range(16)).hex()}", len(leaves), root([*map(leaf_hash, leaves)])
    )
    (run / "log" / "checkpoint").write_bytes(sign(text, [signer]))
    (run / "private" / "head").unlink(missing_ok=True)  # nothing else was signed, then


def last_line(change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    def changed(data: bytes) -> bytes:
        lines = data.split(b"\n")
        lines[-2] = change(lines[-2])
        return b"\n".join(lines)

    return changed


def test_the_fixture_itself_goes_on(run: Path) -> None:
    writer = resume(run)
    assert (writer.step, writer.segments_done, writer.pending) == (5, 2, 0)
    writer.close()
    assert len(audit(run, FaultyProver()).segments) == 3


def test_a_record_under_the_checkpoint_was_altered(run: Path) -> None:
    edit(run / "log" / "records.jsonl", last_line(lambda line: line.replace(b"0.4", b"0.5")))
    refused(run, "records.jsonl was altered: its root is not the one in")


def test_a_record_beyond_the_checkpoint_was_altered(run: Path) -> None:
    leaves = (run / "log" / "records.jsonl").read_bytes().split(b"\n")
    edit(run / "log" / "records.jsonl", lambda data: b"\n".join([*leaves[:3], b""]))
    sign_again(run)
    edit(run / "log" / "records.jsonl", lambda data: b"\n".join([*leaves[:3], leaves[3].replace(b"0.4", b"0.5"), b""]))
    refused(run, "record 3 of .* is not what the journal says, and no checkpoint covers it")


def test_a_record_beyond_the_checkpoint_is_kept_and_signed(run: Path) -> None:
    records = (run / "log" / "records.jsonl").read_bytes()
    (run / "log" / "checkpoint").unlink()
    writer = resume(run)
    assert writer.head.size == 4
    writer.abandon()
    assert (run / "log" / "records.jsonl").read_bytes() == records
    writer = resume(run)
    writer.close()
    assert len(audit(run, FaultyProver()).segments) == 3


def test_public_files_of_an_older_copy_are_not_gone_on_with(tmp_path: Path) -> None:
    """What follows them was signed: other proofs of it, under the same key, would be a fork."""
    run, copy = tmp_path / "run", tmp_path / "copy"
    writer = begin(run, Files(lambda _: None))
    train(writer, 2)
    writer.drain()
    writer.abandon()
    shutil.copytree(run, copy)
    writer = resume(run)
    train(writer, 4)
    writer.drain()
    writer.abandon()
    for name in ("log", "proofs"):
        shutil.rmtree(run / name)
        shutil.copytree(copy / name, run / name)
    before = (run / "log" / "checkpoint").read_bytes()
    refused(run, "does not hold the [0-9] records that were signed last, by .*/private/head")
    assert (run / "log" / "checkpoint").read_bytes() == before


def test_a_recorded_proof_is_not_made_again(run: Path) -> None:
    (run / "log" / "checkpoint").unlink()
    (run / "proofs" / "1-2").unlink()
    backend = FaultyProver()
    with pytest.raises(RunError, match="proofs/1-2 is missing or not valid, but the log has its record"):
        RunWriter.resume(run, lambda _: backend, [SIGNER])
    assert backend.proved == 0


@pytest.mark.parametrize("damage", ["missing", "altered", "link"])
def test_a_proof_under_the_checkpoint_was_altered(run: Path, damage: str) -> None:
    proof = run / "proofs" / "0-1"
    if damage == "altered":
        edit(proof, lambda data: data[:-1])
    else:
        proof.rename(run / "moved")
        if damage == "link":
            proof.symlink_to(run / "moved")
    refused(run, "proofs/0-1 .*restore it from a copy")


def test_records_are_missing(run: Path) -> None:
    edit(run / "log" / "records.jsonl", lambda data: data[: data.rfind(b"\n", 0, -1) + 1])
    refused(run, "has 3 records, but its checkpoint covers 4")
    edit(run / "log" / "records.jsonl", lambda data: data + b'{"torn')
    refused(run, "has 3 records, but its checkpoint covers 4")
    (run / "log" / "records.jsonl").write_bytes(b"")
    refused(run, "has 0 records")


@pytest.mark.parametrize("kind", ["key", "origin", "garbage"])
def test_the_checkpoint_is_not_this_runs(run: Path, kind: str) -> None:
    if kind == "key":
        sign_again(run, Ed25519Signer(SIGNER.name, bytes(32)))
    elif kind == "origin":
        sign_again(run, origin="zk-autograd/other")
    else:
        (run / "log" / "checkpoint").write_bytes(b"note")
    refused(run, "checkpoint is not this run's")


def test_the_log_is_of_another_run(run: Path, tmp_path: Path) -> None:
    header = run / "private" / "header"
    _, parts = read(header, "header", None)
    leaf = parts["leaf"].replace(b'"0.001"', b'"0.002"')
    header.write_bytes(encode("header", header_digest(leaf), {}, {"leaf": leaf}))
    refused(run, "the log's first record is not the header")


def test_the_log_does_not_parse(run: Path) -> None:
    edit(run / "log" / "records.jsonl", last_line(lambda line: line.replace(b'"index":1', b'"index":-1')))
    sign_again(run)
    refused(run, "the log can't be read: record 3: .*index")


def test_a_step_of_the_journal_was_altered(run: Path) -> None:
    edit(run / "private" / "segments" / "2" / "journal", lambda data: data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    refused(run, "segments/2/journal is missing, torn or altered")


def test_a_step_of_the_journal_is_missing(run: Path) -> None:
    writer = resume(run)
    train(writer, 6)
    writer.drain()
    train(writer, 8)
    writer.abandon()
    newest = sorted((run / "private" / "segments").iterdir(), key=lambda path: int(path.name))[-2]
    shutil.rmtree(newest.with_name("4"))
    places = frames_of(run, 3)
    assert len(places) == 3
    edit(newest / "journal", lambda data: data[: places[1]] + data[places[2] :])
    refused(run, "segments/3/journal is missing, torn or altered .a frame of it was altered, left out or exchanged")


def test_a_segment_of_the_journal_is_missing(run: Path) -> None:
    shutil.rmtree(run / "private" / "segments" / "2")
    refused(run, "segments/2 is missing, torn or altered .the run has got further")
    shutil.rmtree(run / "private" / "segments")
    (run / "private" / "segments").mkdir()
    refused(run, "segments/2 is missing")


def test_the_journal_does_not_begin_where_the_log_ends(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    writer = begin(other, Files(lambda _: None))
    train(writer, 1)
    writer.drain()
    writer.drain()
    train(writer, 3)
    writer.drain()
    writer.abandon()
    assert len(audit_segments(other)) == 2
    for name in ("log", "proofs"):
        shutil.rmtree(run / name)
        shutil.copytree(other / name, run / name)
    shutil.copy(other / "private" / "head", run / "private")
    refused(run, "segments/2 is missing, torn or altered .it doesn't begin with step 4")


def audit_segments(run: Path) -> list[bytes]:
    return (run / "log" / "records.jsonl").read_bytes().split(b"\n")[2:-1]


def test_steps_that_lead_elsewhere_are_not_proved(run: Path) -> None:
    # A sealed segment's step is exchanged for a well-formed one: it no longer leads to the next
    # segment's state.
    backend = FaultyProver()
    writer = RunWriter.resume(run, lambda _: backend, [SIGNER])
    journal = Journal(Layout(run).segments, writer.header, writer.header_digest, Files())
    step = journal.step(2, 5)
    wrong = step.gradients.copy()
    wrong[3] += 2**20
    rewrite(journal, 2, replace(step, gradients=wrong))
    with pytest.raises(RunError, match="segments/2 don't lead to the state that the next segment begins with"):
        writer.drain()
    writer.abandon()
    assert backend.proved == 0


def test_steps_that_the_writer_could_not_have_written_are_refused(run: Path) -> None:
    writer = resume(run)
    writer.abandon()
    journal = Journal(Layout(run).segments, writer.header, writer.header_digest, Files())
    step = journal.step(2, 5)
    rewrite(journal, 2, replace(step, lr=("0.1", "0.1")))
    refused(run, "segments/2 is missing, torn or altered .step 5 has 2 learning rates")
    rewrite(journal, 2, *(replace(step, number=number) for number in (5, 6, 7)))
    refused(
        run, "segments/2/journal is missing, torn or altered .it has too many frames .expected at most 3, found more"
    )


def test_settled_segments_may_lose_their_journal(run: Path) -> None:
    for segment in ("0", "1"):
        shutil.rmtree(run / "private" / "segments" / segment)
    writer = resume(run)
    writer.close()
    assert len(audit(run, FaultyProver()).segments) == 3


def test_a_close_record_beyond_the_checkpoint_is_signed(run: Path) -> None:
    resume(run).close({"weights": b"w"})
    leaves = (run / "log" / "records.jsonl").read_bytes()
    edit(run / "log" / "records.jsonl", lambda data: data[: data.rfind(b"\n", 0, -1) + 1])
    sign_again(run)
    (run / "log" / "records.jsonl").write_bytes(leaves.replace(b'"weights":', b'"weighty":'))
    refused(run, "record 5 of .* is not what the journal says")
    (run / "log" / "records.jsonl").write_bytes(leaves)
    with pytest.raises(
        RunError, match="is complete; what should follow its last record was missing, and has been added"
    ):
        resume(run)
    assert audit(run, FaultyProver()).close
    with pytest.raises(RunError, match="is complete: it has a close record"):
        resume(run)


@pytest.mark.parametrize("name", ["log", "proofs", "model", "private/segments"])
def test_run_with_a_linked_folder_is_not_gone_on_with(tmp_path: Path, name: str) -> None:
    """The files that a resume removes as nobody's would be another run's."""
    run, other = tmp_path / "run", tmp_path / "other"
    for path in (run, other):
        writer = begin(path, Files(lambda _: None))
        train(writer, 3)
        writer.abandon()
    (other / "proofs" / "90-0").write_bytes(b"a proof of theirs")
    before = {p: p.stat().st_mtime_ns for p in other.rglob("*")}
    shutil.rmtree(run / name)
    (run / name).symlink_to(other / name)
    with pytest.raises(RunError, match=f"{name} is a link or not a folder, and nothing is written behind it"):
        resume(run)
    assert {p: p.stat().st_mtime_ns for p in other.rglob("*")} == before
