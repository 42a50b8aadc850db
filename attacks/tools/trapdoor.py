"""An SRS whose maker keeps the secret, and what the secret is good for: a commitment that opens to
anything.

An SRS holds the points tau^i * G and L_i(tau) * G for i < 2^k, with L_i the Lagrange basis over the
2^k-th roots of unity. A commitment to a column of values v_i is the point (sum v_i * L_i(tau)) * G.
Whoever knows tau knows all L_i(tau): they change any values and repair the sum with one salt. The
file is the one that EZKL reads (halo2, `ParamsKZG` as raw bytes): the logarithm of the rows, the
powers, the Lagrange basis, the generator of G2 and tau times it; coordinates in Montgomery form, 32
bytes little-endian.

Here tau is 2, which makes the powers a chain of doublings. A real attacker draws it at random, and
nobody can tell.
"""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from zk_autograd.prove.ezkl.circuit.field import MODULUS, inverse
from zk_autograd.prove.ezkl.circuit.relations import LOGROWS, SALTS

TAU = 2
ROWS = 2**LOGROWS
ROOT = pow(7, (MODULUS - 1) // ROWS, MODULUS)
"""A primitive 2^k-th root of unity: 7 generates the field's units, as in halo2curves."""

P = 0x30644E72E131A029B85045B68181585D97816A916871CA8D3C208C16D87CFD47
"""The order of BN254's base field (EIP-196)."""
G1 = (1, 2)
G2 = (
    (
        0x1800DEEF121F1E76426A00665E5C4479674322D4F75EDADD46DEBD5CD992F6ED,
        0x198E9393920D483A7260BFB731FB5D25F1AA493335A9E71297E485B7AEF312C2,
    ),
    (
        0x12C85EA5DB8C6DEB4AAB71808DCB408FE3D1E7690C43D37B4CE6CC0166FA7DAA,
        0x090689D0585FF075EC9E99AD690C3395BC4B313370B38EF355ACDADCD122975B,
    ),
)
"""EIP-197's generator; each coordinate is (c0, c1) for c0 + c1*i with i^2 = -1."""

_WINDOW = 12
Point = tuple[int, int]
Fp2 = tuple[int, int]


def lagrange_at_tau() -> list[int]:
    """L_i(tau) for all rows: root^i * (tau^n - 1) / (n * (tau - root^i)), as field elements."""
    factor = (pow(TAU, ROWS, MODULUS) - 1) * inverse(ROWS) % MODULUS
    roots = [1]
    for _ in range(ROWS - 1):
        roots.append(roots[-1] * ROOT % MODULUS)
    inverses = _inverses([(TAU - root) % MODULUS for root in roots], MODULUS)
    return [root * factor * i % MODULUS for root, i in zip(roots, inverses, strict=True)]


def repaired(values: Sequence[int], salt: bytes, wanted: Sequence[int]) -> bytes:
    """The salt that gives `wanted` the commitment of `values` with `salt`; both are as long."""
    weights = lagrange_at_tau()[: len(values) + SALTS]
    elements = [int.from_bytes(salt[32 * i : 32 * i + 32], "little") for i in range(SALTS)]
    missing = sum((v - w) * weight for v, w, weight in zip(values, wanted, weights[: len(values)], strict=True))
    elements[-1] = (elements[-1] + missing * inverse(weights[-1])) % MODULUS
    return b"".join(element.to_bytes(32, "little") for element in elements)


def write_srs(path: Path) -> bytes:
    """Writes the SRS, about ten seconds of work, and returns its digest."""
    powers = [G1]
    for _ in range(ROWS - 1):
        powers.append(_double(powers[-1]))
    parts = [LOGROWS.to_bytes(4, "little")]
    parts += [_raw(x) + _raw(y) for x, y in powers]
    parts += [_raw(x) + _raw(y) for x, y in _multiples(lagrange_at_tau())]
    parts += [_raw(c) for point in (G2, _double_in_g2(*G2)) for coordinate in point for c in coordinate]
    data = b"".join(parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return sha256(data).digest()


def _raw(coordinate: int) -> bytes:
    return (coordinate * 2**256 % P).to_bytes(32, "little")


def _multiples(scalars: Sequence[int]) -> list[Point]:
    """scalar * G1 for each, window by window, with one inversion for all additions of a window."""
    sums: list[Point | None] = [None] * len(scalars)
    base = G1
    for start in range(0, MODULUS.bit_length(), _WINDOW):
        table: list[Point | None] = [None, base]
        base = _double(base)
        while len(table) < 2**_WINDOW:  # base is len(table) times the window's first point
            table += [base, *_added([base] * (len(table) - 1), table[1:])]
            base = _double(base)
        digits = [scalar >> start & (2**_WINDOW - 1) for scalar in scalars]
        sums = _added(sums, [table[digit] for digit in digits])
    return [point for point in sums if point is not None]


def _added(left: Sequence[Point | None], right: Sequence[Point | None]) -> list[Point | None]:
    """Sums of points with different x; None is the neutral element."""
    pairs = [(i, a, b) for i, (a, b) in enumerate(zip(left, right, strict=True)) if a is not None and b is not None]
    out = [b if a is None else a for a, b in zip(left, right, strict=True)]
    for (i, (x1, y1), (x2, y2)), inverted in zip(pairs, _inverses([b[0] - a[0] for _, a, b in pairs], P), strict=True):
        slope = (y2 - y1) * inverted % P
        x = (slope * slope - x1 - x2) % P
        out[i] = (x, (slope * (x1 - x) - y1) % P)
    return out


def _double(point: Point) -> Point:
    x, y = point
    slope = 3 * x * x * pow(2 * y, -1, P) % P
    doubled = (slope * slope - 2 * x) % P
    return doubled, (slope * (x - doubled) - y) % P


def _double_in_g2(x: Fp2, y: Fp2) -> tuple[Fp2, Fp2]:
    square = _times(x, x)
    slope = _times((3 * square[0], 3 * square[1]), _inverse_in_fp2((2 * y[0], 2 * y[1])))
    doubled = _minus(_minus(_times(slope, slope), x), x)
    return doubled, _minus(_times(slope, _minus(x, doubled)), y)


def _times(a: Fp2, b: Fp2) -> Fp2:
    return (a[0] * b[0] - a[1] * b[1]) % P, (a[0] * b[1] + a[1] * b[0]) % P


def _minus(a: Fp2, b: Fp2) -> Fp2:
    return (a[0] - b[0]) % P, (a[1] - b[1]) % P


def _inverse_in_fp2(a: Fp2) -> Fp2:
    norm = pow(a[0] * a[0] + a[1] * a[1], -1, P)
    return a[0] * norm % P, -a[1] * norm % P


def _inverses(values: Sequence[int], modulus: int) -> list[int]:
    """The inverse of each, with one division for all (Montgomery's trick)."""
    before, product = [], 1
    for value in values:
        before.append(product)
        product = product * value % modulus
    rest, out = pow(product, -1, modulus), [0] * len(values)
    for i in range(len(values) - 1, -1, -1):
        out[i] = rest * before[i] % modulus
        rest = rest * values[i] % modulus
    return out
