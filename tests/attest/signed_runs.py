"""Runs and keys for the tests of statements: a key that is the same each time, what it signs."""

from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from tests.verify.run_builder import honest
from zk_autograd.attest.model_signing import model_signature
from zk_autograd.attest.published import published
from zk_autograd.credentials.model_key import ModelSigner

SIGNER = ModelSigner(ec.derive_private_key(20261130, ec.SECP256R1()))
OTHER = ModelSigner(ec.derive_private_key(20261131, ec.SECP256R1()))


def written(folder: Path, **options: Any) -> Path:
    """An honest run without proofs, with its model."""
    return honest("none", **options).write(folder)


def signed(run: Path, signer: ModelSigner = SIGNER) -> Path:
    """The run with its model.sig."""
    (run / "model.sig").write_bytes(model_signature(published(run), signer))
    return run
