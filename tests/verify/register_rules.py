"""The simulated attacker's changes to what shows a run's place in its trainer's register: views,
receipts, the register itself, and what the header says of it."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.verify.edits import edit, places_of
from tests.verify.ideal import THIEF, Files, Ledger, World
from tests.verify.ideal_register import OTHER, RECEIPTS, VIEWS, Places, entries_of, written
from tests.verify.plainly import canonical
from zk_autograd.core.keys import Signer
from zk_autograd.core.register import Entry, Kind, origin_of

LIES = ("size", "root", "kind", "run", "drop", "swap", "twice", "begun twice", "early", "none")
numbers = st.integers(0, 2**16)
few = st.integers(0, 6)
lines = st.sampled_from((VIEWS, VIEWS, RECEIPTS))
registered = precondition(lambda self: VIEWS in getattr(self, "files", {}))


class RegisterRules:
    """Rules of the simulator, which do nothing to a run without views."""

    if TYPE_CHECKING:
        files: Files
        ledger: Ledger
        world: World
        signers: tuple[Signer, ...]

        def _put(self, name: str, data: bytes) -> None: ...
        def _mend(self, how: str) -> None: ...
        def _sign(self) -> None: ...
        def _leaves(self) -> list[bytes]: ...
        def _records(self) -> list[Any] | None: ...
        def _put_records(self, records: list[Any]) -> None: ...

    @registered
    @rule(file=lines, one=numbers, other=numbers, how=st.sampled_from(("first", "middle", "last", "double", "swap")))
    def rearrange_lines(self, file: str, one: int, other: int, how: str) -> None:
        """Views or receipts left out, repeated, exchanged."""
        found = self._lines(file)
        a, b = one % len(found), other % len(found)
        if how == "double":
            found.insert(b, found[a])
        elif how == "swap":
            found[a], found[b] = found[b], found[a]
        else:
            del found[{"first": 0, "middle": len(found) // 2, "last": -1}[how]]
        self._put_lines(file, found)

    @registered
    @rule(file=lines, line=numbers, place=numbers, how=numbers)
    def edit_line(self, file: str, line: int, place: int, how: int) -> None:
        """Another value in a view or receipt: a size, a root, a hash of a proof, the checkpoint."""
        found = self._lines(file)
        at = line % len(found)
        try:
            value = json.loads(found[at])
        except ValueError:
            assume(False)
        assume(isinstance(value, dict) and value)
        places = list(places_of(value))
        edit(value, places[place % len(places)], how, places)
        found[at] = canonical(value)
        self._put_lines(file, found)

    @registered
    @rule(file=lines, sibling=few, line=numbers, to=numbers, instead=st.booleans())
    def splice_line(self, file: str, sibling: int, line: int, to: int, instead: bool) -> None:
        """A view or receipt of another run, or of another branch, among this run's."""
        other = self.world.siblings[sibling % len(self.world.siblings)].files[file].split(b"\n")[:-1]
        found = self._lines(file)
        at = to % len(found)
        found[at : at + instead] = [other[line % len(other)]]
        self._put_lines(file, found)

    @registered
    @rule(sibling=few, which=st.sampled_from(((VIEWS,), (RECEIPTS,), (VIEWS, RECEIPTS))))
    def take_place(self, sibling: int, which: tuple[str, ...]) -> None:
        """Another run's place in the register, or its receipts."""
        other = self.world.siblings[sibling % len(self.world.siblings)].files
        for name in which:
            self._put(name, other[name])

    @registered
    @rule(lie=st.sampled_from(LIES), which=few, elsewhere=st.sampled_from((False, False, False, True)), kept=few)
    def enter_again(self, lie: str, which: int, elsewhere: bool, kept: int) -> None:
        """The attacker signs a register anew, with a lie in it; the first views may stay those of
        the branch before."""
        entries, places = self._entries()
        entries, places = _told(lie, entries, places, which)
        self._enter(entries, places, elsewhere=elsewhere, kept=kept if kept < len(places) else 0)

    @registered
    @rule(mend=st.sampled_from(("", "sign", "all")))
    def enter_what_is_there(self, mend: str) -> None:
        """The attacker enters the log as it is now."""
        self._mend(mend)
        self._enter(*self._entries())

    @registered
    @rule(
        name=st.sampled_from(("", "thief", "gone", "upper")), mend=st.sampled_from(("sign", "all")), enter=st.booleans()
    )
    def name_register(self, name: str, mend: str, enter: bool) -> None:
        """The header names no register, or another one."""
        records = self._records()
        assume(records and isinstance(records[0].get("register"), str))
        assert records is not None
        header = records[0]
        if name == "gone":
            del header["register"]
        else:
            header["register"] = {"": "", "thief": origin_of([THIEF.public_key])}.get(name, header["register"].upper())
        self._put_records(records)
        self._mend(mend)
        if enter:
            self._enter(*self._entries())

    @registered
    @rule(size=numbers, views=st.booleans())
    def withhold(self, size: int, views: bool) -> None:
        """The log ends behind an entry of the register, whose view may be left out as well."""
        leaves = self._leaves()
        assume(len(leaves) > 2)
        left = 2 + size % (len(leaves) - 2)
        self._put("log/records.jsonl", b"".join(leaf + b"\n" for leaf in leaves[:left]))
        self._sign()
        if views:
            self._put_lines(VIEWS, self._lines(VIEWS)[: 1 + (left >= 3)])
            self._put_lines(RECEIPTS, self._lines(RECEIPTS)[:1])

    # ---- what the attacker can do ---------------------------------------------------------------

    def _entries(self) -> tuple[list[Entry], Places]:
        try:
            return entries_of(self._leaves())
        except (ValueError, KeyError, TypeError, IndexError, RecursionError):
            assume(False)
            raise

    def _enter(self, entries: list[Entry], places: Places, *, elsewhere: bool = False, kept: int = 0) -> None:
        """Signs a register of these entries, with the run's views and receipts; the first `kept`
        views stay."""
        records = self._records()
        origin = records[0].get("register") if records else ""
        if elsewhere or not isinstance(origin, str) or not origin.isascii() or not origin.startswith("zk-autograd/"):
            origin = origin_of([THIEF.public_key])
        made = written(self.ledger.registers, entries, places, self.signers, origin)
        before = self.files[VIEWS].split(b"\n")[:kept] if kept else []
        self._put_lines(VIEWS, [*before, *made[VIEWS].split(b"\n")[kept:-1]])
        self._put(RECEIPTS, made[RECEIPTS])

    def _lines(self, file: str) -> list[bytes]:
        found = self.files.get(file, b"").split(b"\n")[:-1]
        assume(found)
        return found

    def _put_lines(self, file: str, found: Sequence[bytes]) -> None:
        self._put(file, b"".join(line + b"\n" for line in found))


def _told(lie: str, entries: list[Entry], places: Places, which: int) -> tuple[list[Entry], Places]:
    """The register and the run's views of it, with a lie about one of the run's entries."""
    index = places[which % len(places)][0]
    entry = entries[index]
    changed = {
        "size": replace(entry, size=entry.size + 1),
        "root": replace(entry, root=bytes(32)),
        "kind": replace(entry, kind=list(Kind)[which % len(Kind)]),
        "run": replace(entry, run=OTHER),
    }
    entries = list(entries)
    if lie in changed:
        entries[index] = changed[lie]
    elif lie == "drop":
        places = tuple(place for place in places if place[0] != index) or places
    elif lie == "swap":
        entries[1], entries[index] = entries[index], entries[1]
    elif lie == "twice":
        entries[-1] = entries[index]
        places = (*places, (len(entries) - 1, len(entries)))
    elif lie == "begun twice":
        entries[-1] = entries[1]
        places = (*places, (len(entries) - 1, len(entries)))
    elif lie == "early":
        places = places[:1] + places[-1:]
    return entries, places
