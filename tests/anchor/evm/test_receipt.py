"""What a receipt of the anchor evm shows, and what of a hostile trainer's it doesn't. The blocks
are real ones."""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.anchor.evm.chain import CHAIN_ID, Chain, Log, anvil
from zk_autograd.anchor.evm import keccak
from zk_autograd.anchor.evm.beacon import LEAST_DELAY, beacon_of, terms
from zk_autograd.anchor.evm.body import Body
from zk_autograd.anchor.evm.contract import contract
from zk_autograd.anchor.evm.header import Header, parse_chain
from zk_autograd.anchor.evm.publish import calldata
from zk_autograd.anchor.evm.receipt import read_trust, verify
from zk_autograd.anchor.evm.rlp import decode_list, encode_list
from zk_autograd.anchor.evm.slots import entry_slots
from zk_autograd.anchor.evm.state import Heads, raw_header
from zk_autograd.anchor.evm.trust import Trust
from zk_autograd.anchor.kinds import verifiers
from zk_autograd.core.anchors import AnchorClaim, Receipt, Standing
from zk_autograd.core.canonical import Json
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.fields import Fields

ADDRESS = contract().address
DELAY = 4


@dataclass(frozen=True)
class Made:
    """Receipts for trees of 5, 9 (a beacon) and 12 leaves of one register, and for the 5 of another
    account; the auditor's trust."""

    log: Log
    publisher: bytes
    five: Receipt
    nine: Receipt
    twelve: Receipt
    strangers: Receipt
    beacon: bytes
    trust: Trust

    def claim(self, receipt: Receipt, size: int = 5, **trust: Any) -> AnchorClaim:
        return verify(receipt, self.log.checkpoint(size), dataclasses.replace(self.trust, **trust))


def body(receipt: Receipt) -> Body:
    return Body.read(receipt.fields())


def headers(receipt: Receipt) -> list[Header]:
    return parse_chain(body(receipt).headers)


def changed(receipt: Receipt, **values: Any) -> Receipt:
    return dataclasses.replace(receipt, body=dataclasses.replace(body(receipt), **values).to_json())


@pytest.fixture(scope="module")
def made(chain: Chain) -> Made:
    log, anchor = Log(key=1), chain.anchor(confirmations=3, delay=DELAY)
    (five,) = anchor.publish(log.checkpoint(5), log)
    nine, beacon = anchor.beacon(log.checkpoint(9), log)
    (twelve,) = anchor.publish(log.checkpoint(12), log)
    (strangers,) = chain.anchor(1, confirmations=3).publish(log.checkpoint(5), log)
    blocks = frozenset(headers(receipt)[-1].hash for receipt in (five, nine, twelve, strangers))
    trust = Trust(CHAIN_ID, blocks, ADDRESS, anchor.publisher, 3, DELAY)
    return Made(log, anchor.publisher, five, nine, twelve, strangers, beacon, trust)


def test_a_receipt_shows_when_the_head_was_anchored_and_that_there_is_no_other_branch(made: Made, chain: Chain) -> None:
    claim = made.claim(made.five)
    entry = Heads(chain.node, ADDRESS, made.publisher, made.log.origin).entry(5)
    assert entry is not None
    block = Header.parse(raw_header(chain.node, entry[1].number))
    assert (claim.standing, claim.time, claim.excludes_forks) == (Standing.SHOWN, block.time, True)
    assert (claim.identity, claim.beacon, dict(claim.beacon_terms)) == ((f"evm:{CHAIN_ID}",), None, {})
    assert f"of which you know block {headers(made.five)[0].number}" in claim.rests_on
    assert f"0x{made.publisher.hex()} in block {block.number}" in claim.rests_on
    assert verifiers()["evm"].verify(made.five, made.log.checkpoint(5), made.trust) == claim


def test_without_the_auditors_trust_nothing_is_shown_and_the_block_to_look_up_is_named(made: Made) -> None:
    last = headers(made.five)[-1]
    for claim in (verify(made.five, made.log.checkpoint(5), None), made.claim(made.five, blocks=frozenset())):
        assert claim == AnchorClaim(
            "evm",
            Standing.UNJUDGED,
            f"ask a node that you trust for block {last.number} of the EVM chain 31337; if its hash is "
            f"0x{last.hash.hex()}, add that to `blocks` of [anchors.evm]",
        )


