"""What lies in the cache, and what clearing it takes away."""

from pathlib import Path

import pytest

from tests.prove.ezkl.test_keys import fake_srs
from zk_autograd.core.errors import UsageError
from zk_autograd.prove.ezkl.cache import Kind, clear, holdings
from zk_autograd.prove.ezkl.keys import Cache


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """One SRS, keys under it, and what an interrupted command left."""
    cache = Cache(tmp_path / "cache")
    digest = cache.add_srs(fake_srs(tmp_path / "srs", 16))
    for name, sizes in ((f"{'ab' * 32}-{digest.hex()}", {"vk.key": 10, "pk.key": 300}), (".new-x", {"made": 7})):
        (cache.folder / "keys" / name).mkdir(parents=True)
        for file, size in sizes.items():
            (cache.folder / "keys" / name / file).write_bytes(bytes(size))
    return cache


def test_everything_is_listed_with_its_size(cache: Cache) -> None:
    found = [(holding.kind, holding.name[:2], holding.bytes) for holding in holdings(cache)]
    assert found == [
        (Kind.LEFTOVER, ".n", 7),
        (Kind.KEYS, "ab", 310),
        (Kind.SRS, cache.srs_digests()[0].hex()[:2], 128 * 2**16 + 260),
    ]


def test_a_cache_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert holdings(Cache(tmp_path / "cache")) == []
    assert not (tmp_path / "cache").exists()


def test_what_is_cleared_is_gone_and_nothing_else(cache: Cache) -> None:
    seen: list[tuple[int, int]] = []
    clear([h for h in holdings(cache) if h.kind is not Kind.SRS], lambda _, done, total: seen.append((done, total)))
    assert [holding.kind for holding in holdings(cache)] == [Kind.SRS]
    assert seen == [(1, 2), (2, 2)]
    digest = cache.srs_digests()[0]
    assert cache.require_srs(digest).exists()
    clear(holdings(cache), lambda *_: None)
    assert holdings(cache) == []


def test_a_link_in_the_cache_is_removed_and_not_followed(cache: Cache, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").touch()
    (cache.folder / "keys" / "link").symlink_to(tmp_path / "elsewhere")
    clear(holdings(cache), lambda *_: None)
    assert (tmp_path / "elsewhere" / "file").exists()
    assert holdings(cache) == []


def test_a_cache_that_is_a_file_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "cache" / "keys").mkdir(parents=True)
    (tmp_path / "cache" / "keys" / ("k" * 8)).touch()
    found = holdings(Cache(tmp_path / "cache"))
    (tmp_path / "cache" / "keys").rename(tmp_path / "cache" / "moved")
    (tmp_path / "cache" / "keys").touch()
    with pytest.raises(UsageError, match="can't be deleted: Not a directory"):
        clear(found, lambda *_: None)
