"""Two views of a log, read and compared: each a run, from wherever it can be opened, or a
checkpoint alone in its note. Two runs of one trainer are compared in what they show of their
register."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zk_autograd.core.errors import UnreadableError, UsageError, VerificationError
from zk_autograd.core.keys import PublicKey
from zk_autograd.core.merkle import leaf_hash, root
from zk_autograd.core.note import MAX_NOTE_BYTES
from zk_autograd.core.register import is_origin
from zk_autograd.evidence.files import read_bounded
from zk_autograd.evidence.fork_evidence import MAX_EVIDENCE, ForkEvidence, SignedHead
from zk_autograd.evidence.kinds import Kind, kind_of
from zk_autograd.evidence.layout import MAX_VIEWS
from zk_autograd.evidence.opening import open_run
from zk_autograd.evidence.run import Evidence
from zk_autograd.verify.consistency import Decision, Verdict, connect, decide, is_one_log, two_logs, untold
from zk_autograd.verify.log import MAX_LOG
from zk_autograd.verify.register_comparison import compare_registers, heads_of_file, heads_of_run

FORMAT = "zk-autograd/comparison/v1"
"""Of the result as JSON."""

_AGAIN = "get the run again from where it was published"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two views show. `evidence`: for whoever is to come to the same decision; None where a
    view has no checkpoint, it takes records that neither has, or some are not those that were
    signed."""

    decision: Decision
    heads: tuple[SignedHead, ...] = ()
    evidence: ForkEvidence | None = None

    @property
    def proof(self) -> bytes | None:
        """The file for whoever is to come to the same decision; None where nothing was shown."""
        if self.evidence is None or self.decision.verdict is Verdict.UNTOLD:
            return None
        return self.evidence.encode()

    def lines(self, written: Path | None) -> list[str]:
        """What there is to say, the verdict first, and what to do last. `written`: where the
        evidence is now."""
        said = [f"verdict: {self.decision.verdict.value}", *map(str, self.heads)]
        said += [f"- {sentence}" for sentence in self.decision.sentences]
        said += [] if written is None else [f"evidence: {written}"]
        return [*said, *([f"Fix: {self.decision.fix}"] if self.decision.fix else [])]

    def to_json(self) -> dict[str, Any]:
        """The result as a JSON object."""
        return {
            "format": FORMAT,
            "verdict": self.decision.verdict.value,
            "exit_status": int(self.decision.verdict.exit_status),
            "sentences": list(self.decision.sentences),
            "fix": self.decision.fix,
            "keys": [key.encode() for key in self.decision.keys],
            "checkpoints": [
                {"origin": c.origin, "size": c.size, "root": c.root.hex()} for c in (h.checkpoint for h in self.heads)
            ],
        }


class View:
    """One of the two. `files` is None for a checkpoint alone; `head` None, and `why` a sentence, if
    it has no checkpoint that can be read."""

    def __init__(self, name: str, files: Evidence | None, note: Callable[[], bytes]) -> None:
        self.name = name
        self.files = files
        self.why = ""
        self.head: SignedHead | None = None
        try:
            self.head = SignedHead.parse(note())
        except UnreadableError:
            raise
        except VerificationError as error:
            self.why = f"{name} has no checkpoint that can be read: {error}"

    def register(self) -> list[SignedHead]:
        """The checkpoints of its trainer's register that it shows; none if it shows none, and `why`
        says it if they can't be read."""
        if self.files is None:
            return [self.head] if self.head is not None and is_origin(self.head.checkpoint.origin) else []
        try:
            return heads_of_run(self.files)
        except UnreadableError:
            raise
        except VerificationError as error:
            self.why = f"{self.name}: {error}"
            return []

    def leaves(self) -> list[bytes]:
        """The hashes of the records, in order; none if there are none, and `why` says it if they
        are not those of the checkpoint."""
        if self.files is None or self.head is None:
            return []
        try:
            hashes = [leaf_hash(leaf) for leaf in self.files.leaves(MAX_LOG)]
        except UnreadableError:
            raise
        except VerificationError as error:
            self.why = f"{self.name}: {error}"
            return []
        size = self.head.checkpoint.size
        if len(hashes) < size or root(hashes[:size]) != self.head.checkpoint.root:
            self.why = f"{self.name}: its {len(hashes)} records are not those of its checkpoint, and who exchanged them nobody can tell"
        return hashes