@pytest.mark.parametrize(
    ("trust", "why"),
    [
        ({"chain": 1}, "the receipt's chain is 31337, and you trust 1"),
        ({"contract": bytes(20)}, "the receipt's contract is 0x"),
        ({"publisher": bytes(20)}, "the receipt's publisher is 0x"),
        ({"depth": 4}, "only 3 blocks below the one that you know, and your `depth` is 4"),
    ],
)
def test_what_the_auditor_does_not_trust_is_not_judged(made: Made, trust: Mapping[str, Any], why: str) -> None:
    claim = made.claim(made.five, **trust)
    assert (claim.standing, claim.time, claim.excludes_forks) == (Standing.UNJUDGED, None, False)
    assert why in claim.rests_on


def test_without_the_publishers_address_another_branch_is_not_excluded(made: Made) -> None:
    """A trainer with two accounts anchors a branch with each."""
    claim = made.claim(made.five, publisher=None)
    assert (claim.standing, claim.excludes_forks) == (Standing.SHOWN, False)
    assert "since you name no `publisher`" in claim.rests_on
    stranger = made.claim(made.strangers)
    assert stranger.standing is Standing.UNJUDGED
    assert "the receipt's publisher is" in stranger.rests_on


def test_one_chain_vouches_once_however_many_accounts_there_are(made: Made) -> None:
    assert made.claim(made.five).identity == made.claim(made.strangers, publisher=None).identity


def refused(made: Made, receipt: Receipt, match: str, size: int = 5) -> None:
    """Whatever the auditor trusts."""
    for trust in (made.trust, None):
        with pytest.raises(VerificationError, match=match):
            verify(receipt, made.log.checkpoint(size), trust)


def test_a_receipt_for_another_head_is_refused(made: Made) -> None:
    refused(made, made.nine, "another tree head")
    branch = Log("branch", key=1)
    moved = dataclasses.replace(made.five, root=branch.head(5).root)
    with pytest.raises(VerificationError, match="another root is anchored for the size 5"):
        verify(moved, branch.checkpoint(5), made.trust)


def test_the_proof_of_one_size_shows_no_other(made: Made) -> None:
    """A trainer who showed an old anchoring for a new head would move it back in time."""
    moved = dataclasses.replace(made.five, size=9, root=made.log.head(9).root)
    refused(made, moved, "ends at another key|there is nothing|not the one", 9)
    for name in ("root", "place"):
        mixed = changed(made.twelve, **{name: getattr(body(made.nine), name)})
        refused(made, mixed, f"the {name}'s proof", 12)
    swapped = changed(made.five, root=body(made.five).place, place=body(made.five).root)
    refused(made, swapped, "the root's proof")


def test_another_publishers_entry_is_not_ones_own(made: Made) -> None:
    refused(made, changed(made.strangers, publisher=made.publisher), "the root's proof|another key")
    refused(made, changed(made.five, publisher=bytes(20)), "the root's proof|another key")


def test_another_registers_entry_is_not_ones_own(made: Made) -> None:
    other = Log(key=2)
    moved = dataclasses.replace(made.five, root=other.head(5).root)
    with pytest.raises(VerificationError, match="the root's proof"):
        verify(moved, other.checkpoint(5), made.trust)


def test_the_header_of_another_block_is_refused(made: Made) -> None:
    refused(made, changed(made.five, headers=body(made.twelve).headers), "node 0 of the account's proof")


def test_a_block_that_says_what_the_trainer_likes_is_not_the_auditors(made: Made) -> None:
    """Its hash is another: nobody who looks it up finds it."""
    items = decode_list(body(made.five).headers[0], "it")
    items[11] = (1).to_bytes(8, "big").lstrip(b"\0")
    forged = changed(made.five, headers=(encode_list(items),))
    with pytest.raises(VerificationError, match="later block"):  # the entry would be of a time after its block's
        made.claim(forged)
    items[11] = (2**40).to_bytes(6, "big")
    claim = made.claim(changed(made.five, headers=(encode_list(items),)))
    assert claim.standing is Standing.UNJUDGED


