"""How a stranger's run is judged in the tests: whatever is in it, an auditor gets a report of one
form, and never a traceback."""

import json
import os
import shutil
import signal
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.verify.run_builder import KEY, SIGNER, Run
from zk_autograd.cli.verify import main
from zk_autograd.core.merkle import leaf_hash, root
from zk_autograd.core.note import checkpoint_text, sign

VKEY = KEY.encode()
FLAGS = ("--key", VKEY, "--require", "L0")
SHOWN, FAILED, USAGE, LESS, UNJUDGED = 0, 1, 2, 3, 4
PATIENCE = 120
"""Seconds after which a verification counts as one that waits for ever."""


def put(folder: Path, leaves: Sequence[bytes], origin: str) -> Path:
    """The records as they are, under a checkpoint that the trainer's own key signed: the trainer is
    the one who cheats."""
    (folder / "log/records.jsonl").write_bytes(b"".join(leaf + b"\n" for leaf in leaves))
    head = root([leaf_hash(leaf) for leaf in leaves])
    (folder / "log/checkpoint").write_bytes(sign(checkpoint_text(origin, len(leaves), head), [SIGNER]))
    return folder


def written(run: Run, folder: Path, leaves: Sequence[bytes]) -> Path:
    """The run with these leaves in the place of its own."""
    return put(run.write(folder), leaves, run.header.origin)


def said(capsys: pytest.CaptureFixture[str], target: Path | str, *flags: str) -> tuple[int, dict[str, Any]]:
    """The exit status of zk-verify, and its JSON. Both forms of the report are asked for, and must
    agree and obey nobody."""
    capsys.readouterr()
    with soon():
        status = main([str(target), *(flags or FLAGS), "--json"])
    output, errors = capsys.readouterr()
    assert "Traceback" not in errors
    assert output.isascii()
    value = json.loads(output)
    with soon():
        assert main([str(target), *(flags or FLAGS)]) == status
    text, errors = capsys.readouterr()
    assert "Traceback" not in errors
    assert all(c.isprintable() for line in (text + errors).split("\n") for c in line)
    if "error" in value:
        assert value["error"]["exit_status"] == status
        assert value["error"]["kind"] != "InternalError"
        return status, value
    assert value["exit_status"] == status
    assert f"verdict: {value['verdict']}\n" in text
    if value["failure"] is not None:
        assert (value["verdict"], value["levels"]) == ("FAILED", [])
        assert status not in (SHOWN, LESS)
    return status, value


def step_of(report: dict[str, Any]) -> int:
    """The step that a report failed in, 0 if it didn't."""
    return 0 if report.get("failure") is None else int(report["failure"]["step"])


@contextmanager
def soon() -> Iterator[None]:
    """Fails if the block waits for ever."""

    def late(*_: object) -> None:
        raise TimeoutError(f"nothing came of it within {PATIENCE} seconds")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(PATIENCE)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def within(size: int) -> Iterator[None]:
    """Fails if the block takes more than `size` bytes of memory at once."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < size
    finally:
        tracemalloc.stop()


def sparse(path: Path, size: int) -> None:
    """A file of `size` zeros that takes no room on disk."""
    path.unlink(missing_ok=True)
    path.touch()
    os.truncate(path, size)


def link(path: Path) -> None:
    """A link to a copy, so that all else is right."""
    elsewhere = path.parent.parent.parent / f"elsewhere-{path.name}"
    shutil.move(path, elsewhere)
    path.symlink_to(elsewhere)


def device(path: Path) -> None:
    """A device that never ends; skips where none can be made."""
    path.unlink()
    try:
        os.mknod(path, 0o644 | 0o020000, os.makedev(1, 5))
    except OSError as error:
        pytest.skip(f"no device can be made here: {error}")


def pipe(path: Path) -> None:
    """A pipe that nobody writes to."""
    path.unlink()
    os.mkfifo(path)


def folder(path: Path) -> None:
    """A folder."""
    path.unlink()
    path.mkdir()


def nowhere(path: Path) -> None:
    """A link to nothing."""
    path.unlink()
    path.symlink_to(path.parent / "nowhere")


def huge(path: Path) -> None:
    """2^40 bytes that take no room."""
    sparse(path, 2**40)


IN_ITS_PLACE: dict[str, Callable[[Path], None]] = {
    "nothing": Path.unlink,
    "a pipe": pipe,
    "a link": link,
    "a link to nothing": nowhere,
    "a folder": folder,
    "a device": device,
    "2^40 bytes": huge,
}
"""What may stand in the place of a file."""
