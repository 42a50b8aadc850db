"""The contract: that the package carries what its source compiles to, what it takes and refuses,
and that there is nothing else in it."""

import random
from collections.abc import Sequence

import pytest

from tests.anchor.evm.chain import CHAIN_ID, Chain, Log
from tests.anchor.evm.compiled import FOLDER, text
from zk_autograd.anchor.evm.contract import NOT_CONTINUED, NOT_LARGER, contract
from zk_autograd.anchor.evm.publish import calldata, selector
from zk_autograd.anchor.evm.rpc import RefusedError
from zk_autograd.anchor.evm.state import Heads
from zk_autograd.core.checkpoint import Checkpoint
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.merkle import verify_consistency

ADDRESS = contract().address
FORBIDDEN = {
    0xF0: "CREATE",
    0xF1: "CALL",
    0xF2: "CALLCODE",
    0xF4: "DELEGATECALL",
    0xF5: "CREATE2",
    0xFF: "SELFDESTRUCT",
}


@pytest.mark.slow
def test_the_source_compiles_to_what_the_package_carries() -> None:
    assert (FOLDER / "Anchor.json").read_text(encoding="ascii") == text()


def test_its_code_calls_makes_and_ends_no_contract() -> None:
    found, at, code = set(), 0, contract().code
    while at < len(code):
        found.add(code[at])
        at += code[at] - 0x5E if 0x60 <= code[at] <= 0x7F else 1  # over the bytes that PUSH takes
    assert not found & FORBIDDEN.keys(), [FORBIDDEN[one] for one in found & FORBIDDEN.keys()]
    assert 0x55 in found  # SSTORE: the walk met the code
    assert 0xFA in found  # STATICCALL: SHA-256 is a contract of the chain's own


def sender(which: int, chain: Chain) -> bytes:
    return chain.anchor(which).publisher


def ask(chain: Chain, head: Checkpoint, proof: Sequence[bytes], which: int = 0) -> None:
    """Calls `anchor` from one of anvil's accounts; RefusedError if it reverts."""
    call = {
        "from": f"0x{sender(which, chain).hex()}",
        "to": f"0x{ADDRESS.hex()}",
        "data": f"0x{calldata(head, proof).hex()}",
    }
    chain.node.call("eth_call", call)


def send(chain: Chain, head: Checkpoint, proof: Sequence[bytes] = (), which: int = 0) -> None:
    chain.send(ADDRESS, calldata(head, proof), which)


def refusal(chain: Chain, head: Checkpoint, proof: Sequence[bytes], which: int = 0) -> tuple[bytes, int]:
    with pytest.raises(RefusedError) as caught:
        ask(chain, head, proof, which)
    return caught.value.data[:4], int.from_bytes(caught.value.data[4:], "big")


def test_a_sequence_grows_with_gaps_and_never_back(chain: Chain) -> None:
    log = Log(key=11)
    not_larger = selector(NOT_LARGER)
    assert refusal(chain, log.head(0), []) == (not_larger, 0)
    send(chain, log.head(3))
    assert refusal(chain, log.head(3), []) == (not_larger, 3), "a replay"
    assert refusal(chain, Log("other", key=11).head(3), []) == (not_larger, 3), "another root for one size"
    assert refusal(chain, log.head(2), []) == (not_larger, 3), "a rollback"
    send(chain, log.head(9), log.consistency(3, 9))
    assert refusal(chain, log.head(5), log.consistency(3, 5)) == (not_larger, 9), "into a gap"
    heads = Heads(chain.node, ADDRESS, sender(0, chain), log.origin)
    assert heads.latest() == 9
    found = [heads.entry(size) for size in (3, 5, 9)]
    assert [entry and entry[0] for entry in found] == [log.head(3).root, None, log.head(9).root]


def test_accounts_and_origins_have_sequences_of_their_own(chain: Chain) -> None:
    """Else anyone could end a trainer's sequence, by a tree of 2^64 - 1 leaves under its origin."""
    log, other = Log(key=12), Log(key=13)
    send(chain, Checkpoint(log.origin, 2**64 - 1, bytes(32)), which=1)
    send(chain, log.head(4))
    send(chain, other.head(2))
    assert Heads(chain.node, ADDRESS, sender(0, chain), log.origin).latest() == 4
    assert Heads(chain.node, ADDRESS, sender(0, chain), other.origin).latest() == 2
    assert Heads(chain.node, ADDRESS, sender(2, chain), log.origin).latest() == 0


def test_it_takes_no_money(chain: Chain) -> None:
    head = Log(key=14).head(1)
    call = {"from": f"0x{sender(0, chain).hex()}", "to": f"0x{ADDRESS.hex()}", "value": "0x1"}
    for data in ("0x", f"0x{calldata(head, []).hex()}"):
        with pytest.raises(RefusedError):
            chain.node.call("eth_call", call | {"data": data})
    chain.node.call("eth_call", {name: value for name, value in call.items() if name != "value"} | {"data": data})


def continued(first: Checkpoint, head: Checkpoint, proof: Sequence[bytes]) -> bool:
    try:
        verify_consistency(first.size, head.size, first.root, head.root, proof)
    except VerificationError:
        return False
    return True


def variants(proof: list[bytes], first: Checkpoint, head: Checkpoint, draw: random.Random) -> list[list[bytes]]:
    """Proofs that are nearly this one."""
    other = draw.randbytes(32)
    found = [proof[:-1], [*proof, other], [*proof, head.root], [first.root, *proof], proof[1:], proof[::-1], []]
    for at in range(len(proof)):
        found.append([*proof[:at], other, *proof[at + 1 :]])
    return [one for one in found if one != proof]


@pytest.mark.slow
def test_it_takes_what_core_takes_to_be_a_continuation_and_nothing_else(chain: Chain) -> None:
    """A fork that the contract let through would make two branches look like one."""
    draw, asked = random.Random(5), 0
    for first in [*range(1, 10), 15, 16, 17]:
        log, branch = Log(key=100 + first), Log("branch", key=100 + first)
        send(chain, log.head(first))
        for size in [*range(first + 1, 14), 31, 32, 33, 100]:
            if size <= first:
                continue
            head, proof = log.head(size), list(log.consistency(first, size))
            for trial, tree in [(proof, head), (proof, branch.head(size))] + [
                (one, head) for one in draw.sample(variants(proof, log.head(first), head, draw), 2)
            ]:
                asked += 1
                if continued(log.head(first), tree, trial):
                    ask(chain, tree, trial)
                else:
                    assert refusal(chain, tree, trial) == (selector(NOT_CONTINUED), first), (first, size)
            assert continued(log.head(first), head, proof)
    assert asked > 300, asked


def test_the_chain_is_the_one_that_the_tests_think(chain: Chain) -> None:
    assert chain.node.quantity("eth_chainId") == CHAIN_ID
    assert chain.node.data("eth_getCode", f"0x{ADDRESS.hex()}", "latest") == contract().code