@pytest.mark.parametrize("name", ["headers", "account", "root", "place"])
def test_a_truncated_receipt_is_refused(made: Made, name: str) -> None:
    whole = getattr(body(made.five), name)
    refused(made, changed(made.five, **{name: ()}), "array of 1 to")
    for cut in (whole[0][:-1], whole[0][:1], b""):
        with pytest.raises(VerificationError):
            made.claim(changed(made.five, **{name: (cut, *whole[1:])}))
    if name != "headers":
        refused(made, changed(made.five, **{name: whole[:-1] or (whole[0][::2],)}), "breaks off|is not the one")


def test_no_bit_of_a_receipt_can_be_turned(made: Made) -> None:
    """Either it is false, or the block is none that the auditor knows."""
    for name in ("headers", "account", "root", "place"):
        parts = getattr(body(made.five), name)
        for at, part in enumerate(parts):
            for byte in range(0, len(part), 3 if name == "headers" else 1):
                turned = part[:byte] + bytes((part[byte] ^ 1 << byte % 8,)) + part[byte + 1 :]
                try:
                    claim = made.claim(changed(made.five, **{name: (*parts[:at], turned, *parts[at + 1 :])}))
                except VerificationError:
                    continue
                assert (name, claim.standing) == ("headers", Standing.UNJUDGED), (name, at, byte)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("chain", 0),
        ("chain", "31337"),
        ("contract", "0x" + "00" * 20),
        ("publisher", "00" * 19),
        ("headers", ["A" * 6000]),
        ("headers", [""] * 258),
        ("account", ["!"]),
        ("account", ["AAAA"] * 65),
        ("root", "AAAA"),
        ("delay", -1),
        ("delay", 2**21),
        ("more", 1),
    ],
)
def test_a_malformed_body_is_refused(made: Made, name: str, value: Json) -> None:
    with pytest.raises(VerificationError, match=r"receipt of evm"):
        made.claim(dataclasses.replace(made.five, body=dict(made.five.body) | {name: value}))
    with pytest.raises(VerificationError, match=r"missing|unknown"):
        made.claim(dataclasses.replace(made.five, body={k: v for k, v in made.five.body.items() if k != "delay"}))


# Beacons


def test_a_beacon_is_of_the_block_that_the_terms_name(made: Made, chain: Chain) -> None:
    claim = made.claim(made.nine, 9)
    entry = Heads(chain.node, ADDRESS, made.publisher, made.log.origin).entry(9)
    assert entry is not None
    number = entry[1].number + DELAY
    block = Header.parse(raw_header(chain.node, number))
    said = terms(CHAIN_ID, ADDRESS, made.publisher, DELAY)
    assert said == {
        "chain": "31337",
        "contract": f"0x{ADDRESS.hex()}",
        "publisher": f"0x{made.publisher.hex()}",
        "delay": "4",
    }
    assert block.mix is not None
    assert claim.beacon == made.beacon == beacon_of(said, made.log.head(9), number, block.mix)
    assert (dict(claim.beacon_terms), claim.standing) == (said, Standing.SHOWN)


def test_a_beacon_says_which_leaves_had_one_before(made: Made) -> None:
    """A trainer who anchors the run's entry, dislikes the beacon and anchors a larger tree has a
    second one: it is not that entry's, since the entry was in the tree of 5 or 9 leaves before."""
    assert made.claim(made.nine, 9).beacon_after == 5


@pytest.mark.parametrize("delay", [DELAY - 1, DELAY + 1, 1])
def test_a_beacon_of_another_delay_than_it_says_is_refused(made: Made, delay: int) -> None:
    """Else the trainer would choose among as many beacons as there are blocks."""
    refused(made, changed(made.nine, delay=delay), "of another block than the one that the delay names", 9)


def test_a_beacon_of_other_terms_is_another(made: Made, chain: Chain) -> None:
    """A trainer may wait, look, and take the delay that they like best: the terms differ from those
    in the run's header."""
    anchor = chain.anchor(confirmations=3, delay=DELAY + 1)
    receipt, beacon = anchor.beacon(made.log.checkpoint(9), made.log)
    claim = made.claim(receipt, 9, blocks=frozenset({headers(receipt)[-1].hash}))
    assert claim.beacon == beacon != made.beacon
    assert claim.beacon_terms["delay"] == "5" != made.claim(made.nine, 9).beacon_terms["delay"]


