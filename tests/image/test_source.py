"""What of a checkout goes into an image: what is committed."""

import subprocess
from pathlib import Path

import pytest

from enclave.commands import BuildError
from enclave.source import ROOT, committed


def git(root: Path, *words: str) -> None:
    own = ["-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *own, *words], cwd=root, check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "a checkout"
    for name in ("src/zk_autograd/a.py", "crates/b.rs", "docs/c.md"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    (root / ".gitignore").write_text("*.so\n/src/ignored.py\n")
    git(root, "init", "--quiet")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", "all of it")
    return root


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_ignored_files_stay_outside(checkout: Path, tmp_path: Path) -> None:
    """A stranger's module that git is told to overlook would be in the image, and in no diff."""
    (checkout / "src/ignored.py").write_text("evil")
    (checkout / "src/zk_autograd/_x.so").write_text("evil")
    found = committed(tmp_path / "source", checkout)
    assert names(found) == {"src/zk_autograd/a.py", "crates/b.rs", "docs/c.md", ".gitignore"}


@pytest.mark.parametrize("name", ["src/zk_autograd/a.py", "src/zk_autograd/new.py", "crates/b.rs", "enclave/init.py"])
def test_what_is_not_committed_is_named(name: str, checkout: Path, tmp_path: Path) -> None:
    (checkout / name).parent.mkdir(exist_ok=True)
    (checkout / name).write_text("changed")
    with pytest.raises(BuildError, match=f"commit, or put aside, {name}$"):
        committed(tmp_path / "source", checkout)
    assert not (tmp_path / "source").exists()


def test_what_does_not_go_in_may_be_changed(checkout: Path, tmp_path: Path) -> None:
    (checkout / "docs/c.md").write_text("changed")
    assert (committed(tmp_path / "source", checkout) / "docs/c.md").read_text() == "docs/c.md"


def test_the_environment_leads_git_nowhere_else(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(ROOT / ".git"))
    assert (committed(tmp_path / "source", checkout) / "crates/b.rs").read_text() == "crates/b.rs"


def test_an_archive_is_taken_as_it_is_and_that_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert committed(tmp_path / "source", tmp_path) == tmp_path
    assert "is no checkout of git: the image is made of whatever lies in" in capsys.readouterr().err


def test_a_checkout_that_git_can_t_read_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    with pytest.raises(BuildError, match="git doesn't tell what is committed"):
        committed(tmp_path / "source", tmp_path)


def test_nothing_in_the_image_names_another_first_program() -> None:
    """The kernel's command line can be any window of kernel, line and ramdisk: text there that
    names a first program would start it in place of /init."""
    for path in (*ROOT.glob("src/zk_autograd/**/*.py"), ROOT / "enclave/init.py"):
        data = path.read_bytes()
        assert b"init=/" not in data, path
        assert b"rdinit=" not in data, path
