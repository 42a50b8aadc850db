"""Why Adam's relations have one root (crates/air/src/adam.rs): the argument on small fields, where
all values can be tried.

With limbs of b bits in the place of 16, p = 2^4b - 2^2b + 1 in that of 2^64 - 2^32 + 1. The prover
chooses the limbs of a and of b = 2 S - a; the relations are V* = S S + a and the lookups of the
limbs and of a1 + b1 + q + 1.
"""

import numpy as np
import pytest


def solutions(bits: int, q: int, *, tied: bool = True) -> tuple[list[int], list[int], list[int]]:
    """V*, S and a of each choice of limbs that the relations accept, for V* in its range; `tied` is
    whether a1 + b1 + q + 1 is looked up."""
    p = 2 ** (4 * bits) - 2 ** (2 * bits) + 1
    largest = (2 ** (2 * bits - 2) + 2 ** (bits - 1)) ** 2
    limb = np.arange(2**bits)
    a0, a1, b0, b1 = (grid.reshape(-1) for grid in np.meshgrid(limb, limb, limb, limb, indexing="ij"))
    if tied:
        kept = a1 + b1 + q + 1 < 2**bits
        a0, a1, b0, b1 = a0[kept], a1[kept], b0[kept], b1[kept]
    a, b = a0 + (a1 << bits), b0 + (b1 << bits)
    S = (a + b) * ((p + 1) // 2) % p
    V = (S * S + a) % p
    kept = largest >= V
    return V[kept].tolist(), S[kept].tolist(), a[kept].tolist()


@pytest.mark.parametrize("bits", [3, 4, 5])
def test_every_second_moment_has_one_root(bits: int) -> None:
    V, S, a = solutions(bits, 0)
    roots = np.array([int(np.sqrt(v)) for v in V])
    roots -= roots * roots > np.array(V)
    roots += (roots + 1) ** 2 <= np.array(V)
    assert (roots == np.array(S)).all()
    assert (np.array(V) - roots * roots == np.array(a)).all()
    largest = (2 ** (2 * bits - 2) + 2 ** (bits - 1)) ** 2
    assert sorted(V) == list(range(largest + 1))  # each once, and none without


@pytest.mark.parametrize("bits", [3, 4, 5])
def test_without_the_tie_of_the_high_limbs_there_are_others(bits: int) -> None:
    V, _, _ = solutions(bits, 0, tied=False)
    assert len(V) > len(set(V))


@pytest.mark.parametrize("bits", [3, 4])
def test_a_larger_quotient_leaves_no_second_root(bits: int) -> None:
    for q in range(2**bits):
        V, S, _ = solutions(bits, q)
        assert len(V) == len(set(V))
        assert all(s * s <= v < (s + 1) ** 2 for v, s in zip(V, S, strict=True))
