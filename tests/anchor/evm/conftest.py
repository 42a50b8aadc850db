"""One chain for the tests of a module; each test has an origin of its own, or an account."""

from collections.abc import Iterator

import pytest

from tests.anchor.evm.chain import Chain, anvil


@pytest.fixture(scope="session", autouse=True)
def _packages() -> None:
    """Without the extra there is nothing to test."""
    pytest.importorskip("eth_account", reason="eth-account is not installed: pip install 'zk-autograd[evm]'")


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """A running chain with the contract on it."""
    with anvil(tmp_path_factory.mktemp("chain")) as running:
        yield running
