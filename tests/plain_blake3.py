"""BLAKE3 in plain Python, for short messages: what a test computes from the documents alone.

Source: the BLAKE3 paper (https://github.com/BLAKE3-team/BLAKE3-specs), sections 2.1 to 2.6.
"""

import struct
from collections.abc import Sequence

_START = (
    0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19,
)  # fmt: skip
_ORDER = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
_LANES = (
    (0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15), (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14),
)  # fmt: skip
_CHUNK_START, _CHUNK_END, _PARENT, _ROOT, _KEYED, _CONTEXT, _MATERIAL = (1 << i for i in range(7))
_CHUNK, _BLOCK = 1024, 64

Node = tuple[Sequence[int], Sequence[int], int, int, int]
"""Chaining value, message, counter, length of the block and flags of a compression."""


def blake3(data: bytes, length: int = 32, key: bytes | None = None) -> bytes:
    """The first `length` bytes of the hash of `data`, keyed if there is a `key` of 32 bytes."""
    return _hash(data, length, key, 0 if key is None else _KEYED)


def derive_key(context: str, material: bytes) -> bytes:
    """The key derivation mode's 32 bytes."""
    return _hash(material, 32, _hash(context.encode(), 32, None, _CONTEXT), _MATERIAL)


def _hash(data: bytes, length: int, key: bytes | None, flags: int) -> bytes:
    value = _START if key is None else struct.unpack("<8I", key)
    start, message, _, size, kind = _node(data, 0, value, flags)
    output = (
        struct.pack("<16I", *_compress((start, message, i, size, kind | _ROOT))) for i in range(-(-length // _BLOCK))
    )
    return b"".join(output)[:length]


def _node(data: bytes, first: int, key: Sequence[int], flags: int) -> Node:
    """The last compression over the chunks of `data`, of which the first has this number."""
    if len(data) <= _CHUNK:
        value, blocks = key, [data[i : i + _BLOCK] for i in range(0, len(data), _BLOCK)] or [b""]
        for i, block in enumerate(blocks):
            kind = flags | (_CHUNK_START if i == 0 else 0) | (_CHUNK_END if i == len(blocks) - 1 else 0)
            node = (value, struct.unpack("<16I", block.ljust(_BLOCK, b"\0")), first, len(block), kind)
            value = _compress(node)[:8]
        return node
    left = _CHUNK << ((len(data) - 1) // _CHUNK).bit_length() - 1
    parts = _node(data[:left], first, key, flags), _node(data[left:], first + left // _CHUNK, key, flags)
    return key, [word for part in parts for word in _compress(part)[:8]], 0, _BLOCK, flags | _PARENT


def _compress(node: Node) -> list[int]:
    value, message, counter, length, flags = node
    v = [*value, *_START[:4], counter & 0xFFFFFFFF, counter >> 32, length, flags]
    for _ in range(7):
        for lane, (a, b, c, d) in enumerate(_LANES):
            for word, turn in ((message[2 * lane], (16, 12)), (message[2 * lane + 1], (8, 7))):
                v[a] = (v[a] + v[b] + word) & 0xFFFFFFFF
                v[d] = _turned(v[d] ^ v[a], turn[0])
                v[c] = (v[c] + v[d]) & 0xFFFFFFFF
                v[b] = _turned(v[b] ^ v[c], turn[1])
        message = [message[i] for i in _ORDER]
    return [v[i] ^ v[i + 8] for i in range(8)] + [v[i + 8] ^ value[i] for i in range(8)]


def _turned(word: int, bits: int) -> int:
    return (word >> bits | word << 32 - bits) & 0xFFFFFFFF
