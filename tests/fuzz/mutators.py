"""Inputs that are nearly right: a valid one, with a field, a line, a token or a byte changed, and
what a careful attacker would bring into agreement again.

Each mutator takes the generator, one input, and another to take parts from.
"""

import json
import string
import zlib
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

pytest.importorskip("cbor2", reason="the package cbor2 is not installed: [tee]")

import cbor2

from zk_autograd.core import der
from zk_autograd.core.errors import VerificationError
from zk_autograd.evidence.bundle import BLOCK

Mutator = Callable[[Random, bytes, bytes], bytes]

NUMBERS: tuple[Any, ...] = (
    0,
    1,
    -1,
    2,
    127,
    2**16,
    2**31,
    2**32,
    2**53 - 1,
    2**53,
    -(2**53),
    2**63,
    2**64,
    10**400,
    1.0,
    0.5,
    -0.0,
)
TEXTS = (
    "",
    "0",
    "00",
    "-1",
    "1e999",
    "1e-999",
    "nan",
    "W",
    "none",
    "a\u0301",
    "\u202e",
    "\ud800",
    "\x00",
    "\n",
    "x" * 5000,
    "../x",
    "9" * 5000,
)
TOKENS = (
    b"\n", b"\n\n", b"\r\n", b" ", b"\t", b"\x00", b"=", b"==", b"+", b"\xe2\x80\x94 ", b"\xef\xbb\xbf", b"\xc2\x85", b"\xff",
    b"/", b".", b"..", b"#", b'"', b"'''", b'"""', b"[", b"]", b"[[", b"{", b"}", b":", b",", b"\\u0000", b"\\ud800", b"1_0", b"0x1",
    b"inf", b"nan", b"1e999999999", b"none", b"any", b"all", b"quorum ", b"group ", b"witness ", b"log ", b"prefix ", b"null", b"true",
)  # fmt: skip
CBOR_KEYS = (0, 1, 2, 8, 31, 32, -1, True, 1.0, None, b"", "", "pcrs", "nitrotpm_pcrs", "nonce", 2**64 - 1)


def as_bytes(random: Random, data: bytes, other: bytes) -> bytes:
    """Bits, bytes, pieces: what knows no form."""
    kind, place = random.randrange(7), random.randrange(len(data) + 1)
    length = random.choice((1, 2, 4, 8, 32, 600))
    if kind == 0 and data:
        place %= len(data)
        return data[:place] + bytes([data[place] ^ 1 << random.randrange(8)]) + data[place + 1 :]
    if kind == 1:
        return data[:place] + data[place + length :]
    if kind == 2:
        return data[:place] + data[place : place + length] * random.choice((2, 3, 20)) + data[place + length :]
    if kind == 3:
        start = random.randrange(len(other) + 1)
        return data[:place] + other[start : start + length] + data[place + length * random.randrange(2) :]
    if kind == 4:
        return data[:place] + random.choice(TOKENS) + data[place:]
    if kind == 5:
        return data[:place] + other[random.randrange(len(other) + 1) :]
    return data[:place] + random.randbytes(length) + data[place + length :]


def as_lines(random: Random, data: bytes, other: bytes) -> bytes:
    """Lines and their words: notes, keys, TOML, policies of logs."""
    lines, others = data.split(b"\n"), other.split(b"\n")
    at, to, kind = random.randrange(len(lines)), random.randrange(len(lines)), random.randrange(8)
    if kind == 0:
        del lines[at]
    elif kind == 1:
        lines.insert(to, lines[at])
    elif kind == 2:
        lines[at], lines[to] = lines[to], lines[at]
    elif kind == 3:
        lines.insert(at, random.choice(others))
    elif kind == 4:
        lines[at] = random.choice(others)
    elif kind == 5:
        words = lines[at].split(b" ")
        words[random.randrange(len(words))] = random.choice((*TOKENS, *random.choice(others).split(b" ")))
        lines[at] = b" ".join(words)
    elif kind == 6:
        lines[at] = _of_base64(random, lines[at])
    else:
        lines[at] = as_bytes(random, lines[at], lines[to])
    return b"\n".join(lines)


def as_json(random: Random, data: bytes, other: bytes) -> bytes:
    """One value of a JSON text, or its form."""
    try:
        value, spare = json.loads(data), json.loads(other)
    except (ValueError, RecursionError):
        return as_bytes(random, data, other)
    try:
        value = _edited(random, value, spare)
        if random.randrange(8) == 0:  # a form of its own
            text = json.dumps(value, indent=random.choice((None, 1)), ensure_ascii=random.random() < 0.5)
        else:
            text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        encoded = text.encode("utf-8", "surrogatepass")
    except (RecursionError, ValueError, TypeError):
        return as_bytes(random, data, other)
    if random.randrange(10) == 0 and encoded.startswith(b"{") and len(encoded) > 2:  # a name twice
        first = encoded[1:].split(b",")[0].rstrip(b"}")
        encoded = b"{" + first + b"," + encoded[1:]
    return encoded


