"""What of a TPM 2.0 stands in a receipt, byte for byte: its key, its counter, and what it signs.

Source: TPM 2.0 Library, part 2: TPMT_PUBLIC (12.2.4), TPMS_NV_PUBLIC (13.5), TPMS_ATTEST (10.12.12)
with TPMS_NV_CERTIFY_INFO (10.12.8). A name is the identifier of SHA-256, 000b, and the SHA-256 of
the public area (part 1, section 16): so the name of a key says what the key may do, and that of a
counter where it lies, that it is a counter, and that it was counted with.

Both public areas are fixed here but for the key's point and the counter's place, which the register
decides: a trainer can't have a second counter for the same register in the same TPM.
"""

import struct
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from zk_autograd.core.errors import VerificationError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

NAME_BYTES = 34
COUNTER_BYTES = 8
MAX_STATEMENT = 512
"""Bytes of a signed statement."""

KEY_TEMPLATE = bytes.fromhex("0023000b00050072000000100018000b00030010")
"""ECC, names by SHA-256, fixedTPM | fixedParent | sensitiveDataOrigin | userWithAuth | restricted |
sign, no policy, no symmetric cipher, ECDSA with SHA-256, P-256, no derivation of keys; its point
follows. Restricted: it signs what this TPM says of itself, and nothing that is handed to it."""

_POINT = struct.Struct(">H32sH32s")
_FIRST_PLACE, _PLACES = 0x01800000, 2**22
"""Where the owner's NV indexes lie (TCG, Registry of Reserved TPM 2.0 Handles and Localities)."""
_ATTRIBUTES, _WRITTEN = 0x02020012, 0x20000000
"""Written and read by the owner, a counter (TPM_NT_COUNTER), without dictionary-attack lockout."""
_SHA256 = 0x000B
_GENERATED, _NV = b"\xffTCG", 0x8014


def name_of(public: bytes) -> bytes:
    """The name of a key or an index: of its public area."""
    return struct.pack(">H", _SHA256) + sha256(public).digest()


def place_of(origin: str) -> int:
    """The NV index of the counter of the register of this origin."""
    return _FIRST_PLACE | int.from_bytes(sha256(origin.encode("utf-8")).digest()[:4], "big") % _PLACES


def counter_public(origin: str, *, written: bool = True) -> bytes:
    """The public area (TPMS_NV_PUBLIC) of that counter; `written`: it was counted with."""
    attributes = _ATTRIBUTES | (_WRITTEN if written else 0)
    return struct.pack(">IHIHH", place_of(origin), _SHA256, attributes, 0, COUNTER_BYTES)


def key_of(public: bytes) -> "EllipticCurvePublicKey":
    """The key of a TPMT_PUBLIC. VerificationError unless it is that of an attestation key as it is
    made here."""
    from cryptography.hazmat.primitives.asymmetric import ec

    rest = public.removeprefix(KEY_TEMPLATE)
    if len(rest) == len(public) or len(rest) != _POINT.size:
        raise VerificationError("the key is not a TPM's attestation key of P-256: restricted, and fixed to its TPM")
    x_size, x, y_size, y = _POINT.unpack(rest)
    try:
        if x_size != 32 or y_size != 32:
            raise ValueError
        numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), ec.SECP256R1())
        return numbers.public_key()
    except ValueError as error:
        raise VerificationError("the TPM's key is no point of P-256") from error


@dataclass(frozen=True, slots=True)
class Statement:
    """What a TPM says of a counter (TPM2_NV_Certify): `signer`: the qualified name of its key;
    `extra`: what it was asked to sign along; `index`: the counter's name; `offset` and `contents`:
    the bytes of it."""

    signer: bytes
    extra: bytes
    index: bytes
    offset: int
    contents: bytes

    @classmethod
    def parse(cls, data: bytes) -> "Statement":
        """VerificationError unless it is exactly such a TPMS_ATTEST."""
        reader = _Reader(data)
        if reader.take(4) != _GENERATED or reader.number(2) != _NV:
            raise VerificationError("the TPM's statement is not one about an NV index that the TPM made itself")
        signer, extra = reader.sized(), reader.sized()
        reader.take(17 + 8)  # its clock and the version of its firmware
        statement = cls(signer, extra, reader.sized(), reader.number(2), reader.sized())
        reader.end()
        return statement


class _Reader:
    """Big-endian fields, one after the other."""

    def __init__(self, data: bytes) -> None:
        self._rest = data

    def take(self, size: int) -> bytes:
        if len(self._rest) < size:
            raise VerificationError("the TPM's statement ends early")
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def sized(self) -> bytes:
        """The bytes of a TPM2B."""
        return self.take(self.number(2))

    def end(self) -> None:
        if self._rest:
            raise VerificationError("bytes follow the TPM's statement")
