"""A statement names its place and its constants, and nothing but the records goes into it."""

from dataclasses import replace
from fractions import Fraction

import pytest

from tests.core.test_records import header, segment
from zk_autograd.core.constants import AdamConstants, AdamSequence
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.records import Group
from zk_autograd.core.statement import Statement, StatementBuilder

DIGEST = bytes(range(32))


def test_the_context_names_the_place() -> None:
    place = Statement(DIGEST, 1, 2, 3, 4, ())
    others = [
        replace(place, header_digest=bytes(32)),
        replace(place, segment=2),
        replace(place, first_step=1),
        replace(place, block=0),
        Statement(DIGEST, 2, 1, 3, 4, ()),
    ]
    assert len({s.context for s in (place, *others)}) == len(others) + 1
    high, low = place.context_elements
    assert high.to_bytes(16, "big") + low.to_bytes(16, "big") == place.context


def test_each_block_has_the_constants_of_its_group_and_no_ops_at_the_end() -> None:
    h = header()
    s = segment(h)
    statements = StatementBuilder(h, DIGEST).of_segment(s)
    assert [(x.block, x.block_size, x.segment, x.first_step) for x in statements] == [
        (0, 4, 0, 1),
        (1, 2, 0, 1),
        (2, 1, 0, 1),
    ]
    for statement, group in zip(statements, (0, 0, 1), strict=True):
        sequence = h.sequence(group)
        rates = [Fraction(step[group]) for step in s.lr]
        assert statement.constants[:3] == tuple(sequence.at(t + 1, lr) for t, lr in enumerate(rates))
        assert statement.constants[3:] == (AdamConstants.no_op(),) * 2
    assert statements[0].constants != statements[2].constants


def test_a_constant_schedule_uses_the_headers_rate() -> None:
    h = header(schedule="constant")
    s = replace(segment(h, first=4, last=6), lr=())
    assert StatementBuilder(h, DIGEST).of_segment(s)[0].constants[0] == h.sequence(0).at(4)


def test_a_recorded_rate_that_no_step_can_use_is_refused() -> None:
    h = header()
    for rate in ("1e9", "-1", "x"):
        with pytest.raises(VerificationError):
            StatementBuilder(h, DIGEST).of_segment(replace(segment(h), lr=((rate, "0.1"),) * 3))


def test_groups_of_equal_hyper_parameters_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stranger's header may have a thousand of them, and pays nothing for it. With recorded rates
    each has its own."""
    computed: list[int] = []
    at = AdamSequence.at

    def counting(self: AdamSequence, t: int, lr: Fraction | None = None) -> AdamConstants:
        computed.append(t)
        return at(self, t, lr)

    monkeypatch.setattr(AdamSequence, "at", counting)
    h = header(schedule="cosine:steps=9,end=0.1")
    first, second = h.groups
    h = replace(h, groups=(first, Group((("lr", "0.02"), *second.hyper[1:]), second.s)))
    equal = replace(h, groups=(second,) * 2)
    s = replace(segment(h), lr=())
    statements = StatementBuilder(equal, DIGEST).of_segment(s)
    assert computed == [1, 2, 3]
    assert {statement.constants for statement in statements} == {statements[0].constants}
    assert statements[0].constants[:3] == tuple(equal.sequence(0).at(t) for t in (1, 2, 3))
    computed.clear()
    other = StatementBuilder(h, DIGEST).of_segment(s)
    assert len(computed) == 6
    assert [x.constants[1] for x in other] == [h.sequence(g).at(2) for g in (0, 0, 1)]
    computed.clear()
    recorded = header()
    recorded = replace(recorded, groups=(recorded.groups[1],) * 2)
    StatementBuilder(recorded, DIGEST).of_segment(segment(recorded))
    assert len(computed) == 6
