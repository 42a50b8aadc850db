"""A stranger's bundle: one form is taken, whatever else an archive can hold is refused by step 1,
and no length that lies costs anything."""

import bz2
import gzip
import io
import lzma
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.evidence.bundles import SMALL, contents, judged, opened, packed
from tests.verify.run_builder import Run, honest
from zk_autograd.core.errors import UsageError, VerificationError
from zk_autograd.evidence import bundle
from zk_autograd.evidence.bundle import BLOCK, END, Bundle, header, padding
from zk_autograd.evidence.opening import open_run
from zk_autograd.run.files import Files
from zk_autograd.run.packing import pack
from zk_autograd.verify.outcome import Step


@pytest.fixture(scope="module")
def run() -> Run:
    return honest("none")


def signed(block: bytes) -> bytes:
    """A header with a checksum that agrees, and with the device of a file, which some versions of
    Python leave out."""
    block = block[:329] + b"0000000\0" * 2 + block[345:]
    block = block[:148] + b" " * 8 + block[156:]
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def made(member: tarfile.TarInfo, data: bytes = b"", form: int = tarfile.USTAR_FORMAT) -> bytes:
    """An archive as a tar writer makes it, with two blocks of zeros at its end."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=form) as archive:
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
        end = archive.offset
    found = raw.getvalue()[:end]
    return signed(found[:BLOCK]) + found[BLOCK:] + END


def special(name: str, kind: bytes, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member


def altered(place: slice, value: bytes, name: str = "log/checkpoint") -> bytes:
    """A bundle, one header of which has another field, with a checksum that agrees."""
    data = packed(SMALL)
    start = sum(BLOCK + len(d) + padding(len(d)) for n, d in SMALL.items() if n < name)
    block = bytearray(data[start : start + BLOCK])
    assert block[: len(name)] == name.encode()
    block[place] = value
    return data[:start] + signed(bytes(block)) + data[start + BLOCK :]


NO_BUNDLE: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "it is empty"),
    "short": (packed(SMALL)[:511], "it is too short"),
    "text": (b"root:x:0:0\n" * 200, "it is not a tar archive"),
    "table": (b"a,b\n" + b"1,2\n" * 200, "it is not a tar archive"),
    "zip": (b"PK\3\4" + bytes(2000), "it is a zip archive: unpack it with unzip"),
    "gzip": (gzip.compress(packed(SMALL)), "it is gzip-compressed: unpack it with gunzip"),
    "bzip2": (bz2.compress(packed(SMALL)), "it is bzip2-compressed"),
    "xz": (lzma.compress(packed(SMALL)), "it is xz-compressed"),
    "private": (made(tarfile.TarInfo("private/header"), b"secret"), "begins with a file that no bundle has"),
    "traversal": (
        made(tarfile.TarInfo("proofs/../private/header"), b"secret"),
        "begins with a file that no bundle has",
    ),
    "absolute": (made(tarfile.TarInfo("/etc/passwd"), b"x"), "begins with a file that no bundle has"),
    "file of no run": (made(tarfile.TarInfo("notes.txt"), b"x"), "begins with a file that no bundle has"),
    "dot": (made(tarfile.TarInfo("./log/checkpoint"), b"x"), "begins with a file that no bundle has"),
    "hidden": (made(tarfile.TarInfo("model/.hidden"), b"x"), "begins with a file that no bundle has"),
    "leading zero": (made(tarfile.TarInfo("proofs/00-1"), b"x"), "begins with a file that no bundle has"),
    "name of bytes": (made(tarfile.TarInfo("a\x1b[2Jb"), b"x"), "begins with a file that no bundle has"),
    "pax path": (
        made(tarfile.TarInfo("m" * 200), b"x", form=tarfile.PAX_FORMAT),
        "begins with a file that no bundle has",
    ),
}
"""Files that don't begin as a bundle does: nothing is judged."""


@pytest.mark.parametrize("kind", NO_BUNDLE)
def test_what_does_not_begin_as_a_bundle_is_none_and_is_not_judged(tmp_path: Path, kind: str) -> None:
    data, words = NO_BUNDLE[kind]
    (tmp_path / "b.tar").write_bytes(data)
    with pytest.raises(UsageError, match="is neither a run nor a bundle") as caught:
        open_run(tmp_path / "b.tar")
    assert words in str(caught.value)
    assert str(caught.value).isprintable()


