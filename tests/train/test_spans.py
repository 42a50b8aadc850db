import random

import pytest

from zk_autograd.train.spans import MOST, Lane, Marks, Span, joined


def test_the_smallest_gaps_are_closed_first() -> None:
    spans = [Span.of(0, 1, 0), Span.of(5, 6, 1), Span.of(6.5, 7, 2), Span.of(20, 21, 3)]
    found = joined(spans, 3)
    assert [(s.begin, s.end, s.first, s.last, s.count) for s in found] == [
        (0, 1, 0, 0, 1),
        (5, 7, 1, 2, 2),
        (20, 21, 3, 3, 1),
    ]
    assert found[1].busy == 1.5
    assert joined(spans, 1) == [Span(0, 21, 0, 3, 3.5, 4)]
    assert joined(spans, 4) == spans
    assert joined([], 1) == []


def test_order_and_direction_of_what_is_given_do_not_matter() -> None:
    spans = [Span.of(0, 1, 0), Span.of(2, 3, 1), Span.of(2, 9, 2), Span.of(4, 5, 3)]
    mixed = [Span.of(s.end, s.begin, s.first) for s in spans]
    random.Random(0).shuffle(mixed)
    assert joined(mixed, 2) == joined(spans, 2)
    assert joined(mixed, 2)[-1].end == 9


@pytest.mark.parametrize("number", [1, 2 * MOST, 5 * MOST])
def test_a_lane_is_bounded_and_loses_no_work(number: int) -> None:
    lane, marks = Lane(), Marks()
    for i in range(number):
        lane.add(Span.of(2 * i, 2 * i + 1, i))
        marks.add(i)
    assert len(lane.spans) <= 2 * MOST
    assert (lane.busy, sum(s.count for s in lane.spans)) == (number, number)
    assert (lane.spans[0].first, lane.spans[-1].last) == (0, number - 1)
    assert len(marks.times) <= 2 * MOST
    assert marks.times[0] == 0
