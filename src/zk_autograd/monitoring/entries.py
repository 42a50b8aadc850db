"""A register's new entries in sentences: which runs were begun, went on or were closed, and what no
honest trainer enters.

The register shows each run that was entered, so also those that were begun and never shown to
anybody: that is what an auditor reads it for.
"""

from collections.abc import Sequence

from zk_autograd.core.errors import VerificationError
from zk_autograd.core.register import Entry
from zk_autograd.core.register_runs import RunInRegister, sentence, take
from zk_autograd.core.text import counted

MOST = 50
"""Sentences about entries; the rest is counted."""


def runs_in(leaves: Sequence[bytes], since: int = 0) -> tuple[dict[bytes, RunInRegister], list[str]]:
    """The runs by their id, in the order of their first entries, and a sentence for each entry from
    `since` on."""
    runs: dict[bytes, RunInRegister] = {}
    said: list[str] = []
    for index, leaf in enumerate(leaves):
        try:
            entry = Entry.parse(leaf)
        except VerificationError as error:
            text = f"entry {index} is none of a run, as far as this version knows: {error}"
        else:
            text = sentence(index, entry, take(runs, index, entry))
        if index >= since:
            said.append(text)
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
