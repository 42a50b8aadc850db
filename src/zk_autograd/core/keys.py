"""The keys that sign notes: public keys in C2SP's text form, and signers.

Sources: C2SP signed-note ("Signatures", "Verifier keys"), C2SP tlog-cosignature (ML-DSA-44) and RFC
8032. Narrower than them: the key ID must be the hash that the specification recommends, the base64
the one that an encoder writes; an Ed25519 key must be encoded canonically (RFC 8032 section 5.1.3)
and not be of small order, since under such a key one signature fits many texts; of an ML-DSA-44
key's t1 at least half of the coefficients must be far from 0 and from q/2, since otherwise anybody
may sign (z = 0 passes, FIPS 204 algorithm 8). No check of a key shows that its secret is one.

A log is signed by a key of each kind: Ed25519, which every tool reads, and ML-DSA-44, which a
quantum computer doesn't break. An Ed25519 key signs any text; an ML-DSA-44 key signs checkpoints
alone (core.cosignature).

Another algorithm takes a member of `Algorithm`, an entry in `_SCHEMES` and a signer.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from hashlib import sha256
from typing import NamedTuple, NoReturn, Protocol, Self, SupportsIndex

from zk_autograd.core import cosignature
from zk_autograd.core.checkpoint import MAX_NAME_BYTES
from zk_autograd.core.errors import UsageError, VerificationError
from zk_autograd.core.text import decode_base64, encode_base64, encode_utf8, has_control, quoted

KEY_ID_BYTES = 4
SEED_BYTES = 32


class Algorithm(IntEnum):
    """Signature types, by the identifier byte of C2SP signed-note."""

    ED25519 = 0x01
    ML_DSA_44 = 0x06

    @property
    def title(self) -> str:
        """Its name for people."""
        return _SCHEMES[self].title

    @property
    def signs_texts(self) -> bool:
        """Whether it signs any text, or checkpoints alone."""
        return self is Algorithm.ED25519


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A verifier key. Raises VerificationError if the name or the key material can't be one.

    `name` is what `check_name` accepts; `raw` is the algorithm's encoding of the key: 32 bytes for
    Ed25519, 1312 for ML-DSA-44.
    """

    name: str
    algorithm: Algorithm
    raw: bytes

    def __post_init__(self) -> None:
        check_name(self.name)
        _SCHEMES[self.algorithm].check_key(self.raw)

    @classmethod
    def parse(cls, text: str) -> "PublicKey":
        """The key of a `name+ID+base64` text. VerificationError unless `encode` gives the same
        text."""
        name, *rest = text.split("+", 2)
        what = f"key {quoted(name)}"
        if len(rest) != 2:
            raise VerificationError(f"{what} is not of the form name+ID+base64")
        material = decode_base64(rest[1], what)
        if not material or material[0] not in _SCHEMES:
            raise VerificationError(
                f"{what} has an unsupported signature type",
                expected=", ".join(f"{algorithm:02x}" for algorithm in Algorithm),
                found=material[:1].hex() or "nothing",
            )
        key = cls(name, Algorithm(material[0]), material[1:])
        if rest[0] != key.key_id.hex():
            raise VerificationError(
                f"{what} has an ID that is not the hash of its name and key",
                expected=key.key_id.hex(),
                found=quoted(rest[0], 16),
            )
        return key

    def encode(self) -> str:
        """The `name+ID+base64` text (vkey)."""
        return f"{self.name}+{self.key_id.hex()}+{encode_base64(self._material())}"

    @property
    def label(self) -> str:
        """What a message calls it, `name+ID (algorithm)`: an ML-DSA-44 key's text has some 1,800
        characters. It tells apart the keys that one reader pinned, and pins none itself."""
        return f"{self.name}+{self.key_id.hex()} ({self.algorithm.title})"

    @property
    def key_id(self) -> bytes:
        """Its 4 bytes in a note, beside its name. Not a fingerprint: collisions are cheap."""
        return sha256(self.name.encode("utf-8") + b"\n" + self._material()).digest()[:KEY_ID_BYTES]

    def verify(self, text: str, signature: bytes) -> None:
        """Checks this key's `signature`, without key ID, over the text. Raises VerificationError,
        also if the key can't sign such a text; UnreadableError where the machine lacks its
        algorithm."""
        if not _SCHEMES[self.algorithm].verifies(self, text, signature):
            raise VerificationError(f"wrong signature by the key {self.label}")

    def _material(self) -> bytes:
        return bytes([self.algorithm]) + self.raw


class Signer(Protocol):
    """Who signs notes: a key in memory, or one that stays in a device."""

    @property
    def public_key(self) -> PublicKey: ...

    def sign(self, text: str) -> bytes:
        """The signature over the note text, without key ID. VerificationError for a text that such
        a key can't sign: see `Algorithm.signs_texts`."""
        ...


@dataclass(frozen=True, slots=True)
class SeedSigner(ABC):
    """A key made from a 32-byte secret seed; ValueError for another length.

    It can't be pickled: a checkpoint that holds it among a trainer's settings would leak the
    secret.
    """

    name: str
    seed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        check_name(self.name)
        if len(self.seed) != SEED_BYTES:
            raise ValueError(f"a key's seed has {SEED_BYTES} bytes, not {len(self.seed)}")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        """Raises UsageError, whose text holds no secret."""
        raise UsageError(
            f"the key {self.name} can't be pickled, since the pickle would hold its secret: give the path of the key's file instead"
        )

    @property
    @abstractmethod
    def public_key(self) -> PublicKey: ...

    @abstractmethod
    def sign(self, text: str) -> bytes:
        """As `Signer.sign`."""


