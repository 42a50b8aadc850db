"""Step 4, the anchors: what a receipt shows is what its kind shows under the auditor's trust, of
the register's checkpoint that it is for; anything else is refused, or not counted.

The kind here is a stand-in whose trust is a key: a receipt is that key's signature over the tree
head. So what is told by the step can be told from what is told by a kind.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.verify.agreement import agree
from tests.verify.register_builder import OTHER, PLACES, Tree, registered, write
from tests.verify.run_builder import LOG_POLICY, Run, refused, stand_ins
from zk_autograd.anchor.kinds import verifiers
from zk_autograd.core.anchors import AnchorClaim, Receipt, SignedCheckpoint, Standing
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.core.keys import Ed25519Signer, PublicKey
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.verify.outcome import Source, Status, Step
from zk_autograd.verify.policy import Policy, TreeHead
from zk_autograd.verify.report import Report
from zk_autograd.verify.verifier import Verifier

NOTARY = Ed25519Signer("notary", bytes(range(100, 132)))
NOON = 1_796_040_000
"""2026-11-30T12:00:00Z."""


@dataclass(frozen=True)
class Notary:
    """The kind `notary`: the body is {"time", "signature"}, "counter" where `counts`."""

    alone: bool = False
    counts: bool = False
    KIND = "notary"

    def receipt(self, tree: Tree, size: int, time: int = NOON, counter: int = 0) -> Receipt:
        head = tree.head(size)
        body: dict[str, Any] = {"time": time, "counter": counter}
        body["signature"] = NOTARY.sign(_text(Receipt("notary", head.size, head.root, body))).hex()
        return Receipt("notary", head.size, head.root, body)

    def read_trust(self, fields: Fields, read: Callable[[str], bytes]) -> Any:
        return PublicKey.parse(fields.text("key", 200))

    def verify(self, receipt: Receipt, checkpoint: SignedCheckpoint, trust: PublicKey | None) -> AnchorClaim:
        receipt.require_head(checkpoint.head)
        if trust is None:
            return AnchorClaim("notary", Standing.UNJUDGED, "you gave no key of a notary")
        trust.verify(_text(receipt), bytes.fromhex(str(receipt.body["signature"])))
        position = ("notary's", int(str(receipt.body["counter"]))) if self.counts else None
        return AnchorClaim(
            "notary", Standing.SHOWN, "on the notary's key", int(str(receipt.body["time"])), self.alone, None, ("notary",), position=position
        )  # fmt: skip


def _text(receipt: Receipt) -> str:
    return json.dumps([receipt.size, receipt.root.hex(), receipt.body["time"], receipt.body["counter"]]) + "\n"


TRUST = {"notary": NOTARY.public_key}
TRUSTING = replace(LOG_POLICY, anchors=TRUST)


def judged(folder: Path, policy: Policy = TRUSTING, notary: Notary | None = None) -> Report:
    with RunFolder(folder) as files:
        report = Verifier(policy, stand_ins(), {**verifiers(), "notary": notary or Notary()}).verify(files)
    agree(report)
    return report


def anchored(report: Report) -> list[str]:
    return [claim.what for claim in report.claims if claim.source is Source.ANCHORED]


@pytest.fixture
def made(tmp_path: Path) -> tuple[Run, Tree, Path]:
    run, tree = registered(backend="none")
    folder = run.write(tmp_path / "run")
    return run, tree, folder


def test_what_is_shown_is_claimed_with_its_time_and_what_it_rests_on(made: tuple[Run, Tree, Path]) -> None:
    _, tree, folder = made
    write(folder, tree.views(*PLACES), [Notary().receipt(tree, 2), Notary().receipt(tree, 6, NOON + 60)])
    report = judged(folder)
    assert report.findings[Step.ANCHORS].status is Status.PASSED
    assert anchored(report) == ["that all 6 records existed by 2026-11-30T12:01:00Z (notary)"]
    assert (
        "notary: 2 receipts, the newest for the register's first 6 entries, with all 6 records, which existed by "
        "2026-11-30T12:01:00Z; it rests on the notary's key"
    ) in report.findings[Step.ANCHORS].sentences
    assert "that there is no other view of this log" in [c.what for c in report.claims if c.source is Source.ABSENT]
    assert any("has no other branch" in limit for limit in report.limits)


def test_an_anchor_that_keeps_to_one_branch_shows_one_register_and_never_one_view(made: tuple[Run, Tree, Path]) -> None:
    """A register of one branch can hold two entries of one run with different roots."""
    _, tree, folder = made
    write(folder, tree.views(*PLACES), [Notary().receipt(tree, 6)])
    report = judged(folder, notary=Notary(alone=True))
    assert anchored(report)[0] == "that notary took no other branch of the register with all 6 records"
    assert "that there is no other view of this log" in [c.what for c in report.claims if c.source is Source.ABSENT]
    assert any(
        "no other branch, which never went there: notary took this one alone" in limit for limit in report.limits
    )
    assert any("two views of one run" in limit for limit in report.limits)


def test_a_stale_anchor_is_told_by_how_many_records_it_covers(made: tuple[Run, Tree, Path]) -> None:
    _, tree, folder = made
    write(folder, tree.views(*PLACES), [Notary().receipt(tree, 2)])
    report = judged(folder)
    assert anchored(report) == ["that the first 1 of 6 records existed by 2026-11-30T12:00:00Z (notary)"]
    assert any("the newest anchor that counts covers the first 1 of 6 records" in limit for limit in report.limits)


def test_of_a_prefix_the_anchor_is_the_prefixs(made: tuple[Run, Tree, Path]) -> None:
    run, tree, folder = made
    write(folder, tree.views(*PLACES), [Notary().receipt(tree, 6)])
    report = judged(folder, replace(TRUSTING, head=TreeHead(run.root(3), 3)))
    assert anchored(report) == ["that all 3 records existed by 2026-11-30T12:00:00Z (notary)"]


def test_without_trust_a_receipt_is_not_judged_and_the_report_says_what_is_missing(
    made: tuple[Run, Tree, Path],
) -> None:
    _, tree, folder = made
    write(folder, tree.views(*PLACES), [Notary().receipt(tree, 6)])
    report = judged(folder, LOG_POLICY)
    assert report.findings[Step.ANCHORS].status is Status.NOT_SHOWN
    assert (report.exit_status, anchored(report)) == (0, [])
    assert "not judged: you gave no key of a notary" in report.findings[Step.ANCHORS].sentences[-1]


def test_the_trainers_word_is_called_that_and_shows_nothing(made: tuple[Run, Tree, Path]) -> None:
    _, tree, folder = made
    write(folder, tree.views(*PLACES), [tree.receipt(6)])
    report = judged(folder)
    assert "the trainer's word: it rests on a file of the trainer's own" in report.findings[Step.ANCHORS].sentences[-1]
    assert anchored(report) == []
    assert any(limit.startswith("no anchor that counts") for limit in report.limits)
    assert report.to_json()["anchors"][0]["standing"] == "the trainer's word"


def test_a_kind_of_a_later_version_is_not_counted_and_not_passed_over(made: tuple[Run, Tree, Path]) -> None:
    _, tree, folder = made
    write(folder, tree.views(*PLACES), [tree.receipt(6, "oracle", of="x")])
    report = judged(folder)
    assert report.findings[Step.ANCHORS].status is Status.NOT_SHOWN
    assert "'oracle'" in report.findings[Step.ANCHORS].sentences[-1]
    assert "this version does not know the kind" in report.findings[Step.ANCHORS].sentences[-1]
    assert anchored(report) == []


def test_receipts_that_say_the_same_are_one_sentence(made: tuple[Run, Tree, Path]) -> None:
    _, tree, folder = made
    write(folder, tree.views(*PLACES), [tree.receipt(size) for size in (2, 4, 6, 6)])
    (sentence,) = [s for s in judged(folder).findings[Step.ANCHORS].sentences if s.startswith("file: ")]
    assert sentence.startswith("file: 4 receipts, the newest for the register's first 6 entries")


def _forged(tree: Tree) -> Receipt:
    receipt = Notary().receipt(tree, 6)
    return replace(receipt, body={**receipt.body, "time": NOON - 10**6})


def _of_another_register(tree: Tree) -> Receipt:
    return Notary().receipt(Tree([OTHER] * 6), 6)


FALSE: dict[str, tuple[Callable[[Tree], Receipt | bytes], str]] = {
    "of a later append": (lambda tree: Notary().receipt(tree, 7), "a checkpoint of the register that the run does not show"),
    "of another register": (_of_another_register, "is for another tree head"),
    "of another run's view": (lambda tree: Notary().receipt(tree, 5), "a checkpoint of the register that the run does not show"),
    "of the empty register": (lambda tree: Receipt("notary", 0, bytes(32), {}), "size"),
    "of another register, and of no known kind": (
        lambda tree: replace(_of_another_register(tree), kind="oracle"),
        "is for another tree head",
    ),
    "of another kind": (lambda tree: replace(Notary().receipt(tree, 6), kind="file"), "line"),
    "altered": (_forged, "signature"),
    "truncated": (lambda tree: Notary().receipt(tree, 6).encode()[:-1], "anchors/receipts.jsonl, line 2"),
    "no receipt": (lambda tree: b"{}", "anchors/receipts.jsonl, line 2"),
    "an empty line": (lambda tree: b"", "anchors/receipts.jsonl, line 2"),
    "with a blank": (lambda tree: Notary().receipt(tree, 6).encode() + b" ", "anchors/receipts.jsonl, line 2"),
}  # fmt: skip


@pytest.mark.parametrize("name", FALSE)
def test_a_false_receipt_is_refused(name: str, made: tuple[Run, Tree, Path]) -> None:
    _, tree, folder = made
    change, message = FALSE[name]
    write(folder, tree.views(*PLACES), [tree.receipt(2), change(tree)])
    refused(judged(folder), 4, message)


def test_receipts_of_two_branches_never_pass_together(made: tuple[Run, Tree, Path]) -> None:
    """Selective receipts: the trainer anchors one branch and shows the other."""
    _, tree, folder = made
    other = Tree([*tree.entries[:4], replace(tree.entries[4], root=bytes(32)), *tree.entries[5:]])
    write(folder, tree.views(*PLACES), [Notary().receipt(tree, 4), Notary().receipt(other, 6)])
    refused(judged(folder), 4, "is for another tree head")
    write(
        folder, [*tree.views(*PLACES[:2]), other.view(5, 6, 4)], [Notary().receipt(tree, 4), Notary().receipt(tree, 6)]
    )
    refused(judged(folder), 4, "is for another tree head")


@pytest.mark.parametrize("values", [(1, 1), (2, 1)])
def test_a_counter_that_did_not_grow_with_the_register_is_refused(
    values: tuple[int, int], made: tuple[Run, Tree, Path]
) -> None:
    _, tree, folder = made
    counting = Notary(counts=True)
    first, second = (counting.receipt(tree, size, counter=value) for size, value in zip((4, 6), values, strict=True))
    write(folder, tree.views(*PLACES), [first, second])
    refused(judged(folder, notary=counting), 4, "the register was rolled back or has two branches")
    assert judged(folder).failure is None  # a kind that counts nothing
    write(folder, tree.views(*PLACES), [first, first, counting.receipt(tree, 6, counter=9)])
    assert judged(folder, notary=counting).failure is None


def test_what_a_kind_can_not_read_here_says_nothing_against_the_run(
    made: tuple[Run, Tree, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from zk_autograd.core.errors import UnreadableError

    def fails(*_: object) -> AnchorClaim:
        raise UnreadableError("no memory")

    _, tree, folder = made
    write(folder, tree.views(*PLACES), [Notary().receipt(tree, 6)])
    monkeypatch.setattr(Notary, "verify", fails)
    report = judged(folder)
    assert (report.exit_status, report.verdict) == (4, "NOT JUDGED")


def test_the_receipts_of_the_begin_are_those_of_the_checkpoint_that_ends_with_it(made: tuple[Run, Tree, Path]) -> None:
    _, tree, folder = made
    write(
        folder,
        tree.views((1, 2), (1, 3), *PLACES[1:]),
        [Notary().receipt(tree, size, NOON + size) for size in (3, 2, 6)],
    )
    report = judged(folder)
    assert [one.claim.time for one in report.anchoring.at_begin()] == [NOON + 2]
    assert [(one.size, one.records) for one in report.anchoring.anchored] == [(3, 1), (2, 1), (6, 6)]


def test_a_claim_names_no_time_that_no_calendar_has(made: tuple[Run, Tree, Path]) -> None:
    _, tree, folder = made
    write(folder, tree.views(*PLACES), [Notary().receipt(tree, 6, 2**52)])
    assert f"{2**52} seconds after 1970" in anchored(judged(folder))[0]


def test_a_message_of_a_kind_is_named_with_its_line(made: tuple[Run, Tree, Path]) -> None:
    _, tree, folder = made
    write(folder, tree.views(*PLACES), [Notary().receipt(tree, 2), _forged(tree)])
    with pytest.raises(VerificationError, match=r"receipts.jsonl, line 2: "):
        raise judged(folder).failure or AssertionError
