"""A bucket as a chain's store: one object for each publication, created by a PUT with
`If-None-Match: *` under Object Lock in COMPLIANCE mode.

Objects are looked up among all versions, since a delete marker hides an object from a plain listing
and lets a conditional PUT pass: whoever deleted or wrote over a publication is found out. What is
read is read by its version.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from zk_autograd.anchor import aws
from zk_autograd.anchor.aws import Refused, call
from zk_autograd.anchor.chain import MAX_BODY, MAX_NUMBER, Held
from zk_autograd.anchor.s3.receipt import DIGITS, MODE, folder_key, object_key
from zk_autograd.core.canonical import Json
from zk_autograd.core.errors import AnchorDown, AnchorError

TAKEN = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})
"""What a PUT with If-None-Match: * is answered where the key is taken, or is being taken."""
_UNLOCKED = (
    "no Object Lock in COMPLIANCE mode is shown for it: it has none, or your credentials lack s3:GetObjectRetention"
)
PAGE = 1000
"""Versions of a page, S3's most."""
MAX_LISTED = 2**28
"""Characters of all keys and versions of a listing, each version counted as `_OVERHEAD` more: half
a million publications."""
_OVERHEAD = 2**8


@dataclass(slots=True)
class _Slot:
    """What lies under one key: its versions, the newest first, and whether one is a delete
    marker."""

    versions: list[str] = field(default_factory=list)
    deleted: bool = False

    @property
    def finding(self) -> str:
        if self.deleted:
            return "it was deleted: a delete marker lies over it"
        return "it was written over: it has several versions" if len(self.versions) > 1 else ""


