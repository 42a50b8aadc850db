"""What a proving key says of its circuit: which cells are copies of each other, and what the fixed
columns hold.

halo2 keeps copies as a permutation of the cells: the key holds, for column i and row j, the name
delta^i' * omega^j' of the cell that (i, j) is sent to, and a cycle of the permutation is a set of
cells that must be equal. The files are halo2's (zkonduit/halo2, halo2_proofs/src/plonk.rs,
ProvingKey::write, SerdeFormat::RawBytes): the verifying key, three polynomials, then slices of
polynomials; lengths are 32 bits, big-endian, field elements 32 bytes in Montgomery form,
little-endian. A key whose selectors were not compressed has one fixed column for each.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from zk_autograd.prove.ezkl.circuit.field import MODULUS, inverse
from zk_autograd.prove.ezkl.circuit.relations import LOGROWS

ROWS: int = 2**LOGROWS
_TWO_ADICITY = 28
_GENERATOR = 7
_MONTGOMERY = 2**256 % MODULUS
_OMEGA: int = pow(_GENERATOR, (MODULUS - 1) >> LOGROWS, MODULUS)
_DELTA: int = pow(_GENERATOR, 2**_TWO_ADICITY, MODULUS)


@dataclass(frozen=True)
class ProvingKey:
    """`copies[i * ROWS + j]` is the number of the set of equal cells that the cell in row j of
    permuted column i belongs to; `fixed[i][j]` the value of row j of fixed column i."""

    copies: list[int]
    fixed: list[list[int]]

    def cell(self, column: int, row: int) -> int:
        """The set that a cell belongs to."""
        return self.copies[column * ROWS + row]


def read(key: Path, verifying_key: Path) -> ProvingKey:
    """Reads a key file; the verifying key in front of it is as long as its own file. ValueError if
    it isn't such a file."""
    with key.open("rb") as file:
        file.seek(verifying_key.stat().st_size)
        for _ in range(3):
            _skip(file)
        fixed = _slice(file)
        for _ in range(2):
            _skip_slice(file)
        permutation = _slice(file)
        for _ in range(2):
            _skip_slice(file)
        if file.read(1):
            raise ValueError("the key is longer than a key of this kind")
    unit = inverse(_MONTGOMERY)
    values = [[_element(column, j) * unit % MODULUS for j in range(ROWS)] for column in fixed]
    return ProvingKey(_cycles(permutation), values)


def _cycles(permutation: list[bytes]) -> list[int]:
    names: dict[bytes, int] = {}
    shift = _MONTGOMERY
    for column in range(len(permutation)):
        power = shift
        for row in range(ROWS):
            names[power.to_bytes(32, "little")] = column * ROWS + row
            power = power * _OMEGA % MODULUS
        shift = shift * _DELTA % MODULUS
    image = [names[column[32 * j : 32 * j + 32]] for column in permutation for j in range(ROWS)]
    sets = [-1] * len(image)
    for start in range(len(image)):
        cell = start
        while sets[cell] < 0:
            sets[cell] = start
            cell = image[cell]
    return sets


def _element(column: bytes, row: int) -> int:
    return int.from_bytes(column[32 * row : 32 * row + 32], "little")


def _length(file: BinaryIO) -> int:
    (length,) = struct.unpack(">I", file.read(4))
    return int(length)


def _skip(file: BinaryIO) -> None:
    file.seek(32 * _length(file), 1)


def _slice(file: BinaryIO) -> list[bytes]:
    count = _length(file)
    file.seek(4 * count, 1)
    return [file.read(32 * _length(file)) for _ in range(count)]


def _skip_slice(file: BinaryIO) -> None:
    count = _length(file)
    file.seek(4 * count, 1)
    for _ in range(count):
        _skip(file)
