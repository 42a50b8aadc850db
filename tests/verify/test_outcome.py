"""What the steps say that is not shown, whose word it is, and where each claim comes from."""

from dataclasses import replace
from pathlib import Path

from tests.verify.run_builder import POLICY, Run, honest, judge
from zk_autograd.core.records import Data, Unproved
from zk_autograd.evidence.layout import ARTEFACTS
from zk_autograd.verify import artefacts
from zk_autograd.verify.outcome import Source
from zk_autograd.verify.policy import Policy
from zk_autograd.verify.report import Report


def said(report: Report, words: str) -> bool:
    return any(words in limit for limit in report.limits)


def test_whose_word_it_is_is_always_said(tmp_path: Path) -> None:
    for i, run in enumerate((honest(), honest("none"))):
        report = judge(run, tmp_path / str(i))
        assert said(report, "initial weights and data order chosen by the trainer")
        assert said(report, "no anchor: nothing shows that there is no other view of this log")
        assert said(report, "loss, metrics and saturation counts are claimed")


def test_proofs_do_not_say_where_gradients_came_from(tmp_path: Path) -> None:
    words = "L1 does not say where a gradient came from"
    assert said(judge(honest(), tmp_path / "1"), words)
    assert not said(judge(honest("none"), tmp_path / "2"), words)


def test_log_alone_shows_no_step_of_the_rule(tmp_path: Path) -> None:
    words = "no step of the rule is shown"
    assert said(judge(honest("none"), tmp_path / "1"), words)
    assert said(judge(honest(), tmp_path / "2", replace(POLICY, srs=frozenset())), words)
    assert not said(judge(honest(), tmp_path / "3"), words)


def test_maker_of_the_srs_could_forge(tmp_path: Path) -> None:
    assert said(judge(honest(), tmp_path), "whoever made it could forge")
    assert not said(judge(honest("none"), tmp_path), "forge")


def test_unpinned_report_has_its_limits_too(tmp_path: Path) -> None:
    report = judge(honest(), tmp_path, Policy(srs=POLICY.srs))
    assert report.verdict == "UNPINNED"
    assert said(report, "L1 does not say where a gradient came from")


def tensors(run: Run, kind: str, count: int) -> None:
    names = [f"{kind}\u202e{i}" for i in range(count)]  # a name may try to turn the line around
    run.edit_header(unproved=tuple(Unproved(name, kind, (1,), "float32", bytes(32)) for name in names))
    run.reprove()


def test_unproved_tensors_are_listed(tmp_path: Path) -> None:
    run = honest()
    assert said(
        judge(run, tmp_path / "1"), "buffers that no proof covers and no published file holds: 'norm.running_mean'"
    )
    tensors(run, "frozen", 12)
    report = judge(run, tmp_path / "2")
    assert said(report, "frozen parameters that no proof covers")
    assert said(report, "and 2 more")
    assert all(limit.isascii() for limit in report.limits)
    run.edit_header(unproved=())
    run.reprove()
    assert not said(judge(run, tmp_path / "3"), "no proof covers")


def test_recorded_schedule_is_named_and_a_constant_one_is_not(tmp_path: Path) -> None:
    assert said(judge(honest(schedule="recorded"), tmp_path / "1"), "learning rates (0.01 to 0.01)")
    assert not said(judge(honest(), tmp_path / "2"), "learning rates")


def test_claims_are_only_mentioned_where_there_are_some(tmp_path: Path) -> None:
    run = honest()
    assert said(judge(run, tmp_path / "1"), "claimed")
    run.segments, run.close = [], None
    assert not said(judge(run, tmp_path / "2"), "claimed")


def test_unfinished_run(tmp_path: Path) -> None:
    run = honest()
    assert not said(judge(run, tmp_path / "1"), "unfinished")
    run.close = None
    assert said(judge(run, tmp_path / "2"), "unfinished run: no close record")


def test_what_the_trainers_own_files_say_is_the_trainers_word(tmp_path: Path) -> None:
    run = honest()
    assert not said(judge(run, tmp_path / "1"), "what the trainer's own files say")
    assert run.close is not None
    run.close = replace(run.close, artefacts=(("of-the-trainers-own.txt", bytes(32)),))
    assert said(judge(run, tmp_path / "2"), "what the trainer's own files say")


