"""The scene of the attacks: a victim, an auditor, and a folder for forgeries."""

from pathlib import Path

import pytest

from attacks.attempt import Scene
from tests.attacks.session import Remembering, victim_of
from zk_autograd.prove.ezkl.keys import Cache


@pytest.fixture(scope="session")
def scene(ezkl_cache: Cache, srs_digest: bytes, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """One for all tests. The attacker's SRS and keys, which take half a minute, are kept in the cache as the auditor's are."""
    folder: Path = tmp_path_factory.mktemp("forgeries")
    victim = victim_of(ezkl_cache.folder, srs_digest)
    systems = {"ezkl": Remembering(ezkl_cache)}
    return Scene(victim, ezkl_cache, systems, folder, ezkl_cache.folder / "attacker")
