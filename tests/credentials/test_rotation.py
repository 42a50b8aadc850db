"""Rotation: what is in the key's file, beside it and in its public half, after each of its writes
and after a crash before any of them."""

import fcntl
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from zk_autograd.core.errors import StorageError, UsageError
from zk_autograd.core.keys import SeedSigner, parse_keys
from zk_autograd.credentials.keyfile import create, load, public_path, public_text
from zk_autograd.credentials.rotation import rotate
from zk_autograd.local import secret_files

V0 = "zk-autograd/log-key/v0\nname: me\ned25519: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"


@pytest.fixture(params=["v0", "v1"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A key file of either version, with its public half."""
    return made(tmp_path, request.param)


def made(folder: Path, version: str) -> Path:
    path = folder / "log.key"
    if version == "v1":
        create(path, "me")
    else:
        path.write_text(V0)
        path.chmod(0o600)
        public_path(path).write_text(public_text(load(path)))
    return path


def names(path: Path) -> list[str]:
    return sorted(os.listdir(path.parent))


def test_a_file_of_v0_keeps_its_key_and_gets_another_beside_it(tmp_path: Path) -> None:
    path = made(tmp_path, "v0")
    before, old = path.read_bytes(), load(path)
    done = rotate(path)
    assert done.upgraded
    assert (done.old, done.kept) == (old, tmp_path / "log.key.1")
    assert load(path) == done.signers == [*old, done.signers[1]]
    assert path.read_text().startswith("zk-autograd/log-key/v1\nname: me\n")
    assert (tmp_path / "log.key.1").read_bytes() == before
    assert public_path(tmp_path / "log.key.1").read_text() == public_text(old)
    assert parse_keys(public_path(path).read_text()) == tuple(signer.public_key for signer in done.signers)


def test_a_file_of_v1_gets_two_new_keys_and_each_earlier_one_stays(tmp_path: Path) -> None:
    path = made(tmp_path, "v1")
    seen = [load(path)]
    for number in (1, 2, 3):
        done = rotate(path)
        assert not done.upgraded
        assert done.kept == tmp_path / f"log.key.{number}"
        seen.append(done.signers)
    assert load(path) == seen[-1]
    assert [load(tmp_path / f"log.key.{number}") for number in (1, 2, 3)] == seen[:-1]
    assert len({signer.seed for signers in seen for signer in signers}) == 8
    assert {signer.name for signers in seen for signer in signers} == {"me"}
    for file in tmp_path.iterdir():
        public = file.name.endswith(".pub")
        assert stat.S_IMODE(file.stat().st_mode) == (0o644 if public else 0o600)
        assert not public or file.read_text() == public_text(load(file.with_suffix("")))


@pytest.mark.parametrize("taken", ["log.key.1", "log.key.1.pub"])
def test_what_lies_there_is_never_overwritten(path: Path, taken: str) -> None:
    (path.parent / taken).write_text("mine")
    assert rotate(path).kept == path.parent / "log.key.2"
    assert (path.parent / taken).read_text() == "mine"


def crashing(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """The process dies after so many writes and renames."""
    left = after

    def dies(function: Callable[..., None]) -> Callable[..., None]:
        def maybe(*arguments: object) -> None:
            nonlocal left
            if left == 0:
                raise KeyboardInterrupt
            left -= 1
            function(*arguments)

        return maybe

    monkeypatch.setattr(secret_files, "write_new", dies(secret_files.write_new))
    monkeypatch.setattr(os, "replace", dies(os.replace))


@pytest.mark.parametrize("after", range(6))
def test_a_crash_at_any_write_loses_no_key_and_the_next_rotation_goes_on(
    path: Path, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = load(path)
    with monkeypatch.context() as context, pytest.raises(KeyboardInterrupt):
        crashing(context, after)
        rotate(path)
    found = load(path)
    renamed = after >= 4  # of its 6 writes and renames, the 4th puts the new file into place
    assert (found == old) is not renamed
    assert not renamed or load(path.parent / "log.key.1") == old
    assert public_path(path).read_text() == public_text(old)
    done = rotate(path)
    if renamed:  # the last write is made up for, and nothing else is done
        assert (done.signers, done.old, done.kept, done.upgraded) == (found, None, None, False)
        done = rotate(path)
        assert not done.upgraded
    assert done.old == found
    assert load(path) == done.signers
    assert public_path(path).read_text() == public_text(done.signers)
    kept = [load(file) for file in path.parent.glob("log.key.[0-9]")]
    assert old in kept
    assert found in kept


@pytest.mark.parametrize("earlier", [False, True])
def test_a_public_half_of_no_key_that_was_here_is_kept_and_nothing_is_said_to_be_rotated(
    path: Path, tmp_path: Path, earlier: bool
) -> None:
    """Whoever rotates a key that leaked must not be told that all is well while it stays."""
    if earlier:
        rotate(path)
    other = tmp_path / "other.key"
    create(other, "other")
    public_path(path).write_bytes(public_path(other).read_bytes())
    before = {name: (tmp_path / name).read_bytes() for name in names(path)}
    with pytest.raises(UsageError, match=r"log\.key\.pub is not the public half of .*nothing was rotated"):
        rotate(path)
    assert {name: (tmp_path / name).read_bytes() for name in names(path)} == before


def test_a_public_half_that_is_missing_is_written(path: Path) -> None:
    public_path(path).unlink()
    assert public_path(path).parent / "log.key.1" == rotate(path).kept
    assert public_path(path).read_text() == public_text(load(path))


def test_two_at_once_are_one(path: Path) -> None:
    before = path.read_bytes()
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="another process rotates"):
            rotate(path)
    assert (path.read_bytes(), names(path)) == (before, ["log.key", "log.key.pub"])


def test_one_that_waited_for_another_does_not_rotate_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between opening the file and locking it another process puts its own in place."""
    flock = fcntl.flock

    def late(descriptor: int, how: int) -> None:
        with monkeypatch.context() as context:
            context.setattr(fcntl, "flock", flock)
            rotate(path)
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with pytest.raises(UsageError, match="another process rotates"):
        rotate(path)
    assert names(path) == ["log.key", "log.key.1", "log.key.1.pub", "log.key.pub"]


def test_a_key_that_is_none_or_lies_behind_a_link_is_refused(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(path)
    with pytest.raises(UsageError, match="is a link"):
        rotate(link)
    with pytest.raises(UsageError, match="there is no log key"):
        rotate(tmp_path / "nowhere")
    path.chmod(0o644)
    with pytest.raises(UsageError, match="can be read by others"):
        rotate(path)
    assert names(path) == ["link", "log.key", "log.key.pub"]


def test_a_full_disk_leaves_the_old_key(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old: list[SeedSigner] = load(path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(secret_files, "write_new", full)
    with pytest.raises(StorageError, match=r"can't rotate the key .*No space left"):
        rotate(path)
    assert load(path) == old
    assert names(path) == ["log.key", "log.key.pub"]
