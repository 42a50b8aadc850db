"""A real chain for tests, anvil's, that makes a block when it is told to; and a register's log."""

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from tests.anchor.evm.compiled import TOOLS
from zk_autograd.anchor.evm.contract import contract
from zk_autograd.anchor.evm.deploy import deploy
from zk_autograd.anchor.evm.publish import EvmAnchor
from zk_autograd.anchor.evm.rpc import Node
from zk_autograd.core.anchors import SignedCheckpoint
from zk_autograd.core.checkpoint import Checkpoint
from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.core.merkle import consistency_proof, leaf_hash, root
from zk_autograd.core.register import origin_of, sign_head

ANVIL = TOOLS / "@foundry-rs/anvil-linux-amd64/bin/anvil"
CHAIN_ID = 31337
FUNDED = (
    "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
)
"""Anvil's own accounts, published with it: they are worth nothing anywhere else."""


class Chain:
    """A running anvil, and where keys for it lie."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.node = Node(url)
        self._folder = folder

    def key(self, which: int = 0) -> Path:
        """The file of an account that has funds."""
        path = self._folder / f"account-{which}"
        if not path.exists():
            path.touch(0o600)
            path.write_text(FUNDED[which] + "\n", encoding="ascii")
        return path

    def send(self, to: bytes, data: bytes, which: int = 0, value: int = 0) -> None:
        """A transaction of an account, in a block when this returns. RefusedError if it reverts."""
        call = {"from": f"0x{self.anchor(which).publisher.hex()}", "to": f"0x{to.hex()}", "data": f"0x{data.hex()}"}
        made = self.node.call("eth_sendTransaction", call | {"value": hex(value)})
        while self.node.call("eth_getTransactionReceipt", made) is None:
            time.sleep(0.001)

    def mine(self, blocks: int = 1) -> None:
        self.node.call("anvil_mine", hex(blocks))

    def anchor(self, which: int = 0, confirmations: int = 2, delay: int = 4, patience: float = 3600) -> EvmAnchor:
        """An anchor whose pauses are a block each, so that no test waits."""
        now = [0.0]

        def sleep(seconds: float) -> None:
            now[0] += 1
            self.mine()

        return EvmAnchor(
            self.node,
            self.key(which),
            contract().address,
            confirmations=confirmations,
            delay=delay,
            patience=patience,
            clock=lambda: now[0],
            sleep=sleep,
        )


@contextmanager
def anvil(folder: Path, *flags: str) -> Iterator[Chain]:
    """A chain with the contract on it, until the block ends."""
    if not ANVIL.exists():
        pytest.skip("there is no anvil here: make test-deps")
    command = [str(ANVIL), "--host", "127.0.0.1", "--port", "0", "--chain-id", str(CHAIN_ID), *flags]
    folder.mkdir(exist_ok=True)
    said = folder / "anvil.log"  # not a pipe, which anvil would fill and then wait
    with said.open("wb") as log, subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT) as process:
        try:
            chain = Chain(f"http://{_listening(process, said)}", folder)
            deploy(chain.node, chain.key())
            yield chain
        finally:
            process.terminate()


def _listening(process: "subprocess.Popen[bytes]", said: Path) -> str:
    end = time.monotonic() + 30
    while time.monotonic() < end and process.poll() is None:
        lines = said.read_text(encoding="utf-8").splitlines(keepends=True)
        if lines and lines[-1].startswith("Listening on ") and lines[-1].endswith("\n"):
            return lines[-1].split()[2]
        time.sleep(0.02)
    raise AssertionError(f"anvil did not start: {said.read_text(encoding='utf-8')}")


class Log:
    """A register's log of numbered leaves, of the branch `name`: two branches of one key begin with
    the same `shared` leaves."""

    def __init__(self, name: str = "one", shared: int = 0, key: int = 1) -> None:
        self._name = name
        self._shared = shared
        self._signer = Ed25519Signer("trainer", sha256(b"%d" % key).digest())
        self.origin = origin_of([self._signer.public_key])

    def entries(self, first: int, end: int) -> Sequence[bytes]:
        return [b"%d of %s" % (at, b"all" if at < self._shared else self._name.encode()) for at in range(first, end)]

    def consistency(self, size1: int, size2: int) -> Sequence[bytes]:
        return consistency_proof([leaf_hash(leaf) for leaf in self.entries(0, size2)], size1, size2)

    def head(self, size: int) -> Checkpoint:
        return Checkpoint(self.origin, size, root([leaf_hash(leaf) for leaf in self.entries(0, size)]))

    def checkpoint(self, size: int) -> SignedCheckpoint:
        return SignedCheckpoint.parse(sign_head(self.head(size), [self._signer]))
