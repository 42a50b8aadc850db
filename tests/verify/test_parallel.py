"""Work on several threads: results in the order of the tasks, bounded, and stopped where the caller
stops."""

import threading
import time
from collections.abc import Iterator

import pytest

from zk_autograd.core.errors import VerificationError
from zk_autograd.verify import parallel
from zk_autograd.verify.parallel import Task, in_order


@pytest.fixture(autouse=True)
def threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 4)


def slow_first(taken: list[int], failing: frozenset[int] = frozenset(), count: int = 40) -> Iterator[Task]:
    """Earlier tasks take longer, so that later ones are done before them."""

    def work(number: int) -> None:
        time.sleep(0.02 if number % 4 == 0 else 0)
        if number in failing:
            raise VerificationError(str(number))

    for number in range(count):
        taken.append(number)
        yield number, lambda number=number: work(number)  # type: ignore[misc]


def test_results_come_in_the_order_of_the_tasks() -> None:
    taken: list[int] = []
    found = list(in_order(slow_first(taken, frozenset({4, 5, 39}))))
    assert [number for number, _ in found] == list(range(40))
    assert [number for number, error in found if error is not None] == [4, 5, 39]


def test_the_first_failure_is_the_first_task_s_and_no_more_are_begun() -> None:
    taken: list[int] = []
    results = in_order(slow_first(taken, frozenset({4, 5, 6, 7})))
    first = next(result for result in results if result[1] is not None)
    results.close()  # type: ignore[attr-defined]
    assert (first[0], str(first[1])) == (4, "4")
    assert len(taken) <= 4 + 1 + 2 * 4
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("verify")]


def test_few_tasks_are_held_at_a_time() -> None:
    taken: list[int] = []
    for number, _ in in_order(slow_first(taken)):
        assert len(taken) - number <= 2 * 4 + 1


def test_a_fault_of_our_own_is_raised() -> None:
    def broken() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(in_order(iter([(0, broken)])))


def test_threads_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 1000)
    seen: set[str] = set()
    tasks = ((i, lambda: seen.add(threading.current_thread().name)) for i in range(200))
    list(in_order(tasks))
    assert 1 <= len(seen) <= parallel.MAX_THREADS
