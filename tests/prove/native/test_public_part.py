"""The module as it is built (a release build, unlike the tests in Rust): each public value and each
byte of a stored proof matters, and Rust's rules are the oracle's on states that no training begins
with."""

import random
from collections.abc import Iterator
from dataclasses import astuple, replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from tests.core import oracle_rules as oracle
from tests.prove.native.examples import shape_of
from tests.prove.native.golden import STORED, cases
from tests.prove.native.test_backend import example
from tests.prove.native.test_golden import PROOF, stored_public
from zk_autograd.core.constants import (
    AdamConstants,
    LionConstants,
    RmspropConstants,
    SgdConstants,
    StepConstants,
    numbers,
)
from zk_autograd.core.formats import IntArray
from zk_autograd.core.hyper import Rule
from zk_autograd.core.rules import state_names, step
from zk_autograd.prove.native.verify import Public, split
from zk_autograd.verify.proofs import MAX_PROOF

pytestmark = pytest.mark.usefixtures("native_prover")

COMMITMENTS, BODY = split(cases()[STORED].shape, PROOF)


@cache
def of_sgd() -> tuple[Public, list[bytes], bytes]:
    """A proof of SGD's, whose s is a public value, too."""
    backend, statement, _, proof = example(Rule.SGD_MOMENTUM)
    assert backend.check(statement, proof.proof) == proof
    shape = shape_of(Rule.SGD_MOMENTUM)
    return Public.of(shape, statement), *split(shape, proof.proof)


def verdict(public: Public, commitments: list[bytes] = COMMITMENTS, body: bytes = BODY) -> str:
    """What the module says, "" if the proof is one. ValueError for a public part that no statement
    has."""
    from zk_autograd import _native

    try:
        _native.verify(*public, commitments, body)
    except _native.ProofError as error:
        assert "could not be read" not in str(error)  # that is a panic, caught
        return str(error)
    return ""


def others(public: Public) -> Iterator[tuple[str, Public]]:
    """The public part with one value in it another."""
    for rule in Rule:
        if rule.value != public.rule:
            yield f"rule {rule.value}", public._replace(rule=rule.value)
    yield "preset", public._replace(preset="strict")
    yield "decay", public._replace(decay=not public.decay)
    yield "first", public._replace(first=not public.first)
    if public.rule.startswith("sgd"):  # others have none, and 0 in every statement
        for s in (15, 0, 1, 2**31):
            steps = [(*step[:3], s, step[4]) for step in public.constants]
            yield f"s {s}", public._replace(s=s, constants=steps)
            yield f"s {s} of the statement", public._replace(s=s)
    for change in (-1, 1, 7):
        yield f"log_params {change}", public._replace(log_params=public.log_params + change)
    for more in (0, 1, 2, 4, 5, 40):
        if more != public.log_steps:
            yield f"log_steps {more}", public._replace(log_steps=more)
    for index, constants in enumerate(public.constants):
        for place in range(len(constants)):
            for value in {
                constants[place] + 1,
                constants[place] - 1,
                0,
                2**15,
                -1,
                2**30,
                2**53 + 1,
                2**63 - 1,
                -(2**63),
            }:
                if value != constants[place]:
                    new = (*constants[:place], value, *constants[place + 1 :])
                    yield (
                        f"constant {index}, {place}: {value}",
                        public._replace(constants=[*public.constants[:index], new, *public.constants[index + 1 :]]),
                    )
        for other in range(index):
            swapped = list(public.constants)
            swapped[index], swapped[other] = swapped[other], swapped[index]
            if swapped != public.constants:
                yield f"steps {index} and {other}", public._replace(constants=swapped)
    yield "a step less", public._replace(constants=public.constants[:-1])
    yield "a step more", public._replace(constants=[*public.constants, public.constants[-1]])
    for place in range(32):
        context = bytearray(public.context)
        context[place] ^= 1 << (place % 8)
        yield f"context {place}", public._replace(context=bytes(context))
    yield "a short context", public._replace(context=public.context[:-1])
    yield "a long context", public._replace(context=public.context + b"\0")


