"""Trainings as TOML: what `--config` reads, and what a run publishes of its plan.

    steps = 200
    data = "csv:houses.csv"
    label = "sold"
    lr = 0.01
    freeze = ["embedding.*"]

    [[groups]]
    parameters = ["*.bias"]
    weight-decay = 0

Rules: a key is a flag's long name; an unknown key is refused, as is a value of another type. So is
where a run is entered and anchored, and what it begins from: a file may be another trainer's, and
anchors write files and are sent the machine's access keys. What is written holds every setting of
the training in one order, numbers of the optimizer as texts, and can be read back to the same plan,
but for what is private: the data's secret, the key file, and the folder of a table. A path is from
the current folder, as a flag's, or begins with "~/". A byte order mark is allowed.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from zk_autograd.core import bounded_toml
from zk_autograd.core.errors import UsageError
from zk_autograd.local.named_files import read_named
from zk_autograd.train.plan import Plan
from zk_autograd.train.settings import FLAGS_ONLY, GROUP_SETTINGS, GROUPS, ParameterGroup, Settings

_ESCAPES = {'"': '\\"', "\\": "\\\\"}


def read(path: Path) -> Settings:
    """The settings of a file. UsageError, which names file and key or line, for one that can't be
    followed; StorageError if the system won't let us read it."""
    try:
        text = read_named(path, "the config", bounded_toml.MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"the config {path} is not UTF-8 text") from error
    return from_toml(text, str(path))


def from_toml(text: str, where: str = "the config") -> Settings:
    """The settings of a TOML text; `where` names its source in messages. UsageError."""
    values = bounded_toml.parse(text, where)
    for name in FLAGS_ONLY:
        if name in values:
            raise UsageError(f"{where}: {name} is set by its flag alone, --{name}, as a file may be another trainer's")
    return Settings.of(values, lambda key: f"{where}: {key}")


def to_toml(plan: Plan, without: Collection[str] = ()) -> str:
    """The plan as a text that `from_toml` reads: the same for equal plans, with nothing private,
    and without the settings of these names."""
    values = {name: value for name, value in plan.settings().items() if name not in without}
    groups: Sequence[ParameterGroup] = values.pop(GROUPS, ())
    lines = _lines(values)
    for group in groups:
        own = {name: getattr(group, name.replace("-", "_")) for name in GROUP_SETTINGS}
        lines += ["", f"[[{GROUPS}]]", *_lines(own)]
    return "\n".join(lines) + "\n"


def _lines(values: Mapping[str, object]) -> list[str]:
    """A line for each setting that says something."""
    return [f"{name} = {_value(value)}" for name, value in values.items() if value not in ("", ())]


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return _list(value) if isinstance(value, tuple) else _quoted(str(value))


def _list(texts: Sequence[str]) -> str:
    return f"[{', '.join(_quoted(text) for text in texts)}]"


def _quoted(text: str) -> str:
    """A basic string. No setting holds a control character."""
    return '"' + "".join(_ESCAPES.get(c, c) for c in text) + '"'
