"""The public files of a run with exact gradients: graph.txt, and data/cells if the data are public;
what else lies under those names is nobody's."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.evidence.servers import served
from tests.run.exact_run import CELLS, FEATURES, GRAPH, SECRET, create
from tests.run.plain_run import create as create_plain
from zk_autograd.core.cells import encoded, largest_file
from zk_autograd.core.errors import RunError, VerificationError
from zk_autograd.core.record_bytes import parse_log
from zk_autograd.core.records import PRIVATE, PUBLIC
from zk_autograd.evidence.beside import Beside, Kind, beside
from zk_autograd.evidence.bundle import Bundle
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.evidence.remote import open_url
from zk_autograd.run.files import Files
from zk_autograd.run.packing import pack

VISIBILITIES = (PRIVATE, PUBLIC)
CONTENT = encoded(CELLS, FEATURES)


def finished(path: Path, visibility: str) -> Path:
    create(path, visibility=visibility).close()
    return path


def packed(run: Path) -> Path:
    out = run.with_name("b.tar")
    pack(run, out, Files(), lambda *_: None)
    return out


def names(bundle: Path) -> list[str]:
    with Bundle(bundle) as reader:
        return list(reader.names())


def beside_of(run: Path) -> list[Beside]:
    with RunFolder(run) as files:
        return sorted(beside(files, parse_log(files.leaves())), key=lambda found: found.path)


@pytest.mark.parametrize("visibility", VISIBILITIES)
def test_a_bundle_has_what_the_header_names_and_nothing_private(tmp_path: Path, visibility: str) -> None:
    run = finished(tmp_path / "run", visibility)
    bundle = packed(run)
    public = ["data/cells"] if visibility == PUBLIC else []
    assert names(bundle) == [*public, "graph.txt", "log/checkpoint", "log/records.jsonl"]
    assert (CELLS.tobytes() in bundle.read_bytes()) == (visibility == PUBLIC)
    kept = (run / "private/data").read_bytes()
    assert (SECRET.hex().encode() in kept) == (CELLS.tobytes() in kept) == (visibility == PRIVATE)
    for secret in (SECRET, SECRET.hex().encode(), b"table.csv"):
        assert secret not in bundle.read_bytes()


@pytest.mark.parametrize("visibility", VISIBILITIES)
def test_they_are_read_from_a_folder_a_bundle_and_a_server(tmp_path: Path, visibility: str) -> None:
    run = finished(tmp_path / "run", visibility)
    bundle = packed(run)
    with served(tmp_path) as server:
        folder, archive = open_url(f"{server.url}/run/"), open_url(f"{server.url}/b.tar")
        for reader in (RunFolder(run), Bundle(bundle), folder, archive):
            with reader as files:
                assert files.graph() == GRAPH
                if visibility == PUBLIC:
                    assert files.cells() == files.cells(largest_file(*CELLS.shape)) == CONTENT
                    with pytest.raises(VerificationError, match="is too large"):
                        files.cells(len(CONTENT) - 1)
                else:
                    with pytest.raises(VerificationError, match="data"):
                        files.cells()


@pytest.mark.parametrize("visibility", VISIBILITIES)
def test_nothing_lies_beside_them(tmp_path: Path, visibility: str) -> None:
    assert beside_of(finished(tmp_path / "run", visibility)) == []


def test_in_a_run_without_exact_gradients_they_are_nobodys(tmp_path: Path) -> None:
    run = tmp_path / "run"
    writer = create_plain(run)
    (run / "graph.txt").write_bytes(GRAPH)
    (run / "data").mkdir()
    (run / "data/cells").write_bytes(CONTENT)
    expected = [Beside("data/cells", Kind.FOREIGN), Beside("graph.txt", Kind.FOREIGN)]
    assert beside_of(run) == expected  # of an unfinished run, too: none leaves them
    writer.close()
    assert beside_of(run) == expected
    assert names(packed(run)) == ["log/checkpoint", "log/records.jsonl"]


def test_beside_private_data_no_other_data_lie(tmp_path: Path) -> None:
    run = finished(tmp_path / "run", PRIVATE)
    (run / "data").mkdir()
    (run / "data/cells").write_bytes(CONTENT)
    (run / "Graph.txt").write_bytes(GRAPH)
    (run / "graph.txt ").write_bytes(GRAPH)
    assert beside_of(run) == [
        Beside("Graph.txt", Kind.FOREIGN, "graph.txt"),
        Beside("data/cells", Kind.FOREIGN),
        Beside("graph.txt ", Kind.FOREIGN, "graph.txt"),
    ]
    assert "data/cells" not in names(packed(run))


def test_beside_public_data_another_file_of_data_is_seen(tmp_path: Path) -> None:
    run = finished(tmp_path / "run", PUBLIC)
    (run / "data/cells.npy").write_bytes(b"other")
    (run / "data/CELLS").write_bytes(b"other")
    assert beside_of(run) == [
        Beside("data/CELLS", Kind.FOREIGN, "cells"),
        Beside("data/cells.npy", Kind.FOREIGN),
    ]


def link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def alter(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"x")


def grow(path: Path) -> None:
    os.truncate(path, 2**37)


@pytest.mark.parametrize("damage", [Path.unlink, alter, link, grow], ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("name", ["graph.txt", "data/cells"])
def test_a_run_without_them_or_with_others_is_not_packed(
    tmp_path: Path, name: str, damage: Callable[[Path], None]
) -> None:
    run = finished(tmp_path / "run", PUBLIC)
    damage(run / name)
    with pytest.raises(RunError, match=f"can't be packed: .*{Path(name).name}"):
        packed(run)
    assert not (tmp_path / "b.tar").exists()
