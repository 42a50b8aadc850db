"""A trainer's register in memory, for tests to bend: entries, branches, a run's views and receipts,
made with `core` alone."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.verify.run_builder import SIGNER, Run, honest
from zk_autograd.core.anchors import Receipt
from zk_autograd.core.checkpoint import Checkpoint
from zk_autograd.core.keys import Signer
from zk_autograd.core.merkle import consistency_proof, inclusion_proof, leaf_hash, root
from zk_autograd.core.register import Entry, Kind, View, origin_of, sign_head

OTHER = Entry(Kind.BEGIN, bytes([9]) * 16, 1, bytes([8]) * 32)
"""The begin of a run that is never shown."""


@dataclass
class Tree:
    """A register: `entries` may be changed at will."""

    entries: list[Entry] = field(default_factory=list)
    signers: tuple[Signer, ...] = (SIGNER,)
    origin: str = origin_of([SIGNER.public_key])

    def hashes(self, size: int | None = None) -> list[bytes]:
        return [leaf_hash(entry.encode()) for entry in self.entries[:size]]

    def head(self, size: int | None = None) -> Checkpoint:
        hashes = self.hashes(size)
        return Checkpoint(self.origin, len(hashes), root(hashes))

    def view(self, index: int, size: int, since: int = 0) -> View:
        """The entry `index` under the tree of `size` entries, after that of `since`."""
        hashes = self.hashes(size)
        return View(
            sign_head(self.head(size), self.signers),
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

    def receipt(self, size: int, kind: str = "file", **body: object) -> Receipt:
        head = self.head(size)
        return Receipt(kind, head.size, head.root, body or {"line": 0})  # type: ignore[arg-type]


def enter(run: Run, tree: Tree, kind: Kind, size: int) -> int:
    """Enters the run's first `size` records; the entry's index."""
    tree.entries.append(Entry(kind, run.header.run, size, run.root(size)))
    return len(tree.entries) - 1


def registered(**changes: object) -> tuple[Run, Tree]:
    """An honest run in a register, between the runs of others: begun by entry 1, entry 3 after 3
    records, closed by entry 5; the tree has 7 entries."""
    run = honest(**changes)  # type: ignore[arg-type]
    tree = Tree()
    run.edit_header(keys=(SIGNER.public_key.encode(),), register=tree.origin)
    if run.header.prover.backend == "ezkl":
        run.reprove()
    return run, entered(run)


def entered(run: Run) -> Tree:
    """A register with the run in it, as `registered`."""
    tree, size = Tree([OTHER]), len(run.leaves())
    enter(run, tree, Kind.BEGIN, 1)
    tree.entries.append(Entry(Kind.CHECKPOINT, OTHER.run, 4, bytes([7]) * 32))
    enter(run, tree, Kind.CHECKPOINT, 3)
    tree.entries.append(Entry(Kind.CHECKPOINT, OTHER.run, 5, bytes([6]) * 32))
    enter(run, tree, Kind.CLOSE if run.close else Kind.CHECKPOINT, size)
    tree.entries.append(Entry(Kind.BEGIN, bytes([5]) * 16, 1, bytes([4]) * 32))
    return tree


PLACES = ((1, 2), (3, 4), (5, 6))
"""Of a `registered` run's views: the entry, and the size of the register's tree."""


def write(folder: Path, views: Sequence[View | bytes], receipts: Sequence[Receipt | bytes] = ()) -> None:
    """The two files of a run at `folder`."""
    for path, lines in (("register/views.jsonl", views), ("anchors/receipts.jsonl", receipts)):
        (folder / path).parent.mkdir(exist_ok=True)
        whole = [line if isinstance(line, bytes) else line.encode() for line in lines]
        (folder / path).write_bytes(b"".join(line + b"\n" for line in whole))
