"""What a trainer may set, by flag or in a file, and the defaults.

Each setting is one row of `SETTINGS`: from it come its flag and help (cli.train), its key in a file
and in the config.toml of a run (`config`), its place in the private plan (`plan`), and its default.
A new one is a row, a field of `plan.Plan`, and what uses it.

Rules: a setting has one name, that of its flag without the dashes (`weight-decay`), and one check,
whose message begins with where it was set: `--steps` or `train.toml: steps`. What was set later
wins: flag over file over default. Numbers of the optimizer are exact decimals. Nothing here loads a
library: a command's help is made from it.
"""

from argparse import BooleanOptionalAction
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from zk_autograd.core import schedules
from zk_autograd.core.backends import DEFAULT_BACKEND, PRESETS, PROVERS
from zk_autograd.core.decimals import decimal_text, parse_decimal
from zk_autograd.core.errors import UsageError, VerificationError
from zk_autograd.core.hyper import Rule
from zk_autograd.core.register import EVERY
from zk_autograd.core.text import has_control, is_unicode, nearest
from zk_autograd.kernels.choice import KERNELS
from zk_autograd.local.own_folders import expanded
from zk_autograd.train.names import DataName, ModelName, ModelSource, data_called, model_called, shown
from zk_autograd.workers.names import DEFAULT as DEFAULT_WORKERS
from zk_autograd.workers.names import require_keys, require_name

Reader = Callable[[object, str], Any]
"""Returns a setting's value from what a flag or a file holds. Raises UsageError, which begins with
the place given."""

MAX_STEPS = 2**40
MAX_SYNC_EVERY = 2**16
"""As core.records.MAX_SEGMENT_STEPS: a segment is synced before it is sealed."""
SEED_BOUND = 2**64
MAX_PATTERNS = 1000
MAX_GROUPS = 100
MAX_NAME = 1000
MAX_DATA = 5000
"""Of a table's name, which in the private plan is an absolute path."""

GROUPS = "groups"
_PARAMETERS = "parameters"
_INTEGER_BITS = 64
L1 = "L1"
L3 = "L3"
_OTHER_LEVELS = {
    "L2": "which an enclave attests of a training inside it (zk-enclave)",
    "L4": "a proof of the gradients, which no prover makes yet",
}
RULES = tuple(rule.value for rule in Rule)


