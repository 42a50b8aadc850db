"""Shared by all tests: Hypothesis draws the same examples in every run, one cache of SRS and keys
serves every real proof, and workers that run side by side share the cores.

The cache lies in the checkout (`.cache/tests`), so that a second run of the tests makes no key
again. Its SRS is made here, so the tests know its secret in principle: it is good for tests alone.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import settings

import zk_autograd
from attacks.tools.trapdoor import write_srs
from attacks.tools.victim import CIRCUIT
from tests.shared import Shared, SharedCache, locked
from zk_autograd.core.errors import UsageError
from zk_autograd.prove.ezkl.child import Child
from zk_autograd.prove.ezkl.circuit.catalogue import load
from zk_autograd.prove.ezkl.keys import Cache, make_srs
from zk_autograd.prove.native.extension import require_built
from zk_autograd.prove.native.shape import description

# A shell that runs the tests in the background has them ignore interrupts: those that send one
# would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)

WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0"))
if WORKERS:  # torch's threads spin where cores are short; it reads this when it is loaded. The provers' don't: a proof takes what is free.
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, len(os.sched_getaffinity(0)) // WORKERS)))

settings.register_profile("fixed", derandomize=True, deadline=None)
settings.load_profile("fixed")

TEST_CACHE = Path(__file__).parent.parent / ".cache" / "tests"


@pytest.fixture(scope="session", autouse=True)
def state_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Registers that the tests begin lie here, never in the home of whoever runs the tests."""
    folder = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder))
        yield folder


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Shared:
    """What this session makes once for all its workers."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if WORKERS else base) / "shared"
    folder.mkdir(exist_ok=True)
    return Shared(folder)


@pytest.fixture(scope="session")
def ezkl_cache() -> Cache:
    """A cache with one SRS of 2^16 rows in it."""
    if find_spec("ezkl") is None:
        pytest.skip("EZKL is not installed: pip install 'zk-autograd[ezkl]'")
    cache = SharedCache(TEST_CACHE)
    with locked(TEST_CACHE / "locks" / "srs"):
        if not cache.srs_digests():
            made = TEST_CACHE / "made.srs"
            made.unlink(missing_ok=True)
            make_srs(made, Child())
            cache.add_srs(made)
    return cache


@pytest.fixture(scope="session")
def another_cache(ezkl_cache: Cache) -> Cache:
    """A cache with another SRS, the attacker's, and the keys of the circuit that they attack."""
    cache = SharedCache(ezkl_cache.folder / "attacker")
    with locked(TEST_CACHE / "locks" / "attacker"):
        made = cache.folder / "made.srs"
        if not made.exists():
            write_srs(made)
        srs = cache.add_srs(made)
    cache.keys(load(CIRCUIT), srs, Child(), proving=True)
    return cache


@pytest.fixture(scope="session")
def srs_digest(ezkl_cache: Cache) -> bytes:
    """The digest of the SRS in `ezkl_cache`."""
    return ezkl_cache.srs_digests()[0]


@pytest.fixture(scope="session")
def native_prover() -> None:
    """The compiled module with the native prover. Whoever builds the package has it; a checkout
    that isn't built has not."""
    try:
        require_built()
    except UsageError as error:
        pytest.skip(str(error))


@pytest.fixture
def without_native(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A checkout whose compiled module is not built."""
    monkeypatch.setitem(sys.modules, "zk_autograd._native", None)
    monkeypatch.delattr(zk_autograd, "_native", raising=False)
    description.cache_clear()
    yield
    description.cache_clear()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB. It is named by a descriptor alone, so that it goes with the process,
    however that ends."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)
    yield Path(f"/proc/self/fd/{fd}")
    os.close(fd)
