"""EZKL's verifier as a contract: made for the circuit's verifying key, deployed on a real chain
within the size that Ethereum allows, and called with the proof of one segment."""

import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.anchor.evm.chain import Chain, anvil
from tests.anchor.evm.compiled import solc
from tests.prove.ezkl.proved import prove_sample
from tests.shared import Shared
from zk_autograd.anchor.evm.rpc import RefusedError
from zk_autograd.core.statement import Statement
from zk_autograd.prove.ezkl.circuit import catalogue
from zk_autograd.prove.ezkl.keys import Cache
from zk_autograd.prove.ezkl.verify import instances, proof_file

pytestmark = [pytest.mark.ezkl, pytest.mark.slow]

MOST = 24_576
"""EIP-170: bytes of a contract's code."""

SETTINGS = {"evmVersion": "paris", "optimizer": {"enabled": True, "runs": 1}}

# EZKL writes the source, and then looks for a compiler on the network, from which it is kept.
WRITE = """
import asyncio, ezkl, sys
async def write():
    await ezkl.create_evm_verifier(*sys.argv[1:], False)
asyncio.run(write())
"""
CALLDATA = "import ezkl, sys; ezkl.encode_evm_calldata(sys.argv[1], sys.argv[2], None)"


@dataclass(frozen=True)
class Deployed:
    """The contract at `address`, and what it takes to call it."""

    chain: Chain
    address: str
    sender: str
    circuit: catalogue.Circuit
    statement: Statement
    proof: bytes
    folder: Path

    def calldata(self, statement: Statement, proof: bytes) -> str:
        path = self.folder / "proof.json"
        path.write_bytes(proof_file(proof, instances(self.circuit, statement)))
        subprocess.run([sys.executable, "-c", CALLDATA, path, self.folder / "calldata"], check=True, timeout=120)
        return f"0x{(self.folder / 'calldata').read_bytes().hex()}"

    def accepts(self, calldata: str) -> bool:
        """Whether the contract says so; it reverts or says no otherwise."""
        call = {"from": self.sender, "to": self.address, "data": calldata, "gas": hex(20_000_000)}
        try:
            return int.from_bytes(self.chain.node.data("eth_call", call), "big") == 1
        except RefusedError:
            return False


@pytest.fixture(scope="module")
def deployed(shared: Shared, ezkl_cache: Cache, srs_digest: bytes, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("verifier")
    with anvil(folder / "chain") as chain:
        backend, statement, _, proof = prove_sample("adam-n32-t64", 5, shared, ezkl_cache, srs_digest)
        keys = backend._keys
        source = folder / "verifier.sol"
        subprocess.run(
            [sys.executable, "-c", WRITE, keys.vk, keys.settings, source, folder / "verifier.abi", keys.srs],
            env={**os.environ, "HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"},
            capture_output=True,
            check=False,
            timeout=300,
        )
        made = solc({"verifier.sol": source.read_text(encoding="utf-8")}, SETTINGS)["verifier.sol"]["Halo2Verifier"]
        size = len(made["evm"]["deployedBytecode"]["object"]) // 2
        if size > MOST:
            pytest.skip(f"EZKL's verifier has {size} bytes of code, more than the {MOST} that EIP-170 allows")
        sender = f"0x{chain.anchor().publisher.hex()}"
        code = f"0x{made['evm']['bytecode']['object']}"
        sent = chain.node.call("eth_sendTransaction", {"from": sender, "data": code})
        chain.mine()
        address = str(chain.node.object("eth_getTransactionReceipt", sent)["contractAddress"])
        yield Deployed(chain, address, sender, backend._circuit, statement, proof.proof, folder)


def test_a_contract_accepts_the_proof_of_a_segment(deployed: Deployed) -> None:
    calldata = deployed.calldata(deployed.statement, deployed.proof)
    assert deployed.accepts(calldata)
    sent = deployed.chain.node.call(
        "eth_sendTransaction",
        {"from": deployed.sender, "to": deployed.address, "data": calldata, "gas": hex(20_000_000)},
    )
    deployed.chain.mine()
    receipt = deployed.chain.node.object("eth_getTransactionReceipt", sent)
    assert receipt["status"] == "0x1"
    assert 500_000 < int(str(receipt["gasUsed"]), 16) < 3_000_000


def test_it_refuses_another_statement_and_another_proof(deployed: Deployed) -> None:
    """A contract that paid for a proof would pay for any."""
    other = replace(deployed.statement, segment=deployed.statement.segment + 1)
    assert not deployed.accepts(deployed.calldata(other, deployed.proof))
    for at in (0, len(deployed.proof) // 2, len(deployed.proof) - 1):
        turned = deployed.proof[:at] + bytes((deployed.proof[at] ^ 1,)) + deployed.proof[at + 1 :]
        assert not deployed.accepts(deployed.calldata(deployed.statement, turned))
