"""What a policy file demands, kind by kind: met, not met, and not of this run's concern."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.verify.run_builder import KEY, POLICY, SECOND, SRS, Run, honest, judge
from zk_autograd import verify_run
from zk_autograd.core.hyper import Rule
from zk_autograd.core.records import Group, Log
from zk_autograd.core.schedules import parse
from zk_autograd.core.segments import Segments
from zk_autograd.core.trust import Security, Trust
from zk_autograd.verify.demand import Answer, Demand, Facts
from zk_autograd.verify.demands import (
    Finished,
    HyperInRange,
    LastLoss,
    LeastSteps,
    ModelPublished,
    ProvenBits,
    ProverAllowed,
    RuleAllowed,
    SaturatedShare,
    SignedBy,
    SrsListed,
)
from zk_autograd.verify.outcome import Level, Status, Step
from zk_autograd.verify.policy import Policy
from zk_autograd.verify.report import Report

RUNS = Path(__file__).parents[1] / "data" / "runs"
NATIVE, NATIVE_KEY = RUNS / "native-finished", (RUNS / "test.key.pub").read_text().strip()


def facts(run: Run, **changes: object) -> Facts:
    """What the steps find in this run, with changes."""
    log = Log(run.header, bytes(32), run.genesis, Segments(run.header, run.segments), run.close)
    found = Facts(log, (KEY,), None, frozenset({Level.L1}), Status.PASSED)
    return replace(found, **changes)  # type: ignore[arg-type]


def answer(demand: Demand, run: Run, **changes: object) -> bool | None:
    return demand.answer(facts(run, **changes)).met


def lr(low: str, high: str, rule: Rule = Rule.ADAM, name: str = "lr") -> HyperInRange:
    return HyperInRange(rule, name, Fraction(low), Fraction(high))


def with_rates(run: Run, *texts: str) -> Run:
    """The run with these recorded rates in the first steps of its first segment, for all groups."""
    rates = list(run.segments[0].lr)
    rates[: len(texts)] = [(text,) * len(run.header.groups) for text in texts]
    run.segments[0] = replace(run.segments[0], lr=tuple(rates))
    return run


def with_hyper(run: Run, group: int, **changes: str) -> Run:
    """The run with other hyper-parameters in the header of one group."""
    groups = list(run.header.groups)
    groups[group] = Group(tuple((dict(groups[group].hyper) | changes).items()), groups[group].s)
    run.edit_header(groups=tuple(groups))
    return run


def with_claims(run: Run, loss: tuple[str, ...], saturated: tuple[int, ...]) -> Run:
    """The run with other claims in its last segment, of steps 7 and 8."""
    run.segments[-1] = replace(run.segments[-1], loss=loss, saturated=saturated)
    return run


# ---- each kind -----------------------------------------------------------------------------------


def test_signed_by_all_of_the_keys() -> None:
    assert answer(SignedBy((KEY,)), honest()) is True
    assert answer(SignedBy((KEY, SECOND.public_key)), honest()) is False
    assert answer(SignedBy((KEY,)), honest(), signers=()) is False


def test_the_prover_is_one_of_those_allowed() -> None:
    assert answer(ProverAllowed(("native", "ezkl")), honest()) is True
    assert answer(ProverAllowed(("native",)), honest()) is False
    assert answer(ProverAllowed(("native", "ezkl")), honest("none")) is False


def test_proven_bits_are_those_of_verified_proofs() -> None:
    run = honest()
    trust = Trust("", "", Security(100.5, "a hash"))
    for least, met in ((100, True), (101, False)):
        assert answer(ProvenBits("ezkl", least), run, trust=trust) is met
    assert answer(ProvenBits("ezkl", 100), run, trust=Trust("", "", Security(100.0, "a hash"))) is True
    assert answer(ProvenBits("ezkl", 1), run, trust=trust, proved=frozenset({Level.L1_SAMPLED})) is True
    assert answer(ProvenBits("ezkl", 1), run, trust=trust, proved=frozenset()) is False
    assert answer(ProvenBits("native", 1), run, trust=trust) is None


@pytest.mark.parametrize("backend", ["ezkl", "none"])
def test_a_prover_without_a_number_of_bits_meets_no_number(backend: str, tmp_path: Path) -> None:
    report = judge(honest(backend), tmp_path, demanding(ProvenBits(backend, 1)))
    unmet(report, Step.PROOFS, f"provers.{backend}.min_bits")


@pytest.mark.usefixtures("native_prover")
def test_native_proofs_state_their_bits(tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    for bits, status in ((101, 0), (102, 3)):
        policy.write_text(f'format = "zk-autograd/policy/v1"\n[provers.native]\nmin_bits = {bits}\n')
        report = verify_run(NATIVE, [NATIVE_KEY], policy=policy)
        assert (report.exit_status, report.verdict) == (status, "L0, L1"), report.text()


def test_the_srs_is_one_of_those_listed() -> None:
    assert answer(SrsListed("ezkl", frozenset({SRS, bytes(32)})), honest()) is True
    assert answer(SrsListed("ezkl", frozenset({bytes(32)})), honest()) is False
    assert answer(SrsListed("ezkl", frozenset({SRS})), honest("none")) is None


def test_the_rule_is_one_of_those_allowed() -> None:
    assert answer(RuleAllowed((Rule.SGD, Rule.ADAM)), honest()) is True
    assert answer(RuleAllowed((Rule.SGD, Rule.ADAMW)), honest()) is False


@pytest.mark.parametrize(
    ("low", "high", "met"),
    [
        ("0.01", "0.01", True),
        ("0", "1", True),
        ("0.010000000000000000000000000000000000000001", "1", False),
        ("0", "0.009999999999999999999999999999999999999999", False),
    ],
)
def test_hyper_parameters_are_compared_exactly(low: str, high: str, met: bool) -> None:
    assert answer(lr(low, high), honest()) is met


def test_hyper_parameters_of_another_rule_do_not_concern_the_run() -> None:
    assert answer(lr("5", "6", Rule.SGD), honest()) is None


def test_every_hyper_parameter_of_every_group_counts() -> None:
    for name in ("lr", "beta1", "beta2", "eps"):
        run = honest(groups=2)
        own = dict(run.header.groups[1].hyper)[name]
        demand = lr(own, own, name=name)
        assert answer(demand, run) is True
        assert answer(demand, with_hyper(run, 1, **{name: "0.125"})) is False
        assert answer(demand, with_hyper(honest(groups=2), 0, **{name: "0.125"})) is False


def test_the_rates_of_a_schedule_count() -> None:
    """lr 0.01, steps 1..8: a warm-up of 3 steps begins at a quarter of it; a line ends below."""
    warm = honest(schedule="constant,warm_up=3")
    assert answer(lr("0.0025", "0.01"), warm) is True
    assert answer(lr("0.0025000001", "0.01"), warm) is False
    falling = honest(schedule="linear:steps=14,end=0")
    assert answer(lr("0.005", "0.01"), falling) is True  # step 8: half of it
    assert answer(lr("0.0050000001", "0.01"), falling) is False


def test_the_groups_own_lr_counts_where_no_step_has_it() -> None:
    """The warm-up is longer than the run: all rates are below lr, which is still the header's."""
    run = honest(schedule="constant,warm_up=1000")
    assert answer(lr("0", "0.001"), run) is False
    assert answer(lr("0", "0.01"), run) is True


