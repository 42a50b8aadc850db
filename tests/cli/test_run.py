"""`zk-run` as a function: what it prints, what it leaves, its exit status. What it does is
tests/run's business."""

import io
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.prove.ezkl.test_keys import fake_srs
from tests.run.test_inventory import abandoned, finished
from tests.run.test_recovery import begin
from tests.run.trainer import SIGNER, train
from zk_autograd.cli import verify
from zk_autograd.cli.run import at, main
from zk_autograd.prove.ezkl.keys import Cache
from zk_autograd.run.files import Files
from zk_autograd.run.layout import Layout
from zk_autograd.run.lock import RunLock

ZkRun = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ZK_AUTOGRAD_CACHE", str(tmp_path / "cache"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def zk_run(capsys: pytest.CaptureFixture[str]) -> ZkRun:
    """Runs the command; gives exit status, standard output and standard error."""

    def run(*flags: str) -> tuple[int, str, str]:
        status = main(flags)
        return status, *capsys.readouterr()

    return run


def as_json(zk_run: ZkRun, *flags: str, status: int = 0) -> Any:
    found, out, err = zk_run(*flags, "--json")
    assert found == status, err
    assert out.count("\n") == 1
    assert out.isascii()
    return json.loads(out)


def test_runs_are_listed(zk_run: ZkRun, here: Path) -> None:
    assert zk_run("list") == (0, "no runs in runs\n", "")
    assert as_json(zk_run, "list")["runs"] == []
    (here / "runs").mkdir()
    finished(here / "runs" / "b")
    abandoned(here / "runs" / "a", 5, drain=4)
    (here / "runs" / "c" / "log").mkdir(parents=True)
    status, out, _ = zk_run("list")
    assert status == 0
    rows = [line.split() for line in out.splitlines()]
    assert [row[:5] for row in rows[1:]] == [
        ["a", "00010203", "unfinished", "5", "ezkl"],
        ["b", "00010203", "finished", "3", "ezkl"],
        ["c", "-", "damaged", "0", "-"],
    ]
    assert len({line.index("ezkl") for line in out.splitlines()[1:3]}) == 1
    listed = as_json(zk_run, "list", "runs")["runs"]
    assert [run["state"] for run in listed] == ["unfinished", "finished", "damaged"]
    assert listed[0]["steps_recorded"] == 4
    assert listed[1]["root"].endswith("@5")


def test_one_strange_run_does_not_hide_the_others(zk_run: ZkRun, here: Path) -> None:
    finished(here / "runs" / "good")
    for name in ("marker", "pipe"):
        finished(here / "runs" / name)
    (here / "runs" / "marker" / "private" / "forgotten").write_bytes(b"\xff")
    (here / "runs" / "pipe" / "private" / "lock").unlink()
    os.mkfifo(here / "runs" / "pipe" / "private" / "lock")
    status, out, _ = zk_run("list")
    assert status == 0
    assert [line.split()[2] for line in out.splitlines()[1:]] == ["finished", "damaged", "damaged"]
    assert [run["state"] for run in as_json(zk_run, "list")["runs"]] == ["finished", "damaged", "damaged"]


def test_names_are_not_obeyed_by_the_terminal(zk_run: ZkRun, here: Path) -> None:
    name = "\x1b]0;owned\x07\x1b[31m\n\u202efake"
    (here / "runs" / name / "log").mkdir(parents=True)
    status, out, _ = zk_run("list")
    assert status == 0
    assert len(out.splitlines()) == 2
    assert r"\x1b]0;owned\x07\x1b[31m\n\u202efake" in out
    run = finished(here / "\x1b[2Jrun")
    (run / "model" / "\x1b[2Jextra").touch()
    for flags in (("status", run.name), ("bundle", run.name, "--out", "b\x1b[2J.tar"), ("forget", run.name, "--yes")):
        status, out, err = zk_run(*flags)
        assert status == 0
        assert r"\x1b[2J" in out
        assert "\x1b" not in out + err


def test_a_time_that_no_calendar_has_is_none() -> None:
    assert at(0.0) == "1970-01-01T00:00:00Z"
    assert [at(seconds) for seconds in (1e30, -1e30, 2.0**62)] == ["-"] * 3


def test_a_linked_private_folder_is_not_emptied(zk_run: ZkRun, here: Path) -> None:
    run = finished(here / "place" / "run")
    for entry in (run / "private").iterdir():
        entry.rename(run.parent / entry.name)
    (run / "private").rmdir()
    (run / "private").symlink_to("..")
    (run.parent / "thesis.txt").touch()
    before = sorted(os.listdir(run.parent))
    for flags in (("--yes",), ("--yes", "--force")):
        status, out, err = zk_run("forget", "place/run", *flags)
        assert (status, out) == (1, "")
        assert "error: place/run/private is a link or not a folder" in err
    assert sorted(os.listdir(run.parent)) == before
    assert line_of(zk_run("status", "place/run")[1], "state").startswith("damaged: place/run/private is a link")


