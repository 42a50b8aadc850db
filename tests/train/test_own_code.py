"""Whose code of a run is run: the caller's own or what they name, of the header's digest, from
elsewhere than the run's folder; and nothing before that is sure."""

import sys
import webbrowser as antigravity_like  # a module that does something, once it is asked
from hashlib import sha256
from pathlib import Path
from types import ModuleType

import pytest
import sklearn.datasets

from zk_autograd.train.names import Factory
from zk_autograd.train.own_code import Consent, refusal

TEXT = b"raise SystemError('imported')\n"
DIGEST = sha256(TEXT).digest()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run's folder, beside a folder `mine`, which is the current one."""
    (tmp_path / "run/sub").mkdir(parents=True)
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path / "mine")
    return tmp_path / "run"


def refused(name: str, run: Path, digest: bytes = DIGEST, consent: Consent = Consent.OWN_RUN) -> str:
    before, loaded = list(sys.path), set(sys.modules)
    found = refusal(Factory(name, "make"), run, digest, consent)
    assert (sys.path, set(sys.modules)) == (before, loaded)
    return found or ""


def test_the_code_of_the_run_in_the_current_folder_may_be_run(run: Path) -> None:
    Path("own_net.py").write_bytes(TEXT)
    assert refused("own_net", run) == ""
    assert "is not the code of the run (expected 0000" in refused("own_net", run, bytes(32))


def test_code_that_nobody_named_is_not_even_looked_for(run: Path) -> None:
    Path("own_net.py").write_bytes(TEXT)
    assert refused("own_net", run, consent=Consent.NOBODY).endswith("look at it, and pass --allow-code own_net:make")
    assert refused("no_such_net", run, consent=Consent.NOBODY).endswith("pass --allow-code no_such_net:make")
    assert refused("own_net", run, consent=Consent.NAMED) == ""


@pytest.mark.parametrize("module", [antigravity_like, sklearn.datasets], ids=["the standard library", "a package"])
def test_code_that_everybody_has_is_run_only_if_it_is_named(module: ModuleType, run: Path) -> None:
    """Whoever made the run knows its digest."""
    assert module.__file__ is not None
    digest = sha256(Path(module.__file__).read_bytes()).digest()
    assert "is a part of Python's installation" in refused(module.__name__, run, digest)
    assert refused(module.__name__, run, digest, Consent.NAMED) == ""


def test_the_current_folder_comes_first_for_the_module_that_is_named(run: Path) -> None:
    Path("colorsys.py").write_bytes(TEXT)
    assert refused("colorsys", run) == ""


def test_a_packages_module_is_found_without_importing_the_package(run: Path) -> None:
    Path("own_package").mkdir()
    Path("own_package/__init__.py").write_bytes(TEXT)
    Path("own_package/net.py").write_bytes(TEXT + b"#\n")
    assert refused("own_package.net", run, sha256(TEXT + b"#\n").digest()) == ""
    assert refused("own_package", run) == ""
    assert "there is no module own_package.none" in refused("own_package.none", run)


@pytest.mark.parametrize("name", ["no_such_net", "no_such.net", "sys.net"])
def test_a_module_that_is_missing_is_said(name: str, run: Path) -> None:
    assert f"there is no module {name}" in refused(name, run)


def test_a_module_without_a_file_is_not_run(run: Path) -> None:
    assert refused("sys", run) == "sys has no file that can be read"
    Path("namespace").mkdir()
    assert refused("namespace", run) == "namespace has no file that can be read"


def test_a_folder_of_modules_in_another_one_is_said(run: Path) -> None:
    Path("outer/inner").mkdir(parents=True)
    Path("outer/inner/net.py").write_bytes(TEXT)
    assert "its package outer.inner is a nested folder without an __init__.py" in refused("outer.inner.net", run)
    Path("outer/net.py").write_bytes(TEXT)
    assert refused("outer.net", run) == ""


@pytest.mark.parametrize("place", [".", "sub"])
def test_nothing_is_run_from_within_the_runs_folder(place: str, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("own_net.py").write_bytes(TEXT)
    with monkeypatch.context() as patch:
        patch.syspath_prepend(Path.cwd())
        patch.chdir(run / place)
        assert "is in the run's own folder: start from another folder" in refused(
            "own_net", Path.cwd() if place == "." else run
        )
    with monkeypatch.context() as patch:
        patch.setattr(sys, "path", [*sys.path, str(run / place)])
        assert "is in the run's own folder" in refused("own_net", run)
    assert refused("own_net", run) == ""


def test_a_link_into_the_runs_folder_is_the_runs_folder(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (run / "sub/linked_net.py").write_bytes(TEXT)
    Path("linked_net.py").symlink_to(run / "sub/linked_net.py")
    assert "its module linked_net lies in the run's own folder" in refused("linked_net", run)
    (run / "sub/package").mkdir()
    (run / "sub/package/net.py").write_bytes(TEXT)
    Path("package").symlink_to(run / "sub/package")
    assert "its module package lies in the run's own folder" in refused("package.net", run)
    Path("here").symlink_to(run)
    (run / "sub/linked_net.py").unlink()
    Path("linked_net.py").unlink()
    Path("linked_net.py").write_bytes(TEXT)
    monkeypatch.setattr(sys, "path", [str(Path("here/sub").absolute()), *sys.path])
    assert "is in the run's own folder" in refused("linked_net", run)
    assert "is in the run's own folder" in refused("linked_net", Path("here"))