class Bucket:
    """The bucket `bucket`, under the keys that begin with `prefix` ("" or ending in a slash).
    Objects are locked for `retain_s` seconds; `clock` gives POSIX seconds."""

    def __init__(self, client: Any, bucket: str, prefix: str, retain_s: int, clock: Callable[[], float]) -> None:
        self.client = client
        self.bucket = bucket
        self.prefix = prefix
        self._retain_s = retain_s
        self._clock = clock
        self._known: dict[str, int] = {}

    @property
    def name(self) -> str:
        return f"the S3 bucket {self.bucket}"

    def newest(self, origin: str) -> Held | None:
        """See anchor.chain.Store. Numbers that this object has seen aren't listed again."""
        first = self._known.get(origin, 0)
        slots = self._slots(origin, first)
        numbers = sorted(slots)
        if numbers != list(range(first, first + len(numbers))) or (not numbers and origin in self._known):
            raise AnchorError(f"{self.name} can't be relied on: publications were deleted from it")
        if not numbers:
            return None
        for number in numbers[:-1]:
            if slots[number].finding:
                raise AnchorError(
                    f"{self.name} can't be relied on: of number {number}, {slots[number].finding}; "
                    "find out who did it, and name another prefix"
                )
        held = self._held(origin, numbers[-1], slots[numbers[-1]], 0)
        if not held.finding:
            self._known[origin] = numbers[-1]
        return held

    def create(self, origin: str, number: int, body: bytes) -> Held | None:
        """See anchor.chain.Store. AnchorError if what is read back isn't what was written, under
        the lock that was asked for."""
        key = object_key(self.prefix, origin, number)
        until = int(self._clock()) + self._retain_s
        try:
            version = self.put(key, body, until)
        except Refused as error:
            if error.code in TAKEN or error.status == 412:
                return None
            raise
        held = self.read_back(key, number, body, until)
        if held.place["version"] != version:
            raise AnchorError(f"{self.name} gave {key} another version than it said")
        return held

    def everything(self, origin: str) -> Iterable[Held]:
        """See anchor.chain.Store: every version of every object."""
        for number, slot in sorted(self._slots(origin, 0).items()):
            for index in reversed(range(len(slot.versions))):
                yield self._held(origin, number, slot, index)

    def put(self, key: str, body: bytes, until: int) -> str:
        """Creates the object, locked until `until` (POSIX seconds); its version. Refused, with a
        code of `TAKEN`, if the key is taken."""
        answer = call(
            self.name,
            self.client.put_object,
            Bucket=self.bucket,
            Key=key,
            Body=body,
            IfNoneMatch="*",
            ContentType="application/json",
            ChecksumAlgorithm="SHA256",
            ObjectLockMode=MODE,
            ObjectLockRetainUntilDate=datetime.fromtimestamp(until, UTC),
        )
        version = answer.get("VersionId")
        if not isinstance(version, str) or not version:
            raise AnchorError(f"{self.name} keeps no versions: an anchor needs a bucket with Object Lock")
        return version

    def read_back(self, key: str, number: int, body: bytes, until: int) -> Held:
        """The object after its PUT. AnchorError unless it has one version, with these bytes, locked
        in COMPLIANCE mode until then."""
        slots = list(self._listed(key))
        if [(found, is_marker) for found, _, is_marker in slots] != [(key, False)]:
            raise AnchorError(f"{self.name} ignores If-None-Match: {key} has {len(slots)} versions right after its PUT")
        held = self._get(key, number, slots[0][1])
        if held.body != body:
            raise AnchorError(f"{self.name} gives back other bytes under {key} than it took")
        if held.place["mode"] != MODE or held.place["retain_until"] != until:
            raise AnchorError(
                f"{self.name} ignores Object Lock: {key} isn't in COMPLIANCE mode until the time that was asked for; "
                "make a bucket with Object Lock enabled"
            )
        return held

    def _held(self, origin: str, number: int, slot: _Slot, index: int) -> Held:
        """A version of a publication, and what is wrong with it."""
        held = self._get(object_key(self.prefix, origin, number), number, slot.versions[index])
        unlocked = "" if held.place["mode"] == MODE else _UNLOCKED
        return replace(held, finding=slot.finding or unlocked)

    def _get(self, key: str, number: int, version: str) -> Held:
        place = {"Bucket": self.bucket, "Key": key, "VersionId": version}
        # versitygw names the lock in the answer to HEAD alone.
        head = call(self.name, self.client.head_object, **place)
        answer = call(self.name, self.client.get_object, **place)
        if {head.get("VersionId", version), answer.get("VersionId", version)} != {version}:
            raise AnchorError(f"{self.name} gave another version of {key} than was asked for")
        body = self._body(key, answer)
        until = head.get("ObjectLockRetainUntilDate")
        seen: dict[str, Json] = {
            "bucket": self.bucket,
            "key": key,
            "version": version,
            "etag": aws.field(self.name, head, "ETag", str).strip('"'),
            "modified": int(aws.field(self.name, head, "LastModified", datetime).timestamp()),
            "mode": str(head.get("ObjectLockMode", "")),
            "retain_until": int(until.timestamp()) if isinstance(until, datetime) else 0,
            "sha256": sha256(body).hexdigest(),
        }
        return Held(number, body, seen)

    def _body(self, key: str, answer: Mapping[str, Any]) -> bytes:
        length = aws.field(self.name, answer, "ContentLength", int)
        if length > MAX_BODY:
            raise AnchorError(f"{key} in {self.name} is no publication: it has more than {MAX_BODY} bytes")
        body = call(self.name, answer["Body"].read, amt=MAX_BODY + 1)
        if len(body) != length:
            raise AnchorDown(f"{self.name} gave half of {key}")
        return bytes(body)

    def _slots(self, origin: str, first: int) -> dict[int, _Slot]:
        """What lies under each number from `first` on. AnchorError for a key that is none."""
        folder = folder_key(self.prefix, origin)
        slots: dict[int, _Slot] = {}
        for key, version, is_marker in self._listed(
            folder, object_key(self.prefix, origin, first - 1) if first else ""
        ):
            digits = key.removeprefix(folder)
            if len(digits) != DIGITS or not (digits.isascii() and digits.isdigit()) or int(digits) >= MAX_NUMBER:
                raise AnchorError(f"{self.name} has something else among the publications: {key!a}")
            slot = slots.setdefault(int(digits), _Slot())
            if is_marker:
                slot.deleted = True
            else:
                slot.versions.append(version)
        return slots

    def _listed(self, prefix: str, after: str = "") -> Iterator[tuple[str, str, bool]]:
        """Key, version and whether it is a delete marker, of every version under the prefix."""
        page: dict[str, str] = {"KeyMarker": after} if after else {}
        seen: set[tuple[str, str]] = set()  # versitygw begins a page with the last of the one before
        total = 0
        for _ in range(aws.MOST_PAGES):
            answer = call(
                self.name, self.client.list_object_versions, Bucket=self.bucket, Prefix=prefix, MaxKeys=PAGE, **page
            )
            before = len(seen)
            for name, is_marker in (("Versions", False), ("DeleteMarkers", True)):
                for one in answer.get(name, ()):
                    place = (aws.field(self.name, one, "Key", str), aws.field(self.name, one, "VersionId", str))
                    if place[0].startswith(prefix) and place[0] > after and place not in seen:
                        seen.add(place)
                        total += sum(map(len, place)) + _OVERHEAD
                        yield *place, is_marker
            if not answer.get("IsTruncated"):
                return
            if len(seen) == before or total > MAX_LISTED:
                break
            page = {"KeyMarker": aws.field(self.name, answer, "NextKeyMarker", str)}
            if answer.get("NextVersionIdMarker"):
                page["VersionIdMarker"] = str(answer["NextVersionIdMarker"])
        raise AnchorError(f"{self.name} lists without an end")
