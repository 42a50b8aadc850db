"""The thread in which segments are settled: its backlog, and its end."""

import threading

from zk_autograd.run.proving_thread import ProvingThread


def test_a_thread_that_does_not_end_is_told() -> None:
    release, stops = threading.Event(), []
    thread = ProvingThread(lambda _: assert_set(release), [0], 1, threading.Event())
    assert not thread.stop(lambda: stops.append(1), limit=0.5)
    assert len(stops) > 1
    release.set()
    assert thread.stop(lambda: None)


def test_the_backlog_is_bounded() -> None:
    waits: list[int] = []
    release = threading.Event()
    began = threading.Event()

    def settle(segment: int) -> None:
        began.set()
        assert_set(release)

    thread = ProvingThread(settle, [0], 1, threading.Event())
    assert began.wait(10)
    thread.put(1, waits.append)
    putting = threading.Thread(target=thread.put, args=(2, waits.append))
    putting.start()
    putting.join(0.3)
    assert putting.is_alive()
    assert (waits, thread.pending) == ([2], 2)
    release.set()
    putting.join(10)
    thread.drain()
    assert thread.pending == 0
    assert thread.stop(lambda: None)


def assert_set(event: threading.Event) -> None:
    assert event.wait(10)
