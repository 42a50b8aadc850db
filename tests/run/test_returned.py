"""What a publisher returns is checked before any of it is kept: anchors/receipts.jsonl only grows,
and a run with one false line in it is refused for ever. So a service that gives its honest trainer
nonsense would have made their run worthless."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.run.beacons import HashBeacon
from tests.run.registered import begun, complete, create, look, receipts
from tests.run.test_beacon import begin
from zk_autograd.anchor.file.publish import FileAnchor
from zk_autograd.anchor.kinds import verifiers
from zk_autograd.anchor.s3.receipt import object_key
from zk_autograd.core.anchors import History, Receipt, SignedCheckpoint
from zk_autograd.core.canonical import Json
from zk_autograd.core.errors import AnchorError, RunError
from zk_autograd.run.completing import complete as publish
from zk_autograd.run.events import AnchorFailed, Event

Given = Callable[[SignedCheckpoint], Any]


class Plugin:
    """A stranger's anchor: it returns what `given` makes of the checkpoint."""

    kind = "s3"
    spec = "s3:bucket"

    def __init__(self, given: Given) -> None:
        self._given = given
        self.tries = 0

    def publish(self, checkpoint: SignedCheckpoint, history: History) -> Sequence[Receipt]:
        self.tries += 1
        found: Sequence[Receipt] = self._given(checkpoint)
        return found


def of_s3(checkpoint: SignedCheckpoint, **changes: Any) -> Receipt:
    head = checkpoint.head
    body: dict[str, Json] = {
        "bucket": "bucket",
        "key": object_key("", head.origin, 0),
        "version": "v1",
        "etag": "abc",
        "modified": 1_790_000_000,
        "mode": "COMPLIANCE",
        "retain_until": 1_800_000_000,
        "sha256": "00" * 32,
    }
    return Receipt("s3", head.size, head.root, body | changes)


FALSE: dict[str, Given] = {
    "a long etag": lambda at: [of_s3(at, etag="e" * 300)],
    "an empty etag": lambda at: [of_s3(at, etag="")],
    "made after its lock ends": lambda at: [of_s3(at, modified=4_102_444_800)],
    "made before 1970": lambda at: [of_s3(at, modified=-31_536_000)],
    "a long version": lambda at: [of_s3(at, version="v" * 2000)],
    "an unpaired surrogate": lambda at: [of_s3(at, etag="\ud800")],
    "no JSON": lambda at: [of_s3(at, etag=object())],
    "too long": lambda at: [replace(of_s3(at), kind="unknown", body={"x": "y" * 2**20})],
    "a kind without a name": lambda at: [replace(of_s3(at), kind="")],
    "another size": lambda at: [replace(of_s3(at), size=at.head.size + 1)],
    "another root, of a kind that nobody knows": lambda at: [replace(of_s3(at), kind="unknown", root=bytes(32))],
    "a true one and a false one": lambda at: [of_s3(at), of_s3(at, etag="")],
    "no receipt": lambda at: [b"receipt"],
    "nothing at all": lambda at: [],
    "no sequence": lambda at: None,
    "one that raises": lambda at: (1 // 0 for _ in range(2)),
}


@pytest.mark.parametrize("given", FALSE.values(), ids=FALSE)
def test_a_false_receipt_is_not_kept_and_the_run_goes_on(tmp_path: Path, given: Given) -> None:
    anchor, registration = Plugin(given), begun(tmp_path / "register")
    events: list[Event] = []
    writer = create(tmp_path / "run", replace(registration, anchors=(anchor,)), on_event=events.append)
    complete(writer)
    look(tmp_path / "run", registration.folder)
    assert {receipt.kind for receipt in receipts(tmp_path / "run")} == {"file"}
    (told,) = [event for event in events if isinstance(event, AnchorFailed)]
    assert told.final
    assert "s3:bucket" in told.reason
    assert (anchor.tries, writer.anchors[0].pending) == (1, True)
    before = (tmp_path / "run/anchors/receipts.jsonl").read_bytes()
    ((state, error),) = publish(tmp_path / "run", registration.folder, [anchor]).anchors
    assert type(error) is AnchorError
    assert (state.pending, state.records) == (True, 0)
    assert (tmp_path / "run/anchors/receipts.jsonl").read_bytes().startswith(before)
    assert {receipt.kind for receipt in receipts(tmp_path / "run")} == {"file"}


def test_a_true_one_is_kept_and_its_verifier_takes_it(tmp_path: Path) -> None:
    registration = begun(tmp_path / "register")
    seen: dict[int, SignedCheckpoint] = {}

    def given(at: SignedCheckpoint) -> list[Receipt]:
        seen[at.head.size] = at
        return [of_s3(at), replace(of_s3(at), kind="unknown")]

    complete(create(tmp_path / "run", replace(registration, anchors=(Plugin(given),))))
    kept = [receipt for receipt in receipts(tmp_path / "run") if receipt.kind != "file"]
    assert {receipt.kind for receipt in kept} == {"s3", "unknown"}
    for receipt in kept:
        if receipt.kind == "s3":
            verifiers()["s3"].verify(receipt, seen[receipt.size], None)


class PanicError(BaseException):
    """As what a library in Rust panics with: it is no Exception."""


@pytest.mark.parametrize("error", [OverflowError("date value out of range"), PanicError("index out of bounds")])
def test_what_a_publisher_breaks_with_is_told_and_publish_makes_up_for_it(tmp_path: Path, error: BaseException) -> None:
    broken = [True]

    def given(at: SignedCheckpoint) -> list[Receipt]:
        if broken:
            raise error
        return [of_s3(at)]

    anchor, registration, events = Plugin(given), begun(tmp_path / "register"), list[Event]()
    other = FileAnchor(tmp_path / "other")
    writer = create(tmp_path / "run", replace(registration, anchors=(anchor,)), on_event=events.append)
    complete(writer)
    (told,) = [event for event in events if isinstance(event, AnchorFailed)]
    assert told.final
    assert str(error) in told.reason
    first, second = publish(tmp_path / "run", registration.folder, [anchor, other]).anchors
    assert str(error) in str(first[1])
    assert second[1] is None  # one that breaks keeps no other from its turn
    broken.clear()
    ((state, again),) = publish(tmp_path / "run", registration.folder, [anchor]).anchors
    assert (again, state.pending) == (None, False)
    look(tmp_path / "run", registration.folder)
    assert "s3" in {receipt.kind for receipt in receipts(tmp_path / "run")}


def test_ctrl_c_is_no_fault_of_the_anchors(tmp_path: Path) -> None:
    def given(at: SignedCheckpoint) -> list[Receipt]:
        raise KeyboardInterrupt

    registration = begun(tmp_path / "register")
    complete(create(tmp_path / "run", registration))
    with pytest.raises(KeyboardInterrupt):
        publish(tmp_path / "run", registration.folder, [Plugin(given)])


def test_a_beacon_s_receipt_is_checked_before_it_is_kept(tmp_path: Path) -> None:
    class Lying(HashBeacon):
        def publish(self, checkpoint: SignedCheckpoint, history: History) -> Sequence[Receipt]:
            return [of_s3(checkpoint, etag="")]

    with pytest.raises(RunError, match="would make the run false"):
        begin(tmp_path / "run", begun(tmp_path / "register"), Lying(tmp_path / "a"))
    assert not any(path.read_bytes() for path in tmp_path.rglob("receipts.jsonl"))
