"""A model's forward as a list of calls: what torch.fx finds by running it on symbols.

Forward is the user's code, and runs here: whatever it raises is one UsageError that says where.
"""

import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import fx, nn

from zk_autograd.core.errors import UsageError

_NOT_THE_USERS = (str(Path(torch.__file__).parent) + os.sep, str(Path(__file__).parents[2]) + os.sep, "<")
_SAID = 200
"""Characters of an exception's text that are shown."""
_PLACE = "zk_autograd"
"""Under which a node's meta has the place that called it."""


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One call: `target` is a module's name, a function, or a method's name, and `kind` says which
    (torch.fx's op); `place` is FILE:LINE of the call, "" where it isn't known."""

    node: fx.Node
    kind: str
    target: Any
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]
    place: str


class _Alone(nn.Module):
    """A model that is a single layer of torch's."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, features: torch.Tensor) -> Any:
        return self.model(features)


class _Tracer(fx.Tracer):
    def create_node(self, *args: Any, **kwargs: Any) -> fx.Node:
        node = super().create_node(*args, **kwargs)
        node.meta[_PLACE] = _calling_place(sys._getframe(1))
        return node

    def to_bool(self, obj: fx.Proxy) -> bool:
        raise UsageError(
            f"{_where(_calling_place(sys._getframe(1)))}: it branches on a value; L3 needs one graph for all examples"
        )


def traced(model: nn.Module) -> list[Node]:
    """The calls of `model`'s forward in their order, placeholders and output among them.
    UsageError, for whatever forward raises."""
    tracer = _Tracer()
    root = _Alone(model) if tracer.is_leaf_module(model, "") else model
    try:
        graph = tracer.trace(root)
    except UsageError:
        raise
    except Exception as error:
        said = " ".join(str(error).split()).split(". ")[0][:_SAID].rstrip(".")
        raise UsageError(
            f"{_where(_raising_place(error))}: {type(error).__name__}: {said}; L3 needs a forward that torch.fx can trace"
        ) from error
    return [Node(node, node.op, node.target, node.args, node.kwargs, node.meta.get(_PLACE, "")) for node in graph.nodes]


def _where(place: str) -> str:
    return f"forward can't be traced at {place}" if place else "forward can't be traced"


def _calling_place(frame: FrameType | None) -> str:
    """FILE:LINE of the innermost line that is the user's, within forward."""
    while frame is not None and frame.f_code is not traced.__code__:
        if place := _place(frame.f_code.co_filename, frame.f_lineno):
            return place
        frame = frame.f_back
    return ""


def _raising_place(error: Exception) -> str:
    lines: Iterator[str] = (
        _place(line.filename, line.lineno or 0) for line in reversed(traceback.extract_tb(error.__traceback__))
    )
    return next(filter(None, lines), "")


def _place(file: str, line: int) -> str:
    """ "" for a line of torch's, or of this package."""
    return "" if file.startswith(_NOT_THE_USERS) else f"{Path(file).name}:{line}"
