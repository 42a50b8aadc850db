"""Forks are proved to anybody who holds two sides of one, and no honest trainer is slandered: each
attack is refused, and wins where the check that refuses it is taken out."""

from collections.abc import Iterable, Sequence

import pytest

from attacks.on_runs import log_forked, trainer_slandered
from attacks.tools.attempt import Scene
from zk_autograd.core.merkle import consistency_proof, root
from zk_autograd.evidence.fork_evidence import ForkEvidence, SignedHead
from zk_autograd.verify import comparison, consistency
from zk_autograd.verify.consistency import Verdict

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", log_forked.FORKS)
def test_a_fork_is_proved_and_the_proof_travels(scene: Scene, name: str) -> None:
    fork, verdict, words = log_forked.FORKS[name]
    found = fork(scene)
    assert found.decision.verdict is verdict
    assert words in " ".join(found.decision.sentences)
    assert log_forked.travels(found, scene)


def test_each_side_of_a_fork_passes_by_itself(scene: Scene) -> None:
    """So that it takes two views, or a monitor."""
    run = scene.victim.forgery()
    run.edit(1, loss=log_forked.CLAIM)
    for forgery in (scene.victim.forgery(), run):
        assert scene.submit(forgery).judged(scene.systems).exit_status == 0


@pytest.mark.parametrize("name", [name for name, fork in log_forked.FORKS.items() if fork[1] is Verdict.FORK])
def test_a_fork_goes_unseen_without_the_comparison(scene: Scene, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consistency, "_agree", lambda evidence: True)
    assert log_forked.FORKS[name][0](scene).decision.verdict is not Verdict.FORK


def test_a_fork_is_of_the_keys_that_signed_both(scene: Scene) -> None:
    assert log_forked.two_roots_for_one_size(scene).decision.keys == scene.victim.keys
    assert log_forked.signed_by_one_key(scene).decision.keys == scene.victim.keys[:1]


@pytest.mark.parametrize("name", trainer_slandered.SLANDERS)
def test_no_slander_is_believed(scene: Scene, name: str) -> None:
    slander, words = trainer_slandered.SLANDERS[name]
    found = slander(scene)
    assert found.verdict is Verdict.UNTOLD
    assert words in " ".join(found.sentences)
    assert found.keys == ()


def careless(one: SignedHead, other: SignedHead, logs: Iterable[Sequence[bytes]]) -> ForkEvidence | None:
    """The evidence of records that nobody compared with the signed root."""
    smaller, larger = sorted((one, other), key=lambda head: head.place)
    size1, size2 = smaller.checkpoint.size, larger.checkpoint.size
    leaves = next((leaves for leaves in logs if len(leaves) >= size2), ())
    if not leaves:
        return None
    return ForkEvidence(smaller, larger, root(leaves[:size1]), tuple(consistency_proof(leaves, size1, size2)))


UNSIGNED = (consistency, "_unsigned", lambda head, key: "")
UNPROVED = (consistency, "verify_consistency", lambda *_: None)
TAKEN_OUT = {
    "a false beginning": (UNPROVED,),
    "a false proof": (UNPROVED,),
    "a proof between other sizes": (UNPROVED,),
    "false records beside a true checkpoint": (UNPROVED, (comparison, "connect", careless)),
    "another key of the trainer's name": (UNSIGNED,),
    "the trainer's key ID on it": (UNSIGNED,),
    "another root over the trainer's signature": (UNSIGNED,),
    "another run of the trainer's": ((consistency, "is_one_log", lambda *_: True),),
}


@pytest.mark.parametrize("name", trainer_slandered.SLANDERS)
def test_it_is_believed_without_that_check(scene: Scene, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for owner, attribute, value in TAKEN_OUT[name]:
        monkeypatch.setattr(owner, attribute, value)
    assert trainer_slandered.SLANDERS[name][0](scene).verdict is Verdict.FORK


def test_the_programs_say_so(scene: Scene) -> None:
    assert log_forked.run(scene).refused
    assert trainer_slandered.run(scene).refused
