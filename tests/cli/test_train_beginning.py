"""A training on a machine where nothing was set up, several that begin at once, and a table of few
rows: real processes, where one matters."""

import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import trainer_key
from tests.cli.training import SMALL, TRAINER, Train
from zk_autograd.cli import verify
from zk_autograd.core.record_bytes import parse_log
from zk_autograd.credentials import keyfile
from zk_autograd.evidence.folder import RunFolder

pytestmark = [*TRAINER, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user who has set up nothing."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "nothing" / "here"))
    return tmp_path / "nothing" / "here"


def start(*flags: str, command: str = "train") -> "subprocess.Popen[str]":
    env = {**os.environ, "PYTHONPATH": f"{ROOT}/src"}
    words = [sys.executable, "-m", f"zk_autograd.cli.{command}", *flags]
    return subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    try:
        out, err = process.communicate(timeout=300)
        return process.returncode, out, err
    finally:
        process.kill()


FLAGS = ("--prover", "none", *SMALL)


def test_a_first_training_makes_a_log_key_and_says_so(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = ended(start(*FLAGS, "--steps", "2", "--out", "run"))
    assert status == 0, err
    path = home / "zk-autograd" / "log.key"
    public = tuple(signer.public_key.encode() for signer in keyfile.load(path))
    told = [line for line in err.splitlines() if "log key" in line]
    assert told == [
        f"a log key was made in {path}: keep it secret, and back up this file, since another key is another trainer; your auditor pins "
        f"its public half, {path}.pub"
    ]
    assert "Warning" not in err
    assert [stat.S_IMODE(p.stat().st_mode) for p in (path, path.parent)] == [0o600, 0o700]
    words = next(line for line in out.splitlines() if line.startswith("  zk-verify")).split()
    assert words[words.index("--key") + 1] == f"{path}.pub"
    assert verify.main([*words[1:]]) == 0
    assert json.loads(Path("run/private/train.json").read_bytes())["key_file"] == str(path)
    status, _, err = ended(start(*FLAGS, "--steps", "2", "--out", "second"))
    assert (status, "log key" in err) == (0, False)
    with RunFolder(Path("second")) as reader:
        assert parse_log(reader.leaves()).header.keys == public


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--key-file", "my.key"), "there is no log key at my.key: make one with `zk-key new`"),
        (("--batch-size", "500"), "--batch-size 500 is more than"),
        (("--lr", "9999"), ""),
        (("--out", "taken"), "taken already exists"),
        (("--model", "nowhere:net"), "nowhere"),
        (("--dry-run",), ""),
    ],
)
def test_no_key_is_made_where_no_run_begins(zk_train: Train, home: Path, flags: tuple[str, ...], message: str) -> None:
    Path("taken").touch()
    status, _, err = zk_train(*FLAGS, "--steps", "2", *flags)
    assert (status == 0) is (flags == ("--dry-run",))
    assert message in err
    assert not home.exists()
    assert sorted(os.listdir()) == ["taken"]


def test_a_resumed_run_whose_key_is_gone_makes_no_other(zk_train: Train, home: Path) -> None:
    trainer_key.create(home / "zk-autograd" / "log.key", "me")
    assert zk_train(*FLAGS, "--steps", "2", "--out", "run")[0] == 0
    (home / "zk-autograd" / "log.key").unlink()
    status, _, err = ended(start("--resume", "run"))
    assert (status, f"there is no log key at {home}" in err) == (2, True)
    assert os.listdir(home / "zk-autograd") == ["log.key.pub"]


def test_three_first_trainings_at_once_are_three_runs_of_one_trainer(home: Path) -> None:
    trainers = [start(*FLAGS, "--steps", "2", "--seed", str(seed)) for seed in range(3)]
    done = [ended(trainer) for trainer in trainers]
    assert [status for status, _, _ in done] == [0, 0, 0], done
    runs = sorted(Path("runs").iterdir())
    assert len(runs) == 3
    keys = set()
    for run in runs:
        with RunFolder(run) as reader:
            keys |= set(parse_log(reader.leaves()).header.keys)
    assert keys == {signer.public_key.encode() for signer in keyfile.load(home / "zk-autograd" / "log.key")}
    assert sorted(os.listdir(home / "zk-autograd")) == ["log.key", "log.key.pub"]
    _, out, _ = ended(start("list", "--json", command="run"))
    assert [run["state"] for run in json.loads(out)["runs"]] == ["finished"] * 3


def table(rows: int) -> Path:
    """Two classes that one column tells apart."""
    path = Path("few.csv")
    path.write_text("a,b,label\n" + "".join(f"{i % 7},{i % 5},{'yes' if i % 7 > 3 else 'no'}\n" for i in range(rows)))
    return path


def test_a_table_of_few_rows_is_trained_without_a_word_on_batches(zk_train: Train) -> None:
    table(60)
    flags = ("--data", "csv:few.csv", "--model", "logistic", "--prover", "none", "--steps", "3")
    status, _, err = ended(start(*flags, "--out", "run"))
    assert status == 0, err
    assert "each step takes all 48 training rows: there are fewer than 64" in err
    assert "batch-size = 48\n" in Path("run/config.toml").read_text()
    assert json.loads(Path("run/private/train.json").read_bytes())["batch_size"] == 48
    with RunFolder(Path("run")) as reader:
        assert parse_log(reader.leaves()).header.data.batch_size == 48
    status, out, err = ended(start("reproduce", "run"))
    assert (status, out.splitlines()[-1]) == (0, "verdict: FULL"), out + err
    status, _, err = zk_train(*flags, "--dry-run")
    assert status == 0, err
    status, _, err = zk_train(*flags, "--batch-size", "64", "--out", "other")
    assert (status, "--batch-size 64 is more than the 48 training rows" in err) == (2, True)
    Path("set.toml").write_text("batch-size = 64\n")
    status, _, err = zk_train(*flags, "--config", "set.toml", "--out", "other")
    assert (status, "is more than the 48 training rows" in err) == (2, True)


def test_what_is_private_brings_its_own_gitignore(zk_train: Train) -> None:
    assert zk_train(*FLAGS, "--steps", "2", "--out", "run")[0] == 0
    assert Path("run/private/.gitignore").read_bytes() == b"*\n"
    status, out, _ = ended(start("bundle", "run", "--json", command="run"))
    from zk_autograd.evidence.bundle import Bundle

    assert status == 0
    assert json.loads(out)["left_out"] == []
    with Bundle(Path("run.tar")) as reader:
        assert not [name for name in reader.names() if "private" in name or "gitignore" in name]
    subprocess.run(["git", "init", "-q", "."], check=True)
    subprocess.run(["git", "add", "run"], check=True)
    added = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True).stdout
    assert Path("run/private/table.json").exists()
    assert "run/log/records.jsonl" in added
    assert "private" not in added
    assert ended(start("forget", "run", "--yes", command="run"))[0] == 0
    assert sorted(os.listdir("run/private")) == [".gitignore", "forgotten", "lock"]


def test_a_name_that_is_taken_gets_a_number(zk_train: Train) -> None:
    now = int(time.time())
    names = {time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second)) for second in range(now, now + 300)}
    for name in names:
        (Path("runs") / name).mkdir(parents=True)
        (Path("runs") / f"{name}-2").touch()
    status, _, err = zk_train(*FLAGS, "--steps", "1")
    assert status == 0, err
    (run,) = (path for path in Path("runs").iterdir() if (path / "log").exists())
    assert run.name.removesuffix("-3") in names
    assert err.splitlines()[0].startswith(f"runs/{run.name}: ")
