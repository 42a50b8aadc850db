"""EZKL's child process is the package's own, wherever its caller stands."""

import sys
from pathlib import Path

import pytest

from zk_autograd.core.errors import ProverError, UsageError
from zk_autograd.prove.ezkl import child
from zk_autograd.prove.ezkl.child import Child, ChildDied
from zk_autograd.prove.ezkl.keys import Cache, default_cache

REQUEST = {"do": "verify", "proof": "none", "settings": "none", "vk": "none", "srs": "none"}
MODULES = ("zk_autograd/__init__.py", "json.py", "queue.py", "resource.py", "ezkl.py", "sitecustomize.py")


@pytest.mark.slow
@pytest.mark.ezkl
@pytest.mark.parametrize("pythonpath", [None, "", ".", ":", "modules"])
def test_nothing_is_imported_from_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pythonpath: str | None
) -> None:
    for folder in (tmp_path, tmp_path / "modules"):
        for module in MODULES:
            (folder / module).parent.mkdir(parents=True, exist_ok=True)
            (folder / module).write_text(f"open({str(tmp_path / 'executed')!r}, 'w').close()\n")
    monkeypatch.chdir(tmp_path)
    if pythonpath is None:
        monkeypatch.delenv("PYTHONPATH", raising=False)
    else:
        monkeypatch.setenv("PYTHONPATH", pythonpath)
    with pytest.raises(ProverError, match="verify: EZKL refused"):
        Child().run(REQUEST, seconds=60)
    assert not (tmp_path / "executed").exists()


@pytest.mark.slow
@pytest.mark.ezkl
@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import os; os.kill(os.getpid(), 9)", "ended with status -9"),
        ("import sys; sys.exit(1)", "ended with status 1"),
        ("print('no JSON')", "ended with status 0"),
        ("import time; time.sleep(600)", "took longer than"),
    ],
    ids=["killed", "died", "nonsense", "hangs"],
)
def test_a_child_without_an_answer_says_nothing_of_the_proof(
    monkeypatch: pytest.MonkeyPatch, code: str, words: str
) -> None:
    monkeypatch.setattr(child, "PYTHON", (sys.executable, "-c", code))
    with pytest.raises(ChildDied, match=words):
        Child().run(REQUEST, seconds=2)


@pytest.mark.slow
@pytest.mark.ezkl
def test_a_child_that_refuses_has_not_died() -> None:
    with pytest.raises(ProverError, match="verify: EZKL refused") as caught:
        Child().run(REQUEST, seconds=60)
    assert not isinstance(caught.value, ChildDied)


def test_a_cache_does_not_depend_on_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="ZK_AUTOGRAD_CACHE is 'cache', which depends on the current folder"):
        default_cache({"ZK_AUTOGRAD_CACHE": "cache"})
    # XDG Base Directory Specification: a relative path is invalid, and to be ignored
    assert default_cache({"XDG_CACHE_HOME": "cache"}).is_absolute()
    monkeypatch.chdir(tmp_path)
    assert Cache(Path("cache")).folder == tmp_path / "cache"
