"""Segments of a run, opened by its trainer: what was trained and committed to, or nothing."""

import io
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.run import exact_run, native_run
from tests.run.plain_run import create, expected_states
from tests.run.trainer import SIGNER, FaultyProver, gradients, hashed_backend, make_header, train
from zk_autograd.core.errors import RunError, UsageError
from zk_autograd.core.hyper import Rule
from zk_autograd.core.progress import silent
from zk_autograd.core.records import PRIVATE, PUBLIC, Header
from zk_autograd.evidence.data_secrets import DataSecrets
from zk_autograd.evidence.openings import OpenedSegment, Openings
from zk_autograd.prove.native.backend import NativeBackend
from zk_autograd.prove.protocol import Backend, Committing
from zk_autograd.run.exact_files import ExactFiles
from zk_autograd.run.files import Files
from zk_autograd.run.forgetting import forget
from zk_autograd.run.journal import Journal, Start
from zk_autograd.run.opening import Opening, data_secrets, exact_files
from zk_autograd.run.recorded import Choice, Recorded, recorded
from zk_autograd.run.writer import RunWriter
from zk_autograd.verify.challenge import Challenge
from zk_autograd.verify.policy import TreeHead

QUIET = Files(lambda _: None)


def trained(path: Path, steps: int = 5) -> Path:
    """A finished run of three segments, or of `steps` steps."""
    writer = create(path)
    train(writer, steps)
    writer.close()
    return path


def opened(run: Path, choice: Choice | None = None, backend: Backend | None = None) -> Openings:
    found = recorded(run)
    pieces = Opening(found, backend or hashed_backend()).pieces(choice or found.all(), None, silent)
    return Openings(io.BytesIO(b"".join(pieces)), found.log)


def require_committed(found: Recorded, one: OpenedSegment, after: dict[str, np.ndarray], backend: Committing) -> None:
    """As an auditor does: the log's record of the segment commits to what was opened."""
    header, secrets = found.log.header, one.secrets
    record = found.log.segments[secrets.index]
    for state, salts, wanted in (
        (one.state, secrets.state_in, record.state_in),
        (after, secrets.state_out, record.state_out),
    ):
        for name in header.states:
            made = tuple(backend.commit(header.padded(state[name], b), salt) for b, salt in enumerate(salts[name]))
            assert made == wanted[name]
    for b, own in enumerate(header.blocks):
        rows = np.zeros((header.prover.steps, header.prover.block), np.int32)
        rows[: len(one.gradients), : own.size] = one.gradients[:, own.offset : own.offset + own.size]
        assert backend.commit_gradients(rows, secrets.gradients[b]) == record.gradients[b]


@pytest.mark.parametrize("closed", [False, True])
def test_every_segment_opens_as_long_as_the_run_is_not_forgotten(tmp_path: Path, closed: bool) -> None:
    """While it is trained, and years later: settling and closing delete nothing. The last segment
    is shorter than the others."""
    writer = create(tmp_path / "run")
    train(writer, 5)
    writer.close() if closed else writer.drain()
    found, states = recorded(tmp_path / "run"), expected_states(Rule.ADAM, 5)
    file = opened(tmp_path / "run")
    assert (file.index.segments, file.index.chosen) == ((0, 1, 2), "all")
    assert (file.index.run, file.index.size) == (found.log.header_digest, found.size)
    places = []
    for one in file.segments():
        first, last = one.secrets.first, one.secrets.last
        places.append((first, last))
        for name, values in states[first - 1].items():
            assert np.array_equal(one.state[name], values)
        assert np.array_equal(one.gradients, [gradients(t) for t in range(first, last + 1)])
        require_committed(found, one, states[last], hashed_backend())
    assert places == [(1, 2), (3, 4), (5, 5)]
    if not closed:
        writer.abandon()


def sharded(backend: NativeBackend) -> tuple[Header, ExactFiles]:
    """A header of native commitments to data in three shards, and the run's files."""
    plain = exact_run.exact_header()
    assert plain.exact is not None
    salts = tuple(backend.draw_salt() for _ in plain.shards.counts)
    made = tuple(backend.commit_data(plain.shards.padded(exact_run.CELLS, i), salt) for i, salt in enumerate(salts))
    header = replace(
        native_run.make_header(), data=replace(plain.data, root=b""), exact=replace(plain.exact, shards=made)
    )
    return header, replace(exact_run.exact_files(), secrets=DataSecrets(salts))


def test_a_run_of_native_commitments_opens(tmp_path: Path) -> None:
    backend = NativeBackend(native_run.SHAPE)
    header, exact = sharded(backend)
    weights = native_run.first_weights(header)
    writer = RunWriter.create(tmp_path / "run", header, backend, [SIGNER], weights, files=QUIET, exact=exact)
    native_run.train(writer, 2)
    writer.drain()
    native_run.train(writer, 3)
    after = writer.state
    writer.close()
    found = recorded(tmp_path / "run")
    (one,) = opened(tmp_path / "run", found.listed("1"), backend).segments()
    require_committed(found, one, dict(after), backend)
    assert data_secrets(found, backend) == exact.secrets
    other = exact.cells.copy()
    other[-1, -1] ^= 1
    for false in (
        replace(exact, cells=other),
        replace(exact, secrets=DataSecrets(exact.secrets.salts[::-1])),
    ):
        false.write(found.layout, header, found.log.header_digest, QUIET)
        with pytest.raises(RunError, match="private/data was altered"):
            data_secrets(found, backend)


