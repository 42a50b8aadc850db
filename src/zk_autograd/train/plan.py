"""What zk-train was asked to do, kept in the run's private folder for resuming."""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from zk_autograd.core.canonical import Json, decode, encode
from zk_autograd.core.errors import RunError, UsageError, VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.core.graph.formats import MAX_LOG_BATCH
from zk_autograd.core.hyper import Rule
from zk_autograd.core.rules.families import FAMILIES
from zk_autograd.evidence.files import read_bounded
from zk_autograd.local.csv_name import CSV, CsvFile
from zk_autograd.optim.registering import DEFAULT, Registering
from zk_autograd.run.files import PRIVATE_FILE, Files, exists, is_folder, of_the_run
from zk_autograd.run.layout import PLAN, Layout
from zk_autograd.run.marker import require_kept
from zk_autograd.run.resumption import way_to_resume
from zk_autograd.train.names import DataSource, ModelSource, data_called
from zk_autograd.train.settings import (
    GROUPS,
    L1,
    L3,
    MAX_STEPS,
    SEED_BOUND,
    SETTINGS,
    ParameterGroup,
    Settings,
    require_one_register,
)

V1 = "zk-autograd/train/v1"
FORMAT = "zk-autograd/train/v2"
"""Beyond v1 it says where the run is entered and anchored."""

FILE = PLAN

EPS = "0.000001"
"""For rules with an eps: at grad_scale 0 the formats hold this one, but not torch's 1e-8."""

SECRET_BYTES = 32
SEED_BYTES = 8
_MAX_BYTES = 2**20
_MAX_DIGITS = 20
_LOG_BATCH_AT_0 = 12
"""The largest l of a batch of 2^l examples that goes with exact gradients at grad_scale 0."""
_GROUP_FIELDS = frozenset(ParameterGroup.__slots__)
_LATER: Mapping[str, object] = {"alpha": "", "level": L1, "public_data": False, "order_seed": None}
"""Settings that v2 came to have, and what a plan without them stands for: a plan has them only
where they are set to something else."""
_LATER_IN_GROUPS = frozenset({"alpha"})


