"""Step 7: which proofs are looked at, and that each is the records' own."""

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.verify.run_builder import POLICY, Run, StandInSystem, commitment, honest, judge, refused, stand_ins
from zk_autograd.core.hyper import Rule
from zk_autograd.verify import proofs
from zk_autograd.verify.outcome import Level, SampleTaken, Status, Step
from zk_autograd.verify.sampling import Detection

ALL = [(segment, block) for segment in range(3) for block in range(2)]


def rename(run: Run, place: tuple[int, int], proof: bytes) -> None:
    """Another proof in the place of this one, and its hash in the record."""
    segment, block = place
    run.proofs[place] = proof
    hashes = list(run.segments[segment].proofs)
    hashes[block] = sha256(proof).digest()
    run.segments[segment] = replace(run.segments[segment], proofs=tuple(hashes))


def test_step7_all_proofs_are_verified_in_order(tmp_path: Path) -> None:
    system = StandInSystem()
    report = judge(honest(), tmp_path, system=system)
    assert system.last is not None
    assert system.last.looked_at == ALL
    assert (report.levels, report.exit_status, report.sample) == (frozenset({Level.L0, Level.L1}), 0, None)
    assert report.findings[Step.PROOFS].sentences == ("all 6 proofs are valid for the statements of the records",)


@pytest.mark.parametrize("place", ALL)
def test_step7_missing_proof(tmp_path: Path, place: tuple[int, int]) -> None:
    run = honest()
    del run.proofs[place]
    refused(judge(run, tmp_path), 7, f"{place[0]}-{place[1]} can't be read", record=2 + place[0])


@pytest.mark.parametrize("place", ALL)
def test_step7_proof_with_another_hash(tmp_path: Path, place: tuple[int, int]) -> None:
    run = honest()
    run.proofs[place] += b"\0"
    refused(judge(run, tmp_path), 7, "does not match the record's hash", record=2 + place[0])


@pytest.mark.parametrize("place", ALL)
def test_step7_proof_that_does_not_verify(tmp_path: Path, place: tuple[int, int]) -> None:
    run = honest()
    rename(run, place, bytes(1) + run.proofs[place][1:])
    refused(judge(run, tmp_path), 7, f"proof {place[0]}-{place[1]}: the proof does not verify", record=2 + place[0])


def test_step7_proof_of_another_block_segment_or_run(tmp_path: Path) -> None:
    other = honest()
    other.edit_header(run=bytes(16))
    other.reprove()
    thefts: list[Callable[[Run], bytes]] = [
        lambda run: run.proofs[1, 0],
        lambda run: run.proofs[0, 1],
        lambda run: run.proofs[2, 1],
        lambda _: other.proofs[1, 1],
    ]
    for i, stolen in enumerate(thefts):
        run = honest()
        rename(run, (1, 1), stolen(run))
        refused(judge(run, tmp_path / str(i)), 7, "does not verify", record=3)


def test_step7_hyper_parameters_edited_after_the_proof(tmp_path: Path) -> None:
    run = honest(schedule="recorded")
    run.segments[1] = replace(run.segments[1], lr=(("0.01",), ("0.02",), ("0.01",)))
    refused(judge(run, tmp_path), 7, "does not verify", record=3)


def test_step7_proof_speaks_of_another_gradient(tmp_path: Path) -> None:
    run = honest()
    gradients = (run.segments[1].gradients[0], commitment())
    run.segments[1] = replace(run.segments[1], gradients=gradients)
    refused(judge(run, tmp_path), 7, "proof 1-1 commits to another gradient than its record", record=3)


@pytest.mark.parametrize("name", ["W", "M", "V"])
def test_step7_proof_speaks_of_another_state_before(tmp_path: Path, name: str) -> None:
    """The chain of the records holds, with states that no proof speaks of."""
    run = honest()
    for i, end in ((0, "state_out"), (1, "state_in")):
        state = dict(getattr(run.segments[i], end))
        state[name] = (state[name][0], commitment())
        changes: dict[str, Any] = {end: state}
        run.segments[i] = replace(run.segments[i], **changes)
    honest_hashes, honest_proofs = run.segments[0].proofs, dict(run.proofs)
    run.reprove()  # segment 0 is proved for the changed state; segment 1 keeps its old proofs
    run.proofs.update({place: proof for place, proof in honest_proofs.items() if place[0] == 1})
    run.segments[1] = replace(run.segments[1], proofs=tuple(sha256(run.proofs[1, b]).digest() for b in range(2)))
    assert run.segments[0].proofs != honest_hashes
    refused(
        judge(run, tmp_path), 7, f"proof 1-1 commits to another {name} before the segment than its record", record=3
    )


@pytest.mark.parametrize("name", ["W", "M", "V"])
def test_step7_proof_speaks_of_another_state_after(tmp_path: Path, name: str) -> None:
    run = honest(lengths=(3,))
    state = dict(run.segments[0].state_out)
    state[name] = (commitment(), state[name][1])
    run.segments[0] = replace(run.segments[0], state_out=state)
    assert run.close is not None
    run.close = replace(run.close, state=state)
    refused(judge(run, tmp_path), 7, f"proof 0-0 commits to another {name} after the segment than its record", record=2)


def test_step7_proof_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proofs, "MAX_PROOF", 100)
    refused(judge(honest(), tmp_path), 7, "too large", record=2)


def test_step7_link_instead_of_a_proof(tmp_path: Path) -> None:
    run = honest()
    (tmp_path / "elsewhere").write_bytes(run.proofs.pop((0, 0)))
    run.write(tmp_path / "run")
    (tmp_path / "run/proofs/0-0").symlink_to(tmp_path / "elsewhere")
    refused(judge(run, tmp_path / "run"), 7, "it is a link", record=2)


