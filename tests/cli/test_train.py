"""`zk-train` as a function and, where it is interrupted or killed, as a process."""

import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

import pytest

from zk_autograd.cli import train as command
from zk_autograd.cli import verify
from zk_autograd.cli.output import run_command
from zk_autograd.core.errors import ProverError
from zk_autograd.core.hyper import Rule
from zk_autograd.core.record_forms import parse_log
from zk_autograd.optim import keyfile
from zk_autograd.prove.hashed.backend import HashedBackend
from zk_autograd.run.reader import RunReader
from zk_autograd.workload import data
from zk_autograd.workload.names import DataName, ModelName

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(
        find_spec("torch") is None or find_spec("sklearn") is None, reason="the [train] extra is not installed"
    ),
]

STUCK = Path(__file__).with_name("stuck_training.py")
SMALL = ("--model", "logistic", "--data", "breast-cancer")
Train = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user with a log key and an empty cache, in an empty folder."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("ZK_AUTOGRAD_CACHE", str(tmp_path / "cache"))
    keyfile.create(keyfile.default_path(), "trainer")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


@pytest.fixture
def zk_train(capsys: pytest.CaptureFixture[str]) -> Train:
    """Runs the command; gives exit status, standard output and standard error."""

    def run(*flags: str) -> tuple[int, str, str]:
        status = command.main(flags)
        return status, *capsys.readouterr()

    return run


def published(run: str | Path) -> bytes:
    """The final integer weights."""
    return (Path(run) / "model" / "weights.i64.safetensors").read_bytes()


