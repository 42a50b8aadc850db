"""What a receipt of the anchor `evm` shows: that a block's state holds this tree head, as the entry
of an account in the contract. Its body is in body.py, what makes a beacon of it in beacon.py. The
auditor brings the hash of a block that is on the chain, any of those in the receipt.

What it rests on is the chain: that most of those who run it let no other history through, and that
the auditor's source of the hash is honest. The contract takes under one account and origin only
trees that continue each other; so there is no other branch, as far as the auditor knows the
account.
"""

from collections.abc import Sequence
from typing import Any

from zk_autograd.anchor.evm import keccak
from zk_autograd.anchor.evm.beacon import beacon_of, terms
from zk_autograd.anchor.evm.body import Body
from zk_autograd.anchor.evm.header import Header, parse_chain
from zk_autograd.anchor.evm.slots import Place
from zk_autograd.anchor.evm.trust import Trust, read_trust
from zk_autograd.core.anchors import AnchorClaim, Receipt, SignedCheckpoint, Standing
from zk_autograd.core.checkpoint import Checkpoint
from zk_autograd.core.text import counted

__all__ = ["KIND", "read_trust", "verify"]

KIND = "evm"
_MISSING = "that takes the package pycryptodome: pip install 'zk-autograd[evm]'"


def verify(receipt: Receipt, checkpoint: SignedCheckpoint, trust: Any | None) -> AnchorClaim:
    """See core.anchors.AnchorVerifier."""
    receipt.require_head(checkpoint.head)
    body = Body.read(receipt.fields())
    if not keccak.available():
        return AnchorClaim(KIND, Standing.UNJUDGED, _MISSING)
    headers = parse_chain(body.headers)
    place = body.place_of(headers[0], checkpoint.head)
    if trust is not None and not isinstance(trust, Trust):
        raise TypeError(f"trust in {KIND} is a Trust, not {type(trust).__name__}")
    top = None if trust is None else _trusted(headers, trust)
    if trust is None or top is None:
        return AnchorClaim(KIND, Standing.UNJUDGED, _look_up(body, headers))
    if missing := _missing(body, place, top, trust):
        return AnchorClaim(KIND, Standing.UNJUDGED, missing)
    return _shown(body, headers[0], place, checkpoint.head, top, trust)


def _trusted(headers: Sequence[Header], trust: Trust) -> Header | None:
    """The last of the headers that the auditor knows to be on the chain: so are those before it."""
    return next((header for header in reversed(headers) if header.hash in trust.blocks), None)


def _look_up(body: Body, headers: Sequence[Header]) -> str:
    last = headers[-1]
    return (
        f"ask a node that you trust for block {last.number} of the EVM chain {body.chain}; "
        f"if its hash is 0x{last.hash.hex()}, add that to `blocks` of [anchors.evm]"
    )


def _missing(body: Body, place: Place, top: Header, trust: Trust) -> str:
    """What the auditor's trust doesn't cover of a receipt whose block they know; "" for nothing."""
    for name, found, wanted in (
        ("chain", str(body.chain), str(trust.chain)),
        ("contract", f"0x{body.contract.hex()}", f"0x{trust.contract.hex()}"),
        ("publisher", f"0x{body.publisher.hex()}", f"0x{(trust.publisher or body.publisher).hex()}"),
    ):
        if found != wanted:
            return f"the receipt's {name} is {found}, and you trust {wanted}"
    if top.number - place.number < trust.depth:
        return (
            f"it was anchored in block {place.number}, only {counted(top.number - place.number, 'block')} "
            f"below the one that you know, and your `depth` is {trust.depth}"
        )
    return ""


def _shown(body: Body, header: Header, place: Place, head: Checkpoint, top: Header, trust: Trust) -> AnchorClaim:
    rests_on = (
        f"on the EVM chain {body.chain}, of which you know block {top.number}: the contract 0x{body.contract.hex()} "
        f"took it from the account 0x{body.publisher.hex()} in block {place.number}"
    )
    if trust.publisher is None:
        rests_on += "; from another account it may have taken another branch, since you name no `publisher`"
    beacon, why = None, ""
    if body.delay:
        beacon, why = _beacon(body, header, head, top, trust)
    return AnchorClaim(
        KIND,
        Standing.SHOWN,
        rests_on + why,
        time=place.time,
        excludes_forks=trust.publisher is not None,
        beacon=beacon,
        identity=(f"{KIND}:{body.chain}",),
        beacon_terms=_terms(body) if beacon else {},
        beacon_after=place.previous if beacon else None,
    )


def _beacon(body: Body, header: Header, head: Checkpoint, top: Header, trust: Trust) -> tuple[bytes | None, str]:
    """The beacon of the block, or None and why it isn't one."""
    if header.mix is None:
        return None, f"; block {header.number} has no randomness of its proposers, so it is no beacon"
    if top.number - header.number < trust.depth:
        return None, f"; its beacon is not yet {trust.depth} blocks below the one that you know"
    if body.delay < trust.delay:
        return None, f"; a beacon {counted(body.delay, 'block')} later may have been known: you ask for {trust.delay}"
    return beacon_of(_terms(body), head, header.number, header.mix), ""


def _terms(body: Body) -> dict[str, str]:
    return terms(body.chain, body.contract, body.publisher, body.delay)
