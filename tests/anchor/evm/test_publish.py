"""The anchor evm, against a real chain: what is anchored once, what is waited for, and what a
reorganisation, a full pool or a rolled-back register does."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.anchor.evm.chain import CHAIN_ID, FUNDED, Chain, Log, anvil
from zk_autograd.anchor.evm.beacon import terms
from zk_autograd.anchor.evm.body import Body
from zk_autograd.anchor.evm.contract import contract
from zk_autograd.anchor.evm.header import Header, parse_chain
from zk_autograd.anchor.evm.keccak import keccak256
from zk_autograd.anchor.evm.publish import EvmAnchor, calldata
from zk_autograd.anchor.evm.receipt import verify
from zk_autograd.anchor.evm.rlp import encode_list
from zk_autograd.anchor.evm.rpc import Node
from zk_autograd.anchor.evm.state import Heads
from zk_autograd.anchor.evm.trust import Trust
from zk_autograd.anchor.kinds import KINDS, open_anchor
from zk_autograd.core.anchors import BeaconAnchor, Receipt, Standing
from zk_autograd.core.errors import AnchorBehind, AnchorDown, AnchorError, AnchorForked, UsageError
from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.core.register import Entry, Kind
from zk_autograd.register.register import Register

ADDRESS = contract().address


def sent(chain: Chain, anchor: EvmAnchor) -> int:
    """How many transactions of the account are on the chain."""
    return chain.node.quantity("eth_getTransactionCount", f"0x{anchor.publisher.hex()}", "latest")


def headers(receipt: Receipt) -> list[Header]:
    return parse_chain(Body.read(receipt.fields()).headers)


def entry(chain: Chain, anchor: EvmAnchor, log: Log, size: int) -> Any:
    return Heads(chain.node, ADDRESS, anchor.publisher, log.origin).entry(size)


def test_a_head_is_anchored_once_however_often_it_is_published(chain: Chain) -> None:
    log, anchor = Log(key=201), chain.anchor()
    before = sent(chain, anchor)
    (first,) = anchor.publish(log.checkpoint(5), log)
    (again,) = anchor.publish(log.checkpoint(5), log)
    (elsewhere,) = chain.anchor().publish(log.checkpoint(5), log)
    assert sent(chain, anchor) == before + 1
    number = entry(chain, anchor, log, 5)[1].number
    for receipt in (first, again, elsewhere):
        last = headers(receipt)[-1]
        assert last.number >= number + 2
        trust = Trust(CHAIN_ID, frozenset({last.hash}), ADDRESS, anchor.publisher, 2)
        assert verify(Receipt.parse(receipt.encode()), log.checkpoint(5), trust).standing is Standing.SHOWN


def test_a_register_grows_by_its_consistency_proofs(chain: Chain) -> None:
    log, anchor = Log(key=202), chain.anchor(confirmations=1)
    for size in (1, 2, 3, 7, 8, 64, 100, 257):
        anchor.publish(log.checkpoint(size), log)
    assert entry(chain, anchor, log, 257)[1].previous == 100
    (old,) = anchor.publish(log.checkpoint(7), log)  # what is there is shown again
    assert old.size == 7


def test_a_real_register_is_anchored_and_a_copy_of_it_is_told(chain: Chain, tmp_path: Path) -> None:
    """The copy is an older one, which went on by itself: two registers of one key."""
    signers = [Ed25519Signer("trainer", b"r" * 32)]

    def enter(register: Register, number: int) -> None:
        register.enter(Entry(Kind.BEGIN, number.to_bytes(16, "big"), 1, bytes((number,)) * 32))

    register = Register.begin(tmp_path / "register", signers)
    anchor, copied = chain.anchor(confirmations=1), tmp_path / "copy"
    for number in range(7):
        enter(register, number)
        (receipt,) = anchor.publish(register.checkpoint, register)
        assert receipt.size == number + 1
        if number == 3:
            shutil.copytree(register.folder, copied)
    copy = Register(copied, signers)
    enter(copy, 100)
    with pytest.raises(AnchorForked, match="another root for the size 5"):
        anchor.publish(copy.checkpoint, copy)
    register.close()
    copy.close()


def test_a_register_that_was_rolled_back_is_told(chain: Chain) -> None:
    log, anchor = Log(key=203), chain.anchor(confirmations=1)
    anchor.publish(log.checkpoint(9), log)
    before = sent(chain, anchor)
    with pytest.raises(AnchorBehind, match="holds a head of 9 entries, ours has 5"):
        anchor.publish(log.checkpoint(5), log)
    with pytest.raises(AnchorBehind, match="holds a head of 9 entries, ours has 5"):
        anchor.require_continued(log.checkpoint(5), log)
    for size in (9, 10):
        anchor.require_continued(log.checkpoint(size), log)
    assert sent(chain, anchor) == before


@pytest.mark.parametrize("size", [9, 12])
def test_another_branch_is_told_and_costs_nothing(chain: Chain, size: int) -> None:
    """The same size with another root, or a larger tree that doesn't continue the anchored one."""
    log, branch = Log(key=204), Log("branch", 4, key=204)
    anchor = chain.anchor(confirmations=1)
    anchor.publish(log.checkpoint(9), log)
    before = sent(chain, anchor)
    with pytest.raises(AnchorForked, match=r"another root for the size 9|that ours does not continue"):
        anchor.publish(branch.checkpoint(size), branch)
    with pytest.raises(AnchorForked, match="that ours does not continue"):
        anchor.require_continued(branch.checkpoint(size), branch)
    assert sent(chain, anchor) == before


