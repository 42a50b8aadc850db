"""A forward that can't be traced: one sentence that says where, whatever it raises."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from tests.optim.exact.forwards import Forward
from zk_autograd.core.errors import UsageError
from zk_autograd.optim.exact import exact_graph

pytestmark = pytest.mark.torch


def branches(m: Any, x: torch.Tensor) -> Any:
    if x.sum() > 0:
        return m.a(x)
    return m.a(-x)


def recurses(m: Any, x: torch.Tensor) -> Any:
    return recurses(m, x)


def line_of(function: Callable[..., Any], line: int) -> str:
    return f"test_tracing.py:{function.__code__.co_firstlineno + line}"


def test_branch_on_a_value_is_named_with_its_line() -> None:
    message = f"^forward can't be traced at {line_of(branches, 1)}: it branches on a value; L3 needs one graph for all examples$"
    with pytest.raises(UsageError, match=message):
        exact_graph(Forward(branches, nn.Linear(3, 2)), features=3)


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        (
            lambda m, x: m.a(x) if len(x) > 3 else x,
            "RuntimeError: 'len' is not supported in symbolic tracing by default;",
        ),
        (lambda m, x: [m.a(row) for row in x], "TraceError: Proxy object cannot be iterated;"),
        (lambda m, x: m.nothing(x), "AttributeError: .*has no attribute 'nothing'"),
        (lambda m, x: m.a(x) + dict(a=1)["key"], "KeyError: 'key'"),
        (lambda m, x: exec("raise ValueError('a\\nb')"), "ValueError: a b;"),
        (lambda m, x: torch.zeros(3) @ torch.zeros(4), "RuntimeError"),
        (recurses, "RecursionError"),
    ],
    ids=["len", "rows", "attribute", "key", "lines", "shapes", "recursion"],
)
def test_whatever_forward_raises_is_one_sentence_with_its_place(
    forward: Callable[[Any, torch.Tensor], Any], message: str
) -> None:
    with pytest.raises(UsageError, match=rf"^forward can't be traced at test_tracing.py:\d+: {message}") as error:
        exact_graph(Forward(forward, nn.Linear(3, 2)), features=3)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


def test_interrupt_is_no_error_of_the_models() -> None:
    def forward(m: Any, x: torch.Tensor) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        exact_graph(Forward(forward, nn.Linear(3, 2)), features=3)
