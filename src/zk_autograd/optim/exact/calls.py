"""A call in a model's forward, as the registry's layers take it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from torch import nn

from zk_autograd.core.errors import UsageError
from zk_autograd.optim.exact.network import Network, Value


@dataclass(frozen=True, slots=True)
class Call:
    """`name` is what an error calls it: a module's name in the model, or a function and where it is
    called. `module` is None for a function or a method. Among the arguments are values, and what
    isn't computed from the features as it is."""

    name: str
    module: nn.Module | None
    arguments: tuple[object, ...]
    keywords: Mapping[str, object]
    network: Network

    def bound(self, *names: str, **defaults: object) -> list[object]:
        """The arguments of these names, without or with defaults, in this order. UsageError for
        others, or for one that is missing."""
        places = (*names, *defaults)
        found = dict(defaults)
        found.update(zip(places, self.arguments, strict=False))
        found.update(self.keywords)
        others = [name for name in found if name not in places]
        if len(self.arguments) > len(places) or others:
            what = others[0] if others else f"{len(self.arguments)} arguments"
            raise UsageError(
                f"{self.name} is called with {what}, which has no exact pass: leave it out, or use --level L1"
            )
        if missing := [name for name in places if name not in found]:
            raise UsageError(f"{self.name} is called without {missing[0]}")
        return [found[name] for name in places]


Layer: TypeAlias = Callable[[Call], Value]
"""What a call gives. UsageError for what has no exact pass."""
Calls: TypeAlias = Mapping[object, Layer]
"""By the module's class, the function, or the method's name."""
