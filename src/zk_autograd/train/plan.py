"""What zk-train was asked to do, kept in the run's private folder so that it can be gone on with."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from zk_autograd.core.backends import PRESETS, PROVERS
from zk_autograd.core.canonical import decode, encode
from zk_autograd.core.errors import RunError, UsageError, VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.core.hyper import Rule
from zk_autograd.core.rules.families import FAMILIES
from zk_autograd.evidence.files import read_bounded
from zk_autograd.run.files import PRIVATE_FILE, Files, exists, is_folder, of_the_run
from zk_autograd.run.layout import PLAN, Layout
from zk_autograd.run.marker import require_kept
from zk_autograd.run.resumption import way_to_resume
from zk_autograd.train.data import SECRET_BYTES
from zk_autograd.train.names import CSV, CsvFile, DataSource, ModelSource, data_called, model_called
from zk_autograd.train.seeded import SEED_BOUND

FORMAT = "zk-autograd/train/v1"
FILE = PLAN

MAX_STEPS = 2**40
EPS = "0.000001"
"""Of the rules with one: at grad_scale 0 the formats hold it, and torch's 1e-8 they would not."""

MAX_PATTERNS = 1000
MAX_GROUPS = 100
MAX_NAME = 1000
_MAX_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class ParameterGroup:
    """Parameters whose names match one of `parameters` (shell patterns), and their own hyper-parameters; "" and () are the plan's."""

    parameters: tuple[str, ...]
    lr: str = ""
    momentum: str = ""
    weight_decay: str = ""
    betas: tuple[str, ...] = ()
    eps: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """A training. Decimals are texts; `momentum`, `weight_decay`, `betas` and `eps` are empty for the rule's default, `preset` for the
    prover's; `grad_scale` is an exponent or "auto"; `freeze` holds patterns of names. Parameters in none of `groups` have the plan's
    own hyper-parameters.

    Where nobody set `batch_size` (`batch_size_set`), it is lowered to the number of training rows.

    `secret` is what salts of the data are derived from. Raises UsageError for numbers that no training can have.
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
    schedule: str = "constant"
    freeze: tuple[str, ...] = ()
    groups: tuple[ParameterGroup, ...] = ()
    batch_size_set: bool = field(default=True, compare=False)

    def __post_init__(self) -> None:
        for what, value, least, bound in (
            ("--steps", self.steps, 1, MAX_STEPS),
            ("--batch-size", self.batch_size, 1, MAX_STEPS),
            ("--seed", self.seed, 0, SEED_BOUND),
        ):
            if not least <= value < bound:
                raise UsageError(f"{what} is {value}; it must be at least {least} and below {bound}")

    def write(self, run: Path) -> None:
        """Keeps the plan in the run directory `run`, a table's path made absolute. Raises RunError."""
        if isinstance(self.data, CsvFile):  # absolute: the run may be gone on with from another folder
            data, label = CSV + str(Path(self.data.path).absolute()), self.data.label
        else:
            data, label = self.data.value, ""
        content = encode(
            {
                "format": FORMAT,
                "model": str(self.model),
                "data": data,
                "label": label,
                "rule": self.rule.value,
                "lr": self.lr,
                "momentum": self.momentum,
                "weight_decay": self.weight_decay,
                "betas": self.betas,
                "eps": self.eps,
                "schedule": self.schedule,
                "grad_scale": str(self.grad_scale),
                "freeze": self.freeze,
                "groups": [asdict(group) for group in self.groups],
                "batch_size": self.batch_size,
                "steps": self.steps,
                "seed": str(self.seed),
                "prover": self.prover,
                "preset": self.preset,
                "publish": self.publish,
                "key_file": self.key_file,
                "secret": self.secret.hex(),
            }
        )
        Files().write_atomic(Layout(run).plan, content, PRIVATE_FILE)

    @classmethod
    def read(cls, run: Path) -> "Plan":
        """The plan of the run at `run`. Raises UsageError if there is no run, RunError if zk-train can't go on with it."""
        if not is_folder(run):
            raise UsageError(f"there is no run at {run}; name the folder that --out named")
        require_kept(Layout(run))
        path = Layout(run).plan
        if not exists(path):
            raise RunError(
                f"zk-train can't go on with {run}: it has no private/{FILE}, so zk-train didn't begin it, or was stopped before its first step; "
                f"begin a new run, or if a loop of your own began this one, use `{way_to_resume(run)}` there"
            )
        other = "is not of this version ({}); go on with the version that began the run"
        try:
            return _parsed(read_bounded(path, _MAX_BYTES))
        except VerificationError as error:
            raise of_the_run(error, f"{path} {other.format(error)}") from error
        except (UsageError, ValueError) as error:
            raise RunError(f"{path} {other.format(error)}") from error


def default_lr(rule: Rule) -> str:
    """A learning rate that suits the data and models here."""
    return FAMILIES[rule].own_lr


def _parsed(data: bytes) -> Plan:
    fields = Fields(decode(data, max_bytes=_MAX_BYTES), FILE)
    fields.choice("format", (FORMAT,))
    scale = fields.text("grad_scale", max_len=10)
    plan = Plan(
        model=model_called(fields.text("model", MAX_NAME), "model"),
        data=data_called(fields.text("data", 5000), fields.text("label", MAX_NAME, min_len=0), "data"),
        rule=Rule(fields.choice("rule", tuple(rule.value for rule in Rule))),
        lr=fields.text("lr", max_len=100),
        momentum=fields.text("momentum", max_len=100, min_len=0),
        weight_decay=fields.text("weight_decay", max_len=100, min_len=0),
        betas=_betas(fields),
        eps=fields.text("eps", max_len=100, min_len=0),
        schedule=fields.text("schedule", MAX_NAME),
        grad_scale="auto" if scale == "auto" else int(scale),
        freeze=tuple(fields.texts("freeze", MAX_PATTERNS, MAX_NAME)),
        groups=tuple(_group(group) for group in fields.objects("groups", MAX_GROUPS)),
        batch_size=fields.integer("batch_size", 1, MAX_STEPS),
        steps=fields.integer("steps", 1, MAX_STEPS),
        seed=int(fields.text("seed", max_len=20)),
        prover=fields.choice("prover", PROVERS),
        preset=fields.choice("preset", ("", *PRESETS)),
        publish=fields.boolean("publish"),
        key_file=fields.text("key_file", max_len=5000),
        secret=fields.hex("secret", SECRET_BYTES),
    )
    fields.end()
    return plan


def _group(fields: Fields) -> ParameterGroup:
    group = ParameterGroup(
        parameters=tuple(fields.texts("parameters", MAX_PATTERNS, MAX_NAME, min_items=1)),
        lr=fields.text("lr", max_len=100, min_len=0),
        momentum=fields.text("momentum", max_len=100, min_len=0),
        weight_decay=fields.text("weight_decay", max_len=100, min_len=0),
        betas=_betas(fields),
        eps=fields.text("eps", max_len=100, min_len=0),
    )
    fields.end()
    return group


def _betas(fields: Fields) -> tuple[str, ...]:
    return tuple(fields.texts("betas", max_items=2, max_len=100))
