"""DynamoDB Local behind a proxy."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest

from tests.anchor.components import aws_credentials, dynamodb_local
from tests.anchor.proxy import Proxy, proxy
from zk_autograd.anchor import aws
from zk_autograd.anchor.dynamodb.publish import DynamoDbAnchor

__all__ = ["aws_credentials"]

_NUMBERS = count()


@dataclass(slots=True)
class Server:
    """DynamoDB Local behind a proxy, with the table `table`."""

    proxy: Proxy
    client: Any
    impatient_client: Any
    table: str = ""

    def anchor(self) -> DynamoDbAnchor:
        return DynamoDbAnchor(self.table, self.proxy.url, client=self.client)

    def impatient(self) -> DynamoDbAnchor:
        """One whose client neither waits for long nor tries again by itself."""
        return DynamoDbAnchor(self.table, self.proxy.url, client=self.impatient_client)

    def items(self) -> list[dict[str, Any]]:
        """All items of the table."""
        pages = self.client.get_paginator("scan").paginate(TableName=self.table, ConsistentRead=True)
        return [item for page in pages for item in page["Items"]]


@pytest.fixture(scope="session")
def local(aws_credentials: None) -> Iterator[Server]:
    with dynamodb_local() as port, proxy(port) as running:
        yield Server(running, aws.client("dynamodb", running.url), aws.client("dynamodb", running.url, 2, 1))


@pytest.fixture
def server(local: Server) -> Server:
    """The server with a new table, made as docs/anchors.md says."""
    local.proxy.calm()
    local.table = f"anchor-{next(_NUMBERS)}"
    local.client.create_table(
        TableName=local.table,
        AttributeDefinitions=[
            {"AttributeName": "register", "AttributeType": "S"},
            {"AttributeName": "number", "AttributeType": "N"},
        ],
        KeySchema=[
            {"AttributeName": "register", "KeyType": "HASH"},
            {"AttributeName": "number", "KeyType": "RANGE"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    local.proxy.calm()
    return local
