"""Receipts of a chain that ran once: `python -m tests.anchor.evm.golden` makes golden.json anew.

What they show must stay what it was: a run's first weights follow from its beacon for ever.
"""

import json
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.anchor.evm.chain import CHAIN_ID, Log, anvil
from zk_autograd.anchor.evm.body import Body
from zk_autograd.anchor.evm.contract import contract
from zk_autograd.anchor.evm.header import parse_chain
from zk_autograd.anchor.evm.trust import Trust
from zk_autograd.core.anchors import Receipt, SignedCheckpoint

PATH = Path(__file__).parent / "golden.json"
LOG = Log(key=9)
SIZES = (5, 9)
"""That of a receipt without a beacon, and of one with."""


@dataclass(frozen=True)
class Golden:
    """Lines of receipts.jsonl for trees of `SIZES`, and what an auditor trusts."""

    lines: tuple[bytes, ...]
    trust: Trust
    beacon: bytes
    times: tuple[int, ...]

    def checkpoint(self, line: bytes) -> SignedCheckpoint:
        return LOG.checkpoint(SIZES[self.lines.index(line)])


@cache
def golden() -> Golden:
    """The recorded one."""
    made = json.loads(PATH.read_bytes())
    blocks = frozenset(bytes.fromhex(block) for block in made["blocks"])
    trust = Trust(CHAIN_ID, blocks, contract().address, bytes.fromhex(made["publisher"]), 2, 4)
    lines = tuple(line.encode("ascii") for line in made["lines"])
    return Golden(lines, trust, bytes.fromhex(made["beacon"]), tuple(made["times"]))


def main() -> None:
    """Records one."""
    with tempfile.TemporaryDirectory() as folder, anvil(Path(folder) / "chain") as chain:
        anchor = chain.anchor(confirmations=2, delay=4)
        (plain,) = anchor.publish(LOG.checkpoint(SIZES[0]), LOG)
        receipt, beacon = anchor.beacon(LOG.checkpoint(SIZES[1]), LOG)
        receipts: tuple[Receipt, ...] = (plain, receipt)
        headers = [parse_chain(Body.read(one.fields()).headers) for one in receipts]
        places = [
            Body.read(one.fields()).place_of(found[0], LOG.head(one.size))
            for one, found in zip(receipts, headers, strict=True)
        ]
        made = {
            "publisher": anchor.publisher.hex(),
            "blocks": [found[-1].hash.hex() for found in headers],
            "beacon": beacon.hex(),
            "times": [place.time for place in places],
            "lines": [one.encode().decode("ascii") for one in receipts],
        }
    PATH.write_text(json.dumps(made, indent=2) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
