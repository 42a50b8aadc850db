"""A register's new entries in sentences: which runs were begun, went on or were closed, and what no
honest trainer enters.

The register shows each run that was entered, so also those that were begun and never shown to
anybody: that is what an auditor reads it for.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from zk_autograd.core.errors import VerificationError
from zk_autograd.core.register import Entry, Kind
from zk_autograd.core.text import counted

MOST = 50
"""Sentences about entries; the rest is counted."""


@dataclass(slots=True)
class RunInRegister:
    """A run as the register has it: `begun` is the position of its begin entry (None: it has none),
    `newest` its newest entry, at `index`."""

    begun: int | None
    index: int
    newest: Entry

    @property
    def closed(self) -> bool:
        return self.newest.kind is Kind.CLOSE


def runs_in(leaves: Sequence[bytes], since: int = 0) -> tuple[dict[bytes, RunInRegister], list[str]]:
    """The runs by their id, in the order of their first entries, and a sentence for each entry from
    `since` on."""
    runs: dict[bytes, RunInRegister] = {}
    said: list[str] = []
    for index, leaf in enumerate(leaves):
        try:
            entry = Entry.parse(leaf)
        except VerificationError as error:
            sentence = f"entry {index} is none of a run, as far as this version knows: {error}"
        else:
            sentence = _entered(runs, index, entry)
        if index >= since:
            said.append(sentence)
    return runs, said


def told(leaves: Sequence[bytes], since: int) -> tuple[str, ...]:
    """What the entries from `since` on say, and which runs aren't closed."""
    runs, said = runs_in(leaves, since)
    unclosed = [run for run in runs.values() if not run.closed]
    rest = len(said) - MOST
    more = (f"further new entries: {rest}",) if rest > 0 else ()
    return (
        *said[:MOST],
        *more,
        f"the register has {counted(len(runs), 'run')}, of which {len(unclosed)} not closed",
    )


def _entered(runs: dict[bytes, RunInRegister], index: int, entry: Entry) -> str:
    name, before = f"run {entry.run.hex()}", runs.get(entry.run)
    why = _fault(entry, before)
    if entry.kind is Kind.BEGIN:
        text = f"{name} was begun (entry {index})"
    elif entry.kind is Kind.CLOSE:
        text = f"{name} was closed with {entry.size} records (entry {index})"
    else:
        text = f"{name} has {entry.size} records (entry {index})"
    begun = index if entry.kind is Kind.BEGIN else None
    runs[entry.run] = RunInRegister(begun if before is None else before.begun, index, entry)
    return f"{text}: {why}" if why else text


def _fault(entry: Entry, before: RunInRegister | None) -> str:
    """Why no honest trainer enters this after what the run had; "" if one may."""
    if before is None:
        return "" if entry.kind is Kind.BEGIN else "it was never begun"
    old = f"entry {before.index} has {before.newest.size} records of it"
    if entry.kind is Kind.BEGIN:
        return f"a second time: {old}"
    if before.closed:
        return f"after its close: {old}"
    if entry.size < before.newest.size:
        return f"it fell back: {old}"
    if entry.size == before.newest.size and entry.root != before.newest.root:
        return f"with other records: {old}"
    return ""