@pytest.mark.parametrize("rule", ["adam", "sgd"])
def test_each_public_value_is_what_the_proof_holds_for(rule: str) -> None:
    public, commitments, body = of_sgd() if rule == "sgd" else (stored_public(STORED), COMMITMENTS, BODY)
    assert verdict(public, commitments, body) == ""
    fields = set()
    for name, other in others(public):
        try:
            assert verdict(other, commitments, body) != "", name
        except (ValueError, OverflowError):  # no statement at all
            continue
        fields.add(name.split()[0])
    assert {"rule", "preset", "first", "decay", "constant", "context", "s" if rule == "sgd" else "rule"} <= fields


def test_each_commitment_is_what_the_proof_holds_for() -> None:
    public = stored_public(STORED)
    for number, commitment in enumerate(COMMITMENTS):
        for place in range(0, len(commitment), 5):
            changed = bytearray(commitment)
            changed[place] ^= 1
            assert verdict(public, [*COMMITMENTS[:number], bytes(changed), *COMMITMENTS[number + 1 :]]) != ""
        for other in range(number):
            swapped = list(COMMITMENTS)
            swapped[number], swapped[other] = swapped[other], swapped[number]
            assert verdict(public, swapped) != ""
        for length in (0, 55, 57):
            changed = bytearray(length)
            changed[:56] = commitment[:length]
            assert verdict(public, [*COMMITMENTS[:number], bytes(changed), *COMMITMENTS[number + 1 :]]) != ""
    for commitments in ([], COMMITMENTS[:-1], [*COMMITMENTS, COMMITMENTS[-1]], COMMITMENTS[::-1]):
        assert verdict(public, commitments) != ""


def test_no_bytes_make_the_built_module_panic_or_accept() -> None:
    """What the tests in Rust do with checks of overflow, on the build that users have."""
    public, rng = stored_public(STORED), random.Random(5)
    changes: list[bytes] = [
        b"",
        b"\0",
        BODY[:-1],
        BODY + b"\0",
        BODY * 2,
        BODY[1:],
        bytes(len(BODY)),
        b"\xff" * len(BODY),
    ]
    changes += [b"\xff" * MAX_PROOF, bytes(MAX_PROOF)]
    for _ in range(150):
        start = rng.randrange(len(BODY))
        length = min(2 ** rng.randrange(13), len(BODY) - start)
        piece = BODY[start : start + length]
        changes.append(
            BODY[:start]
            + rng.choice(
                [bytes(length), b"\xff" * length, b"", piece + piece, rng.randbytes(length), piece[::-1] + b"\1"]
            )
            + BODY[start + length :]
        )
    for changed in changes:
        if changed != BODY:
            assert verdict(public, body=changed) != ""


# ---- the rules


ADAM = AdamConstants(c1=3277, c2=33, LR=2**24 + 1, E=2**24 + 1, D=0)
SGD = SgdConstants(mu=29491, cg=2**15, LR=2**24 + 1, s=30, D=0)
DISTINCT = 64


def starts(rule: Rule) -> dict[str, IntArray]:
    """States of every size, none of them zero, and integers that floats would round."""
    rng = np.random.default_rng(17)

    def sized(bits: int) -> IntArray:
        values = rng.integers(2 ** (bits - 1), 2**bits, DISTINCT) >> rng.integers(0, bits - 1, DISTINCT)
        signed: IntArray = (values | 1) * rng.choice([-1, 1], DISTINCT)
        return signed

    W = sized(44)
    W[0] = 2**24 + 1
    if rule in (Rule.ADAM, Rule.ADAMW, Rule.LION, Rule.RMSPROP):
        size = np.abs(sized(28))
        V = size * size + 2
        V[:2] = 2**53 + 1, 2**55 + 1
        if rule is Rule.RMSPROP:
            return {"W": W, "V": V}
        if rule is Rule.LION:
            return {"W": W, "M": sized(44)}
        return {"W": W, "M": (size << 14) * rng.choice([-1, 1], DISTINCT) + 1, "V": V}
    return {"W": W} if rule is Rule.SGD else {"W": W, "B": sized(27)}


