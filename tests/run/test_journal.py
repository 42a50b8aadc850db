"""The journal: what is written comes back, what was altered is refused, and nobody else may read
it."""

import os
import stat
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from tests.run.trainer import SIZE, first_weights, gradients, hashed_backend, make_header
from zk_autograd.core.errors import RunError
from zk_autograd.run.claims import Claims
from zk_autograd.run.files import Files
from zk_autograd.run.journal import Journal, Salts, Start, Step
from zk_autograd.run.private_file import MAGIC
from zk_autograd.run.step import first_state

RUN = bytes(32)
BACKEND = hashed_backend()
HEADER = make_header(BACKEND)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path, HEADER, RUN, Files(lambda _: None))


def a_start(segment: int = 0, first: int = 1) -> Start:
    return Start(segment, first, first_state(HEADER, first_weights()), Salts.draw(BACKEND, HEADER), b"loop")


def a_step(number: int = 1) -> Step:
    return Step(
        number, gradients(number), ("0.1", "1e-3"), Claims("0.25", 7, sha256(b"batch").digest(), b"\x00state\n")
    )


def test_a_start_comes_back(journal: Journal) -> None:
    start = a_start(3, 17)
    journal.begin(start)
    again = journal.start(3)
    assert (again.segment, again.first, again.loop_state, again.salts) == (3, 17, b"loop", start.salts)
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


def test_a_step_comes_back(journal: Journal) -> None:
    journal.begin(a_start())
    extreme = np.resize(np.array([2**30 - 1, 1 - 2**30, 0]), SIZE)
    step = a_step()
    journal.write_step(0, Step(1, extreme, step.lr, step.claims))
    again = journal.step(0, 1)
    np.testing.assert_array_equal(again.gradients, extreme)
    assert again.gradients.dtype == np.int32
    assert (again.lr, again.claims) == (step.lr, step.claims)


@pytest.mark.parametrize("value", [2**30, -(2**30), 2**32])
def test_gradients_that_do_not_fit_are_not_written(journal: Journal, value: int) -> None:
    journal.begin(a_start())
    with pytest.raises(ValueError, match="don't fit"):
        journal.write_step(0, Step(1, np.full(SIZE, value), (), Claims()))
    assert journal.steps(0) == []


def test_segments_and_steps_are_listed_in_the_order_of_their_numbers(journal: Journal, tmp_path: Path) -> None:
    for segment in (0, 2, 10):
        journal.begin(a_start(segment))
    (tmp_path / "11").mkdir()  # begun by a crash: no start
    (tmp_path / "notes").mkdir()
    assert journal.segments() == [0, 2, 10]
    for number in (9, 10, 8):
        journal.write_step(2, a_step(number))
    (tmp_path / "2" / ".step-11.tmp").write_bytes(b"half")
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
        journal.begin(a_start())
        journal.write_step(0, a_step())
        journal.publish(0, 0, b"proof")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "0").stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "0").iterdir()} == {0o600}


def test_a_file_altered_anywhere_is_refused(journal: Journal, tmp_path: Path) -> None:
    journal.begin(a_start())
    journal.write_step(0, a_step())
    path = tmp_path / "0" / "step-1"
    good = path.read_bytes()
    for position in range(0, len(good), 3):
        path.write_bytes(good[:position] + bytes([good[position] ^ 1]) + good[position + 1 :])
        with pytest.raises(RunError):
            journal.step(0, 1)
    path.write_bytes(good)
    journal.step(0, 1)


@pytest.mark.parametrize("cut", [0, 1, 10, 60, 200, -1])
def test_a_torn_or_lengthened_file_is_refused_by_name(journal: Journal, tmp_path: Path, cut: int) -> None:
    journal.begin(a_start())
    path = tmp_path / "0" / "start"
    good = path.read_bytes()
    for data in (good[:cut], good + b"\0"):
        path.write_bytes(data)
        with pytest.raises(RunError, match=r"0/start is missing, torn or altered .*; restore it from a copy"):
            journal.start(0)


def test_a_missing_file_is_refused(journal: Journal) -> None:
    journal.begin(a_start())
    with pytest.raises(RunError, match="step-1 is missing"):
        journal.step(0, 1)


def test_a_file_does_not_pass_for_another(journal: Journal, tmp_path: Path) -> None:
    journal.begin(a_start(0))
    journal.begin(a_start(1))
    journal.write_step(0, a_step(1))
    journal.publish(0, 0, b"proof")
    moves: dict[tuple[str, str], Callable[[], object]] = {
        ("0/start", "1/start"): lambda: journal.start(1),
        ("0/step-1", "0/step-2"): lambda: journal.step(0, 2),
        ("0/start", "0/step-3"): lambda: journal.step(0, 3),
        ("0/published", "1/published"): lambda: journal.published(1),
    }
    for (source, target), reading in moves.items():
        (tmp_path / target).write_bytes((tmp_path / source).read_bytes())
        with pytest.raises(RunError, match="expected"):
            reading()
    other = Journal(tmp_path, HEADER, sha256(b"another run").digest(), Files())
    with pytest.raises(RunError, match="belongs to another run"):
        other.step(0, 1)


def test_a_file_whose_parts_do_not_add_up_is_refused(journal: Journal, tmp_path: Path) -> None:
    journal.begin(a_start())
    path = tmp_path / "0" / "start"
    longer = path.read_bytes()[:-32] + b"\0"
    path.write_bytes(longer + sha256(longer).digest())
    with pytest.raises(RunError, match="its parts don't add up"):
        journal.start(0)


def test_a_file_of_another_version_says_so(journal: Journal, tmp_path: Path) -> None:
    journal.begin(a_start())
    path = tmp_path / "0" / "start"
    path.write_bytes(path.read_bytes().replace(MAGIC, b"zk-autograd/private/v9\n"))
    with pytest.raises(RunError, match=r"another version .*v9.*; use the version that began the run"):
        journal.start(0)
