"""The backends whose runs a verifier judges: those of core.backends, each with what its `verify.py`
calls SYSTEM.

A backend's modules are loaded when a run names it: judging a native run loads none of EZKL's.
"""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, TypeAlias

from zk_autograd.core.backends import BACKENDS

if TYPE_CHECKING:
    from zk_autograd.prove.ezkl.verify import EzklSystem
    from zk_autograd.prove.hashed.verify import HashedSystem
    from zk_autograd.prove.native.verify import NativeSystem

    System: TypeAlias = EzklSystem | HashedSystem | NativeSystem


class Systems(Mapping[str, "System"]):
    """Each system by its backend's name, made when it is first asked for."""

    def __init__(self) -> None:
        self._made: dict[str, System] = {}

    def __getitem__(self, backend: str) -> "System":
        if backend not in self._made:
            module = f"zk_autograd.prove.{BACKENDS[backend].package}.verify"
            # By name, not by an import statement: otherwise listing the backends would load them
            # all.
            self._made[backend] = import_module(module).SYSTEM()
        return self._made[backend]

    def __iter__(self) -> Iterator[str]:
        return iter(BACKENDS)

    def __len__(self) -> int:
        return len(BACKENDS)
