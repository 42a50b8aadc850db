"""`zk-train --level L3`: exact gradients of a built-in data set, and of a table and a model of the
user's own."""

import json
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.cli.training import TRAINER, Broken, Train, published
from zk_autograd.cli import key as key_command
from zk_autograd.cli import run as runs
from zk_autograd.cli import train as command
from zk_autograd.cli import verify
from zk_autograd.cli.output import run_command
from zk_autograd.core import cells as cells_format
from zk_autograd.core.cells import Cells
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.graph import text as graph_text
from zk_autograd.core.order import SAMPLER
from zk_autograd.core.record_bytes import parse_log
from zk_autograd.core.records import Log
from zk_autograd.evidence.data_secrets import Table
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.evidence.table_cells import cells_from_table
from zk_autograd.local import csv_file
from zk_autograd.local.csv_name import CsvFile
from zk_autograd.run.exact_files import ExactFiles
from zk_autograd.run.layout import Layout
from zk_autograd.train.plan import Plan

pytestmark = TRAINER

TABLE = "age,height,sold\n" + "".join(
    f"{20 + i % 7},{1.5 + (i % 3) / 10},{'yes' if i % 3 else 'no'}\n" for i in range(40)
)
NET = """\
from torch import nn
def net(columns, classes):
    return nn.Sequential(nn.Linear(columns, 4), nn.ReLU(), nn.Linear(4, classes))
def norm(columns, classes):
    return nn.Sequential(nn.Linear(columns, 4), nn.BatchNorm1d(4), nn.Linear(4, classes))
def drop(columns, classes):
    return nn.Sequential(nn.Linear(columns, 4), nn.Dropout(0.1), nn.Linear(4, classes))
def one(columns, classes):
    return nn.Sequential(nn.Linear(columns, 1))
"""
OWN = ("--level", "L3", "--data", "csv:table.csv", "--model", "exact_net_of_a_user:net", "--batch-size", "6")
HASHED = (*OWN, "--prover", "none", "--steps", "20")


