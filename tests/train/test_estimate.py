from dataclasses import replace

import pytest

from tests.train.test_summary import HEADER
from zk_autograd.core.hyper import Rule
from zk_autograd.prove.ezkl.choice import cost as ezkl_cost
from zk_autograd.prove.native.choice import PROOF_BYTES
from zk_autograd.prove.native.choice import cost as native_cost
from zk_autograd.prove.native.preset import DEFAULT_PRESET
from zk_autograd.prove.native.shape import Shape
from zk_autograd.prove.protocol import Cost, Planned
from zk_autograd.train.estimate import Estimate, Proving, of_run, spoken
from zk_autograd.train.rehearsal import Rehearsal

REHEARSED = Rehearsal(
    steps=10, step=0.01, once=2, step_bytes=700, start_bytes=5000, public_bytes=9000, there=True, header=HEADER
)
NOT_HERE = Proving(10, 0, "as measured elsewhere")


def estimated(
    backend: str,
    sizes: list[int],
    steps: int,
    planned: Planned,
    proving: Proving = NOT_HERE,
    rehearsed: Rehearsal = REHEARSED,
    rule: Rule = Rule.ADAM,
) -> Estimate:
    return of_run(backend, rule, sizes, steps, planned, rehearsed, proving, cores=2, backlog=2)


@pytest.mark.parametrize(
    ("sizes", "steps", "segments", "proofs"),
    [([31], 100, 2, 2), ([31], 64, 1, 1), ([33], 64, 1, 2), ([32, 1], 65, 2, 4), ([650], 20, 1, 21)],
)
def test_proofs_are_one_for_each_block_and_segment(sizes: list[int], steps: int, segments: int, proofs: int) -> None:
    found = estimated("ezkl", sizes, steps, Planned(32, 64, "", ezkl_cost(4000)))
    assert (found.segments, found.proofs) == (segments, proofs)
    assert found.proving_seconds == 10 * proofs
    assert found.total_seconds >= 2 + 20 + 10 * proofs  # once, and for the keys
    assert found.public_bytes > 9000 + 4000 * proofs
    assert found.private_bytes >= 5000 * (segments + 1) + 700 * steps


@pytest.mark.parametrize(
    ("steps", "shard_steps", "segments"),
    [(100, 100, 2), (100, 64, 2), (100, 50, 2), (100, 65, 3), (100, 10, 10), (7, 10, 1)],
)
def test_segment_ends_where_a_shard_of_the_data_does(steps: int, shard_steps: int, segments: int) -> None:
    rehearsed = replace(REHEARSED, data_bytes=10**9)
    proving = Proving(10, 0, "")
    planned = Planned(32, 64, "", Cost())
    found = of_run(
        "native", Rule.ADAM, [31], steps, planned, rehearsed, proving, cores=2, backlog=2, shard_steps=shard_steps
    )
    assert (found.segments, found.proofs) == (segments, segments)
    assert found.private_bytes > 10**9


def test_run_without_proofs_takes_its_steps_and_no_keys() -> None:
    found = estimated("none", [31], 100, Planned(31, 16, "", Cost()))
    assert (found.segments, found.proofs, found.proving_seconds, found.cache_bytes) == (7, 0, 0, 0)
    assert found.training_seconds == pytest.approx(1)
    assert found.total_seconds == pytest.approx(3)
    assert "proving" not in "\n".join(found.lines())


def test_steps_hide_behind_proofs_and_the_first_proof_takes_longer() -> None:
    planned = Planned(2**13, 8, "", Cost())
    one, two = (estimated("native", [5000], steps, planned, Proving(1, 0.5, "")) for steps in (8, 800))
    assert one.total_seconds == pytest.approx(2 + 0.08 + 1.5)
    assert two.proving_seconds == pytest.approx(100.5)
    assert two.training_seconds == pytest.approx(8)
    assert 2 + 100.5 < two.total_seconds < 2 + 100.5 + 8


def test_several_blocks_are_proved_one_after_the_other() -> None:
    found = estimated("native", [8, 8, 8], 8, Planned(8, 8, "", Cost()), Proving(1, 0, ""))
    assert found.total_seconds == pytest.approx(2 + 0.08 + 3)


def test_estimate_says_that_it_is_one_and_from_what() -> None:
    found = estimated("ezkl", [31], 100, Planned(32, 64, "", ezkl_cost(4000)))
    text = "\n".join(found.lines())
    assert "from      10 steps of this training just now, recorded on the disk of the run: 10.0 ms each" in text
    assert "as measured elsewhere" in text
    assert "estimates" in found.lines()[-1]
    assert found.to_json()["proofs"] == 2
    assert found.to_json()["estimated_from"] == list(found.basis)
    elsewhere = replace(REHEARSED, there=False)
    assert "among temporary files" in "\n".join(
        estimated("none", [31], 100, Planned(31, 16, "", Cost()), rehearsed=elsewhere).lines()
    )


@pytest.mark.parametrize("rule", Rule)
def test_native_proof_needs_no_keys(rule: Rule) -> None:
    planned = Planned(2**13, 8, "", native_cost(rule, Shape(rule, DEFAULT_PRESET, 13, 3)))
    found = estimated("native", [5000], 100, planned, rule=rule)
    assert (found.segments, found.proofs, found.cache_bytes) == (13, 13, 0)
    assert found.public_bytes > 13 * PROOF_BYTES


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (12.34, "12.3 s"), (119, "119.0 s"), (600, "10 min"), (86400, "24.0 h")]
)
def test_times_are_said_in_their_unit(seconds: float, text: str) -> None:
    assert spoken(seconds) == text
