"""The anchor `s3`: each publication is an object of a bucket with Object Lock
(anchor/s3/bucket.py), after a probe of what the bucket refuses (anchor/s3/probe.py)."""

import re
import time
from collections.abc import Callable, Sequence
from typing import Any

from zk_autograd.anchor import aws, chain
from zk_autograd.anchor.s3.bucket import Bucket
from zk_autograd.anchor.s3.probe import require_honest
from zk_autograd.anchor.s3.receipt import KIND
from zk_autograd.core.anchors import History, Kept, Receipt, SignedCheckpoint
from zk_autograd.core.errors import UsageError
from zk_autograd.core.text import quoted

RETAIN_DAYS = 365
_MOST_DAYS = 36500
_DAY_S = 86400
# AWS, General purpose bucket naming rules; access points' names and ARNs aren't taken.
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")
_MAX_PREFIX = 400


class S3Anchor:
    """The bucket `bucket`, at AWS or at `endpoint`. Objects are locked for `retain_s` seconds;
    `client` is boto3's, made at the first use if it isn't given."""

    kind = KIND

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        endpoint: str = "",
        retain_s: int = RETAIN_DAYS * _DAY_S,
        *,
        client: Any = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._name = (bucket, prefix, endpoint, retain_s)
        self._client = client
        self._clock = clock
        self._bucket: Bucket | None = None
        self._probed = False

    @property
    def spec(self) -> str:
        bucket, prefix, endpoint, retain_s = self._name
        slash, days, at = (f"/{prefix}" if prefix else ""), retain_s // _DAY_S, (f"@{endpoint}" if endpoint else "")
        return f"{KIND}:{bucket}{slash}{'' if days == RETAIN_DAYS else f',retain={days}'}{at}"

    def publish(self, checkpoint: SignedCheckpoint, history: History) -> Sequence[Receipt]:
        """See core.anchors.Anchor. The first time, the bucket is probed."""
        bucket = self._opened()
        if not self._probed:
            require_honest(bucket, self._clock)
            self._probed = True
        return (chain.publish(KIND, bucket, checkpoint, history),)

    def require_continued(self, checkpoint: SignedCheckpoint, history: History) -> None:
        """See core.anchors.AskableAnchor."""
        chain.require_continued(self._opened(), checkpoint, history)

    def read(self, origin: str) -> Sequence[Kept]:
        """See core.anchors.ReadableAnchor: all versions, those that were deleted, too."""
        return chain.read(self._opened(), origin)

    def _opened(self) -> Bucket:
        if self._bucket is None:
            bucket, prefix, endpoint, retain_s = self._name
            client = self._client or aws.client("s3", endpoint)
            self._bucket = Bucket(client, bucket, f"{prefix}/" if prefix else "", retain_s, self._clock)
        return self._bucket


def open_anchor(rest: str) -> S3Anchor:
    """The anchor of `s3:BUCKET[/PREFIX][,retain=DAYS][@ENDPOINT]`. UsageError for a bad one."""
    place, endpoint = aws.split_endpoint(rest, KIND)
    place, comma, option = place.partition(",")
    bucket, slash, prefix = place.partition("/")
    name, _, days = option.partition("=")
    if not _BUCKET.fullmatch(bucket) or (slash and (not _PREFIX.fullmatch(prefix) or len(prefix) > _MAX_PREFIX)):
        raise UsageError(
            f"{quoted(rest)} is no bucket: s3:BUCKET[/PREFIX][,retain=DAYS][@ENDPOINT], "
            "a prefix of letters, digits, '.', '_', '-' and '/'"
        )
    if comma and (name != "retain" or not re.fullmatch("[1-9][0-9]{0,4}", days, re.ASCII) or int(days) > _MOST_DAYS):
        raise UsageError(f"{quoted(option)} is no option of the anchor s3: retain=DAYS, 1 to {_MOST_DAYS}")
    retain_s = (int(days) if comma else RETAIN_DAYS) * _DAY_S
    return S3Anchor(bucket, prefix, endpoint, retain_s)
