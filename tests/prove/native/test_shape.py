"""Shapes: which there are, how a header names them, and which one a run gets."""

from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zk_autograd.core.errors import VerificationError
from zk_autograd.core.hyper import Rule
from zk_autograd.core.records import MAX_SEGMENT_STEPS, Prover
from zk_autograd.prove.native.preset import Preset
from zk_autograd.prove.native.shape import Shape, choose, circuit_digest, names, shifts

PROVER = Prover("native", "1", 2**13, 2**3, "native/adam-standard", bytes(32))


def every_size() -> list[tuple[int, int]]:
    return [(n, t) for n in range(13, 21) for t in range(8) if 16 <= n + t <= 20]


@pytest.mark.parametrize("preset", Preset)
@pytest.mark.parametrize("rule", Rule)
def test_header_names_a_shape_and_nothing_else_does(rule: Rule, preset: Preset) -> None:
    for log_params, log_steps in every_size():
        shape = Shape(rule, preset, log_params, log_steps)
        prover = Prover("native", "1", shape.block, shape.steps, shape.name, bytes(32))
        assert Shape.of(prover) == shape
        assert shape.steps <= MAX_SEGMENT_STEPS


def test_every_name_is_of_one_circuit() -> None:
    assert len(set(names())) == len(names()) == len(Rule) * len(Preset)
    assert "native/sgd-momentum-standard" in names()


@pytest.mark.parametrize("log_params", range(-2, 23))
def test_shape_outside_the_bounds_is_refused(log_params: int) -> None:
    for log_steps in range(-2, 23):
        if (log_params, log_steps) not in every_size():
            with pytest.raises(VerificationError, match="no such shape"):
                Shape(Rule.ADAM, Preset.STANDARD, log_params, log_steps)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"circuit": "native/adam"}, "no such circuit"),
        ({"circuit": "native/adam-lax"}, "no such circuit"),
        ({"circuit": "native/adagrad-standard"}, "no such circuit"),
        ({"circuit": "adam-n32-t64"}, "no such circuit"),
        ({"circuit": ""}, "no such circuit"),
        ({"block": 2**13 - 1}, "block must be a power of two"),
        ({"block": 0}, "block must be a power of two"),
        ({"steps": 6}, "steps must be a power of two"),
        ({"steps": 0}, "steps must be a power of two"),
        ({"block": 2**12, "steps": 2**4}, "no such shape"),
        ({"block": 2**40}, "no such shape"),
        ({"block": 2**13, "steps": 2**2}, "no such shape"),
        ({"block": 2**13, "steps": 2**8}, "no such shape"),
    ],
)
def test_header_of_no_shape_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(VerificationError, match=message):
        Shape.of(replace(PROVER, **changes))


@given(st.lists(st.integers(1, 2**24), min_size=1, max_size=4), st.none() | st.integers(1, 2**40))
def test_shape_that_is_chosen_fits_the_run(sizes: list[int], steps: int | None) -> None:
    shape = choose(Rule.ADAM, sizes, steps)
    assert shape.log_params <= 17
    assert shape.block >= max(sizes) or shape.log_params == 17
    assert shape.block < 2 * max(sizes) or shape.log_params == 13
    if steps is not None:
        cost = {t: -(-steps // 2**t) * (2 ** (n + t) + 2**17) for n, t in every_size() if n == shape.log_params}
        assert shape.log_steps == max(t for t, rows in cost.items() if rows == min(cost.values()))


@pytest.mark.parametrize(
    ("sizes", "steps", "block", "per_proof"),
    [
        ([31], 100, 2**13, 128),
        ([31], 128, 2**13, 128),
        ([31], 129, 2**13, 64),
        ([31], 1000, 2**13, 128),
        ([31], 9, 2**13, 16),
        ([31], 1, 2**13, 8),
        ([5000], 64, 2**13, 64),
        ([2**13 + 1], 100, 2**14, 64),
        ([100_000, 5], 16, 2**17, 8),
        ([10**7], 1, 2**17, 1),
        ([31], None, 2**13, 16),
        ([2**16], None, 2**16, 16),
        ([2**17], None, 2**17, 8),
    ],
)
def test_shape_is_the_cheapest_in_all(sizes: list[int], steps: int | None, block: int, per_proof: int) -> None:
    shape = choose(Rule.NESTEROV, sizes, steps, Preset.STRICT)
    assert (shape.rule, shape.preset, shape.block, shape.steps) == (Rule.NESTEROV, Preset.STRICT, block, per_proof)


@pytest.mark.usefixtures("native_prover")
@pytest.mark.parametrize("rule", Rule)
def test_commitments_are_in_the_compiled_modules_order(rule: Rule) -> None:
    from zk_autograd import _native

    assert list(Shape(rule, Preset.STANDARD, 13, 3).commitment_names) == _native.commitment_names(rule.value)


@pytest.mark.usefixtures("native_prover")
def test_digest_covers_every_variant_and_tells_circuits_apart() -> None:
    from zk_autograd import _native

    digests = {name: circuit_digest(name) for name in names()}
    assert len(set(digests.values())) == len(names())
    text = _native.describe("sgd", 30, "strict") + _native.describe("sgd", 15, "strict")
    assert digests["native/sgd-strict"] == sha256(text.encode()).digest()
    assert digests["native/adam-standard"] == sha256(_native.describe("adam", 0, "standard").encode()).digest()
    shape = Shape(Rule.ADAM, Preset.STANDARD, 14, 2)
    assert shape.prover == Prover("native", "1", 2**14, 4, "native/adam-standard", digests["native/adam-standard"], b"")


@pytest.mark.usefixtures("native_prover")
@pytest.mark.parametrize("preset", Preset)
@pytest.mark.parametrize("rule", Rule)
def test_every_shape_has_100_proven_bits(rule: Rule, preset: Preset) -> None:
    from zk_autograd import _native

    for log_params, log_steps in every_size():
        proven = Shape(rule, preset, log_params, log_steps).security()
        assert 100 <= proven < 110
        variants = [_native.security(rule.value, s, preset.value, log_params, log_steps) for s in shifts(rule)]
        assert proven == min(variants)
