"""Step 11: the union of what the steps showed, against what was asked for. Sentences decide
nothing."""

from dataclasses import replace

import pytest

from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.verify.outcome import RESTS_ON, Finding, Level, Outcome, Status, Step
from zk_autograd.verify.policy import Policy
from zk_autograd.verify.verdict import Verdict, decide

L0, L1, L2, SAMPLED = Level.L0, Level.L1, Level.L2, Level.L1_SAMPLED
POLICY = Policy(keys=(Ed25519Signer("trainer", bytes(32)).public_key,))
DONE = Outcome(Finding(Status.PASSED))


def verdict(
    policy: Policy = POLICY, *, log: Outcome | None = None, proofs: Outcome | None = None, model: Outcome = DONE
) -> Verdict:
    outcomes = dict.fromkeys(list(Step)[:-1], DONE)
    outcomes[Step.LOG] = log or replace(DONE, shown=frozenset({L0}))
    outcomes[Step.PROOFS] = proofs or replace(DONE, shown=frozenset({L1}))
    outcomes[Step.MODEL] = model
    return decide(outcomes, policy)


def test_every_level_says_what_it_rests_on() -> None:
    assert set(RESTS_ON) == set(Level)


def test_levels_are_the_union_of_what_the_steps_show() -> None:
    found = verdict()
    assert (found.levels, found.missing) == (frozenset({L0, L1}), ())
    assert found.outcome.finding == Finding(Status.PASSED, ("asked for L1: shown",))


def test_what_keeps_a_level_keeps_those_that_rest_on_it() -> None:
    found = verdict(log=replace(DONE, shown=frozenset({L0}), missing={L0: "no key"}))
    assert (found.levels, found.missing) == (frozenset(), ("no key",))
    assert found.outcome.finding.status is Status.NOT_SHOWN


def test_a_level_that_one_step_keeps_is_not_reached_though_another_shows_it() -> None:
    found = verdict(model=replace(DONE, missing={L1: "the model says otherwise"}))
    assert (found.levels, found.missing) == (frozenset({L0}), ("the model says otherwise",))


def test_what_was_not_asked_for_is_not_missing() -> None:
    policy = replace(POLICY, require=frozenset({L0}))
    found = verdict(policy, proofs=replace(DONE, missing={L1: "no proofs"}))
    assert (found.levels, found.missing) == (frozenset({L0}), ())


def test_a_level_that_nothing_shows_and_nothing_keeps_is_missing_all_the_same() -> None:
    """A step that forgot to say why."""
    found = verdict(proofs=DONE)
    assert (found.levels, found.missing) == (frozenset({L0}), ("L1 was not reached",))
    found = verdict(replace(POLICY, require=frozenset({L0, L1})), log=DONE, proofs=DONE)
    assert (found.levels, found.missing) == (frozenset(), ("L0 was not reached", "L1 was not reached"))


def test_l2_rests_on_all_proofs() -> None:
    """Nothing keeps L1 from being reached here, and no step shows it."""
    attested = {Step.ATTESTATION: replace(DONE, shown=frozenset({L2}))}
    asked = replace(POLICY, require=frozenset({L2}))
    whole = {
        Step.LOG: replace(DONE, shown=frozenset({L0})),
        Step.PROOFS: replace(DONE, shown=frozenset({L1})),
        **attested,
    }
    assert decide(whole, asked).levels == {L0, L1, L2}
    for left in (Step.LOG, Step.PROOFS):
        found = decide({**whole, left: DONE}, asked)
        assert L2 not in found.levels and found.missing == ("L2 was not reached",)
    sampled = {**whole, Step.PROOFS: replace(DONE, shown=frozenset({SAMPLED}))}
    accepted = replace(asked, sample=2, accept_sample=True, require=frozenset({L1, L2}))
    found = decide(sampled, accepted)
    assert (found.levels, found.reached) == (frozenset({L0, SAMPLED}), False)
    assert found.missing == ("L2 was not reached",)


@pytest.mark.parametrize("accepted", [True, False])
def test_a_sample_is_enough_only_where_the_auditor_says_so(accepted: bool) -> None:
    sampled = replace(DONE, shown=frozenset({SAMPLED}), missing={L1: "a sample"})
    found = verdict(replace(POLICY, sample=2, accept_sample=accepted), proofs=sampled)
    assert found.levels == {L0, SAMPLED}
    assert found.missing == (() if accepted else ("a sample",))


def test_an_accepted_sample_still_rests_on_the_log() -> None:
    sampled = replace(DONE, shown=frozenset({SAMPLED}), missing={L1: "a sample"})
    found = verdict(
        replace(POLICY, sample=2, accept_sample=True), log=replace(DONE, missing={L0: "no key"}), proofs=sampled
    )
    assert (found.levels, found.missing) == (frozenset(), ("no key",))


def test_accepting_a_sample_makes_none_where_no_proof_was_looked_at() -> None:
    unseen = replace(DONE, missing={L1: "no proofs"})
    found = verdict(replace(POLICY, sample=2, accept_sample=True), proofs=unseen)
    assert (found.levels, found.missing) == (frozenset({L0}), ("no proofs",))


def test_what_is_withheld_keeps_no_level_and_makes_the_verdict_less() -> None:
    found = verdict(model=replace(DONE, withheld=("files that nobody names",)))
    assert (found.levels, found.missing) == (frozenset({L0, L1}), ("files that nobody names",))


def test_words_decide_nothing() -> None:
    """Whatever a finding's status and sentences are."""
    said = Finding(Status.SKIPPED, ("L1 was not reached", "no key is pinned", "no record in this view names"))
    proofs = Outcome(said, shown=frozenset({L1}))
    assert verdict(proofs=proofs).levels == {L0, L1}
    assert verdict(proofs=proofs).missing == ()
