"""Steps 1 to 3: the records as the log has them, who signed it, and whether it is the log that was
signed.

(1) Parse: sizes bounded, no links followed (evidence.folder); canonical bytes of a known format
    (core.record_bytes).
(2) Signatures: every pinned key signed the checkpoint and is one of those that the header names.
(3) Log: the root over the leaves, recomputed, is the checkpoint's; the log's origin is the header's
    run; a root that the auditor gave is the root over the first `size` leaves, which the checkpoint
    covers. The view that counts is that one; records after it don't exist.

Checkpoints and the tree: RFC 9162, C2SP tlog-checkpoint and signed-note (core.merkle, core.note).
"""

from collections.abc import Collection, Sequence
from contextlib import closing
from dataclasses import dataclass

from zk_autograd.core.errors import VerificationError
from zk_autograd.core.keys import PublicKey
from zk_autograd.core.merkle import HASH_BYTES, Frontier, leaf_hash
from zk_autograd.core.note import Checkpoint, open_note, parse_checkpoint, parse_unverified
from zk_autograd.core.record_bytes import LogReader
from zk_autograd.core.records import Log
from zk_autograd.core.text import quoted
from zk_autograd.evidence.run import Evidence
from zk_autograd.verify.outcome import Finding, Level, Outcome, Status
from zk_autograd.verify.policy import TreeHead

MAX_LOG = 2**30
"""Bytes of all records. They are read and hashed one by one, and held packed (core.segments)."""


@dataclass(frozen=True, slots=True)
class LogView:
    """The log that counts: the first `head.size` leaves, as records; and the rest of what the files
    say, still to be compared: how many leaves there are, and the roots over the checkpoint's and
    the head's number of them (None where there are fewer). `hashes` are the leaves' hashes, strung
    together, of a log whose header names a register (else b"")."""

    count: int
    root: bytes | None
    head_root: bytes | None
    note: bytes
    checkpoint: Checkpoint
    head: TreeHead
    log: Log
    hashes: bytes = b""

    def roots(self, sizes: Collection[int]) -> dict[int, bytes]:
        """The root over the first records, for each of these sizes; none for a size of more records
        than the view has. Of a log whose header names a register."""
        tree, found = Frontier(), {}
        for at in range(0, min(max(sizes, default=0), self.head.size) * HASH_BYTES, HASH_BYTES):
            tree.append(self.hashes[at : at + HASH_BYTES])
            if tree.size in sizes:
                found[tree.size] = tree.root()
        return found


def parse(files: Evidence, given: TreeHead | None) -> tuple[LogView, Outcome]:
    """Step 1. `given` is the auditor's root, if they have one."""
    note = files.checkpoint()
    checkpoint = parse_checkpoint(parse_unverified(note).text)
    head = given or TreeHead(checkpoint.root, checkpoint.size)
    reader, tree, count = LogReader(), Frontier(), 0
    roots: dict[int, bytes] = {}
    hashes, held = bytearray(), False
    with closing(files.lines(MAX_LOG)) as leaves:
        for leaf in leaves:
            if count < head.size:
                reader.add(leaf)
                held = held or (count == 0 and reader.header is not None and bool(reader.header.register))
            count += 1
            if count <= max(head.size, checkpoint.size):
                hashed = leaf_hash(leaf)
                tree.append(hashed)
                if held and count <= head.size:
                    hashes += hashed
            if count in (head.size, checkpoint.size):
                roots[count] = tree.root()
    own, asked = roots.get(checkpoint.size), roots.get(head.size)
    view = LogView(count, own, asked, note, checkpoint, head, reader.log(), bytes(hashes))
    form = view.log.header.format
    sentences = [f"{min(count, head.size)} records of the format {form}, canonical, each within its bounds"]
    return view, Outcome(Finding(Status.PASSED, tuple(sentences)))


def check_signatures(view: LogView, keys: Sequence[PublicKey], vouched: Sequence[PublicKey] = ()) -> Outcome:
    """Step 2. `vouched`: none is pinned, and these must have signed, for which step 8 has to vouch
    (verify.attestation)."""
    if vouched:
        open_note(view.note, vouched)
        return Outcome(
            Finding(
                Status.PASSED,
                tuple(
                    f"signed by {key.label}: no key is pinned, and this one counts if step 8 vouches for it"
                    for key in vouched
                ),
            )
        )
    if not keys:
        why = "no key is pinned (--key): nobody vouches for this log, and anybody could have written it"
        return Outcome(
            Finding(Status.SKIPPED, (why,)),
            missing={
                Level.L0: "no key is pinned: give the trainer's key, from a source other than the run, with --key"
            },
            fix="name the trainer's public key, which you have from somewhere other than the run: --key FILE",
        )
    open_note(view.note, keys)
    named = view.log.header.keys
    for key in keys:
        if key.encode() not in named:
            raise VerificationError(
                "the header does not name a pinned key",
                record=0,
                expected=key.label,
                found=f"{len(named)} other keys",
            )
    sentences = [f"signed by the pinned key {key.label}" for key in keys]
    if len(named) > len(keys):
        sentences.append(f"not pinned, so not looked at: {len(named) - len(keys)} of the keys that the header names")
    return Outcome(Finding(Status.PASSED, tuple(sentences)))


def check_log(view: LogView, given: TreeHead | None) -> Outcome:
    """Step 3."""
    checkpoint, count = view.checkpoint, view.count
    if checkpoint.origin != view.log.header.origin:
        raise VerificationError(
            "the checkpoint belongs to another log", expected=view.log.header.origin, found=quoted(checkpoint.origin)
        )
    if count < checkpoint.size:
        raise VerificationError(
            "the log is shorter than its checkpoint", expected=f"{checkpoint.size} records", found=f"{count} records"
        )
    _compare("the checkpoint's root is not that of the log", checkpoint.root, view.root)
    sentences = [f"the root over {checkpoint.size} records is the checkpoint's: {checkpoint.root.hex()}"]
    if given is not None:
        if given.size > checkpoint.size:
            raise VerificationError(
                "the checkpoint does not cover the root that was given",
                expected=f"at least {given.size} records",
                found=f"{checkpoint.size} records",
            )
        _compare("the root that was given is not that of the log", given.root, view.head_root)
        sentences.append(f"the root over the first {given.size} records is the one that was given: {given.root.hex()}")
    if count > view.head.size:
        sentences.append(f"later records don't count, and nothing is said about them: {count - view.head.size}")
    return Outcome(Finding(Status.PASSED, tuple(sentences)), shown=frozenset({Level.L0}))


def _compare(what: str, expected: bytes, found: bytes | None) -> None:
    if found != expected:
        raise VerificationError(what, expected=expected.hex(), found=(found or b"").hex())