def test_failed_report_has_no_limits(tmp_path: Path) -> None:
    run = honest()
    del run.proofs[0, 0]
    assert judge(run, tmp_path).limits == ()


def sources(report: Report) -> dict[str, Source]:
    return {claim.what: claim.source for claim in report.claims}


def test_each_claim_has_its_source(tmp_path: Path) -> None:
    found = sources(judge(honest(), tmp_path / "1"))
    assert found == {
        "that there is no other view of this log, and when it was written": Source.ABSENT,
        "the first weights": Source.CLAIMED,
        "loss, metrics and saturation counts": Source.CLAIMED,
        "each optimizer step, 1..8": Source.PROVED,
        "the gradients": Source.CLAIMED,
        "the code that computed the gradients": Source.ABSENT,
        "the data, their order, and that the gradients come from them": Source.ABSENT,
        "that the published weights are those of the last record": Source.PROVED,
        "environment, configuration and log of the training": Source.ABSENT,
    }


def test_a_step_is_claimed_where_no_proof_of_it_was_looked_at(tmp_path: Path) -> None:
    step = "each optimizer step, 1..8"
    assert sources(judge(honest("none"), tmp_path / "1"))[step] is Source.CLAIMED
    unlooked = sources(judge(honest(), tmp_path / "2", replace(POLICY, srs=frozenset())))
    assert unlooked[step] is Source.CLAIMED
    assert unlooked["that the published weights are those of the last record"] is Source.CLAIMED
    sampled = sources(judge(honest(), tmp_path / "3", replace(POLICY, sample=2)))
    assert step not in sampled
    assert {what: source for what, source in sampled.items() if "optimizer steps" in what} == {
        "the optimizer steps of 2 of 6 proofs": Source.PROVED,
        "the optimizer steps of the other 4 proofs": Source.CLAIMED,
    }


def test_nothing_is_attested_or_replayed_yet(tmp_path: Path) -> None:
    for i, run in enumerate((honest(), honest("none"), honest(schedule="recorded"))):
        found = set(sources(judge(run, tmp_path / str(i))).values())
        assert not found & {Source.ATTESTED, Source.REPLAYED}


def test_a_failed_report_claims_nothing(tmp_path: Path) -> None:
    run = honest()
    del run.proofs[0, 0]
    assert judge(run, tmp_path).claims == ()


def test_what_the_header_does_not_say_is_nobodys_claim(tmp_path: Path) -> None:
    run = honest()
    code, data = "the code that computed the gradients", "the data, their order, and that the gradients come from them"
    run.edit_header(model_code=b"", data=Data(b"", 0, "unspecified", 0, b""))
    run.reprove()
    report = judge(run, tmp_path / "1")
    assert {sources(report)[what] for what in (code, data)} == {Source.ABSENT}
    assert said(report, "the header commits to no data")
    run.edit_header(model_code=bytes(32), data=Data(bytes(32), 5, "own", 1, bytes(32)))
    run.reprove()
    report = judge(run, tmp_path / "2")
    assert {sources(report)[what] for what in (code, data)} == {Source.CLAIMED}
    assert said(report, "the data that the header commits to")
    run.genesis, run.segments, run.close = None, [], None
    assert sources(judge(run, tmp_path / "3"))["the first weights"] is Source.ABSENT


def test_nobody_claims_anything_in_a_log_without_a_pinned_key(tmp_path: Path) -> None:
    report = judge(honest(), tmp_path, replace(POLICY, keys=()))
    assert (report.verdict, report.claims, report.to_json()["claims"]) == ("UNPINNED", (), [])
    assert report.limits


def test_of_the_trainers_own_files_only_those_that_are_named_say_something(tmp_path: Path) -> None:
    """A close record may name any digest: one of another file makes no claim of these."""
    whole = "environment, configuration and log of the training"
    run = honest()
    assert run.close is not None
    run.close = replace(run.close, artefacts=(("anything.txt", bytes(32)),))
    assert sources(judge(run, tmp_path / "foreign"))[whole] is Source.ABSENT
    found = {claim.what: claim.source for claim in artefacts._claims(("environment.json", "train_log.jsonl"))}
    assert found == {
        "environment and log of the training": Source.CLAIMED,
        "configuration of the training": Source.ABSENT,
    }
    (everything,) = artefacts._claims(ARTEFACTS)
    assert (everything.what, everything.source) == (whole, Source.CLAIMED)
