"""The journal: what is written comes back, what was altered is refused, and nobody else may read
it."""

import os
import stat
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from tests.run.trainer import BLOCK, SIZE, first_weights, gradients, hashed_backend, make_header
from zk_autograd.core.errors import RunError
from zk_autograd.run.claims import Claims
from zk_autograd.run.files import Files
from zk_autograd.run.frames import MAGIC
from zk_autograd.run.journal import Journal, Salts, Start, Step, Told
from zk_autograd.run.step import first_state

RUN = bytes(32)
BACKEND = hashed_backend()
HEADER = make_header(BACKEND)
HEADER = replace(HEADER, prover=replace(HEADER.prover, steps=8))


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return opened(tmp_path)


def opened(folder: Path, run: bytes = RUN) -> Journal:
    """The journal as another process finds it."""
    return Journal(folder, HEADER, run, Files(lambda _: None))


def a_start(segment: int = 0, first: int = 1) -> Start:
    return Start(segment, first, first_state(HEADER, first_weights()), Salts.draw(BACKEND, HEADER), b"loop", b"lr")


def a_step(number: int = 1) -> Step:
    claims = Claims("0.25", 7, sha256(b"batch").digest(), b"\x00state\n")
    return Step(number, gradients(number), ("0.1", "1e-3"), claims, b"settings")


def written(journal: Journal, steps: int, segment: int = 0, first: int = 1) -> None:
    """A segment with that many steps."""
    journal.begin(a_start(segment, first))
    for number in range(first, first + steps):
        journal.write_step(segment, a_step(number))


def test_a_start_comes_back(journal: Journal, tmp_path: Path) -> None:
    start = a_start(3, 17)
    journal.begin(start)
    again = opened(tmp_path).start(3)
    assert (again.segment, again.first, again.loop_state, again.salts) == (3, 17, b"loop", start.salts)
    assert again.settings == b"lr"
    for name in HEADER.states:
        np.testing.assert_array_equal(again.state[name], start.state[name])
        assert again.state[name].dtype == np.int64


def test_salts_of_a_state_are_those_of_the_segment_before(journal: Journal) -> None:
    first = Salts.draw(BACKEND, HEADER)
    second = Salts.draw(BACKEND, HEADER, first.state_out)
    assert second.state_in == first.state_out
    drawn = [*first.gradients, *second.gradients, first.batches, second.batches]
    for states in (first.state_in, first.state_out, second.state_out):
        drawn += [salt for blocks in states.values() for salt in blocks]
    assert len(set(drawn)) == len(drawn) == 3 * (2 + 3 * 3) + 2


def test_a_step_comes_back(journal: Journal, tmp_path: Path) -> None:
    journal.begin(a_start())
    extreme = np.resize(np.array([2**30 - 1, 1 - 2**30, 0]), SIZE)
    step = a_step()
    journal.write_step(0, replace(step, gradients=extreme))
    again = opened(tmp_path).step(0, 1)
    np.testing.assert_array_equal(again.gradients, extreme)
    assert again.gradients.dtype == np.int32
    assert (again.lr, again.claims, again.settings) == (step.lr, step.claims, step.settings)


def test_what_a_record_tells_of_the_steps_is_read_without_the_rest(journal: Journal, tmp_path: Path) -> None:
    written(journal, 2)
    path = tmp_path / "0" / "journal"
    assert opened(tmp_path).told(0) == [Told.of(a_step(1)), Told.of(a_step(2))]
    path.write_bytes(path.read_bytes().replace(b"\x00state\n", b"\x00other\n"))
    assert opened(tmp_path).told(0) == [Told.of(a_step(1)), Told.of(a_step(2))]
    with pytest.raises(RunError, match=r"0/journal is missing, torn or altered \(the digest of its part loop doesn't"):
        opened(tmp_path).step(0, 1)


def test_a_block_of_all_steps_comes_back(journal: Journal, tmp_path: Path) -> None:
    written(journal, 5, first=4)
    for first, last in ((4, 8), (5, 5), (6, 7)):
        whole = np.array([gradients(number) for number in range(first, last + 1)])
        for offset in range(0, SIZE, BLOCK):
            found = opened(tmp_path).block(0, offset, min(BLOCK, SIZE - offset), first, last)
            np.testing.assert_array_equal(found, whole[:, offset : offset + BLOCK])
            assert found.dtype == np.int32
    for first, last in ((3, 4), (8, 9)):
        with pytest.raises(RunError, match=r"0/journal is missing, torn or altered \(it has no step"):
            opened(tmp_path).block(0, 0, 1, first, last)


