"""Receipts of the anchor dynamodb: the trainer's word if they are well formed, and confirmed by
nothing but the very item."""

from dataclasses import replace
from typing import Any

import pytest

from tests.anchor.tree import Tree
from zk_autograd.anchor.dynamodb.receipt import confirms, lies_at, verify
from zk_autograd.anchor.kinds import verifiers
from zk_autograd.core.anchors import Kept, Receipt, Standing
from zk_autograd.core.errors import VerificationError

TREE = Tree(3)
HEAD = TREE.checkpoint().head
BODY: dict[str, Any] = {"table": "anchors", "number": 7, "sha256": "ab" * 32}
KEPT = Kept(TREE.checkpoint().note, 0, tuple(TREE.leaves), BODY)


def receipt(**changed: Any) -> Receipt:
    return Receipt("dynamodb", HEAD.size, HEAD.root, {**BODY, **changed})


def test_a_receipt_is_the_trainers_word() -> None:
    made = Receipt.parse(receipt().encode())
    claim = verifiers()["dynamodb"].verify(made, TREE.checkpoint(), None)
    assert claim.standing is Standing.WORD
    assert (claim.time, claim.excludes_forks, claim.beacon, claim.identity) == (None, False, None, ())
    assert "--online" in claim.rests_on


@pytest.mark.parametrize(
    "changed",
    [
        {"table": "ab"},
        {"table": "t" * 256},
        {"number": -1},
        {"number": "7"},
        {"number": True},
        {"sha256": "AB" * 32},
        {"sha256": "ab" * 33},
        {"time": 1},
    ],
)
def test_a_malformed_receipt_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(VerificationError):
        verify(receipt(**changed), TREE.checkpoint(), None)
    assert not confirms(replace(KEPT, place={**BODY, **changed}), receipt(**changed))


@pytest.mark.parametrize("name", list(BODY))
def test_every_field_is_needed(name: str) -> None:
    body = {field: value for field, value in BODY.items() if field != name}
    with pytest.raises(VerificationError, match=f"{name} is missing"):
        verify(Receipt("dynamodb", HEAD.size, HEAD.root, body), TREE.checkpoint(), None)


def test_a_receipt_of_another_tree_head_is_refused() -> None:
    """Of a later append, and of another branch."""
    for other in (Tree(4), Tree(3, "other")):
        with pytest.raises(VerificationError, match="another tree head"):
            verify(receipt(), other.checkpoint(), None)


def test_what_the_table_holds_confirms_it() -> None:
    assert confirms(KEPT, receipt())


@pytest.mark.parametrize(("name", "value"), [("table", "anchors-2"), ("number", 8), ("sha256", "cd" * 32)])
def test_a_forged_receipt_is_not_confirmed(name: str, value: Any) -> None:
    """The trainer writes a receipt by hand. Offline it would be worth as much as a real one: their
    word."""
    forged = receipt(**{name: value})
    assert verify(forged, TREE.checkpoint(), None).standing is Standing.WORD
    assert not confirms(KEPT, forged)


def test_an_item_of_another_tree_head_does_not_confirm() -> None:
    """Selective receipts: the item is there, and holds another branch."""
    other = Tree(3, "other")
    assert not confirms(replace(KEPT, note=other.checkpoint().note), receipt())
    assert not confirms(replace(KEPT, note=b"nonsense"), receipt())
    assert not confirms(replace(KEPT, place={}), receipt())


@pytest.mark.parametrize(("rest", "there"), [("T", True), ("T@http://127.0.0.1:1", True), ("T-", False), ("", False)])
def test_it_lies_in_the_table_that_it_names(rest: str, there: bool) -> None:
    assert lies_at(rest.replace("T", str(BODY["table"])), receipt()) is there
