"""Attack: a node that wants the account's money. It lies about what its chain has, in front of a
real one; what is signed it could keep, and take to the chain whenever it likes."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.anchor.evm.chain import Chain, Log
from tests.anchor.proxy import Reply, Request, proxy
from zk_autograd.anchor.evm.account import GWEI
from zk_autograd.anchor.evm.contract import contract
from zk_autograd.anchor.evm.deploy import deploy
from zk_autograd.anchor.evm.publish import EvmAnchor
from zk_autograd.anchor.evm.rpc import Node
from zk_autograd.core.errors import AnchorDown, AnchorError

Lie = Callable[[list[Any]], str]
NOTHING = "0x" + "00" * 32


class Signed:
    """The signed transactions that the node was given: their numbers, and what they may cost."""

    def __init__(self) -> None:
        self.raw: list[str] = []

    def take(self, params: list[Any]) -> str:
        self.raw.append(params[0])
        return NOTHING

    def _all(self) -> list[dict[str, Any]]:
        from eth_account.typed_transactions.typed_transaction import TypedTransaction
        from hexbytes import HexBytes

        return [TypedTransaction.from_bytes(HexBytes(raw)).as_dict() for raw in self.raw]

    @property
    def numbers(self) -> set[int]:
        return {one["nonce"] for one in self._all()}

    @property
    def wei(self) -> int:
        """What they cost at most: of those of one number a chain takes one."""
        worst: dict[int, int] = {}
        for one in self._all():
            cost = one["gas"] * one["maxFeePerGas"] + one["value"]
            worst[one["nonce"]] = max(cost, worst.get(one["nonce"], 0))
        return sum(worst.values())


@contextmanager
def hostile(chain: Chain, **lies: Lie) -> Iterator[Node]:
    """The chain's node, with a lie for each of these methods."""

    def before(request: Request) -> Reply | None:
        asked = json.loads(request.body)
        if asked["method"] not in lies:
            return None
        answer = {"jsonrpc": "2.0", "id": asked["id"], "result": lies[asked["method"]](asked["params"])}
        return Reply(200, {"Content-Type": "application/json"}, json.dumps(answer).encode())

    port = urlsplit(chain.url).port
    assert port is not None
    with proxy(port) as running:
        running.before = before
        yield Node(running.url)


def counting() -> Lie:
    """One more at each question, as if each transaction had been taken."""
    numbers = iter(range(1, 10**6))
    return lambda params: hex(next(numbers))


def anchor(node: Node, chain: Chain, patience: float = 120) -> EvmAnchor:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    address = contract().address
    return EvmAnchor(node, chain.key(), address, patience=patience, clock=lambda: now[0], sleep=sleep)


def test_numbers_that_count_up_get_three_signatures_and_no_more(chain: Chain) -> None:
    """It would have got 40 in each call, and all that the account has in an hour."""
    signed, log = Signed(), Log(key=401)
    lies: dict[str, Lie] = {
        "eth_getTransactionCount": counting(),
        "eth_getStorageAt": lambda params: NOTHING,
        "eth_sendRawTransaction": signed.take,
    }
    with hostile(chain, **lies) as node:
        publisher = anchor(node, chain)
        for size in (3, 3, 4, 5):  # a later call, and a larger head, don't begin anew
            with pytest.raises(AnchorError, match=r"3 transactions .* shows none of what they do") as caught:
                publisher.publish(log.checkpoint(size), log)
            assert not isinstance(caught.value, AnchorDown)
    assert len(signed.numbers) == 3
    assert signed.wei <= 3 * 1_000_000 * 200 * GWEI


def test_an_entry_that_comes_and_goes_gets_no_more_than_twice_that(chain: Chain) -> None:
    """The node shows what was asked for at every second look: each time the count would begin
    anew."""
    signed, log = Signed(), Log(key=402)
    head = log.head(3)
    looks = iter(range(10**6))
    place = (1).to_bytes(32, "big").hex()

    def storage(params: list[Any]) -> str:
        look = next(looks)
        # nothing, and no newest head, at four questions; then root and place
        return (NOTHING, NOTHING, NOTHING, NOTHING, "0x" + head.root.hex(), "0x" + place)[look % 6]

    lies: dict[str, Lie] = {
        "eth_getTransactionCount": counting(),
        "eth_getStorageAt": storage,
        "eth_sendRawTransaction": signed.take,
        "eth_blockNumber": lambda params: "0x1",
    }
    with hostile(chain, **lies) as node, pytest.raises(AnchorError):
        anchor(node, chain, patience=10_000).publish(log.checkpoint(3), log)
    assert 3 < len(signed.numbers) <= 6


def test_a_deployment_is_bounded_too(chain: Chain) -> None:
    signed = Signed()
    asked: list[Any] = []

    def code(params: list[Any]) -> str:
        asked.append(params)
        return "0x00" if len(asked) == 1 else "0x"  # the proxy is there, the contract never

    lies: dict[str, Lie] = {
        "eth_getTransactionCount": counting(),
        "eth_getCode": code,
        "eth_estimateGas": lambda params: hex(500_000),
        "eth_sendRawTransaction": signed.take,
    }
    with hostile(chain, **lies) as node, pytest.raises(AnchorError, match="shows none of what they do"):
        deploy(node, chain.key(), patience=3)
    assert len(signed.numbers) == 3


def test_what_costs_too_much_gas_is_not_signed(chain: Chain) -> None:
    """800,000, and a quarter more, is the bound."""
    signed, log = Signed(), Log(key=403)
    for gas, most in ((800_004, 0), (10**30, 0), (800_000, 1)):
        lies: dict[str, Lie] = {
            "eth_estimateGas": lambda params, gas=gas: hex(gas),  # type: ignore[misc]
            "eth_sendRawTransaction": signed.take,
        }
        match = "no block yet" if most else "units of gas for one anchoring: don't pay it"
        with hostile(chain, **lies) as node, pytest.raises(AnchorError, match=match):
            anchor(node, chain, patience=1).publish(log.checkpoint(3), log)
        assert len(signed.numbers) == most


def test_a_price_of_the_nodes_own_stays_below_the_bound(chain: Chain) -> None:
    signed, log = Signed(), Log(key=404)
    lies: dict[str, Lie] = {
        "eth_maxPriorityFeePerGas": lambda params: hex(198 * GWEI),
        "eth_getTransactionByHash": lambda params: "0x1",  # it waits, and is replaced again and again
        "eth_sendRawTransaction": signed.take,
    }
    with hostile(chain, **lies) as node, pytest.raises(AnchorDown):
        anchor(node, chain, patience=1000).publish(log.checkpoint(3), log)
    assert len(signed.numbers) == 1
    assert 0 < signed.wei <= 1_000_000 * 200 * GWEI