@dataclass(frozen=True, slots=True)
class Plan:
    """A training. Decimals are texts; `momentum`, `weight_decay`, `betas`, `eps` and `alpha`
    are empty for the rule's default, `preset` for the prover's; `grad_scale` is an exponent or
    "auto"; `freeze` holds patterns of names. Parameters in none of `groups` have the plan's own
    hyper-parameters.

    `level` is L1, or L3 for exact gradients; of the latter `public_data` says whether the training
    rows are published, and `order_seed` is the seed of their order, None where a beacon gives it.

    Where nobody set `batch_size` (`batch_size_set`), it is lowered to the number of training rows.

    The data's salts are derived from `secret`. `registering` is where the run is entered and
    anchored. Raises UsageError for numbers that no training can have.
    """

    model: ModelSource
    data: DataSource
    rule: Rule
    lr: str
    momentum: str
    weight_decay: str
    grad_scale: int | Literal["auto"]
    batch_size: int
    steps: int
    seed: int
    prover: str
    preset: str
    publish: bool
    key_file: str
    secret: bytes
    betas: tuple[str, ...] = ()
    eps: str = ""
    alpha: str = ""
    schedule: str = "constant"
    freeze: tuple[str, ...] = ()
    groups: tuple[ParameterGroup, ...] = ()
    level: str = L1
    public_data: bool = False
    order_seed: int | None = None
    batch_size_set: bool = field(default=True, compare=False)
    registering: Registering = field(default=DEFAULT, compare=False)

    def __post_init__(self) -> None:
        for what, value, least, bound in (
            ("--steps", self.steps, 1, MAX_STEPS),
            ("--batch-size", self.batch_size, 1, MAX_STEPS),
            ("--seed", self.seed, 0, SEED_BOUND),
        ):
            if not least <= value < bound:
                raise UsageError(f"{what} is {value}; it must be at least {least} and below {bound}")
        if self.is_exact:
            self._require_exact()
        elif self.public_data or self.order_seed is not None:
            name = "--public-data" if self.public_data else "--order-seed"
            raise UsageError(f"{name} is for exact gradients: add --level {L3}, or leave it out")

    def _require_exact(self) -> None:
        """UsageError for what no training with exact gradients can have."""
        if self.batch_size > 2**MAX_LOG_BATCH:
            raise UsageError(
                f"--batch-size is {self.batch_size}; at {L3} it is at most {2**MAX_LOG_BATCH}: lower it, or use --level {L1}"
            )
        if self.freeze:
            raise UsageError(
                f"--freeze {self.freeze[0]}: {L3} recomputes passes through trained weights alone; leave it out, or use --level {L1}"
            )

    @property
    def is_exact(self) -> bool:
        """Whether its gradients are exact integer functions of the data."""
        return self.level == L3

    def drawn(self, start: str) -> "Plan":
        """A new training, with what is drawn for it: the order's seed of exact gradients, of 64
        random bits, unless it is set or the beacon `start` gives it. UsageError for both.

        It isn't derived from `seed`: the order's stands in the header, and the first weights'
        doesn't.
        """
        if start and self.order_seed is not None:
            raise UsageError("--order-seed: the beacon of --start gives the order of the rows; leave out one of them")
        if not self.is_exact or start or self.order_seed is not None:
            return self
        return replace(self, order_seed=int.from_bytes(os.urandom(SEED_BYTES), "big"))

    def fitted(self, rows: int) -> "Plan":
        """The plan with a batch of no more than `rows`, the training rows: a default one is
        lowered. UsageError for one that was asked for."""
        if self.batch_size > rows and self.batch_size_set:
            raise UsageError(f"--batch-size {self.batch_size} is more than the {rows} training rows of {self.data}")
        return replace(self, batch_size=min(self.batch_size, rows))

    def shared_options(self) -> dict[str, Any]:
        """The hyper-parameters of all groups that have none of their own, in torch's names; None
        for the rule's default."""
        return {
            "lr": self.lr,
            "betas": self.betas or None,
            "eps": self.eps or (EPS if "eps" in FAMILIES[self.rule].hyper_names else None),
            "alpha": self.alpha or None,
            "momentum": self.momentum or None,
            "weight_decay": self.weight_decay or None,
        }

    @classmethod
    def of(cls, settings: Settings, *, key_file: str, secret: bytes) -> "Plan":
        """The whole training, with defaults for what isn't set. UsageError for a label of data that
        already have one."""
        values = {s.attribute: settings.values.get(s.name, s.default) for s in SETTINGS if s.part}
        rule = Rule(values.pop("rule"))
        lr = values.pop("lr") or FAMILIES[rule].own_lr
        data = data_called(values.pop("data"), values.pop("label"))
        given = "batch-size" in settings.values
        if values["level"] == L3 and "grad-scale" not in settings.values:
            # A beacon's header says it before there are gradients to choose it from.
            values["grad_scale"] = "auto" if not settings.start else int(values["batch_size"] > 2**_LOG_BATCH_AT_0)
        plan = cls(**values, data=data, rule=rule, lr=lr, key_file=key_file, secret=secret, batch_size_set=given)
        return plan.registered(settings)

    def registered(self, settings: Settings) -> "Plan":
        """The plan with what was set of register and anchors. UsageError for what contradicts
        itself."""
        found = settings.registering
        require_one_register(found, lambda name: f"--{name}")
        own = self.registering
        if found.get("no-register"):
            own = Registering(False, (), own.every)
        elif "register" in found:
            own = replace(own, wanted=str(found["register"].absolute()))
        elif own.wanted is False and found.get("anchor"):
            own = replace(own, wanted=None)
        own = replace(own, anchors=found.get("anchor", own.anchors), every=found.get("anchor-every", own.every))
        return replace(self, registering=own)

    def says_where(self, settings: Settings) -> bool:
        """Whether it takes this plan's word, beside what was set, to say in which register
        `registered` enters the run, or who anchors it."""
        used = self.registered(settings).registering
        said = replace(self, registering=DEFAULT).registered(settings).registering
        return (used.folder, used.specs) != (said.folder, said.specs)

    def settings(self) -> dict[str, Any]:
        """Every setting of the training by name, in SETTINGS order, as a file would hold it; "" for
        one that came later and says what a plan without it does."""
        found = {s.name: getattr(self, s.attribute) for s in SETTINGS if s.part and s.name != "label"}
        label = self.data.label if isinstance(self.data, CsvFile) else ""
        own = {"model": str(self.model), "data": str(self.data), "label": label, "rule": self.rule.value}
        own |= {s.name: "" for s in _PARTS if s.attribute in _LATER and found[s.name] == _LATER[s.attribute]}
        return {s.name: own.get(s.name, found.get(s.name)) for s in SETTINGS if s.part}

    def write(self, run: Path) -> None:
        """Keeps the plan in the run directory `run`, with a table's path absolute. RunError."""
        kept = {s.attribute: _kept(value) for s, value in zip(_PARTS, self.settings().values(), strict=True)}
        if isinstance(self.data, CsvFile):  # absolute: the run may be resumed from another folder
            kept["data"] = CSV + str(Path(self.data.path).absolute())
        kept = {name: value for name, value in kept.items() if value != "" or name not in _LATER}
        # Any of 64 bits: a number of canonical JSON has fewer.
        kept |= {"seed": str(self.seed), "grad_scale": str(self.grad_scale)}
        if self.order_seed is not None:
            kept["order_seed"] = str(self.order_seed)
        private: dict[str, Json] = {
            "format": FORMAT,
            "key_file": self.key_file,
            "secret": self.secret.hex(),
            "register": str(self.registering.wanted or ""),
            "no_register": self.registering.wanted is False,
            "anchors": [*self.registering.specs],
            "anchor_every": self.registering.every,
        }
        Files().write_atomic(Layout(run).plan, encode(kept | private), PRIVATE_FILE)

    @classmethod
    def read(cls, run: Path) -> "Plan":
        """The plan of the run at `run`. Raises UsageError if there is no run, RunError if zk-train
        can't resume it."""
        if not is_folder(run):
            raise UsageError(f"there is no run at {run}; name the folder that --out named")
        require_kept(Layout(run))
        path = Layout(run).plan
        if not exists(path):
            raise RunError(
                f"zk-train can't resume {run}: it has no private/{FILE}, so zk-train didn't begin it, or was stopped before its first step; begin "
                f"a new run, or if your own loop began this one, use `{way_to_resume(run)}` there"
            )
        other = "is not of this version ({}); use the version that began the run"
        try:
            return _parsed(read_bounded(path, _MAX_BYTES))
        except VerificationError as error:
            raise of_the_run(error, f"{path} {other.format(error)}") from error
        except (UsageError, ValueError) as error:
            raise RunError(f"{path} {other.format(error)}") from error