def test_step7_backend_none_has_no_proofs(tmp_path: Path) -> None:
    report = judge(honest("none", rule=Rule.SGD_MOMENTUM), tmp_path)
    assert report.findings[Step.PROOFS].status is Status.ABSENT
    assert (report.levels, report.exit_status) == (frozenset({Level.L0}), 3)
    assert "L1 was not reached: this run has no proofs" in report.missing[0]


# ---- a sample

TEN = (3,) * 5


def test_step7_sample_looks_at_no_others(tmp_path: Path) -> None:
    system = StandInSystem()
    report = judge(honest(lengths=TEN), tmp_path, replace(POLICY, sample=4, beacon="b"), system)
    assert system.last is not None
    assert report.sample is not None
    assert system.last.looked_at == [(n // 2, n % 2) for n in report.sample.verified]
    assert len(report.sample.verified) == 4
    assert {report.sample.verified[0], report.sample.verified[-1]} == {0, 9}


def test_step7_sample_reaches_l1_sampled_only(tmp_path: Path) -> None:
    report = judge(honest(lengths=TEN), tmp_path, replace(POLICY, sample=4))
    assert (report.levels, report.exit_status, report.verdict) == (
        frozenset({Level.L0, Level.L1_SAMPLED}),
        3,
        "L0, L1-sampled",
    )
    assert report.missing == (
        "L1 was not reached: one bad proof is missed 75.0 % of the time; a sample reaches L1-sampled; verify all proofs, or give "
        "--accept-sample",
    )
    assert any("6 proofs were not looked at" in limit for limit in report.limits)


def test_step7_sample_is_accepted_where_the_policy_says_so(tmp_path: Path) -> None:
    report = judge(honest(lengths=TEN), tmp_path, replace(POLICY, sample=4, accept_sample=True))
    assert (report.levels, report.exit_status, report.missing) == (frozenset({Level.L0, Level.L1_SAMPLED}), 0, ())


def test_step7_what_is_not_certain_is_never_said_to_be(tmp_path: Path) -> None:
    aim = replace(POLICY, detection=Detection.parse("0.9999", "13"))
    report = judge(honest(lengths=(2,) * 20), tmp_path, aim)
    sentences = " ".join(report.findings[Step.PROOFS].sentences)
    assert "probability of 99.99 %, where 99.99 % was asked for" in sentences
    assert "100" not in sentences
    assert proofs._missed(SampleTaken(10**6, (), b"", False, "1/999998", 1)) == "0.1 %"


def test_step7_sample_of_everything_is_no_sample(tmp_path: Path) -> None:
    report = judge(honest(), tmp_path, replace(POLICY, sample=6))
    assert (report.levels, report.sample, report.exit_status) == (frozenset({Level.L0, Level.L1}), None, 0)


def test_step7_beacon_draws_the_same_sample_and_own_randomness_another(tmp_path: Path) -> None:
    run = honest(lengths=(3,) * 20)

    def drawn(beacon: str | None, folder: str) -> tuple[int, ...]:
        report = judge(run, tmp_path / folder, replace(POLICY, sample=20, beacon=beacon))
        assert report.sample is not None
        assert report.sample.beacon == (beacon is not None)
        return report.sample.verified

    assert drawn("noon", "1") == drawn("noon", "2") != drawn("midnight", "3")
    assert drawn(None, "4") != drawn(None, "5")


def test_step7_beacon_must_not_have_been_known(tmp_path: Path) -> None:
    own = judge(honest(), tmp_path, replace(POLICY, sample=3))
    beacon = judge(honest(), tmp_path, replace(POLICY, sample=3, beacon="noon"))
    assert [any("beacon" in limit for limit in report.limits) for report in (own, beacon)] == [False, True]


@pytest.mark.parametrize("place", [(0, 0), (4, 1)])
def test_step7_first_and_last_proof_are_always_in_the_sample(tmp_path: Path, place: tuple[int, int]) -> None:
    run = honest(lengths=TEN)
    del run.proofs[place]
    for i in range(5):
        refused(judge(run, tmp_path / str(i), replace(POLICY, sample=2)), 7, "can't be read", record=2 + place[0])


def test_step7_detection_probability_is_printed(tmp_path: Path) -> None:
    report = judge(honest(lengths=TEN), tmp_path, replace(POLICY, sample=4))
    assert report.sample is not None
    assert (report.sample.miss_one, report.sample.surely_found) == ("3/4", 7)
    text = " ".join(report.findings[Step.PROOFS].sentences)
    assert "4 of 10 proofs, first and last included" in text
    assert "missed with probability 3/4 (75.0 %)" in text
    assert "if 7 or more are bad, at least one is found with a probability of at least 99 %" in text
    assert report.sample.seed.hex() in text


def test_step7_sample_of_two_finds_nothing_in_between(tmp_path: Path) -> None:
    report = judge(honest(lengths=TEN), tmp_path, replace(POLICY, sample=2))
    assert "missed with probability 1/1 (100.0 %)" in " ".join(report.findings[Step.PROOFS].sentences)
    assert "never found" in " ".join(report.findings[Step.PROOFS].sentences)


def test_step7_progress_is_told(tmp_path: Path) -> None:
    from zk_autograd.evidence.folder import RunFolder
    from zk_autograd.verify.verifier import Verifier

    told: list[tuple[str, int, int]] = []
    with RunFolder(honest().write(tmp_path)) as files:
        Verifier(POLICY, stand_ins()).verify(files, lambda *args: told.append(args))
    assert [entry for entry in told if entry[0] == "proofs"] == [("proofs", n, 6) for n in range(1, 7)]
    assert {entry[0] for entry in told} == {"constants", "first state", "proofs", "model"}
