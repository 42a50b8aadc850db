"""The published register: every tile is what the tree says, whatever was published before, and what
a reader finds is whole."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.register.registers import OTHERS, entries, filled
from zk_autograd.core.errors import RunError, StorageError, UsageError
from zk_autograd.core.merkle import leaf_hash, root
from zk_autograd.core.tiles import Tile, encode_bundle, tiles_of
from zk_autograd.evidence.tiles import TileFolder, open_tiles
from zk_autograd.local.kept_files import write_over
from zk_autograd.register import publishing
from zk_autograd.register.publishing import publish
from zk_autograd.register.register import Register


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Register]:
    """A register of 520 entries, which nobody changes."""
    with filled(tmp_path_factory.mktemp("register"), 520) as register:
        yield register


def expected(size: int, tile: Tile) -> bytes:
    """A tile from all the leaves."""
    leaves = [one.encode() for one in entries(size)]
    if tile.level is None:
        return encode_bundle(leaves[tile.first : tile.first + tile.width])
    span = 256**tile.level
    starts = range(tile.first, tile.first + tile.width)
    return b"".join(root([leaf_hash(leaf) for leaf in leaves[i * span : (i + 1) * span]]) for i in starts)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def read(folder: Path) -> list[bytes]:
    tiles = open_tiles(folder)
    assert isinstance(tiles, TileFolder)
    with tiles:
        return tiles.leaves(2**30)


def test_all_at_once(big: Register, tmp_path: Path) -> None:
    out = tmp_path / "public"
    assert publish(big, out) == big.checkpoint
    wanted = {tile.path: expected(520, tile) for tile in tiles_of(520)}
    assert files(out) == {"checkpoint": big.checkpoint.note, **wanted}
    assert read(out) == [one.encode() for one in entries(520)]


def test_step_by_step(tmp_path: Path) -> None:
    """After each step everything that the newest checkpoint needs is there, and full tiles are not
    written again."""
    out = tmp_path / "public"
    full: dict[str, tuple[int, int]] = {}
    for size in (0, 1, 2, 100, 255, 256, 257, 270):
        with filled(tmp_path / str(size), size) as register:
            publish(register, out)
        found = files(out)
        for tile in tiles_of(size):
            assert found[tile.path] == expected(size, tile)
        assert read(out) == [one.encode() for one in entries(size)]
        names = [name for name in found if ".p" not in name and name != "checkpoint"]
        now = {name: ((out / name).stat().st_ino, (out / name).stat().st_mtime_ns) for name in names}
        assert now.items() >= full.items()
        full = now
    assert not (out / "tile/0/000.p").exists()
    assert (out / "tile/0/001.p/1").exists(), "of a checkpoint that was published"


def test_nothing_new_writes_the_checkpoint_alone(big: Register, tmp_path: Path) -> None:
    out = tmp_path / "public"
    publish(big, out)
    before = {name: (out / name).stat().st_ino for name in files(out)}
    publish(big, out)
    after = {name: (out / name).stat().st_ino for name in files(out)}
    assert {name for name in after if after[name] != before[name]} <= {"checkpoint"}


def test_a_crash_between_any_two_writes(big: Register, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the checkpoint has its name, the older one is there with all of its tiles; and whoever
    goes on finishes."""
    out = tmp_path / "public"
    with filled(tmp_path / "older", 255) as older:
        publish(older, out)
    done = 0

    def crashing(path: Path, data: bytes, what: str) -> None:
        nonlocal done
        if done == stop:
            raise KeyboardInterrupt
        write_over(path, data, what)
        done += 1

    stop = 0
    while True:
        done = 0
        with monkeypatch.context() as patch:
            patch.setattr(publishing, "write_over", crashing)
            try:
                publish(big, out)
            except KeyboardInterrupt:
                assert read(out) == [one.encode() for one in entries(255)]
                stop += 1
                for path in list((out / "tile").rglob("*")):  # as if the crash were the first
                    name = str(path.relative_to(out))
                    if path.is_file() and name not in {tile.path for tile in tiles_of(255)}:
                        path.unlink()
                continue
        break
    assert stop == len(list(tiles_of(520, 255))) + 1
    assert read(out) == [one.encode() for one in entries(520)]


def test_a_crash_loses_no_time(big: Register, tmp_path: Path) -> None:
    """What an interrupted publication left is taken, not refused."""
    out = tmp_path / "public"
    for tile in list(tiles_of(520))[:3]:
        (out / tile.path).parent.mkdir(parents=True, exist_ok=True)
        (out / tile.path).write_bytes(expected(520, tile))
    publish(big, out)
    assert read(out) == [one.encode() for one in entries(520)]


def test_another_register_s_folder(big: Register, tmp_path: Path) -> None:
    out = tmp_path / "public"
    with Register.begin(tmp_path / "other", OTHERS) as other:
        publish(other, out)
    with pytest.raises(RunError, match="holds another register"):
        publish(big, out)


def test_an_older_copy_of_the_register_publishes_nothing(big: Register, tmp_path: Path) -> None:
    out = tmp_path / "public"
    publish(big, out)
    before = files(out)
    with (
        filled(tmp_path / "old", 7) as old,
        pytest.raises(RunError, match=r"restored from an old copy.*recover --from"),
    ):
        publish(old, out)
    with filled(tmp_path / "branch", 521, branch=519) as branch, pytest.raises(RunError, match="another branch"):
        publish(branch, out)
    assert files(out) == before


def test_an_altered_tile_stays_and_is_told(big: Register, tmp_path: Path) -> None:
    out = tmp_path / "public"
    (out / "tile/entries").mkdir(parents=True)
    (out / "tile/entries/000").write_bytes(b"x")
    with pytest.raises(RunError, match="was altered"):
        publish(big, out)
    (out / "checkpoint").write_bytes(b"x")
    with pytest.raises(RunError, match="is no checkpoint of a register"):
        publish(big, out)


def test_no_place(big: Register, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="can't be published"):
        publish(big, tmp_path / "file" / "public")


def test_a_full_disk_leaves_what_was_there(big: Register, small_disk: Path, tmp_path: Path) -> None:
    out = small_disk / "public"
    with filled(tmp_path / "older", 7) as older:
        publish(older, out)
    filler = small_disk / "filler"
    filler.write_bytes(bytes(max(0, os.statvfs(small_disk).f_bavail * 4096 - 60_000)))
    with pytest.raises(StorageError, match="No space left"):
        publish(big, out)
    assert read(out) == [one.encode() for one in entries(7)]
    filler.unlink()
    publish(big, out)
    assert read(out) == [one.encode() for one in entries(520)]
