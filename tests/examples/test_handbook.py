"""What docs/training.md says is so: its table, model and settings train as it shows, and its errors
are those of the command."""

import csv
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import trainer_key
from zk_autograd.cli import train
from zk_autograd.credentials import keyfile
from zk_autograd.train.seeded import Purpose, permutation

pytestmark = pytest.mark.torch

HANDBOOK = (Path(__file__).parents[2] / "docs/training.md").read_text()


def block(language: str) -> str:
    """The one block of code in a language; of Python, the one that makes a model."""
    found: str
    (found,) = (text for text in blocks(language) if language != "python" or "def net" in text)
    return found


def blocks(language: str) -> list[str]:
    """All blocks of code in a language."""
    return re.findall(rf"```{language}\n(.*?)```", HANDBOOK, re.DOTALL)


@pytest.fixture(autouse=True)
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user in a folder with the handbook's files."""
    from sklearn.datasets import load_iris

    iris = load_iris()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    trainer_key.create(keyfile.default_path(), "trainer")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delitem(sys.modules, "flowers", raising=False)
    with Path("iris.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow([*iris.feature_names, "species"])
        rows.writerows(
            [*features, iris.target_names[kind]] for features, kind in zip(iris.data.tolist(), iris.target, strict=True)
        )
    Path("typo.csv").write_text(Path("iris.csv").read_text().replace("\n5.0,3.6,", "\n5.0,tall,", 1))
    Path("flowers.py").write_text(block("python"))
    Path("train.toml").write_text(block("toml"))


def test_handbooks_training_is_what_it_shows(capsys: pytest.CaptureFixture[str]) -> None:
    assert train.main(["--config", "train.toml", "--prover", "none", "--out", "runs/iris"]) == 0
    out = capsys.readouterr().out.splitlines()
    shown = [line.strip() for line in HANDBOOK.splitlines()]
    for name in ("trained", "rule", "classes"):
        (line,) = [line for line in out if line.startswith(name)]
        assert line in shown


def test_handbooks_lines_predict_what_was_trained(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ("--data", "csv:iris.csv", "--label", "species", "--prover", "none", "--out", "runs/iris")
    assert train.main(flags) == 0
    said = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("accuracy"))
    (lines,) = (text for text in blocks("python") if "table.json" in text)
    scope: dict[str, Any] = {}
    exec(lines, scope)
    with Path("iris.csv").open(newline="") as file:
        species = [row["species"] for row in csv.DictReader(file)]
    right = [one == other for one, other in zip(scope["predicted"], species, strict=True)]
    tested = permutation(0, Purpose.SPLIT, 0, len(right))[: len(right) // 5]
    accuracy = sum(right[row] for row in tested) / len(tested)
    assert said == f"accuracy  {100 * accuracy:.1f} % of {len(tested)} test rows"
    assert accuracy > 0.9


@pytest.mark.parametrize("flags", [["--data", "csv:typo.csv"], ["--config", "train.toml"]])
def test_handbooks_errors_are_the_commands(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    Path("train.toml").write_text(block("toml").replace("steps =", "stepz ="))
    assert train.main([*flags, "--prover", "none"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] in [line.strip() for line in HANDBOOK.splitlines()]


def test_every_flag_of_the_handbook_is_one() -> None:
    text = " ".join(train.parser().format_help().split())
    begin, end = HANDBOOK.split("\n## Signing the model\n")  # of other commands
    own = re.sub(r"zk-run .*", "", begin + end[end.index("\n## ") :])  # whose flags tests/test_docs.py looks at
    flags = set(re.findall(r"--[a-z][a-z-]+", own))
    assert len(flags) > 5
    assert not [flag for flag in flags if flag not in text]
