"""What the compiled module is told of a statement, and how a stored proof is cut: nothing of it
needs the module."""

import sys
from dataclasses import replace
from types import ModuleType

import pytest

import zk_autograd
from tests.prove.native.examples import shape_of, statement_of
from zk_autograd.core.constants import SgdConstants
from zk_autograd.core.errors import UsageError, VerificationError
from zk_autograd.core.hyper import Rule
from zk_autograd.prove.native.preset import Preset
from zk_autograd.prove.native.shape import Shape
from zk_autograd.prove.native.verify import NativeVerifier, Public, split


def test_public_part_of_adam_is_the_statements() -> None:
    statement = statement_of(Rule.ADAM)
    public = Public.of(shape_of(Rule.ADAM), statement)
    assert public[:7] == ("adam", 0, "standard", False, True, 13, 3)
    first = statement.constants[0]
    assert public.constants[0] == (first.c1, first.c2, first.LR, first.E, 0)  # type: ignore[union-attr]
    assert public.constants[-1] == (0, 0, 0, 1, 0)
    assert len(public.constants) == 8
    assert public.context == statement.context


@pytest.mark.parametrize("s", [15, 30])
def test_public_part_of_sgd_has_the_s_of_the_constants(s: int) -> None:
    statement = statement_of(Rule.NESTEROV, s=s)
    public = Public.of(shape_of(Rule.NESTEROV, Preset.STRICT), statement)
    assert public[:7] == ("sgd-nesterov", s, "strict", False, True, 13, 3)
    first = statement.constants[0]
    assert isinstance(first, SgdConstants)
    assert public.constants[0] == (first.mu, 2**15, first.LR, s, 0)
    assert public.constants[-1] == (2**15, 0, 0, s, 0)


def test_decay_in_any_step_makes_the_relation_with_decay() -> None:
    statement = statement_of(Rule.ADAMW)
    assert not Public.of(shape_of(Rule.ADAMW), statement).decay
    for place in range(6):
        constants = list(statement.constants)
        constants[place] = replace(constants[place], D=1)
        assert Public.of(shape_of(Rule.ADAMW), replace(statement, constants=tuple(constants))).decay


def test_segment_0_alone_is_the_first() -> None:
    shape = shape_of(Rule.SGD)
    assert [Public.of(shape, statement_of(Rule.SGD, segment=i)).first for i in range(3)] == [True, False, False]


def test_constants_of_several_s_or_of_another_rule_are_refused() -> None:
    fine, coarse = statement_of(Rule.SGD, s=30), statement_of(Rule.SGD, s=15)
    mixed = replace(fine, constants=(*fine.constants[:7], coarse.constants[7]))
    for rule, statement in ((Rule.SGD, mixed), (Rule.ADAM, fine), (Rule.SGD, statement_of(Rule.ADAM))):
        with pytest.raises(VerificationError, match="not the rule's, or differ in s"):
            Public.of(shape_of(rule), statement)


def test_statement_of_another_length_is_refused() -> None:
    with pytest.raises(VerificationError, match="differ in their number of steps"):
        Public.of(Shape(Rule.ADAM, Preset.STANDARD, 13, 4), statement_of(Rule.ADAM))


@pytest.mark.parametrize(("rule", "count"), [(Rule.SGD, 3), (Rule.SGD_MOMENTUM, 5), (Rule.ADAMW, 7)])
def test_proof_is_its_commitments_and_its_body(rule: Rule, count: int) -> None:
    parts = [bytes([i]) * 56 for i in range(count)]
    assert split(shape_of(rule), b"".join(parts) + b"body") == (parts, b"body")
    assert split(shape_of(rule), b"".join(parts)) == (parts, b"")
    with pytest.raises(VerificationError, match="too short for its commitments"):
        split(shape_of(rule), b"".join(parts)[:-1])


def test_missing_module_says_how_to_get_it(without_native: None) -> None:
    with pytest.raises(UsageError, match=r"compiled module is not installed: install a wheel .* `make install`"):
        NativeVerifier(shape_of(Rule.ADAM))


def test_module_of_older_sources_is_a_missing_one(monkeypatch: pytest.MonkeyPatch) -> None:
    older = ModuleType("zk_autograd._native")
    monkeypatch.setitem(sys.modules, older.__name__, older)
    monkeypatch.setattr(zk_autograd, "_native", older, raising=False)
    with pytest.raises(UsageError, match=r"_native was built from older sources: run `make install` again"):
        NativeVerifier(shape_of(Rule.ADAM))
