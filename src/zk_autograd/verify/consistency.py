"""Whether two signed checkpoints are of one log that only grew, and whose word is broken if not.

What proves anything against whoever holds a key is what that key signed, and nothing else: two
checkpoints of one origin, of which no append-only log can have both.

* Equal sizes, two roots.
* Sizes m < n, and a valid consistency proof (RFC 9162 section 2.1.4) from a root r' at m to the
  signed root at n, where r' is not the root signed for m. The proof recomputes the root at n from
  r' and subtrees beside it, each at the place that m and n give it. SHA-256 has no known
  collisions, so whatever leaves the signer had under the root at n, their first m have the root r';
  and the signer signed another for m.
* A root of the empty tree that is not SHA-256 of nothing.

Records prove nothing against a signer. Anybody can put false records beside a true checkpoint; they
count only as far as their root is a signed one. So what can't be told stays untold, and is neither
consistent nor a fork.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from zk_autograd.core.errors import ExitStatus, UnreadableError, VerificationError
from zk_autograd.core.keys import PublicKey
from zk_autograd.core.merkle import EMPTY_ROOT, consistency_proof, prefix_roots, verify_consistency
from zk_autograd.core.note import open_note
from zk_autograd.core.register import is_origin, renamed
from zk_autograd.core.text import counted, quoted
from zk_autograd.evidence.fork_evidence import ForkEvidence, SignedHead


class Verdict(Enum):
    """What two checkpoints show. The value is what reports print."""

    CONSISTENT = "CONSISTENT"
    FORK = "FORK PROVED"
    UNTOLD = "CAN'T TELL"

    @property
    def exit_status(self) -> ExitStatus:
        """The status of a command that ends in it."""
        return {
            Verdict.CONSISTENT: ExitStatus.DONE,
            Verdict.FORK: ExitStatus.REFUSED,
            Verdict.UNTOLD: ExitStatus.LESS,
        }[self]


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict, why, and the keys that it concerns: those that signed both checkpoints. `fix`:
    what to do, unless the two are consistent."""

    verdict: Verdict
    sentences: tuple[str, ...]
    keys: tuple[PublicKey, ...] = ()
    fix: str = ""


def untold(*sentences: str, fix: str) -> Decision:
    """That nothing can be told, why, and what to do about it."""
    return Decision(Verdict.UNTOLD, sentences, fix=fix)


def is_one_log(one: SignedHead, other: SignedHead) -> bool:
    """Whether the two have one origin. A key may sign any number of logs, which needn't agree."""
    return one.checkpoint.origin == other.checkpoint.origin


def two_logs(one: SignedHead, other: SignedHead) -> Decision:
    """What heads of two logs show."""
    origins = f"{quoted(one.checkpoint.origin)} and {quoted(other.checkpoint.origin)}"
    return untold(f"two logs, {origins}: they needn't agree", fix="compare two views of one run")


def connect(one: SignedHead, other: SignedHead, logs: Iterable[Sequence[bytes]]) -> ForkEvidence | None:
    """The evidence on two heads, in either order. None if it takes the records of the larger one,
    and none of `logs`, which are lists of 32-byte leaf hashes, holds them."""
    smaller, larger = sorted((one, other), key=lambda head: head.place)
    size1, size2 = smaller.checkpoint.size, larger.checkpoint.size
    if size1 in (0, size2):
        return ForkEvidence(smaller, larger)
    for leaves in logs:
        if len(leaves) < size2:
            continue
        roots = prefix_roots(leaves[:size2], (size1, size2))
        if roots[size2] == larger.checkpoint.root:
            return ForkEvidence(smaller, larger, roots[size1], tuple(consistency_proof(leaves, size1, size2)))
    return None


