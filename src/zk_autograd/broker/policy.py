"""A broker's policy: which enclaves a key is released to. It is an auditor's policy file
(docs/policy.md), of which the tables [attestation.KIND] count: who trusts what an enclave computed
and who gives it a key can use one file.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zk_autograd.anchor import kinds as anchor_kinds
from zk_autograd.core.attestation import AttestationVerifier
from zk_autograd.core.errors import UsageError
from zk_autograd.verify import policy_file


@dataclass(frozen=True, slots=True)
class Policy:
    """By kind of attestation: what verifies it, and the operator's trust in it. `digest`: SHA-256
    of the file."""

    trust: Mapping[str, tuple[AttestationVerifier, Any]]
    digest: bytes

    @property
    def emulated(self) -> bool:
        """Whether a device that shows nothing is taken, too."""
        return any(getattr(trust, "emulated", False) for _, trust in self.trust.values())


def load(path: Path, verifiers: Mapping[str, AttestationVerifier]) -> Policy:
    """The policy of a file. UsageError unless it is one that allows some enclave, and if it asks
    for an auditor's nonce: a broker draws its own. UnreadableError if it can't be read."""
    policy = policy_file.load(path, anchors=anchor_kinds.verifiers(), attestations=verifiers)
    if not policy.attestations:
        raise UsageError(f"the policy {path} allows no enclave: it needs a table, such as [attestation.nitro]")
    if policy.nonce:
        raise UsageError(
            f"the policy {path} asks for an auditor's nonce; a broker draws its own: leave it out of this file"
        )
    assert policy.digest is not None
    return Policy({kind: (verifiers[kind], trust) for kind, trust in policy.attestations.items()}, policy.digest)
