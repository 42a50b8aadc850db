"""The anchor `evm`: each checkpoint's root is an entry in a contract on an EVM chain.

    evm:RPC_URL,key=KEYFILE[,contract=0x..][,confirmations=N][,delay=N][,max_gwei=N]

One call goes as far as it gets in `patience`, and AnchorDown says where it stands. The next one
looks first and goes on from there, in this process or another: nothing is kept here, the chain has
it all. A transaction that a reorganisation took away is sent again, under the same number.

A receipt is made of the state N blocks above the entry, once N more lie above that one: so the
block that the auditor has to look up is as settled as the entry was in it.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from zk_autograd.anchor.evm import state
from zk_autograd.anchor.evm.account import Account, load_signer
from zk_autograd.anchor.evm.beacon import LEAST_DELAY, MAX_DELAY, terms
from zk_autograd.anchor.evm.body import MAX_HEADERS
from zk_autograd.anchor.evm.contract import METHOD, NOT_CONTINUED, NOT_LARGER, contract
from zk_autograd.anchor.evm.keccak import available, keccak256
from zk_autograd.anchor.evm.receipt import KIND, verify
from zk_autograd.anchor.evm.rpc import Node, RefusedError
from zk_autograd.anchor.evm.slots import Place, origin_hash
from zk_autograd.anchor.evm.trust import Trust
from zk_autograd.core.anchors import AnchorClaim, History, Receipt, SignedCheckpoint, Standing
from zk_autograd.core.checkpoint import Checkpoint
from zk_autograd.core.errors import AnchorBehind, AnchorDown, AnchorError, AnchorForked, UsageError, VerificationError
from zk_autograd.core.merkle import verify_consistency
from zk_autograd.core.progress import Progress, silent
from zk_autograd.core.text import counted, quoted

CONFIRMATIONS = 32
MOST_CONFIRMATIONS = MAX_HEADERS - 1
MAX_GWEI = 200
PATIENCE = 120.0
"""Seconds."""

_POLL = (0.05, 4.0)
"""Seconds between two looks, the first time and at most."""

_FORM = "evm:RPC_URL,key=KEYFILE[,contract=0x..][,confirmations=N][,delay=N][,max_gwei=N]"


class EvmAnchor:
    """The heads that an account anchors in a contract. `confirmations`, `delay`: blocks;
    `patience`: seconds that a call waits for blocks."""

    kind = KIND

    def __init__(
        self,
        node: Node,
        key: Path,
        address: bytes,
        *,
        confirmations: int = CONFIRMATIONS,
        delay: int = LEAST_DELAY,
        max_gwei: int = MAX_GWEI,
        patience: float = PATIENCE,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """UsageError for a key that is none, AnchorDown and AnchorError for the node."""
        self._node = node
        self._address = address
        self._signer = load_signer(key)
        self._confirmations = confirmations
        self._delay = delay
        self._max_gwei = max_gwei
        self._patience = patience
        self._clock = clock
        self._sleep = sleep
        self._opened: tuple[int, Account] | None = None

    @property
    def spec(self) -> str:
        return f"{KIND}:{self._node.shown},contract=0x{self._address.hex()}"

    @property
    def publisher(self) -> bytes:
        """The account's address, 20 bytes."""
        return bytes.fromhex(self._signer.address.removeprefix("0x"))

    def publish(self, checkpoint: SignedCheckpoint, history: History) -> Sequence[Receipt]:
        """See core.anchors.Anchor."""
        end = self._clock() + self._patience
        depth = self._confirmations
        self._settled(checkpoint.head, history, 2 * depth, end, silent)
        block = state.head_number(self._node) - depth
        return (self._checked(checkpoint, block, block, 0, depth)[0],)

    def require_continued(self, checkpoint: SignedCheckpoint, history: History) -> None:
        """See core.anchors.AskableAnchor: of the account's newest head, which costs nothing."""
        _, account = self._open()
        heads = state.Heads(self._node, self._address, account.address, checkpoint.head.origin)
        if (size := heads.latest()) > checkpoint.head.size:
            raise AnchorBehind(f"{self._node.shown} holds a head of {size} entries, ours has {checkpoint.head.size}")
        if size:
            self._continuing(heads, size, checkpoint.head, history)

    def beacon_terms(self) -> dict[str, str]:
        """See core.anchors.BeaconAnchor."""
        chain, account = self._open()
        self._require_randomness(state.head_number(self._node))
        return terms(chain, self._address, account.address, self._delay)

    def beacon(
        self,
        checkpoint: SignedCheckpoint,
        history: History,
        *,
        progress: Progress = silent,
        patience: float | None = None,
    ) -> tuple[Receipt, bytes]:
        """See core.anchors.BeaconAnchor: it is that of the block `delay` blocks later, once that is
        settled."""
        end = self._clock() + (self._patience if patience is None else patience)
        depth = self._confirmations
        place = self._settled(checkpoint.head, history, self._delay + 2 * depth, end, progress)
        block = place.number + self._delay
        self._require_randomness(block)
        receipt, claim = self._checked(checkpoint, block, block + depth, self._delay, depth)
        if claim.beacon is None:
            raise AnchorDown(f"the receipt shows no beacon: {claim.rests_on}")
        return receipt, claim.beacon

    def _require_randomness(self, block: int) -> None:
        if state.parse_header(self._node, block).mix is None:
            raise AnchorError(
                f"the chain of {self._node.shown} has no randomness of its proposers in its headers, so it gives no "
                "beacon: take another chain"
            )

    def _open(self) -> tuple[int, Account]:
        if self._opened is None:
            chain = self._node.quantity("eth_chainId")
            state.require_contract(self._node, self._address)
            self._opened = (chain, Account(self._signer, chain, self._max_gwei, self._clock))
        return self._opened

    def _settled(self, head: Checkpoint, history: History, blocks: int, end: float, progress: Progress) -> Place:
        """Where the head is anchored, once that many blocks lie above it. It is looked for anew
        each time: a reorganisation may move it or take it away."""
        _, account = self._open()
        heads = state.Heads(self._node, self._address, account.address, head.origin)
        pause, longest = _POLL
        while True:
            nonce = account.next_nonce(self._node)  # before the look: what it counts can't be there unseen
            place = self._look(heads, head)
            if place is None:
                self._send(account, heads, nonce, head, history)
                stands = "the transaction is in no block yet"
            else:
                account.done(head.root)
                done = state.head_number(self._node) - place.number
                progress("blocks above the anchored root", min(done, blocks), blocks)
                if done >= blocks:
                    return place
                stands = f"{counted(blocks - done, 'block')} are missing above block {place.number}, which has it"
            if self._clock() >= end:
                raise AnchorDown(f"the chain of {self._node.shown} needs longer: {stands}; try again later")
            self._sleep(pause)
            pause = min(pause * 1.5, longest)

    def _look(self, heads: state.Heads, head: Checkpoint) -> Place | None:
        """Where the head is; None if it isn't there and can be. AnchorBehind, AnchorForked."""
        found = heads.entry(head.size)
        if found is None:
            latest = heads.latest()
            if latest > head.size:
                raise AnchorBehind(f"{self._node.shown} holds a head of {latest} entries, ours has {head.size}")
            return None
        root, place = found
        if root != head.root:
            raise AnchorForked(f"{self._node.shown} holds another root for the size {head.size}: {root.hex()}")
        return place

    def _send(self, account: Account, heads: state.Heads, nonce: int, head: Checkpoint, history: History) -> None:
        latest = heads.latest()
        if latest >= head.size:
            return  # it came in meanwhile: the next look sees it
        proof = self._continuing(heads, latest, head, history) if latest else []
        try:
            account.send(self._node, nonce, self._address, calldata(head, proof))
        except RefusedError as error:
            selectors = [selector(text) for text in (NOT_LARGER, NOT_CONTINUED)]
            if error.data[:4] in selectors:
                return  # a head came in between; the next look says which
            raise AnchorError(str(error)) from error

    def _continuing(self, heads: state.Heads, latest: int, head: Checkpoint, history: History) -> Sequence[bytes]:
        """The proof that ours continues what is there, of `latest` entries. AnchorForked."""
        if (before := heads.entry(latest)) is None:
            return []
        try:
            proof = history.consistency(latest, head.size)
            verify_consistency(latest, head.size, before[0], head.root, proof)
        except VerificationError as error:
            raise AnchorForked(
                f"{self._node.shown} holds a head of {latest} entries that ours does not continue"
            ) from error
        return proof

    def _checked(
        self, checkpoint: SignedCheckpoint, first: int, last: int, delay: int, depth: int
    ) -> tuple[Receipt, AnchorClaim]:
        """The receipt, verified as the auditor will who knows its last block. AnchorDown for one
        that isn't true: the node is half way through something."""
        chain, account = self._open()
        heads = state.Heads(self._node, self._address, account.address, checkpoint.head.origin)
        receipt = heads.receipt(checkpoint.head, chain, first, last, delay)
        try:
            top = state.parse_header(self._node, last)
            trust = Trust(chain, frozenset({top.hash}), self._address, account.address, depth, max(delay, 1))
            claim = verify(Receipt.parse(receipt.encode()), checkpoint, trust)
        except VerificationError as error:
            raise AnchorDown(f"the Ethereum node {self._node.shown} gives a proof that is none: {error}") from error
        if claim.standing is not Standing.SHOWN:
            raise AnchorDown(
                f"the Ethereum node {self._node.shown} gives a proof that shows too little: {claim.rests_on}"
            )
        return receipt, claim


