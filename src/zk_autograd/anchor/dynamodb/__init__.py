"""The anchor `dynamodb`: a table's items, each written once by a conditional write."""

from zk_autograd.anchor.dynamodb.receipt import verify

__all__ = ["verify"]
