from dataclasses import replace

import pytest

from zk_autograd.core.hyper import Rule
from zk_autograd.workload.estimate import hashed_run, proved_run


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
    found = replace(hashed_run(Rule.SGD, [31], 1, block=31, segment_steps=16), proofs=3)
    assert "measured on two idle cores" in "\n".join(found.lines())
    assert "estimates" in found.lines()[-1]
    assert found.to_json()["proofs"] == 3