def test_a_beacon_that_is_not_final_is_none_yet(made: Made) -> None:
    first, *_, last = headers(made.nine)
    claim = made.claim(made.nine, 9, blocks=frozenset({first.hash}))
    assert (claim.standing, claim.beacon, dict(claim.beacon_terms)) == (Standing.SHOWN, None, {})
    assert "its beacon is not yet 3 blocks below" in claim.rests_on
    assert made.claim(made.nine, 9, blocks=frozenset({first.hash}), depth=0).beacon == made.beacon
    assert made.claim(made.nine, 9, blocks=frozenset({first.hash, last.hash})).beacon == made.beacon


def test_a_beacon_that_comes_too_soon_is_none(made: Made) -> None:
    claim = made.claim(made.nine, 9, delay=DELAY + 1)
    assert (claim.standing, claim.beacon) == (Standing.SHOWN, None)
    assert "may have been known: you ask for 5" in claim.rests_on


def test_a_beacon_of_a_chain_without_randomness_is_none(made: Made) -> None:
    """Arbitrum writes 1 where others have what their proposers mixed: the trainer would know the
    beacon before the run."""
    items = decode_list(body(made.nine).headers[0], "it")
    items[13] = (1).to_bytes(32, "big")
    constant = changed(made.nine, headers=(encode_list(items),))
    claim = made.claim(constant, 9, blocks=frozenset({headers(constant)[0].hash}), depth=0)
    assert (claim.standing, claim.beacon, claim.beacon_after) == (Standing.SHOWN, None, None)
    assert "has no randomness of its proposers" in claim.rests_on


# Contracts that aren't this one


@pytest.fixture
def forger(tmp_path: Path) -> Iterator[Chain]:
    """A chain of whose state the trainer can't write, but on which they deploy what they like."""
    with anvil(tmp_path / "chain") as running:
        yield running


def forged_constructor(account: bytes, log: Log, size: int, number: int) -> bytes:
    """The code of a constructor that writes an entry which nobody anchored, and leaves this
    package's contract."""
    slots = entry_slots(account, log.origin, size)
    values = (log.head(size).root, (number | 1_000_000 << 64).to_bytes(32, "big"))
    code = b"".join(b"\x7f" + value + b"\x7f" + slot + b"\x55" for slot, value in zip(slots, values, strict=True))
    length = len(contract().code).to_bytes(2, "big")
    start = (len(code) + 13).to_bytes(2, "big")
    copy = b"\x61" + length + b"\x80\x61" + start + b"\x60\x00\x39\x60\x00\xf3"
    return code + copy + contract().code


def test_a_contract_with_the_same_code_and_a_forged_past_is_not_trusted_by_its_code(forger: Chain) -> None:
    """What it would have gained: an anchoring long before the run. The code's hash is right; only
    the address tells that another constructor made it."""
    log, account = Log(key=4), forger.anchor(1).publisher
    init = forged_constructor(account, log, 7, 1)
    made = forger.node.call("eth_sendTransaction", {"from": f"0x{account.hex()}", "data": f"0x{init.hex()}"})
    forger.mine(3)
    address = bytes.fromhex(str(forger.node.object("eth_getTransactionReceipt", made)["contractAddress"])[2:])
    at = forger.node.quantity("eth_blockNumber")
    receipt = Heads(forger.node, address, account, log.origin).receipt(log.head(7), CHAIN_ID, at, at, 0)
    trust = Trust(CHAIN_ID, frozenset({headers(receipt)[0].hash}), ADDRESS, account)
    claim = verify(receipt, log.checkpoint(7), trust)
    assert (claim.standing, claim.time) == (Standing.UNJUDGED, None)
    assert f"the receipt's contract is 0x{address.hex()}, and you trust 0x{ADDRESS.hex()}" in claim.rests_on
    # the attack is a real one: who trusts the code alone is deceived
    deceived = verify(receipt, log.checkpoint(7), dataclasses.replace(trust, contract=address))
    assert (deceived.standing, deceived.time) == (Standing.SHOWN, 1_000_000)


