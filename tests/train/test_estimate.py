from math import ceil

import pytest

from zk_autograd.core.hyper import Rule
from zk_autograd.core.rules import state_names
from zk_autograd.prove.ezkl.choice import cost as ezkl_cost
from zk_autograd.prove.native.choice import PROOF_BYTES, PROOF_SECONDS, ROWS_PER_SECOND
from zk_autograd.prove.native.choice import cost as native_cost
from zk_autograd.prove.native.preset import DEFAULT_PRESET
from zk_autograd.prove.native.shape import Shape
from zk_autograd.prove.protocol import Cost, Planned
from zk_autograd.train.estimate import of_run


@pytest.mark.parametrize(
    ("sizes", "steps", "segments", "proofs"),
    [([31], 100, 2, 2), ([31], 64, 1, 1), ([33], 64, 1, 2), ([32, 1], 65, 2, 4), ([650], 20, 1, 21)],
)
def test_proofs_are_one_for_each_block_and_segment(sizes: list[int], steps: int, segments: int, proofs: int) -> None:
    found = of_run("ezkl", Rule.ADAM, sizes, steps, Planned(32, 64, "", ezkl_cost(4000)))
    assert (found.segments, found.proofs) == (segments, proofs)
    assert found.seconds == 20 + 10 * proofs
    assert found.public_bytes > 4000 * proofs
    assert found.private_bytes > 8 * 3 * sum(sizes) + 4 * sum(sizes) * steps


def test_run_without_proofs_takes_no_proofs_and_no_keys() -> None:
    found = of_run("none", Rule.ADAM, [31], 100, Planned(31, 16, "", Cost()))
    assert (found.segments, found.proofs, found.seconds, found.cache_bytes) == (7, 0, 0, 0)


def test_estimate_says_that_it_is_one_and_from_what() -> None:
    found = of_run("ezkl", Rule.ADAM, [31], 100, Planned(32, 64, "", ezkl_cost(4000)))
    assert "measured on two idle cores" in "\n".join(found.lines())
    assert "estimates" in found.lines()[-1]
    assert found.to_json()["proofs"] == 2


@pytest.mark.parametrize("rule", Rule)
def test_native_proof_costs_its_rows_and_no_keys(rule: Rule) -> None:
    found = of_run(
        "native", rule, [5000], 100, Planned(2**13, 8, "", native_cost(rule, Shape(rule, DEFAULT_PRESET, 13, 3)))
    )
    assert (found.segments, found.proofs, found.cache_bytes) == (13, 13, 0)
    assert found.seconds == ceil(13 * (PROOF_SECONDS + 2**16 / ROWS_PER_SECOND[len(state_names(rule))]))
    assert found.public_bytes > 13 * PROOF_BYTES
    assert f"{ROWS_PER_SECOND[len(state_names(rule))]:,} rows a second" in "\n".join(found.lines())
