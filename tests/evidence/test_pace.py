"""What a server may send, and how long it may take, on a clock that the test holds."""

from collections.abc import Callable

import pytest

from zk_autograd.evidence.pace import LIMITS, LimitReachedError, Limits, Pace

SMALL = Limits(total=1000, connect=2, idle=5, patience=10, rate=10, seconds=100)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pace(clock: Clock) -> Pace:
    made = Pace(SMALL, clock=clock)
    made.begin()
    return made


def test_no_byte_is_waited_for_longer_than_there_is_time(pace: Pace, clock: Clock) -> None:
    assert (pace.wait(), pace.wait(2)) == (5, 2)
    clock.now += 7
    assert pace.wait() == 3
    clock.now += 2.5
    assert pace.wait(2) == 0.5
    clock.now += 0.5
    with pytest.raises(LimitReachedError, match="less than 10 bytes a second, after 10 seconds"):
        pace.wait()


def test_bytes_of_a_body_buy_time_and_others_do_not(pace: Pace, clock: Clock) -> None:
    clock.now += 9
    pace.took(30)
    assert pace.wait() == 4
    clock.now += 4
    pace.received(500)
    with pytest.raises(LimitReachedError, match="too slow"):
        pace.wait()


def test_a_byte_a_second_ends(pace: Pace, clock: Clock) -> None:
    start = clock.now
    with pytest.raises(LimitReachedError, match="too slow"):
        while True:
            pace.wait()
            clock.now += 1
            pace.received(1)
            pace.took(1)
    assert clock.now - start < 13


def test_one_answer_buys_no_time_for_another(pace: Pace, clock: Clock) -> None:
    pace.took(900)
    pace.end()
    pace.begin()
    clock.now += 10
    with pytest.raises(LimitReachedError, match="too slow"):
        pace.wait()


def test_everything_together_has_a_bound_in_seconds(pace: Pace, clock: Clock) -> None:
    for _ in range(11):
        clock.now += 9
        pace.end()
        clock.now += 10**6  # the verifier's own work
        pace.begin()
    assert pace.wait() == 1
    clock.now += 1
    with pytest.raises(LimitReachedError, match="longer than 100 seconds in all"):
        pace.wait()


def test_everything_together_has_a_bound_in_bytes(pace: Pace) -> None:
    too_much: list[Callable[[], None]] = [lambda: pace.received(1), lambda: pace.expect(601)]
    pace.received(1000)
    pace.took(400)
    pace.expect(600)
    for spend in too_much:
        with pytest.raises(LimitReachedError, match="more than 1000 bytes"):
            spend()


def test_what_is_late(pace: Pace, clock: Clock) -> None:
    assert str(pace.late()) == "nothing came for 5 seconds"
    clock.now += 11
    assert "it is too slow" in str(pace.late())


def test_progress_never_exceeds_what_is_expected() -> None:
    told: list[tuple[int, int]] = []
    pace = Pace(progress=lambda what, done, total: told.append((done, total)))
    for size in (2**20, 2**18):
        pace.begin()
        pace.expect(size)
        for _ in range(4):
            pace.took(size // 4)
        pace.end()
    assert told == [(256, 1024), (512, 1024), (768, 1024), (1024, 1024)] + [(1024 + 64 * i, 1280) for i in range(1, 5)]


def test_the_bounds_of_zk_verify() -> None:
    assert Limits(2**34, 10, 30, 30, 2**14, 7200) == LIMITS
