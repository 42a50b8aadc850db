"""A trainer's register in the hands of whoever controls its keys: entries, branches, views of a run
and receipts, made with `core` alone."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from zk_autograd.core.anchors import Receipt
from zk_autograd.core.canonical import Json
from zk_autograd.core.checkpoint import Checkpoint
from zk_autograd.core.keys import Signer
from zk_autograd.core.merkle import consistency_proof, inclusion_proof, leaf_hash, root
from zk_autograd.core.register import Entry, View, origin_of, sign_head
from zk_autograd.evidence.layout import ANCHORS, RECEIPTS, REGISTER, VIEWS


@dataclass
class Tree:
    """A register: `entries` may be changed at will."""

    signers: tuple[Signer, ...]
    entries: list[Entry] = field(default_factory=list)
    origin: str = ""

    def __post_init__(self) -> None:
        self.origin = self.origin or origin_of([signer.public_key for signer in self.signers])

    def hashes(self, size: int | None = None) -> list[bytes]:
        """Of the first `size` leaves."""
        return [leaf_hash(entry.encode()) for entry in self.entries[:size]]

    def head(self, size: int | None = None) -> Checkpoint:
        """The tree head over the first `size` entries (all)."""
        hashes = self.hashes(size)
        return Checkpoint(self.origin, len(hashes), root(hashes))

    def note(self, size: int | None = None) -> bytes:
        """The signed checkpoint over them."""
        return sign_head(self.head(size), self.signers)

    def view(self, index: int, size: int, since: int = 0) -> View:
        """The entry `index` under the tree of `size` entries, after that of `since`."""
        hashes = self.hashes(size)
        return View(
            self.note(size),
            index,
            self.entries[index],
            tuple(inclusion_proof(hashes, index)),
            since,
            tuple(consistency_proof(hashes, since, size)),
        )

    def views(self, *places: tuple[int, int]) -> list[View]:
        """One for each (index, size), each following the one before."""
        sizes = [0, *(size for _, size in places)]
        return [self.view(index, size, since) for (index, size), since in zip(places, sizes, strict=False)]

    def receipt(self, size: int, kind: str, **body: Json) -> Receipt:
        """A receipt for the first `size` entries, written by hand."""
        head = self.head(size)
        return Receipt(kind, head.size, head.root, body)


def write(folder: Path, views: Iterable[View | bytes], receipts: Sequence[Receipt | bytes] = ()) -> None:
    """The two files of a run at `folder`."""
    for path, lines in ((f"{REGISTER}/{VIEWS}", views), (f"{ANCHORS}/{RECEIPTS}", receipts)):
        (folder / path).parent.mkdir(exist_ok=True)
        whole = [line if isinstance(line, bytes) else line.encode() for line in lines]
        (folder / path).write_bytes(b"".join(line + b"\n" for line in whole))