def test_run_is_trained_and_judged_by_the_line_that_it_prints(
    zk_train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = zk_train("--prover", "none", "--out", "my run")
    assert status == 0
    lines = {line.split(maxsplit=1)[0]: line for line in out.splitlines() if line}
    assert "mlp on digits: 4810 parameters, 100 steps, seed 0" in lines["trained"]
    assert float(lines["accuracy"].split()[1]) > 95
    assert "nothing: the log holds salted hashes only (L0)" in lines["proved"]
    assert "adam, lr 0.01; in effect beta1 0.899994, beta2 0.998993, eps 9.98378e-07" in lines["rule"]
    assert "\x1b" not in out + err
    words = shlex.split(lines["zk-verify"])
    assert words[0] == "zk-verify"
    assert words[1] == lines["root"].split()[1]
    assert verify.main(words[1:]) == 0
    assert "verdict: L0\n" in capsys.readouterr().out


def test_json_is_one_object_with_what_the_text_says(zk_train: Train) -> None:
    status, out, _ = zk_train("--prover", "none", "--steps", "20", "--out", "run", "--json", "--rule", "adamw")
    assert status == 0
    found = json.loads(out)
    assert out.count("\n") == 1
    assert (found["run"], found["parameters"], found["steps"], found["steps_proved"]) == ("run", 4810, 20, 0)
    assert (found["rule"], found["proofs"], found["proof_bytes"]) == ("adamw", 0, 0)
    assert found["root"].endswith("@5")  # header, genesis, two segments of at most 16 steps, close
    assert found["test_accuracy"] > 0.8
    assert found["verify"].startswith(f"zk-verify {found['root']} --from run --key ")


def test_same_seed_gives_the_same_weights_and_another_seed_others(zk_train: Train) -> None:
    flags = ("--prover", "none", "--steps", "10")
    for run, seed in (("one", "7"), ("two", "7"), ("other", "8")):
        assert zk_train(*flags, "--seed", seed, "--out", run)[0] == 0
    assert published("one") == published("two") != published("other")


def test_header_commits_to_the_training_rows_and_the_seed(zk_train: Train) -> None:
    assert zk_train("--prover", "none", "--steps", "1", "--seed", "7", "--batch-size", "32", "--out", "run")[0] == 0
    from zk_autograd.workload import models

    secret = bytes.fromhex(json.loads(Path("run/private/train.json").read_bytes())["secret"])
    with RunReader(Path("run")) as reader:
        header = parse_log(reader.leaves()).header
    rows = data.load(DataName.DIGITS, 7).train
    assert header.data == data.commitment(rows, secret, seed=7, batch_size=32)
    assert header.schedule == "constant"
    assert header.model_code == models.code_digest(ModelName.MLP)


def test_default_place_is_a_new_folder_in_runs_and_weights_may_stay_private(zk_train: Train) -> None:
    assert zk_train("--prover", "none", "--steps", "1", "--no-publish")[0] == 0
    (run,) = Path("runs").iterdir()
    assert list((run / "model").iterdir()) == []


def test_momentum_makes_sgd_another_rule(zk_train: Train) -> None:
    flags = ("--prover", "none", "--steps", "2", "--json", "--rule", "sgd", "--momentum", "0.5", "--lr", "0.0625")
    assert json.loads(zk_train(*flags)[1])["rule"] == "sgd-momentum"


# ---- the user's own data, model and settings ----------------------------------------------------------------------

TABLE = "age,height,sold\n" + "".join(
    f"{20 + i % 7},{1.5 + (i % 3) / 10},{'yes' if i % 3 else 'no'}\n" for i in range(40)
)
NET = """\
from torch import nn
def net(columns, classes):
    return nn.Sequential(nn.Linear(columns, 4), nn.BatchNorm1d(4), nn.Dropout(0.1), nn.Linear(4, classes))
def none(columns, classes):
    return None
"""
CONFIG = """\
steps = 20
data = "csv:table.csv"
model = "net_of_a_user:net"
batch-size = 8
prover = "none"
schedule = "cosine:steps=20,end=0.1"
lr = 0.05

[[groups]]
parameters = ["1.*"]
lr = "0.001"
"""


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table, a model and a config in the current folder."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delitem(sys.modules, "net_of_a_user", raising=False)
    Path("table.csv").write_text(TABLE)
    Path("net_of_a_user.py").write_text(NET)
    Path("train.toml").write_text(CONFIG)


@pytest.mark.usefixtures("own")
def test_own_table_and_model_are_trained_as_a_config_says(zk_train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = zk_train("--config", "train.toml", "--out", "run")
    assert status == 0, err
    assert "trained   net_of_a_user:net on csv:table.csv: 30 parameters, 20 steps, seed 0" in out
    assert "classes   0 = 'no', 1 = 'yes'" in out
    words = shlex.split(out.splitlines()[-1])
    assert verify.main(words[1:]) == 0
    capsys.readouterr()
    with RunReader(Path("run")) as reader:
        header = parse_log(reader.leaves()).header
    assert [dict(group.hyper)["lr"] for group in header.groups] == ["0.05", "0.001"]
    assert [(p.name, p.group) for p in header.parameters][-2:] == [("1.weight", 1), ("1.bias", 1)]
    assert {u.name for u in header.unproved} == {"1.running_mean", "1.running_var", "1.num_batches_tracked"}
    assert str(header.schedule).startswith("cosine:steps=20,end=0.1")
    # What the run publishes of its settings leads to the same weights, and says nothing of the folder.
    published_config = Path("run/config.toml").read_text()
    assert 'data = "csv:table.csv"\n' in published_config
    assert str(Path.cwd()) not in published_config
    assert zk_train("--config", "run/config.toml", "--out", "again")[0] == 0
    assert published("run") == published("again")
    # A flag wins over the file.
    found = json.loads(
        zk_train("--config", "train.toml", "--steps", "3", "--no-publish", "--out", "short", "--json")[1]
    )
    assert (found["steps"], found["classes"], found["data"]) == (3, ["no", "yes"], "csv:table.csv")
    assert not list(Path("short/model").iterdir())


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda: Path("table.csv").write_text(TABLE.replace("22,", "23,", 1)),
            "table.csv was changed since; bring back",
        ),
        (lambda: Path("table.csv").unlink(), "table.csv can't be read: No such file"),
        (
            lambda: Path("net_of_a_user.py").write_text(NET + "# new"),
            "the code of the model net_of_a_user:net is not that",
        ),
    ],
    ids=["data", "no data", "code"],
)
def test_run_is_resumed_with_the_data_and_code_of_its_beginning_alone(
    change: Callable[[], object], message: str, zk_train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = command.parser().parse_args(["--config", "train.toml", "--out", "run"])
    assert run_command(lambda output: command.train(arguments, output, Broken(31, 16)), json_output=False) == 1
    capsys.readouterr()
    before = {name: Path(name).read_bytes() for name in ("table.csv", "net_of_a_user.py")}
    change()
    status, out, err = zk_train("--resume", "run")
    assert (status, out) in [(1, ""), (2, "")]
    assert message in err.splitlines()[-1]
    for name, content in before.items():
        Path(name).write_bytes(content)
    assert zk_train("--resume", "run")[0] == 0
    assert zk_train("--config", "train.toml", "--out", "whole")[0] == 0
    assert published("run") == published("whole")


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("flags", "files", "status", "message"),
    [
        (["--data", "csv:table.csv"], {"table.csv": TABLE.replace("23,", "abc,", 1)}, 2, "table.csv: row 5, column 'age': 'abc' is not a number"),
        (["--data", "csv:nowhere.csv"], {}, 2, "the table nowhere.csv can't be read: No such file or directory"),
        (["--data", "csv:table.csv", "--label", "sld"], {}, 2, "has no column 'sld'; did you mean sold?"),
        (["--data", "csv:table.csv", "--batch-size", "33"], {}, 2, "--batch-size 33 is more than the 32 training rows of csv:table.csv"),
        (["--config", "train.toml"], {"train.toml": "stepz = 3"}, 2, "train.toml: stepz is no setting; did you mean steps?"),
        (["--config", "train.toml"], {"train.toml": "steps = 0"}, 2, "train.toml: steps is 0; it must be at least 1"),
        (["--config", "nowhere.toml"], {}, 2, "the config nowhere.toml can't be read"),
        (["--model", "net_of_a_user:none"], {}, 2, "net_of_a_user:none returned a NoneType; it must take (columns, classes)"),
        (["--model", "net_of_a_user:nothing"], {}, 2, "net_of_a_user has no nothing; it has net, none"),
        (["--model", "no_such_module:net"], {}, 2, "there is no module no_such_module in the current folder or on PYTHONPATH"),
        (["--config", "train.toml", "--batch-size", "31"], {}, 2, "the model failed at step 2, on 1 rows: ValueError: Expected more than 1 value"),
        (["--freeze", "*.bias"], {}, 0, ""),
        (["--freeze", "hiden.*"], {}, 2, "--freeze hiden.* matches no parameter"),
        (["--schedule", "cosin"], {}, 2, "--schedule: there is no such schedule"),
        (["--betas", "0.9"], {}, 2, "--betas is a list; it must be a pair of numbers"),
        (["--label", "hf_abcdefghijklmnopqrstuvwxyz", "--data", "csv:table.csv"], {}, 2, "--label looks like an access token"),
        (["--config", "train.toml", "--resume", "run"], {}, 2, "leave out --config, or begin a new run"),
        (["--resume", "run", "--freeze", "a"], {}, 2, "leave out --freeze, or begin a new run"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)  # fmt: skip
def test_settings_that_cant_be_followed_are_refused_in_a_sentence(
    flags: list[str], files: dict[str, str], status: int, message: str, zk_train: Train
) -> None:
    for name, content in files.items():
        Path(name).write_text(content)
    before = sorted(p.name for p in Path().iterdir())
    prover = [] if "--resume" in flags else ["--prover", "none"]
    found, out, err = zk_train(*flags, *prover, *([] if "--resume" in flags else ["--out", "run", "--steps", "2"]))
    assert found == status, err
    assert message in err.splitlines()[-1]
    assert "abcdefghijkl" not in err
    if status and "failed at step 2" not in message:
        assert out == ""
        assert err.splitlines()[-1].startswith("error: ")
        assert sorted(p.name for p in Path().iterdir()) == before


@pytest.mark.usefixtures("own")
def test_own_model_finds_the_token_and_the_run_does_not(zk_train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "")  # so that it is put back afterwards
    monkeypatch.setenv("HF_HOME", str(Path.cwd()))
    token = "hf_ThisIsNoTokenOfAnybody42"
    Path("net_of_a_user.py").write_text(
        f"import os, sys\nfrom torch import nn\ndef net(columns, classes):\n    print(os.environ['HF_TOKEN'], file=sys.stderr)\n"
        f"    assert os.environ['HF_TOKEN'] == 'hf_' + {token[3:]!r}\n    return nn.Linear(columns, classes)\n"
    )
    flags = ("--model", "net_of_a_user:net", "--prover", "none", "--steps", "3", "--out", "run")
    status, out, err = zk_train(*flags)
    assert status == 2
    assert "net_of_a_user:net failed" in err
    status, out, err = zk_train(*flags, "--hf-token", token)
    assert status == 0, err
    assert token not in out + err
    monkeypatch.setenv("HF_TOKEN", "")
    Path("token").write_text(token + "\n")
    Path("token").chmod(0o600)
    assert zk_train(*flags[:-1], "from-the-cache")[0] == 0
    for path in Path("run").rglob("*"):
        assert not path.is_file() or token.encode() not in path.read_bytes()


def test_reproduce_is_a_command_of_its_own(zk_train: Train) -> None:
    assert zk_train("--prover", "none", "--steps", "3", "--out", "run")[0] == 0
    status, out, _ = zk_train("reproduce", "run", "--json")
    assert status == 0
    assert json.loads(out)["verdict"] == "FULL"


# ---- how much it would be ------------------------------------------------------------------------------------------


def test_dry_run_counts_proofs_and_writes_nothing(zk_train: Train) -> None:
    status, out, _ = zk_train("--dry-run", "--json")
    assert status == 0
    found = json.loads(out)
    assert (found["proofs"], found["segments"], found["parameters"]) == (1, 1, 4810)
    status, out, _ = zk_train("--dry-run", "--steps", "256")
    assert (
        "4810 parameters, 256 steps of adam; 2 proofs of up to 128 steps with the circuit native/adam-standard" in out
    )
    status, out, _ = zk_train("--dry-run", "--prover", "ezkl", "--model", "softmax", "--steps", "20")
    assert "650 parameters, 20 steps of adam; 10 proofs with the circuit adam-n480-t4" in out
    assert "measured on two idle cores" in out
    decayed = ("--rule", "sgd", "--weight-decay", "0.1", "--freeze", "linear.bias")
    status, out, _ = zk_train("--dry-run", "--prover", "ezkl", "--model", "softmax", "--steps", "20", *decayed)
    assert "640 parameters, 20 steps of sgd; " in out
    assert "with the circuit sgd-decay-" in out
    status, out, _ = zk_train("--dry-run", "--prover", "none", "--rule", "sgd", "--momentum", "0.9")
    assert "sgd-momentum; no proofs" in out
    assert list(Path().iterdir()) == []


def test_dry_run_of_the_native_prover_needs_no_module(zk_train: Train, without_native: None) -> None:
    status, out, _ = zk_train("--dry-run", "--prover", "native", "--rule", "adamw", "--preset", "strict", "--json")
    assert status == 0
    found = json.loads(out)
    assert (found["proofs"], found["segments"], found["estimated_cache_bytes"]) == (1, 1, 0)
    status, out, _ = zk_train("--dry-run", "--prover", "native", "--steps", "64")
    assert "64 steps of adam; 1 proof of up to 64 steps with the circuit native/adam-standard" in out
    assert zk_train("--prover", "native")[0] == 2
    assert list(Path().iterdir()) == []


@pytest.mark.usefixtures("native_prover")
@pytest.mark.parametrize("preset", ["standard", "strict"])
def test_native_run_is_proved_and_judged_by_the_line_that_it_prints(
    preset: str, zk_train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--prover", "native", "--preset", preset, "--rule", "adamw", "--steps", "10", "--out", "run")
    status, out, err = zk_train(*flags, "--json")
    assert status == 0, err
    found = json.loads(out)
    assert (found["steps_proved"], found["proofs"], found["srs_digest"]) == (10, 1, "")
    assert "--srs-digest" not in found["verify"]
    assert verify.main([*shlex.split(found["verify"])[1:], "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["verdict"], report["run"]["backend"]) == ("L0, L1", "native")
    assert report["security"]["proven_bits"] >= 100
    assert json.loads(Path("run/private/train.json").read_bytes())["preset"] == preset


@pytest.mark.usefixtures("native_prover")
def test_native_run_is_resumed_with_its_own_preset(zk_train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    from zk_autograd.prove.names import Preset
    from zk_autograd.prove.native.backend import NativeBackend
    from zk_autograd.prove.native.shape import Shape

    class BrokenNative(NativeBackend):
        def prove(self, *arguments: Any) -> Any:
            raise ProverError("no memory")

    flags = ["--prover", "native", "--rule", "sgd", "--steps", "9", "--out", "run"]
    arguments, backend = command.parser().parse_args(flags), BrokenNative(Shape(Rule.SGD, Preset.STRICT, 13, 3))
    assert run_command(lambda output: command.train(arguments, output, backend), json_output=False) == 1
    capsys.readouterr()
    status, out, err = zk_train("--resume", "run", "--json")
    assert status == 0, err
    found = json.loads(out)
    assert (found["proofs"], found["steps_proved"]) == (2, 9)
    assert verify.main(shlex.split(found["verify"])[1:]) == 0
    assert "circuit native/sgd-strict is this verifier's own" in " ".join(capsys.readouterr().out.split())


# ---- what it refuses -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "status", "message"),
    [
        (["--steps", "0"], 2, "--steps is 0; it must be at least 1"),
        (["--batch-size", "0"], 2, "--batch-size is 0"),
        (["--batch-size", "1439"], 2, "--batch-size 1439 is more than the 1438 training rows of digits"),
        (["--seed", "-1"], 2, "--seed is -1"),
        (["--lr", "fast"], 2, "--lr is fast; it must be a finite number that isn't negative"),
        (["--lr", "-1"], 2, "--lr is -1; it must be a finite number that isn't negative"),
        (["--lr", "1"], 2, "lr = 1 gives LR of step 1 out of range"),
        (["--lr", "0.6", "--steps", "1000"], 2, "lr = 0.6 gives LR of step 1000 out of range"),
        ([*SMALL, "--rule", "sgd", "--lr", "2"], 1, "update of linear.weight[0] is 3293809152"),
        (["--rule", "adam", "--momentum", "0.9"], 2, "rule adam has no momentum"),
        (["--rule", "adam", "--weight-decay", "0.1"], 2, 'use rule="adamw"'),
        (["--model", "logistic"], 2, "the data have 10: use --model softmax"),
        (["--model", "gpt"], 2, "--model is gpt; it must be one of logistic, softmax, mlp, or MODULE:FACTORY"),
        (["--model", "softmx"], 2, "did you mean softmax?"),
        (["--model", "my models:net"], 2, "a model of your own is MODULE:FACTORY"),
        (["--data", "iris"], 2, "--data is iris; it must be one of breast-cancer, digits, or csv:PATH"),
        (["--data", "csv:"], 2, "after csv: it needs the path of a table"),
        (["--data", "digits", "--label", "age"], 2, "a label is named for csv:PATH alone"),
        (["--grad-scale", "99"], 2, "grad_scale is 99"),
        (["--key-file", "nokey"], 2, "there is no log key at nokey: make one with `zk-key new`"),
        (["--out", ".."], 1, ".. exists already; choose another place"),
        (["--resume", "nowhere"], 2, "there is no run at nowhere"),
        (["--resume", "..", "--lr", "0.1"], 2, "leave out --lr"),
        (["--resume", "..", "--dry-run"], 1, "has no private/train.json"),
        (["--prover", "none", "--preset", "strict"], 2, "a preset is chosen for the prover native alone"),
        (["--prover", "none", "--preset", "strict", "--dry-run"], 2, "a preset is chosen for the prover native alone"),
        (["--prover", "native", "--srs", "srs"], 2, "the prover native needs no SRS"),
        (["--resume", "..", "--preset", "strict"], 2, "leave out --preset"),
        (["--prover", "ezkl"], 2, "there is no SRS in the cache"),
        (["--prover", "ezkl", "--srs", "nosrs"], 2, "SRS nosrs can't be read"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_bad_input_is_one_sentence_and_leaves_nothing(
    flags: list[str], status: int, message: str, zk_train: Train
) -> None:
    prover = [] if "--prover" in flags or "--resume" in flags else ["--prover", "none"]
    found, out, err = zk_train(*flags, *prover)
    assert found == status
    assert message in err.splitlines()[-1]
    assert err.splitlines()[-1].startswith("error: ")
    assert out == ""
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("flags", [["--rule", "rmsprop"], ["--grad-scale", "x"], ["--prover", "p"]])
def test_wrong_flags_exit_2(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        command.main(flags)
    assert caught.value.code == 2
    assert f"argument {flags[0]}: invalid" in capsys.readouterr().err


def test_small_srs_is_refused(zk_train: Train) -> None:
    Path("small.srs").write_bytes((4).to_bytes(4, "little") + bytes(2 * 64 * 2**4 + 4 * 64))
    status, _, err = zk_train("--prover", "ezkl", "--srs", "small.srs", "--out", "run")
    assert status == 2
    assert "is for 2^4 rows, the circuits need 2^16" in err
    assert not Path("run").exists()


def test_step_that_leaves_its_range_ends_the_run_where_it_is(zk_train: Train) -> None:
    status, out, err = zk_train(
        *SMALL,
        *("--prover", "none", "--rule", "sgd", "--lr", "0.3", "--batch-size", "1", "--grad-scale", "-2"),
        "--out",
        "run",
    )
    assert status == 1
    assert out == ""
    error, note = err.splitlines()[-1], err.splitlines()[-2]
    assert error.startswith("error: update of linear.")
    assert "run holds 42 steps and stays unfinished" in note
    assert Path("run/log/records.jsonl").exists()


class Broken(HashedBackend):
    """Proves nothing."""

    def prove(self, *arguments: Any) -> Any:
        raise ProverError("no memory")


def test_prover_that_fails_exits_1_and_the_run_is_resumed(zk_train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = command.parser().parse_args([*SMALL, "--prover", "none", "--steps", "20", "--out", "run"])
    backend = Broken(31, 16)
    assert run_command(lambda output: command.train(arguments, output, backend), json_output=False) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "error: " in shown.err
    assert "no memory" in shown.err
    assert "nothing is lost: `zk-train --resume run` goes on" in shown.err
    assert zk_train("--resume", "run")[0] == 0
    assert zk_train(*SMALL, "--prover", "none", "--steps", "20", "--out", "whole")[0] == 0
    assert published("run") == published("whole")
    status, _, err = zk_train("--resume", "run")
    assert status == 1
    assert "complete" in err


def test_changed_data_are_not_gone_on_with(zk_train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = command.parser().parse_args([*SMALL, "--prover", "none", "--steps", "20", "--out", "run"])
    run_command(lambda output: command.train(arguments, output, Broken(31, 16)), json_output=False)
    path = Path("run/private/train.json")
    plan = json.loads(path.read_bytes())
    path.write_bytes(path.read_bytes().replace(plan["secret"].encode(), b"00" * 32))  # as if the rows were others
    status, _, err = zk_train("--resume", "run")
    assert status == 1
    assert "the data are not those that run was begun with" in err


# ---- interrupted and killed ----------------------------------------------------------------------------------------


Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def started() -> Iterator[Start]:
    """Starts Python with these arguments; what still runs at the end is killed."""
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        words = [sys.executable, *arguments]
        pipe = subprocess.PIPE
        processes.append(subprocess.Popen(words, stdout=pipe, stderr=pipe, text=True, start_new_session=True))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    """Until the path is there. Fails if the process ends before."""
    deadline = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.002)


def read_until(stream: IO[str] | None, words: str) -> str:
    assert stream is not None
    seen = ""
    while words not in seen:
        line = stream.readline()
        assert line, f"ended without {words!r}: {seen}"
        seen += line
    return seen


@pytest.mark.slow
def test_killed_training_is_resumed_with_the_weights_of_one_that_was_not(zk_train: Train, started: Start) -> None:
    flags = (*SMALL, "--prover", "none", "--steps", "120", "--seed", "3")
    process = started("-m", "zk_autograd.cli.train", *flags, "--out", "run")
    wait_for(Path("run/private/segments/1"), process)
    process.kill()
    process.communicate()
    assert not Path("run/private/close").exists()
    status, _, err = zk_train("--resume", "run")
    assert status == 0, err
    assert zk_train(*flags, "--out", "whole")[0] == 0
    assert published("run") == published("whole")


@pytest.mark.slow
def test_first_interrupt_closes_the_run_with_the_steps_that_were_made(
    started: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = (*SMALL, "--prover", "none", "--steps", "1000000", "--out", "run", "--json")
    process = started("-m", "zk_autograd.cli.train", *flags)
    wait_for(Path("run/private/segments/1"), process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "finishing this step, proving what is left and closing the run" in err
    found = json.loads(out)
    assert 16 <= found["steps"] < found["steps_asked"] == 1000000
    assert verify.main(shlex.split(found["verify"])[1:]) == 0
    capsys.readouterr()


@pytest.mark.slow
def test_second_interrupt_stops_at_once_and_the_run_is_resumed(zk_train: Train, started: Start) -> None:
    process = started(str(STUCK), *SMALL, "--prover", "none", "--steps", "20", "--out", "run", "--json")
    wait_for(Path("run/private/segments/1/step-20"), process)
    process.send_signal(signal.SIGINT)
    read_until(process.stderr, "finishing this step")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    # The file of step 20 is there a moment before the optimizer counts the step, and the interrupt may come in between.
    found = json.loads(out)
    assert found["steps"] in (19, 20)
    assert found == {"interrupted": True, "run": "run", "steps": found["steps"], "resumable": True}
    assert f"stopped after step {found['steps']}; nothing is lost: `zk-train --resume run` goes on" in err
    assert zk_train("--resume", "run")[0] == 0
    assert zk_train(*SMALL, "--prover", "none", "--steps", "20", "--out", "whole")[0] == 0
    assert published("run") == published("whole")


LONG = ("--model", "softmax", "--steps", "65")
"""One native proof of 2^20 rows."""


@pytest.mark.slow
@pytest.mark.usefixtures("native_prover")
def test_second_interrupt_ends_a_native_proof_long_before_its_end(zk_train: Train, started: Start) -> None:
    process = started("-m", "zk_autograd.cli.train", *LONG, "--out", "run", "--json")
    wait_for(Path("run/private/segments/0/step-65"), process)
    time.sleep(0.5)  # into the proof
    process.send_signal(signal.SIGINT)
    read_until(process.stderr, "finishing this step")
    process.send_signal(signal.SIGINT)
    sent = time.monotonic()
    out, err = process.communicate(timeout=60)
    taken = time.monotonic() - sent
    assert process.returncode == 130, err
    assert json.loads(out)["resumable"]
    assert not list(Path("run/proofs").iterdir())
    status, _, err = zk_train("--resume", "run")
    assert status == 0
    whole = float(re.findall(r"bytes in ([0-9.]+) s", err)[0])
    assert taken < max(2, 0.5 * whole), f"{taken} s, of a proof that takes {whole} s on this machine now"


@pytest.mark.slow
@pytest.mark.usefixtures("native_prover")
def test_native_run_that_was_killed_is_resumed_to_one_log_and_one_proof(
    zk_train: Train, started: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    process = started("-m", "zk_autograd.cli.train", *LONG, "--seed", "5", "--out", "run")
    wait_for(Path("run/private/segments/0/step-65"), process)
    time.sleep(0.5)
    process.kill()
    process.communicate()
    assert not list(Path("run/proofs").iterdir())
    shutil.copytree("run", "twin")
    found = []
    for run in ("run", "twin"):
        status, out, err = zk_train("--resume", run, "--json")
        assert status == 0, err
        found.append(json.loads(out))
    assert Path("run/proofs/0-0").read_bytes() == Path("twin/proofs/0-0").read_bytes()
    records = [(Path(run) / "log/records.jsonl").read_bytes().splitlines() for run in ("run", "twin")]
    assert records[0][:-1] == records[1][:-1]
    closes = [json.loads(lines[-1]) for lines in records]
    for close in closes:
        del close["artefacts"]["train_log.jsonl"]  # which tells how long things took
    assert closes[0] == closes[1]
    for each in found:
        assert verify.main(shlex.split(each["verify"])[1:]) == 0
    assert zk_train("--prover", "none", *LONG, "--seed", "5", "--out", "whole")[0] == 0
    assert published("run") == published("whole")
    capsys.readouterr()


@pytest.mark.slow
def test_help_does_not_wait_for_torch() -> None:
    program = (
        "import sys\nfrom zk_autograd.cli.train import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as e:\n    assert e.code == 0\n"
        "print('loaded', *{m.partition('.')[0] for m in sys.modules})"
    )
    run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert {"torch", "sklearn", "numpy", "ezkl"}.isdisjoint(run.stdout.split("loaded")[-1].split())
