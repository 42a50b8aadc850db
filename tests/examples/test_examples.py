"""Each example is run as a user would run it, and its run judged by the line that it prints; the
loop of one's own is also killed."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests import trainer_key
from tests.run.journals import wait_for_step
from zk_autograd.cli import verify
from zk_autograd.credentials import keyfile

pytestmark = [pytest.mark.slow, pytest.mark.torch, pytest.mark.usefixtures("native_prover")]

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user with a log key."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    trainer_key.create(keyfile.default_path(), "trainer")


def started(example: str, run: Path, *flags: str) -> subprocess.Popen[str]:
    words = [sys.executable, "-W", "error", "-m", f"examples.{example}", str(run), *flags]
    return subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finished(process: subprocess.Popen[str]) -> str:
    """What it said."""
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert err == ""
    return out


def judged(out: str, capsys: pytest.CaptureFixture[str]) -> str:
    """The report of the auditor's line, which is the last one."""
    words = shlex.split(out.splitlines()[-1])
    assert words[0] == "zk-verify"
    assert f"root {words[1]}" in " ".join(out.split())
    assert verify.main([*words[1:], "--require", "L1", "--long"]) == 0
    return " ".join(capsys.readouterr().out.split())


def test_loop_of_ones_own_is_killed_and_goes_on_as_if_it_had_not_been(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--steps", "60")  # two epochs and a part of a third
    run, whole = tmp_path / "run", tmp_path / "whole"
    process = started("own_loop", run, *flags)
    wait_for_step(run, 35, process)  # in the second epoch
    process.kill()
    process.communicate()
    assert not (run / "model/weights.i64.safetensors").exists()
    out = finished(started("own_loop", run, *flags))
    assert out.startswith("resuming after step ")
    finished(started("own_loop", whole, *flags))
    for name in ("weights.i64.safetensors", "weights.f32.safetensors"):
        assert (run / "model" / name).read_bytes() == (whole / "model" / name).read_bytes()
    assert "60 steps" in judged(out, capsys)


def test_exact_gradients_are_trained_on_and_resumed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    process = started("exact_gradients", run)
    wait_for_step(run, 10, process)
    process.kill()
    process.communicate()
    out = finished(started("exact_gradients", run))
    assert out.startswith("resuming after step ")
    assert "% of the rows it was trained on are right" in out
    assert "100 steps" in judged(out, capsys)


def test_cnn_lists_what_batch_norm_counts_as_unproved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = finished(started("digits_cnn", tmp_path / "run", "--steps", "8"))
    assert "1914 parameters" in out
    assert "unproved: buffer 1.running_mean, float32 (8,)" in out
    assert "1.running_mean" in judged(out, capsys)


def test_adapters_alone_are_trained_proved_and_published(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from safetensors.numpy import load_file

    out = finished(started("lora_transformer", tmp_path / "run", "--steps", "30"))
    assert "18512 parameters, frozen: counts by ones 100 %" in out
    assert "adapters  3072 parameters" in out
    weights = load_file(tmp_path / "run/model/weights.f32.safetensors")
    assert {name.rpartition(".")[2] for name in weights} == {"up", "down"}
    assert all(values.any() for values in weights.values())
    report = judged(out, capsys)
    assert "number.weight" in report