def as_records(random: Random, data: bytes, other: bytes) -> bytes:
    """A log: records as lines, in order or not, one of them edited."""
    if random.randrange(4) == 0:
        return as_lines(random, data, other)
    lines, others = data.split(b"\n"), other.split(b"\n")
    at = random.randrange(len(lines))
    lines[at] = as_json(random, lines[at], random.choice(others))
    return b"\n".join(lines)


def as_headed(begin: bytes, length_bytes: int) -> Mutator:
    """Of a file that begins with a line, the length of a JSON text (big-endian) and the text: the
    text, its length made to match, or not; or what follows."""

    def mutated(random: Random, data: bytes, other: bytes) -> bytes:
        start = len(begin) + length_bytes
        size, spare = (int.from_bytes(one[len(begin) : start], "big") for one in (data, other))
        if random.randrange(3) == 0 or start + size > len(data):
            return as_bytes(random, data, other)
        head = as_json(random, data[start : start + size], other[start : start + spare])
        said = len(head) if random.randrange(4) else random.choice((0, size, 2 ** (8 * length_bytes) - 1))
        return begin + said.to_bytes(length_bytes, "big") + head + data[start + size :]

    return mutated


def as_safetensors(random: Random, data: bytes, other: bytes) -> bytes:
    """The header of a file of tensors, its length in front made to match, or not; or the values."""
    size = int.from_bytes(data[:8], "little")
    if random.randrange(3) == 0 or size > len(data):
        return as_bytes(random, data, other)
    length = int.from_bytes(other[:8], "little")
    header = as_json(random, data[8 : 8 + size], other[8 : 8 + length])
    header += b" " * random.choice((0, 0, -len(header) % 8))
    front = len(header) if random.randrange(8) else random.choice((0, 2**63, 2**64 - 1, len(header) - 1, len(data)))
    return front.to_bytes(8, "little") + header + data[8 + size :]


def as_bundle(random: Random, data: bytes, other: bytes) -> bytes:
    """A field of a header block, with its checksum made to match; or blocks."""
    blocks = [data[i : i + BLOCK] for i in range(0, len(data), BLOCK)]
    spare = [other[i : i + BLOCK] for i in range(0, len(other), BLOCK)]
    if not blocks or not spare or random.randrange(4) == 0:
        return as_bytes(random, data, other)
    at, to, kind = random.randrange(len(blocks)), random.randrange(len(blocks)), random.randrange(4)
    if kind == 0:
        blocks[at], blocks[to] = blocks[to], blocks[at]
    elif kind == 1:
        blocks.insert(at, random.choice(spare))
    elif kind == 2:
        del blocks[at]
    else:
        heads = [i for i, block in enumerate(blocks) if block[257:262] == b"ustar"]
        if heads:
            at = random.choice(heads)
            start, stop = random.choice(
                (
                    (0, 100),
                    (100, 108),
                    (108, 124),
                    (124, 136),
                    (136, 148),
                    (156, 157),
                    (157, 257),
                    (257, 265),
                    (345, 500),
                )
            )
            block = bytearray(blocks[at])
            field = bytes(block[start:stop])
            block[start:stop] = as_bytes(random, field, random.choice(TOKENS))[: stop - start].ljust(
                stop - start, b"\0"
            )
            if len(block) == BLOCK:
                block[148:156] = b" " * 8
                block[148:156] = b"%06o\0 " % sum(block)
            blocks[at] = bytes(block)
    return b"".join(blocks)


def _edited(random: Random, value: Any, spare: Any) -> Any:
    """The value with one change somewhere in it."""
    if isinstance(value, dict) and value and random.randrange(8):
        name = random.choice(list(value))
        return {**value, name: _edited(random, value[name], spare)}
    if isinstance(value, list) and value and random.randrange(8):
        at = random.randrange(len(value))
        return [*value[:at], _edited(random, value[at], spare), *value[at + 1 :]]
    if isinstance(value, dict):
        return _other_object(random, value, spare)
    if isinstance(value, list):
        return random.choice((value[1:], value + value, [*value, spare], [[]] * 200, value[::-1], spare))
    if isinstance(value, str):
        return _other_text(random, value)
    if isinstance(value, bool) or not isinstance(value, int):
        return random.choice((None, True, False, 0, "", [], {}))
    return random.choice(
        (value + 1, value - 1, -value, str(value), float(value) if abs(value) < 2**60 else 0.5, *NUMBERS)
    )


