"""What a trainer may set, by flag or in a file, and what holds where nothing is set.

Rules: a setting has one name, that of its flag without the dashes (`weight-decay`), and one check, whose message begins with where it
was set: `--steps` or `train.toml: steps`. What was set later wins: flag over file over default. Numbers of the optimizer are exact
decimals.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from zk_autograd.core import schedules
from zk_autograd.core.backends import DEFAULT_BACKEND, PRESETS, PROVERS
from zk_autograd.core.decimals import decimal_text, parse_decimal
from zk_autograd.core.errors import UsageError, VerificationError
from zk_autograd.core.hyper import Rule
from zk_autograd.core.text import has_control, is_unicode
from zk_autograd.credentials.redaction import looks_secret
from zk_autograd.local.own_folders import expanded
from zk_autograd.train.names import DataName, ModelName, ModelSource, data_called, model_called, nearest, shown
from zk_autograd.train.plan import MAX_GROUPS, MAX_NAME, MAX_PATTERNS, MAX_STEPS, ParameterGroup, Plan, default_lr
from zk_autograd.train.seeded import SEED_BOUND

Reader = Callable[[object, str], Any]
"""Gives a setting's value from what a flag or a file holds. Raises UsageError, which begins with the place given."""

GROUPS = "groups"
_PARAMETERS = "parameters"
_INTEGER_BITS = 64


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


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME or has_control(value) or not is_unicode(value):
        raise UsageError(f"{where} is {_shown(value)}; it must be a text of 1 to {MAX_NAME} printable characters")
    if looks_secret(value):
        raise UsageError(
            f"{where} looks like an access token, and would be recorded: give tokens by --hf-token or HF_TOKEN, never in {where}"
        )
    return value


def _path(value: object, where: str) -> Path:
    return Path(expanded(_text(value, where)))


def _texts(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not 0 < len(value) <= MAX_PATTERNS:
        raise UsageError(f"{where} is {_shown(value)}; it must be a list of 1 to {MAX_PATTERNS} texts")
    return tuple(_text(item, where) for item in value)


def _model(value: object, where: str) -> ModelSource:
    return model_called(_text(value, where), where)


def _data(value: object, where: str) -> str:
    text = _text(value, where)
    data_called(text, where=where)
    return text


def _schedule(value: object, where: str) -> str:
    try:
        schedule = schedules.parse(_text(value, where))
    except VerificationError as error:
        raise UsageError(f"{where}: {error}") from error
    return schedules.RECORDED if schedule is None else schedule.text


_GROUP_READERS: dict[str, Reader] = {
    _PARAMETERS: _texts,
    "lr": _decimal,
    "momentum": _decimal,
    "weight-decay": _decimal,
    "betas": _betas,
    "eps": _decimal,
}


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
    return ParameterGroup(**found)


READERS: dict[str, Reader] = {
    "steps": _integer(1, MAX_STEPS),
    "model": _model,
    "data": _data,
    "label": _text,
    "rule": _choice(tuple(rule.value for rule in Rule)),
    "lr": _decimal,
    "momentum": _decimal,
    "weight-decay": _decimal,
    "betas": _betas,
    "eps": _decimal,
    "schedule": _schedule,
    "grad-scale": _scale,
    "freeze": _texts,
    GROUPS: _groups,
    "batch-size": _integer(1, MAX_STEPS),
    "seed": _integer(0, SEED_BOUND),
    "prover": _choice(PROVERS),
    "preset": _choice(PRESETS),
    "publish": _boolean,
    "out": _path,
    "srs": _path,
    "key-file": _path,
}
"""Every setting. The last three say where things lie on this machine, and are no part of a training."""

PLACES = ("out", "srs", "key-file")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What was set, each of its type, and None for what was not."""

    steps: int | None = None
    model: ModelSource | None = None
    data: str | None = None
    label: str | None = None
    rule: str | None = None
    lr: str | None = None
    momentum: str | None = None
    weight_decay: str | None = None
    betas: tuple[str, ...] | None = None
    eps: str | None = None
    schedule: str | None = None
    grad_scale: int | Literal["auto"] | None = None
    freeze: tuple[str, ...] | None = None
    groups: tuple[ParameterGroup, ...] | None = None
    batch_size: int | None = None
    seed: int | None = None
    prover: str | None = None
    preset: str | None = None
    publish: bool | None = None
    out: Path | None = None
    srs: Path | None = None
    key_file: Path | None = None

    @classmethod
    def of(cls, values: Mapping[str, object], called: Callable[[str], str]) -> "Settings":
        """The settings of `values`, by their names; `called` says how a message calls one. UsageError for any that can't be."""
        return cls(**read(values, READERS, called))

    def over(self, other: "Settings") -> "Settings":
        """These, and what only `other` has."""
        return replace(other, **{f.name: v for f in fields(self) if (v := getattr(self, f.name)) is not None})

    def plan(self, *, key_file: str, secret: bytes) -> Plan:
        """The whole training, with defaults for what isn't set. UsageError for a label of data that have one."""
        chosen = {f.name: getattr(self, f.name) for f in fields(Plan) if f.name in _DEFAULTS}
        chosen = {name: _DEFAULTS[name] if value is None else value for name, value in chosen.items()}
        rule = Rule(self.rule or Rule.ADAM)
        lr = self.lr or default_lr(rule)
        data = data_called(self.data or DataName.DIGITS, self.label or "")
        given = self.batch_size is not None
        return Plan(**chosen, data=data, rule=rule, lr=lr, key_file=key_file, secret=secret, batch_size_set=given)


_DEFAULTS: dict[str, Any] = {
    "steps": 100,
    "model": ModelName.MLP,
    "momentum": "",
    "weight_decay": "",
    "betas": (),
    "eps": "",
    "schedule": "constant",
    "grad_scale": 0,
    "freeze": (),
    "groups": (),
    "batch_size": 64,
    "seed": 0,
    "prover": DEFAULT_BACKEND,
    "preset": "",
    "publish": True,
}
"""Of the settings that a plan holds as they are; the lr depends on the rule."""


def read(values: Mapping[str, object], readers: Mapping[str, Reader], called: Callable[[str], str]) -> dict[str, Any]:
    """Each value by the name of its field. UsageError for a name that no reader has, and by the readers."""
    found = {}
    for name, value in values.items():
        if name not in readers:
            raise UsageError(
                f"{called(shown(name))} is no setting{nearest(name, readers) or '; the settings are ' + ', '.join(readers)}"
            )
        found[name.replace("-", "_")] = readers[name](value, called(name))
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
