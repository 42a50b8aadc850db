"""Proofs of inclusion, made by a real node: what shows a value, and that nothing else does."""

from typing import Any

import pytest

from tests.anchor.evm.chain import FUNDED, Chain, Log
from zk_autograd.anchor.evm.contract import contract
from zk_autograd.anchor.evm.keccak import keccak256
from zk_autograd.anchor.evm.publish import calldata
from zk_autograd.anchor.evm.rlp import decode_list, encode_list
from zk_autograd.anchor.evm.slots import entry_slots, latest_slot
from zk_autograd.anchor.evm.state import parse_header
from zk_autograd.anchor.evm.trie import proved_value
from zk_autograd.core.errors import VerificationError

pytest.importorskip("Crypto", reason="pycryptodome is not installed: pip install 'zk-autograd[evm]'")
ADDRESS = contract().address


@pytest.fixture(scope="module")
def storage(chain: Chain) -> tuple[bytes, dict[bytes, list[bytes]], dict[bytes, int]]:
    """The contract's storage root, proofs for its slots, and their values; so many that the trie
    has branches in several levels. The last slot is one that has nothing."""
    account = chain.anchor().publisher
    slots = []
    for key in range(24):
        log = Log(key=500 + key)
        chain.send(ADDRESS, calldata(log.head(key + 1), []))
        slots += [latest_slot(account, log.origin), *entry_slots(account, log.origin, key + 1)]
    slots.append(latest_slot(account, "nobody's"))
    found: Any = chain.node.object(
        "eth_getProof", f"0x{ADDRESS.hex()}", [f"0x{slot.hex()}" for slot in slots], "latest"
    )
    proofs = {
        slot: [bytes.fromhex(node[2:]) for node in one["proof"]]
        for slot, one in zip(slots, found["storageProof"], strict=True)
    }
    values = {slot: int(one["value"], 16) for slot, one in zip(slots, found["storageProof"], strict=True)}
    return bytes.fromhex(found["storageHash"][2:]), proofs, values


def refused(root: bytes, key: bytes, nodes: list[bytes], match: str | None = None) -> None:
    with pytest.raises(VerificationError, match=match):
        proved_value(root, key, nodes, "the proof")


Storage = tuple[bytes, dict[bytes, list[bytes]], dict[bytes, int]]


def test_every_value_is_shown_by_its_proof_and_by_no_other(storage: Storage) -> None:
    root, proofs, values = storage
    assert max(map(len, proofs.values())) >= 3
    *there, _ = proofs
    for slot in there:
        value = proved_value(root, slot, proofs[slot], "the proof")
        assert value == encode_list([values[slot].to_bytes(32, "big").lstrip(b"\0")])[1:]
        for other in there:
            if other != slot:
                refused(root, slot, proofs[other])


def test_what_is_not_there_is_not_shown(storage: Storage) -> None:
    root, proofs, _ = storage
    *_, missing = proofs
    refused(root, missing, proofs[missing], "there is nothing|another key")


def test_a_proof_has_its_nodes_and_no_others(storage: Storage) -> None:
    root, proofs, _ = storage
    slot, nodes = max(proofs.items(), key=lambda one: len(one[1]))
    refused(root, slot, [], "breaks off")
    refused(root, slot, nodes[:-1], "breaks off")
    refused(root, slot, nodes[1:], "node 0 of the proof is not")
    refused(root, slot, [*nodes, nodes[-1]], "goes on after its value")
    refused(root, slot, [*nodes, b""], "goes on after its value")
    refused(root, slot, nodes[::-1])
    refused(root, slot, [nodes[0], *nodes])
    refused(keccak256(nodes[1]), slot, nodes[1:], "another key|nothing")


def test_no_bit_of_a_proof_can_be_turned(storage: Storage) -> None:
    root, proofs, _ = storage
    slot, nodes = max(proofs.items(), key=lambda one: len(one[1]))
    for at, node in enumerate(nodes):
        for byte in range(len(node)):
            turned = node[:byte] + bytes((node[byte] ^ 1 << byte % 8,)) + node[byte + 1 :]
            refused(root, slot, [*nodes[:at], turned, *nodes[at + 1 :]], f"node {at} of")


