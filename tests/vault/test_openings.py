"""Openings that are sealed for an auditor: whole and for them, or nothing."""

import errno
import io
import os
import resource
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from zk_autograd.core.errors import StorageError, UsageError
from zk_autograd.vault.errors import VaultError
from zk_autograd.vault.holder.recipient import RecipientKey
from zk_autograd.vault.openings import MAGIC, MAX_HEAD, OpeningsContext, opened, seal
from zk_autograd.vault.seal import sealed_size

KEY = RecipientKey(bytes(range(32)))
OTHER = RecipientKey(bytes(range(1, 33)))
RUN, ROOT = b"r" * 32, b"o" * 32
TEXT = [b"weights, " * 4000, b"", b"gradients"]


def sealed_at(path: Path, *, run: bytes = RUN, size: int = 9, text: list[bytes] = TEXT) -> bytes:
    seal(text, path, KEY.recipient, run=run, root=ROOT, size=size)
    return path.read_bytes()


def read(path: Path, key: RecipientKey = KEY, run: bytes | None = None) -> bytes:
    with opened(path, key, run) as file:
        return file.read()


def test_what_is_sealed_opens_for_its_recipient(tmp_path: Path) -> None:
    path = tmp_path / "answer"
    made = seal(iter(TEXT), path, KEY.recipient, run=RUN, root=ROOT, size=9)
    assert made.size == path.stat().st_size
    assert read(path) == read(path, run=RUN) == b"".join(TEXT)
    data = path.read_bytes()
    assert b"weights" not in data and data.startswith(MAGIC)
    head = len(MAGIC) + 4 + int.from_bytes(data[len(MAGIC) : len(MAGIC) + 4], "big")
    assert head < MAX_HEAD and len(data) - head == sealed_size(len(b"".join(TEXT)))
    assert sealed_at(tmp_path / "again") != data, "one key seals one file"
    assert sorted(os.listdir(tmp_path)) == ["again", "answer"]


def test_openings_for_another_auditor_name_both_keys(tmp_path: Path) -> None:
    sealed_at(tmp_path / "a")
    with pytest.raises(VaultError) as refused:
        read(tmp_path / "a", OTHER)
    for key in (KEY, OTHER):
        assert key.recipient.fingerprint[:16] in str(refused.value)


def test_openings_of_another_run(tmp_path: Path) -> None:
    sealed_at(tmp_path / "a")
    with pytest.raises(VaultError, match="openings of the run with header digest 72727272"):
        read(tmp_path / "a", run=b"s" * 32)


def test_each_changed_byte_is_noticed(tmp_path: Path) -> None:
    """Of a short file every byte, of the wrapped key some: one sentence, and nothing to read."""
    data, path = sealed_at(tmp_path / "whole", text=[b"secret"]), tmp_path / "changed"
    wrapped = data.index(b'"wrapped":"') + 11
    for i in (*range(wrapped), *range(wrapped, len(data) - 100, 97), *range(len(data) - 100, len(data))):
        path.write_bytes(data[:i] + bytes([data[i] ^ 1]) + data[i + 1 :])
        with pytest.raises(VaultError, match=r"changed can't be opened: "):
            read(path)


def test_each_cut_and_each_addition_is_noticed(tmp_path: Path) -> None:
    data, path = sealed_at(tmp_path / "whole"), tmp_path / "changed"
    head = len(data) - sealed_size(len(b"".join(TEXT)))
    for end in (0, 5, len(MAGIC), len(MAGIC) + 4, head - 1, head, head + 56, head + 56 + 2**14 + 16, len(data) - 1):
        path.write_bytes(data[:end])
        with pytest.raises(VaultError, match=r"changed can't be opened: .*(cut|ends early|does not begin)"):
            read(path)
    path.write_bytes(data + b"\0")
    with pytest.raises(VaultError, match="appended to"):
        read(path)


@pytest.mark.parametrize("change", [{"run": b"s" * 32}, {"size": 10}])
def test_a_head_or_a_ciphertext_of_another_file_opens_nothing(tmp_path: Path, change: dict[str, object]) -> None:
    """Whoever carries the files exchanges heads, or writes another root into one."""
    one, two = sealed_at(tmp_path / "one"), sealed_at(tmp_path / "two", **change)  # type: ignore[arg-type]
    body = sealed_size(len(b"".join(TEXT)))
    mixed = tmp_path / "mixed"
    mixed.write_bytes(two[:-body] + one[-body:])
    with pytest.raises(VaultError, match="can't be opened"):
        read(mixed)
    with (tmp_path / "one").open("rb") as file:
        context, wrapped = OpeningsContext.read(file)
    relabelled = OpeningsContext(context.recipient, context.run, b"p" * 32, context.size)
    mixed.write_bytes(relabelled.head(wrapped) + one[-body:])
    with pytest.raises(VaultError, match="its head was changed"):
        read(mixed)


