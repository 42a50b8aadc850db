"""Commands of a user who has no name and no home, as in a container: whoever needs no home isn't
asked for one."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.another_user import ROOT, TRAINING, as_another, public_folder
from zk_autograd.credentials import keyfile

RUNS = ROOT / "tests" / "data" / "runs"


@pytest.fixture
def place() -> Iterator[Path]:
    """A finished native run, its key, and a folder `mine` that the other user may write to."""
    with public_folder() as folder:
        shutil.copytree(RUNS / "native-finished", folder / "run")
        shutil.copy(RUNS / "test.key.pub", folder / "key.pub")
        (folder / "mine").mkdir()
        (folder / "mine").chmod(0o777)
        yield folder


def test_a_native_run_is_judged(place: Path, native_prover: None) -> None:
    done = as_another("verify", "run", "--key", "key.pub", "--json", cwd=place)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["verdict"], done.stderr) == ("L0, L1", "")


def test_runs_are_listed_and_packed(place: Path) -> None:
    assert as_another("run", "list", ".", cwd=place).returncode == 0
    assert as_another("run", "status", "run", cwd=place).returncode == 0
    done = as_another("run", "bundle", "../run", cwd=place / "mine")
    assert (done.returncode, done.stderr) == (0, "")


def test_keys_are_made_and_shown_where_they_are_said_to_lie(place: Path) -> None:
    made = as_another("key", "new", "--key-file", "log.key", cwd=place / "mine")
    assert made.returncode == 0, made.stderr
    done = as_another("key", "show", "--key-file", "log.key", cwd=place / "mine")
    assert made.stdout == "log.key.pub\n"
    assert (done.returncode, done.stdout) == (0, (place / "mine" / "log.key.pub").read_text())
    done = as_another("key", "show", cwd=place, env={"XDG_CONFIG_HOME": str(place / "mine")})
    assert (done.returncode, "there is no log key at" in done.stderr) == (2, True)


def test_the_digests_of_circuits_are_printed(place: Path, native_prover: None) -> None:
    done = as_another("circuit", "digest", cwd=place)
    assert (done.returncode, done.stderr) == (0, "")
    assert "native/" in done.stdout


@pytest.mark.parametrize(
    ("flags", "advice"),
    [
        (("run", "cache"), "set ZK_AUTOGRAD_CACHE"),
        (("circuit", "srs"), "set ZK_AUTOGRAD_CACHE"),
        (("key", "show"), "say where the log key lies, with --key-file"),
        (("key", "new"), "say where the log key lies, with --key-file"),
    ],
)
def test_who_needs_one_is_told_what_to_set(place: Path, flags: tuple[str, ...], advice: str) -> None:
    done = as_another(*flags, cwd=place / "mine")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: there is no home folder: {advice}")
    assert done.stderr.count("\n") == 1
    assert list((place / "mine").iterdir()) == []


def test_a_home_that_depends_on_the_current_folder_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    from zk_autograd.core.errors import UsageError
    from zk_autograd.prove.ezkl.keys import Cache

    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("HOME", "here")
    with pytest.raises(UsageError, match="HOME is 'here', which depends on the current folder"):
        keyfile.default_path()
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("ZK_AUTOGRAD_CACHE", raising=False)
    with pytest.raises(UsageError, match="depends on the current folder: set ZK_AUTOGRAD_CACHE"):
        Cache().srs_digests()


@pytest.mark.torch
@pytest.mark.slow
def test_what_a_training_would_take_is_said(place: Path, native_prover: None) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    flags = ("--model", "logistic", "--data", "csv:t.csv", "--steps", "2")
    (place / "t.csv").write_text("x,c\n" + "1,a\n2,b\n" * 10)
    done = as_another("train", *flags, "--dry-run", cwd=place, parts=TRAINING)
    assert done.returncode == 0, done.stderr
    done = as_another("train", *flags, "--out", "mine/run", cwd=place, parts=TRAINING)
    assert (done.returncode, "there is no home folder: say where the log key lies" in done.stderr) == (2, True)
    assert list((place / "mine").iterdir()) == []
