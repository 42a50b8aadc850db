"""The one door for opinions: it finds the judge of a claim by its kind, and loads no other."""

import subprocess
import sys
from dataclasses import dataclass

import pytest

from tests.tee.nitro.test_judge import CLAIM, POLICY
from tests.tee.snp.real import signed_reports
from zk_autograd.core.errors import AttestationShort, UsageError
from zk_autograd.tee.nitro import NitroPolicy
from zk_autograd.tee.policy import judge
from zk_autograd.tee.snp.judge import SnpPolicy


@dataclass
class NitroClaim:
    """Something that has the name of a claim."""

    kind: str


def test_a_nitro_claim_is_judged_by_nitros_judge() -> None:
    judge(CLAIM, POLICY)
    with pytest.raises(AttestationShort):
        judge(CLAIM, NitroPolicy(()))


@pytest.mark.parametrize("policy", [None, object(), CLAIM, POLICY.measurements[0], (POLICY,)])
def test_a_policy_of_another_kind_judges_nothing(policy: object) -> None:
    with pytest.raises(UsageError, match="of the kind nitro isn't judged by"):
        judge(CLAIM, policy)


@pytest.mark.parametrize("claim", [None, b"document", NitroClaim("nitro"), POLICY])
def test_a_claim_of_no_kind_is_judged_by_nobody(claim: object) -> None:
    with pytest.raises(UsageError, match="is no claim of a verified document"):
        judge(claim, POLICY)


def test_libraries_are_loaded_when_a_document_is_looked_at() -> None:
    """A verification without attestations takes no time for them, and none of their packages."""
    code = (
        "import sys, zk_autograd.tee.policy, zk_autograd.tee.nitro.evidence, zk_autograd.tee.device\n"
        "print([name for name in ('cbor2', 'cryptography', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_each_kind_of_claim_has_its_own_kind_of_policy() -> None:
    """Else a policy for the one would take the other without having asked for anything."""
    report = next(one for one in signed_reports() if not one.debug)
    claim = report.verify()
    own = SnpPolicy(frozenset({claim.report.measurement}), frozenset({claim.product}))
    with pytest.raises(UsageError, match="of the kind snp isn't judged by a 'NitroPolicy'"):
        judge(claim, POLICY)
    with pytest.raises(UsageError, match="of the kind nitro isn't judged by a 'SnpPolicy'"):
        judge(CLAIM, own)
    with pytest.raises(AttestationShort, match="SEV-SNP"):
        judge(claim, SnpPolicy(frozenset({bytes(48)})))
    judge(claim, own)
