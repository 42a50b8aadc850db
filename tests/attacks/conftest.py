"""The scenes of the attacks: for each backend a victim, an auditor, and a folder for forgeries."""

import pytest

from attacks.tools.attempt import Scene
from tests.attacks.session import Remembering, Workshop, ezkl_victim, native_victim
from tests.shared import Shared
from zk_autograd.prove.ezkl.keys import Cache
from zk_autograd.prove.hashed.verify import HashedSystem
from zk_autograd.prove.native.verify import NativeSystem


@pytest.fixture(scope="session")
def ezkl_scene(
    shared: Shared,
    ezkl_cache: Cache,
    another_cache: Cache,
    srs_digest: bytes,
    tmp_path_factory: pytest.TempPathFactory,
) -> Scene:
    """One for all tests. The attacker's SRS and keys, which take half a minute, are kept in the
    cache as the auditor's are."""
    folder = tmp_path_factory.mktemp("forgeries")
    workshop = Workshop(ezkl_cache, another_cache.folder, folder, shared)
    victim = ezkl_victim(shared, ezkl_cache, srs_digest)
    return Scene(victim, {"none": HashedSystem(), "ezkl": Remembering(ezkl_cache)}, folder, workshop)


@pytest.fixture(scope="session")
def native_scene(shared: Shared, native_prover: None, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """One for all tests."""
    folder = tmp_path_factory.mktemp("forgeries")
    return Scene(native_victim(shared), {"none": HashedSystem(), "native": NativeSystem()}, folder)


@pytest.fixture
def scene(request: pytest.FixtureRequest) -> Scene:
    """The scene of the backend that a test is parametrised with; the native one if it isn't: the
    attack is on neither."""
    found: Scene = request.getfixturevalue(f"{getattr(request, 'param', 'native')}_scene")
    return found
