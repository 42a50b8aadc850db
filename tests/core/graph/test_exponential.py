from decimal import Decimal
from hashlib import sha256
from math import exp

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.graph import oracle_pass as oracle
from zk_autograd.core.graph.exponential import ENTRIES, probabilities, table

SHA256 = "bad168f7f0d270d75cd61921c12f93d13b85b20ff92c3c3bb32e8402b66be555"
"""Of the table's entries as 4 bytes each, little-endian."""
logits = st.integers(-(2**22) + 1, 2**22 - 1)
near = st.integers(-3 * 4096, 3 * 4096)


def test_the_table_is_an_independent_computations() -> None:
    found = table()
    assert found.dtype == np.int64
    assert found.tolist() == oracle.table()
    assert sha256(found.astype("<i4").tobytes()).hexdigest() == SHA256


def test_the_table_falls_from_one_to_zero() -> None:
    found = table()
    assert found[:3].tolist() == [2**20, 2**20 - 256, 2**20 - 512]
    assert (np.diff(found) <= 0).all()
    assert np.flatnonzero(found)[-1] == 59_621
    assert len(found) == ENTRIES == 2**16
    with pytest.raises(ValueError, match="read-only"):
        found[0] = 1


def test_no_entry_is_near_a_tie() -> None:
    """Each is farther from a half than the series' error, and than the decimal computation's."""
    nearest = min(abs(value % 1 - Decimal("0.5")) for value in oracle.scaled_exponentials())
    assert nearest > Decimal(2) ** -24


@given(st.lists(st.lists(st.one_of(logits, near), min_size=5, max_size=5), min_size=1, max_size=4))
def test_probabilities_are_the_oracles(rows: list[list[int]]) -> None:
    c, p = probabilities(np.array(rows, np.float64))
    for row, own, values in zip(rows, c.tolist(), p.tolist(), strict=True):
        assert (own, values) == oracle.softmax(row)
        assert 2**20 - 2**8 - 5 <= sum(values) <= 2**20
        # the least: one less would be below a logit, or too much
        before = [own - 1 - z for z in row]
        assert min(before) < 0 or sum(oracle.table()[int(min(z, 65535))] for z in before) > 2**20


@pytest.mark.parametrize("classes", [1, 2, 10, 1000, 2**14])
@pytest.mark.parametrize("spread", [0, 1, 50, 4096, 40_000, 2**22 - 1])
def test_probabilities_of_many_classes_and_huge_gaps(classes: int, spread: int) -> None:
    Z = np.random.default_rng(1).integers(-spread, spread, (2, classes), endpoint=True)
    c, p = probabilities(Z.astype(np.float64))
    for row, own, values in zip(Z.tolist(), c.tolist(), p, strict=True):
        assert (own, values.tolist()) == oracle.softmax(row)


def test_a_wrong_guess_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another machine's exp and log may give another guess, never another answer."""
    Z = np.random.default_rng(2).normal(0, 9000, (6, 7)).round()
    wanted = [oracle.softmax([int(z) for z in row]) for row in Z]
    for off in (-70_000.0, -300.0, -1.0, 1.0, 2.0, 5_000.0, 70_000.0, 3e7):
        real = np.ceil
        monkeypatch.setattr("zk_autograd.core.graph.exponential.np.ceil", lambda x, off=off, real=real: real(x) + off)
        c, p = probabilities(Z)
        monkeypatch.undo()
        assert list(zip(c.tolist(), p.tolist(), strict=True)) == wanted


def test_probabilities_are_near_the_real_ones() -> None:
    Z = np.random.default_rng(3).normal(0, 3 * 4096, (200, 10)).round()
    _, p = probabilities(Z)
    for row, found in zip(Z.tolist(), p.tolist(), strict=True):
        sizes = [exp((z - max(row)) / 4096) for z in row]
        for own, size in zip(found, sizes, strict=True):
            assert abs(own / 2**20 - size / sum(sizes)) < 2.5e-4


def test_a_callers_floating_point_errors_change_nothing() -> None:
    with np.errstate(all="raise"):
        c, p = probabilities(np.array([[0.0, -(2.0**22) + 1]]))
    assert (c.tolist(), p.tolist()) == ([0.0], [[2.0**20, 0.0]])
