"""A trainer's register in memory, for tests to bend: entries, branches, a run's views and receipts,
made with `core` alone (attacks.tools.register_tree)."""

from dataclasses import dataclass

from attacks.tools import register_tree
from attacks.tools.register_tree import write
from tests.verify.run_builder import SIGNER, Run, honest
from zk_autograd.core.anchors import Receipt
from zk_autograd.core.keys import Signer
from zk_autograd.core.merkle import consistency_proof
from zk_autograd.core.register import Entry, Kind

__all__ = ["OTHER", "PLACES", "History", "Tree", "enter", "entered", "registered", "write"]

OTHER = Entry(Kind.BEGIN, bytes([9]) * 16, 1, bytes([8]) * 32)
"""The begin of a run that is never shown."""


@dataclass
class Tree(register_tree.Tree):
    """The test trainer's register, and the file anchor's receipts."""

    def __init__(
        self, entries: list[Entry] | None = None, signers: tuple[Signer, ...] = (SIGNER,), origin: str = ""
    ) -> None:
        super().__init__(signers, entries if entries is not None else [], origin)

    def receipt(self, size: int, kind: str = "file", **body: object) -> Receipt:
        """With a line's number, if it says nothing else."""
        return super().receipt(size, kind, **(body or {"line": 0}))  # type: ignore[arg-type]


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


class History:
    """A tree for publishers (core.anchors.History)."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def entries(self, first: int, end: int) -> list[bytes]:
        return [entry.encode() for entry in self._tree.entries[first:end]]

    def consistency(self, size1: int, size2: int) -> list[bytes]:
        return consistency_proof(self._tree.hashes(size2), size1, size2)


PLACES = ((1, 2), (3, 4), (5, 6))
"""Of a `registered` run's views: the entry, and the size of the register's tree."""