def decide(evidence: ForkEvidence, keys: Sequence[PublicKey]) -> Decision:
    """What the evidence shows to whoever pinned `keys`.

    A fork is proved if any one of them signed both checkpoints; two checkpoints are consistent if
    all did. UnreadableError if this machine can't check a signature that it takes.
    """
    heads = evidence.smaller, evidence.larger
    if not is_one_log(*heads):
        return two_logs(*heads)
    try:
        agree = _agree(evidence)
    except VerificationError as error:
        why = f"the hashes show nothing, neither that the two agree nor that they don't: {error}"
        return untold(why, fix="ask for the two runs, and compare them yourself: this file was damaged, or made up")
    if not keys:
        return untold(
            f"the two trees {'agree' if agree else 'disagree'}, but no key is pinned, so nobody is shown to have signed "
            f"them. The signatures, unchecked, name {_named(heads)}",
            fix="name the trainer's public key, which you have from somewhere other than the two: --key FILE",
        )
    signers: list[PublicKey] = []
    refused: list[str] = []
    unread: list[UnreadableError] = []
    for key in keys:
        try:
            missing = [text for head in heads if (text := _unsigned(head, key))]
        except UnreadableError as error:
            unread.append(error)
            continue
        refused += missing
        if not missing:
            signers.append(key)
    if unread and (agree or not signers):
        raise unread[0]
    if not signers or (agree and refused):
        why = refused[0] if signers else f"no pinned key signed both: {refused[0]}"
        return untold(
            why, fix="pin the key that signed both, if you have it from elsewhere; or get checkpoints that yours signed"
        )
    said = _consistency(evidence) if agree else _contradiction(evidence)
    by = tuple(f"both are signed by the pinned key {key.label}" for key in signers)
    if agree:
        return Decision(Verdict.CONSISTENT, (*said, *by), tuple(signers))
    return Decision(
        Verdict.FORK,
        (*said, *by),
        tuple(signers),
        "rely on neither log; whoever relies on one should get this evidence",
    )


def signers_of(head: SignedHead, keys: Sequence[PublicKey]) -> tuple[PublicKey, ...]:
    """Those of the keys that signed the head. UnreadableError if this machine can't tell."""
    return tuple(key for key in keys if not _unsigned(head, key))


def _agree(evidence: ForkEvidence) -> bool:
    """Whether one log can have both heads. VerificationError if the hashes don't show it."""
    first, second = evidence.smaller.checkpoint, evidence.larger.checkpoint
    if any(head.size == 0 and head.root != EMPTY_ROOT for head in (first, second)):
        return False
    if first.size == second.size:
        return first.root == second.root
    if first.size == 0:
        return True
    if evidence.prefix is None:
        raise VerificationError("there is no prefix")
    verify_consistency(first.size, second.size, evidence.prefix, second.root, evidence.proof)
    return evidence.prefix == first.root


def _unsigned(head: SignedHead, key: PublicKey) -> str:
    """Why the head is not signed by the key; "" if it is. A register is signed under its origin's
    name. UnreadableError if this machine can't tell."""
    origin = head.checkpoint.origin
    try:
        open_note(head.note, renamed((key,), origin) if is_origin(origin) else (key,))
    except UnreadableError:
        raise
    except VerificationError as error:
        return f"the checkpoint {head.checkpoint.root.hex()}@{head.checkpoint.size}: {error}"
    return ""


def _named(heads: Sequence[SignedHead]) -> str:
    """The keys whose name and ID stand under both heads."""
    first, second = ({(line.name, line.key_id) for line in head.parsed.lines} for head in heads)
    both = sorted(first & second)[:3]
    return ", ".join(f"{quoted(name)} (ID {key_id.hex()})" for name, key_id in both) or "no key under both"


def _consistency(evidence: ForkEvidence) -> tuple[str, ...]:
    first, second = evidence.smaller.checkpoint, evidence.larger.checkpoint
    if first.size == second.size:
        shown = "both have one tree"
    else:
        shown = f"the tree of {counted(second.size, 'record')} begins with that of {first.size}"
        shown += ": a consistency proof leads to both roots" if evidence.proof else ""
    return shown, "of these two alone: nothing is said about any third checkpoint"


def _contradiction(evidence: ForkEvidence) -> tuple[str, ...]:
    first, second = evidence.smaller.checkpoint, evidence.larger.checkpoint
    records = counted(first.size, "record")
    if first.size == second.size and first.root != second.root:
        shown = f"two roots for {records}: {first.root.hex()} and {second.root.hex()}"
    elif first.size == 0:
        return (f"the root of no records is SHA-256 of nothing, and {first.root.hex()} was signed: no log has it",)
    else:
        assert evidence.prefix is not None
        shown = (
            f"the first {records} of the tree of {second.size} have the root {evidence.prefix.hex()}, "
            f"and {first.root.hex()} was signed for them"
        )
    return (
        shown,
        "a log that only grows can't have both. Whoever went on from an old copy of a run signs such a pair as well as whoever means to",
    )
