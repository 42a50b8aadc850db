"""Beginning a run: what is refused leaves nothing behind, and touches nothing that was there."""

import os
import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.run.plain_run import create
from tests.run.trainer import (
    BLOCK,
    SIGNER,
    SIZE,
    STEPS,
    FailingFiles,
    FaultyProver,
    first_weights,
    hashed_backend,
    make_header,
    train,
)
from zk_autograd.core.errors import RangeError, RunError, UsageError
from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.core.records import Group
from zk_autograd.prove.hashed.backend import HashedBackend
from zk_autograd.run.writer import RunWriter

OTHER = Ed25519Signer("other", bytes(32))


@pytest.mark.parametrize("kind", ["folder", "empty", "file", "link"])
def test_nothing_that_exists_is_touched(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "run"
    if kind == "file":
        path.write_bytes(b"precious")
    elif kind == "link":
        path.symlink_to("nowhere")
    else:
        path.mkdir()
        if kind == "folder":
            (path / "precious").touch()
    with pytest.raises(RunError, match=r"run already exists; choose another place, or resume"):
        create(path)
    assert path.is_symlink() or path.is_file() or [p.name for p in path.iterdir()] == ["precious"] * (kind == "folder")


def test_arguments_that_no_run_can_have_are_refused_before_anything_is_made(tmp_path: Path) -> None:
    path = tmp_path / "run"
    backend = hashed_backend()
    header = make_header(backend)
    bad_rate = Group((("lr", "1"), *header.groups[0].hyper[1:]), 0)
    with pytest.raises(UsageError, match="is not one of this run's"):
        create(path, signers=[OTHER])
    with pytest.raises(UsageError, match="is missing: every checkpoint is signed with all"):
        create(path, header=replace(header, keys=(*header.keys, OTHER.public_key.encode())))
    with pytest.raises(RunError, match=r"this header can't be recorded: .*beta1"):
        create(
            path,
            header=replace(header, groups=(Group((*bad_rate.hyper[:1], ("beta1", "1"), *bad_rate.hyper[2:]), 0),) * 2),
        )
    with pytest.raises(RunError, match="this header can't be recorded: the manifest"):
        create(path, header=replace(header, size=SIZE + 1))
    with pytest.raises(RunError, match="the run's prover is"):
        create(path, HashedBackend(BLOCK + 1, STEPS), header=header)
    with pytest.raises(UsageError, match="weights have shape"):
        RunWriter.create(path, header, backend, [SIGNER], first_weights()[1:])
    with pytest.raises(RangeError, match=r"weight of a.bias\[0\]"):
        RunWriter.create(path, header, backend, [SIGNER], np.where(np.arange(SIZE) == 6, 2**45, 0))
    assert not path.exists()


def test_a_failed_creation_leaves_nothing_open(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for write in ("write private/header #0", "append log/records.jsonl #1"):
        with pytest.raises(RunError, match="was lost"):
            create(tmp_path / "run", files=FailingFiles(tmp_path / "run", write, "lost"))
    assert len(os.listdir("/proc/self/fd")) == before


def test_private_files_are_closed_to_others_and_public_ones_are_not(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        writer = create(tmp_path / "run", FaultyProver())
        train(writer, 3)
        writer.close({"weights": b"w"})
    finally:
        os.umask(before)
    run = tmp_path / "run"
    for path in (run / "private").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    assert stat.S_IMODE((run / "private").stat().st_mode) == 0o700
    for name in ("log/records.jsonl", "log/checkpoint", "proofs/0-0", "model/weights"):
        assert stat.S_IMODE((run / name).stat().st_mode) == 0o644
