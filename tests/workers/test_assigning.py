"""Which worker gets a task."""

from zk_autograd.workers.assigning import FAILURES, Assigning

PLACE = (0, 0)


def test_the_one_with_the_fewest_gets_a_task() -> None:
    assigning = Assigning()
    assert [assigning.choose("abc", (0, n), 1) for n in range(6)] == [*"abcabc"]
    assigning.done("b")
    assert assigning.choose("abc", (1, 0), 1) == "b"


def test_a_task_that_goes_out_again_goes_elsewhere() -> None:
    assigning = Assigning()
    chosen = []
    for attempt in (1, 2, 3):
        chosen.append(assigning.choose("abc", PLACE, attempt))
        for _ in range(attempt):  # it is idle at once, as one that lies is
            assigning.done(chosen[-1])
    assert sorted(chosen) == [*"abc"]
    assert assigning.choose("ab", PLACE, 1) == "a"  # a resumed run's first attempt


def test_one_that_fails_often_is_asked_last() -> None:
    assigning = Assigning()
    for n in range(FAILURES):
        assert assigning.choose("ab", (0, n), 1) == "a"
        assigning.done("a")
        assert assigning.choose("ab", (0, n), 2) == "b"
    assert assigning.choose("ab", (1, 0), 1) == "b"
    assert assigning.choose("a", (1, 1), 1) == "a"
