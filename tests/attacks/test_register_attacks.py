"""Every attack on a register is refused by step 4, with the words that are meant to, and passes
where that check is taken out."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from attacks.__main__ import ON_REGISTERS, program
from attacks.__main__ import main as attack
from attacks.on_registers import register_forked
from attacks.tools.registered import PLACES, Attempt, Submission, Trainer, refusal
from tests.verify.agreement import agree
from zk_autograd.anchor.witness import receipt as witness
from zk_autograd.core import register
from zk_autograd.core.anchors import AnchorClaim, Receipt, SignedCheckpoint, Standing
from zk_autograd.core.note import parse_unverified
from zk_autograd.core.register import Entry, View
from zk_autograd.verify import anchor_demands, online, receipts, registered
from zk_autograd.verify.anchoring import Anchored, Held, Registered
from zk_autograd.verify.consistency import Verdict
from zk_autograd.verify.demand import Facts

CASES = [(name, attempt) for name in ON_REGISTERS for attempt in getattr(program(name), "ATTEMPTS", ())]


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    return Trainer(tmp_path_factory.mktemp("registered"))


def _cases(chosen: list[tuple[str, Attempt]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("name", "attempt"), [pytest.param(n, a, id=f"{n}: {a.name}") for n, a in chosen])


def _missing(name: str) -> str:
    """What an attack needs, and isn't there; "" for nothing."""
    return str(getattr(program(name), "missing", str)())


def _require_what_it_needs(name: str) -> None:
    if why := _missing(name):
        pytest.skip(why)


@_cases(CASES)
def test_an_attack_is_refused_by_step_4(name: str, attempt: Attempt, trainer: Trainer) -> None:
    _require_what_it_needs(name)
    report = attempt.forge(trainer).judged()
    assert attempt.words in refusal(report), report.text()
    assert report.exit_status in (1, 3)
    agree(report)


TakenOut = Callable[[pytest.MonkeyPatch], None]


def _nothing(*_: object, **__: object) -> None:
    return None


