"""The anchor `file`: lines that only grow, whatever crashes, races and old copies do."""

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path
from threading import Thread

import pytest

from tests.register.registers import ORIGIN, OTHERS, entries, filled
from zk_autograd.anchor.file import publish as file_publish
from zk_autograd.anchor.file.publish import FileAnchor, open_anchor
from zk_autograd.anchor.file.receipt import verify
from zk_autograd.core.anchors import Receipt, SignedCheckpoint, Standing
from zk_autograd.core.errors import AnchorBehind, AnchorDown, AnchorError, AnchorForked, UsageError, VerificationError
from zk_autograd.register.register import Register


@pytest.fixture
def anchor(tmp_path: Path) -> FileAnchor:
    return FileAnchor(tmp_path / "kept" / "anchors.jsonl")


def publish(anchor: FileAnchor, folder: Path, size: int, branch: int | None = None) -> Sequence[Receipt]:
    """A register of so many entries is published."""
    where = folder / f"{size}-{branch}-{os.urandom(4).hex()}"
    with filled(where, size, branch) as register:
        return anchor.publish(register.checkpoint, register)


def path_of(anchor: FileAnchor) -> Path:
    return Path(anchor.spec.removeprefix("file:"))


def test_each_line_has_the_entries_since_the_one_before(anchor: FileAnchor, tmp_path: Path) -> None:
    for number, size in enumerate((3, 4, 300)):
        (receipt,) = publish(anchor, tmp_path, size)
        assert (receipt.kind, receipt.size, receipt.body) == ("file", size, {"line": number})
        assert Receipt.parse(receipt.encode()) == receipt
    with filled(tmp_path / "same", 300) as register:
        (again,) = anchor.publish(register.checkpoint, register)
        assert again == receipt
        kept = anchor.read(register.origin)
        assert [len(one.entries) for one in kept] == [3, 1, 296]
        assert [leaf for one in kept for leaf in one.entries] == register.entries(0, 300)
        assert anchor.read("zk-autograd/register/" + "0" * 64) == []
        claim = verify(receipt, register.checkpoint, None)
        assert claim.standing is Standing.WORD
        with pytest.raises(VerificationError, match="for another tree head"):
            verify(Receipt("file", 3, bytes(32), {"line": 0}), register.checkpoint, None)
    assert path_of(anchor).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("cut", [1, 2, 500, 3000])
def test_a_torn_line_is_cut_off(anchor: FileAnchor, tmp_path: Path, cut: int) -> None:
    publish(anchor, tmp_path, 3)
    whole = path_of(anchor).read_bytes()
    publish(anchor, tmp_path, 5)
    data = path_of(anchor).read_bytes()
    path_of(anchor).write_bytes(data[:-cut])
    (receipt,) = publish(anchor, tmp_path, 5)
    assert receipt.body == {"line": 1}
    assert path_of(anchor).read_bytes()[: len(whole)] == whole
    path_of(anchor).write_bytes(data[:-cut])
    if cut > 1:
        with pytest.raises(AnchorError, match=r"line 2 of .*, the last, is torn: what it said was signed"):
            anchor.read(ORIGIN)
    else:
        assert len(anchor.read(ORIGIN)) == 2
    assert path_of(anchor).read_bytes() == data[:-cut]  # whoever reads changes nothing


def test_a_last_line_without_its_newline_counts(anchor: FileAnchor, tmp_path: Path) -> None:
    """As a copy by an editor leaves it. Taken for torn, it would be signed again as another."""
    publish(anchor, tmp_path, 3)
    publish(anchor, tmp_path, 5)
    data = path_of(anchor).read_bytes()
    path_of(anchor).write_bytes(data[:-1])
    with pytest.raises(AnchorForked, match="another branch"):
        publish(anchor, tmp_path, 6, 4)
    with pytest.raises(AnchorBehind, match="of 5 entries"):
        publish(anchor, tmp_path, 4)
    assert path_of(anchor).read_bytes() == data[:-1]
    (receipt,) = publish(anchor, tmp_path, 6)
    assert receipt.body == {"line": 2}
    assert path_of(anchor).read_bytes().startswith(data)
    assert [len(one.entries) for one in anchor.read(ORIGIN)] == [3, 2, 1]


