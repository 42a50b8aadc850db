"""A statement names its place and its constants, and nothing but the records goes into it."""

from dataclasses import replace
from fractions import Fraction

import pytest

from tests.core.test_records import header, segment
from zk_autograd.core.constants import AdamConstants
from zk_autograd.core.errors import VerificationError
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
