"""A run's segment records, packed: a log of a million steps fits into memory beside what judges it.

A record of one block and one step has 750 bytes of text; as objects of Python it takes two
kilobytes, packed some 220 bytes: commitments without their hexadecimal, and each state-in that is
the state-out before it is not held at all.
"""

import json
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, overload

from zk_autograd.core.canonical import encode
from zk_autograd.core.records import Header, Segment, StateCommitments

_HASH_BYTES = 32


class Packed(NamedTuple):
    """A segment record with its commitments strung together: a state's by its states' names in
    alphabetical order (as in canonical JSON), then by block. `opened` are the gradients' and then
    the proofs' hashes; `told` is the JSON array of `loss`, `lr` and `saturated`; `claims`: whether
    loss or saturated has any entry."""

    number: int
    first: int
    last: int
    state_in: bytes
    state_out: bytes
    opened: bytes
    batches: bytes
    told: bytes
    claims: bool


class Segments(Sequence[Segment]):
    """The segments of a run in their order. Each is unpacked when it is asked for; what the chain
    and the constants need of every one of them costs no unpacking."""

    __slots__ = ("_apart", "_blocks", "_claims", "_ends", "_fixed", "_names", "_nbytes", "_numbers", "_opened", "_order",
                 "_rest", "_state", "_state_out")  # fmt: skip

    def __init__(self, header: Header, segments: Iterable[Segment] = ()) -> None:
        """`segments` are the first ones."""
        form, self._blocks = header.prover.form, len(header.blocks)
        self._order, self._names, self._nbytes = header.states, sorted(header.states), form.commitment_bytes
        self._state = len(self._names) * self._blocks * self._nbytes
        self._opened = self._blocks * (self._nbytes + (_HASH_BYTES if form.proves else 0))
        self._numbers = array("Q")
        self._fixed = bytearray()
        self._apart: dict[int, bytes] = {}
        self._rest = bytearray()
        self._ends = array("Q", [0])
        self._state_out = b""
        self._claims = False
        for segment in segments:
            self.append(segment)

    def append(self, segment: Segment) -> None:
        """Adds the next segment: one that a reader of the run's records accepts, or ValueError."""
        proofs = b"".join(segment.proofs)
        told = encode([segment.loss, segment.lr, segment.saturated])
        self.add(
            Packed(
                segment.index,
                segment.first,
                segment.last,
                self._strung(segment.state_in),
                self._strung(segment.state_out),
                b"".join(segment.gradients) + proofs,
                segment.batches,
                told,
                bool(segment.loss or segment.saturated),
            )
        )

    def add(self, packed: Packed) -> None:
        """As `append`."""
        number, first, last, state_in, state_out, opened, batches, told, claims = packed
        if len(state_in) != self._state or len(state_out) != self._state or len(opened) != self._opened:
            raise ValueError("the segment has other commitments or proofs than its run has blocks and states")
        if state_in != self._state_out:
            self._apart[len(self)] = state_in
        self._state_out = state_out
        self._numbers.extend((number, first, last))
        self._fixed += state_out
        self._fixed += opened
        self._rest.append(len(batches))
        self._rest += batches
        self._rest += told
        self._ends.append(len(self._rest))
        self._claims = self._claims or claims

    @property
    def claims(self) -> bool:
        """Whether any has a loss or a saturation count."""
        return self._claims

    def places(self) -> Iterator[tuple[int, int, int]]:
        """Each one's `index`, `first` and `last`, as recorded."""
        numbers = iter(self._numbers)
        return zip(numbers, numbers, numbers, strict=True)

    def lr(self, number: int) -> tuple[tuple[str, ...], ...]:
        """The `lr` of one."""
        _, told = self._told(number)
        return tuple(map(tuple, json.loads(told)[1]))

    def follows(self, number: int) -> bool:
        """Whether the state-in of segment `number` > 0 is the state-out before it, to the byte."""
        return number > 0 and number not in self._apart

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(one == two for one, two in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    @overload
    def __getitem__(self, number: int) -> Segment: ...
    @overload
    def __getitem__(self, number: slice) -> tuple[Segment, ...]: ...
    def __getitem__(self, number: int | slice) -> Segment | tuple[Segment, ...]:
        if isinstance(number, slice):
            return tuple(self._unpacked(i) for i in range(*number.indices(len(self))))
        if not -len(self) <= number < len(self):
            raise IndexError("no such segment")
        return self._unpacked(number % len(self))

    def _unpacked(self, number: int) -> Segment:
        index, first, last = self._numbers[3 * number : 3 * number + 3]
        start = number * (self._state + self._opened)
        opened = bytes(self._fixed[start + self._state : start + self._state + self._opened])
        batches, told = self._told(number)
        loss, lr, saturated = json.loads(told)
        end = self._blocks * self._nbytes
        return Segment(
            index,
            first,
            last,
            self._named(self._before(number)),
            self._named(self._after(number)),
            _cut(opened[:end], self._nbytes),
            batches,
            tuple(map(tuple, lr)),
            _cut(opened[end:], _HASH_BYTES),
            tuple(loss),
            tuple(saturated),
        )

    def _before(self, number: int) -> bytes:
        return self._apart[number] if number in self._apart else self._after(number - 1)

    def _after(self, number: int) -> bytes:
        start = number * (self._state + self._opened)
        return bytes(self._fixed[start : start + self._state])

    def _told(self, number: int) -> tuple[bytes, bytes]:
        """The commitment to the batches, and loss, lr and saturated as JSON."""
        rest = bytes(self._rest[self._ends[number] : self._ends[number + 1]])
        return rest[1 : 1 + rest[0]], rest[1 + rest[0] :]

    def _strung(self, state: StateCommitments) -> bytes:
        return b"".join(commitment for name in self._names for commitment in state[name])

    def _named(self, state: bytes) -> StateCommitments:
        length = self._blocks * self._nbytes
        found = {name: state[i * length : (i + 1) * length] for i, name in enumerate(self._names)}
        return {name: _cut(found[name], self._nbytes) for name in self._order}


def _cut(strung: bytes, nbytes: int) -> tuple[bytes, ...]:
    return tuple(strung[at : at + nbytes] for at in range(0, len(strung), nbytes))