_PARTS = tuple(setting for setting in SETTINGS if setting.part)


def _kept(value: Any) -> Json:
    """A setting's value as the private plan holds it."""
    if isinstance(value, tuple):
        return [_kept(item) for item in value]
    if isinstance(value, ParameterGroup):
        return {name: _kept(own) for name, own in asdict(value).items() if own or name not in _LATER_IN_GROUPS}
    kept: Json = value
    return kept


def _parsed(data: bytes) -> Plan:
    fields = Fields(decode(data, max_bytes=_MAX_BYTES), FILE)
    version = fields.choice("format", (FORMAT, V1))
    key_file, secret = fields.text("key_file", max_len=5000), fields.hex("secret", SECRET_BYTES)
    values = {s.name: fields.raw(s.attribute) for s in _PARTS if s.attribute in fields or s.attribute not in _LATER}
    own = Settings({"no-register": True}) if version == V1 else _registering(fields)
    fields.end()
    for name in {"seed", "grad-scale", "order-seed"} & values.keys():
        values[name] = _number(values[name])
    if not isinstance(groups := values[GROUPS], list):
        raise ValueError("the groups are not a list")
    values[GROUPS] = [_given(group) for group in groups]
    unset = {s.name for s in _PARTS if s.default in ("", ()) and values.get(s.name) in ("", [])}
    given = {name: value for name, value in values.items() if name not in unset}
    kept = Settings.kept(given, lambda name: name)
    return Plan.of(Settings({**kept.values, **own.values}), key_file=key_file, secret=secret)


def _registering(fields: Fields) -> Settings:
    """What a plan says of register and anchors."""
    register, none = fields.text("register", max_len=5000, min_len=0), fields.raw("no_register")
    anchors, every = fields.raw("anchors"), fields.raw("anchor_every")
    given: dict[str, object] = {"no-register": none, "anchor-every": every}
    if register:
        given["register"] = register
    if anchors != []:
        given["anchor"] = anchors
    return Settings.kept(given, lambda name: name)


def _given(group: Json) -> dict[str, Json]:
    """A group's own settings."""
    if not isinstance(group, dict) or group.keys() | _LATER_IN_GROUPS != _GROUP_FIELDS:
        raise ValueError("a group is not an object of a group's settings")
    return {name.replace("_", "-"): value for name, value in group.items() if value not in ("", [])}


def _number(text: Json) -> int | str:
    if not isinstance(text, str) or len(text) > _MAX_DIGITS:
        raise ValueError("a number is not a short text")
    return text if text == "auto" else int(text)
