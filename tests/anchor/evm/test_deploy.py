"""Deploying the contract: once, at the address that shows its code."""

from pathlib import Path

import pytest

from tests.anchor.evm.chain import Chain, anvil
from zk_autograd.anchor.evm.contract import FACTORY, contract
from zk_autograd.anchor.evm.deploy import deploy, main
from zk_autograd.core.errors import AnchorError


def test_it_is_deployed_once_for_everybody(chain: Chain, capsys: pytest.CaptureFixture[str]) -> None:
    count = chain.node.quantity("eth_getTransactionCount", f"0x{chain.anchor(1).publisher.hex()}", "latest")
    assert deploy(chain.node, chain.key(1)) == contract().address
    assert main([chain.url, str(chain.key(1))]) == 0
    assert capsys.readouterr().out == f"0x{contract().address.hex()}\n"
    assert chain.node.quantity("eth_getTransactionCount", f"0x{chain.anchor(1).publisher.hex()}", "latest") == count


def test_mistakes_are_told_in_one_line(chain: Chain, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert main(["http://127.0.0.1:1", str(chain.key())]) == 4
    assert main([chain.url, "/nowhere"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 3


def test_a_chain_without_the_proxy_is_told(tmp_path: Path) -> None:
    with anvil(tmp_path / "chain") as chain:
        chain.node.call("anvil_setCode", f"0x{FACTORY.hex()}", "0x")
        with pytest.raises(AnchorError, match="which deploys others: take another chain"):
            deploy(chain.node, chain.key())
