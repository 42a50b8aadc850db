"""BER, before anything parses it: one value, within bounds, and nothing after it.

A parser of BER recurses where values nest, and joins fragments; what it may be given is decided
here, by one pass that does neither.
"""

from zk_autograd.vault.errors import VaultError

MAX_DEPTH = 16
"""Of values in values. An answer of AWS KMS has 11."""

MAX_VALUES = 96
"""Of all values. An answer of AWS KMS has 35."""

_CONSTRUCTED = 0x20
_HIGH_TAG = 0x1F
_MOST_LENGTH_BYTES = 3


def require_bounded(data: bytes, what: str) -> None:
    """VaultError unless `data`, called `what`, is one BER value (X.690) to its last byte, of at
    most `MAX_VALUES` values, nested at most `MAX_DEPTH` deep."""
    ends: list[int | None] = []  # where each open value ends; None: at its end-of-contents
    place = values = 0
    while True:
        if ends and ends[-1] is None and data[place : place + 2] == b"\x00\x00":
            ends.pop()
            place += 2
        elif not ends or ends[-1] != place:
            constructed, length, place = _header(data, place, what)
            values += 1
            if values > MAX_VALUES:
                raise VaultError(f"{what} has more than {MAX_VALUES} parts, as nothing that AWS KMS makes")
            end = None if length is None else place + length
            if end is not None and end > _inner(ends, len(data)):
                raise VaultError(f"{what} has a length beyond its end")
            if constructed:
                ends.append(end)
                if len(ends) > MAX_DEPTH:
                    raise VaultError(f"{what} nests deeper than {MAX_DEPTH}, as nothing that AWS KMS makes")
            elif end is not None:
                place = end
        while ends and ends[-1] == place:
            ends.pop()
        if not ends:
            break
    if place != len(data):
        raise VaultError(f"{what} has {len(data) - place} bytes after its end")


def _inner(ends: list[int | None], size: int) -> int:
    """Where the innermost value of known length ends."""
    return next((end for end in reversed(ends) if end is not None), size)


def _header(data: bytes, place: int, what: str) -> tuple[bool, int | None, int]:
    """Whether the value at `place` is constructed, its length (None: indefinite), and where its
    content begins."""
    header = data[place : place + 2 + _MOST_LENGTH_BYTES]
    if len(header) < 2:
        raise VaultError(f"{what} ends early")
    constructed = bool(header[0] & _CONSTRUCTED)
    if header[0] & _HIGH_TAG == _HIGH_TAG or header[0] == 0:
        raise VaultError(f"{what} has a tag that AWS KMS never uses")
    if header[1] < 0x80:
        return constructed, header[1], place + 2
    if header[1] == 0x80:
        if not constructed:
            raise VaultError(f"{what} has a value without parts and without a length")
        return True, None, place + 2
    count = header[1] & 0x7F
    if count > _MOST_LENGTH_BYTES:
        raise VaultError(f"{what} has a length of {count} bytes")
    if len(header) < 2 + count:
        raise VaultError(f"{what} ends early")
    return constructed, int.from_bytes(header[2 : 2 + count], "big"), place + 2 + count
