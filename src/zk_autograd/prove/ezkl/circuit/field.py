"""The scalar field of BN254, and EZKL's text form of its elements.

EZKL writes a field element as 64 hexadecimal digits, little-endian, without `0x`.
"""

from zk_autograd.core.errors import VerificationError

MODULUS = 0x30644E72E131A029B85045B68181585D2833E84879B9709143E1F593F0000001
"""Order of BN254's groups (EIP-196)."""


def to_hex(value: int) -> str:
    """`value` modulo the field's order, as EZKL writes it."""
    return (value % MODULUS).to_bytes(32, "little").hex()


def from_hex(text: str) -> int:
    """The element that `text` writes; VerificationError unless it is 64 lower-case digits of a
    value below the order."""
    if len(text) != 64 or text.strip("0123456789abcdef"):
        raise VerificationError("a field element is not 64 lower-case hexadecimal digits", found=text[:80])
    value = int.from_bytes(bytes.fromhex(text), "little")
    if value >= MODULUS:
        raise VerificationError("a field element is not canonical: it is not below the field's order", found=text)
    return value


def inverse(value: int) -> int:
    """The multiplicative inverse of a non-zero element."""
    return pow(value, -1, MODULUS)


def centred(value: int) -> int:
    """The representative of an element in (-p/2, p/2], for messages."""
    value %= MODULUS
    return value - MODULUS if value > MODULUS // 2 else value
