"""Signals that wait: none is lost, none is early, and the handlers are as they were."""

import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from zk_autograd.local.interrupts import held, let_through


@pytest.fixture(autouse=True)
def _own_handler() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupt_comes_at_the_end_of_the_outermost_block() -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt), held():
        interrupt()
        with held():
            interrupt()
            done.append("inner")
        done.append("outer")
    assert done == ["inner", "outer"]


def test_an_error_of_the_block_is_kept_as_the_context_of_the_interrupt() -> None:
    with pytest.raises(KeyboardInterrupt) as caught, held():
        interrupt()
        raise ValueError("first")
    assert isinstance(caught.value.__context__, ValueError)


def test_while_it_is_let_through_an_interrupt_comes_at_once() -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt), held(), let_through():
        interrupt()
        done.append("too late")
    assert done == []


def test_one_that_was_held_is_let_through_before_the_wait() -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt), held():
        interrupt()
        with let_through():
            done.append("waited")
    assert done == []


def test_a_users_own_handler_is_called_once_afterwards() -> None:
    calls: list[Any] = []
    signal.signal(signal.SIGINT, lambda *arguments: calls.append(arguments))
    with held():
        interrupt()
        interrupt()
        assert calls == []
    assert [number for number, _ in calls] == [signal.SIGINT]
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_other_threads_hold_nothing() -> None:
    found: list[Any] = []

    def work() -> None:
        with held(), let_through():
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [signal.default_int_handler]
