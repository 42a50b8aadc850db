"""EZKL's child process is the package's own, wherever its caller stands."""

from pathlib import Path

import pytest

from zk_autograd.core.errors import ProverError, UsageError
from zk_autograd.prove.ezkl.child import Child
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


def test_a_cache_does_not_depend_on_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="ZK_AUTOGRAD_CACHE is 'cache', which depends on the current folder"):
        default_cache({"ZK_AUTOGRAD_CACHE": "cache"})
    # XDG Base Directory Specification: a relative path is invalid, and to be ignored
    assert default_cache({"XDG_CACHE_HOME": "cache"}).is_absolute()
    monkeypatch.chdir(tmp_path)
    assert Cache(Path("cache")).folder == tmp_path / "cache"
