"""What a receipt's proofs must end in, whatever a hostile chain has in its state: one that a
trainer makes, or one of other rules. The tries are made here, since no real chain has such
accounts."""

import dataclasses
from collections.abc import Sequence

import pytest

from tests.anchor.tree import Tree
from zk_autograd.anchor.evm.body import Body
from zk_autograd.anchor.evm.contract import contract
from zk_autograd.anchor.evm.header import Header
from zk_autograd.anchor.evm.keccak import keccak256
from zk_autograd.anchor.evm.rlp import encode_bytes, encode_list
from zk_autograd.anchor.evm.slots import Place, entry_slots
from zk_autograd.core.errors import VerificationError

pytest.importorskip("Crypto", reason="pycryptodome is not installed: pip install 'zk-autograd[evm]'")

HEAD = Tree(5).checkpoint().head
PLACE = Place(10, 1000, 3)


def leaf(key: bytes, skipped: int, value: bytes) -> bytes:
    """The node that ends the path of a key, but for the nibbles that lead to it."""
    digits = keccak256(key).hex()[skipped:]
    return encode_list([bytes.fromhex(f"3{digits}" if len(digits) % 2 else f"20{digits}"), value])


def made(place: Place = PLACE, account: Sequence[bytes] = ()) -> tuple[Body, Header]:
    """A receipt's body for HEAD, and the header whose state it is shown in; `account`: what follows
    its four parts."""
    for publisher in (bytes([number]) * 20 for number in range(256)):
        slots = entry_slots(publisher, HEAD.origin, HEAD.size)
        first, second = (int(keccak256(slot).hex()[0], 16) for slot in slots)
        if first != second:  # then there is one branch, and two leaves
            break
    packed = place.number | place.time << 64 | place.previous << 128
    values = HEAD.root, packed.to_bytes(32, "big").lstrip(b"\0")
    leaves = [leaf(slot, 1, encode_bytes(value)) for slot, value in zip(slots, values, strict=True)]
    children = [b""] * 17
    children[first], children[second] = map(keccak256, leaves)
    branch = encode_list(children)
    state = leaf(contract().address, 0, encode_list([b"\x01", b"", keccak256(branch), contract().code_hash, *account]))
    proofs = (state,), (branch, leaves[0]), (branch, leaves[1])
    body = Body(1, contract().address, publisher, (b"",), *proofs, 0)
    return body, Header(bytes(32), bytes(32), keccak256(state), 20, 2000, None)


def test_an_entry_is_found_where_the_proofs_lead() -> None:
    body, header = made()
    assert body.place_of(header, HEAD) == PLACE


@pytest.mark.parametrize(
    "change",
    [{"number": 21}, {"time": 2001}, {"previous": HEAD.size}, {"previous": HEAD.size + 1}],
    ids=str,
)
def test_an_entry_that_no_contract_of_this_package_makes_is_refused(change: dict[str, int]) -> None:
    """One that follows a tree as large as itself would give the leaves another beacon: those of a
    run that had one before."""
    body, header = made(dataclasses.replace(PLACE, **change))
    with pytest.raises(VerificationError, match="of a later block, or follows a larger tree"):
        body.place_of(header, HEAD)


def test_an_account_of_another_form_is_refused() -> None:
    body, header = made(account=[b"\x01"])
    with pytest.raises(VerificationError, match="does not end in an account"):
        body.place_of(header, HEAD)
