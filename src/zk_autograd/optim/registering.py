"""Where a run is registered and anchored, from what its trainer says of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import sleep
from typing import Literal, cast

from zk_autograd.anchor.kinds import open_anchor
from zk_autograd.core.anchors import Anchor, BeaconAnchor
from zk_autograd.core.errors import UsageError
from zk_autograd.core.keys import Signer
from zk_autograd.core.register import EVERY, origin_of
from zk_autograd.evidence.layout import MAX_LEAVES
from zk_autograd.local.own_folders import expanded
from zk_autograd.register.database import DATABASE
from zk_autograd.register.place import place_of
from zk_autograd.run.registering import Registration


@dataclass(frozen=True, slots=True)
class Registering:
    """What a caller says of a run's register. `wanted`: its folder; None for the default one of a
    key that lies in a file; False for none. `anchors` are specifications KIND:REST, or anchors."""

    wanted: str | Path | Literal[False] | None = None
    anchors: tuple[str | Anchor, ...] = ()
    every: int = EVERY

    def __post_init__(self) -> None:
        if type(self.every) is not int or not 1 <= self.every <= MAX_LEAVES:
            raise UsageError(f"anchor_every is {self.every!r}; it must be a number of records, of 1 to {MAX_LEAVES}")

    @property
    def specs(self) -> tuple[str, ...]:
        """The anchors, as people are shown them."""
        return tuple(one if isinstance(one, str) else one.spec for one in self.anchors)

    @property
    def folder(self) -> Path | None:
        """The folder that was named."""
        return Path(expanded(str(self.wanted))) if self.wanted else None


DEFAULT = Registering()

_LOOKS, _PAUSE = 20, 0.05
"""A key is there a moment before its register: another first training may be making both."""

NO_REGISTER = "a beacon's run must be in a register, in which its header is entered before the beacon is known"


def beacon_of(start: str) -> BeaconAnchor | None:
    """Who gives the first weights under the text `start`, beacon:KIND:REST; None for "", where the
    trainer chooses them. UsageError for any other, and for an anchor that gives no beacon."""
    if not start:
        return None
    prefix, _, spec = start.partition(":")
    if prefix != "beacon" or not spec:
        raise UsageError(f"{start[:60]!r} names no start: it is beacon:KIND:REST, such as beacon:evm:URL,key=FILE")
    anchor = open_anchor(spec)
    if not hasattr(anchor, "beacon"):
        raise UsageError(
            f"an anchor of the kind {anchor.kind} gives no beacon: its trainer could ask for as many as they like, and take the one whose "
            "first weights they prefer; a chain (beacon:evm:...) anchors one tree once"
        )
    return cast(BeaconAnchor, anchor)


def terms_of(source: BeaconAnchor) -> tuple[tuple[str, str], ...]:
    """What a header says of its beacon."""
    return tuple(sorted({**source.beacon_terms(), "kind": source.kind}.items()))


def registration_of(asked: Registering, signers: Sequence[Signer], *, from_file: bool) -> Registration | None:
    """How a run of these signers is registered; None for not at all. `from_file`: their keys lie in
    a file.

    UsageError for an anchor that there can't be, for anchors without a register, and if no register
    was begun where one is asked for; StorageError if it can't be written to.
    """
    anchors = tuple(open_anchor(one) if isinstance(one, str) else one for one in asked.anchors)
    folder = asked.folder
    if asked.wanted is False or (folder is None and not from_file):
        if anchors:
            raise UsageError("anchors hold the checkpoints of a register: say where that lies, with register=")
        return None
    if folder is None:
        folder = place_of([signer.public_key for signer in signers])
    registration = Registration(folder.absolute(), anchors, asked.every)
    begun = registration.folder / DATABASE
    for _ in range(_LOOKS if asked.folder is None else 0):
        if begun.exists():
            break
        sleep(_PAUSE)
    try:
        registration.require(signers)
    except UsageError as error:
        raise UsageError(
            f"{error}. A run in no register says so in its header (--no-register, register=False)"
        ) from None
    return registration


def register_of(signers: Sequence[Signer], registration: Registration | None) -> str:
    """What a header says of its register."""
    return "" if registration is None else origin_of([signer.public_key for signer in signers])
