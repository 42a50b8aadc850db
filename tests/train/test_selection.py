from dataclasses import replace

import pytest
from torch import nn

from tests.train.test_plan import PLAN
from zk_autograd.core.errors import UsageError
from zk_autograd.train.models import build
from zk_autograd.train.names import ModelName
from zk_autograd.train.selection import parameter_groups
from zk_autograd.train.settings import ParameterGroup

NAMES = ["hidden.weight", "hidden.bias", "out.weight", "out.bias"]


@pytest.fixture
def mlp() -> nn.Module:
    return build(ModelName.MLP, 4, 3, 0)


def names(groups: list[dict[str, object]]) -> list[list[str]]:
    return [[name for name, _ in group["params"]] for group in groups]  # type: ignore[attr-defined]


def test_without_patterns_all_is_in_one_group(mlp: nn.Module) -> None:
    groups = parameter_groups(PLAN, mlp)
    assert names(groups) == [NAMES]
    assert list(groups[0]) == ["params"]


def test_groups_take_what_they_match_and_the_rest_comes_first(mlp: nn.Module) -> None:
    groups = (
        ParameterGroup(("out.*",), lr="0.5"),
        ParameterGroup(("hidden.b*",), weight_decay="0", betas=("0.8", "0.9"), eps="1"),
    )
    found = parameter_groups(replace(PLAN, groups=groups), mlp)
    assert names(found) == [["hidden.weight"], ["out.weight", "out.bias"], ["hidden.bias"]]
    assert [{k: v for k, v in g.items() if k != "params"} for g in found] == [
        {},
        {"lr": "0.5"},
        {"weight_decay": "0", "betas": ("0.8", "0.9"), "eps": "1"},
    ]


def test_groups_may_take_everything(mlp: nn.Module) -> None:
    found = parameter_groups(replace(PLAN, groups=(ParameterGroup(("*",), momentum="0.5"),)), mlp)
    assert names(found) == [NAMES]
    assert found[0]["momentum"] == "0.5"


def test_frozen_parameters_are_in_no_group(mlp: nn.Module) -> None:
    found = parameter_groups(replace(PLAN, freeze=("hidden.*",)), mlp)
    assert names(found) == [NAMES[2:]]
    assert not mlp.get_parameter("hidden.bias").requires_grad


@pytest.mark.parametrize(
    ("freeze", "groups", "message"),
    [
        (("hiden.*",), (), r"--freeze hiden\.\* matches no parameter; the model has hidden.weight, hidden.bias"),
        (("Hidden.*",), (), "matches no parameter"),
        (("*",), (), "no parameters left to train"),
        ((), (("out.*",), ("*.bias",)), r"the parameter out\.bias is in groups 0 and 1"),
        ((), (("outer.*",),), r"no trained parameter is in group 0, outer\.\*; the trained ones are hidden\.weight"),
        (("out.*",), (("out.*",),), r"no trained parameter is in group 0"),
    ],
)
def test_patterns_that_miss_or_overlap_are_refused(
    freeze: tuple[str, ...], groups: tuple[tuple[str, ...], ...], message: str, mlp: nn.Module
) -> None:
    plan = replace(PLAN, freeze=freeze, groups=tuple(ParameterGroup(patterns) for patterns in groups))
    with pytest.raises(UsageError, match=message):
        parameter_groups(plan, mlp)
