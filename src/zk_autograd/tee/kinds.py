"""The kinds of attestation, one row each. A new kind is a folder of that name, with a module
evidence.py (core.attestation.AttestationVerifier), and a row here."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import cast

from zk_autograd.core.attestation import AttestationVerifier

KINDS = {
    "nitro": "AWS Nitro enclaves",
    "snp": "guests of AMD SEV-SNP",
}
"""What each is called, and in words."""


class _Verifiers(Mapping[str, AttestationVerifier]):
    """By kind; each is imported when it is asked for."""

    def __getitem__(self, kind: str) -> AttestationVerifier:
        if kind not in KINDS:
            raise KeyError(kind)
        return cast(AttestationVerifier, import_module(f"zk_autograd.tee.{kind}.evidence"))

    def __iter__(self) -> Iterator[str]:
        return iter(KINDS)

    def __len__(self) -> int:
        return len(KINDS)


def verifiers() -> Mapping[str, AttestationVerifier]:
    """What step 8 judges with, by kind."""
    return _Verifiers()
