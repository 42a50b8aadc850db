"""Each demand about register and anchors is met by what was shown over all records, and by nothing
less: not by the trainer's word, an anchor of the begin, or one authority twice."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.verify.register_builder import PLACES, Tree, registered, write
from tests.verify.run_builder import LOG_POLICY, Run, honest
from tests.verify.test_receipts import NOON, TRUSTING, Notary, judged
from zk_autograd.core.anchors import AnchorClaim, Receipt, Standing
from zk_autograd.verify.anchor_demands import AnchoredBefore, AnchoredBy, Authorities, InRegister
from zk_autograd.verify.anchoring import Anchored, Anchoring
from zk_autograd.verify.demand import Demand, Facts
from zk_autograd.verify.outcome import Status, Step
from zk_autograd.verify.policy import Policy, TreeHead


@pytest.fixture
def made(tmp_path: Path) -> tuple[Run, Tree, Path]:
    run, tree = registered(backend="none")
    folder = run.write(tmp_path / "run")
    write(folder, tree.views(*PLACES), [tree.receipt(6), Notary().receipt(tree, 2), Notary().receipt(tree, 6)])
    return run, tree, folder


def asked(demand: Demand, folder: Path, policy: Policy = TRUSTING) -> bool:
    report = judged(folder, replace(policy, demands=(demand,)))
    assert report.failure is None
    assert report.exit_status in (0, 3)
    assert any(sentence.startswith("policy, ") for sentence in report.findings[Step.ANCHORS].sentences)
    unmet = [why for why in report.missing if why.startswith("policy, ")]
    assert bool(unmet) == (report.findings[Step.ANCHORS].status is Status.NOT_SHOWN)
    return not unmet


MET = [InRegister(), AnchoredBy(("notary",)), Authorities("notary", 1), AnchoredBefore(NOON), AnchoredBefore(NOON + 9)]
UNMET = [
    AnchoredBy(("file",)),
    AnchoredBy(("notary", "file")),
    Authorities("notary", 2),
    Authorities("file", 1),
    AnchoredBefore(NOON - 1),
]


@pytest.mark.parametrize("demand", MET)
def test_what_is_shown_meets_it(demand: Demand, made: tuple[Run, Tree, Path]) -> None:
    assert asked(demand, made[2])


@pytest.mark.parametrize("demand", UNMET)
def test_what_is_not_shown_does_not(demand: Demand, made: tuple[Run, Tree, Path]) -> None:
    assert not asked(demand, made[2])


@pytest.mark.parametrize("demand", MET[1:])
def test_without_trust_nothing_is_met(demand: Demand, made: tuple[Run, Tree, Path]) -> None:
    assert not asked(demand, made[2], LOG_POLICY)


@pytest.mark.parametrize("demand", MET)
def test_nothing_is_met_by_the_begin_alone(demand: Demand, made: tuple[Run, Tree, Path]) -> None:
    _, tree, folder = made
    write(folder, tree.views(PLACES[0]), [Notary().receipt(tree, 2)])
    assert not asked(demand, folder)


@pytest.mark.parametrize("demand", MET)
def test_nothing_is_met_by_a_run_in_no_register(demand: Demand, tmp_path: Path) -> None:
    assert not asked(demand, honest("none").write(tmp_path / "run"))


@pytest.mark.parametrize("demand", MET)
def test_of_a_root_of_the_auditors_its_own_records_count(demand: Demand, made: tuple[Run, Tree, Path]) -> None:
    run, _, folder = made
    assert asked(demand, folder, replace(TRUSTING, head=TreeHead(run.root(3), 3)))
    at_four = asked(demand, folder, replace(TRUSTING, head=TreeHead(run.root(4), 4)))
    assert not at_four  # no entry that is shown covers record 3


def test_one_authority_by_two_names_is_one() -> None:
    """Such as a time-stamp authority that two of the auditor's roots vouch for."""

    def counted(*keys: str) -> bool | None:
        claims = [
            AnchorClaim("notary", Standing.SHOWN, "it", identity=(name,), keys=(key,))
            for name, key in zip("ab", keys, strict=True)
        ]
        anchored = tuple(Anchored(Receipt("notary", 6, bytes(32), {}), 6, claim) for claim in claims)
        nothing: Any = None
        facts = Facts(nothing, (), None, frozenset(), Status.ABSENT, Anchoring(anchored=anchored), 6)
        return Authorities("notary", 2).answer(facts).met

    assert counted("one", "another")
    assert not counted("one", "one")


def test_the_flag_names_itself(made: tuple[Run, Tree, Path]) -> None:
    report = judged(made[2], replace(TRUSTING, demands=(AnchoredBy(("file",), "--require-anchor"),)))
    assert report.missing == (
        "policy, --require-anchor: asked for all records anchored by file, found no anchor that counts",
    )
