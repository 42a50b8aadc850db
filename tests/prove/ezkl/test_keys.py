"""The cache takes an SRS only whole, of the right size, and under its own digest."""

import json
import os
import stat
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from zk_autograd.core.errors import ProverError, UsageError
from zk_autograd.prove.ezkl.child import Child
from zk_autograd.prove.ezkl.circuit.catalogue import load
from zk_autograd.prove.ezkl.keys import DIGESTS, DIGESTS_FORMAT, Cache, Keys, default_cache, make_srs, srs_logrows


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
    with pytest.raises(UsageError, match=r"for 2\^12 rows, and the circuits need 2\^16"):
        Cache(tmp_path / "cache").add_srs(fake_srs(tmp_path / "srs", 12))


@pytest.mark.parametrize("content", [b"", b"\x10\0\0\0", b"\x10\0\0\0" + bytes(1000), b"\xff" * 5000])
def test_a_file_that_is_no_srs_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "srs").write_bytes(content)
    with pytest.raises(UsageError, match="is not an SRS file"):
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


@pytest.fixture
def made(tmp_path: Path) -> Keys:
    """Keys as they lie in a cache; what is in the large files doesn't matter here."""
    tmp_path = tmp_path / "keys"
    tmp_path.mkdir()
    circuit = load("adam-n32-t64")
    contents = {
        "settings.json": circuit.settings,
        "network.onnx": circuit.onnx,
        "network.compiled": b"compiled",
        "vk.key": b"vk",
        "pk.key": b"pk",
    }
    files = {}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        files[name] = sha256(content).hexdigest()
    (tmp_path / DIGESTS).write_text(json.dumps({"format": DIGESTS_FORMAT, "files": files}))
    return Keys(tmp_path, tmp_path / "srs")


def test_keys_are_used_as_they_were_made(made: Keys) -> None:
    circuit = load("adam-n32-t64")
    assert made.are_as_made(circuit, proving=True)
    assert not made.are_as_made(load("sgd-n32-t192"), proving=True)
    made.pk.unlink()
    assert not made.are_as_made(circuit, proving=True)
    assert made.are_as_made(circuit, proving=False)


def replaced_by_a_link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


@pytest.mark.parametrize("name", [".", DIGESTS, "vk.key"])
@pytest.mark.parametrize(
    "open_up",
    [
        pytest.param(lambda path: path.chmod(0o777), id="open to everybody"),
        pytest.param(
            lambda path: os.chown(path, 4242, -1),
            id="another user's",
            marks=pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a file to another user"),
        ),
        pytest.param(replaced_by_a_link, id="a link"),
    ],
)
def test_a_key_that_others_could_have_written_is_made_again(
    made: Keys, name: str, open_up: Callable[[Path], object]
) -> None:
    """With digests of their own beside it."""
    path = made.folder / name
    if open_up is replaced_by_a_link and name == ".":
        made.folder.rename(made.folder.with_name("moved"))
        made.folder.symlink_to(made.folder.with_name("moved"))
    else:
        open_up(path)
    assert not made.are_as_made(load("adam-n32-t64"), proving=False)


def test_an_srs_that_others_could_have_written_is_refused(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    digest = cache.add_srs(fake_srs(tmp_path / "srs", 16))
    path = cache.srs_path(digest)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o666)
    with pytest.raises(UsageError, match="is a link, or others can write to it"):
        cache.require_srs(digest)
    path.chmod(0o600)
    path.rename(tmp_path / "moved")
    path.symlink_to(tmp_path / "moved")
    with pytest.raises(UsageError, match="is a link, or others can write to it"):
        cache.require_srs(digest)


@pytest.mark.parametrize("name", ["settings.json", "network.onnx", "network.compiled", "vk.key", "pk.key"])
def test_a_key_with_another_byte_is_made_again(made: Keys, name: str) -> None:
    (made.folder / name).write_bytes((made.folder / name).read_bytes() + b"x")
    assert not made.are_as_made(load("adam-n32-t64"), proving=True)


@pytest.mark.parametrize(
    "text", [None, "", "[]", "{}", '{"format": "zk-autograd/keys/v0", "files": {}}', "x" * 5000, "\xff"]
)
def test_keys_that_nothing_says_the_digests_of_are_made_again(made: Keys, text: str | None) -> None:
    (made.folder / DIGESTS).unlink()
    if text is not None:
        (made.folder / DIGESTS).write_text(text, encoding="latin-1")
    assert not made.are_as_made(load("adam-n32-t64"), proving=False)


@pytest.mark.parametrize("part", [".", "srs", ".."])
def test_a_cache_that_others_write_to_is_refused(tmp_path: Path, part: str) -> None:
    cache = Cache(tmp_path / "here" / "cache")
    digest = cache.add_srs(fake_srs(tmp_path / "srs", 16))
    cache.require_srs(digest)
    (cache.folder / part).chmod(0o777)
    for use in (
        lambda: cache.require_srs(digest),
        cache.srs_digests,
        lambda: cache.add_srs(fake_srs(tmp_path / "other", 17)),
    ):
        with pytest.raises(
            UsageError, match=r"can be exchanged by others .* set ZK_AUTOGRAD_CACHE to a folder of your own"
        ):
            use()


def test_a_cache_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        Cache(tmp_path / "a" / "cache").add_srs(fake_srs(tmp_path / "srs", 16))
    finally:
        os.umask(before)
    for folder in ("a", "a/cache", "a/cache/srs"):
        assert stat.S_IMODE((tmp_path / folder).stat().st_mode) == 0o700
