"""`zk-train --start beacon:evm:...` and `--anchor evm:...` on a real chain, and what an auditor who
trusts that chain is told."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import trainer_key
from tests.anchor.evm.chain import CHAIN_ID, Chain, anvil
from zk_autograd.anchor.evm.keccak import available
from zk_autograd.cli import anchor, train, verify
from zk_autograd.credentials import keyfile

pytest.importorskip("torch")
pytest.importorskip("sklearn")

pytestmark = [pytest.mark.torch, pytest.mark.slow]

TRAIN = ["--steps", "3", "--prover", "none", "--data", "breast-cancer", "--model", "logistic", "--out", "run"]
KEY = ["--key", "config/zk-autograd/log.key.pub"]


@pytest.fixture
def chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Chain]:
    """A chain on which a block is made every few hundredths of a second."""
    if not available():
        pytest.skip("the anchor evm needs packages: pip install 'zk-autograd[evm]'")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    trainer_key.create(keyfile.default_path(), "trainer")
    over = threading.Event()
    with anvil(tmp_path / "chain") as chain:

        def mine() -> None:
            while not over.wait(0.05):
                chain.mine()

        miner = threading.Thread(target=mine)
        miner.start()
        yield chain
        over.set()
        miner.join()


def trusting(chain: Chain) -> list[str]:
    """The auditor's trust: blocks of the chain, as they see it."""
    top = int(str(chain.node.call("eth_blockNumber")), 16)
    hashes = [chain.node.call("eth_getBlockByNumber", hex(at), False) for at in range(top + 1)]
    blocks = [block["hash"] for block in hashes if isinstance(block, dict)]
    Path("trust.toml").write_text(f'[anchors.evm]\nchain = "{CHAIN_ID}"\nblocks = {json.dumps(blocks)}\ndelay = 4\n')
    return ["--trust-anchors", "trust.toml"]


def spec(chain: Chain) -> str:
    return f"evm:{chain.url},key={chain.key()},confirmations=2,delay=4"


def test_first_weights_of_a_chain_are_shown_not_to_be_the_trainers(
    chain: Chain, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train.main([*TRAIN, "--start", f"beacon:{spec(chain)}", "--anchor", spec(chain)]) == 0
    out, _ = capsys.readouterr()
    assert "has all of the run" in out
    assert verify.main(["run", *KEY, "--require", "L0", *trusting(chain), "--long"]) == 0
    out, _ = capsys.readouterr()
    shown = " ".join(out.split())
    assert "the first weights follow from the header and the beacon" in shown
    assert "the beacon came after the header: evm gives it" in shown
    assert verify.main(["run", *KEY, "--require", "L0", "--long"]) == 0
    assert "that the beacon came after the header is not shown" in " ".join(capsys.readouterr().out.split())
    assert anchor.main(["verify", "run", *KEY, *trusting(chain)]) == 0


def test_a_run_that_was_not_anchored_is_completed(chain: Chain, capsys: pytest.CaptureFixture[str]) -> None:
    assert train.main(TRAIN) == 0
    assert anchor.main(["publish", "run", "--anchor", spec(chain)]) == 0
    assert anchor.main(["verify", "run", *KEY, *trusting(chain)]) == 0
    capsys.readouterr()