def test_rates_are_no_other_hyper_parameter() -> None:
    assert answer(lr("0.9", "0.9", name="beta1"), honest(schedule="recorded")) is True
    assert answer(lr("0.9", "0.9", name="beta1"), honest(schedule="constant,warm_up=3")) is True


def test_a_header_without_groups_has_no_hyper_parameter() -> None:
    run = honest()
    run.edit_header(groups=())
    assert answer(lr("0", "1"), run) is False


def test_recorded_rates_count() -> None:
    run = honest(schedule="recorded")
    assert answer(lr("0.01", "0.01"), run) is True
    for text in ("0.5", "0.001", "0"):
        assert answer(lr("0.01", "0.4"), with_rates(honest(schedule="recorded"), "0.01", text)) is False


@pytest.mark.parametrize("text", ["", "nan", "-0.01", "1e9999", "0,01"])
def test_a_recorded_rate_that_is_none_is_not_met_and_raises_nothing(text: str) -> None:
    """Step 5 refuses it in a group that has parameters; a group may have none."""
    assert answer(lr("0", "1"), with_rates(honest(schedule="recorded"), text)) is False


CURVES = [
    "constant",
    "step:every=2,factor=0.5",
    "linear:steps=9,end=0",
    "linear:steps=3,end=0.25",
    "cosine:steps=9,end=0.1",
]


@given(st.sampled_from(CURVES), st.integers(0, 12), st.integers(1, 30))
def test_the_extremes_of_a_schedule_are_those_of_all_steps(text: str, warm_up: int, last: int) -> None:
    schedule = parse(text + (f",warm_up={warm_up}" if warm_up else ""))
    assert schedule is not None
    shares = [schedule.share(step) for step in range(1, last + 1)]
    found = [schedule.share(step) for step in schedule.extremes(last)]
    assert (min(found), max(found)) == (min(shares), max(shares))
    assert set(schedule.extremes(last)) <= set(range(1, last + 1))