@pytest.mark.parametrize("value", [2**30, -(2**30), 2**32])
def test_gradients_that_do_not_fit_are_not_written(journal: Journal, value: int) -> None:
    journal.begin(a_start())
    with pytest.raises(ValueError, match="don't fit"):
        journal.write_step(0, replace(a_step(), gradients=np.full(SIZE, value)))
    assert journal.steps(0) == []


@pytest.mark.parametrize("number", [0, 1, 3])
def test_only_the_next_step_is_written(journal: Journal, tmp_path: Path, number: int) -> None:
    written(journal, 1)
    for writing in (journal, opened(tmp_path)):
        with pytest.raises(ValueError, match=f"step {number} can't follow step 1"):
            writing.write_step(0, a_step(number))
    assert journal.steps(0) == [1]


def test_segments_and_steps_are_listed_in_the_order_of_their_numbers(journal: Journal, tmp_path: Path) -> None:
    for segment in (0, 10, 2):
        written(journal, 3, segment, 8)
    (tmp_path / "11").mkdir()  # begun by a crash: nothing is in it
    (tmp_path / "12").mkdir()
    (tmp_path / "12" / ".journal.tmp").write_bytes(b"half")
    (tmp_path / "notes").mkdir()
    assert journal.segments() == [0, 2, 10]
    assert journal.steps(2) == [8, 9, 10]


def test_published_proofs_are_counted_once_each(journal: Journal) -> None:
    journal.begin(a_start())
    assert journal.published(0) == {}
    for block, proof in ((1, b"a"), (0, b"a"), (1, b"b"), (1, b"a")):
        journal.publish(0, block, proof)
    a, b = sha256(b"a").digest(), sha256(b"b").digest()
    assert journal.published(0) == {1: [a, b], 0: [a]}


def test_nobody_else_can_read_it(journal: Journal, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        written(journal, 1)
        journal.publish(0, 0, b"proof")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "0").stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "0").iterdir()} == {0o600}


def read_all(folder: Path) -> None:
    """All of a segment of three steps, as a resumption and the prover read it."""
    journal = opened(folder)
    journal.start(0)
    assert journal.reopen(0) == [1, 2, 3]
    for number in (1, 2, 3):
        journal.step(0, number)


def test_a_file_altered_anywhere_is_refused(journal: Journal, tmp_path: Path) -> None:
    written(journal, 3)
    path = tmp_path / "0" / "journal"
    good = path.read_bytes()
    read_all(tmp_path)
    for position in range(0, len(good), 5):
        path.write_bytes(good[:position] + bytes([good[position] ^ 1]) + good[position + 1 :])
        with pytest.raises(RunError, match=r"0/journal is (missing, torn or altered|of another version)"):
            read_all(tmp_path)
    path.write_bytes(good)
    read_all(tmp_path)


@pytest.mark.parametrize("cut", [0, 1, 10, 60, 200, -1])
def test_a_start_that_is_cut_or_missing_is_refused_by_name(journal: Journal, tmp_path: Path, cut: int) -> None:
    journal.begin(a_start())
    path = tmp_path / "0" / "journal"
    path.write_bytes(path.read_bytes()[:cut])
    for reading in (journal.start, journal.reopen, journal.steps, journal.told):
        with pytest.raises(RunError, match=r"0/journal is missing, torn or altered .*; restore it from a copy"):
            reading(0)
    path.unlink()
    with pytest.raises(RunError, match=r"0/journal is missing, torn or altered .*; restore it from a copy"):
        journal.start(0)


def test_a_file_does_not_pass_for_another(journal: Journal, tmp_path: Path) -> None:
    for segment in (0, 1):
        written(journal, 1, segment)
    journal.publish(0, 0, b"proof")
    moves: dict[tuple[str, str], tuple[Callable[[], object], str]] = {
        ("0/journal", "1/journal"): (lambda: journal.start(1), "another run or segment"),
        ("0/published", "1/published"): (lambda: journal.published(1), "expected"),
    }
    for (source, target), (reading, reason) in moves.items():
        (tmp_path / target).write_bytes((tmp_path / source).read_bytes())
        with pytest.raises(RunError, match=reason):
            reading()
    with pytest.raises(RunError, match="another run or segment"):
        opened(tmp_path, sha256(b"another run").digest()).step(0, 1)


def test_a_file_of_another_version_says_so(journal: Journal, tmp_path: Path) -> None:
    journal.begin(a_start())
    path = tmp_path / "0" / "journal"
    path.write_bytes(path.read_bytes().replace(MAGIC, b"zk-autograd/journal/v9\n"))
    with pytest.raises(RunError, match=r"another version .*v9.*; use the version that began the run"):
        journal.start(0)