@pytest.mark.parametrize("before", [0, 2])
@pytest.mark.parametrize(
    "data", [b"precious", b'{"name": "precious"}', b'{"checkpoint":"zk-autograd/register/0', b"{", b"\xff"]
)
def test_somebody_s_file_is_not_cut_off(anchor: FileAnchor, tmp_path: Path, before: int, data: bytes) -> None:
    """A file that was named by mistake, alone or with another register's lines before it."""
    path = path_of(anchor)
    path.parent.mkdir()
    if before:
        publish(anchor, tmp_path, before)
        path.write_bytes(path.read_bytes().replace(ORIGIN.encode(), b"zk-autograd/register/" + b"0" * 64))
    whole = (path.read_bytes() if before else b"") + data
    path.write_bytes(whole)
    with pytest.raises(AnchorError, match=r"ends with what this anchor didn't write|holds another register"):
        publish(anchor, tmp_path, 3)
    with pytest.raises(AnchorError, match=r"the last, is torn"):
        anchor.read(ORIGIN)
    assert path.read_bytes() == whole


def test_a_torn_line_after_another_register_s_first_is_not_cut_off(anchor: FileAnchor, tmp_path: Path) -> None:
    path = path_of(anchor)
    publish(anchor, tmp_path, 2)
    own = path.read_bytes()
    other = own.replace(ORIGIN.encode(), b"zk-autograd/register/" + b"0" * 64)
    path.write_bytes(other + own + own[:100])
    with pytest.raises(AnchorError, match="ends with what this anchor didn't write"):
        publish(anchor, tmp_path, 3)
    assert path.read_bytes() == other + own + own[:100]


def test_what_is_no_file(anchor: FileAnchor, tmp_path: Path) -> None:
    """A device that never ends, a pipe that nobody writes to, and a folder."""
    os.mkfifo(tmp_path / "pipe")
    for path in ("/dev/zero", str(tmp_path / "pipe")):
        for use in (lambda one: one.read(ORIGIN), lambda one: publish(one, tmp_path, 1)):
            with pytest.raises(AnchorError, match="is no regular file"):
                use(open_anchor(path))
    with pytest.raises(AnchorError, match=r"can't be opened|is no regular file"):
        open_anchor(str(tmp_path)).read(ORIGIN)


