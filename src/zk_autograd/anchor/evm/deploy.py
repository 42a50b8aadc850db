"""Deploys the contract, once for a chain and for everybody on it:

    python -m zk_autograd.anchor.evm.deploy RPC_URL KEYFILE

By the deterministic proxy (contract.FACTORY), so that it lies at the same address everywhere, and
the address itself shows which code made it.
"""

import sys
import time
from pathlib import Path

from zk_autograd.anchor.evm import state
from zk_autograd.anchor.evm.account import Account, load_signer
from zk_autograd.anchor.evm.contract import FACTORY, SALT, contract
from zk_autograd.anchor.evm.publish import MAX_GWEI, PATIENCE
from zk_autograd.anchor.evm.rpc import Node
from zk_autograd.core.errors import AnchorDown, AnchorError, UsageError, ZkError


def deploy(node: Node, key: Path, max_gwei: int = MAX_GWEI, patience: float = PATIENCE) -> bytes:
    """The contract's address, where it is now, and costs nothing if it was there. AnchorError on a
    chain without the proxy; AnchorDown."""
    made = contract()
    if not node.data("eth_getCode", _text(FACTORY), "latest"):
        raise AnchorError(
            f"the chain of {node.shown} has no contract {_text(FACTORY)}, which deploys others: take another chain"
        )
    account = Account(load_signer(key), node.quantity("eth_chainId"), max_gwei)
    end = time.monotonic() + patience
    while True:
        nonce = account.next_nonce(node)
        if node.data("eth_getCode", _text(made.address), "latest"):
            state.require_contract(node, made.address)
            return made.address
        if time.monotonic() > end:
            raise AnchorDown("the transaction is in no block yet; try again later")
        account.send(node, nonce, FACTORY, SALT + made.init_code)
        time.sleep(0.2)


def main(arguments: list[str]) -> int:
    """The exit status."""
    try:
        if len(arguments) != 2:
            raise UsageError("usage: python -m zk_autograd.anchor.evm.deploy RPC_URL KEYFILE")
        print(_text(deploy(Node(arguments[0]), Path(arguments[1]))))
    except ZkError as error:
        print(f"deploy: {error}", file=sys.stderr)
        return error.exit_status
    return 0


def _text(address: bytes) -> str:
    return f"0x{address.hex()}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
