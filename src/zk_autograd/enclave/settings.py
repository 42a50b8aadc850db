"""What the owner of an enclave's job may set: the settings of zk-train that an enclave can follow,
under their names and checks (train.settings), and a plan made of them.

Left out is what says where something lies on a machine, what needs torch, and `data`: the table
comes with the job. Two differ: `model` may be mlp:WIDTH or mlp:WIDTH,WIDTH, with one or two hidden
layers, and the final weights are published only if `publish` says so.
"""

import re
from collections.abc import Mapping
from dataclasses import replace

from zk_autograd.core.canonical import Json
from zk_autograd.core.errors import UsageError
from zk_autograd.core.schedules import RECORDED
from zk_autograd.core.text import listed, nearest
from zk_autograd.enclave.models import HIDDEN, Network
from zk_autograd.local.csv_name import CSV
from zk_autograd.optim.registering import Registering
from zk_autograd.train.names import Factory, ModelName, shown
from zk_autograd.train.plan import Plan
from zk_autograd.train.settings import READERS, Settings

NAMES = (
    "steps",
    "model",
    "label",
    "rule",
    "lr",
    "momentum",
    "weight-decay",
    "betas",
    "eps",
    "alpha",
    "schedule",
    "grad-scale",
    "batch-size",
    "seed",
    "prover",
    "preset",
    "publish",
)
PROVERS = ("native", "none")
MAX_WIDTH = 2**14
TABLE = "the job's table"

PRIVATE = ("seed", "label")
"""What config.toml doesn't have: first weights and rows follow from the seed, and the label is a
column's name."""

_NAMED = re.compile(r"(?:the job: |--)([a-z-]+)")
_MLP = re.compile(r"mlp:([1-9][0-9]{0,5})(?:,([1-9][0-9]{0,5}))?")


class Mlp(Factory):
    """An mlp of a job's own widths, called mlp:64,32. It is no module's: nothing imports it."""


def plan_of(settings: Mapping[str, Json], secret: bytes, registering: Registering) -> Plan:
    """The plan of a job's settings. UsageError, which names the setting, for one that there isn't,
    that can't be followed in an enclave, or whose value no training can have."""
    found = dict(settings)
    for name in found:
        if name not in NAMES:
            raise UsageError(_refusal(name))
    model = found.pop("model", ModelName.MLP.value)
    kept = Settings.of(found, _called)
    if kept.values.get("prover", PROVERS[0]) not in PROVERS:
        raise UsageError(f"{_called('prover')} is {kept.values['prover']}; in an enclave it is {' or '.join(PROVERS)}")
    if kept.values.get("schedule") == RECORDED:
        raise UsageError(
            f"{_called('schedule')} is {RECORDED}, which is for a loop that sets lr itself; declare one, such as constant"
        )
    kept.values |= {"data": CSV + TABLE, "publish": kept.values.get("publish", False)}
    plan = Plan.of(kept, key_file="", secret=secret)
    return replace(plan, model=_model(model), registering=registering)


def network_of(plan: Plan, columns: int, classes: int) -> Network:
    """The plan's model for rows of so many features. UsageError for data that it doesn't fit."""
    if plan.model is ModelName.LOGISTIC:
        if classes != 2:
            raise UsageError(
                f"{_called('model')} is logistic, which tells two classes apart, but the table has {classes}: set softmax or mlp"
            )
        return Network((columns, 1))
    if plan.model is ModelName.SOFTMAX:
        return Network((columns, classes))
    widths = (HIDDEN,) if isinstance(plan.model, ModelName) else tuple(int(w) for w in plan.model.name.split(","))
    return Network((columns, *widths, classes))


def said_outside(error: UsageError) -> UsageError:
    """What the host is told of a job that can't be trained: the setting's name, where it is one of
    NAMES, and no value, label, or number of the table."""
    if TABLE in (text := str(error)) and "can't be trained on" in text:
        return error  # session.rows_of, which says no more
    named = [name for name in _NAMED.findall(text) if name in NAMES]
    what = f"its setting {named[0]} can't be followed" if named else "a setting can't be followed, or is none"
    return UsageError(
        f"the job can't be trained: {what}; its value is not said outside. `zk-enclave seal` says what is wrong where the owner has it"
    )


def _model(value: Json) -> ModelName | Mlp:
    if isinstance(value, str):
        if value in {name.value for name in ModelName}:
            return ModelName(value)
        match = _MLP.fullmatch(value)
        if match and all(int(width) <= MAX_WIDTH for width in match.groups() if width):
            return Mlp("mlp", value.removeprefix("mlp:"))
    text = shown(value) if isinstance(value, str) else f"a {type(value).__name__}"
    raise UsageError(
        f"{_called('model')} is {text}; in an enclave it is logistic, softmax, mlp, or mlp:WIDTH or mlp:WIDTH,WIDTH with hidden layers "
        f"of 1 to {MAX_WIDTH} units"
    )


def _refusal(name: str) -> str:
    why = "can't be set for an enclave" if name in READERS else f"is not a setting{nearest(name, NAMES)}"
    return f"{_called(shown(name))} {why}; those of a job are {listed(NAMES, len(NAMES))}"


def _called(name: str) -> str:
    return f"the job: {name}"
