"""Receipts of the anchor s3: the trainer's word if they are well formed, and confirmed by nothing
but the very object."""

from dataclasses import replace
from typing import Any

import pytest

from tests.anchor.tree import ORIGIN, Tree
from zk_autograd.anchor.kinds import verifiers
from zk_autograd.anchor.s3.receipt import confirms, lies_at, object_key, verify
from zk_autograd.core.anchors import Kept, Receipt, SignedCheckpoint, Standing
from zk_autograd.core.errors import VerificationError

TREE = Tree(3)
HEAD = TREE.checkpoint().head
BODY: dict[str, Any] = {
    "bucket": "anchor",
    "key": object_key("runs/", ORIGIN, 7),
    "version": "3HL4kqtJvjVBH40Nrjfkd",
    "etag": "9dd4e461268c8034f5c8564e155c67a6",
    "modified": 1_700_000_000,
    "mode": "COMPLIANCE",
    "retain_until": 1_731_536_000,
    "sha256": "ab" * 32,
}
KEPT = Kept(TREE.checkpoint().note, 0, tuple(TREE.leaves), BODY)


def receipt(**changed: Any) -> Receipt:
    return Receipt("s3", HEAD.size, HEAD.root, {**BODY, **changed})


def test_a_receipt_is_the_trainers_word() -> None:
    made = Receipt.parse(receipt().encode())
    claim = verifiers()["s3"].verify(made, TREE.checkpoint(), None)
    assert claim.standing is Standing.WORD
    assert (claim.time, claim.excludes_forks, claim.beacon, claim.identity) == (None, False, None, ())
    assert "--online" in claim.rests_on


@pytest.mark.parametrize(
    "changed",
    [
        {"bucket": ""},
        {"bucket": "b" * 64},
        {"bucket": 3},
        {"key": object_key("runs/", ORIGIN.replace("5", "6"), 7)},
        {"key": object_key("runs/", ORIGIN, 7) + "0"},
        {"key": object_key("runs/", ORIGIN, 7)[:-1]},
        {"key": "x" + object_key("", ORIGIN, 7)},
        {"key": object_key("runs/", ORIGIN, 7)[:-1] + "\u0663"},
        {"key": object_key("runs/", ORIGIN, 7) + "\n"},
        {"version": ""},
        {"etag": ["a"]},
        {"modified": -1},
        {"modified": 2**60},
        {"mode": "GOVERNANCE"},
        {"retain_until": 1_699_999_999},
        {"sha256": "AB" * 32},
        {"sha256": "ab" * 31},
        {"region": "mars"},
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
        verify(Receipt("s3", HEAD.size, HEAD.root, body), TREE.checkpoint(), None)


def test_a_receipt_of_another_tree_head_is_refused() -> None:
    """Of a later append, and of another branch."""
    for other in (Tree(4), Tree(3, "other")):
        with pytest.raises(VerificationError, match="another tree head"):
            verify(receipt(), other.checkpoint(), None)


def test_a_checkpoint_that_is_no_registers_is_refused() -> None:
    stranger = SignedCheckpoint(b"", replace(HEAD, origin="example.org/log"))
    with pytest.raises(VerificationError, match="another register"):
        verify(receipt(key=object_key("", "example.org/log", 7)), stranger, None)


def test_what_the_bucket_holds_confirms_it() -> None:
    assert confirms(KEPT, receipt())
    assert confirms(replace(KEPT, place={**BODY, "retain_until": 1_800_000_000}), receipt())  # made longer since


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bucket", "anchor-2"),
        ("key", object_key("runs/", ORIGIN, 8)),
        ("version", "other"),
        ("etag", "0"),
        ("modified", 1_600_000_000),
        ("retain_until", 1_900_000_000),
        ("sha256", "cd" * 32),
    ],
)
def test_a_forged_receipt_is_not_confirmed(name: str, value: Any) -> None:
    """The trainer writes a receipt by hand: an earlier time, a longer lock, an object that isn't
    there. Offline it would be worth as much as a real one: their word."""
    forged = receipt(**{name: value})
    assert verify(forged, TREE.checkpoint(), None).standing is Standing.WORD
    assert not confirms(KEPT, forged)


def test_an_object_of_another_tree_head_does_not_confirm() -> None:
    """Selective receipts: the object is there, and holds another branch."""
    other = Tree(3, "other")
    assert not confirms(replace(KEPT, note=other.checkpoint().note), receipt())
    assert not confirms(replace(KEPT, note=b"nonsense"), receipt())
    assert not confirms(replace(KEPT, place={}), receipt())
    assert not confirms(replace(KEPT, place={**BODY, "retain_until": True}), receipt())


@pytest.mark.parametrize(
    ("prefix", "rest", "there"),
    [
        ("", "B", True),
        ("", "B,retain=7@https://s3.example", True),
        ("old/", "B/old", True),
        ("old/er/", "B/old/er@https://s3.example", True),
        ("old/", "B", False),
        ("old/", "B/new", False),
        ("old/", "B/ol", False),
        ("", "B/old", False),
        ("", "B-", False),
    ],
)
def test_it_lies_in_the_bucket_and_under_the_prefix_that_it_names(prefix: str, rest: str, there: bool) -> None:
    named = receipt(key=object_key(prefix, ORIGIN, 7))
    assert lies_at(rest.replace("B", str(BODY["bucket"]), 1), named) is there