def test_segments_apart_from_each_other(tmp_path: Path) -> None:
    """Each is checked at its own beginning, though the one before it isn't opened."""
    run = trained(tmp_path / "run", 9)
    found = recorded(run)
    file = opened(run, found.listed("4,0,2-3"))
    assert (file.index.segments, file.index.chosen) == ((0, 2, 3, 4), "trainer")
    assert [one.secrets.first for one in file.segments()] == [1, 5, 7, 9]


def _other_weight(start: Start) -> Start:
    state = {name: values.copy() for name, values in start.state.items()}
    state["M"][3] += 1
    return replace(start, state=state)


def _other_salt(what: str) -> Callable[[Start], Start]:
    def changed(start: Start) -> Start:
        salts = start.salts
        if what == "G":
            return replace(start, salts=replace(salts, gradients=(bytes(32), *salts.gradients[1:])))
        states = {"in": salts.state_in, "out": salts.state_out}
        other = {**states[what], "V": (*states[what]["V"][:-1], bytes(32))}
        return replace(start, salts=replace(salts, state_in=other) if what == "in" else replace(salts, state_out=other))

    return changed


def _as_it_is(start: Start) -> Start:
    return start


@pytest.mark.parametrize("closely", [False, True])
@pytest.mark.parametrize(
    ("segment", "change", "gradient", "what"),
    [
        (1, _other_weight, 0, "state before"),
        (2, _other_weight, 0, "state after"),
        (1, _other_salt("in"), 0, "state before"),
        (1, _other_salt("out"), 0, "state after"),
        (2, _other_salt("in"), 0, "salts"),
        (1, _other_salt("G"), 0, "gradients"),
        (1, _as_it_is, 1, "gradients"),
    ],
)
def test_a_journal_that_was_altered_is_not_shown(
    tmp_path: Path, segment: int, change: Callable[[Start], Start], gradient: int, what: str, closely: bool
) -> None:
    """Segment 1 is opened, alone or after segment 0, and it or the next one was written again with
    one number changed; all digests of the files are right."""
    run = trained(tmp_path / "run", 6)
    found = recorded(run)
    journal = Journal(found.layout.segments, found.log.header, found.log.header_digest, QUIET)
    steps = [journal.step(segment, t) for t in journal.steps(segment)]
    journal.begin(change(journal.start(segment)))
    for step in steps:
        values = step.gradients.copy()
        values[-1] += gradient
        journal.write_step(segment, replace(step, gradients=values))
    segments = found.listed("0-1" if closely else "1")
    if closely and segment == 1 and what in ("state before",):
        what = "state after|salts"  # of segment 0
    with pytest.raises(RunError, match=rf"segments/[01] was altered: its ({what}) are not what .* restore the folder"):
        opened(run, segments)


def test_a_journal_that_lacks_a_step_is_not_shown(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", 6)
    found = recorded(run)
    path = found.layout.segments / "1" / "journal"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(RunError, match="is missing, torn or altered"):
        opened(run, found.listed("1"))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "no list of segments such as 0,3-5"),
        ("1,,2", "no list of segments"),
        ("-1", "no list of segments"),
        ("1-", "no list of segments"),
        ("01", "no list of segments"),
        ("٣", "no list of segments"),
        ("0 ,1", "no list of segments"),
        ("2-1", "ends before it begins"),
        ("3", "segment 3 of .* is not recorded: it has 3 segments"),
        ("0-99999999999", "segment 99999999999 of .* is not recorded"),
    ],
)
def test_a_list_of_segments_that_is_none(tmp_path: Path, text: str, sentence: str) -> None:
    found = recorded(trained(tmp_path / "run"))
    with pytest.raises(UsageError, match=sentence):
        found.listed(text)
    assert found.listed("2,0-1,1").segments == (0, 1, 2)


def challenges(found: Recorded) -> Iterator[tuple[Challenge, str]]:
    """Those that another log draws from, and what is said of them."""
    head = TreeHead(found.all().root, found.size)
    right = Challenge(head, 3, 2, b"seed", True)
    yield replace(right, head=TreeHead(b"r" * 32, found.size)), "is of another log"
    yield replace(right, head=TreeHead(head.root, 4), count=2), "is of another log"
    yield (
        replace(right, head=TreeHead(head.root, 99), count=97),
        "has 6: it was drawn for another run, or this is an older copy",
    )
    yield replace(right, count=4), "draws from 4 segments, and under its root the log has 3"