def test_a_folder_that_is_not_there_exits_2(zk_run: ZkRun) -> None:
    status, out, err = zk_run("list", "elsewhere")
    assert (status, out, err) == (2, "", "error: elsewhere can't be listed: No such file or directory\n")
    for command in ("status", "bundle", "forget"):
        status, out, err = zk_run(command, "elsewhere")
        assert (status, out) == (2, "")
        assert err.startswith("error: there is no run at elsewhere")


def line_of(out: str, name: str) -> str:
    return next(line[15:] for line in out.splitlines() if line[:15].rstrip() == name)


def test_status_says_what_to_do_next(zk_run: ZkRun, here: Path) -> None:
    abandoned(here / "my run", 5, drain=4)
    status, out, _ = zk_run("status", "my run")
    assert status == 0
    assert line_of(out, "steps") == "5: 4 in the log, 4 of them proved; 0 segments to be recorded"
    assert line_of(out, "a resume would") == "continue after step 5"
    assert line_of(out, "next") == "ZKOptimizer(..., run='my run', resume=True)"
    (here / "my run" / "private" / "train.json").touch()
    assert line_of(zk_run("status", "my run")[1], "next") == "zk-train --resume 'my run'"
    found = as_json(zk_run, "status", "my run")
    assert (found["resumable"], found["next"], found["steps"]) == (True, "zk-train --resume 'my run'", 5)
    finished(here / "done")
    assert line_of(zk_run("status", "done")[1], "next") == "zk-run bundle done"
    (here / "done" / "log" / "checkpoint").write_bytes(b"note")
    found = as_json(zk_run, "status", "done")
    assert (found["state"], found["next"]) == ("damaged", "restore done from a copy")
    assert "\x1b" not in out


def test_status_of_a_run_in_use_names_the_trainer(zk_run: ZkRun, here: Path) -> None:
    writer = begin(here / "run", Files(lambda _: None))
    train(writer, 1)
    found = as_json(zk_run, "status", "run")
    writer.abandon()
    assert found["next"] == f"wait for process {found['trainer']}"
    assert as_json(zk_run, "status", "run")["trainer"] is None


