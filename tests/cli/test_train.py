"""`zk-train`: what a training leaves and says, what it would cost, and what is refused."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.training import SMALL, TRAINER, Broken, Train, published
from zk_autograd.cli import train as command
from zk_autograd.cli import verify
from zk_autograd.cli.output import run_command
from zk_autograd.core.errors import ProverError
from zk_autograd.core.hyper import Rule
from zk_autograd.core.record_bytes import parse_log
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.train import data
from zk_autograd.train.names import DataName, ModelName

pytestmark = TRAINER


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
    from zk_autograd.train import models

    secret = bytes.fromhex(json.loads(Path("run/private/train.json").read_bytes())["secret"])
    with RunFolder(Path("run")) as reader:
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


# ---- how much it would be ------------------------------------------------------------------------


def test_dry_run_counts_proofs_and_writes_nothing(zk_train: Train) -> None:
    status, out, _ = zk_train("--dry-run", "--json", "--steps", "256")
    assert status == 0
    found = json.loads(out)
    assert (found["proofs"], found["segments"], found["parameters"]) == (2, 2, 4810)
    assert found["estimated_total_seconds"] > found["estimated_proving_seconds"] > 0
    assert found["estimated_training_seconds"] > 0
    steps, proofs, _ = found["estimated_from"]
    assert "steps of this training just now, recorded on the disk of the run" in steps
    times = re.fullmatch(
        r"proofs of 2\^17 rows, scaled to 2\^20 just now: ([\d.]+) s each, ([\d.]+) s for one of the run", proofs
    )
    assert times
    assert 8 < float(times[2]) / float(times[1]) < 10  # 8 times the rows, and a little more
    status, out, _ = zk_train("--dry-run", "--prover", "ezkl", "--model", "softmax", "--steps", "20")
    assert "650 parameters, 20 steps of adam; 10 proofs with the circuit adam-n480-t4" in out
    assert "measured on two idle cores; no proof was made here" in out
    decayed = ("--rule", "sgd", "--weight-decay", "0.1", "--freeze", "linear.bias")
    status, out, _ = zk_train("--dry-run", "--prover", "ezkl", "--model", "softmax", "--steps", "20", *decayed)
    assert "640 parameters, 20 steps of sgd; " in out
    assert "with the circuit sgd-decay-" in out
    status, out, _ = zk_train("--dry-run", "--prover", "none", "--rule", "sgd", "--momentum", "0.9")
    assert "sgd-momentum; no proofs" in out
    assert list(Path().iterdir()) == []


@pytest.mark.filterwarnings("ignore::zk_autograd.kernels.choice.SlowKernel")
def test_dry_run_of_the_native_prover_needs_no_module(zk_train: Train, without_native: None) -> None:
    status, out, _ = zk_train("--dry-run", "--prover", "native", "--rule", "adamw", "--preset", "strict", "--json")
    assert status == 0
    found = json.loads(out)
    assert (found["proofs"], found["segments"], found["estimated_cache_bytes"]) == (1, 1, 0)
    assert "measured on two cores; no proof was made here" in found["estimated_from"][1]
    status, out, _ = zk_train("--dry-run", "--prover", "native", "--steps", "64")
    assert "64 steps of adam; 1 proof of up to 64 steps with the circuit native/adam-standard" in out
    assert zk_train("--prover", "native")[0] == 2
    assert list(Path().iterdir()) == []


@pytest.mark.usefixtures("native_prover")
def test_dry_run_times_proofs_of_its_own(zk_train: Train) -> None:
    status, out, _ = zk_train("--dry-run", *SMALL, "--steps", "8")
    assert status == 0
    assert "31 parameters, 8 steps of adam; 1 proof of up to 8 steps with the circuit native/adam-standard" in out
    assert "proofs of 2^16 rows just now: " in out
    assert list(Path().iterdir()) == []


def test_dry_run_fails_as_the_first_steps_would_and_leaves_nothing(zk_train: Train) -> None:
    flags = ("--prover", "none", "--rule", "sgd", "--lr", "2", "--batch-size", "1")
    status, out, err = zk_train("--dry-run", *SMALL, *flags)
    assert (status, out) == (1, "")
    assert "error: update of linear." in err.splitlines()[-1]
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
    from zk_autograd.prove.native.backend import NativeBackend
    from zk_autograd.prove.native.preset import Preset
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
    assert verify.main([*shlex.split(found["verify"])[1:], "--long"]) == 0
    assert "circuit native/sgd-strict is this verifier's own" in " ".join(capsys.readouterr().out.split())


# ---- what it refuses -----------------------------------------------------------------------------


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
        (["--model", "my models:net"], 2, "your own model is MODULE:FACTORY"),
        (["--data", "iris"], 2, "--data is iris; it must be one of breast-cancer, digits, or csv:PATH"),
        (["--data", "csv:"], 2, "after csv: it needs the path of a table"),
        (["--data", "digits", "--label", "age"], 2, "a label is only for csv:PATH"),
        (["--grad-scale", "99"], 2, "grad_scale is 99"),
        (["--key-file", "nokey"], 2, "there is no log key at nokey: make one with `zk-key new`"),
        (["--out", ".."], 1, ".. already exists; choose another place"),
        (["--resume", "nowhere"], 2, "there is no run at nowhere"),
        (["--resume", "..", "--lr", "0.1"], 2, "leave out --lr"),
        (["--resume", "..", "--dry-run"], 1, "has no private/train.json"),
        (["--prover", "none", "--preset", "strict"], 2, "only the prover native has presets"),
        (["--prover", "none", "--preset", "strict", "--dry-run"], 2, "only the prover native has presets"),
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


@pytest.mark.parametrize("flags", [["--rule", "adagrad"], ["--grad-scale", "x"], ["--prover", "p"]])
def test_wrong_flags_exit_2(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        command.main(flags)
    assert caught.value.code == 2
    assert f"argument {flags[0]}: invalid" in capsys.readouterr().err


def test_small_srs_is_refused(zk_train: Train) -> None:
    Path("small.srs").write_bytes((4).to_bytes(4, "little") + bytes(2 * 64 * 2**4 + 4 * 64))
    status, _, err = zk_train("--prover", "ezkl", "--srs", "small.srs", "--out", "run")
    assert status == 2
    assert "is for 2^4 rows, and the circuits need 2^16" in err
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


def test_prover_that_fails_exits_1_and_the_run_is_resumed(zk_train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = command.parser().parse_args([*SMALL, "--prover", "none", "--steps", "20", "--out", "run"])
    backend = Broken(31, 16)
    assert run_command(lambda output: command.train(arguments, output, backend), json_output=False) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "error: " in shown.err
    assert "no memory" in shown.err
    assert "nothing is lost: `zk-train --resume run` resumes the run" in shown.err
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


@pytest.mark.slow
def test_help_does_not_wait_for_torch() -> None:
    program = (
        "import sys\nfrom zk_autograd.cli.train import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as e:\n    assert e.code == 0\n"
        "print('loaded', *{m.partition('.')[0] for m in sys.modules})"
    )
    run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert {"torch", "sklearn", "numpy", "ezkl"}.isdisjoint(run.stdout.split("loaded")[-1].split())
