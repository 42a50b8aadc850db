"""A published register, read from a folder and from a server, honest and hostile."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.evidence.servers import served
from tests.register.registers import entries, filled
from zk_autograd.core.errors import UnreadableError, UsageError, VerificationError
from zk_autograd.core.merkle import EMPTY_ROOT
from zk_autograd.core.note import checkpoint_text
from zk_autograd.evidence.tiles import MAX_BUNDLE, open_tiles
from zk_autograd.register.publishing import publish

LEAVES = [one.encode() for one in entries(300)]


@pytest.fixture
def public(tmp_path: Path) -> Path:
    """300 entries: a full tile, and a partial one."""
    with filled(tmp_path / "register", 300) as register:
        publish(register, tmp_path / "public")
    return tmp_path / "public"


@pytest.fixture(params=["folder", "server"])
def where(request: pytest.FixtureRequest, public: Path) -> Iterator[str]:
    """The register's folder, or its URL."""
    if request.param == "folder":
        yield str(public)
        return
    with served(public) as held:
        yield f"{held.url}/"


def leaves(where: str | Path, limit: int = 2**30) -> list[bytes]:
    tiles = open_tiles(where)
    assert tiles is not None
    with tiles:
        return tiles.leaves(limit)


def test_checkpoint_and_entries(where: str, public: Path) -> None:
    tiles = open_tiles(where)
    assert tiles is not None
    with tiles:
        assert tiles.checkpoint() == (public / "checkpoint").read_bytes()
        assert tiles.leaves(2**30) == LEAVES


def test_a_partial_tile_that_is_gone_is_taken_from_the_full_one(where: str, public: Path) -> None:
    """The trainer published more since this checkpoint was read."""
    old = (public / "checkpoint").read_bytes()
    with filled(public.parent / "more", 520) as register:
        publish(register, public)
    (public / "checkpoint").write_bytes(old)
    assert not (public / "tile/entries/001.p/44").exists()
    assert leaves(where) == LEAVES


@pytest.mark.parametrize("gone", ["tile/entries/000", "tile/entries/001.p/44"])
def test_a_missing_tile(where: str, public: Path, gone: str) -> None:
    (public / gone).unlink()
    with pytest.raises(VerificationError, match="has no tile/entries/"):
        leaves(where)


@pytest.mark.parametrize("data", [b"", b"\x00", bytes(600), b"\xff" * MAX_BUNDLE, bytes(MAX_BUNDLE + 1)])
def test_a_malformed_tile(where: str, public: Path, data: bytes) -> None:
    (public / "tile/entries/000").write_bytes(data)
    with pytest.raises(VerificationError, match=r"is not 256 entries|is too large"):
        leaves(where)


def test_bounds(where: str, public: Path) -> None:
    with pytest.raises(VerificationError, match="too large"):
        leaves(where, limit=1000)
    note = (public / "checkpoint").read_bytes()
    signatures = note.partition(b"\n\n")[2]
    text = checkpoint_text("zk-autograd/register/" + "00" * 32, 2**60, EMPTY_ROOT)
    (public / "checkpoint").write_bytes(text.encode() + b"\n" + signatures)
    with pytest.raises(VerificationError, match="too many entries"):
        leaves(where)
    (public / "checkpoint").write_bytes(bytes(70_000))
    tiles = open_tiles(where)
    assert tiles is not None, "to be judged, and refused"
    with tiles, pytest.raises(VerificationError, match="too large"):
        tiles.checkpoint()


def test_none_there(where: str, public: Path) -> None:
    (public / "checkpoint").unlink()
    assert open_tiles(where) is None


def test_links_are_not_followed(public: Path) -> None:
    (public / "tile/entries/000").rename(public / "elsewhere")
    (public / "tile/entries/000").symlink_to(public / "elsewhere")
    with pytest.raises(VerificationError, match="links are not followed"):
        leaves(public)
    (public / "tile/entries").rename(public / "moved")
    (public / "tile/entries").symlink_to(public / "moved")
    with pytest.raises(VerificationError, match="can't be read"):
        leaves(public)


def test_wrong_places(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no register"):
        open_tiles(tmp_path / "none")
    with pytest.raises(UsageError, match="ends in a slash"):
        open_tiles("http://127.0.0.1:1/register")
    with pytest.raises(UnreadableError, match="nobody listens there"):
        open_tiles("http://127.0.0.1:1/register/")


def test_a_server_that_answers_otherwise(public: Path) -> None:
    lies = {"/tile/entries/000": lambda handler, data: handler.answer(503, b"later")}
    with served(public, lies=lies) as held, pytest.raises(UnreadableError, match="answers 503"):
        leaves(f"{held.url}/")
