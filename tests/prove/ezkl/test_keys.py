"""The cache takes an SRS only whole, of the right size, and under its own digest."""

from pathlib import Path

import pytest

from zk_autograd.core.errors import ProverError, UsageError
from zk_autograd.prove.ezkl.child import Child
from zk_autograd.prove.ezkl.keys import Cache, default_cache, make_srs, srs_logrows


def fake_srs(path: Path, logrows: int) -> Path:
    path.write_bytes(logrows.to_bytes(4, "little") + bytes(128 * 2**logrows + 256))
    return path


def test_the_cache_folder_follows_the_environment() -> None:
    assert default_cache({"ZK_AUTOGRAD_CACHE": "/a"}) == Path("/a")
    assert default_cache({"XDG_CACHE_HOME": "/x"}) == Path("/x/zk-autograd")
    assert default_cache({}).name == "zk-autograd"


def test_an_srs_is_found_by_its_digest(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    assert cache.srs_digests() == []
    digest = cache.add_srs(fake_srs(tmp_path / "srs", 16))
    assert cache.srs_digests() == [digest]
    assert cache.require_srs(digest).read_bytes() == (tmp_path / "srs").read_bytes()
    assert cache.add_srs(tmp_path / "srs") == digest
    assert [p.name for p in (tmp_path / "cache" / "srs").iterdir()] == [digest.hex()]


def test_a_damaged_srs_is_refused(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    digest = cache.add_srs(fake_srs(tmp_path / "srs", 16))
    cache.srs_path(digest).write_bytes(b"x")
    with pytest.raises(UsageError, match="damaged"):
        cache.require_srs(digest)


def test_an_srs_that_is_too_small_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"for 2\^12 rows, the circuits need 2\^16"):
        Cache(tmp_path / "cache").add_srs(fake_srs(tmp_path / "srs", 12))


@pytest.mark.parametrize("content", [b"", b"\x10\0\0\0", b"\x10\0\0\0" + bytes(1000), b"\xff" * 5000])
def test_a_file_that_is_no_srs_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "srs").write_bytes(content)
    with pytest.raises(UsageError, match="no SRS file"):
        srs_logrows(tmp_path / "srs")


def test_a_missing_srs_is_one_clear_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can't be read"):
        Cache(tmp_path / "cache").add_srs(tmp_path / "nothing")
    with pytest.raises(UsageError, match="zk-circuit srs --add"):
        Cache(tmp_path / "cache").require_srs(bytes(32))


def test_a_cache_that_can_not_be_written_names_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match="ZK_AUTOGRAD_CACHE"):
        Cache(tmp_path / "file" / "cache").add_srs(fake_srs(tmp_path / "srs", 16))


def test_an_srs_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "srs").write_bytes(b"")
    with pytest.raises(UsageError, match="never overwritten"):
        make_srs(tmp_path / "srs", Child())


@pytest.mark.slow
@pytest.mark.ezkl
def test_ezkl_makes_an_srs_that_is_one(tmp_path: Path) -> None:
    digest = make_srs(tmp_path / "folder" / "srs", Child(), logrows=5)
    assert srs_logrows(tmp_path / "folder" / "srs") == 5
    assert make_srs(tmp_path / "other", Child(), logrows=5) != digest
    assert [p.name for p in (tmp_path / "folder").iterdir()] == ["srs"]


@pytest.mark.slow
@pytest.mark.ezkl
def test_a_child_that_is_refused_or_stopped_says_so(tmp_path: Path) -> None:
    child = Child()
    with pytest.raises(ProverError, match="verify: EZKL refused"):
        child.run({"do": "verify", "proof": "none", "settings": "none", "vk": "none", "srs": "none"}, seconds=60)
    with pytest.raises(ProverError, match="longer than"):
        child.run({"do": "srs", "srs": str(tmp_path / "srs"), "logrows": 20}, seconds=0.5)
    child.stop()
    with pytest.raises(ProverError, match="stopped"):
        child.run({"do": "srs", "srs": str(tmp_path / "srs"), "logrows": 5}, seconds=60)
