"""Step 5: the verifier's own circuit, an allowed SRS, and constants that are recomputed."""

from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

from tests.verify.run_builder import POLICY, SRS, StandInCircuit, StandInSystem, honest, judge, refused
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.hyper import Rule
from zk_autograd.core.record_bytes import parse_log
from zk_autograd.core.records import Genesis, Group, Parameter, Prover, Segment, StateCommitments
from zk_autograd.core.segments import Segments
from zk_autograd.core.statement import StatementBuilder
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.prove.ezkl.ceremonies import CEREMONIES
from zk_autograd.prove.ezkl.circuit.catalogue import EZKL_VERSION, load
from zk_autograd.prove.ezkl.keys import Cache
from zk_autograd.prove.ezkl.verify import EzklSystem
from zk_autograd.verify import statement
from zk_autograd.verify.outcome import Level, Status, Step
from zk_autograd.verify.policy import Policy
from zk_autograd.verify.report import Report
from zk_autograd.verify.statement import check_statement, in_order
from zk_autograd.verify.verifier import Verifier


def sentences(report: Report, step: Step = Step.STATEMENT) -> str:
    return " ".join(report.findings[step].sentences)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"circuit": "adam-of-the-trainer"}, "not in the catalogue"),
        ({"circuit_digest": bytes(32)}, "its digest differs"),
        ({"block": 5}, "its block differs"),
        ({"steps": 4}, "its steps differs"),
        ({"version": "0.0.1"}, "its version differs"),
    ],
)
def test_step5_circuit_is_not_the_verifiers_own(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    run = honest()
    run.edit_prover(**changes)
    run.reprove()
    refused(judge(run, tmp_path), 5, message, record=0)


def test_step5_circuit_of_another_rule(tmp_path: Path) -> None:
    system = StandInSystem(StandInCircuit(rule="adamw"))
    refused(judge(honest(), tmp_path, system=system), 5, "its rule differs", record=0)


def test_step5_backend_that_the_verifier_has_not(tmp_path: Path) -> None:
    run = honest()
    log = parse_log(run.leaves())
    with pytest.raises(VerificationError, match="backend is not known"):
        check_statement(log, {}, POLICY.srs, lambda *_: None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": "2"}, "version is not known"),
        ({"block": 2**20 + 1}, "block is too large"),
        ({"block": 2**40}, "block is too large"),
        ({"steps": 257}, "steps is too large"),
        ({"steps": 2**16}, "steps is too large"),
    ],
)
def test_step5_backend_none_within_its_bounds(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    run = honest("none")
    run.edit_prover(**changes)
    refused(judge(run, tmp_path), 5, message, record=0)


def test_step5_srs_that_is_not_allowed_shows_nothing_beyond_the_log(tmp_path: Path) -> None:
    report = judge(honest(), tmp_path, replace(POLICY, srs=frozenset(CEREMONIES)))
    assert report.failure is None
    assert [report.findings[s].status for s in (Step.STATEMENT, Step.CHAIN, Step.PROOFS, Step.MODEL)] == [
        Status.NOT_SHOWN,
        Status.NOT_SHOWN,
        Status.SKIPPED,
        Status.NOT_SHOWN,
    ]
    assert (report.levels, report.exit_status, report.verdict) == (frozenset({Level.L0}), 3, "L0")
    assert len(report.missing) == 1
    assert "L1 was not reached: the SRS" in report.missing[0]
    assert "--srs-digest" in report.missing[0]


def test_step5_srs_that_is_not_allowed_never_reaches_a_checker(tmp_path: Path) -> None:
    system = StandInSystem()
    judge(honest(), tmp_path, replace(POLICY, srs=frozenset()), system)
    assert system.last is None


def test_step5_log_alone_can_be_asked_for_without_an_srs(tmp_path: Path) -> None:
    report = judge(honest(), tmp_path, replace(POLICY, srs=frozenset(), require=frozenset({Level.L0})))
    assert (report.exit_status, report.verdict) == (0, "L0")


def test_step5_ceremony_is_allowed_by_default_and_named(tmp_path: Path) -> None:
    run = honest()
    run.edit_prover(srs_digest=next(iter(CEREMONIES)))
    run.reprove()
    report = judge(run, tmp_path, Policy(keys=POLICY.keys))
    assert report.exit_status == 0
    assert "Perpetual Powers of Tau" in sentences(report)
    assert any("every participant of the ceremony together" in limit for limit in report.limits)


def test_step5_prover_that_is_not_installed_here(tmp_path: Path) -> None:
    report = judge(
        honest(), tmp_path, system=StandInSystem(missing="EZKL is not installed: pip install 'zk-autograd[ezkl]'")
    )
    assert (report.exit_status, report.levels) == (3, frozenset({Level.L0}))
    assert "zk-autograd[ezkl]" in report.missing[0]
    assert report.findings[Step.PROOFS].status is Status.SKIPPED


def test_step5_learning_rate_out_of_range(tmp_path: Path) -> None:
    run = honest("none", schedule="recorded")
    run.segments[1] = replace(run.segments[1], lr=(("0.01",), ("9",), ("0.01",)))
    refused(judge(run, tmp_path), 5, "lr = 9 gives LR of step 5 out of range", record=3)


def test_step5_learning_rate_that_is_no_number(tmp_path: Path) -> None:
    run = honest("none", schedule="recorded")
    run.segments[2] = replace(run.segments[2], lr=(("0.01",), ("nan",)))
    refused(judge(run, tmp_path), 5, "lr is not a decimal", record=4)


def test_step5_every_group_is_recomputed(tmp_path: Path) -> None:
    run = honest("none", schedule="recorded", groups=2)
    run.segments[0] = replace(run.segments[0], lr=(("0.01", "0.01"), ("0.01", "9"), ("0.01", "0.01")))
    refused(judge(run, tmp_path), 5, "out of range", record=2)


def test_step5_nothing_is_computed_for_steps_that_the_log_does_not_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A header or a record that speaks of step 10^12 costs nothing: step 6 refuses it."""
    asked: list[int] = []
    constants = StatementBuilder.constants

    def watched(self: StatementBuilder, group: int, first: int, last: int, lr: Any) -> Any:
        asked.append(last)
        return constants(self, group, first, last, lr)

    monkeypatch.setattr(StatementBuilder, "constants", watched)
    run = honest("none")
    run.segments[1] = replace(run.segments[1], first=10**12, last=10**12 + 2)
    refused(judge(run, tmp_path), 6, "steps are not consecutive", record=3)
    assert asked == [3]


def test_step5_segments_in_order_end_where_numbers_break() -> None:
    run = honest("none")
    one, two, three = run.segments

    def taken(*segments: Segment) -> list[int]:
        return [number for number, _, _ in in_order(Segments(run.header, segments))]

    assert taken(one, two, three) == [0, 1, 2]
    assert taken(one, three, two) == [0]
    assert taken(replace(one, first=2)) == []


def test_step5_hyper_parameters_in_force_are_named(tmp_path: Path) -> None:
    report = judge(honest(), tmp_path)
    assert "rule adam: the constants of steps 1..8 recomputed" in sentences(report)
    assert "beta1 0.9, " in sentences(report)
    assert "in force: beta1 0.899993896484375, beta2 0.998992919921875" in sentences(report)
    assert "ten times what was asked for" in sentences(report)  # eps 1e-08 becomes 2^-23


def test_step5_eps_of_the_first_step_and_an_lr_without_precision_are_named(tmp_path: Path) -> None:
    assert "eps 0.00000011920928955078125, and 0.00000376 at step 1, where its floor weighs more" in sentences(
        judge(honest(), tmp_path / "adam")
    )
    run = honest("none", rule=Rule.SGD)
    run.edit_header(
        grad_scale=20, groups=(replace(run.header.groups[0], hyper=(("lr", "0.001"), ("weight_decay", "0"))),)
    )
    told = sentences(judge(run, tmp_path / "sgd", replace(POLICY, require=frozenset({Level.L0}))))
    assert "lr 0.0009765625 (lr differs from what was asked for: it has fewer than 8 bits)" in told


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        (
            "constant,warm_up=3",
            "lr of each step recomputed from each group's lr by the schedule constant,warm_up=3: the same at every step, after",
        ),
        (
            "cosine:steps=6,end=0.1,warm_up=2",
            "recomputed from each group's lr by the schedule cosine:steps=6,end=0.1,warm_up=2: along a cosine down to 0.1 of lr over "
            "6 steps, after a linear warm-up of 2 steps",
        ),
        ("recorded", "lr of each step and group as recorded: the schedule was the trainer's choice"),
    ],
)
def test_step5_schedule_is_named_in_words(tmp_path: Path, schedule: str, words: str) -> None:
    report = judge(honest(schedule=schedule), tmp_path)
    assert report.exit_status == 0
    assert words in sentences(report)
    assert any("learning rates" in limit for limit in report.limits) == (schedule == "recorded")


def test_step5_constant_lr_needs_no_words(tmp_path: Path) -> None:
    assert "schedule" not in sentences(judge(honest(), tmp_path))


def test_step5_schedule_that_leaves_the_range_is_refused_at_its_step(tmp_path: Path) -> None:
    run = honest("none", schedule="constant,warm_up=9")
    group = replace(run.header.groups[0], hyper=(("lr", "2.2"), *run.header.groups[0].hyper[1:]))
    run.edit_header(groups=(group,))
    refused(judge(run, tmp_path), 5, "gives LR of step 8 out of range", record=4)


def test_step1_rates_beside_a_declared_schedule(tmp_path: Path) -> None:
    run = honest("none", schedule="cosine:steps=6,end=0")
    run.segments[1] = replace(run.segments[1], lr=(("0.01",),) * 3)
    refused(judge(run, tmp_path), 1, "lr", record=3)


def test_step1_schedule_that_is_none_or_has_another_text(tmp_path: Path) -> None:
    for index, (schedule, message) in enumerate(
        [
            ("triangle:steps=6", "there is no such schedule"),
            ("cosine:steps=6", "the schedule is not in its canonical form"),
            ("cosine:steps=1099511627777,end=0", "steps of a schedule is out of range"),
            ("step:every=1,factor=0.9999999999", "too many digits"),
        ]
    ):
        run = honest("none", schedule="cosine:steps=6,end=0")
        run.edit_header(schedule=schedule)
        refused(judge(run, tmp_path / str(index)), 1, message, record=0)


@pytest.mark.parametrize(
    "schedule",
    [
        "cosine:steps=7,end=0,warm_up=2",
        "cosine:steps=6,end=0.1,warm_up=2",
        "linear:steps=6,end=0,warm_up=2",
        "constant",
    ],
)
def test_step7_proofs_hold_under_their_own_schedule_alone(tmp_path: Path, schedule: str) -> None:
    run = honest(schedule="cosine:steps=6,end=0,warm_up=2")
    run.edit_header(schedule=schedule)
    refused(judge(run, tmp_path), 7, "the proof does not verify", record=2)


@pytest.mark.parametrize(
    "curve", ["step:every=1,factor=0.999999999", "linear:steps=1099511627776,end=0", "cosine:steps=1099511627776,end=0"]
)
def test_step5_largest_counts_of_a_header_cost_no_more_than_others(tmp_path: Path, curve: str) -> None:
    run = honest("none", schedule=curve + ",warm_up=1099511627776")
    began = perf_counter()
    assert judge(run, tmp_path, replace(POLICY, require=frozenset({Level.L0}))).exit_status == 0
    assert perf_counter() - began < 5


def test_step5_many_groups_are_counted(tmp_path: Path) -> None:
    run = honest("none", rule=Rule.SGD)
    rates = [f"0.{i + 1:03}" for i in range(30)]
    run.edit_header(
        groups=tuple(Group((("lr", lr), ("weight_decay", "0")), 30) for lr in [*rates, "0"]),
        parameters=(replace(run.header.parameters[0], group=1), replace(run.header.parameters[1], group=30)),
        blocks=(replace(run.header.blocks[0], group=1), replace(run.header.blocks[1], group=30)),
    )
    report = judge(run, tmp_path, replace(POLICY, require=frozenset({Level.L0})))
    assert report.exit_status == 0
    assert "group 1 (4 parameters): lr 0.002, weight_decay 0; in force" in sentences(report)
    assert "group 30 (2 parameters): lr 0, weight_decay 0; in force" in sentences(report)
    assert "group 18 (0 parameters): lr 0.019" in sentences(report)
    assert "and 11 more groups (0 parameters): lr 0.020 to 0.030" in sentences(report)
    assert sentences(report).count("in force") == 20


def test_step5_a_group_that_does_not_move_is_shown_with_its_parameters(tmp_path: Path) -> None:
    run = honest("none", rule=Rule.SGD)
    run.edit_header(
        groups=(*run.header.groups * 5, replace(run.header.groups[0], hyper=(("lr", "0"), ("weight_decay", "0")))),
        parameters=(replace(run.header.parameters[0], group=0), replace(run.header.parameters[1], group=5)),
        blocks=(run.header.blocks[0], replace(run.header.blocks[1], group=5)),
    )
    report = judge(run, tmp_path, replace(POLICY, require=frozenset({Level.L0})))
    assert "group 5 (2 parameters): lr 0, weight_decay 0; in force" in sentences(report)


def test_step5_recorded_schedule_is_the_trainers(tmp_path: Path) -> None:
    run = honest("none", schedule="recorded")
    run.segments[1] = replace(run.segments[1], lr=(("0.01",), ("1e-3",), ("0.02",)))
    report = judge(run, tmp_path)
    assert any("(1e-3 to 0.02)" in limit and "trainer's choice" in limit for limit in report.limits)


def test_step5_constants_that_the_circuit_would_not_see(tmp_path: Path) -> None:
    run = honest(schedule="recorded")
    run.segments[1] = replace(run.segments[1], lr=(("0.01",), ("0.01",), ("0.02",)))
    log = parse_log(run.leaves())
    (constants,) = StatementBuilder(log.header, log.header_digest).constants(0, 6, 6, [("0.02",)])[:1]
    system = StandInSystem(unseen=constants.LR)
    refused(judge(run, tmp_path / "seen", system=system), 5, "the circuit does not see this", record=3)


def test_step5_weight_decay_that_no_circuit_shows(tmp_path: Path) -> None:
    """The circuits' proofs hold without the decay that the header claims, whatever the SRS."""
    run = honest("none", rule=Rule.SGD_MOMENTUM)
    circuit = load("sgd-momentum-n32-t128")
    prover = Prover("ezkl", EZKL_VERSION, circuit.block, circuit.steps, circuit.name, circuit.digest, SRS)
    state: StateCommitments = {name: (bytes(64),) for name in ("W", "B")}
    genesis = Genesis(state, {"B": (bytes(256),)})
    segment = replace(run.segments[0], state_in=state, state_out=state, gradients=(bytes(64),), proofs=(bytes(32),))
    run.edit_header(blocks=(replace(run.header.blocks[0], size=6),))
    for weight_decay, step in (("0.01", 5), ("0", 7)):
        group = replace(
            run.header.groups[0], hyper=(("lr", "0.01"), ("momentum", "0.9"), ("weight_decay", weight_decay))
        )
        run.edit_header(prover=prover, groups=(group,))
        run.genesis, run.segments, run.close = genesis, [segment], None
        with RunFolder(run.write(tmp_path / weight_decay)) as files:
            # Without EZKL or its SRS here nothing is verified; the claim is refused before that.
            report = Verifier(POLICY, {"ezkl": EzklSystem(Cache(tmp_path), None)}).verify(files)
        if step == 5:
            refused(report, 5, "claims weight decay", record=2)
        else:
            assert report.failure is None


def test_step7_constants_of_a_group_are_computed_once_for_all_its_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking for them again begins at step 1 again: a run of T steps would take T^2."""
    asked: list[int] = []
    constants = StatementBuilder.constants

    def watched(self: StatementBuilder, group: int, first: int, last: int, lr: Any) -> Any:
        asked.append(group)
        return constants(self, group, first, last, lr)

    monkeypatch.setattr(StatementBuilder, "constants", watched)
    for groups in (1, 2):
        asked.clear()
        log = parse_log(honest("none", groups=groups).leaves())
        statements = StatementBuilder(log.header, log.header_digest).of_segment(log.segments[0])
        assert (len(statements), sorted(asked)) == (2, list(range(groups)))


def test_step5_work_on_constants_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal groups count as one, with recorded rates while those are equal, too."""
    monkeypatch.setattr(statement, "MAX_CONSTANTS", 8)
    assert judge(honest(groups=2), tmp_path / "equal").failure is None
    assert judge(honest(groups=2, schedule="recorded"), tmp_path / "recorded").failure is None
    run = honest(groups=2, schedule="recorded")
    run.segments = [replace(s, lr=tuple(("0.01", "0.02") for _ in s.lr)) for s in run.segments]
    refused(judge(run, tmp_path / "differ"), 5, "too many constants", record=3)
    monkeypatch.setattr(statement, "MAX_CONSTANTS", 7)
    refused(judge(honest(), tmp_path / "one"), 5, "too many constants", record=4)


def test_step5_groups_are_shown_by_their_parameters() -> None:
    """One that a stranger hides behind twenty small ones is among them, under its number."""
    header = honest("none").header
    small, large = header.groups[0], Group((("lr", "0.5"), *header.groups[0].hyper[1:]), 0)
    parameters = (*(Parameter(f"p{i}", (1,), i, 1, i) for i in range(25)), Parameter("large", (9,), 25, 9, 25))
    lines = statement._hyper(replace(header, groups=(small,) * 25 + (large,), parameters=parameters, size=34))
    assert len(lines) == 21
    assert lines[0].startswith("group 0 (1 parameter)")
    assert lines[19].startswith("group 25 (9 parameters): lr 0.5")
    assert lines[20] == "and 6 more groups (6 parameters): lr 0.01 to 0.01"
