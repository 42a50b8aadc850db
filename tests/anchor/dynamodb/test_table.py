"""What a hostile endpoint that speaks DynamoDB's protocol would have an auditor read: more than
there is. DynamoDB Local gives only what was put into it (test_publish.py)."""

from hashlib import sha256
from typing import Any

import pytest

from tests.anchor.tree import ORIGIN, Tree
from zk_autograd.anchor import chain
from zk_autograd.anchor.dynamodb.table import PART, Table
from zk_autograd.anchor.kept import encode_kept
from zk_autograd.core.anchors import Kept
from zk_autograd.core.errors import AnchorError

pytest.importorskip("botocore", reason="boto3 is not installed: [aws]")

TREE = Tree(3)
BODY = encode_kept(Kept(TREE.checkpoint().note, 0, tuple(TREE.leaves)))


class Endless:
    """Gives pages of one item each, with the numbers that it is told, and parts of any size."""

    def __init__(self, numbers: list[int], body: bytes = BODY, parts: int = 1) -> None:
        self._numbers = numbers
        self._body, self._parts = body, parts
        self.pages = self.read = 0

    def query(self, **how: Any) -> dict[str, Any]:
        number = self._numbers[min(self.pages, len(self._numbers) - 1)]
        self.pages += 1
        assert self.pages < 1000, "nothing stopped it"
        digest = sha256(self._body * self._parts).hexdigest()
        item = {"number": {"N": str(number)}, "parts": {"N": str(self._parts)}, "sha256": {"S": digest}}
        if self._parts == 1:
            item["body"] = {"B": self._body}  # type: ignore[dict-item]
        return {"Items": [item], "LastEvaluatedKey": {"x": {"N": str(self.pages)}}}

    def get_item(self, **how: Any) -> dict[str, Any]:
        self.read += 1
        return {"Item": {"body": {"B": self._body}}}


@pytest.mark.parametrize("numbers", [[0], [0, 1, 2, 2], [0, 1, 0], [7, 3]])
def test_a_number_that_does_not_grow_is_refused(numbers: list[int]) -> None:
    client = Endless(numbers)
    with pytest.raises(AnchorError, match=r"gives number \d after number \d"):
        chain.read(Table(client, "table"), ORIGIN)
    assert client.pages <= len(numbers) + 1


def test_a_part_that_no_publisher_writes_is_refused() -> None:
    client = Endless([0], bytes(PART + 1), 3)
    with pytest.raises(AnchorError, match=f"more than {PART} bytes"):
        chain.read(Table(client, "table"), ORIGIN)
    assert client.read == 1


def test_a_whole_one_that_no_publisher_writes_is_refused() -> None:
    with pytest.raises(AnchorError, match=f"more than {PART} bytes"):
        chain.read(Table(Endless([0], bytes(PART + 1)), "table"), ORIGIN)