def test_a_line_without_end(anchor: FileAnchor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(anchor, tmp_path, 1)
    monkeypatch.setattr(file_publish, "MAX_KEPT", 1000)
    whole = path_of(anchor).read_bytes() + b"x" * 1002
    path_of(anchor).write_bytes(whole)
    with pytest.raises(AnchorError, match="has a longer line than this anchor writes"):
        publish(anchor, tmp_path, 2)
    assert path_of(anchor).read_bytes() == whole


def test_what_the_system_refuses(anchor: FileAnchor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(anchor, tmp_path, 1)

    def refused(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    for name in ("pread", "ftruncate", "lseek"):
        with monkeypatch.context() as patched:
            path_of(anchor).write_bytes(path_of(anchor).read_bytes() + b'{"checkpoint":')
            patched.setattr(os, name, refused)
            with pytest.raises(AnchorDown, match="Input/output error"):
                publish(anchor, tmp_path, 2)
        path_of(anchor).write_bytes(path_of(anchor).read_bytes().removesuffix(b'{"checkpoint":'))
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refused)
        with pytest.raises(AnchorDown, match="can't be opened: Input/output error; try again"):
            anchor.read(ORIGIN)
    with monkeypatch.context() as patched:
        patched.setattr(fcntl, "flock", refused)
        with pytest.raises(AnchorDown, match="can't be used: Input/output error"):
            anchor.read(ORIGIN)


@pytest.mark.parametrize(
    ("size", "branch", "kind", "why"),
    [
        (4, None, AnchorBehind, "holds a checkpoint of 9 entries, ours has 4"),
        (4, 2, AnchorBehind, "holds a checkpoint of 9 entries"),
        (9, 8, AnchorForked, "another branch"),
        (9, 0, AnchorForked, "another branch"),
        (20, 8, AnchorForked, "another branch"),
    ],
)
def test_an_older_copy_and_another_branch(
    anchor: FileAnchor, tmp_path: Path, size: int, branch: int | None, kind: type[AnchorError], why: str
) -> None:
    """The last: a copy of nine entries was lost for one of eight, and has outgrown it since."""
    publish(anchor, tmp_path, 9)
    before = path_of(anchor).read_bytes()
    with pytest.raises(kind, match=why) as caught:
        publish(anchor, tmp_path, size, branch)
    if isinstance(caught.value, AnchorForked):
        assert SignedCheckpoint.parse(caught.value.note).head.size == 9
    assert path_of(anchor).read_bytes() == before


def test_another_register_s_file(anchor: FileAnchor, tmp_path: Path) -> None:
    publish(anchor, tmp_path, 2)
    with Register.begin(tmp_path / "other", OTHERS) as other:
        other.enter(entries(1)[0])
        with pytest.raises(AnchorError, match="holds another register"):
            anchor.publish(other.checkpoint, other)


@pytest.mark.parametrize("data", [b"x\n", b"\n", b"{}\n", b'{"checkpoint":"","entries":[],"first":0}\n'])
def test_an_altered_file(anchor: FileAnchor, tmp_path: Path, data: bytes) -> None:
    publish(anchor, tmp_path, 2)
    whole = path_of(anchor).read_bytes()
    path_of(anchor).write_bytes(whole + data)
    with pytest.raises(AnchorError, match=r"line 2 of .* was altered"):
        publish(anchor, tmp_path, 3)
    with pytest.raises(AnchorError, match=r"line 2 of .* was altered"):
        anchor.read(ORIGIN)
    assert path_of(anchor).read_bytes() == whole + data


def test_threads_and_processes_take_turns(anchor: FileAnchor, tmp_path: Path) -> None:
    """Eight publish at once, each its own size: those that come late are behind, and none of the
    lines is mixed with another."""
    with filled(tmp_path / "register", 8) as register:
        parts = []
        for size in range(1, 9):
            with filled(tmp_path / f"part-{size}", size) as part:
                parts.append(part.checkpoint)

        def one(checkpoint: SignedCheckpoint) -> None:
            try:
                FileAnchor(path_of(anchor)).publish(checkpoint, register)
            except AnchorBehind:
                return

        threads = [Thread(target=one, args=(part,)) for part in parts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        kept = anchor.read(register.origin)
        assert [leaf for one in kept for leaf in one.entries] == register.entries(0, 8)


def test_places(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs a path"):
        open_anchor("")
    missing = open_anchor(str(tmp_path / "none" / "file"))
    with pytest.raises(AnchorError, match="can't be opened"):
        missing.read(ORIGIN)
    assert not (tmp_path / "none").exists()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AnchorError, match="can't be opened"):
        publish(open_anchor(str(tmp_path / "link")), tmp_path, 1)


def test_a_full_disk(small_disk: Path, tmp_path: Path) -> None:
    anchor = FileAnchor(small_disk / "anchors.jsonl")
    publish(anchor, tmp_path, 2)
    filler = small_disk / "filler"
    filler.write_bytes(bytes(os.statvfs(small_disk).f_bavail * 4096))
    with pytest.raises(AnchorDown, match="free some space"):
        publish(anchor, tmp_path, 300)
    filler.unlink()
    publish(anchor, tmp_path, 300)
    assert [len(one.entries) for one in anchor.read(ORIGIN)] == [2, 298]
