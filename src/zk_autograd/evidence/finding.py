"""From what the auditor names to the evidence for it: a run, a bundle, or a published file beside
which its evidence lies.

An artefact is a file, or a folder of files, that is neither a run nor a bundle: weights that
somebody downloaded, say. If it lies in a run (at its top level, or in its model folder), that run
is its evidence. Otherwise the evidence is the one run or bundle that lies in the artefact's folder
or in that folder's parent, never in the current folder for its own sake. Where there are two,
nothing is chosen. What is found decides nothing: the artefact's digest must be one that the run's
close record names (verify.given).
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path

from zk_autograd.core.errors import UnreadableError, UsageError, VerificationError
from zk_autograd.core.text import listed, quoted
from zk_autograd.evidence.beside import HARMLESS
from zk_autograd.evidence.files import chunks_of, open_bounded, open_folder, unreadable
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.evidence.layout import CHECKPOINT, LOG, MAX_MODEL_FILE, MODEL, PRIVATE, PROOFS, RECORDS
from zk_autograd.evidence.url import is_url

MAX_NAMES = 10_000
"""Names in a folder that is searched for evidence, or given as an artefact."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A file that the auditor has: its name, and its SHA-256; None for what is not a regular
    file."""

    name: str
    digest: bytes | None


@dataclass(frozen=True, slots=True)
class Found:
    """What was named, where its evidence is, and how that was found: "given" (it is the evidence),
    "from" (the auditor said where) or "beside" the artefact. `run` is a path, or a URL as a text.

    `subjects` are the files to be compared with the run's close record: none if a run, or a root,
    was named.
    """

    target: str
    run: Path | str
    how: str
    subjects: tuple[Subject, ...] = ()

    @property
    def line(self) -> str:
        """What was used, for a reader."""
        how = {"given": "as given", "from": "named with --from", "beside": "found beside the file"}
        return f"{self.run} ({how[self.how]})"


def located(where: Path | str) -> Path | str:
    """A URL as it is; anything else as a path. UsageError for an empty text, which as a path would
    be the current folder."""
    if where == "":
        raise UsageError(
            "an empty text names no run and no file: a variable that is not set, perhaps; the current folder is written as a dot"
        )
    return where if isinstance(where, str) and is_url(where) else Path(where)


def find(target: Path | str, source: Path | str | None = None) -> Found:
    """The evidence for `target`, a path or a URL, in `source` if that is given.

    UsageError if there is none, or more than one, or if a run and a `source` are given.
    UnreadableError if this machine can't look.
    """
    target, source = located(target), None if source is None else located(source)
    if isinstance(target, str) or is_run(target) or _is_bundle(target):
        if source is not None:
            raise UsageError(
                f"{target} is a run: with --from, name a published file or a ROOT@SIZE of that run instead"
            )
        return Found(str(target), target, "given")
    if not os.path.lexists(target):
        raise UsageError(f"{target} is not a run: there is no such file or folder")
    if source is not None:
        return Found(str(target), source, "from", _subjects(target, source))
    if target.is_dir() and not os.listdir(target):
        raise UsageError(f"{target} is not a run: it is an empty folder")
    evidence = _beside(target)
    return Found(str(target), evidence, "beside", _subjects(target, evidence))


def is_run(path: Path) -> bool:
    """Whether a folder is to be judged as a run: it has something under the name of a log's file.
    One that this machine can't look into is, too: opening it says why."""
    try:
        with RunFolder(path) as files:
            return files.has_log()
    except UnreadableError:
        return True
    except UsageError:
        return False


def _is_evidence(path: Path) -> bool:
    """Whether a folder that nobody named is to be judged as a run. One with a *file* called log
    isn't: many programs leave such files, and the run would be said to be false."""
    return is_run(path) and not os.path.isfile(path / LOG)


def _is_bundle(path: Path) -> bool:
    """Whether a file begins like a bundle. What can't be read here is taken for one, and said so of
    where it is opened."""
    try:
        return os.path.isfile(path) and _other_than_a_bundle(path) is None
    except UnreadableError:
        return True


def _other_than_a_bundle(path: Path) -> str | None:
    from zk_autograd.evidence.bundle import other_than_a_bundle  # judging a folder takes none of it

    return other_than_a_bundle(path)


