"""What step 4 knows, as values: a run's place in its trainer's register, and what receipts show."""

from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from zk_autograd.core.anchors import AnchorClaim, Kept, Receipt, SignedCheckpoint, Standing
from zk_autograd.core.checkpoint import Checkpoint
from zk_autograd.core.errors import UnreadableError, VerificationError
from zk_autograd.core.register import Entry


@dataclass(frozen=True, slots=True)
class Registered:
    """A run's place in its trainer's register. `heads` are the register's checkpoints by their
    sizes, the newest last; `entries` those of the run, by their indexes, the begin first, and
    `later` how many of them are of records beyond the view; `size` is the view's. `named`: whether
    it is called after a pinned key, unless none is pinned."""

    origin: str
    heads: dict[int, SignedCheckpoint]
    entries: tuple[tuple[int, Entry], ...]
    size: int
    named: bool = True

    @property
    def run(self) -> bytes:
        """The run's id."""
        return self.entries[0][1].run

    @property
    def newest(self) -> Checkpoint:
        """The register's newest tree head."""
        return next(reversed(self.heads.values())).head

    @property
    def index(self) -> int:
        """The index of the run's begin."""
        return self.entries[0][0]

    @property
    def later(self) -> int:
        return sum(entry.size > self.size for _, entry in self.entries)

    @property
    def last(self) -> tuple[int, Entry]:
        """The newest entry in the view: its index, and itself."""
        return self.entries[len(self.entries) - 1 - self.later]

    def records(self, size: int) -> int:
        """How many of the view's records the register's first `size` entries cover; 0 if the run
        isn't among them."""
        count = bisect_left(self.entries, size, key=lambda place: place[0])
        return self.entries[min(count, len(self.entries) - self.later) - 1][1].size if count else 0


@dataclass(frozen=True, slots=True)
class Anchored:
    """A receipt that was judged: the register's tree head that it is for covers the first `records`
    of the view's records."""

    receipt: Receipt
    records: int
    claim: AnchorClaim

    @property
    def size(self) -> int:
        """The tree head's."""
        return self.receipt.size

    @property
    def root(self) -> bytes:
        """The tree head's."""
        return self.receipt.root

    @property
    def kind(self) -> str:
        return self.claim.kind

    @property
    def shown(self) -> bool:
        """Whether somebody whom the auditor trusts vouches for it."""
        return self.claim.standing is Standing.SHOWN

    def is_first_of(self, index: int) -> bool:
        """Whether no tree that the anchor took before held the register's entry of this index, and
        this one does."""
        after = self.claim.beacon_after
        return self.size == index + 1 or (after is not None and after <= index < self.size)


@dataclass(frozen=True, slots=True)
class Asked:
    """Everything that an anchor's service gave out under a register's origin, when it was asked;
    its answer was there by `time` (POSIX seconds). `spec` is KIND:REST. Nothing of it is believed.
    """

    kind: str
    spec: str
    time: int
    kept: tuple[Kept, ...]


@dataclass(frozen=True, slots=True)
class Held:
    """What of it counts: `kept` is signed by all pinned keys, `heads` are its checkpoints; the
    register's first `entries` leaves have the root of one of them. `foreign` others are not signed
    by all pinned keys; of `heads` `apart` can't be put together with what the run shows, and of
    those that some pinned keys signed `partly` can't.
    `findings` say what is wrong with how they are kept; `odd` leaves are no entries; `faults` say
    which entries no honest trainer makes. `begun`: how often a run was, and `open`
    how many of those were never closed."""

    asked: Asked
    looked: bool = False
    kept: tuple[Kept, ...] = ()
    heads: tuple[Checkpoint, ...] = ()
    entries: int = 0
    foreign: int = 0
    apart: int = 0
    partly: int = 0
    findings: tuple[str, ...] = ()
    odd: int = 0
    faults: tuple[str, ...] = ()
    begun: int = 0
    open: int = 0

    @property
    def placed(self) -> int:
        """How many of its checkpoints are on one branch with those that the run shows."""
        return len(self.heads) - self.apart

    @property
    def whole(self) -> bool:
        """Whether all of it is one register, nothing is missing from it, and an honest trainer can
        have made it."""
        return (
            self.looked
            and bool(self.heads)
            and not (self.apart or self.partly or self.findings or self.odd or self.faults)
        )


@dataclass(frozen=True, slots=True)
class Anchoring:
    """What step 4 knows, as values: the run's place in the register, None if it is in none, what
    its receipts show, and what services hold that were asked."""

    registered: Registered | None = None
    anchored: tuple[Anchored, ...] = ()
    held: tuple[Held, ...] = ()

    @property
    def covering(self) -> int:
        """How many of the view's records the register covers."""
        return 0 if self.registered is None else self.registered.last[1].size

    def shown(self, records: int) -> Iterator[Anchored]:
        """What counts, over at least so many records."""
        return (one for one in self.anchored if one.shown and one.records >= records)

    def at_begin(self) -> tuple[Anchored, ...]:
        """What was judged for the first tree with the run's begin: that which ends with it, or the
        one that the anchor took next, if that says so itself (`AnchorClaim.beacon_after`)."""
        return tuple(one for one in self.anchored if self.registered and one.is_first_of(self.registered.index))


NOTHING = Anchoring()


def time_text(seconds: int) -> str:
    """A time in UTC, as reports write it."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, OSError, ValueError):
        return f"{seconds} seconds after 1970"


@contextmanager
def at_line(place: str, number: int) -> Iterator[None]:
    """Says in which line of the run's file `place` something is false."""
    try:
        yield
    except UnreadableError:
        raise
    except VerificationError as error:
        raise VerificationError(
            f"{place}, line {number}: {error.message}", expected=error.expected, found=error.found
        ) from error