class _Views(View):
    """A file register/views.jsonl alone; its `head` is the newest."""

    def __init__(self, name: str, data: bytes) -> None:
        self._heads: list[SignedHead] = []
        super().__init__(name, None, lambda: self._read(data))

    def _read(self, data: bytes) -> bytes:
        self._heads = heads_of_file(data)
        return self._heads[-1].note

    def register(self) -> list[SignedHead]:
        """All of them."""
        return self._heads


def compare(one: str, other: str, keys: tuple[PublicKey, ...]) -> Comparison:
    """Compares what lies at two paths or addresses. UsageError if one of them is neither a run nor
    a checkpoint; UnreadableError if this machine can't read one."""
    with ExitStack() as opened:
        views = [_view(target, opened) for target in (one, other)]
        heads = [view.head for view in views if view.head is not None]
        if len(heads) < 2:
            return Comparison(untold(*(view.why for view in views if view.why), fix=_AGAIN), tuple(heads))
        return _compare(views, heads[0], heads[1], keys)


def _compare(views: list[View], one: SignedHead, other: SignedHead, keys: tuple[PublicKey, ...]) -> Comparison:
    heads = one, other
    if not is_one_log(one, other) or any(isinstance(view, _Views) for view in views):
        first, second = (view.register() for view in views)
        if not first or not second:
            return Comparison(two_logs(one, other), heads)
        return Comparison(*compare_registers(first, second, keys))
    evidence = connect(one, other, ())
    if evidence is not None and (found := decide(evidence, keys)).verdict is Verdict.FORK:
        return Comparison(found, heads, evidence)  # whatever lies beside the two
    logs = [view.leaves() for view in views]
    evidence = evidence or connect(one, other, logs)
    why = tuple(view.why for view in views if view.why)
    if evidence is None:
        larger = max(one.checkpoint.size, other.checkpoint.size)
        missing = f"two sizes, and nobody shows the {larger} records of the larger tree"
        return Comparison(
            untold(*why, missing, fix=_AGAIN if why else "give the larger run, not its checkpoint alone"), heads
        )
    found = decide(evidence, keys)
    if found.verdict is Verdict.CONSISTENT and why:
        agreeing = "the two checkpoints agree, but records beside them are not what was signed"
        return Comparison(untold(*why, agreeing, fix=_AGAIN), heads)
    if found.verdict is Verdict.CONSISTENT:
        first, second = (view.register() if view.files else [] for view in views)
        if first and second and (forked := compare_registers(first, second, keys))[0].verdict is Verdict.FORK:
            return Comparison(*forked)
    return Comparison(found, heads, evidence)


def check(path: str, keys: tuple[PublicKey, ...]) -> Comparison:
    """What the evidence in a file shows to whoever pinned `keys`. UsageError if there is no such
    file, or it isn't evidence; UnreadableError if this machine can't read it."""
    try:
        evidence = ForkEvidence.parse(_read(path, MAX_EVIDENCE))
    except UnreadableError:
        raise
    except VerificationError as error:
        raise UsageError(f"{path} is not fork evidence, and shows nothing: {error}") from error
    return Comparison(decide(evidence, keys), (evidence.smaller, evidence.larger), evidence)


def _view(target: str, opened: ExitStack) -> View:
    kind = kind_of(target)
    if kind is Kind.EVIDENCE:
        raise UsageError(
            f"{target} is evidence of two checkpoints already: check it with `zk-verify {target} --key KEY`"
        )
    if kind is Kind.VIEWS:
        return _Views(target, _read(target, MAX_VIEWS))
    if kind is Kind.RUN:
        files = opened.enter_context(open_run(target))
        return View(target, files, files.checkpoint)
    return View(target, None, lambda: _read(target, MAX_NOTE_BYTES))


def _read(path: str, limit: int) -> bytes:
    try:
        return read_bounded(Path(path).resolve(), limit)
    except (OSError, RuntimeError) as error:  # of links that are a loop
        raise UsageError(f"{path} can't be read: {error}") from error
