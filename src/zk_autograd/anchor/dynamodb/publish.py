"""The anchor `dynamodb`: each publication is an item of a table (anchor/dynamodb/table.py)."""

import re
from collections.abc import Sequence
from typing import Any

from zk_autograd.anchor import aws, chain
from zk_autograd.anchor.dynamodb.receipt import KIND
from zk_autograd.anchor.dynamodb.table import Table
from zk_autograd.core.anchors import History, Kept, Receipt, SignedCheckpoint
from zk_autograd.core.errors import UsageError
from zk_autograd.core.text import quoted

_TABLE = re.compile(r"[A-Za-z0-9_.-]{3,255}")


class DynamoDbAnchor:
    """The table `table`, at AWS or at `endpoint`; `client` is boto3's, made at the first use if it
    isn't given."""

    kind = KIND

    def __init__(self, table: str, endpoint: str = "", *, client: Any = None) -> None:
        self._table_name = table
        self._endpoint = endpoint
        self._client = client
        self._table: Table | None = None

    @property
    def spec(self) -> str:
        return f"{KIND}:{self._table_name}" + (f"@{self._endpoint}" if self._endpoint else "")

    def publish(self, checkpoint: SignedCheckpoint, history: History) -> Sequence[Receipt]:
        """See core.anchors.Anchor."""
        return (chain.publish(KIND, self._opened(), checkpoint, history),)

    def require_continued(self, checkpoint: SignedCheckpoint, history: History) -> None:
        """See core.anchors.AskableAnchor."""
        chain.require_continued(self._opened(), checkpoint, history)

    def read(self, origin: str) -> Sequence[Kept]:
        """See core.anchors.ReadableAnchor."""
        return chain.read(self._opened(), origin)

    def _opened(self) -> Table:
        if self._table is None:
            self._table = Table(self._client or aws.client(KIND, self._endpoint), self._table_name)
        return self._table


def open_anchor(rest: str) -> DynamoDbAnchor:
    """The anchor of `dynamodb:TABLE[@ENDPOINT]`. UsageError for a bad one."""
    table, endpoint = aws.split_endpoint(rest, KIND)
    if not _TABLE.fullmatch(table):
        raise UsageError(f"{quoted(rest)} is no table: dynamodb:TABLE[@ENDPOINT], 3 to 255 letters, digits, '_.-'")
    return DynamoDbAnchor(table, endpoint)