def test_a_challenge_is_answered_by_the_log_that_it_was_drawn_from(tmp_path: Path) -> None:
    run = trained(tmp_path / "run")
    found = recorded(run)
    for challenge, sentence in challenges(found):
        with pytest.raises(RunError, match=sentence):
            found.drawn(challenge)
    whole = found.all()
    choice = found.drawn(Challenge(TreeHead(whole.root, whole.size), 3, 2, b"seed", True))
    assert choice == Choice((0, 2), whole.root, whole.size, "challenge")
    assert opened(run, choice).index.chosen == "challenge"


def test_a_challenge_from_before_the_run_went_on(tmp_path: Path) -> None:
    """Whoever drew has an older root: the answer is for that one."""
    writer = create(tmp_path / "run")
    train(writer, 4)
    writer.drain()
    early = recorded(tmp_path / "run").all()
    train(writer, 7)
    writer.close()
    found = recorded(tmp_path / "run")
    choice = found.drawn(Challenge(TreeHead(early.root, early.size), 2, 2, b"seed", True))
    assert choice == Choice((0, 1), early.root, early.size, "challenge")
    file = opened(tmp_path / "run", choice)
    assert (file.index.root, file.index.size) == (early.root, early.size)


def test_what_can_not_be_opened_says_why(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no run at"):
        recorded(tmp_path / "nothing")
    writer = create(tmp_path / "new")
    with pytest.raises(UsageError, match="no recorded segment yet"):
        recorded(tmp_path / "new").all()
    writer.abandon()
    run = trained(tmp_path / "run")
    (run / "private").rename(tmp_path / "private")
    with pytest.raises(RunError, match="has no private folder: only its trainer"):
        recorded(run)
    (tmp_path / "private").rename(run / "private")
    forget(run, QUIET, now="2026-02-03T04:05:06Z", unfinished=False, advance=silent)
    with pytest.raises(RunError, match=r"was forgotten on 2026-02-03T04:05:06Z: .* nor its commitments opened"):
        recorded(run)


def test_a_log_that_is_not_the_private_folder_s(tmp_path: Path) -> None:
    one, other = trained(tmp_path / "one"), trained(tmp_path / "other", 7)
    records = (one / "log" / "records.jsonl").read_bytes()
    (one / "log" / "records.jsonl").write_bytes(records.replace(b'"0.3"', b'"0.4"'))
    with pytest.raises(RunError, match=r"can't be opened: .* does not have the root of its checkpoint"):
        recorded(one)
    shutil.rmtree(one / "log")
    shutil.copytree(other / "log", one / "log")
    with pytest.raises(RunError, match=r"segments/0 was altered: its state before"):
        opened(one)
    writer = create(tmp_path / "third", header=replace(make_header(hashed_backend()), run=bytes(16)))
    train(writer, 3)
    writer.close()
    shutil.rmtree(one / "log")
    shutil.copytree(tmp_path / "third" / "log", one / "log")
    with pytest.raises(RunError, match="its first record is not the header in the folder private"):
        recorded(one)


def test_a_journal_with_other_ends_than_the_log_s(tmp_path: Path) -> None:
    run, writer = trained(tmp_path / "run"), create(tmp_path / "other")
    train(writer, 1)
    writer.drain()
    train(writer, 5)
    writer.close()
    shutil.rmtree(run / "private" / "segments")
    shutil.copytree(tmp_path / "other" / "private" / "segments", run / "private" / "segments")
    with pytest.raises(RunError, match=r"segments/0 was altered: its steps are not"):
        opened(run)


def test_a_backend_that_commits_to_no_gradients(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="it commits to no gradients by itself"):
        opened(trained(tmp_path / "run"), backend=FaultyProver())


@pytest.mark.parametrize("visibility", [PRIVATE, PUBLIC])
def test_the_data_are_opened_if_they_are_those_that_were_committed_to(tmp_path: Path, visibility: str) -> None:
    run = tmp_path / "run"
    writer = exact_run.create(run, visibility=visibility)
    train(writer, 3)
    writer.close()
    found, backend, whole = recorded(run), hashed_backend(), exact_run.exact_files(visibility)
    assert data_secrets(found, backend) == whole.secrets
    read = exact_files(found, backend)
    assert (read.cells.tolist(), read.features) == (exact_run.CELLS.tolist(), exact_run.FEATURES)
    others = exact_run.CELLS.copy()
    others[7, 2] ^= 1
    bad = [replace(whole, cells=others)]
    if visibility == PRIVATE:
        bad.append(replace(whole, secrets=DataSecrets((b"t" * 32,))))
    for false in bad:
        shutil.rmtree(found.layout.cells.parent, ignore_errors=True)
        false.write(found.layout, found.log.header, found.log.header_digest, QUIET)
        with pytest.raises(
            RunError,
            match=r"private/data was altered: its cells and salts are not|data/cells is missing, or is not the one",
        ):
            data_secrets(found, backend)


def test_a_run_with_float_gradients_has_no_cells(tmp_path: Path) -> None:
    found = recorded(trained(tmp_path / "run"))
    assert data_secrets(found, hashed_backend()) is None
    with pytest.raises(UsageError, match="are not exact: it has no committed cells"):
        exact_files(found, hashed_backend())