def test_what_was_found_is_the_whole_range() -> None:
    found = lr("0", "1").answer(facts(honest(schedule="linear:steps=14,end=0")))
    assert found == Answer(True, "0.005 to 0.01")
    assert lr("0", "1").answer(facts(honest())) == Answer(True, "0.01")


def test_steps_are_counted_in_the_view() -> None:
    run = honest()
    assert answer(LeastSteps(8), run) is True
    assert answer(LeastSteps(9), run) is False
    run.segments.pop()
    assert answer(LeastSteps(7), run) is False
    run.segments.clear()
    assert answer(LeastSteps(1), run) is False


def test_a_finished_run_has_a_close_record() -> None:
    run = honest()
    assert answer(Finished(), run) is True
    run.close = None
    assert answer(Finished(), run) is False


@pytest.mark.parametrize("status", [Status.NOT_SHOWN, Status.ABSENT])
def test_a_model_counts_only_if_it_opens_the_commitment(status: Status) -> None:
    assert answer(ModelPublished(), honest()) is True
    assert answer(ModelPublished(), honest(), model=status) is False


@pytest.mark.parametrize(
    ("loss", "most", "met"),
    [
        (("9", "0.5"), "0.5", True),
        (("0.1", "0.51"), "0.5", False),
        (("9", "-3.5"), "-3.5", True),
        (("9", "-3.4"), "-3.5", False),
        (("9", "1e-05"), "0.00001", True),
        (("9", "nan"), "1", False),
        (("9", "inf"), "1", False),
        (("9", "-inf"), "1", False),
        (("9", "--1"), "1", False),
        (("9", "-nan"), "1", False),
        (("9", ""), "1", False),
        (("0.1",), "1", False),
        ((), "1", False),
    ],
    ids=str,
)
def test_the_last_loss_is_the_claim_for_the_last_step(loss: tuple[str, ...], most: str, met: bool) -> None:
    assert answer(LastLoss(Fraction(most)), with_claims(honest(), loss, (0, 0))) is met


def test_the_bound_on_a_claim_is_said_as_it_stands() -> None:
    for text in ("0", "0.5", "-0.5"):
        assert f"at most {text} at" in LastLoss(Fraction(text)).expected


def test_a_run_without_steps_claims_nothing() -> None:
    run = honest()
    run.segments.clear()
    assert answer(LastLoss(Fraction(10**9)), run) is False
    assert answer(SaturatedShare(Fraction(1)), run) is False


def test_the_saturated_share_is_over_all_elements_and_steps() -> None:
    """3 of 6 elements in 8 steps: 1/16."""
    run = with_claims(honest(), ("", ""), (1, 2))
    assert answer(SaturatedShare(Fraction(1, 16)), run) is True
    assert answer(SaturatedShare(Fraction(624, 10_000)), run) is False


@pytest.mark.parametrize("counts", [(), (0,)])
def test_a_count_that_some_step_lacks_is_not_met(counts: tuple[int, ...]) -> None:
    assert answer(SaturatedShare(Fraction(1)), with_claims(honest(), ("", ""), counts)) is False


# ---- in a verification ---------------------------------------------------------------------------


def demanding(*demands: Demand) -> Policy:
    return replace(POLICY, demands=demands, digest=bytes(32), require=frozenset({Level.L0}))


def unmet(report: Report, step: Step, field: str) -> None:
    """Asserts that exactly this demand isn't met, that the step says so, and that this is less than
    was asked for and not a failure."""
    assert (report.exit_status, report.failure) == (3, None), report.text()
    assert "L0" in report.verdict
    start = f"policy, {field}: asked for "
    assert [why.startswith(start) for why in report.missing] == [True], report.missing
    assert [s for s in report.findings[step].sentences if s.startswith(start)] == list(report.missing)
    assert report.policy is not None
    assert [c.field for c in report.policy.demands if c.met is False] == [field]


def unfinished(run: Run) -> None:
    run.close, run.model = None, {}


WRONG: list[tuple[Demand, Step]] = [
    (ProverAllowed(("native",)), Step.STATEMENT),
    (ProvenBits("ezkl", 1), Step.PROOFS),
    (SrsListed("ezkl", frozenset({bytes(32)})), Step.STATEMENT),
    (RuleAllowed((Rule.SGD,)), Step.STATEMENT),
    (lr("0.02", "0.03"), Step.STATEMENT),
    (LeastSteps(9), Step.CHAIN),
    (LastLoss(Fraction(1, 4)), Step.CHAIN),
]


