"""Receipts as they were written once, which need no chain to be judged."""

from tests.anchor.evm.golden import golden
from zk_autograd.anchor.evm.receipt import verify
from zk_autograd.core.anchors import Receipt, Standing


def test_what_was_shown_once_is_shown_for_ever() -> None:
    found = golden()
    plain, beacon = (verify(Receipt.parse(line), found.checkpoint(line), found.trust) for line in found.lines)
    assert (plain.standing, plain.time, plain.excludes_forks, plain.beacon) == (
        Standing.SHOWN,
        found.times[0],
        True,
        None,
    )
    assert (beacon.standing, beacon.time, beacon.beacon_after) == (Standing.SHOWN, found.times[1], 5)
    assert beacon.beacon == found.beacon
    for line in found.lines:
        assert Receipt.parse(line).encode() == line