def open_anchor(rest: str) -> EvmAnchor:
    """The anchor of `evm:RPC_URL,key=KEYFILE,...`. UsageError."""
    if not available():
        raise UsageError("the anchor evm takes the package pycryptodome: pip install 'zk-autograd[evm]'")
    url, *options = rest.split(",")
    values: dict[str, str] = {}
    for option in options:
        name, _, value = option.partition("=")
        if name not in ("key", "contract", "confirmations", "delay", "max_gwei") or name in values or not value:
            raise UsageError(f"{quoted(option)} is no option of the anchor evm: {_FORM}")
        values[name] = value
    if "key" not in values:
        raise UsageError(f"the anchor evm needs the file of an account's key: {_FORM}")
    return EvmAnchor(
        Node(url),
        Path(values["key"]).absolute(),
        _address(values["contract"]) if "contract" in values else contract().address,
        confirmations=_number(values, "confirmations", CONFIRMATIONS, MOST_CONFIRMATIONS),
        delay=_number(values, "delay", LEAST_DELAY, MAX_DELAY),
        max_gwei=_number(values, "max_gwei", MAX_GWEI, 10**6),
    )


def selector(signature: str) -> bytes:
    """The four bytes that begin a call, or the data of an error, of this signature."""
    return keccak256(signature.encode("ascii"))[:4]


def calldata(head: Checkpoint, proof: Sequence[bytes]) -> bytes:
    """The call that anchors a head (Solidity's ABI): three words, where the proof is, and that."""
    words = [origin_hash(head.origin), head.size.to_bytes(32, "big"), head.root]
    words += [(4 * 32).to_bytes(32, "big"), len(proof).to_bytes(32, "big"), *proof]
    return selector(METHOD) + b"".join(words)


def _address(text: str) -> bytes:
    digits = text.removeprefix("0x").lower()
    if len(digits) != 40 or not text.startswith("0x") or not set(digits) <= set("0123456789abcdef"):
        raise UsageError(f"{quoted(text)} is no contract's address: 0x and 40 hexadecimal digits")
    return bytes.fromhex(digits)


def _number(values: dict[str, str], name: str, default: int, most: int) -> int:
    text = values.get(name, str(default))
    if not text.isascii() or not text.isdigit() or not 1 <= len(text) <= 9 or not 1 <= int(text) <= most:
        raise UsageError(f"{name} of the anchor evm is a number from 1 to {most}, not {quoted(text)}")
    return int(text)
