"""Packed segments: a sequence of what was put in."""

from dataclasses import replace

import pytest

from tests.verify.run_builder import honest
from zk_autograd.core.segments import Segments

RUN = honest()
HONEST = Segments(RUN.header, RUN.segments)


def test_segments_come_out_as_they_went_in() -> None:
    assert len(HONEST) == 3
    assert list(HONEST) == RUN.segments
    assert [HONEST[i] for i in (-1, 0, 1)] == [RUN.segments[i] for i in (-1, 0, 1)]
    assert HONEST[1:] == tuple(RUN.segments[1:])
    assert HONEST[:-1:2] == tuple(RUN.segments[:-1:2])
    assert list(HONEST[0].state_in) == list(RUN.header.states)
    for number in (3, -4):
        with pytest.raises(IndexError):
            HONEST[number]


def test_segments_are_equal_if_all_are() -> None:
    assert Segments(RUN.header, RUN.segments) == HONEST == tuple(RUN.segments)
    assert Segments(RUN.header, RUN.segments[:2]) != HONEST
    assert Segments(RUN.header, [*RUN.segments[:2], replace(RUN.segments[2], loss=())]) != HONEST
    assert HONEST != 3


def test_places_and_rates_need_no_unpacking() -> None:
    assert list(HONEST.places()) == [(s.index, s.first, s.last) for s in RUN.segments]
    recorded = honest("none", schedule="recorded", groups=2)
    segments = Segments(recorded.header, recorded.segments)
    assert [segments.lr(i) for i in range(3)] == [s.lr for s in recorded.segments]
    assert [HONEST.lr(i) for i in range(3)] == [()] * 3


def test_a_state_in_that_is_not_the_state_out_before_it_is_told() -> None:
    assert [HONEST.follows(i) for i in range(3)] == [False, True, True]
    other = dict(RUN.segments[1].state_in)
    other["V"] = (other["V"][0], bytes(64))
    bent = [RUN.segments[0], replace(RUN.segments[1], state_in=other), RUN.segments[2]]
    segments = Segments(RUN.header, bent)
    assert [segments.follows(i) for i in range(3)] == [False, False, True]
    assert list(segments) == bent


@pytest.mark.parametrize("loss", [(), ("0.5",)])
@pytest.mark.parametrize("saturated", [(), (0,)])
def test_claims_are_told_if_there_are_any(loss: tuple[str, ...], saturated: tuple[int, ...]) -> None:
    silent = replace(RUN.segments[0], loss=(), saturated=())
    speaking = replace(silent, loss=loss, saturated=saturated)
    assert Segments(RUN.header, [silent, speaking, silent]).claims == bool(loss or saturated)


@pytest.mark.parametrize("field", ["gradients", "proofs"])
def test_a_segment_of_another_run_is_not_taken(field: str) -> None:
    short = replace(RUN.segments[0], **{field: getattr(RUN.segments[0], field)[:1]})
    with pytest.raises(ValueError, match="other commitments or proofs"):
        Segments(RUN.header, [short])