class Ed25519Signer(SeedSigner):
    """An Ed25519 key (RFC 8032 section 5.1.5)."""

    __slots__ = ()

    @property
    def public_key(self) -> PublicKey:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        public = Ed25519PrivateKey.from_private_bytes(self.seed).public_key()
        return PublicKey(self.name, Algorithm.ED25519, public.public_bytes_raw())

    def sign(self, text: str) -> bytes:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(self.seed).sign(encode_utf8(text, "note text"))


class MlDsa44Signer(SeedSigner):
    """An ML-DSA-44 key (FIPS 204, algorithm 1, xi). It signs checkpoints alone."""

    __slots__ = ()

    @property
    def public_key(self) -> PublicKey:
        return PublicKey(self.name, Algorithm.ML_DSA_44, cosignature.public_key(self.seed))

    def sign(self, text: str) -> bytes:
        return cosignature.sign(self.seed, self.name, text)


def text_signers(signers: Iterable[Signer]) -> list[Signer]:
    """Those that sign any text, not checkpoints alone."""
    return [signer for signer in signers if signer.public_key.algorithm.signs_texts]


def parse_keys(text: str) -> tuple[PublicKey, ...]:
    """The keys of a text with one on each line, as in the file FILE.pub of a log key. Raises
    VerificationError if there is none, or something else."""
    lines = [key for line in text.split("\n") if (key := line.strip())]  # a copied line may end in a blank, or in CR
    if not lines:
        raise VerificationError("there is no key in an empty text")
    return tuple(PublicKey.parse(line) for line in lines)


def label_of(text: str) -> str:
    """The label of the key that a header names by this text; the text's beginning if its algorithm
    isn't known here."""
    try:
        return PublicKey.parse(text).label
    except VerificationError:
        return quoted(text)


def check_name(name: str) -> None:
    """Raises VerificationError unless `name` can name a key.

    A name has 1..`MAX_NAME_BYTES` bytes in UTF-8, and no white space, plus sign or control
    characters.
    """
    if not 0 < len(encode_utf8(name, "key name")) <= MAX_NAME_BYTES:
        raise VerificationError(
            "key name is empty or too long", expected=f"1 to {MAX_NAME_BYTES} bytes", found=quoted(name)
        )
    if "+" in name or has_control(name) or any(character.isspace() for character in name):
        raise VerificationError(f"key name {quoted(name)} has white space, a plus sign or a control character")


_P = 2**255 - 19  # the field of Curve25519
_ORDER_8_Y = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826  # d y^4 + 2 y^2 - 1 = 0
# The y of the eight points whose order divides 8, in the order 1, 2, 4, 8, 8 (x and -x share a y).
_SMALL_ORDER_Y = (1, _P - 1, 0, _ORDER_8_Y, _P - _ORDER_8_Y)


def _check_ed25519_key(raw: bytes) -> None:
    if len(raw) != 32:
        raise VerificationError("Ed25519 key has the wrong length", expected="32 bytes", found=str(len(raw)))
    y = int.from_bytes(raw, "little") & (2**255 - 1)  # the highest bit is the sign of x
    if y >= _P or y in _SMALL_ORDER_Y:
        raise VerificationError(f"Ed25519 key {raw.hex()} is not canonical, or is of small order; make a new one")


def _verifies_ed25519(key: PublicKey, text: str, signature: bytes) -> bool:
    # Imported here and above, not at the top, so that zk-verify --help doesn't wait for it.
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(key.raw).verify(signature, encode_utf8(text, "note text"))
    except InvalidSignature:
        return False
    return True


_BIT_6 = sum(1 << 10 * i + 6 for i in range(1024))  # of each of t1's 4 * 256 coefficients, of 10 bits
_FAR = 512


def _check_ml_dsa_44_key(raw: bytes) -> None:
    if len(raw) != cosignature.KEY_BYTES:  # all of that length are encodings of a key (FIPS 204, algorithm 23)
        raise VerificationError(
            "ML-DSA-44 key has the wrong length", expected=f"{cosignature.KEY_BYTES} bytes", found=str(len(raw))
        )
    # With z = 0 the commitment is the high bits of challenge * t1 * 2^13 modulo q. They are the
    # same for nearly all challenges where t1 is near 0, as 1023 is (1023 * 2^13 = q - 1), or near
    # q/2, as 512 is: a challenge has 39 terms, an odd number. Near is a quarter of the way to the
    # middle between the two: the bits 8, 7 and 6 are equal. A quarter of an honest key's
    # coefficients are near; that more than half of them are has a probability of 2^-218.
    t1 = int.from_bytes(raw[cosignature.RHO_BYTES :], "little")
    if (((t1 ^ t1 >> 1) | (t1 ^ t1 >> 2)) & _BIT_6).bit_count() < _FAR:
        raise VerificationError("ML-DSA-44 key has a t1 so regular that anybody could sign for it; make a new one")


def _verifies_ml_dsa_44(key: PublicKey, text: str, signature: bytes) -> bool:
    return cosignature.verifies(key.raw, key.name, text, signature)


class _Scheme(NamedTuple):
    title: str
    check_key: Callable[[bytes], None]
    verifies: Callable[[PublicKey, str, bytes], bool]


_SCHEMES = {
    Algorithm.ED25519: _Scheme("Ed25519", _check_ed25519_key, _verifies_ed25519),
    Algorithm.ML_DSA_44: _Scheme("ML-DSA-44", _check_ml_dsa_44_key, _verifies_ml_dsa_44),
}