def test_a_call_that_runs_out_of_patience_says_where_it_stands_and_the_next_goes_on(chain: Chain) -> None:
    log, anchor = Log(key=205), chain.anchor(confirmations=4, patience=3)
    before = sent(chain, anchor)
    with pytest.raises(AnchorDown, match=r"[1-9] blocks are missing above block [0-9]+, which has it; try again later"):
        anchor.publish(log.checkpoint(5), log)
    for _ in range(8):
        try:
            (receipt,) = anchor.publish(log.checkpoint(5), log)
            break
        except AnchorDown:
            continue
    assert sent(chain, anchor) == before + 1
    assert receipt.size == 5


def pausing(chain: Chain, key: int, pauses: list[Callable[[], Any]], **options: Any) -> EvmAnchor:
    """An anchor whose first pauses do this, and the others a block each."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += 1
        (pauses.pop(0) if pauses else chain.mine)()

    settings: dict[str, Any] = {"confirmations": 2, "delay": 4, "patience": 3600} | options
    return EvmAnchor(chain.node, chain.key(key), ADDRESS, clock=lambda: now[0], sleep=sleep, **settings)


def test_a_transaction_that_a_reorganisation_takes_away_is_sent_again(chain: Chain) -> None:
    log = Log(key=206)
    mark = str(chain.node.call("evm_snapshot"))
    seen: list[Any] = []

    def reorganise() -> None:
        seen.append(entry(chain, anchor, log, 5))
        assert chain.node.call("evm_revert", mark) is True
        seen.append(entry(chain, anchor, log, 5))
        chain.mine(2)

    anchor = pausing(chain, 0, [chain.mine, chain.mine, reorganise])
    before = sent(chain, anchor)
    (receipt,) = anchor.publish(log.checkpoint(5), log)
    assert seen[0] is not None
    assert seen[1] is None, "it was on the chain, and then it wasn't"
    found = entry(chain, anchor, log, 5)[1].number
    assert found != seen[0][1].number
    assert headers(receipt)[-1].number >= found + 2
    assert sent(chain, anchor) == before + 1


def test_a_beacon_is_of_the_block_that_a_reorganisation_leaves(chain: Chain) -> None:
    """The block that was there before it gives another beacon, which nobody can verify."""
    log = Log(key=207)
    mark = str(chain.node.call("evm_snapshot"))

    def reorganise() -> None:
        assert chain.node.call("evm_revert", mark) is True
        chain.mine(3)

    anchor = pausing(chain, 0, [chain.mine, reorganise])
    done: list[tuple[int, int]] = []
    receipt, beacon = anchor.beacon(log.checkpoint(5), log, progress=lambda what, at, of: done.append((at, of)))
    number = entry(chain, anchor, log, 5)[1].number
    assert [header.number for header in headers(receipt)] == [number + 4, number + 5, number + 6]
    assert done[-1] == (8, 8)
    trust = Trust(CHAIN_ID, frozenset({headers(receipt)[-1].hash}), ADDRESS, anchor.publisher, 2, 4)
    assert verify(receipt, log.checkpoint(5), trust).beacon == beacon


def test_waiting_for_a_beacon_ends_when_patience_does(chain: Chain) -> None:
    log, evm = Log(key=208), chain.anchor(delay=50)
    anchor: BeaconAnchor = evm
    with pytest.raises(AnchorDown, match="blocks are missing above block"):
        anchor.beacon(log.checkpoint(5), log, patience=3)
    receipt, _ = anchor.beacon(log.checkpoint(5), log)
    assert anchor.beacon_terms() == terms(CHAIN_ID, ADDRESS, evm.publisher, 50)
    assert Body.read(receipt.fields()).delay == 50


class Constant(Node):
    """A chain that writes 1 where others have what their proposers mixed."""

    def call(self, method: str, *params: Any) -> Any:
        found = super().call(method, *params)
        if method == "eth_getBlockByNumber" and isinstance(found, dict):
            from zk_autograd.anchor.evm import state

            block = dict(found) | {"mixHash": "0x" + "00" * 31 + "01"}
            names = (*state._FIELDS, *(name for name in state._LATER if name in block))
            raw = encode_list([state._field(block, name) for name in names])
            return block | {"hash": f"0x{keccak256(raw).hex()}"}
        return found


def test_a_chain_without_randomness_gives_no_beacon(chain: Chain) -> None:
    log = Log(key=209)
    anchor = EvmAnchor(
        Constant(chain.url), chain.key(), ADDRESS, confirmations=1, delay=2, sleep=lambda seconds: chain.mine()
    )
    with pytest.raises(AnchorError, match="no randomness of its proposers in its headers"):
        anchor.beacon_terms()
    before = sent(chain, anchor)
    with pytest.raises(AnchorError, match="no randomness of its proposers in its headers"):
        anchor.beacon(log.checkpoint(5), log)
    assert sent(chain, anchor) == before + 1


# Transactions that wait


@pytest.fixture
def slow(tmp_path: Path) -> Any:
    """A chain of its own, on which no transaction makes a block."""
    with anvil(tmp_path / "chain") as running:
        running.node.call("evm_setAutomine", False)
        yield running


def waiting(chain: Chain) -> list[Any]:
    """The transactions that wait."""
    pool: Any = chain.node.object("txpool_content")
    return [one for of_account in pool["pending"].values() for one in of_account.values()]


def test_a_stuck_transaction_is_replaced_by_one_that_pays_more(slow: Chain) -> None:
    log = Log(key=1)
    prices: list[int] = []

    def look() -> None:
        (one,) = waiting(slow)
        prices.append(int(one["maxFeePerGas"], 16))

    anchor = pausing(slow, 0, [look] * 200, patience=195)
    before = sent(slow, anchor)
    with pytest.raises(AnchorDown, match="the transaction is in no block yet"):
        anchor.publish(log.checkpoint(5), log)
    assert len(set(prices)) == 3
    assert prices == sorted(prices)
    assert prices[-1] >= prices[0] * 1.5
    slow.mine(6)
    anchor.publish(log.checkpoint(5), log)
    assert sent(slow, anchor) == before + 1


def test_another_process_does_not_send_a_second_one(slow: Chain) -> None:
    log = Log(key=2)
    before = sent(slow, slow.anchor())
    for _ in range(3):  # each as if the one before had been killed
        anchor = pausing(slow, 0, [lambda: None] * 5, patience=2)
        with pytest.raises(AnchorDown, match="in no block yet"):
            anchor.publish(log.checkpoint(5), log)
        assert len(waiting(slow)) == 1
    slow.mine(6)
    slow.anchor().publish(log.checkpoint(5), log)
    assert sent(slow, anchor) == before + 1


def test_what_waited_for_a_smaller_tree_gives_way_to_the_larger_one(slow: Chain) -> None:
    log = Log(key=3)
    with pytest.raises(AnchorDown):
        pausing(slow, 0, [lambda: None] * 5, patience=2).publish(log.checkpoint(5), log)
    anchor = pausing(slow, 0, [lambda: None] * 100, patience=500)
    (receipt,) = anchor.publish(log.checkpoint(9), log)
    assert receipt.size == 9
    assert entry(slow, anchor, log, 5) is None


def test_a_price_above_the_bound_is_not_paid(slow: Chain) -> None:
    slow.node.call("anvil_setNextBlockBaseFeePerGas", hex(300 * 10**9))
    slow.mine()
    log = Log(key=4)
    with pytest.raises(AnchorDown, match="gwei, and max_gwei is 200: wait, or raise it"):
        slow.anchor().publish(log.checkpoint(5), log)
    assert waiting(slow) == []


def test_an_account_without_funds_is_told(slow: Chain) -> None:
    log, anchor = Log(key=5), slow.anchor(2)
    slow.node.call("anvil_setBalance", f"0x{anchor.publisher.hex()}", "0x0")
    with pytest.raises(AnchorError, match=r"can't pay for the gas: send it some|[Ii]nsufficient funds"):
        anchor.publish(log.checkpoint(5), log)


def test_two_that_anchor_at_once_leave_one_branch(chain: Chain) -> None:
    """The other one comes between the look and the transaction: the contract takes one alone."""
    branch = Log("branch", 5, key=210)

    class Late(Log):
        def consistency(self, size1: int, size2: int) -> Any:
            if entry(chain, rival, self, 9) is None:
                rival.publish(branch.checkpoint(9), branch)
            return super().consistency(size1, size2)

    log, rival, anchor = Late("one", 5, key=210), chain.anchor(confirmations=1), chain.anchor(confirmations=1)
    anchor.publish(log.checkpoint(5), log)
    before = sent(chain, anchor)
    with pytest.raises(AnchorForked, match="another root for the size 9"):
        anchor.publish(log.checkpoint(9), log)
    assert entry(chain, anchor, log, 9)[0] == branch.head(9).root
    assert sent(chain, anchor) == before + 1


# Specifications


def test_a_specification_opens_an_anchor_that_shows_no_secret(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"{chain.url}/v3/secret-key?token=secret"
    anchor = open_anchor(f"evm:{url},key={chain.key()},confirmations=1,delay=3,max_gwei=50")
    assert anchor.kind == "evm"
    assert anchor.spec == f"evm:{chain.url},contract=0x{ADDRESS.hex()}"
    monkeypatch.setenv("ETH_RPC_URL", url)
    assert open_anchor(f"evm:,key={chain.key()}").spec == anchor.spec
    assert KINDS["evm"].extra == "evm"


@pytest.mark.parametrize(
    ("rest", "match"),
    [
        ("", "URL|key"),
        ("http://127.0.0.1:1", "needs the file of an account's key"),
        ("ftp://127.0.0.1,key=KEY", "URL is http"),
        ("http://u:p@127.0.0.1,key=KEY", "URL is http"),
        ("http://127.0.0.1:99999999,key=KEY", "URL is http"),
        ("http://127.0.0.1:1,key=KEY,colour=red", "no option of the anchor evm"),
        ("http://127.0.0.1:1,key=KEY,key=KEY", "no option of the anchor evm"),
        ("http://127.0.0.1:1,key=KEY,contract=0x12", "no contract's address"),
        ("http://127.0.0.1:1,key=KEY,confirmations=0", "a number from 1 to 256"),
        ("http://127.0.0.1:1,key=KEY,confirmations=257", "a number from 1 to 256"),
        ("http://127.0.0.1:1,key=KEY,delay=x", "a number from 1 to"),
        ("http://127.0.0.1:1,key=/nowhere", "No such file"),
    ],
)
def test_a_specification_that_makes_no_sense_is_refused(
    rest: str, match: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ETH_RPC_URL", raising=False)
    key = tmp_path / "key"
    key.touch(0o600)
    key.write_text(FUNDED[0])
    with pytest.raises(UsageError, match=match):
        open_anchor(f"evm:{rest.replace('KEY', str(key))}")


def test_no_contract_and_another_contract_are_told(chain: Chain) -> None:
    log = Log(key=211)
    for address, what in (
        (b"\1" * 20, "no contract"),
        (bytes.fromhex("4e59b44847b379578588920ca78fbf26c0b4956c"), "another contract"),
    ):
        anchor = EvmAnchor(chain.node, chain.key(), address)
        with pytest.raises(AnchorError, match=f"there is {what} at 0x{address.hex()}"):
            anchor.publish(log.checkpoint(5), log)


def test_a_call_costs_no_more_than_it_should(chain: Chain) -> None:
    """Under 130,000 units of gas for the first head, under 150,000 later."""
    log, anchor = Log(key=212), chain.anchor(confirmations=1)
    for size, most in ((1000, 130_000), (5000, 150_000)):
        anchor.publish(log.checkpoint(size), log)
        block: Any = chain.node.object("eth_getBlockByNumber", hex(entry(chain, anchor, log, size)[1].number), True)
        (transaction,) = block["transactions"]
        assert transaction["input"].startswith(f"0x{calldata(log.head(size), [])[:4].hex()}")
        assert 50_000 < int(block["gasUsed"], 16) < most, int(block["gasUsed"], 16)
