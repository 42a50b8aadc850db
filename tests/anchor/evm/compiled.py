"""The contract, compiled from its source anew: `python -m tests.anchor.evm.compiled` writes
Anchor.json, which the package carries."""

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

from zk_autograd.anchor.evm.contract import FACTORY, SALT
from zk_autograd.anchor.evm.keccak import keccak256

FOLDER = Path(__file__).parents[3] / "src/zk_autograd/anchor/evm/contract"
TOOLS = Path(__file__).parents[3] / ".cache/evm-tools/node_modules"
SOLCJS = TOOLS / ".bin/solcjs"
SETTINGS = {
    "evmVersion": "paris",  # the oldest one with proof of stake: it runs on every chain
    "metadata": {"appendCBOR": False, "bytecodeHash": "none"},
    "optimizer": {"enabled": True, "runs": 200},
}


def solc(sources: dict[str, str], settings: dict[str, Any]) -> Any:
    """What the compiler answers for these sources, all contracts with their code."""
    if not SOLCJS.exists():
        pytest.skip("there is no compiler of Solidity here: make test-deps")
    asked = {
        "language": "Solidity",
        "sources": {name: {"content": text} for name, text in sources.items()},
        "settings": settings
        | {"outputSelection": {"*": {"*": ["abi", "metadata", "evm.bytecode.object", "evm.deployedBytecode.object"]}}},
    }
    with tempfile.TemporaryFile() as file:  # not a pipe: node would fail where it has to wait for one
        file.write(json.dumps(asked).encode())
        file.seek(0)
        done = subprocess.run([SOLCJS, "--standard-json"], stdin=file, capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout[done.stdout.index("{") :])
    faults = [fault["formattedMessage"] for fault in answer.get("errors", []) if fault["severity"] == "error"]
    assert not faults, faults
    return answer["contracts"]


def compiled() -> dict[str, Any]:
    """What Anchor.json has to hold."""
    made = solc({"Anchor.sol": (FOLDER / "Anchor.sol").read_text(encoding="ascii")}, SETTINGS)["Anchor.sol"]["Anchor"]
    init = bytes.fromhex(made["evm"]["bytecode"]["object"])
    code = bytes.fromhex(made["evm"]["deployedBytecode"]["object"])
    address = keccak256(b"\xff" + FACTORY + SALT + keccak256(init))[12:]  # EIP-1014
    return {
        "compiler": json.loads(made["metadata"])["compiler"]["version"],
        "settings": SETTINGS,
        "abi": made["abi"],
        "init_code": f"0x{init.hex()}",
        "code": f"0x{code.hex()}",
        "code_hash": f"0x{keccak256(code).hex()}",
        "address": f"0x{address.hex()}",
    }


def text() -> str:
    """Anchor.json's."""
    return json.dumps(compiled(), indent=2) + "\n"


if __name__ == "__main__":
    (FOLDER / "Anchor.json").write_text(text(), encoding="ascii")