def _other_object(random: Random, value: dict[str, Any], spare: Any) -> Any:
    changed = dict(value)
    kind = random.randrange(4)
    if kind == 0 and changed:
        del changed[random.choice(list(changed))]
    elif kind == 1:
        changed[random.choice(TEXTS)] = spare
    elif kind == 2 and isinstance(spare, dict) and spare:
        name = random.choice(list(spare))
        changed[name] = spare[name]
    else:
        for _ in range(random.choice((3, 70, 2000))):
            spare = [spare]
        return spare
    return changed


def _other_text(random: Random, value: str) -> str:
    place = random.randrange(len(value) + 1)
    return random.choice(
        (
            random.choice(TEXTS),
            value[:place] + random.choice(string.printable) + value[place + 1 :],
            value[:place] + value[place + 2 :],
            value.upper(),
            value + value,
            value[:place] + random.choice(TEXTS)[:50] + value[place:],
        )
    )


def _of_base64(random: Random, line: bytes) -> bytes:
    """A looser spelling of what ends the line, or other bits at its end."""
    end = random.choice(
        (line.rstrip(b"="), line + b"=", line.replace(b"+", b"-"), line[:-2] + b"h=", line[:-2] + b"9A")
    )
    return bytes(end)


def as_cbor(random: Random, data: bytes, other: bytes) -> bytes:
    """One value of what CBOR says, in the byte strings that hold CBOR too, or its form."""
    if random.randrange(4) == 0:
        return as_bytes(random, data, other)
    try:
        return bytes(cbor2.dumps(_edited_cbor(random, cbor2.loads(data), cbor2.loads(other))))
    except Exception:  # it isn't CBOR any more, or nothing that can be written
        return as_bytes(random, data, other)


def _edited_cbor(random: Random, value: Any, spare: Any) -> Any:
    if isinstance(value, dict) and value and random.randrange(8):
        name = random.choice(list(value))
        if random.randrange(8) == 0:  # under another number, or another name
            return {**{key: held for key, held in value.items() if key != name}, random.choice(CBOR_KEYS): value[name]}
        return {**value, name: _edited_cbor(random, value[name], spare)}
    if isinstance(value, list) and value and random.randrange(8):
        at = random.randrange(len(value))
        return [*value[:at], _edited_cbor(random, value[at], spare), *value[at + 1 :]]
    if not isinstance(value, bytes):
        return _edited(random, value, spare)
    if value[:1] in (b"\xa1", b"\xa9", b"\xbf") and random.randrange(4):
        return cbor2.dumps(_edited_cbor(random, cbor2.loads(value), spare))
    return random.choice((None, b"", bytes(len(value)), value[:-1], value + b"\x00", as_bytes(random, value, value)))


def as_der(random: Random, data: bytes, other: bytes) -> bytes:
    """A DER structure with elements changed, left out, repeated or moved; lengths stay right."""

    def changed(element: der.Element) -> bytes:
        tag = element.tag if random.random() > 0.002 else random.choice([0x02, 0x04, 0x06, 0x30, 0x31, 0xA0, 0xA1])
        try:
            parts = [changed(item) for item in element.items()]
        except VerificationError:
            content = bytearray(element.content)
            if content and random.random() < 0.02:
                content[random.randrange(len(content))] ^= 1 << random.randrange(8)
            if random.random() < 0.003:
                del content[random.randrange(len(content) + 1) :]
            return der.encode(tag, bytes(content))
        choice = random.random()
        if parts and choice < 0.004:
            parts.pop(random.randrange(len(parts)))
        elif parts and choice < 0.008:
            parts.append(random.choice(parts))
        elif choice < 0.012:
            random.shuffle(parts)
        return der.encode(tag, *parts)

    try:
        found = der.elements(random.choice([data, data, data, other]))
    except VerificationError:
        return data
    return b"".join(changed(element) for element in found)


def as_eif(random: Random, data: bytes, other: bytes) -> bytes:
    """An enclave image with a field of its headers or a byte changed, or a section left out,
    repeated or moved; its CRC is right."""
    found = bytearray(random.choice([data, data, other]))
    if len(found) < 560:
        return bytes(found)
    for _ in range(random.randrange(1, 4)):
        size = random.choice([2, 8])
        place = random.choice([4, 6, 24, 26, *range(28, 100, 8), *range(284, 350, 8), random.randrange(len(found) - 8)])
        number = random.choice([*NUMBERS[:13], random.randrange(2**16)])
        if random.random() < 0.6:
            found[place : place + size] = (int(number) % 2 ** (8 * size)).to_bytes(size, "big")
        else:
            place = random.randrange(548, len(found))
            found[place] ^= 1 << random.randrange(8)
    if random.random() < 0.1:
        del found[random.randrange(560, len(found) + 1) :]
    crc = zlib.crc32(found[548:], zlib.crc32(found[:544]))
    found[544:548] = crc.to_bytes(4, "big")
    return bytes(found)
