"""EZKL trusts the lookup tables that it finds in a folder: each child gets a new one, and nothing
of it is left."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from zk_autograd.core.errors import ProverError
from zk_autograd.prove.ezkl.child import Child

REQUEST = {"do": "verify", "proof": "none", "settings": "none", "vk": "none", "srs": "none"}


@pytest.mark.slow
@pytest.mark.ezkl
def test_each_child_has_a_new_folder_for_its_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    folders: list[Path] = []

    class Watched(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            folder = Path(options["env"]["EZKL_REPO_PATH"])
            assert Path(options["cwd"]) == folder
            assert folder.is_absolute()
            assert list(folder.iterdir()) == []
            assert folder.stat().st_mode & 0o777 == 0o700
            folders.append(folder)
            super().__init__(*arguments, **options)

    monkeypatch.setenv("EZKL_REPO_PATH", "/nowhere")  # the caller's own isn't taken
    monkeypatch.setattr(subprocess, "Popen", Watched)
    one = Child()
    for child in (one, one, Child()):
        with pytest.raises(ProverError, match="verify: EZKL refused"):
            child.run(REQUEST, seconds=120)
    assert len(set(folders)) == 3
    assert not any(folder.exists() for folder in folders)
