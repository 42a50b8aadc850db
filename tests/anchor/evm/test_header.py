"""Block headers: Ethereum's own, and a chain's."""

import pytest

from tests.anchor.evm.chain import Chain
from zk_autograd.anchor.evm.header import Header, parse_chain
from zk_autograd.anchor.evm.keccak import keccak256
from zk_autograd.anchor.evm.rlp import decode_list, encode_list
from zk_autograd.anchor.evm.state import raw_header
from zk_autograd.core.errors import VerificationError

GENESIS_HASH = "d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3"
GENESIS_STATE = "d7f8974fb5ac78d9ac099b9ad5018bedc2ce0a72dad1827a1709da30580f0544"
EMPTY = "56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"
NO_UNCLES = "1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347"
EXTRA = "11bbe8db4e347b4e8c937c1c8370e4b5ed33adb3db69cbdb7a38e1e50b1b82fa"


def test_the_first_header_of_ethereum_has_its_known_hash() -> None:
    """Its fields and hash are in every client of the network."""
    items = [bytes(32), bytes.fromhex(NO_UNCLES), bytes(20), bytes.fromhex(GENESIS_STATE), bytes.fromhex(EMPTY)]
    items += [bytes.fromhex(EMPTY), bytes(256), (17_179_869_184).to_bytes(5, "big"), b"", (5000).to_bytes(2, "big")]
    items += [b"", b"", bytes.fromhex(EXTRA), bytes(32), bytes.fromhex("0000000000000042")]
    header = Header.parse(encode_list(items))
    assert header.hash.hex() == GENESIS_HASH
    assert (header.number, header.time, header.state_root.hex(), header.mix) == (0, 0, GENESIS_STATE, None)


@pytest.fixture(scope="module")
def headers(chain: Chain) -> list[bytes]:
    chain.mine(4)
    last = chain.node.quantity("eth_blockNumber")
    return [raw_header(chain.node, at) for at in range(last - 3, last + 1)]


def with_item(data: bytes, at: int, item: bytes) -> bytes:
    items = decode_list(data, "it")
    items[at] = item
    return encode_list(items)


def test_headers_follow_each_other(headers: list[bytes]) -> None:
    assert [header.hash for header in parse_chain(headers)] == [keccak256(data) for data in headers]
    for wrong in (headers[::-1], [headers[0], headers[2]], [headers[0], headers[0]]):
        with pytest.raises(VerificationError, match="does not follow"):
            parse_chain(wrong)


def test_each_header_is_named_by_the_next_and_numbered_before_it(headers: list[bytes]) -> None:
    """A trainer who could join a block of their own to the auditor's would have its state."""
    other = with_item(headers[0], 3, bytes(32))
    numbered = with_item(headers[1], 8, (Header.parse(headers[1]).number + 1).to_bytes(1, "big"))
    for first, second in ((other, headers[1]), (headers[0], numbered)):
        with pytest.raises(VerificationError, match="does not follow"):
            parse_chain([first, second])


@pytest.mark.parametrize(("at", "size"), [(0, 32), (3, 32), (6, 256), (13, 32), (14, 8)])
def test_a_field_of_another_length_is_refused(headers: list[bytes], at: int, size: int) -> None:
    for length in (size - 1, size + 1):
        with pytest.raises(VerificationError, match="not the fields"):
            Header.parse(with_item(headers[0], at, bytes(length)))


def test_a_number_beyond_all_bounds_or_with_zeros_is_refused(headers: list[bytes]) -> None:
    for at in (7, 8, 11):
        for item in (b"\0", b"\0\1", b"\xff" * 33):
            with pytest.raises(VerificationError, match="not a number"):
                Header.parse(with_item(headers[0], at, item))
    with pytest.raises(VerificationError, match="not the fields"):
        Header.parse(encode_list(decode_list(headers[0], "it")[:14]))


def test_a_later_field_is_no_matter(headers: list[bytes]) -> None:
    longer = encode_list([*decode_list(headers[0], "it"), b"new"])
    assert Header.parse(longer).state_root == Header.parse(headers[0]).state_root
    assert Header.parse(longer).hash != Header.parse(headers[0]).hash


@pytest.mark.parametrize("mix", [0, 1, 2**64])
def test_a_chain_that_writes_a_constant_for_randomness_has_none(headers: list[bytes], mix: int) -> None:
    """Arbitrum writes 1 there: a beacon of it would be known before the run."""
    assert Header.parse(headers[0]).mix is not None
    assert Header.parse(with_item(headers[0], 13, mix.to_bytes(32, "big"))).mix is None


def test_before_proof_of_stake_there_is_none(headers: list[bytes]) -> None:
    """A miner could try hashes; a clique's signer writes what they like."""
    assert Header.parse(with_item(headers[0], 7, b"\2")).mix is None