def by_oracle(rule: Rule, state: dict[str, int], G: int, c: StepConstants) -> dict[str, int]:
    own: dict[str, int] | oracle.Violation
    if isinstance(c, AdamConstants):
        own = oracle.adam(state["W"], state["M"], state["V"], G, oracle.Adam(*astuple(c)))
    elif isinstance(c, LionConstants):
        own = oracle.lion(state["W"], state["M"], G, oracle.Lion(*astuple(c)))
    elif isinstance(c, RmspropConstants):
        own = oracle.rmsprop(state["W"], state["V"], G, oracle.Rmsprop(*astuple(c)))
    else:
        rule_of = oracle.nesterov if rule is Rule.NESTEROV else oracle.sgd
        own = rule_of(state["W"], state.get("B", 0), G, oracle.Sgd(*astuple(c)))
    assert isinstance(own, dict), own
    return {name: own[name] for name in state}


@pytest.mark.parametrize("rule", Rule)
@pytest.mark.parametrize("decay", [0, 2**24 + 1])
def test_numpy_and_rust_go_on_from_any_state_as_the_oracle_does(rule: Rule, decay: int) -> None:
    """Six steps and two no-ops. Rust compares the whole way, so that one unit anywhere is seen."""
    from zk_autograd import _native

    shape = shape_of(rule)
    base: StepConstants
    no_op: StepConstants
    if rule is Rule.LION:
        base, no_op = LionConstants(c1=3277, c2=328, LR=2**24 + 1, D=decay), LionConstants.no_op()
    elif rule is Rule.RMSPROP:
        base, no_op = RmspropConstants(c2=328, LR=2**20 + 1, E=687, D=decay), RmspropConstants.no_op()
    elif rule in (Rule.ADAM, Rule.ADAMW):
        base, no_op = replace(ADAM, D=decay), AdamConstants.no_op()
    else:
        base, no_op = replace(SGD, D=decay, mu=0 if rule is Rule.SGD else 29491), SgdConstants.no_op(30)
    constants = [base] * 6 + [no_op] * 2
    rng = np.random.default_rng(23)
    rows = [starts(rule)]
    G = np.zeros((8, DISTINCT), np.int64)
    G[:6] = rng.integers(-(2**24), 2**24, (6, DISTINCT)) | 1
    for gradients, c in zip(G, constants, strict=True):
        names = state_names(rule)
        wanted = [
            by_oracle(rule, {n: int(rows[-1][n][i]) for n in names}, int(gradients[i]), c) if c is base else None
            for i in range(DISTINCT)
        ]
        rows.append(step(rule, rows[-1], gradients, c))
        for i, one in enumerate(wanted):
            before = {n: int(rows[-2][n][i]) for n in names}
            assert {n: int(rows[-1][n][i]) for n in names} == (before if one is None else one)
    repeat = shape.block // DISTINCT
    states = {n: np.stack([np.tile(row[n], repeat) for row in rows]) for n in state_names(rule)}
    gradients = np.tile(G, (1, repeat))

    def explained(changed: dict[str, IntArray]) -> Any:
        buffers = {n: np.ascontiguousarray(v).tobytes() for n, v in changed.items()}
        s = constants[0].s if isinstance(constants[0], SgdConstants) else 0
        sizes = shape.log_params, shape.log_steps
        return _native.explain(
            rule.value, s, decay != 0, *sizes, [numbers(c) for c in constants], buffers, gradients.tobytes()
        )

    assert explained(states) is None
    for name in states:
        for t, place, unit in ((1, 0, 1), (3, 1, -1), (6, 2, 1)):
            changed = {n: v.copy() for n, v in states.items()}
            changed[name][t][place] += unit
            found = explained(changed)
            assert found is not None
            assert found[1] == place