def test_a_bundle_is_judged_by_the_line_that_it_prints(
    zk_run: ZkRun, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finished(here / "my run")
    status, out, err = zk_run("bundle", "my run")
    assert (status, err) == (0, "")
    words = shlex.split(out.splitlines()[1])
    assert words[0] == "zk-verify"
    words[words.index("KEY")] = SIGNER.public_key.encode()
    # The records say that EZKL proved them, which a test's stand-in did: the log is good, and step
    # 5 knows no such circuit.
    assert verify.main([*words[1:], "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert [step["status"] for step in report["steps"]][:3] == ["passed"] * 3
    found = as_json(zk_run, "bundle", "my run", "--out", "other.tar")
    assert (here / "other.tar").read_bytes() == (here / "my run.tar").read_bytes()
    assert found["verify"].startswith(f"zk-verify {found['root']} --from other.tar --key ")
    assert found["finished"]
    status, out, err = zk_run("bundle", "my run")
    assert (status, out) == (1, "")
    assert err == "error: my run.tar already exists; choose another place for the bundle, or remove it\n"


def test_a_bundle_of_an_unfinished_run_says_so(zk_run: ZkRun, here: Path) -> None:
    run = abandoned(here / "run", 5, drain=4)
    (run / "model" / "half").touch()
    status, _, err = zk_run("bundle", "run")
    assert status == 0
    assert err == (
        "left out, since no record names them: model/half\n"
        "run is unfinished: its log has no close record, and zk-verify will report that\n"
    )


def test_forgetting_wants_a_yes(zk_run: ZkRun, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = finished(here / "run")
    status, out, err = zk_run("forget", "run")
    assert (status, out) == (2, "")
    assert err == "error: forgetting run can't be undone: confirm it with --yes\n"

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal("no\n"))
    status, out, err = zk_run("forget", "run")
    assert (status, out) == (0, "nothing was deleted\n")
    assert "its commitments can never be opened" in err
    assert (run / "private" / "header").exists()
    assert zk_run("forget", "run", "--json")[0] == 2
    monkeypatch.setattr(sys, "stdin", Terminal("yes\n"))
    status, out, _ = zk_run("forget", "run")
    assert status == 0
    assert out.startswith("run is forgotten: ")
    assert not (run / "private" / "header").exists()


def test_a_forgotten_run_says_so(zk_run: ZkRun, here: Path) -> None:
    abandoned(here / "run", 5, drain=4)
    status, _, err = zk_run("forget", "run", "--yes")
    assert status == 1
    assert "add --force to give it up" in err
    done = as_json(zk_run, "forget", "run", "--yes", "--force")
    assert done["bytes"] > 0
    again = as_json(zk_run, "forget", "run")
    assert (again["forgotten"], again["bytes"]) == (done["forgotten"], 0)
    assert zk_run("forget", "run")[1] == f"run was forgotten on {done['forgotten']}: nothing is left to delete\n"
    _, out, _ = zk_run("status", "run")
    assert line_of(out, "private") == f"was forgotten on {done['forgotten']}"
    assert line_of(out, "next") == "zk-run bundle run"
    assert zk_run("bundle", "run")[0] == 0


@pytest.mark.torch
@pytest.mark.slow
def test_zk_train_does_not_go_on_with_a_run_in_use_nor_with_a_forgotten_one(
    zk_run: ZkRun, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    from zk_autograd.cli import key as zk_key
    from zk_autograd.cli import train as zk_train

    def refused(message: str) -> None:
        capsys.readouterr()
        assert zk_train.main(["--resume", "run"]) == 1
        shown = capsys.readouterr()
        assert shown.out == ""
        assert shown.err.splitlines()[-1].startswith(f"error: run {message}"), shown.err

    key = str(here / "key")
    assert zk_key.main(["new", "--key-file", key]) == 0
    flags = ("--prover", "none", "--steps", "2", "--model", "logistic", "--data", "breast-cancer", "--key-file", key)
    assert zk_train.main([*flags, "--out", "run"]) == 0
    with RunLock(Layout(here / "run").lock):
        refused(f"is being written by this very process ({os.getpid()}): call close() or abandon()")
        assert zk_run("bundle", "run")[0] == 1
        assert zk_run("forget", "run", "--yes")[0] == 1
    refused("is complete")
    assert zk_run("bundle", "run")[0] == 0
    assert zk_run("forget", "run", "--yes")[0] == 0
    refused("was forgotten on 2")


def test_the_cache_is_listed_and_cleared_but_not_of_an_srs(zk_run: ZkRun, tmp_path: Path) -> None:
    cache = Cache()
    digest = cache.add_srs(fake_srs(tmp_path / "srs", 16))
    (cache.folder / "keys" / "ab-cd").mkdir(parents=True)
    (cache.folder / "keys" / "ab-cd" / "pk.key").write_bytes(bytes(2_000_000))
    status, out, _ = zk_run("cache")
    assert status == 0
    assert [line.split()[:4] for line in out.splitlines()[1:3]] == [
        ["keys", "ab-cd", "2", "MB"],
        ["srs", digest.hex(), "8.39", "MB"],
    ]
    assert out.splitlines()[-1] == f"{cache.folder}: 10.4 MB"
    assert zk_run("cache", "--srs")[0] == 2
    found = as_json(zk_run, "cache", "clear")
    assert (found["bytes"], [h["kind"] for h in found["holdings"]]) == (2_000_000, ["keys"])
    assert cache.srs_digests() == [digest]
    assert zk_run("cache", "clear", "--srs")[0] == 0
    assert as_json(zk_run, "cache", "list")["holdings"] == []


def test_sizes_are_readable(zk_run: ZkRun) -> None:
    from zk_autograd.cli.run import _sized

    sizes = {
        0: "0 B",
        999: "999 B",
        1000: "1 kB",
        12_345: "12.3 kB",
        999_499: "999 kB",
        999_500: "1 MB",
        5 * 10**15: "5e+03 TB",
    }
    assert {size: _sized(size) for size in sizes} == sizes


def test_wrong_flags_exit_2() -> None:
    for flags in ([], ["list", "--no-such-flag"], ["cache", "burn"], ["status"]):
        with pytest.raises(SystemExit) as end:
            main(flags)
        assert end.value.code == 2


def test_help_starts_without_loading_anything() -> None:
    script = (
        "import sys\nfrom zk_autograd.cli.run import main\n"
        "try: main(['--help'])\nexcept SystemExit as end: assert end.code == 0\n"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'numpy', 'cryptography', 'rich', 'safetensors', 'torch', 'ezkl', 'onnx'}))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.endswith("[]\n")


def test_a_run_is_looked_at_without_torch(here: Path) -> None:
    finished(here / "run")
    script = (
        "import sys\nfrom zk_autograd.cli.run import main\nassert main(['status', 'run']) == 0\nassert main(['bundle', 'run']) == 0\n"
        "assert not {'torch', 'ezkl', 'onnx', 'sklearn', 'rich'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60, check=True)