def test_nothing_can_be_read_before_all_is_authentic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last chunk decides, and what was written of the others is gone."""
    data, path = sealed_at(tmp_path / "whole"), tmp_path / "changed"
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(VaultError), opened(path, KEY):
        pytest.fail("a byte can be read")
    assert sorted(os.listdir(tmp_path)) == ["changed", "whole"]


def test_the_plaintext_lies_where_nobody_else_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sealed_at(tmp_path / "a")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with opened(tmp_path / "a", KEY) as file:
        (folder,) = (path for path in tmp_path.iterdir() if path.is_dir())
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        status = os.fstat(file.fileno())
        assert (stat.S_IMODE(status.st_mode), status.st_nlink, list(folder.iterdir())) == (0o600, 0, [])
    assert os.listdir(tmp_path) == ["a"]


def test_a_temporary_folder_that_is_too_small_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sealed_at(tmp_path / "a")

    class Full:
        f_bavail, f_frsize = 2, 4096

    monkeypatch.setattr(os, "statvfs", lambda folder: Full)
    with pytest.raises(StorageError, match=r"has no room for them: set TMPDIR"):
        read(tmp_path / "a")


def test_what_fails_while_it_is_sealed_leaves_no_file(tmp_path: Path) -> None:
    def dying() -> Iterator[bytes]:
        yield b"x" * 10**6
        raise VaultError("the journal ends here")

    def full() -> Iterator[bytes]:
        yield b"x" * 10**6
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(VaultError, match="the journal ends here"):
        seal(dying(), tmp_path / "a", KEY.recipient, run=RUN, root=ROOT, size=9)
    with pytest.raises(StorageError, match=r"a can't be written: No space left"):
        seal(full(), tmp_path / "a", KEY.recipient, run=RUN, root=ROOT, size=9)
    with pytest.raises(UsageError, match="more bytes than 100"):
        seal(TEXT, tmp_path / "a", KEY.recipient, run=RUN, root=ROOT, size=9, limit=100)
    assert os.listdir(tmp_path) == []


def test_a_file_that_is_there_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"mine")
    with pytest.raises(UsageError, match="File exists"):
        seal(TEXT, path, KEY.recipient, run=RUN, root=ROOT, size=9)
    assert path.read_bytes() == b"mine"
    assert os.listdir(tmp_path) == ["a"]


def test_a_file_of_more_bytes_than_allowed_is_refused_unread(tmp_path: Path) -> None:
    sealed_at(tmp_path / "a")
    with pytest.raises(UsageError, match="more than 1000 bytes"), opened(tmp_path / "a", KEY, limit=1000):
        pytest.fail("it was opened")


def test_no_two_contexts_have_the_same_bytes() -> None:
    context = OpeningsContext(KEY.recipient.fingerprint, RUN, ROOT, 9)
    others = [
        OpeningsContext(OTHER.recipient.fingerprint, RUN, ROOT, 9),
        OpeningsContext(KEY.recipient.fingerprint, ROOT, RUN, 9),
        OpeningsContext(KEY.recipient.fingerprint, RUN, ROOT, 90),
    ]
    assert len({bytes(one) for one in (context, *others)}) == 4
    assert bytes(context).startswith(b"\0\0\0\x08openings")
    with pytest.raises(VaultError):
        OpeningsContext.read(io.BytesIO(context.head(b"short")))


def test_a_disk_that_runs_full_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system refuses the bytes themselves: while it is sealed, and while it is opened."""
    sealed_at(tmp_path / "a", text=[b"x" * 2**18])
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, before[1]))
    try:
        with pytest.raises(StorageError, match="b can't be written: File too large"):
            sealed_at(tmp_path / "b", text=[b"x" * 2**18])
        with pytest.raises(StorageError, match="a can't be opened in the temporary folder: File too large; set TMPDIR"):
            read(tmp_path / "a")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert os.listdir(tmp_path) == ["a"]
