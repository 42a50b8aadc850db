"""A table as a chain's store: one item for each publication, put on the condition that there is
none of its number, and read consistently.

    register (partition key, text)    the register's origin
    number (sort key, number)         the publication's number
    sha256, parts                     the publication's digest, and in how many parts it is
    body                              the publication, if it is in one part

The parts of a larger one, which an item can't hold, are items of their own, written before it under
`<origin> <sha256>`. They are named after what they hold, so two writers can't mix theirs.
"""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

from zk_autograd.anchor import aws
from zk_autograd.anchor.aws import Refused, call
from zk_autograd.anchor.chain import MAX_BODY, MAX_NUMBER, Held
from zk_autograd.core.errors import AnchorError

PART = 350 * 1024
"""Bytes of a part: an item takes 400 KB, its attributes' names and its keys included."""
_MOST_PARTS = -(-MAX_BODY // PART)
_TAKEN = "ConditionalCheckFailedException"

Item = Mapping[str, Mapping[str, Any]]


class Table:
    """The table `table`, which is there already."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    @property
    def name(self) -> str:
        return f"the DynamoDB table {self._table}"

    def newest(self, origin: str) -> Held | None:
        """See anchor.chain.Store."""
        items, _ = self._query(origin, ScanIndexForward=False, Limit=1)
        return self._held(origin, items[0]) if items else None

    def create(self, origin: str, number: int, body: bytes) -> Held | None:
        """See anchor.chain.Store. AnchorError if what is read back isn't what was written."""
        digest = sha256(body).hexdigest()
        chunks = [body[start : start + PART] for start in range(0, len(body), PART)]
        if len(chunks) > 1:
            for index, chunk in enumerate(chunks):
                # Taken: by this very part, which an earlier try or another process wrote.
                self._put(_parts_of(origin, digest), index, {"body": {"B": chunk}})
        whole = {"body": {"B": body}} if len(chunks) == 1 else {}
        summary = {"sha256": {"S": digest}, "parts": {"N": str(len(chunks))}}
        if not self._put(origin, number, {**summary, **whole}):
            return None
        item = self._item(origin, number)
        if item is None:
            raise AnchorError(f"{self.name} lost number {number} right after it took it")
        held = self._held(origin, item)
        if held.body != body:
            raise AnchorError(f"{self.name} ignores conditions: number {number} was written over right after its put")
        return held

    def everything(self, origin: str) -> Iterable[Held]:
        """See anchor.chain.Store. AnchorError for a number that doesn't grow: a table has each
        once, and gives them in their order."""
        after: dict[str, Any] = {}
        before = -1
        for _ in range(aws.MOST_PAGES):
            items, last = self._query(origin, **after)
            for item in items:
                number = self._number(item, "number", MAX_NUMBER)
                if number <= before:
                    raise AnchorError(f"{self.name} can't be read: it gives number {number} after number {before}")
                before = number
                yield self._held(origin, item)
            if last is None:
                return
            following = {"ExclusiveStartKey": last}
            if following == after:
                break
            after = following
        raise AnchorError(f"{self.name} lists without an end")

    def _put(self, register: str, number: int, attributes: Item) -> bool:
        """Whether the item was written: it wasn't if there is one already."""
        try:
            call(
                self.name,
                self._client.put_item,
                TableName=self._table,
                Item={**_key(register, number), **attributes},
                ConditionExpression="attribute_not_exists(#register)",
                ExpressionAttributeNames={"#register": "register"},
            )
        except Refused as error:
            if error.code == _TAKEN:
                return False
            raise
        return True

    def _query(self, register: str, **how: Any) -> tuple[list[Item], Item | None]:
        """A page of the register's items, and the key after which the next begins."""
        answer = call(
            self.name,
            self._client.query,
            TableName=self._table,
            KeyConditionExpression="#register = :register",
            ExpressionAttributeNames={"#register": "register"},
            ExpressionAttributeValues={":register": {"S": register}},
            ConsistentRead=True,
            **how,
        )
        return aws.field(self.name, answer, "Items", list), answer.get("LastEvaluatedKey") or None

    def _item(self, register: str, number: int) -> Item | None:
        answer = call(
            self.name,
            self._client.get_item,
            TableName=self._table,
            Key=_key(register, number),
            ConsistentRead=True,
        )
        return aws.field(self.name, answer, "Item", dict) if "Item" in answer else None

    def _held(self, origin: str, item: Item) -> Held:
        """The publication of an item. AnchorError if the item isn't of the form that is written
        here."""
        number, parts = self._number(item, "number", MAX_NUMBER), self._number(item, "parts", _MOST_PARTS)
        digest = self._attribute(item, "sha256", "S", str)
        if parts == 1:
            body = self._bytes(item)
        else:
            body = b"".join(self._part(origin, digest, index) for index in range(parts))
        if sha256(body).hexdigest() != digest:
            raise AnchorError(f"number {number} in {self.name} was altered: its digest is another")
        return Held(number, body, {"table": self._table, "number": number, "sha256": digest})

    def _part(self, origin: str, digest: str, index: int) -> bytes:
        item = self._item(_parts_of(origin, digest), index)
        if item is None:
            raise AnchorError(f"{self.name} lacks part {index} of the publication {digest}: it was deleted")
        return self._bytes(item)

    def _bytes(self, item: Item) -> bytes:
        """A publication, or a part of one."""
        body = self._attribute(item, "body", "B", bytes)
        if len(body) > PART:
            raise AnchorError(f"{self.name} holds an item that is no publication: its body has more than {PART} bytes")
        return body

    def _attribute(self, item: Item, name: str, kind: str, expected: type[aws.T]) -> aws.T:
        value = item.get(name, {}).get(kind)
        if not isinstance(value, expected):
            raise AnchorError(f"{self.name} holds an item that is no publication: it has no {name}")
        return value

    def _number(self, item: Item, name: str, below: int) -> int:
        text = self._attribute(item, name, "N", str)
        if not (text.isascii() and text.isdigit()) or len(text) > 10 or int(text) > below:
            raise AnchorError(f"{self.name} holds an item that is no publication: its {name} is out of range")
        return int(text)


def _key(register: str, number: int) -> dict[str, dict[str, str]]:
    return {"register": {"S": register}, "number": {"N": str(number)}}


def _parts_of(origin: str, digest: str) -> str:
    return f"{origin} {digest}"