@pytest.fixture
def own(trainer_home: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table and models in the current folder."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delitem(sys.modules, "exact_net_of_a_user", raising=False)
    Path("table.csv").write_text(TABLE)
    Path("exact_net_of_a_user.py").write_text(NET)


def log_of(run: str) -> Log:
    with RunFolder(Path(run)) as reader:
        return parse_log(reader.leaves())


def files_of(run: str) -> ExactFiles:
    log = log_of(run)
    return ExactFiles.read(Layout(Path(run)), log.header, log.header_digest)


def told(table: Table | None) -> Table:
    assert table is not None
    return table


@pytest.mark.slow
@pytest.mark.usefixtures("native_prover")
def test_run_on_digits_is_proved_and_judged(zk_train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ("--level", "L3", "--steps", "20", "--batch-size", "48", "--rule", "sgd", "--lr", "0.004")
    status, out, err = zk_train(*flags, "--out", "run")
    assert status == 0, err
    line = "gradients exact, for L3: private data, batches of 48, padded to 64: as lr 0.003 with the mean over 48"
    assert line in out.splitlines()
    assert out.splitlines()[-2:] == [
        "  zk-run open run --all --for AUDITOR.pub --out openings",
        "  zk-run open run --cells cells",
    ]
    words = shlex.split(next(line for line in out.splitlines() if line.startswith("  zk-verify")))
    assert verify.main(words[1:]) == 0
    assert "verdict: L0, L1\n" in capsys.readouterr().out

    header, exact = log_of("run").header, log_of("run").header.exact
    assert exact is not None
    assert (header.data.sampler, header.data.count, header.data.root, exact.stride) == (SAMPLER, 1438, b"", 64 + 10)
    assert (exact.visibility, exact.log_batch, len(exact.shards), exact.cells) == ("private", 6, 1, b"")
    plan = Plan.read(Path("run"))
    assert (plan.level, plan.order_seed, plan.grad_scale) == ("L3", exact.seed, "auto")
    assert header.grad_scale > 0, "the largest element was put near the bound"
    assert exact.seed not in (None, plan.seed)
    assert {'level = "L3"', 'grad-scale = "auto"', f"order-seed = {exact.seed}"} <= {
        *Path("run/config.toml").read_text().splitlines()
    }
    table = told(files_of("run").secrets.table)
    assert (table.name, table.label, table.classes) == ("digits", "target", tuple("0123456789"))
    assert not Path("run/data").exists(), "private data have no public file"


@pytest.mark.slow
@pytest.mark.usefixtures("native_prover", "own")
def test_auditor_with_the_table_and_the_openings_recomputes_every_gradient(
    zk_train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    assert key_command.main(["new", "--for", "recipient", "--key-file", "auditor.key"]) == 0
    capsys.readouterr()
    status, out, err = zk_train(*OWN, "--steps", "20", "--out", "run", "--json")
    assert status == 0, err
    words = shlex.split(json.loads(out)["verify"])[1:]
    assert runs.main(["open", "run", "--all", "--for", "auditor.key.pub", "--out", "answer"]) == 0
    given = ["--openings", "answer", "--recipient-key", "auditor.key", "--require", "L3", "--data"]
    capsys.readouterr()
    assert verify.main([*words, *given, "table.csv"]) == 0
    assert "verdict: L0, L1, L3\n" in capsys.readouterr().out
    Path("other.csv").write_text(TABLE.replace("21,", "21.5,", 1))
    assert verify.main([*words, *given, "other.csv"]) == 1
    assert "the data that were given are not what the header commits to" in capsys.readouterr().out
    Path("other.csv").write_text(TABLE.replace("height", "length", 1))
    assert verify.main([*words, *given, "other.csv"]) == 1
    assert "the table given doesn't have the columns that the openings name" in capsys.readouterr().out
    Path("other.csv").write_text(TABLE.replace("21,", ",", 1))
    assert verify.main([*words, *given, "other.csv"]) == 2
    assert "error: other.csv: row 3, column 'age' is empty" in capsys.readouterr().err


@pytest.mark.usefixtures("own")
def test_auditor_makes_the_committed_cells_from_the_table_alone(zk_train: Train) -> None:
    assert zk_train(*HASHED, "--out", "run")[0] == 0
    files = files_of("run")
    table = told(files.secrets.table)
    assert (table.name, table.classes, table.columns) == ("csv:table.csv", ("no", "yes"), ("age", "height"))
    found = made_again("table.csv", table)
    assert np.array_equal(found, files.cells)
    assert found.shape == (32, 2 + 2)
    log = log_of("run")
    assert cells_format.tree_root(found, files.secrets.salts[0]) == log.header.data.root


def made_again(path: str, table: Table) -> Cells:
    """As an auditor does it, without the trainer's code."""
    read = csv_file.read(CsvFile(path, table.label))
    return cells_from_table(read.features, read.columns, [read.names[i] for i in read.classes], table, 2)


@pytest.mark.usefixtures("own")
def test_cells_are_not_made_from_another_table(zk_train: Train) -> None:
    assert zk_train(*HASHED, "--out", "run")[0] == 0
    files = files_of("run")
    table = told(files.secrets.table)
    for change, message in [
        (TABLE.replace("height", "length", 1), "the columns that the openings name"),
        ("\n".join(TABLE.splitlines()[:30]), "as many rows as the openings take"),
        ("\n".join(TABLE.splitlines()[:37]), "the rows that the openings take"),
        (TABLE.replace("yes", "sold"), "the classes that the openings name"),
    ]:
        Path("other.csv").write_text(change)
        with pytest.raises(VerificationError, match=message):
            made_again("other.csv", table)
    Path("other.csv").write_text(TABLE.replace("21,", "21.5,", 1))
    assert not np.array_equal(made_again("other.csv", table), files.cells)


@pytest.mark.usefixtures("own")
def test_public_data_are_a_file_of_the_run(zk_train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = zk_train(
        *HASHED, "--public-data", "--order-seed", "18446744073709551615", "--out", "run", "--json"
    )
    assert status == 0, err
    found = json.loads(out)
    assert (found["level"], found["exact"]["data"]) == ("L3", "public")
    assert (found["exact"]["batch_size"], found["exact"]["padded_to"]) == (6, 8)
    assert found["exact"]["as_mean"] == [{"eps": "0.00000133333"}], "adam's, of 0.000001 * 8 / 6"
    assert verify.main(shlex.split(found["verify"])[1:]) == 0
    capsys.readouterr()
    cells, features = cells_format.parsed(Path("run/data/cells").read_bytes())
    assert features == 2
    assert np.array_equal(cells, made_again("table.csv", told(files_of("run").secrets.table)))
    exact = log_of("run").header.exact
    assert exact is not None
    assert exact.seed == 2**64 - 1
    # What the run publishes of its settings leads to the same weights: order and all.
    config = Path("run/config.toml").read_text()
    assert "public-data = true\n" in config
    assert zk_train("--config", "run/config.toml", "--out", "again")[0] == 0
    assert published("run") == published("again")


@pytest.mark.usefixtures("own")
def test_order_is_drawn_for_each_run_and_never_follows_from_the_seed(zk_train: Train) -> None:
    for run in ("one", "two"):
        assert zk_train(*HASHED, "--seed", "7", "--out", run)[0] == 0
    one, two = (log_of(run).header.exact for run in ("one", "two"))
    assert one is not None
    assert two is not None
    assert one.seed != two.seed
    assert published("one") != published("two")
    assert (one.graph, one.stride) == (two.graph, two.stride)
    graph = graph_text.digest(Path("one/graph.txt").read_bytes())
    assert graph == one.graph


def begun(flags: Sequence[str]) -> None:
    """A run that ended at its first proof."""
    arguments = command.parser().parse_args([*flags, "--out", "run"])
    assert run_command(lambda output: command.train(arguments, output, Broken(31, 16)), json_output=False) == 1


@pytest.mark.usefixtures("own")
def test_resumed_run_has_the_weights_of_one_that_was_not_interrupted(
    zk_train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = (*HASHED, "--order-seed", "5")
    begun(flags)
    assert not Path("run/model/weights.i64.safetensors").exists()
    capsys.readouterr()
    status, _, err = zk_train("--resume", "run")
    assert status == 0, err
    assert "exact gradients" in err
    assert zk_train(*flags, "--out", "whole")[0] == 0
    assert published("run") == published("whole")
    assert [s.loss for s in log_of("run").segments] == [s.loss for s in log_of("whole").segments]


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda: Path("table.csv").write_text(TABLE.replace("22,", "23,", 1)), "table.csv has changed since; restore"),
        (lambda: Path("exact_net_of_a_user.py").write_text(NET + "# new"), "is not the code of the run"),
        (lambda: Path("run/graph.txt").unlink(), "run/graph.txt is missing, or is not the one that the header names"),
    ],
    ids=["data", "code", "graph"],
)
def test_run_is_resumed_with_the_data_and_code_of_its_beginning_alone(
    change: Callable[[], object], message: str, zk_train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    begun(HASHED)
    capsys.readouterr()
    change()
    status, out, err = zk_train("--resume", "run")
    assert (status, out) in [(1, ""), (2, "")]
    assert message in err.splitlines()[-1]
    assert not Path("run/private/close").exists()


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("flags", "table", "message"),
    [
        (["--model", "exact_net_of_a_user:norm"], TABLE, "layer 1 is a BatchNorm1d: its statistics join the examples"),
        (["--model", "exact_net_of_a_user:drop"], TABLE, "layer 1 is a Dropout with p = 0.1"),
        (["--model", "exact_net_of_a_user:one"], TABLE, "it must return float32 of shape (2, 2), a logit for each class"),
        (["--freeze", "0.bias"], TABLE, "--freeze 0.bias: L3 recomputes passes through trained weights alone"),
        (["--batch-size", "8193"], TABLE, "--batch-size is 8193"),
        (["--batch-size", "33"], TABLE, "--batch-size 33 is more than the 32 training rows of csv:table.csv"),
        (["--level", "L1", "--public-data"], TABLE, "--public-data"),
        (["--level", "L1", "--order-seed", "3"], TABLE, "--order-seed"),
        (["--level", "L2"], TABLE, "--level is L2, which an enclave attests of a training inside it (zk-enclave); zk-train has L1 and L3"),
        (["--level", "L4"], TABLE, "--level is L4, a proof of the gradients, which no prover makes yet"),
        (["--level", "L5"], TABLE, "--level is L5; it must be one of L1, L3"),
        (["--order-seed", "18446744073709551616"], TABLE, "--order-seed is an integer of more than 64 bits"),
        (["--order-seed", "3", "--start", "beacon:evm:URL,key=FILE"], TABLE, "--order-seed: the beacon of --start"),
        (["--grad-scale", "20"], TABLE, "grad_scale doesn't go with the batch of exact gradients"),
        (["--steps", "1"], TABLE.replace("height", "a" * 1001), "can't be told to an auditor"),
        (["--steps", "1"], TABLE.replace("height", '"hei\nght"'), "can't be told to an auditor"),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence_and_leaves_nothing(
    flags: list[str], table: str, message: str, zk_train: Train
) -> None:
    Path("table.csv").write_text(table)
    status, out, err = zk_train(*HASHED, *flags, "--out", "run")
    assert (status, out) == (2, "")
    assert len(err.splitlines()) == 1, err
    assert message in err
    assert not Path("run").exists()


@pytest.mark.usefixtures("own")
def test_dry_run_tells_what_exact_gradients_take_and_leaves_nothing(zk_train: Train) -> None:
    status, out, err = zk_train(*HASHED, "--dry-run")
    assert status == 0, err
    assert "adam by exact gradients, for L3; no proofs" in out
    assert sorted(path.name for path in Path().iterdir()) == ["exact_net_of_a_user.py", "table.csv"]
    found = json.loads(zk_train(*HASHED, "--dry-run", "--json")[1])
    assert (found["level"], found["steps"]) == ("L3", 20)


@pytest.mark.usefixtures("own")
def test_run_of_level_l1_says_nothing_of_levels(zk_train: Train) -> None:
    assert zk_train(*HASHED, "--level", "L1", "--out", "run")[0] == 0
    kept = json.loads(Path("run/private/train.json").read_bytes())
    assert not {"level", "public_data", "order_seed"} & kept.keys()
    config = Path("run/config.toml").read_text()
    assert not any(word in config for word in ("level", "public-data", "order-seed"))
    assert log_of("run").header.exact is None


@pytest.mark.slow
def test_logistic_regression_has_exact_gradients(zk_train: Train) -> None:
    flags = ("--model", "logistic", "--data", "breast-cancer", "--prover", "none", "--steps", "40", "--json")
    exact, floats = (json.loads(zk_train(*flags, "--level", level, "--out", level)[1]) for level in ("L3", "L1"))
    assert abs(exact["test_accuracy"] - floats["test_accuracy"]) <= 0.03
    assert exact["test_accuracy"] > 0.9
