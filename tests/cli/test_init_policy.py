"""`zk-verify init-policy`: what it writes, and where it writes nothing."""

import json
import os
from pathlib import Path

import pytest

from tests.another_user import as_another, public_folder
from tests.verify.run_builder import KEY, honest
from zk_autograd.cli.verify import main
from zk_autograd.verify.policy_file import load


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZK_AUTOGRAD_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return honest("none").write(tmp_path / "run")


def test_the_policy_is_printed(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init-policy", "--from", str(run)]) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("# A policy for zk-verify, drafted from a run, for review.")
    assert "IT PINS NOTHING YET" in shown.out
    assert "it pins nothing yet" in shown.err
    assert 'require = ["L0"]' in shown.out


def test_the_policy_is_written_and_pins_nothing(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "policy.toml"
    assert main(["init-policy", "--from", str(run), "--out", str(out)]) == 0
    shown = capsys.readouterr()
    assert "it pins nothing yet" in shown.out
    assert load(out, run).keys == ()
    assert main([str(run), "--policy", str(out)]) == 3
    assert "verdict: UNPINNED\n" in capsys.readouterr().out
    assert main([str(run), "--policy", str(out), "--key", KEY.encode()]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["policy.toml", "run"]


def test_json(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init-policy", "--from", str(run), "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert main(["init-policy", "--from", str(run), "--out", str(tmp_path / "p.toml"), "--json"]) == 0
    second = json.loads(capsys.readouterr().out)
    assert (first["out"], second["out"]) == (None, str(tmp_path / "p.toml"))
    assert first["policy"] == second["policy"] == (tmp_path / "p.toml").read_text()


def test_a_run_that_does_not_verify_gives_no_policy(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = run / "log/checkpoint"
    checkpoint.write_bytes(checkpoint.read_bytes().replace(b"\n6\n", b"\n5\n"))
    out = tmp_path / "policy.toml"
    for flags in ([], ["--out", str(out)]):
        assert main(["init-policy", "--from", str(run), *flags]) == 1
        shown = capsys.readouterr()
        assert shown.out == ""
        assert "the run does not verify, so no policy is drafted from it: step 3" in shown.err
    assert not out.exists()


@pytest.mark.parametrize("kind", ["file", "link", "folder", "pipe"])
def test_nothing_is_overwritten(kind: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "policy.toml"
    if kind == "file":
        out.write_text("mine")
    elif kind == "link":
        out.symlink_to(tmp_path / "nowhere")
    elif kind == "folder":
        out.mkdir()
    else:
        os.mkfifo(out)
    before = out.lstat()
    assert main(["init-policy", "--from", str(run), "--out", str(out)]) == 2
    assert "exists" in capsys.readouterr().err
    assert (out.lstat().st_ino, out.lstat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert not (tmp_path / "nowhere").exists()


def test_a_place_that_cannot_be_is_refused(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for out in (tmp_path / "none/p.toml", run / "p.toml", run / "model/p.toml"):
        assert main(["init-policy", "--from", str(run), "--out", str(out)]) == 2
        assert str(out) in capsys.readouterr().err
        assert not out.exists()


def test_what_is_no_run_gives_2(tmp_path: Path) -> None:
    assert main(["init-policy", "--from", str(tmp_path)]) == 2
    with pytest.raises(SystemExit) as caught:
        main(["init-policy"])
    assert caught.value.code == 2


def test_a_folder_that_cannot_be_written_to_gives_4() -> None:
    with public_folder() as folder:
        honest("none").write(folder / "run")
        done = as_another(
            "verify", "init-policy", "--from", str(folder / "run"), "--out", str(folder / "p"), cwd=folder
        )
        assert (done.returncode, "Permission denied" in done.stderr) == (4, True), done.stderr
        assert not (folder / "p").exists()
