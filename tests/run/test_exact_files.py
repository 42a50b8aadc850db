"""The files of a run with exact gradients: written before the first record, and read as they were
written, or not at all."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.run.exact_run import CELLS, FEATURES, GRAPH, SECRET, TABLE, create, exact_files, exact_header
from tests.run.plain_run import create as create_plain
from tests.run.plain_run import resume
from tests.run.trainer import FailingFiles, TracedFiles
from zk_autograd.core.cells import encoded
from zk_autograd.core.errors import RunError, UsageError
from zk_autograd.core.graph.text import MAX_TEXT
from zk_autograd.core.graph.text import digest as graph_digest
from zk_autograd.core.record_bytes import to_bytes
from zk_autograd.core.records import PRIVATE, PUBLIC, Header, header_digest
from zk_autograd.run import exact_files as module
from zk_autograd.run.exact_files import ExactFiles
from zk_autograd.run.files import Files
from zk_autograd.run.layout import Layout

VISIBILITIES = (PRIVATE, PUBLIC)


def digest_of(header: Header) -> bytes:
    return header_digest(to_bytes(header))


def written(path: Path, visibility: str) -> tuple[Layout, Header]:
    """A run's folders with these files alone."""
    layout, header, files = Layout(path), exact_header(visibility=visibility), Files(lambda _: None)
    files.make_dir(path)
    files.make_private_dir(layout.private)
    exact_files(visibility).write(layout, header, digest_of(header), files)
    return layout, header


@pytest.mark.parametrize("visibility", VISIBILITIES)
def test_what_is_written_is_read(tmp_path: Path, visibility: str) -> None:
    layout, header = written(tmp_path / "run", visibility)
    found = ExactFiles.read(layout, header, digest_of(header))
    assert (found.graph, found.features) == (GRAPH, FEATURES)
    assert (found.secrets.salts, found.secrets.table) == ((SECRET,) if visibility == PRIVATE else (), TABLE)
    np.testing.assert_array_equal(found.cells, CELLS)
    assert layout.cells.exists() == (visibility == PUBLIC)
    assert layout.data.stat().st_mode & 0o777 == 0o600
    # Public data lie in the run once.
    assert (layout.data.stat().st_size > CELLS.nbytes) == (visibility == PRIVATE)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def alter(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def grow(path: Path) -> None:
    """Beyond all bounds; it takes no space on the disk."""
    os.truncate(path, 2**39)


DAMAGES: tuple[Callable[[Path], None], ...] = (Path.unlink, cut, alter, link, grow)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize(("name", "visibility"), [("graph", PRIVATE), ("cells", PUBLIC), ("data", PRIVATE)])
def test_a_damaged_file_is_named_in_one_sentence(
    tmp_path: Path, damage: Callable[[Path], None], name: str, visibility: str
) -> None:
    layout, header = written(tmp_path / "run", visibility)
    path: Path = getattr(layout, name)
    damage(path)
    with pytest.raises(RunError) as caught:
        ExactFiles.read(layout, header, digest_of(header))
    assert str(path) in str(caught.value) and "restore it from a copy" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_of_another_run_is_refused(tmp_path: Path) -> None:
    layout, header = written(tmp_path / "run", PRIVATE)
    with pytest.raises(RunError, match="it belongs to another run"):
        ExactFiles.read(layout, header, bytes(32))


def test_the_private_file_is_of_the_form_that_the_header_says(tmp_path: Path) -> None:
    """A file whose digests fit and that this package would not have written."""
    layout, header = written(tmp_path / "run", PRIVATE)
    assert header.exact is not None
    other = replace(header, exact=replace(header.exact, stride=1024))
    for wrong in (other, replace(header, data=replace(header.data, count=11))):
        with pytest.raises(RunError, match="not as many as the header says"):
            ExactFiles.read(layout, wrong, digest_of(header))
    public = exact_header(visibility=PUBLIC)
    layout.graph.parent.joinpath("data").mkdir()
    layout.cells.write_bytes(encoded(CELLS, FEATURES))
    with pytest.raises(RunError, match="not as many as the header says"):  # a salt of nothing
        ExactFiles.read(layout, public, digest_of(header))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"graph": GRAPH + b"constant 1\n"}, "not the one that the header names"),
        ({"cells": CELLS[1:]}, "not as many"),
        ({"cells": CELLS[:, 1:]}, "not as many"),
        ({"features": 2048}, "not as many"),
        ({"secrets": replace(exact_files().secrets, salts=())}, "not as many"),
        ({"secrets": replace(exact_files().secrets, salts=(SECRET, SECRET))}, "not as many"),
    ],
)
def test_files_of_another_header_begin_no_run(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        create(tmp_path / "run", exact=replace(exact_files(), **changes))
    assert not (tmp_path / "run").exists()


def test_what_could_not_be_read_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as small, pytest.raises(UsageError, match="too large to keep"):
        small.setattr(module, "MAX_SECRETS", 100)
        create(tmp_path / "run")
    graph = b"x" * (MAX_TEXT + 1)
    header = exact_header()
    assert header.exact is not None
    named = replace(header, exact=replace(header.exact, graph=graph_digest(graph)))
    with pytest.raises(UsageError, match="too large to keep"):
        create(tmp_path / "run", header=named, exact=replace(exact_files(), graph=graph))
    assert not (tmp_path / "run").exists()


def test_a_run_has_these_files_exactly_if_its_header_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="if, and only if, its header says that its gradients are exact"):
        create(tmp_path / "run", exact=None)
    with pytest.raises(UsageError, match="if, and only if, its header says that its gradients are exact"):
        create_plain(tmp_path / "run", exact=exact_files())
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("visibility", VISIBILITIES)
def test_a_disk_that_fails_at_one_of_them_leaves_nothing(tmp_path: Path, visibility: str) -> None:
    traced = TracedFiles(tmp_path / "whole")
    create(tmp_path / "whole", visibility=visibility, files=traced).abandon()
    own = {"write graph.txt #0", "write private/data #0"}
    if visibility == PUBLIC:
        own |= {"make_dir data #0", "write data/cells #0"}
    assert own <= set(traced.done)
    assert max(map(traced.done.index, own)) < traced.done.index("append log/records.jsonl #0")
    for write in own:
        for way in ("lost", "kept"):
            run = tmp_path / "run"
            with pytest.raises(RunError, match=f"failed and was {way}"):
                create(run, visibility=visibility, files=FailingFiles(run, write, way))
            assert not run.exists()


@pytest.mark.parametrize("damage", [Path.unlink, alter], ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("name", ["graph", "cells"])
def test_a_run_whose_public_files_were_lost_is_not_resumed(
    tmp_path: Path, name: str, damage: Callable[[Path], None]
) -> None:
    """It could be shown to nobody."""
    run = tmp_path / "run"
    create(run, visibility=PUBLIC).abandon()
    damage(getattr(Layout(run), name))
    with pytest.raises(RunError, match="is missing, or is not the one that the header names"):
        resume(run)
