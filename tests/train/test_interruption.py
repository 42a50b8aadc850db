import signal

import pytest

from zk_autograd.train.interruption import Interruption


def test_first_interrupt_asks_the_second_raises_and_the_third_does_nothing() -> None:
    told: list[str] = []
    with Interruption(lambda: told.append("first")) as asked:
        assert told == []
        assert not asked()
        signal.raise_signal(signal.SIGINT)
        assert asked()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
    assert told == ["first"]


def test_former_handler_is_put_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ValueError, match="x"), Interruption(lambda: None):
        assert signal.getsignal(signal.SIGINT) != before
        raise ValueError("x")
    assert signal.getsignal(signal.SIGINT) == before
