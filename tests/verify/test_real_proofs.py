"""The verifier on the session's real run: 40 parameters in two blocks, 66 steps in two segments,
four EZKL proofs, a published model."""

import shutil
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from attacks.tools.victim import Victim
from tests.attacks.session import Remembering, ezkl_victim
from tests.shared import Shared
from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.prove.ezkl.keys import Cache
from zk_autograd.prove.ezkl.verify import EzklSystem
from zk_autograd.verify.outcome import Level, Status, Step
from zk_autograd.verify.policy import Policy, TreeHead
from zk_autograd.verify.proof_system import ProofSystem
from zk_autograd.verify.report import Report
from zk_autograd.verify.verifier import Verifier

pytestmark = [pytest.mark.ezkl, pytest.mark.slow]


@pytest.fixture(scope="module")
def victim(shared: Shared, ezkl_cache: Cache, srs_digest: bytes) -> Victim:
    return ezkl_victim(shared, ezkl_cache, srs_digest)


@pytest.fixture(scope="module")
def system(ezkl_cache: Cache) -> ProofSystem:
    return Remembering(ezkl_cache)


@pytest.fixture
def policy(victim: Victim) -> Policy:
    return Policy(keys=victim.keys, srs=victim.srs)


def judged(path: Path, policy: Policy, system: ProofSystem) -> Report:
    with RunFolder(path) as files:
        return Verifier(policy, {"ezkl": system}).verify(files)


def test_every_step_passes(victim: Victim, policy: Policy, system: ProofSystem) -> None:
    report = judged(victim.path, policy, system)
    statuses = {step.value: report.findings[step].status for step in Step}
    shown = (1, 2, 3, 5, 6, 7, 10, 11)
    assert statuses == {
        **dict.fromkeys(shown, Status.PASSED),
        4: Status.ABSENT,
        8: Status.ABSENT,
        9: Status.ABSENT,
    }
    assert report.levels == {Level.L0, Level.L1}
    assert (report.exit_status, report.missing) == (0, ())
    assert report.summary is not None
    assert (report.summary.steps, report.summary.segments, report.summary.blocks) == (66, 2, 2)
    assert "all 4 proofs are valid for the statements of the records" in report.findings[Step.PROOFS].sentences


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"keys": ()}, "no key is pinned"),
        ({"srs": frozenset()}, "is not allowed: whoever made it can forge"),
        ({"sample": 3}, "a sample reaches L1-sampled"),
    ],
    ids=["no key", "no srs", "a sample"],
)
def test_less_than_was_asked_for_is_status_3(
    victim: Victim, policy: Policy, system: ProofSystem, change: dict[str, object], words: str
) -> None:
    report = judged(victim.path, replace(policy, **change), system)  # type: ignore[arg-type]
    assert (report.exit_status, report.failure) == (3, None)
    assert words in " ".join(report.missing)
    assert Level.L1 not in report.levels


def test_an_srs_that_is_allowed_and_not_here_is_status_3(victim: Victim, policy: Policy, tmp_path: Path) -> None:
    report = judged(victim.path, policy, EzklSystem(Cache(tmp_path), "23.0.5"))
    assert (report.verdict, report.exit_status) == ("L0", 3)
    assert "add it with --srs FILE" in report.missing[0]
    assert report.findings[Step.CHAIN].status is Status.NOT_SHOWN
    assert report.findings[Step.MODEL].status is Status.NOT_SHOWN


def test_another_version_of_ezkl_is_status_3(victim: Victim, policy: Policy, ezkl_cache: Cache) -> None:
    for installed, words in ((None, "pip install 'zk-autograd[ezkl]'"), ("22.0.0", "pip install ezkl==23.0.5")):
        report = judged(victim.path, policy, EzklSystem(ezkl_cache, installed))
        assert (report.verdict, report.exit_status) == ("L0", 3)
        assert words in report.missing[0]


def test_a_sample_that_was_accepted_says_what_it_misses(victim: Victim, policy: Policy, system: ProofSystem) -> None:
    report = judged(victim.path, replace(policy, sample=3, accept_sample=True), system)
    assert (report.verdict, report.exit_status) == ("L0, L1-sampled", 0)
    assert report.sample is not None
    assert (report.sample.verified[0], len(report.sample.verified), report.sample.verified[-1]) == (0, 3, 3)
    assert Fraction(report.sample.miss_one) == Fraction(1, 2)
    assert any("1/2 (50.0 %)" in sentence for sentence in report.findings[Step.PROOFS].sentences)


def test_a_root_from_before_the_end_shows_the_steps_before_it(
    victim: Victim, policy: Policy, system: ProofSystem, tmp_path: Path
) -> None:
    run = victim.forgery()
    run.close = None
    del run.segments[1]
    path = shutil.copytree(victim.path, tmp_path / "run", ignore=shutil.ignore_patterns("private", "model"))
    report = judged(path, replace(policy, head=run.head()), system)
    assert (report.verdict, report.exit_status) == ("L0, L1", 0)
    assert report.summary is not None
    assert (report.summary.steps, report.summary.finished) == (64, False)
    assert any("unfinished" in limit for limit in report.limits)


@pytest.mark.parametrize("size", [5, 6])
def test_another_root_is_refused(victim: Victim, policy: Policy, system: ProofSystem, size: int) -> None:
    report = judged(victim.path, replace(policy, head=TreeHead(bytes(32), size)), system)
    assert report.failure is not None
    assert (report.failure.step, report.exit_status) == (3, 1)


def test_a_second_pinned_key_must_have_signed_too(victim: Victim, policy: Policy, system: ProofSystem) -> None:
    second = Ed25519Signer("enclave", bytes(32)).public_key
    report = judged(victim.path, replace(policy, keys=(*policy.keys, second)), system)
    assert report.failure is not None
    assert (report.failure.step, report.exit_status) == (2, 1)


@pytest.mark.parametrize("place", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_each_proof_stands_for_its_own_record(
    victim: Victim, policy: Policy, system: ProofSystem, place: tuple[int, int], tmp_path: Path
) -> None:
    run = victim.forgery()
    segment, block = place
    run.put_proof(place, run.proofs[1 - segment, block])
    report = judged(run.write(tmp_path / "run"), policy, system)
    assert report.failure is not None
    assert (report.failure.step, report.failure.record) == (7, 2 + segment)
    assert report.failure.message.startswith(f"proof {segment}-{block}: the proof does not verify")


def test_nothing_private_is_needed(victim: Victim, policy: Policy, system: ProofSystem, tmp_path: Path) -> None:
    bundle = shutil.copytree(victim.path, tmp_path / "bundle", ignore=shutil.ignore_patterns("private"))
    assert judged(bundle, policy, system).exit_status == 0
