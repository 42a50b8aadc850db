"""What a receipt of the anchor `s3` shows: nothing until the bucket is asked.

Its body is what was read back of the object that holds the publication:

    {"bucket": ..., "key": <prefix>/<register's key id>/<number, 20 digits>, "version": ..., "etag":
    ..., "modified": <POSIX seconds>, "mode": "COMPLIANCE", "retain_until": <POSIX seconds>,
    "sha256": <the object's digest>}

Whoever can write a text can write this one. Under Object Lock in COMPLIANCE mode not even the
account's owner deletes the object or writes over it until `retain_until`, so an auditor who asks
the bucket (`confirms`) knows that the publication is there, and that it stays.
"""

import re
from collections.abc import Callable
from typing import Any

from zk_autograd.core.anchors import AnchorClaim, Kept, Receipt, SignedCheckpoint, Standing
from zk_autograd.core.canonical import MAX_INTEGER
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.core.register import is_origin
from zk_autograd.core.text import quoted

KIND = "s3"
RESTS_ON = (
    "on an S3 bucket that the trainer names: they could have written this receipt by hand, "
    "and only who asks the bucket (--online) knows more"
)
MODE = "COMPLIANCE"
MAX_BUCKET = 63
MAX_KEY = 1024
MAX_VERSION = 1024
DIGITS = 20


def object_key(prefix: str, origin: str, number: int) -> str:
    """The key of a register's publication of this number; `prefix` is "" or ends in a slash."""
    return f"{folder_key(prefix, origin)}{number:0{DIGITS}}"


def folder_key(prefix: str, origin: str) -> str:
    """What the keys of all the register's publications begin with."""
    return f"{prefix}{origin.rpartition('/')[2]}/"


def read_trust(fields: Fields, read: Callable[[str], bytes]) -> None:
    """There is nothing to trust offline: a table with any field is refused by the caller."""


def verify(receipt: Receipt, checkpoint: SignedCheckpoint, trust: Any | None) -> AnchorClaim:
    """The trainer's word, if the receipt is well formed and for this checkpoint.
    VerificationError otherwise."""
    receipt.require_head(checkpoint.head)
    fields = receipt.fields()
    fields.text("bucket", MAX_BUCKET, 3)
    key = fields.text("key", MAX_KEY)
    folder = folder_key("", checkpoint.head.origin)
    if not is_origin(checkpoint.head.origin) or not re.fullmatch(rf"(.+/)?{re.escape(folder)}[0-9]{{{DIGITS}}}", key):
        raise VerificationError(
            "the receipt of s3 names an object of another register",
            expected=f"{folder}<{DIGITS} digits>",
            found=quoted(key, 200),
        )
    fields.text("version", MAX_VERSION)
    fields.text("etag", 200)
    modified = fields.integer("modified", 0, MAX_INTEGER)
    fields.choice("mode", (MODE,))
    fields.integer("retain_until", modified, MAX_INTEGER)
    fields.hex("sha256", 32)
    fields.end()
    return AnchorClaim(KIND, Standing.WORD, RESTS_ON)


def confirms(kept: Kept, receipt: Receipt) -> bool:
    """Whether the object that the bucket holds is the receipt's (core.anchors.ConfirmingVerifier).
    Its lock may have been made longer since."""
    try:
        checkpoint = SignedCheckpoint.parse(kept.note)
        verify(receipt, checkpoint, None)
    except VerificationError:
        return False
    now, then = kept.place.get("retain_until"), receipt.body["retain_until"]
    if not isinstance(now, int) or not isinstance(then, int) or now < then:
        return False
    return dict(kept.place) == {**receipt.body, "retain_until": now}


def lies_at(rest: str, receipt: Receipt) -> bool:
    """Whether it names the bucket, and the prefix, of `BUCKET[/PREFIX][,retain=DAYS][@ENDPOINT]`
    (core.anchors.ConfirmingVerifier)."""
    bucket, _, prefix = re.split("[,@]", rest, maxsplit=1)[0].partition("/")
    folder = str(receipt.body["key"]).rpartition("/")[0]  # <prefix>/<register's key id>
    return receipt.body["bucket"] == bucket and folder.rpartition("/")[0] == prefix
