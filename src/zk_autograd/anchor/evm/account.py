"""The account that anchors: its key in a file, and at most one transaction of it at a time.

Each transaction is sent under the account's next number (nonce) that no block has yet. So of all
that were ever sent for one head, by this process or one before it, a chain takes at most one; and
one that is stuck is replaced by sending it again for more. The account belongs to the anchor alone:
what else waited under its next number would be replaced, too.

What a chain has taken is the node's word. One that lies could say so of each transaction, and keep
them all; so only `MOST_NUMBERS` are signed until one has done what it was sent for.
"""

import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zk_autograd.anchor.evm.rpc import Node, RefusedError, number
from zk_autograd.core.errors import AnchorDown, AnchorError, UsageError
from zk_autograd.local.named_files import open_named, refusal

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

GWEI = 10**9
MOST_NUMBERS = 3
"""Honest nodes ask for a second one where another process's transaction was taken in between."""
_MOST_GAS = 1_000_000
_STUCK = 90.0
"""Seconds after which a transaction is sent again for more."""
_PENDING = ("already known", "already imported", "underpriced", "nonce too low", "already in", "already exist")
"""What nodes say of a transaction where one waits, or was taken, under its number."""

_MAKE = "it is 0x and 64 hexadecimal digits, the private key of an account of its own"


@dataclass(frozen=True, slots=True)
class _Sent:
    """What waits under a number since a time; `hash` is None for another process's."""

    nonce: int
    hash: str | None
    time: float


class Account:
    """An account, by its private key."""

    def __init__(self, signer: "LocalAccount", chain: int, max_gwei: int, clock: Callable[[], float] = time.monotonic):
        """`max_gwei`: what a unit of gas may cost at most."""
        self.address = bytes.fromhex(signer.address.removeprefix("0x"))
        self._signer = signer
        self._chain = chain
        self._most = max_gwei * GWEI
        self._clock = clock
        self._sent: _Sent | None = None
        self._factor = 100
        self._numbers: set[int] = set()
        self._done: set[bytes] = set()

    def done(self, what: bytes) -> None:
        """The node shows what was sent for: `what` names it. A node that shows and hides it again
        has no more of this than the first time."""
        if what not in self._done:
            self._done.add(what)
            self._numbers.clear()

    def next_nonce(self, node: Node) -> int:
        """The first number under which no block has a transaction of the account."""
        return node.quantity("eth_getTransactionCount", self._text, "latest")

    def send(self, node: Node, nonce: int, to: bytes, data: bytes) -> None:
        """Sends a call under `nonce`, unless one waits under it that is not yet stuck.

        One that the node has no more, as after a reorganisation, is sent again. RefusedError with
        its data if the contract would revert; AnchorDown for a price above the bound; AnchorError
        without the means to pay, and for one number too many.
        """
        if nonce not in self._numbers and len(self._numbers) >= MOST_NUMBERS:
            raise AnchorError(
                f"the Ethereum node {node.shown} took {MOST_NUMBERS} transactions of the account {self._text} and shows none of what they do: "
                "no more are signed; ask another node what became of them"
            )
        if self._sent is None or self._sent.nonce != nonce:
            self._factor = 100
        elif self._waits(node, self._sent):
            if self._clock() - self._sent.time < _STUCK:
                return
            self._factor = self._factor * 5 // 4  # nodes ask for a tenth more at least
        call = {"from": self._text, "to": f"0x{to.hex()}", "data": f"0x{data.hex()}"}
        # in the newest block: one that waits already would make this one revert
        gas = node.quantity("eth_estimateGas", call, "latest") * 5 // 4
        if gas > _MOST_GAS:
            raise AnchorError(
                f"the Ethereum node {node.shown} wants {gas} units of gas for one anchoring: don't pay it"
            )
        tip, price = self._price(node)
        signed = self._signer.sign_transaction(
            {
                "type": 2,
                "chainId": self._chain,
                "nonce": nonce,
                "to": to,
                "value": 0,
                "data": data,
                "gas": gas,
                "maxFeePerGas": price,
                "maxPriorityFeePerGas": tip,
                "accessList": [],
            }
        )
        self._numbers.add(nonce)
        sent: str | None = f"0x{bytes(signed.hash).hex()}"
        try:
            node.data("eth_sendRawTransaction", f"0x{bytes(signed.raw_transaction).hex()}")
        except RefusedError as error:
            said = error.text.lower()
            if "insufficient funds" in said:
                raise AnchorError(f"the account {self._text} can't pay for the gas: send it some") from error
            if not any(words in said for words in _PENDING):
                raise AnchorDown(str(error)) from error
            sent = None
        self._sent = _Sent(nonce, sent, self._clock())

    def _waits(self, node: Node, sent: _Sent) -> bool:
        return sent.hash is None or node.call("eth_getTransactionByHash", sent.hash) is not None

    def _price(self, node: Node) -> tuple[int, int]:
        """What a unit of gas may cost, in wei: the tip, and all."""
        block = node.object("eth_getBlockByNumber", "latest", False)
        base = number(block.get("baseFeePerGas"), f"the base fee of {node.shown}")
        tip = node.quantity("eth_maxPriorityFeePerGas") * self._factor // 100
        price = 2 * base * self._factor // 100 + tip
        if base + tip > self._most:
            raise AnchorDown(
                f"a unit of gas costs {(base + tip) // GWEI} gwei, and max_gwei is {self._most // GWEI}: wait, or raise it"
            )
        return min(tip, self._most), min(price, self._most)

    @property
    def _text(self) -> str:
        return f"0x{self.address.hex()}"


def load_signer(path: Path) -> "LocalAccount":
    """The key in a file that only its owner can read. UsageError if there is none, or it is
    none; no message repeats what is in it. StorageError where the system refuses."""
    try:
        from eth_account import Account as EthAccount
    except ImportError as error:
        raise UsageError("the anchor evm takes the package eth-account: pip install 'zk-autograd[evm]'") from error
    what = "the account's key"
    with open_named(path, what, 100) as descriptor:
        mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
        if mode & 0o077:
            raise UsageError(f"{what} {path} can be read by others (mode {mode:04o}): `chmod 600 {path}`")
        try:
            text = os.read(descriptor, 100).decode("ascii", "replace").removesuffix("\n")
        except OSError as error:
            raise refusal(error, f"{what} {path} can't be read") from error
    if not text.startswith("0x") or len(text) != 66 or not set(text[2:].lower()) <= set("0123456789abcdef"):
        raise UsageError(f"{what} {path} is malformed: {_MAKE}")
    try:
        signer: LocalAccount = EthAccount.from_key(text)
    except ValueError:  # zero, or not below the curve's order
        raise UsageError(f"{what} {path} is not one of the curve secp256k1: {_MAKE}") from None
    return signer