def second(archive: bytes) -> bytes:
    """The archive's files after one that a bundle may begin with."""
    return packed({"config.toml": b"x"})[: -len(END)] + archive


HOSTILE: dict[str, bytes] = {
    "zeros that don't end": packed({}) + bytes(8192),
    "one block of zeros": packed(SMALL)[:-BLOCK],
    "no end": packed(SMALL)[: -2 * BLOCK],
    "byte too few": packed(SMALL)[:-1],
    "byte too many": packed(SMALL) + b"\0",
    "trailing bundle": packed(SMALL) * 2,
    "trailing text": packed(SMALL) + b"trailer",
    "padded as by GNU tar": packed(SMALL) + bytes(10240 - len(packed(SMALL)) % 10240),
    "duplicate": packed({"log/checkpoint": b"a"})[: -len(END)] + packed({"log/checkpoint": b"b"}),
    "out of order": packed(dict(reversed(SMALL.items()))),
    "something in the padding": packed(SMALL)[: 2 * BLOCK - 1] + b"x" + packed(SMALL)[2 * BLOCK :],
    "private": second(made(tarfile.TarInfo("private/header"), b"secret")),
    "traversal": second(made(tarfile.TarInfo("proofs/../private/header"), b"secret")),
    "absolute": second(made(tarfile.TarInfo("/etc/passwd"), b"x")),
    "file of no run": second(made(tarfile.TarInfo("notes.txt"), b"x")),
    "folder of no run": second(made(tarfile.TarInfo("logs/checkpoint"), b"x")),
    "hidden": second(made(tarfile.TarInfo("model/.hidden"), b"x")),
    "dot": second(made(tarfile.TarInfo("./log/checkpoint"), b"x")),
    "leading zero": second(made(tarfile.TarInfo("proofs/00-1"), b"x")),
    "name of bytes": altered(slice(0, 14), b"log/checkpoin\xff"),
    "symbolic link": made(special("log/checkpoint", tarfile.SYMTYPE, "/etc/passwd"), b""),
    "hard link": made(special("proofs/0-1", tarfile.LNKTYPE, "proofs/0-0"), b""),
    "device": made(special("log/checkpoint", tarfile.CHRTYPE), b""),
    "pipe": made(special("log/checkpoint", tarfile.FIFOTYPE), b""),
    "folder": second(made(special("log", tarfile.DIRTYPE), b"")),
    "old regular file": altered(slice(156, 157), b"\0"),
    "contiguous file": altered(slice(156, 157), b"7"),
    "sparse": altered(slice(156, 157), b"S"),
    "GNU long name": altered(slice(156, 157), b"L"),
    "pax header": altered(slice(156, 157), b"x"),
    "pax global header": altered(slice(156, 157), b"g"),
    "pax path": second(made(tarfile.TarInfo("m" * 200), b"x", form=tarfile.PAX_FORMAT)),
    "GNU magic": altered(slice(257, 265), b"ustar  \0"),
    "no magic": altered(slice(257, 265), bytes(8)),
    "mode": altered(slice(100, 108), b"0000777\0"),
    "owner": altered(slice(108, 116), b"0001750\0"),
    "owner's name": altered(slice(265, 269), b"root"),
    "time": altered(slice(136, 148), b"00000000001\0"),
    "size with a space": altered(slice(124, 136), b"         04\0"),
    "size of base 256": altered(slice(124, 136), b"\x80" + bytes(10) + b"\4"),
    "size beyond the end": altered(slice(124, 136), b"77777777777\0"),
    "size too small": altered(slice(124, 136), b"00000000777\0", "proofs/0-0"),
    "negative size": altered(slice(124, 136), b"-0000000004\0"),
    "name in the prefix": altered(slice(345, 348), b"log"),
    "after the name": altered(slice(50, 51), b"x"),
    "reserved": altered(slice(511, 512), b"x"),
    "checksum": packed(SMALL)[:148] + b"000000\0 " + packed(SMALL)[156:],
}


