"""How often somebody may ask."""

import pytest

from zk_autograd.broker import rates
from zk_autograd.broker.rates import Rates, subscriber


def test_a_bucket_fills_at_an_even_pace() -> None:
    now = [0.0]
    limited = Rates(6, lambda: now[0])
    assert [limited.wait("a") for _ in range(6)] == [0.0] * 6
    assert limited.wait("a") == pytest.approx(10)
    assert limited.wait("b") == 0.0
    now[0] += 9
    assert limited.wait("a") == pytest.approx(1)
    now[0] += 1.5
    assert limited.wait("a") == 0.0
    assert limited.wait("a") > 0
    now[0] += 10_000
    assert [bool(limited.wait("a")) for _ in range(7)] == [False] * 6 + [True]


def test_names_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "MOST", 3)
    limited = Rates(1, lambda: 0.0)
    assert [limited.wait(name) for name in "abcd"] == [0.0] * 4
    assert limited.wait("d") > 0
    assert limited.wait("b") > 0
    assert limited.wait("a") == 0.0  # forgotten


def test_who_counts_as_one() -> None:
    assert subscriber("2001:db8:1:2::1") == subscriber("2001:db8:1:2:ffff::9%eth0")
    assert subscriber("2001:db8:1:2::1") != subscriber("2001:db8:1:3::1")
    assert subscriber("192.0.2.1") != subscriber("192.0.2.2")
    assert subscriber("::ffff:192.0.2.1") == subscriber("192.0.2.1")
    assert subscriber("no address") == "no address"