def _beside(target: Path) -> Path:
    """The one run or bundle for an artefact."""
    # The folder that the artefact lies in, as it was named: a link is not followed to another one.
    folder = target if target.is_dir() else target.parent
    parent = folder.parent if folder.name not in ("", "..") else folder / ".."
    own = os.path.abspath(folder).rpartition("/")[2]
    if own in (LOG, PROOFS, PRIVATE) and _is_evidence(parent):
        raise UsageError(
            f"{target} is a part of the run {parent}, and no file that it published: name the run, or a file of its model"
        )
    inside = [run for run, part in ((folder, True), (parent, own == MODEL)) if part and _is_evidence(run)]
    found = inside or list(dict.fromkeys([*_candidates(folder, target), *_candidates(parent, target)]))
    if len(found) == 1:
        return found[0]
    what = f"it has no {LOG}/{RECORDS} and no {LOG}/{CHECKPOINT}" if target.is_dir() else _other_than_a_bundle(target)
    what = f"{target} is not a run: {what}. If a run published it, say where that is with --from RUN"
    if not found:
        raise UsageError(f"{what}: neither {folder} nor {parent} holds a run or a bundle")
    raise UsageError(f"{what}: there are several beside it ({listed([str(path) for path in found], 3)})")


def _candidates(folder: Path, target: Path) -> Iterator[Path]:
    if _is_evidence(folder):
        yield folder
    try:
        names = sorted(islice(os.listdir(folder), MAX_NAMES + 1))
    except OSError as error:
        found = unreadable(folder, error)
        raise found if isinstance(found, UnreadableError) else UsageError(str(found)) from error
    if len(names) > MAX_NAMES:
        raise UsageError(f"{folder} has more than {MAX_NAMES} names: say where the evidence is with --from RUN")
    for name in names:
        path = folder / name
        if path != target and (_is_evidence(path) or _is_bundle(path)):
            yield path


def _subjects(target: Path, evidence: Path | str) -> tuple[Subject, ...]:
    """The file, or the files of the folder but for the evidence itself, with their digests. The
    auditor's own path may be a link; a link in a folder is no file."""
    try:
        if stat.S_ISDIR(os.stat(target).st_mode):
            return _of_folder(target, evidence)
        return (Subject(target.name, _digest(target.resolve(), None)),)
    except OSError as error:
        found = unreadable(target, error)
        raise found if isinstance(found, UnreadableError) else UsageError(str(found)) from error
    except UnreadableError:
        raise
    except VerificationError as error:
        raise UsageError(f"{error}: name a file, a folder of files, a run or a bundle") from error


def _of_folder(target: Path, evidence: Path | str) -> tuple[Subject, ...]:
    fd = open_folder(target.resolve())
    try:
        inside = isinstance(evidence, Path) and evidence.parent.resolve() == target.resolve()
        own = evidence.name if isinstance(evidence, Path) and inside else ""  # it is judged itself
        names = sorted(islice(os.listdir(fd), MAX_NAMES + 1))
        if len(names) > MAX_NAMES:
            raise UsageError(f"{target} has more than {MAX_NAMES} names: it is no published model")
        found = []
        for name in names:
            regular = stat.S_ISREG(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode)
            if name != own and not (regular and name in HARMLESS):
                found.append(Subject(name, _digest(name, fd) if regular else None))
    finally:
        os.close(fd)
    if not found:
        raise UsageError(f"{target} is neither a run nor a model: it holds no file")
    return tuple(found)


def _digest(path: Path | str, dir_fd: int | None) -> bytes:
    hashed = sha256()
    with open_bounded(path, MAX_MODEL_FILE, dir_fd=dir_fd) as fd:
        for chunk in chunks_of(fd, quoted(str(path))):
            hashed.update(chunk)
    return hashed.digest()


def require_outside_run(path: Path, run: Path | str, flag: str) -> None:
    """UsageError for a file of the auditor's own that lies in the run: whoever made the run made
    it."""
    if isinstance(run, Path) and path.resolve().is_relative_to(run.resolve()):
        raise UsageError(f"{flag} {path}: it lies in the run; give one that you made, and kept elsewhere")
