"""What a key is for, as bytes: a key or a ciphertext of one context opens in no other.

The bytes are the purpose "vault", the format, tenant, run id, step (decimal) and kind, each after
its length (4 bytes, big-endian) in UTF-8. They are the context of the ciphertext (vault.seal) and
go into each wrapping of its key (vault.holder), so that neither can stand in for another's.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from zk_autograd.core.canonical import Json
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.core.records import MAX_STEP
from zk_autograd.vault.errors import VaultError

PURPOSE = "vault"
FORMAT = "zk-autograd/vault/v0"

ENCLAVE = "enclave"
"""A kind, the sealed job of an enclave; and the tenant that what goes to and comes from enclaves
belongs to. No other tenant has this name."""

CHECKPOINT = "checkpoint"
MODEL = "model"
KINDS = (CHECKPOINT, MODEL, "dataset", "token", ENCLAVE)

MAX_NAME = 63
_NAME = re.compile(rf"[a-z0-9][a-z0-9-]{{0,{MAX_NAME - 1}}}")


@dataclass(frozen=True, slots=True)
class Context:
    """`tenant` and `run` are names of 1..63 characters, a-z, 0-9 and - (not first); a run's id is
    its 32 hexadecimal digits. `step` is 0..MAX_STEP, `kind` one of `KINDS`. VaultError for others:
    none is folded into another."""

    tenant: str
    run: str
    step: int
    kind: str

    def __post_init__(self) -> None:
        for what, name in (("tenant", self.tenant), ("run", self.run)):
            if type(name) is not str or not _NAME.fullmatch(name):
                raise VaultError(f"the {what} of a sealed file has 1 to {MAX_NAME} of a-z, 0-9 and -, not - first")
        if type(self.step) is not int or not 0 <= self.step <= MAX_STEP:
            raise VaultError(f"the step of a sealed file is an integer from 0 to {MAX_STEP}")
        if type(self.kind) is not str or self.kind not in KINDS:
            raise VaultError(f"the kind of a sealed file is one of {', '.join(KINDS)}")
        if self.kind == ENCLAVE and self.tenant != ENCLAVE:
            raise VaultError(f"a sealed file of kind {ENCLAVE} belongs to the tenant {ENCLAVE}, and to no other")

    def __bytes__(self) -> bytes:
        """What ciphertext and wraps are bound to. No two contexts have the same bytes."""
        parts = (PURPOSE, FORMAT, self.tenant, self.run, str(self.step), self.kind)
        encoded = [part.encode("utf-8") for part in parts]
        return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)

    def __str__(self) -> str:
        return f"tenant {self.tenant}, run {self.run}, step {self.step} ({self.kind})"

    @property
    def names(self) -> Mapping[str, str]:
        """The same as texts, for a service that binds a map of them (AWS KMS)."""
        return {
            "purpose": PURPOSE,
            "format": FORMAT,
            "tenant": self.tenant,
            "run": self.run,
            "step": str(self.step),
            "kind": self.kind,
        }

    @property
    def json(self) -> dict[str, Json]:
        """The context of a key file."""
        return {"tenant": self.tenant, "run": self.run, "step": self.step, "kind": self.kind}

    @classmethod
    def of(cls, fields: Fields) -> "Context":
        """The context of a key file's object. VaultError."""
        try:
            tenant, run = fields.text("tenant", MAX_NAME), fields.text("run", MAX_NAME)
            context = cls(tenant, run, fields.integer("step", 0, MAX_STEP), fields.choice("kind", KINDS))
            fields.end()
        except VerificationError as error:
            raise VaultError(str(error)) from error
        return context


def of_enclave(run: bytes, step: int = 0, kind: str = ENCLAVE) -> Context:
    """The context of what is sealed for the enclave of the run with this id (16 bytes): its job; or
    of what it seals itself, a checkpoint or the model."""
    return Context(ENCLAVE, run.hex(), step, kind)