def _integer(least: int, bound: int) -> Reader:
    def read(value: object, where: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise UsageError(f"{where} is {_shown(value)}; it must be an integer")
        if not least <= value < bound:
            raise UsageError(f"{where} is {_shown(value)}; it must be at least {least} and below {bound}")
        return value

    return read


def _choice(options: tuple[str, ...]) -> Reader:
    def read(value: object, where: str) -> str:
        if not isinstance(value, str) or value not in options:
            slip = nearest(value, options) if isinstance(value, str) else ""
            raise UsageError(f"{where} is {_shown(value)}; it must be one of {', '.join(options)}{slip}")
        return value

    return read


def _level(value: object, where: str) -> str:
    if isinstance(value, str) and value in _OTHER_LEVELS:
        raise UsageError(f"{where} is {value}, {_OTHER_LEVELS[value]}; zk-train has {L1} and {L3}")
    return str(_choice((L1, L3))(value, where))


def _decimal(value: object, where: str) -> str:
    """Of a text, an integer, or a number of a file, which is a Decimal there."""
    if not isinstance(value, bool) and isinstance(value, str | int | Decimal):
        try:
            return decimal_text(parse_decimal(str(value), where))
        except (VerificationError, ValueError):  # of an integer of more digits than Python writes
            pass
    raise UsageError(f"{where} is {_shown(value)}; it must be a finite number that isn't negative, such as 0.01")


def _betas(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) != 2:
        raise UsageError(f"{where} is {_shown(value)}; it must be a pair of numbers, such as 0.9 and 0.999")
    return tuple(_decimal(beta, where) for beta in value)


def _scale(value: object, where: str) -> int | str:
    if value == "auto":
        return "auto"
    if isinstance(value, bool) or not isinstance(value, int) or value.bit_length() > _INTEGER_BITS:
        raise UsageError(f"{where} is {_shown(value)}; it must be an integer or auto")
    return value


def _boolean(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"{where} is {_shown(value)}; it must be true or false")
    return value


def _text(value: object, where: str, most: int = MAX_NAME) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= most or has_control(value) or not is_unicode(value):
        raise UsageError(f"{where} is {_shown(value)}; it must be a text of 1 to {most} printable characters")
    return value


def _require_no_secret(value: object, where: str) -> None:
    """UsageError for what looks like an access token, anywhere in what somebody set: it would be
    recorded for good."""
    from zk_autograd.credentials.redaction import looks_secret

    if isinstance(value, str) and looks_secret(value):
        raise UsageError(
            f"{where} looks like an access token, and would be recorded: pass tokens in --hf-token or HF_TOKEN, never in {where}"
        )
    if isinstance(value, dict):
        for key, item in value.items():
            _require_no_secret(item, f"{where}.{key}")
    if isinstance(value, list):
        for index, item in enumerate(value):
            _require_no_secret(item, f"{where}[{index}]" if isinstance(item, dict) else where)


def _path(value: object, where: str) -> Path:
    return Path(expanded(_text(value, where)))


def _workers(value: object, where: str) -> str:
    name = _text(value, where)
    require_name(name, where)
    return name


def _texts(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not 0 < len(value) <= MAX_PATTERNS:
        raise UsageError(f"{where} is {_shown(value)}; it must be a list of 1 to {MAX_PATTERNS} texts")
    return tuple(_text(item, where) for item in value)


def _model(value: object, where: str) -> ModelSource:
    return model_called(_text(value, where), where)


def _data(value: object, where: str) -> str:
    text = _text(value, where, MAX_DATA)
    data_called(text, where=where)
    return text


def _schedule(value: object, where: str) -> str:
    try:
        schedule = schedules.parse(_text(value, where))
    except VerificationError as error:
        raise UsageError(f"{where}: {error}") from error
    return schedules.RECORDED if schedule is None else schedule.text


@dataclass(frozen=True, slots=True)
class ParameterGroup:
    """Parameters whose names match one of `parameters` (shell patterns), and their own
    hyper-parameters; "" and () are the plan's."""

    parameters: tuple[str, ...]
    lr: str = ""
    momentum: str = ""
    weight_decay: str = ""
    betas: tuple[str, ...] = ()
    eps: str = ""
    alpha: str = ""


def _groups(value: object, where: str) -> tuple[ParameterGroup, ...]:
    if not isinstance(value, list) or not 0 < len(value) <= MAX_GROUPS:
        raise UsageError(f"{where} is {_shown(value)}; it must be 1 to {MAX_GROUPS} tables [[{GROUPS}]]")
    return tuple(_group(group, f"{where}[{i}]") for i, group in enumerate(value))


def _group(value: object, where: str) -> ParameterGroup:
    if not isinstance(value, dict):
        raise UsageError(f"{where} is {_shown(value)}; it must be a table [[{GROUPS}]]")
    found = read(value, _GROUP_READERS, lambda key: f"{where}.{key}")
    if _PARAMETERS not in found:
        raise UsageError(f'{where} has no {_PARAMETERS}; name them by patterns, such as parameters = ["hidden.*"]')
    return ParameterGroup(**{name.replace("-", "_"): own for name, own in found.items()})


def _number(text: str) -> int | str:
    return text if text == "auto" else int(text)


def _pair(text: str) -> list[str]:
    return text.split(",")


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing that may be set.

    `read` returns its value from what a flag or a file holds, `default` applies where nothing is
    set (None: another setting decides). `help` and `flag`, argparse's arguments, make its flag;
    without `help` it has none, and is set in a file only. `own` says whether a group of parameters
    may have its own; `part` whether it is a part of the training: the others say where things lie
    on this machine.
    """

    name: str
    read: Reader
    default: Any = None
    help: str = ""
    flag: Mapping[str, Any] = field(default_factory=dict)
    own: bool = False
    part: bool = True

    @property
    def attribute(self) -> str:
        """As fields of Python objects, and of the private plan, call it."""
        return self.name.replace("-", "_")


_N, _X = {"type": int, "metavar": "N"}, {"metavar": "X"}

SETTINGS = (
    Setting("steps", _integer(1, MAX_STEPS), 100, "optimizer steps (default: 100)", _N),
    Setting(
        "model",
        _model,
        ModelName.MLP,
        f"{', '.join(ModelName)}, or MODULE:FACTORY, your own callable (default: mlp)",
        {"metavar": "NAME"},
    ),
    Setting(
        "data",
        _data,
        DataName.DIGITS,
        f"{', '.join(DataName)}, or csv:PATH, your own table (default: digits)",
        {"metavar": "NAME"},
    ),
    Setting("label", _text, "", "the table's column with the classes (default: the last)", {"metavar": "COLUMN"}),
    Setting("rule", _choice(RULES), Rule.ADAM.value, "the optimizer's rule (default: adam)", {"choices": RULES}),
    Setting("lr", _decimal, None, "learning rate, an exact decimal (default: one that suits the rule)", _X, own=True),
    Setting("momentum", _decimal, "", "for the sgd rules (default: 0.9, or 0 for sgd)", _X, own=True),
    Setting("weight-decay", _decimal, "", "decoupled weight decay (default: 0.01 for adamw, else 0)", _X, own=True),
    Setting(
        "betas",
        _betas,
        (),
        "for adam, adamw (default: 0.9,0.999) and lion (default: 0.9,0.99)",
        {"type": _pair, "metavar": "X,Y"},
        own=True,
    ),
    Setting("eps", _decimal, "", "for adam, adamw and rmsprop (default: 0.000001)", _X, own=True),
    Setting("alpha", _decimal, "", "for rmsprop (default: 0.99)", _X, own=True),
    Setting(
        "level",
        _level,
        L1,
        "what can be shown of the run: L1, that each update is right for some gradient, or L3, that an auditor who is given the data can "
        "recompute each gradient bit for bit (default: L1)",
        {"metavar": "LEVEL"},
    ),
    Setting(
        "public-data",
        _boolean,
        False,
        "at L3: the training rows, as integers, become a file of the run",
        {"action": "store_true", "default": None},
    ),
    Setting(
        "order-seed",
        _integer(0, SEED_BOUND),
        None,
        "at L3: seed of the order of the rows, which everybody sees (default: a random one)",
        {"type": int, "metavar": "N"},
    ),
    Setting(
        "schedule",
        _schedule,
        "constant",
        "the learning rate's schedule, such as cosine:steps=100,end=0.0 (default: constant)",
        {"metavar": "TEXT"},
    ),
    Setting(
        "grad-scale",
        _scale,
        0,
        "scale gradients by 2^K before rounding; or auto (default: 0, at L3 auto)",
        {"type": _number, "metavar": "K"},
    ),
    Setting(
        "freeze",
        _texts,
        (),
        "don't train parameters whose names match; may be repeated",
        {"action": "append", "metavar": "PATTERN"},
    ),
    Setting(GROUPS, _groups, ()),
    Setting("batch-size", _integer(1, MAX_STEPS), 64, "rows per step (default: 64, or all if there are fewer)", _N),
    Setting(
        "seed", _integer(0, SEED_BOUND), 0, "seed of the split, first weights and order of the rows (default: 0)", _N
    ),
    Setting(
        "prover",
        _choice(PROVERS),
        DEFAULT_BACKEND,
        "native needs no set-up; ezkl, for small models, needs an SRS, and an EVM can check its proofs; none logs hashes and proves "
        f"nothing (default: {DEFAULT_BACKEND})",
        {"choices": PROVERS},
    ),
    Setting(
        "preset",
        _choice(PRESETS),
        "",
        f"the native prover's assumptions: strict assumes less, with larger proofs (default: {PRESETS[0]})",
        {"choices": PRESETS},
    ),
    Setting(
        "publish",
        _boolean,
        True,
        "publish the final weights in the run (default: yes)",
        {"action": BooleanOptionalAction},
    ),
    Setting(
        "out", _path, None, "where to put the run (default: a new folder in runs/)", {"metavar": "RUN"}, part=False
    ),
    Setting(
        "srs",
        _path,
        None,
        "for the prover ezkl: an SRS made by an auditor or a ceremony (default: the cache's newest)",
        {"metavar": "FILE"},
        part=False,
    ),
    Setting(
        "key-file",
        _path,
        None,
        "your log key (default: the one that `zk-key new` makes; if there is none, a new run makes it)",
        {"metavar": "FILE"},
        part=False,
    ),
    Setting(
        "start",
        _text,
        "",
        "beacon:evm:URL,key=FILE: first weights and order of the rows from a beacon that nobody knows before the run is anchored (default: "
        "from the seed)",
        {"metavar": "BEACON"},
        part=False,
    ),
    Setting(
        "register",
        _path,
        None,
        "the folder of your register, in which the run is entered before its first step (default: that of your key)",
        {"metavar": "DIR"},
        part=False,
    ),
    Setting(
        "no-register",
        _boolean,
        False,
        "enter the run in no register: its header says so, and nobody can tell how many runs there were beside it",
        {"action": "store_true", "default": None},
        part=False,
    ),
    Setting(
        "anchor",
        _texts,
        (),
        "have the register's checkpoints held by somebody, such as witness:POLICY or rfc3161:URL; may be repeated",
        {"action": "append", "metavar": "KIND:REST"},
        part=False,
    ),
    Setting(
        "anchor-every",
        _integer(1, MAX_STEPS),
        EVERY,
        f"enter and anchor the run at every K records, and at its end (default: {EVERY})",
        {"type": int, "metavar": "K"},
        part=False,
    ),
    Setting(
        "kernel",
        _choice(KERNELS),
        KERNELS[0],
        "what computes the steps, all of them to the same bits (default: auto, the fastest here)",
        {"choices": KERNELS},
        part=False,
    ),
    Setting(
        "sync-every",
        _integer(1, MAX_SYNC_EVERY + 1),
        1,
        "sync the run's journal at every K-th step: a killed process loses nothing, a power cut up to K-1 steps (default: 1)",
        {"type": int, "metavar": "K"},
        part=False,
    ),
    Setting(
        "workers",
        _workers,
        DEFAULT_WORKERS,
        "who makes the proofs: processes:N on this machine, inline for the training's own process, or a cluster, dask:ADDRESS or ray:ADDRESS "
        f"(default: {DEFAULT_WORKERS})",
        {"metavar": "NAME"},
        part=False,
    ),
    Setting(
        "worker-key",
        _texts,
        (),
        "for a cluster: the public key of a worker that may open the tasks, and so sees what is private in them, as does whoever can submit "
        "to the cluster: they can take a worker's key; may be repeated",
        {"action": "append", "metavar": "FILE"},
        part=False,
    ),
)

MACHINE = ("kernel", "sync-every", "workers", "worker-key")
"""How this machine does it: not kept, and set anew when a run is resumed."""

REGISTERING = ("register", "no-register", "anchor", "anchor-every")
"""Where a run is entered and anchored: kept in its private plan, and set anew when it is
resumed."""

FLAGS_ONLY = ("start", "register", "anchor", "workers", "worker-key")
"""What no file sets: it says whom this machine talks to, and what is written there."""

READERS = {setting.name: setting.read for setting in SETTINGS}
_GROUP_READERS: dict[str, Reader] = {_PARAMETERS: _texts, **{s.name: s.read for s in SETTINGS if s.own}}
GROUP_SETTINGS = tuple(_GROUP_READERS)
"""Of a group of parameters."""


@dataclass(frozen=True, slots=True)
class Machine:
    """How a training is done on this machine: nothing of it changes what is recorded."""

    kernel: str = KERNELS[0]
    sync_every: int = 1
    workers: str = DEFAULT_WORKERS
    worker_key: tuple[str, ...] = ()


@dataclass(slots=True)
class Settings:
    """What was set, by the settings' names."""

    values: dict[str, Any]

    @classmethod
    def of(cls, values: Mapping[str, object], called: Callable[[str], str]) -> "Settings":
        """What somebody set, by the settings' names; `called` says how a message calls one.
        UsageError for any that can't be, or that looks like an access token."""
        for name, value in values.items():
            _require_no_secret(value, called(shown(name)))
        return cls.kept(values, called)

    @classmethod
    def kept(cls, values: Mapping[str, object], called: Callable[[str], str]) -> "Settings":
        """As `of`, for what a run kept of its settings: a path in it is one that nobody chose for
        it, so that no word of it is taken for a token."""
        return cls(read(values, READERS, called))

    def over(self, other: "Settings") -> "Settings":
        """These, plus what only `other` has."""
        return Settings({**other.values, **self.values})

    @property
    def out(self) -> Path | None:
        return self.values.get("out")

    @property
    def srs(self) -> Path | None:
        return self.values.get("srs")

    @property
    def start(self) -> str:
        return str(self.values.get("start", ""))

    @property
    def registering(self) -> dict[str, Any]:
        """What was set of register and anchors, by the settings' names."""
        return {name: self.values[name] for name in REGISTERING if name in self.values}

    @property
    def machine(self) -> Machine:
        """UsageError for workers and keys that don't go together."""
        found = Machine(**{name.replace("-", "_"): self.values[name] for name in MACHINE if name in self.values})
        require_keys(found.workers, found.worker_key)
        return found

    @property
    def key_file(self) -> Path | None:
        return self.values.get("key-file")


def require_one_register(found: Mapping[str, Any], where: Callable[[str], str]) -> None:
    """UsageError for a register, or anchors, where there is to be none."""
    if found.get("no-register"):
        for name in ("register", "anchor"):
            if found.get(name):
                raise UsageError(f"{where(name)} goes with a register: leave out {where('no-register')}")


def read(values: Mapping[str, object], readers: Mapping[str, Reader], called: Callable[[str], str]) -> dict[str, Any]:
    """Each value by its name. UsageError for a name that no reader has, and by the readers."""
    found = {}
    for name, value in values.items():
        if name not in readers:
            raise UsageError(
                f"{called(shown(name))} is not a setting{nearest(name, readers) or '; the settings are ' + ', '.join(readers)}"
            )
        found[name] = readers[name](value, called(name))
    return found


def _shown(value: object) -> str:
    """A short text for a message."""
    if isinstance(value, str):
        return value[:40] if value.isprintable() and value else repr(value[:40])
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and value.bit_length() > _INTEGER_BITS:
        return f"an integer of more than {_INTEGER_BITS} bits"
    if isinstance(value, int | Decimal):
        return str(value)[:40]
    return (
        "a list" if isinstance(value, list) else "a table" if isinstance(value, dict) else f"a {type(value).__name__}"
    )
