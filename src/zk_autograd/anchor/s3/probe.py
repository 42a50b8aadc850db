"""What a bucket has to refuse before anything is entrusted to it, tried on an object of its own.

A server that answers 200 to everything is easily had: one that ignores `If-None-Match`, that takes
Object Lock's headers and deletes the object all the same, or that lets a lock be shortened. The
object lies under <prefix>/probe/, a few bytes for an hour.
"""

import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from zk_autograd.anchor.aws import Refused, call
from zk_autograd.anchor.s3.bucket import TAKEN, Bucket
from zk_autograd.anchor.s3.receipt import MODE
from zk_autograd.core.errors import AnchorDown, AnchorError

RETAIN_S = 3600


def require_honest(bucket: Bucket, clock: Callable[[], float]) -> None:
    """AnchorError for a bucket that creates an object twice, or under whose lock an object can be
    deleted or its time shortened. AnchorDown if that can't be found out now."""
    key = f"{bucket.prefix}probe/{secrets.token_hex(16)}"
    until = int(clock()) + RETAIN_S
    body = b"a probe of zk-autograd: may be removed"
    try:
        version = bucket.put(key, body, until)
    except Refused as error:
        if error.code in TAKEN:
            raise AnchorDown(f"{bucket.name} lost an answer on the way") from error
        raise
    if not _refuses(bucket.put, key, b"another", until, codes=TAKEN):
        raise AnchorError(f"{bucket.name} ignores If-None-Match: * and lets an object be written over")
    bucket.read_back(key, 0, body, until)
    name, client = bucket.name, bucket.client
    shorter = {"Mode": MODE, "RetainUntilDate": datetime.fromtimestamp(until - RETAIN_S // 2, UTC)}
    place = {"Bucket": bucket.bucket, "Key": key, "VersionId": version}
    if not _refuses(lambda: call(name, client.put_object_retention, **place, Retention=shorter)):
        raise AnchorError(f"{bucket.name} lets the lock of an object be shortened: it can't be an anchor")
    if not _refuses(lambda: call(name, client.delete_object, **place)):
        raise AnchorError(f"{bucket.name} lets a locked object be deleted: it can't be an anchor")
    bucket.read_back(key, 0, body, until)


def _refuses(method: Callable[..., Any], *arguments: Any, codes: frozenset[str] | None = None) -> bool:
    """Whether the service refuses; with one of these codes, if any are given."""
    try:
        method(*arguments)
    except Refused as error:
        if codes is not None and error.code not in codes and error.status != 412:
            raise
        return True
    return False
