"""What is true of registers: which trees were signed, and by whom; and a run's place in one."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from attacks.tools.register_tree import Tree
from zk_autograd.core.anchors import Receipt
from zk_autograd.core.keys import Algorithm, Signer
from zk_autograd.core.merkle import leaf_hash, root
from zk_autograd.core.register import Entry, Kind, origin_of

VIEWS, RECEIPTS = "register/views.jsonl", "anchors/receipts.jsonl"
OTHER = bytes([9]) * 16
"""The id of a run that is never shown."""

Places = tuple[tuple[int, int], ...]
"""Of a run's views: the entry, and the size of the register's tree."""


@dataclass
class Registers:
    """`trees`: the leaves of each checkpoint's text; `lines`: whose each signature line is, under
    its text; `origins`: the register of each Ed25519 key."""

    trees: dict[str, tuple[bytes, ...]] = field(default_factory=dict)
    lines: dict[tuple[str, str], str] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)

    def copy(self) -> "Registers":
        """One that grows apart from this one."""
        return Registers(dict(self.trees), dict(self.lines), dict(self.origins))

    def remember(self, note: bytes, leaves: Iterable[bytes], signers: Sequence[Signer]) -> None:
        """These signers really made this note over these leaves."""
        text, signed = apart(note.decode())
        self.trees[text] = tuple(leaves)
        for signer, line in zip(signers, signed, strict=True):
            key = signer.public_key
            self.lines[text, line] = key.encode()
            if key.algorithm is Algorithm.ED25519:
                self.origins[key.encode()] = origin_of([key])


def apart(note: str) -> tuple[str, list[str]]:
    """A note's text, and its signature lines; what comes after the last is one of them."""
    text, _, lines = note.rpartition("\n\n")
    return text, lines.removesuffix("\n").split("\n")


def entries_of(leaves: Sequence[bytes], *, closed: bool | None = None) -> tuple[list[Entry], Places]:
    """A register with a run of these records among others: begun, entered after three records, and
    as it is now; the places of its views. ValueError for what is no log."""
    run = bytes.fromhex(json.loads(leaves[0])["run"])
    if len(run) != len(OTHER):
        raise ValueError("no run's id")

    def over(kind: Kind, size: int) -> Entry:
        return Entry(kind, run, size, root([leaf_hash(leaf) for leaf in leaves[:size]]))

    ended = json.loads(leaves[-1])["type"] == "close" if closed is None else closed
    other = [Entry(Kind.CHECKPOINT, OTHER, n, sha256(b"%d" % n).digest()) for n in range(2, 6)]
    entries = [other[0], over(Kind.BEGIN, 1), other[1]]
    places = [(1, 2)]
    if len(leaves) > 3:
        places.append((len(entries), len(entries) + 1))
        entries += [over(Kind.CHECKPOINT, 3), other[2]]
    if len(leaves) > 1:
        last = len(entries)
        entries += [over(Kind.CLOSE if ended else Kind.CHECKPOINT, len(leaves)), other[3]]
        places += [(last, last + 1), (last, last + 2)]
    return entries, tuple(places)


def written(
    registers: Registers, entries: list[Entry], places: Places, signers: Sequence[Signer], origin: str
) -> dict[str, bytes]:
    """A run's two files: views, which these signers make, and receipts of the anchor `file` for the
    first and the last of them."""
    tree = Tree(tuple(signers), entries, origin)
    views = tree.views(*places)
    for view, (_, size) in zip(views, places, strict=True):
        registers.remember(view.note, [entry.encode() for entry in entries[:size]], signers)
    sizes = dict.fromkeys(size for _, size in (places[:1] + places[-1:]))
    receipts: list[Receipt] = [tree.receipt(size, "file", line=n) for n, size in enumerate(sizes)]
    return {
        VIEWS: b"".join(view.encode() + b"\n" for view in views),
        RECEIPTS: b"".join(receipt.encode() + b"\n" for receipt in receipts),
    }
