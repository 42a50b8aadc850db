"""What a register has of each run, entry after entry, and what no honest trainer enters: rules that
whoever reads all entries holds them against."""

from dataclasses import dataclass

from zk_autograd.core.register import Entry, Kind


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


def take(runs: dict[bytes, RunInRegister], index: int, entry: Entry) -> str:
    """Takes the register's entry `index` into the runs, by their id. Why no honest trainer enters
    it after what the run had; "" if one may."""
    before = runs.get(entry.run)
    why = _fault(entry, before)
    begun = index if entry.kind is Kind.BEGIN else None
    runs[entry.run] = RunInRegister(begun if before is None else before.begun, index, entry)
    return why


def _fault(entry: Entry, before: RunInRegister | None) -> str:
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


def sentence(index: int, entry: Entry, why: str = "") -> str:
    """The register's entry `index`, and `why` no honest trainer enters it, for a reader."""
    name = f"run {entry.run.hex()}"
    if entry.kind is Kind.BEGIN:
        text = f"{name} was begun (entry {index})"
    elif entry.kind is Kind.CLOSE:
        text = f"{name} was closed with {entry.size} records (entry {index})"
    else:
        text = f"{name} has {entry.size} records (entry {index})"
    return f"{text}: {why}" if why else text
