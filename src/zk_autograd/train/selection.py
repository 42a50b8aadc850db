"""Which of a model's parameters are trained, and in which group: the plan's patterns against the
parameters' names.

Rules: patterns are those of the shell (fnmatch: `*`, `?`, `[ab]`), and are case-sensitive. A
pattern that matches nothing is a mistake, as is a parameter in two groups, a group with nothing to
train, and a model with nothing to train.
"""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from torch import nn

from zk_autograd.core.errors import UsageError
from zk_autograd.core.text import listed
from zk_autograd.train.plan import Plan
from zk_autograd.train.settings import ParameterGroup

Named = tuple[str, nn.Parameter]


def parameter_groups(plan: Plan, model: nn.Module) -> list[dict[str, object]]:
    """Freezes what the plan freezes, and returns the rest as ZKOptimizer takes it: the default
    group first, then the plan's in order."""
    _freeze(plan.freeze, model)
    trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    if not trained:
        raise UsageError(f"the model {plan.model} has no parameters left to train: freeze fewer")
    members: list[list[Named]] = [[] for _ in plan.groups]
    rest: list[Named] = []
    for name, parameter in trained:
        found = [i for i, group in enumerate(plan.groups) if any(fnmatchcase(name, p) for p in group.parameters)]
        if len(found) > 1:
            raise UsageError(
                f"the parameter {name} is in groups {found[0]} and {found[1]} (of 0 .. {len(plan.groups) - 1}); a parameter belongs to one"
            )
        (members[found[0]] if found else rest).append((name, parameter))
    for i, (group, mine) in enumerate(zip(plan.groups, members, strict=True)):
        if not mine:
            raise UsageError(
                f"no trained parameter is in group {i}, {', '.join(group.parameters)}; the trained ones are {listed([name for name, _ in trained], 8)}"
            )
    groups: list[dict[str, object]] = [{"params": rest}] if rest else []
    return groups + [{"params": m, **_options(g)} for g, m in zip(plan.groups, members, strict=True)]


def _freeze(patterns: Sequence[str], model: nn.Module) -> None:
    named = list(model.named_parameters())
    for pattern in patterns:
        found = [p for name, p in named if fnmatchcase(name, pattern)]
        if not found:
            raise UsageError(
                f"--freeze {pattern} matches no parameter; the model has {listed([name for name, _ in named], 8)}"
            )
        for parameter in found:
            parameter.requires_grad_(False)


def _options(group: ParameterGroup) -> dict[str, object]:
    own = {
        "lr": group.lr,
        "momentum": group.momentum,
        "weight_decay": group.weight_decay,
        "betas": group.betas,
        "eps": group.eps,
        "alpha": group.alpha,
    }
    return {name: value for name, value in own.items() if value}
