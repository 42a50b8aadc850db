"""The anchor against litewitness, a witness of another author: what it answers, and what is
verified of it offline."""

import time
from pathlib import Path

import pytest

from tests.anchor.witness.litewitness import litewitness
from tests.witness.witnesses import Register, made, policy, running, vkeys
from zk_autograd.anchor.witness import verify
from zk_autograd.anchor.witness.publish import WitnessAnchor
from zk_autograd.core.anchors import Receipt, Standing
from zk_autograd.core.errors import AnchorDown, AnchorError, AnchorForked
from zk_autograd.core.tlog_policy import parse

pytestmark = pytest.mark.long

REGISTER, BRANCH = Register(), Register(branch="'", fork_at=4)


def test_a_register_is_anchored_with_it_and_with_our_own(tmp_path: Path) -> None:
    """A quorum of both: each author's cosignatures are verified by the other's rules."""
    folder = made(tmp_path / "own", REGISTER)
    with litewitness(tmp_path / "lite", seed=77) as other, running(folder) as own:
        other.add_log(REGISTER.origin, REGISTER.keys[:1])
        asked = policy([(other.key.encode(), other.url), (vkeys(folder)[1], own.url)], 2, REGISTER)
        anchor = WitnessAnchor(parse(asked), "witness:both")
        for size in (1, 5, 5, 12):
            checkpoint = REGISTER.checkpoint(size)
            (receipt,) = anchor.publish(checkpoint, REGISTER)
            assert anchor.failures == ()
            claim = verify(Receipt.parse(receipt.encode()), checkpoint, parse(asked))
            assert (claim.standing, claim.excludes_forks) == (Standing.SHOWN, True)
            assert claim.time is not None and abs(claim.time - time.time()) < 60
        fresh = WitnessAnchor(parse(asked), "witness:again")  # which learns the size from a 409
        fresh.publish(REGISTER.checkpoint(13), REGISTER)
        with pytest.raises(AnchorForked, match="refuses to see that this register continues"):
            WitnessAnchor(parse(policy([(other.key.encode(), other.url)], 1, REGISTER)), "witness:lite").publish(
                BRANCH.checkpoint(14), BRANCH
            )


def test_what_it_refuses_is_told(tmp_path: Path) -> None:
    with litewitness(tmp_path / "lite", seed=78) as other:
        anchor = WitnessAnchor(parse(policy([(other.key.encode(), other.url)], 1, REGISTER)), "witness:lite")
        with pytest.raises(AnchorError, match="ask its operator to add the log"):
            anchor.publish(REGISTER.checkpoint(5), REGISTER)
        other.add_log(REGISTER.origin, Register(seed=2).keys[:1])
        with pytest.raises(AnchorError, match="its operator has other keys for"):
            anchor.publish(REGISTER.checkpoint(5), REGISTER)
    with litewitness(tmp_path / "again", seed=78) as other:
        other.add_log(REGISTER.origin, REGISTER.keys[:1])
        anchor = WitnessAnchor(parse(policy([(other.key.encode(), other.url)], 1, REGISTER)), "witness:lite")
        anchor.publish(REGISTER.checkpoint(5), REGISTER)
        # It shows no checkpoints to monitors, so a rollback can't be told from a lie.
        with pytest.raises(AnchorDown, match="it names a tree of 5 entries, this register has 3"):
            anchor.publish(REGISTER.checkpoint(3), REGISTER)
