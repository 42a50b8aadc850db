"""The rules that have a circuit: a new rule is one module beside adam.py and one line here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from zk_autograd.prove.ezkl import adam, momentum
from zk_autograd.prove.ezkl.relations import Relations


@dataclass(frozen=True, slots=True)
class RuleCircuit:
    """A rule's relations with the functions that compute public coefficients, copies between steps and hints."""

    relations: Relations
    coefficients: Callable[[Sequence[Any]], dict[str, list[int]]]
    between: Callable[[dict[str, Any], Sequence[Any]], dict[str, Any]]
    hints: Callable[[dict[str, Any], Any, Sequence[Any]], dict[str, Any]]


def _of(module: ModuleType) -> RuleCircuit:
    return RuleCircuit(module.RELATIONS, module.coefficients, module.between, module.hints)


CIRCUITS: dict[str, RuleCircuit] = {m.RELATIONS.rule: _of(m) for m in (adam, momentum)}
