"""Where a register can be recovered from, as `zk-register recover --from` names it; and its own
anchor file, which it must continue."""

import os
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from zk_autograd.core.anchors import Kept
from zk_autograd.core.errors import RunError, UsageError, VerificationError
from zk_autograd.core.keys import PublicKey
from zk_autograd.core.register import MAX_VIEW, View, origin_of
from zk_autograd.core.tiles import CHECKPOINT
from zk_autograd.evidence.url import is_url
from zk_autograd.register.recovery import ForkedRegister, Source, require_newest, salvage
from zk_autograd.register.register import ANCHORS, PUBLIC, Register


def source_of(text: str, keys: Sequence[PublicKey]) -> Source:
    """What the place holds. UsageError for one that can't hold a register, AnchorError and
    UnreadableError where it can't be asked, RunError for what was altered."""
    if is_url(text):
        return _of_tiles(text)
    if os.path.isdir(text):
        return _of_folder(Path(text), keys)
    from zk_autograd.anchor.kinds import open_anchor

    anchor = open_anchor(text)
    read = getattr(anchor, "read", None)
    if read is None:
        raise UsageError(f"the anchor {anchor.kind} holds no entries that can be read back: name another source")
    return Source(anchor.spec).add_kept(read(origin_of(keys)))


def sources_beside(folder: Path, keys: Sequence[PublicKey]) -> list[Source]:
    """What the register's own folder holds of it: its file, its anchor file and what is published
    there. None of them may be forgotten where another source is named."""
    found = [] if (here := salvage(folder, keys)) is None else [here]
    if os.path.lexists(folder / ANCHORS):
        found.append(source_of(f"file:{folder / ANCHORS}", keys))
    if os.path.lexists(folder / PUBLIC / CHECKPOINT):
        found.append(_of_tiles(folder / PUBLIC))
    return found


def kept_beside(register: Register) -> Sequence[Kept]:
    """What the register's own anchor file holds; nothing if there is none."""
    from zk_autograd.anchor.file.publish import FileAnchor

    path = register.folder / ANCHORS
    return FileAnchor(path).read(register.origin) if os.path.lexists(path) else ()


def require_continued(register: Register, keys: Sequence[PublicKey]) -> None:
    """RunError if the register is older than its own anchor file, or another branch: then the
    evidence is written."""
    try:
        require_newest(register, kept_beside(register), keys, f"file:{register.folder / ANCHORS}")
    except ForkedRegister as error:
        written = write_evidence(register.folder, error, keys)
        raise RunError(f"{error}; the evidence is {written}") from error


def write_evidence(folder: Path, fork: ForkedRegister, keys: Sequence[PublicKey]) -> Path | None:
    """The file that proves the fork to anybody, written into the register's folder; None if what
    was found proves none."""
    from zk_autograd.core.merkle import leaf_hash
    from zk_autograd.evidence.fork_evidence import SignedHead
    from zk_autograd.local.kept_files import write_over
    from zk_autograd.monitoring.forks import fork_among
    from zk_autograd.register.register import prepare

    heads = [SignedHead.parse(note) for note in dict.fromkeys(fork.notes)]
    newest = max(heads, key=lambda head: head.checkpoint.size)
    evidence = fork_among(heads, newest if fork.leaves else None, [leaf_hash(leaf) for leaf in fork.leaves], keys)
    if evidence is None:
        return None
    data = evidence.encode()
    path = folder / f"fork-{sha256(data).hexdigest()}"
    prepare(folder)
    write_over(path, data, "the evidence")
    return path


def _of_tiles(where: str | Path) -> Source:
    from zk_autograd.evidence.tiles import open_tiles
    from zk_autograd.verify.log import MAX_LOG

    tiles = open_tiles(where)
    if tiles is None:
        raise UsageError(f"there is no register at {where}: it has no checkpoint")
    with tiles:
        source = Source(tiles.name)
        source.notes.append(tiles.checkpoint())
        source.leaves.update(enumerate(tiles.leaves(MAX_LOG)))
    return source


def _of_folder(folder: Path, keys: Sequence[PublicKey]) -> Source:
    if (folder / "register" / "views.jsonl").exists():
        return _of_run(folder)
    found = salvage(folder, keys)
    if found is not None:
        return found
    return _of_tiles(folder)


def _of_run(folder: Path) -> Source:
    """What a run was shown of the register; a torn last line, which a crash leaves, is left out."""
    from zk_autograd.evidence.layout import MAX_VIEWS, REGISTER, VIEWS
    from zk_autograd.evidence.opening import open_run

    path = f"{REGISTER}/{VIEWS}"
    views: list[View] = []
    with open_run(folder) as files, files.opened(path, MAX_VIEWS) as file:
        while line := file.readline(MAX_VIEW + 1):
            if not line.endswith(b"\n"):
                break
            try:
                views.append(View.parse(line[:-1]))
            except VerificationError as error:
                raise RunError(f"line {len(views) + 1} of {folder / path} was altered: {error}") from error
    return Source(str(folder)).add_views(views)
