"""Our tiles, read by another implementation: torchwood, in Go, on golang.org/x/mod/sumdb/tlog."""

import base64
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.evidence.servers import served
from tests.register.registers import KEYS, ORIGIN, entries, filled
from zk_autograd.core.merkle import leaf_hash, root
from zk_autograd.core.register import renamed
from zk_autograd.register.publishing import publish

MODULE = Path(__file__).with_name("tile_reader")


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program; Go fetches what it imports."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("there is no Go, which builds the other reader of tiles")
    program = tmp_path_factory.mktemp("reader") / "tilereader"
    built = subprocess.run(
        [go, "build", "-mod=readonly", "-o", str(program), "."], cwd=MODULE, capture_output=True, text=True, check=False
    )
    if built.returncode:
        pytest.skip(f"the other reader of tiles can't be built here: {built.stderr.strip()[-300:]}")
    return program


def read(reader: Path, url: str, *earlier: str) -> "subprocess.CompletedProcess[str]":
    (key, *_) = renamed(KEYS, ORIGIN)
    return subprocess.run([reader, f"{url}/", key.encode(), *earlier], capture_output=True, text=True, check=False)


@pytest.mark.long
@pytest.mark.parametrize("size", [1, 255, 256, 257, 700])
def test_another_implementation_reads_them(reader: Path, tmp_path: Path, size: int) -> None:
    with filled(tmp_path / "register", size) as register:
        publish(register, tmp_path / "public")
    earlier = [leaf_hash(one.encode()) for one in entries(-(-size // 2))]
    claim = (str(len(earlier)), base64.b64encode(root(earlier)).decode())
    with served(tmp_path / "public") as held:
        done = read(reader, held.url, *claim)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == [one.encode().decode() for one in entries(size)]
        other = (claim[0], base64.b64encode(root(earlier[:-1] or [bytes(32)])).decode())
        assert read(reader, held.url, *other).returncode, "an earlier checkpoint that the log doesn't begin with"


@pytest.mark.long
@pytest.mark.parametrize("tile", ["tile/0/001.p/44", "tile/entries/000", "checkpoint"])
def test_another_implementation_notices_what_is_altered(reader: Path, tmp_path: Path, tile: str) -> None:
    with filled(tmp_path / "register", 300) as register:
        publish(register, tmp_path / "public")
    data = bytearray((tmp_path / "public" / tile).read_bytes())
    data[90] ^= 1
    (tmp_path / "public" / tile).write_bytes(data)
    with served(tmp_path / "public") as held:
        assert read(reader, held.url).returncode
