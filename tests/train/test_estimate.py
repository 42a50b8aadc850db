from math import ceil

import pytest

from zk_autograd.core.hyper import Rule
from zk_autograd.core.rules import state_names
from zk_autograd.train.estimate import (
    NATIVE_PROOF_BYTES,
    NATIVE_PROOF_SECONDS,
    NATIVE_ROWS_PER_SECOND,
    hashed_run,
    native_run,
    proved_run,
)


@pytest.mark.parametrize(
    ("sizes", "steps", "segments", "proofs"),
    [([31], 100, 2, 2), ([31], 64, 1, 1), ([33], 64, 1, 2), ([32, 1], 65, 2, 4), ([650], 20, 1, 21)],
)
def test_proofs_are_one_for_each_block_and_segment(sizes: list[int], steps: int, segments: int, proofs: int) -> None:
    found = proved_run(Rule.ADAM, sizes, steps, block=32, segment_steps=64, proof_bytes=4000)
    assert (found.segments, found.proofs) == (segments, proofs)
    assert found.seconds == 20 + 10 * proofs
    assert found.public_bytes > 4000 * proofs
    assert found.private_bytes > 8 * 3 * sum(sizes) + 4 * sum(sizes) * steps


def test_run_without_proofs_takes_no_proofs_and_no_keys() -> None:
    found = hashed_run(Rule.ADAM, [31], 100, block=31, segment_steps=16)
    assert (found.segments, found.proofs, found.seconds, found.cache_bytes) == (7, 0, 0, 0)


def test_estimate_says_that_it_is_one_and_from_what() -> None:
    found = proved_run(Rule.ADAM, [31], 100, block=32, segment_steps=64, proof_bytes=4000)
    assert "measured on two idle cores" in "\n".join(found.lines())
    assert "estimates" in found.lines()[-1]
    assert found.to_json()["proofs"] == 2


@pytest.mark.parametrize("rule", Rule)
def test_native_proof_costs_its_rows_and_no_keys(rule: Rule) -> None:
    found = native_run(rule, [5000], 100, block=2**13, segment_steps=8)
    assert (found.segments, found.proofs, found.cache_bytes) == (13, 13, 0)
    assert found.seconds == ceil(13 * (NATIVE_PROOF_SECONDS + 2**16 / NATIVE_ROWS_PER_SECOND[len(state_names(rule))]))
    assert found.public_bytes > 13 * NATIVE_PROOF_BYTES
    assert f"{NATIVE_ROWS_PER_SECOND[len(state_names(rule))]:,} rows a second" in "\n".join(found.lines())
