"""Who may read what a trainer writes: nothing private is open to others for a moment, however
careless the trainer's umask is."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.run.trainer import SIGNER, FaultyProver, TracedFiles, first_weights, make_header, train
from tests.train.test_plan import PLAN
from zk_autograd.core.errors import UsageError
from zk_autograd.credentials.keyfile import create as create_key
from zk_autograd.credentials.keyfile import load, public_path
from zk_autograd.prove.protocol import Backend
from zk_autograd.run.writer import RunWriter

STAGED = ("proof-", ".proof-")


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    try:
        yield request.param
    finally:
        os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def check_private(run: Path) -> int:
    """The number of files, all of them closed to others."""
    private = run / "private"
    assert mode(private) == 0o700
    files = 0
    for path in private.rglob("*"):
        if path.name.startswith(STAGED):  # on its way to the public part, where it gets its name
            continue
        try:
            status = path.lstat()
        except FileNotFoundError:  # the proving thread renamed it meanwhile
            continue
        folder = stat.S_ISDIR(status.st_mode)
        assert stat.S_IMODE(status.st_mode) == (0o700 if folder else 0o600), path
        files += not folder
    return files


class Watching(TracedFiles):
    """Looks at the modes after each write, and while each file is written under its temporary
    name."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.looked = 0

    def act(self, name: str, path: Path, data: bytes, write: object) -> None:
        assert callable(write)
        write()
        if (self._root / "private").exists():
            self.looked += check_private(self._root)


def test_private_files_are_closed_whatever_the_umask_is(tmp_path: Path, umask: int) -> None:
    run = tmp_path / "run"
    backend: Backend = FaultyProver()
    files = Watching(run)
    writer = RunWriter.create(run, make_header(backend), backend, [SIGNER], first_weights(), files=files)
    PLAN.write(run)
    assert mode(run / "private/train.json") == 0o600
    train(writer, 3)
    writer.abandon()
    assert check_private(run) > 3
    writer = RunWriter.resume(run, lambda _: backend, [SIGNER], files=files)
    train(writer, 5)
    writer.close({"weights": b"w"})
    assert files.looked > 50
    assert check_private(run) > 1
    for name in ("log/records.jsonl", "log/checkpoint", "proofs/0-0", "model/weights"):
        assert mode(run / name) == 0o644 & ~umask
    for folder in ("", "log", "proofs", "model"):
        assert mode(run / folder) == 0o777 & ~umask


def test_a_key_is_its_owners_whatever_the_umask_is(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "new" / "log.key"
    signers = create_key(path, "me")
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)
    assert mode(public_path(path)) == 0o644 & ~umask
    assert load(path) == signers


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o620, 0o602, 0o666, 0o777, 0o610])
def test_a_key_that_others_can_reach_is_refused(tmp_path: Path, bits: int) -> None:
    path = tmp_path / "log.key"
    create_key(path, "me")
    path.chmod(bits)
    with pytest.raises(UsageError):
        load(path)