def test_a_contract_with_other_code_is_refused(forger: Chain) -> None:
    """It could take any tree, in any order."""
    log, anchor = Log(key=5), forger.anchor(confirmations=1)
    anchor.publish(log.checkpoint(3), log)
    code = bytearray(contract().code)
    code[-1] ^= 1
    forger.node.call("anvil_setCode", f"0x{ADDRESS.hex()}", f"0x{code.hex()}")
    forger.mine(2)
    at = forger.node.quantity("eth_blockNumber")
    receipt = Heads(forger.node, ADDRESS, anchor.publisher, log.origin).receipt(log.head(3), CHAIN_ID, at, at, 0)
    trust = Trust(CHAIN_ID, frozenset({headers(receipt)[0].hash}), ADDRESS, anchor.publisher)
    with pytest.raises(VerificationError, match="its code is another"):
        verify(receipt, log.checkpoint(3), trust)


def test_an_entry_of_a_block_to_come_is_refused(forger: Chain) -> None:
    """Only a forged contract can have one: it would be deep enough for ever."""
    log, account = Log(key=6), forger.anchor(1).publisher
    init = forged_constructor(account, log, 7, 10**6)
    made = forger.node.call("eth_sendTransaction", {"from": f"0x{account.hex()}", "data": f"0x{init.hex()}"})
    forger.mine(1)
    address = bytes.fromhex(str(forger.node.object("eth_getTransactionReceipt", made)["contractAddress"])[2:])
    at = forger.node.quantity("eth_blockNumber")
    receipt = Heads(forger.node, address, account, log.origin).receipt(log.head(7), CHAIN_ID, at, at, 0)
    with pytest.raises(VerificationError, match="later block"):
        verify(receipt, log.checkpoint(7), None)


def test_without_its_package_a_receipt_is_not_judged(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keccak, "find_spec", lambda name: None)
    claim = made.claim(made.five)
    assert claim.standing is Standing.UNJUDGED
    assert "pip install 'zk-autograd[evm]'" in claim.rests_on


# The auditor's table

BLOCK = "0x" + "AB" * 32


def read(**table: Json) -> Trust:
    fields = Fields(table, "anchors.evm")
    trust = read_trust(fields, lambda name: b"")
    fields.end()
    return trust


def test_the_table_says_which_blocks_are_known() -> None:
    trust = read(chain="1", blocks=[BLOCK])
    assert trust == Trust(1, frozenset({b"\xab" * 32}), ADDRESS, None, 0, LEAST_DELAY)
    more = read(chain="10", blocks=[BLOCK], contract="0x" + "1" * 40, publisher="0x" + "Aa" * 20, depth=64, delay=200)
    assert more == Trust(10, frozenset({b"\xab" * 32}), b"\x11" * 20, b"\xaa" * 20, 64, 200)


@pytest.mark.parametrize(
    "table",
    [
        {},
        {"chain": "1"},
        {"blocks": [BLOCK]},
        {"chain": 1, "blocks": [BLOCK]},
        {"chain": "one", "blocks": [BLOCK]},
        {"chain": "01", "blocks": [BLOCK]},
        {"chain": "\u0661", "blocks": [BLOCK]},
        {"chain": "1", "blocks": []},
        {"chain": "1", "blocks": ["AB" * 32]},
        {"chain": "1", "blocks": [BLOCK[:-1]]},
        {"chain": "1", "blocks": [BLOCK], "contract": BLOCK},
        {"chain": "1", "blocks": [BLOCK], "publisher": "0x" + "g" * 40},
        {"chain": "1", "blocks": [BLOCK], "depth": -1},
        {"chain": "1", "blocks": [BLOCK], "delay": 0},
        {"chain": "1", "blocks": [BLOCK], "Depth": 1},
    ],
)
def test_a_table_that_makes_no_sense_is_refused(table: dict[str, Json]) -> None:
    with pytest.raises(VerificationError):
        read(**table)


def test_the_call_names_the_origin_by_its_hash(chain: Chain) -> None:
    """Two registers of one account don't meet: their slots differ."""
    one, two = Log(key=7), Log(key=8)
    assert calldata(one.head(3), []) != calldata(dataclasses.replace(one.head(3), origin=two.origin), [])
    assert entry_slots(bytes(20), one.origin, 3) != entry_slots(bytes(20), two.origin, 3)