def test_what_the_attacks_are_made_from_is_taken(tmp_path: Path) -> None:
    for data in (altered(slice(0, 1), b"l"), made(tarfile.TarInfo("log/checkpoint"), b"note")):
        with opened(tmp_path / "b.tar", data) as reader:
            assert reader.checkpoint() == b"note"


@pytest.mark.parametrize("attack", HOSTILE)
def test_step_1_refuses_a_hostile_bundle(tmp_path: Path, attack: str) -> None:
    report = judged(tmp_path / "b.tar", HOSTILE[attack])
    assert report.failure is not None
    assert report.failure.step == Step.PARSE
    assert "bundle" in report.failure.message
    with opened(tmp_path / "b.tar", HOSTILE[attack]) as reader, pytest.raises(VerificationError, match="bundle"):
        reader.names()


def test_a_bundle_of_too_many_files_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "MAX_MEMBERS", len(SMALL) - 1)
    with opened(tmp_path / "b.tar", packed(SMALL)) as reader, pytest.raises(VerificationError, match="too many files"):
        reader.names()


def test_a_size_that_lies_makes_nothing_be_read_or_allocated(tmp_path: Path) -> None:
    # 8 GiB in a file of 2 KiB, and a file of 8 GiB that has no bytes: the second is read by its
    # header alone.
    with (
        opened(tmp_path / "b.tar", header("log/checkpoint", bundle.MAX_MEMBER) + END) as reader,
        pytest.raises(VerificationError, match="ends early"),
    ):
        reader.checkpoint()
    path = tmp_path / "sparse.tar"
    with path.open("wb") as file:
        file.write(header("log/checkpoint", bundle.MAX_MEMBER))
        file.truncate(BLOCK + bundle.MAX_MEMBER + 1 + len(END))
    with Bundle(path) as reader, pytest.raises(VerificationError, match="is too large"):
        reader.checkpoint()


EDITS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.integers(0, 2**13), st.binary(min_size=1, max_size=12)),
        st.tuples(st.just("cut"), st.integers(0, 2**13), st.integers(1, 1100)),
        st.tuples(st.just("put"), st.integers(0, 2**13), st.binary(max_size=600)),
        st.tuples(st.just("double"), st.integers(0, 16), st.integers(1, 4)),
    ),
    max_size=4,
)


@given(st.sampled_from([SMALL, dict(list(SMALL.items())[1:3])]), EDITS, st.booleans())
def test_what_is_taken_is_in_the_one_form(
    files: dict[str, bytes], edits: list[tuple[str, int, object]], sign: bool
) -> None:
    data = bytearray(packed(files))
    for kind, place, what in edits:
        at = place % (len(data) + 1)
        if kind == "set" and isinstance(what, bytes):
            data[at : at + len(what)] = what
        elif kind == "cut" and isinstance(what, int):
            del data[at : at + what]
        elif kind == "put" and isinstance(what, bytes):
            data[at:at] = what
        elif isinstance(what, int):
            block = slice(BLOCK * at, BLOCK * (at + what))
            data[block.start : block.start] = data[block]
        if sign and len(data) >= BLOCK:  # the header before the edit gets a checksum that agrees
            start = min(at // BLOCK, len(data) // BLOCK - 1) * BLOCK
            data[start + 148 : start + 156] = b" " * 8
            data[start + 148 : start + 156] = b"%06o\0 " % sum(data[start : start + BLOCK])
    fd = os.memfd_create("bundle")
    try:
        os.write(fd, data)
        try:
            with Bundle(Path(f"/proc/self/fd/{fd}")) as reader:
                found = contents(reader)
        except (VerificationError, UsageError):
            assert bytes(data) != packed(files)
        else:
            assert packed(found) == bytes(data)
    finally:
        os.close(fd)


def test_one_byte_of_a_bundle_is_not_overlooked(tmp_path: Path, run: Run) -> None:
    folder = run.write(tmp_path / "run")
    pack(folder, tmp_path / "b.tar", Files(), lambda what, done, total: None)
    data = (tmp_path / "b.tar").read_bytes()
    for place in range(0, len(data), 211):
        changed = bytearray(data)
        changed[place] ^= 1
        try:
            assert judged(tmp_path / "changed.tar", bytes(changed)).failure is not None, place
        except UsageError:
            assert place < BLOCK
