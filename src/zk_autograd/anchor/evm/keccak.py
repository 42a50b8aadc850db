"""Keccak-256, Ethereum's hash (Yellow Paper, section 3): SHA3-256 but for its padding."""

from importlib.util import find_spec


def keccak256(data: bytes) -> bytes:
    """32 bytes. ImportError without the package pycryptodome."""
    from Crypto.Hash import keccak

    return keccak.new(digest_bits=256, data=data).digest()


def available() -> bool:
    """Whether the package is there."""
    return find_spec("Crypto") is not None
