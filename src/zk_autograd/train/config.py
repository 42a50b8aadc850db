"""Trainings as TOML: what `--config` reads, and what a run publishes of its plan.

    steps = 200
    data = "csv:houses.csv"
    label = "sold"
    lr = 0.01
    freeze = ["embedding.*"]

    [[groups]]
    parameters = ["*.bias"]
    weight-decay = 0

Rules: a key is a flag's long name; a key that is none is refused, as is a value of another type. What is written holds every setting of
the training in one order, numbers of the optimizer as texts, and can be read back to the same plan, but for what is private: the data's
secret, the key file, and the folder of a table. A path is from the current folder, as a flag's, or begins with "~/". A byte order mark is
let through.
"""

from collections.abc import Sequence
from pathlib import Path

from zk_autograd.core.errors import UsageError
from zk_autograd.local.named_files import read_named
from zk_autograd.run import bounded_toml
from zk_autograd.train.names import CsvFile
from zk_autograd.train.plan import ParameterGroup, Plan
from zk_autograd.train.settings import GROUPS, Settings

_ESCAPES = {'"': '\\"', "\\": "\\\\"}


def read(path: Path) -> Settings:
    """The settings of a file. UsageError, which names file and key or line, for one that can't be followed; StorageError if the system
    doesn't let it be read."""
    try:
        text = read_named(path, "the config", bounded_toml.MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"the config {path} is no UTF-8 text") from error
    return from_toml(text, str(path))


def from_toml(text: str, where: str = "the config") -> Settings:
    """The settings of a TOML text; `where` says in messages whose they are. UsageError."""
    return Settings.of(bounded_toml.parse(text, where), lambda key: f"{where}: {key}")


def to_toml(plan: Plan) -> str:
    """The plan as a text that `from_toml` reads: the same for equal plans, without anything private."""
    lines = [
        f"steps = {plan.steps}",
        f"model = {_quoted(str(plan.model))}",
        f"data = {_quoted(str(plan.data))}",
        *_given("label", plan.data.label if isinstance(plan.data, CsvFile) else ""),
        f"rule = {_quoted(plan.rule.value)}",
        *_hyper(plan),
        f"schedule = {_quoted(plan.schedule)}",
        f"grad-scale = {_quoted(plan.grad_scale) if isinstance(plan.grad_scale, str) else plan.grad_scale}",
        *([f"freeze = {_list(plan.freeze)}"] if plan.freeze else []),
        f"batch-size = {plan.batch_size}",
        f"seed = {plan.seed}",
        f"prover = {_quoted(plan.prover)}",
        *_given("preset", plan.preset),
        f"publish = {'true' if plan.publish else 'false'}",
    ]
    for group in plan.groups:
        lines += ["", f"[[{GROUPS}]]", f"parameters = {_list(group.parameters)}", *_hyper(group)]
    return "\n".join(lines) + "\n"


def _hyper(owner: Plan | ParameterGroup) -> list[str]:
    return [
        *_given("lr", owner.lr),
        *_given("momentum", owner.momentum),
        *_given("weight-decay", owner.weight_decay),
        *([f"betas = {_list(owner.betas)}"] if owner.betas else []),
        *_given("eps", owner.eps),
    ]


def _given(key: str, value: str) -> list[str]:
    return [f"{key} = {_quoted(value)}"] if value else []


def _list(texts: Sequence[str]) -> str:
    return f"[{', '.join(_quoted(text) for text in texts)}]"


def _quoted(text: str) -> str:
    """A basic string. No setting holds a control character."""
    return '"' + "".join(_ESCAPES.get(c, c) for c in text) + '"'