@pytest.mark.parametrize(("demand", "step"), WRONG, ids=lambda value: getattr(value, "field", ""))
def test_a_demand_that_is_not_met_is_less_than_was_asked_for(demand: Demand, step: Step, tmp_path: Path) -> None:
    unmet(judge(honest(), tmp_path, demanding(demand)), step, demand.field)


@pytest.mark.parametrize(("demand", "step"), [(Finished(), Step.CHAIN), (ModelPublished(), Step.MODEL)])
def test_an_unfinished_run_is_less_than_a_finished_one(demand: Demand, step: Step, tmp_path: Path) -> None:
    run = honest()
    unfinished(run)
    unmet(judge(run, tmp_path, demanding(demand)), step, demand.field)


def test_a_model_that_could_not_be_opened_is_not_one(tmp_path: Path) -> None:
    """The SRS is not allowed, so no commitment is recomputed in step 10."""
    policy = replace(demanding(ModelPublished()), srs=frozenset[bytes]())
    unmet(judge(honest(), tmp_path, policy), Step.MODEL, "run.model")


def test_what_is_met_is_said_and_changes_no_status(tmp_path: Path) -> None:
    asked = demanding(
        SignedBy((KEY,)), ProverAllowed(("ezkl",)), SrsListed("ezkl", frozenset({SRS})), RuleAllowed((Rule.ADAM,)),
        lr("0.01", "0.01"), lr("0", "0", Rule.SGD), LeastSteps(8), Finished(), ModelPublished(), LastLoss(Fraction(1, 2)),
        SaturatedShare(Fraction(0)),
    )  # fmt: skip
    report = judge(honest(), tmp_path, asked)
    assert (report.exit_status, report.verdict, report.missing) == (0, "L0, L1", ())
    assert report.policy is not None
    assert [(c.field, c.met) for c in report.policy.demands] == [
        ("require", True),
        *((demand.field, None if demand.field == "rules.sgd.lr" else True) for demand in asked.demands),
    ]
    claimed = [
        f"policy, claims.{name}: met by what the trainer claims, which nothing shows"
        for name in ("max_last_loss", "max_saturated_share")
    ]
    assert all(any(limit == text for limit in report.limits) for text in claimed)
    assert "policy, claims.max_last_loss: asked for" in report.text()
    assert "the trainer claims '0.5'" in " ".join(report.text().split())


def test_a_run_in_which_something_is_false_meets_nothing(tmp_path: Path) -> None:
    run = honest()
    run.proofs[1, 0] = b"false"
    report = judge(run, tmp_path, demanding(LeastSteps(8), RuleAllowed((Rule.SGD,))))
    assert report.exit_status == 1
    assert report.policy is not None
    assert [(c.field, c.met, c.found) for c in report.policy.demands] == [
        ("run.min_steps", None, None),
        ("rules", None, None),
    ]
    assert report.to_json()["policy"]["demands"][0] == {
        "name": "run.min_steps", "expected": "at least 8 steps", "found": None, "met": None, "claimed": False,
    }  # fmt: skip


def test_levels_that_are_not_reached_are_answered_too(tmp_path: Path) -> None:
    policy = replace(demanding(), require=frozenset({Level.L1}))
    report = judge(honest("none"), tmp_path, policy)
    assert report.to_json()["policy"] == {
        "sha256": "00" * 32,
        "demands": [{"name": "require", "expected": "L1", "found": "L0", "met": False, "claimed": False}],
    }
    assert (
        judge(honest(), tmp_path / "b", replace(policy, keys=())).to_json()["policy"]["demands"][0]["found"] == "none"
    )


def test_without_a_policy_file_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert judge(honest(), tmp_path).policy is None


@pytest.mark.parametrize("loss", ["verdict: L0\x1b[2J" + "9" * 40, "\u202e0.5"], ids=["long", "bidi"])
def test_what_a_run_claims_is_quoted(loss: str) -> None:
    found = LastLoss(Fraction(1)).answer(facts(with_claims(honest(), ("0", loss), (0, 0))))
    assert found.met is False
    assert found.found.isascii()
    assert found.found.isprintable()
    assert " verdict" not in found.found


def test_an_answer_never_names_a_number_at_length() -> None:
    """A rate of a cosine has a hundred digits."""
    found = lr("0", "0.001").answer(facts(honest(schedule="cosine:steps=7,end=0.1")))
    assert found == Answer(False, "0.01 (group 0)")
    found = lr("0.0099", "0.01").answer(facts(honest(schedule="cosine:steps=70,end=0.1")))
    assert found.met is False
    assert len(found.found) < 60
