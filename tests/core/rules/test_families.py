"""The rows of the rules: what fits a rule, and what it takes to add one."""

import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from zk_autograd.core.errors import VerificationError
from zk_autograd.core.hyper import AdamHyper, Hyper, LionHyper, RmspropHyper, Rule, SgdHyper
from zk_autograd.core.rules.families import FAMILIES, constants_sequence

ADAM = AdamHyper(Fraction(1, 1000), Fraction(9, 10), Fraction(999, 1000), Fraction(1, 10**8))
SGD = SgdHyper(Fraction(1, 10))
LION = LionHyper(Fraction(1, 10**4), Fraction(9, 10), Fraction(99, 100))
RMSPROP = RmspropHyper(Fraction(1, 100), Fraction(99, 100), Fraction(1, 10**8))


def test_every_rule_has_its_row() -> None:
    assert list(FAMILIES) == list(Rule)
    for row in FAMILIES.values():
        assert row.states[0] == "W"
        assert set(row.hyper_names) | set(row.unused) == set(row.hyper.__slots__)
        assert set(row.hyper_names) <= set(row.defaults)


@pytest.mark.parametrize(
    ("rule", "hyper", "message"),
    [
        (Rule.ADAM, SGD, "expected AdamHyper, found SgdHyper"),
        (Rule.ADAMW, SGD, "expected AdamHyper, found SgdHyper"),
        (Rule.SGD, ADAM, "expected SgdHyper, found AdamHyper"),
        (Rule.SGD_MOMENTUM, ADAM, "expected SgdHyper, found AdamHyper"),
        (Rule.NESTEROV, ADAM, "expected SgdHyper, found AdamHyper"),
        (Rule.LION, ADAM, "expected LionHyper, found AdamHyper"),
        (Rule.RMSPROP, ADAM, "expected RmspropHyper, found AdamHyper"),
        (Rule.ADAM, LION, "expected AdamHyper, found LionHyper"),
        (Rule.ADAM, replace(ADAM, weight_decay=Fraction(1, 100)), "choose adamw.*found 0.01"),
        (Rule.SGD, replace(SGD, momentum=Fraction(9, 10)), "choose sgd-momentum.*found 0.9"),
    ],
)
def test_hyper_parameters_of_another_rule_are_refused(rule: Rule, hyper: Hyper, message: str) -> None:
    with pytest.raises(VerificationError, match=message):
        constants_sequence(rule, hyper, 0, FAMILIES[rule].shifts[0])


@pytest.mark.parametrize(
    ("rule", "hyper"),
    [
        (Rule.ADAM, ADAM),
        (Rule.ADAMW, replace(ADAM, weight_decay=Fraction(1, 100))),
        (Rule.SGD, replace(SGD, weight_decay=Fraction(1, 100))),
        (Rule.SGD_MOMENTUM, replace(SGD, momentum=Fraction(9, 10))),
        (Rule.NESTEROV, replace(SGD, momentum=Fraction(9, 10))),
        (Rule.LION, replace(LION, weight_decay=Fraction(1, 10))),
        (Rule.RMSPROP, replace(RMSPROP, weight_decay=Fraction(1, 10))),
    ],
)
def test_hyper_parameters_of_the_rule_fit(rule: Rule, hyper: Hyper) -> None:
    constants_sequence(rule, hyper, 0, FAMILIES[rule].shifts[0])


SOURCES = Path(__file__).resolve().parents[3] / "src/zk_autograd"
NAMED = re.compile(
    r"\bRule\.(?:[A-Z_]+)\b|[\"'](?:adam|adamw|lion|rmsprop|sgd|sgd-momentum|sgd-nesterov)[\"']|\b(?:Adam|Lion|Rmsprop|Sgd)(?:Hyper|Constants|Sequence)\b"
)


def test_few_files_name_a_rule() -> None:
    """Where a new rule is written: its file, its row, its constants, and EZKL's circuit. Everything
    else asks the row."""
    naming = {
        str(path.relative_to(SOURCES))
        for path in SOURCES.rglob("*.py")
        if NAMED.search(re.sub(r'"""[\s\S]*?"""|#.*', "", path.read_text(encoding="utf-8")))
    }
    own = {"core/hyper.py", "core/constants.py", "core/rules/families.py"} | {
        f"core/rules/{name}.py" for name in ("adam", "lion", "rmsprop", "sgd")
    }
    circuit = {
        f"prove/ezkl/circuit/{name}.py" for name in ("adam", "catalogue", "lion", "sgd", "variants", "weights")
    } | {"prove/ezkl/sample.py"}
    torch_names = {"optim/options.py"}
    """torch calls three rules SGD, and tells them apart by momentum and nesterov."""
    default = {"optim/optimizer.py", "train/settings.py"}
    """The rule where the user names none."""
    kernels = {"kernels/torch_rules.py", "kernels/triton_gpu.py"}
    """Steps in the operations of torch and of Triton; another rule is computed by core's own."""
    assert naming == own | circuit | torch_names | default | kernels