def path(key: bytes, start: int, kind: int) -> bytes:
    """A node's path: the digits of a key from `start` on; `kind` is 2 for a leaf, 0 for an
    extension."""
    digits = keccak256(key).hex()[start:]
    return bytes.fromhex(f"{kind + 1}{digits}" if len(digits) % 2 else f"{kind}0{digits}")


KEY = b"k" * 32
DIGITS = keccak256(KEY).hex()


def made(*items: bytes) -> tuple[bytes, bytes]:
    node = encode_list(items)
    return node, keccak256(node)


def test_nodes_of_every_kind_lead_to_a_leaf() -> None:
    """A leaf under an extension of an odd and one of an even path, under a branch."""
    for digits in ("odd", "even"):
        length = 3 if digits == "odd" else 4
        leaf, named = made(path(KEY, 1 + length, 2), b"value")
        part = f"1{DIGITS[1 : 1 + length]}" if length % 2 else f"00{DIGITS[1 : 1 + length]}"
        extension, named = made(bytes.fromhex(part), named)
        children = [b""] * 17
        children[int(DIGITS[0], 16)] = named
        branch, named = made(*children)
        assert proved_value(named, KEY, [branch, extension, leaf], "the proof") == b"value"


def test_an_extension_of_other_digits_leads_nowhere() -> None:
    """What is below it belongs to keys that differ in these digits alone."""
    leaf, named = made(path(KEY, 4, 2), b"value")
    other = f"{int(DIGITS[1], 16) ^ 1:x}"
    extension, named = made(bytes.fromhex(f"1{other}{DIGITS[2:4]}"), named)
    children = [b""] * 17
    children[int(DIGITS[0], 16)] = named
    branch, named = made(*children)
    refused(named, KEY, [branch, extension, leaf], "ends at another key")


@pytest.mark.parametrize(
    ("items", "match"),
    [
        ((bytes.fromhex("20"), b"value"), "another key"),  # a leaf that has none of the path
        ((bytes.fromhex("20") + keccak256(b"other"), b"value"), "another key"),
        ((bytes.fromhex("00") + keccak256(KEY), b"v" * 32), "another key"),  # an extension that takes all of it
        ((bytes.fromhex("00"), b"v" * 32), "empty path"),
        ((bytes.fromhex("40") + keccak256(KEY), b"value"), "no path"),
        ((bytes.fromhex("21") + keccak256(KEY), b"value"), "no path"),  # a filler that is not zero
        ((b"", b"value"), "no path"),
        ((bytes.fromhex("20") + keccak256(KEY), b"value", b""), "no node of a trie"),
        ((b"",) * 17, "there is nothing"),
        ((b"v" * 31,) * 17, "there is nothing"),
    ],
)
def test_a_root_that_is_no_node_for_the_key_shows_nothing(items: tuple[bytes, ...], match: str) -> None:
    node, named = made(*items)
    refused(named, KEY, [node], match)


def test_a_node_within_a_node_is_refused() -> None:
    children = [b""] * 17
    children[0] = b"12345"
    node = bytearray(encode_list(children))
    node[node.index(b"\x8512345")] = 0xC5
    refused(keccak256(bytes(node)), KEY, [bytes(node)], "list of byte strings")


def test_an_account_is_in_the_states_trie(chain: Chain) -> None:
    chain.mine()
    at = chain.node.quantity("eth_blockNumber")
    header = parse_header(chain.node, at)
    found: Any = chain.node.object("eth_getProof", f"0x{ADDRESS.hex()}", [], hex(at))
    nodes = [bytes.fromhex(node[2:]) for node in found["accountProof"]]
    assert len(FUNDED) and len(nodes) >= 2
    account = decode_list(proved_value(header.state_root, ADDRESS, nodes, "the proof"), "the account")
    assert account[3] == contract().code_hash