def _signatures(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(register, "open_note", lambda note, keys: parse_unverified(note))


def _continuity(patch: pytest.MonkeyPatch) -> None:
    """A checkpoint continues the one before."""

    def add(self: Any, view: View) -> None:
        self._enter(view.index, view.entry)
        self.heads.setdefault(view.head.size, SignedCheckpoint(view.note, view.head))

    patch.setattr(registered._Reader, "add", add)


def _heads(patch: pytest.MonkeyPatch) -> None:
    """A receipt is for a checkpoint that the run shows."""

    def judged(receipt: Receipt, registered: Registered, *_: object) -> Anchored:
        return Anchored(receipt, registered.size, AnchorClaim(receipt.kind, Standing.WORD, "on nothing"))

    patch.setattr(receipts, "_judged", judged)
    patch.setattr(receipts, "require_order", _nothing)


def _lines(patch: pytest.MonkeyPatch) -> None:
    _heads(patch)
    patch.setattr(Receipt, "parse", lambda line: Receipt("file", 5, bytes(32), {}))


def _runs(patch: pytest.MonkeyPatch) -> None:
    """An entry is this run's, and its begin comes first."""
    patch.setattr(registered._Reader, "_enter", lambda self, index, entry: self.entries.append((index, entry)))
    _log(patch)


def _log(patch: pytest.MonkeyPatch) -> None:
    """An entry is over the log's records, and over no more."""
    patch.setattr(registered, "require_the_logs", _nothing)
    patch.setattr(online, "_require_one_view", _nothing)


def _shown_alone(patch: pytest.MonkeyPatch) -> None:
    """As `_log`; of what isn't shown nothing is said to be covered."""
    _log(patch)
    patch.setattr(registered._Reader, "_enter", _within(registered._Reader._enter))


def _within(enter: Any) -> Any:
    def entered(self: Any, index: int, entry: Entry) -> None:
        if not self.entries or entry.size <= 3:
            enter(self, index, entry)

    return entered


def _inclusion(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(register, "verify_inclusion", _nothing)


def _asking(patch: pytest.MonkeyPatch) -> None:
    """A service is asked."""
    patch.setattr(online, "judge_services", lambda asked, *_, **__: tuple(map(Held, asked)))


def _order(patch: pytest.MonkeyPatch) -> None:
    """A counter goes the way that the register does."""
    patch.setattr(receipts, "require_order", _nothing)


def _quorum(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(witness, "verify", lambda *_: AnchorClaim("witness", Standing.SHOWN, "on nothing"))


def _word(patch: pytest.MonkeyPatch) -> None:
    """The trainer's word is none of somebody whom the auditor trusts."""
    patch.setattr(Anchored, "shown", True)


def _all_records(patch: pytest.MonkeyPatch) -> None:
    def counting(facts: Facts) -> list[Anchored]:
        return list(facts.anchoring.shown(1))

    patch.setattr(anchor_demands, "_counting", counting)


def _both(*parts: TakenOut) -> TakenOut:
    def take_out(patch: pytest.MonkeyPatch) -> None:
        for part in parts:
            part(patch)

    return take_out


TAKEN_OUT: dict[str, dict[str, TakenOut]] = {
    "branches_selected": {
        "a receipt of the other branch": _heads,
        "views of both branches": _both(_continuity, _heads),
        "two roots for one size": _continuity,
        "for an auditor who asks": _asking,
        "for one who asks two anchors": _asking,
        "the other signed by one key": _asking,
    },
    "begun_again": {
        "the last begin is shown": _log,
        "at an anchor with the first": _log,
        "the first begin is shown": _log,
    },
    "receipts_replayed": {
        "of another run's checkpoint": _heads,
        "of a later append": _heads,
        "of another register": _heads,
        "as another kind": _quorum,
        "truncated": _lines,
    },
    "quorum_made_up": {
        "witnesses of one's own": _quorum,
        "fewer than the quorum": _quorum,
        "of the begin alone": _all_records,
        "cosignatures over another tree": _quorum,
    },
    "receipt_forged": {
        "of S3, demanded": _word,
        "of DynamoDB, demanded": _word,
        "of S3, asked": _asking,
        "of DynamoDB, asked": _asking,
    },
    "log_withheld": {
        "cut off behind an entry": _shown_alone,
        "and the entry left out": _log,
        "another view in the register": _log,
        "another view kept back": _log,
    },
    "counter_rolled_back": {"the counter rolled back": _order, "the register rolled back": _order},
    "run_removed": {"the register rewritten": _asking, "and published beside the old one": _asking},
    "register_borrowed": {
        "another trainer's checkpoints": _signatures,
        "with one of the trainer's two keys": _signatures,
        "another run's entries": _runs,
        "the begin of another header": _log,
        "an entry that is not in it": _inclusion,
    },
}  # fmt: skip


@_cases(CASES)
def test_it_passes_without_that_check(
    name: str, attempt: Attempt, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    _require_what_it_needs(name)
    submission = attempt.forge(trainer)
    with monkeypatch.context() as patch:
        TAKEN_OUT[name][attempt.name](patch)
        report = submission.judged()
    assert (report.exit_status, refusal(report)) == (0, ""), report.text()


def test_no_attempt_is_left_out_here() -> None:
    assert {(n, a.name) for n, a in CASES} == {(n, a) for n, attempts in TAKEN_OUT.items() for a in attempts}
    assert all(hasattr(program(name), "run") for name in ON_REGISTERS)


def test_the_run_itself_is_accepted(trainer: Trainer) -> None:
    report = trainer.submit(trainer.tree().views(*PLACES)).judged()
    assert (report.verdict, report.exit_status, refusal(report)) == ("L0", 0, "")


def test_the_program_says_what_became_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert attack(["register_borrowed"]) == 0
    assert "refused by step 4, Register and anchors" in capsys.readouterr().out


def test_what_only_an_auditor_who_asks_sees_works_offline_and_the_report_says_so(trainer: Trainer) -> None:
    submissions = [a.forge(trainer) for n, a in CASES if not _missing(n)]
    asking = [one for one in submissions if one.policy.online]
    assert len(asking) == 12
    for submission in asking:
        report = replace(submission, policy=replace(submission.policy, online=())).judged()
        assert report.failure is None
        limits = " ".join(report.limits)
        assert "nothing shows that the trainer's register has no other branch" in limits
        assert "two views of one run, and runs that were begun and not shown" in limits


@pytest.mark.parametrize("fork", register_forked.FORKS)
def test_two_branches_become_evidence_for_anybody(fork: str, trainer: Trainer) -> None:
    attack, verdict = register_forked.FORKS[fork]
    found = attack(trainer)
    assert found.decision.verdict is verdict
    assert (found.proof is not None) == (verdict is Verdict.FORK)
    assert register_forked.travels(found, trainer)


def test_each_branch_alone_passes(trainer: Trainer) -> None:
    """What the cheat gains as long as the two auditors don't meet."""
    for path in register_forked._both(trainer):
        assert Submission(path, trainer.policy).judged().exit_status == 0


@pytest.mark.parametrize("name", ["counter_rolled_back", "register_forked"])
def test_its_program_says_what_became_of_it(name: str) -> None:
    _require_what_it_needs(name)
    assert program(name).run().refused


def test_an_attack_that_was_not_tried_is_not_said_to_be_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    found = program("counter_rolled_back").run()
    assert not found.refused
    assert "not tried: there is no software TPM here" in str(found)
