"""Cosigners, which C2SP also calls witnesses: their keys, and the cosignatures that they make.

Source: C2SP tlog-cosignature. A cosignature is a signature line under a checkpoint; it says that
the cosigner holds this tree to continue every earlier one that it saw of the log, and that it was
the largest by the time that the cosignature names, in POSIX seconds.

    0x04    Ed25519 over "cosignature/v1\\ntime <time>\\n" and the checkpoint's text
    0x06    ML-DSA-44 over the `cosigned_message` (core.cosignature)

Narrower than it: a checkpoint has no extension lines (core.checkpoint), and a cosignature's time is
not 0. The keys pass the checks of core.keys. A log's own key must not be a cosigner's: who has an
Ed25519 log key signed any text can have signed a cosignature with it.
"""

from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import Protocol

from zk_autograd.core import cosignature
from zk_autograd.core.checkpoint import parse_checkpoint
from zk_autograd.core.cosignature import MAX_TIME, TIME_BYTES
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.keys import KEY_ID_BYTES, Algorithm, Ed25519Signer, MlDsa44Signer, PublicKey
from zk_autograd.core.text import encode_base64


class Scheme(IntEnum):
    """Types of cosignatures, by the identifier byte of C2SP signed-note."""

    ED25519 = 0x04
    ML_DSA_44 = 0x06

    @property
    def algorithm(self) -> Algorithm:
        """The signature algorithm beneath."""
        return Algorithm.ED25519 if self is Scheme.ED25519 else Algorithm.ML_DSA_44


@dataclass(frozen=True, slots=True)
class CosignerKey:
    """A cosigner's public key. Raises VerificationError if the name or the key material can't be
    one.

    `name` as core.keys.check_name has it; `raw`: 32 bytes for Ed25519, 1312 for ML-DSA-44.
    """

    name: str
    scheme: Scheme
    raw: bytes

    def __post_init__(self) -> None:
        self._plain()

    @property
    def key_id(self) -> bytes:
        """Its 4 bytes in a note, beside its name."""
        return sha256(self.name.encode("utf-8") + b"\n" + self._material()).digest()[:KEY_ID_BYTES]

    @property
    def label(self) -> str:
        """What a message calls it: `name+ID (algorithm)`."""
        return f"{self.name}+{self.key_id.hex()} ({self.scheme.algorithm.title})"

    def encode(self) -> str:
        """The `name+ID+base64` text (vkey)."""
        return f"{self.name}+{self.key_id.hex()}+{encode_base64(self._material())}"

    def verify(self, text: str, signature: bytes) -> int:
        """The time, 1 to 2^63 - 1, of this key's cosignature, without key ID, over the checkpoint
        that `text` is. VerificationError unless it is right; UnreadableError where the machine
        lacks the algorithm."""
        time = int.from_bytes(signature[:TIME_BYTES], "big")
        parse_checkpoint(text)
        if len(signature) <= TIME_BYTES or not 0 < time <= MAX_TIME:
            raise VerificationError(
                f"the cosignature of {self.label} has no time", expected=f"1 to {MAX_TIME}", found=str(time)
            )
        if self.scheme is Scheme.ED25519:
            self._plain().verify(_stamped(text, time), signature[TIME_BYTES:])
        else:
            self._plain().verify(text, signature)
        return time

    def _plain(self) -> PublicKey:
        """The key without what makes it a cosigner's."""
        return PublicKey(self.name, self.scheme.algorithm, self.raw)

    def _material(self) -> bytes:
        return bytes([self.scheme]) + self.raw


class Cosigner(Protocol):
    """Who cosigns checkpoints."""

    @property
    def public_key(self) -> CosignerKey: ...

    def cosign(self, text: str, time: int) -> bytes:
        """The cosignature, without key ID, over the checkpoint that `text` is, at `time`, 1 to
        2^63 - 1. VerificationError for a text that is no checkpoint, ValueError for another
        time."""
        ...


@dataclass(frozen=True, slots=True)
class Ed25519Cosigner:
    """Cosigns with an Ed25519 key, which must sign nothing else."""

    signer: Ed25519Signer

    @property
    def public_key(self) -> CosignerKey:
        key = self.signer.public_key
        return CosignerKey(key.name, Scheme.ED25519, key.raw)

    def cosign(self, text: str, time: int) -> bytes:
        """As `Cosigner.cosign`."""
        parse_checkpoint(text)
        return _encoded(time) + self.signer.sign(_stamped(text, time))


@dataclass(frozen=True, slots=True)
class MlDsa44Cosigner:
    """Cosigns with an ML-DSA-44 key."""

    signer: MlDsa44Signer

    @property
    def public_key(self) -> CosignerKey:
        key = self.signer.public_key
        return CosignerKey(key.name, Scheme.ML_DSA_44, key.raw)

    def cosign(self, text: str, time: int) -> bytes:
        """As `Cosigner.cosign`."""
        _encoded(time)
        return cosignature.sign(self.signer.seed, self.signer.name, text, time)


def _stamped(text: str, time: int) -> str:
    """What an Ed25519 cosigner signs."""
    return f"cosignature/v1\ntime {time}\n{text}"


def _encoded(time: int) -> bytes:
    if not 0 < time <= MAX_TIME:
        raise ValueError(f"a cosignature's time is 1 to {MAX_TIME}, not {time}")
    return time.to_bytes(TIME_BYTES, "big")
