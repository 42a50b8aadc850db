"""Step 10, what lies beside: names in the run that no record in this view names.

evidence.beside finds these names and judges each. Harmless ones, and what an unfinished run leaves,
are listed and don't count. Any other keeps the verdict from being complete (exit status 3), unless
the auditor named it. None of them is opened. Where names can't be listed, as in a folder that a
server holds, none was looked for, and the report says so.
"""

from contextlib import closing
from dataclasses import dataclass

from zk_autograd.core.records import Log
from zk_autograd.core.text import counted, listed, quoted
from zk_autograd.evidence.beside import EntryKind, Kind, beside
from zk_autograd.evidence.layout import PRIVATE
from zk_autograd.evidence.run import Evidence
from zk_autograd.verify.outcome import Finding, Outcome, Status, UncoveredFile

MAX_UNCOVERED = 1000
"""Names that are kept. If there are more, the auditor can't have named them all."""

UNLISTED = "what lies beside a run on a server can't be listed: files that no record names were not looked for, and nothing covers them"

_SHOWN = 5
_FIX = (
    "judge a copy without the files that no record names, or name each one that you know with --accept-uncovered NAME"
)
_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Uncovered:
    """The names, in order, None if they can't be listed; `more`: there are others, which were not
    looked at; `left`: how many more an unfinished run has left; `private`: whether the trainer's
    private folder is there."""

    files: tuple[UncoveredFile, ...] | None
    more: bool = False
    left: int = 0
    private: bool = False

    @property
    def weighs(self) -> bool:
        """Whether it counts against the verdict."""
        return self.more or any(file.weighs for file in self.files or ())

    def outcome(self) -> Outcome:
        """Step 10's part for them."""
        if self.files is None:
            return Outcome(Finding(Status.NOT_SHOWN, (UNLISTED,)), limits=(UNLISTED,))
        withheld = (
            "there are files that no record in this view names: don't mistake them for what was judged. Judge a copy without them, or name "
            "each one that you know with --accept-uncovered NAME"
        )
        status = Status.NOT_SHOWN if self.weighs else Status.PASSED
        return Outcome(
            Finding(status, self._sentences()),
            withheld=(withheld,) if self.weighs else (),
            fix=_FIX if self.weighs else "",
        )

    def _sentences(self) -> tuple[str, ...]:
        foreign = [f for f in self.files or () if not f.harmless]
        known = [f for f in foreign if f.accepted]
        alike = [f for f in foreign if f.weighs and f.resembles]
        other = [f for f in foreign if f.weighs and not f.resembles]
        sentences = []
        if self.private:
            sentences.append(f"{PRIVATE}/ is the trainer's own, and was not looked at")
        if harmless := [quoted(f.name, _CHARACTERS) for f in self.files or () if f.harmless]:
            sentences.append(f"not covered, but with harmless names: {listed(harmless, _SHOWN)}")
        if self.left:
            sentences.append(
                f"not covered, as an unfinished run leaves them (proofs of later segments, half-written files): {counted(self.left, 'file')}"
            )
        if known:
            sentences.append(
                f"not covered, and accepted by the auditor: {listed([quoted(f.name, _CHARACTERS) for f in known], _SHOWN)}"
            )
        if other:
            names = listed([quoted(f.name, _CHARACTERS) for f in other], _SHOWN)
            sentences.append(f"no record in this view names {names}: nothing covers what is there")
        if alike:
            pairs = listed([f"{quoted(f.name, _CHARACTERS)} (for {f.resembles})" for f in alike], _SHOWN)
            sentences.append(f"no record in this view names what may be mistaken for the run's own: {pairs}")
        if self.more:
            sentences.append(f"there are more than {MAX_UNCOVERED} such names; the others were not looked at")
        return tuple(sentences)


def check_uncovered(log: Log, files: Evidence, accepted: frozenset[str]) -> Uncovered:
    """All of them, up to MAX_UNCOVERED. VerificationError if a folder can't be read."""
    if not files.listable:
        return Uncovered(None)
    found: list[UncoveredFile] = []
    left = 0
    more = False
    with closing(beside(files, log)) as names:
        for name in names:
            if name.kind is Kind.UNFINISHED:
                left += 1
                continue
            if more := len(found) == MAX_UNCOVERED:
                break
            harmless = name.kind is Kind.HARMLESS
            found.append(UncoveredFile(name.path, harmless, not harmless and name.path in accepted, name.resembles))
    return Uncovered(tuple(sorted(found, key=lambda f: f.name)), more, left, _has_private(files))


def _has_private(files: Evidence) -> bool:
    with closing(files.entries("")) as entries:
        return any(entry.name == PRIVATE and entry.kind is EntryKind.FOLDER for entry in entries)
