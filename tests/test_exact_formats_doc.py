"""docs/formats.md about exact gradients, held against the code where somebody would write another
verifier from it: graph, cells, shards, order, the commitment to data, openings, challenges."""

import hmac
import io
import json
import re
import struct
from collections.abc import Iterator
from hashlib import sha256, shake_256

import numpy as np
import pytest

from tests.plain_blake3 import blake3, derive_key
from tests.run.exact_run import CELLS, EXAMPLES, SECRET, STRIDE, TABLE
from tests.test_docs import FORMATS, section
from tests.test_formats_doc import (
    Extension,
    Member,
    P,
    Transcript,
    is_work,
    number,
    product,
    rows,
    sample,
    tables,
    typed,
)
from tests.verify.run_builder import honest
from zk_autograd.core.canonical import Json, encode
from zk_autograd.core.cells import FORMAT, LOG_CELLS, Shards, cells_of, encoded, scaled, tree_root
from zk_autograd.core.errors import UsageError
from zk_autograd.core.first_weights import order_seed
from zk_autograd.core.graph import acceptance
from zk_autograd.core.graph import text as graph_text
from zk_autograd.core.graph.units import Kind, TensorKind
from zk_autograd.core.order import SAMPLER, Order
from zk_autograd.core.record_bytes import parse_log
from zk_autograd.evidence.data_secrets import DataSecrets
from zk_autograd.evidence.openings import (
    MAX_INDEX,
    Index,
    Openings,
    SegmentSecrets,
    encode_index,
    encode_segment,
)
from zk_autograd.run.exact_files import MAX_BESIDE
from zk_autograd.vault.holder.recipient import WRAPPED_BYTES, RecipientKey
from zk_autograd.vault.openings import MAGIC, MAX_HEAD, OpeningsContext
from zk_autograd.verify.challenge import MAX_CHALLENGE, Challenge
from zk_autograd.verify.policy import TreeHead

EXACT = section(FORMATS, "Exact gradients")


def part(heading: str) -> str:
    return EXACT.split(f"\n### {heading}\n")[1].split("\n### ", maxsplit=1)[0]


# ---- the graph -----------------------------------------------------------------------------------


def test_the_lines_of_a_graph_are_those_that_are_listed() -> None:
    lines = {words[0]: len(words) for words in (row[0].replace("`", "").split() for row in rows(part("The graph")))}
    assert lines == {str(kind): 2 for kind in Kind} | {str(kind): 6 for kind in TensorKind}
    assert f"`{graph_text.FORMAT}`" in EXACT and graph_text.MAX_TEXT == 2**20 and "1 MiB" in part("The graph")
    limits = [number(text) for text in re.findall(r"2\^\d+", part("The graph").split("What is refused:")[1])]
    assert limits[:3] == [acceptance.MAX_UNITS, acceptance.MAX_INPUTS, acceptance.MAX_HIDDEN_OUTPUTS]


def test_a_graph_that_is_written_so_is_accepted() -> None:
    """Three features, two hidden units, two classes of which the first has no weights."""
    lines = [
        "zk-autograd/graph/v1",
        *("feature 3", "constant 1", "relu 2", "zero-class 1", "class 1", "close 1", "pad 5"),
        *("weight 0 4 2 3 0", "bias 3 4 2 1 6", "weight 4 9 1 2 8", "bias 3 9 1 1 10"),
    ]
    acceptance.require_acceptable(graph_text.parse("".join(f"{line}\n" for line in lines).encode()), 11)


# ---- cells and shards ----------------------------------------------------------------------------


def test_a_file_of_cells_is_made_as_written() -> None:
    cells = np.array([[4096, -1, 0], [2**22 - 1, 1 - 2**22, 4096]], np.int32)
    head = b'{"examples":2,"features":1,"targets":2}\n'
    assert encoded(cells, 1) == b"zk-autograd/cells/v1\n" + head + struct.pack("<6i", *cells.ravel().tolist())
    assert (int(next(rows(part("Cells")))[0]), len(FORMAT)) == (21, 21)


def test_a_tables_numbers_become_cells_as_written() -> None:
    values = np.array([[1.0], [0.1], [-3.7], [1e300]])
    mean, deviation = 0.3, 2.5

    def cell(x: float) -> int:
        largest = float(np.finfo(np.float32).max)
        single: float = struct.unpack("<f", struct.pack("<f", min(max((x - mean) / deviation, -largest), largest)))[0]
        return round(single * 4096)  # to nearest, ties to even

    made = cells_of(scaled(values[:3], mean, deviation), np.zeros((3, 1), np.int32))
    assert made[:, 0].tolist() == [cell(float(x)) for x in values[:3, 0]]
    assert scaled(values, mean, deviation)[3, 0] == np.finfo(np.float32).max
    halves = np.array([[0.5 / 4096], [1.5 / 4096], [-0.5 / 4096]], np.float32)
    assert cells_of(halves, np.zeros((3, 1), np.int32))[:, 0].tolist() == [0, 2, 0]


def counts(examples: int, stride: int, log_cells: int) -> list[int]:
    """As docs/formats.md has it under "Cells"."""
    number_of = -(-examples // (2**log_cells // stride))
    return [examples // number_of + (i < examples % number_of) for i in range(number_of)]


def test_data_are_cut_as_written() -> None:
    for examples, stride, log_cells in ((10, 2048, 13), (1, 2, 13), (4097, 2, 13), (100_000, 65, 20), (7, 8192, 13)):
        shards = Shards(examples, stride, log_cells)
        assert list(shards.counts) == counts(examples, stride, log_cells)
        assert max(shards.counts) * stride <= 2**log_cells
    assert (LOG_CELLS[0], LOG_CELLS[-1]) == (13, 20)


def test_the_root_of_private_data_is_made_as_written() -> None:
    def root(leaves: list[bytes]) -> bytes:
        if len(leaves) == 1:
            return sha256(b"\x00" + leaves[0]).digest()
        left = 1 << (len(leaves) - 1).bit_length() - 1
        return sha256(b"\x01" + root(leaves[:left]) + root(leaves[left:])).digest()

    leaves = []
    for i, row in enumerate(CELLS.tolist()):
        salt = hmac.new(SECRET, b"zk-autograd/cells-salt/v1\n" + i.to_bytes(8, "big"), "sha256").digest()
        leaves.append(salt + struct.pack(f"<{STRIDE}i", *row))
    assert tree_root(CELLS, SECRET) == root(leaves)


# ---- the order -----------------------------------------------------------------------------------


def philox(key: tuple[int, int]) -> Iterator[int]:
    """The words of Philox-4x64-10, from counter 1 on."""
    mask, counter = 2**64 - 1, 0
    while True:
        counter += 1
        x, (k0, k1) = (counter, 0, 0, 0), key
        for _ in range(10):
            a, b = 0xD2E7470EE14C6C93 * x[0], 0xCA5A826395121157 * x[2]
            x = ((b >> 64) ^ x[1] ^ k0, b & mask, (a >> 64) ^ x[3] ^ k1, a & mask)
            k0, k1 = (k0 + 0x9E3779B97F4A7C15) & mask, (k1 + 0xBB67AE8584CAA73B) & mask
        yield from x


def permuted(seed: int, purpose: int, index: int, count: int) -> list[int]:
    drawn = philox((seed, 2**48 * purpose + index))
    words = [next(drawn) for _ in range(count)]
    return sorted(range(count), key=lambda i: (words[i], i))


def ordered(examples: int, stride: int, log_cells: int, batch: int, seed: int) -> Iterator[tuple[int, list[int]]]:
    """Shard and examples of step 1, 2, 3 ..., as docs/formats.md has it."""
    sizes = counts(examples, stride, log_cells)
    epoch = 0
    while True:
        for shard in permuted(seed, 4, epoch, len(sizes)):
            own = permuted(seed, 5, epoch * len(sizes) + shard, sizes[shard])
            for at in range(0, sizes[shard] // batch * batch, batch):
                yield shard, [sum(sizes[:shard]) + i for i in own[at : at + batch]]
        epoch += 1


@pytest.mark.parametrize(
    ("examples", "stride", "batch", "seed"),
    [(10, 2048, 1, 7), (10, 2048, 2, 2**64 - 1), (10, 2048, 3, 0), (100, 64, 32, 5), (13, 8192, 1, 1)],
)
def test_examples_come_in_the_order_that_is_written(examples: int, stride: int, batch: int, seed: int) -> None:
    order = Order(Shards(examples, stride, 13), batch, seed)
    steps = ordered(examples, stride, 13, batch, seed)
    for step in range(1, 40):
        shard, expected = next(steps)
        assert (order.shard(step), order.batch(step).tolist()) == (shard, expected)


def test_the_order_that_is_shown_is_the_one() -> None:
    (shown,) = ([int(word) for word in line.split()] for line in EXACT.splitlines() if re.match(r" {4}\d", line))
    steps = ordered(10, 2048, 13, 1, 7)
    assert shown == [next(steps)[1][0] for _ in range(10)]
    assert f"`{SAMPLER}`" in EXACT


def test_the_seed_that_a_beacon_gives_is_made_as_written() -> None:
    text = b"zk-autograd/data-order/v1\n" + bytes(32) + bytes(range(32))
    assert order_seed(bytes(32), bytes(range(32))) == int.from_bytes(shake_256(text).digest(8), "big")
    assert "`zk-autograd/data-order/v1`" in section(FORMATS, "First weights")


# ---- the native commitment -----------------------------------------------------------------------


@pytest.mark.usefixtures("native_prover")
def test_a_native_commitment_to_data_is_made_as_written() -> None:
    """Work and value of a shard's, from its cells, its secret and its root."""
    for label in ("zk-autograd native data v1", "zk-autograd/native/data-seal/v1"):
        assert f"`{label}`" in section(FORMATS, "Native commitments")
    from zk_autograd import _native

    log_cells, size = 13, 2**13
    cells = Shards(EXAMPLES, STRIDE, log_cells).padded(CELLS, 1)
    commitment = _native.commit_data(cells, log_cells, SECRET)
    root, work, told = commitment[:32], commitment[32:40], struct.unpack("<2Q", commitment[40:])

    transcript = Transcript(b"zk-autograd/native/data-seal/v1" + (log_cells + 1).to_bytes(8, "little") + root)
    seed = b"".join(transcript.element().to_bytes(8, "little") for _ in range(4))
    assert next(n for n in range(2**16) if is_work(seed, n)) == int.from_bytes(work, "little")
    transcript.take(work)
    point = transcript.element(), transcript.element()

    values = cells.tolist()
    lengths = [length.to_bytes(8, "little") for length in (32, 8 * size)]
    coins = derive_key(
        "zk-autograd native data v1", lengths[0] + SECRET + lengths[1] + struct.pack(f"<{size}q", *values)
    )
    words = struct.unpack("<520Q", blake3(bytes(8), 8 * 520, key=blake3(b"mask", key=coins)))
    mask = (0, 0)
    for coefficient in reversed([word for word in words if word < P][:512]):
        mask = product(mask, point)
        mask = (mask[0] + coefficient) % P, mask[1]
    power = point
    for _ in range(log_cells):
        power = product(power, power)
    vanishing = (power[0] - 1) % P, power[1]
    assert plus(interpolated(values, point, vanishing), product(mask, vanishing)) == told


def interpolated(values: list[int], point: Extension, vanishing: Extension) -> Extension:
    """At the point z, the polynomial with value v at each x of the subgroup: (z^N - 1) / N times
    the sum of v x / (z - x)."""
    size = len(values)
    generator = pow(7, (P - 1) // size, P)
    total: Extension = (0, 0)
    x = 1
    for value in values:
        if value:
            a, b = (point[0] - x) % P, point[1]
            norm = pow((a * a - 7 * b * b) % P, P - 2, P)
            scale = value * x % P * norm % P
            total = plus(total, (a * scale % P, -b * scale % P))
        x = x * generator % P
    whole = product(total, vanishing)
    inverse = pow(size, P - 2, P)
    return whole[0] * inverse % P, whole[1] * inverse % P


def plus(a: Extension, b: Extension) -> Extension:
    return (a[0] + b[0]) % P, (a[1] + b[1]) % P


# ---- openings and challenges ---------------------------------------------------------------------


def test_openings_are_made_as_written() -> None:
    log = parse_log(honest("none").leaves())
    header, record = log.header, log.segments[0]
    salts = {name: tuple(bytes([i, j]) * 16 for j in range(len(header.blocks))) for i, name in enumerate(header.states)}
    secrets = SegmentSecrets(0, record.first, record.last, salts, salts, salts["W"])
    state = {name: np.arange(header.size, dtype=np.int64) - i for i, name in enumerate(header.states)}
    steps = record.last - record.first + 1
    gradients = np.arange(steps * header.size, dtype=np.int32).reshape(steps, header.size) - 3
    index = Index(log.header_digest, bytes(32), 9, "trainer", (0,), DataSecrets((SECRET,), TABLE))
    said: dict[str, Json] = {
        "run": log.header_digest.hex(),
        "root": "00" * 32,
        "size": 9,
        "chosen": "trainer",
        "segments": [[0, 0]],
        "data": {
            "salts": [SECRET.hex()],
            "table": {
                "name": "table.csv",
                "label": "y",
                "classes": ["a", "b"],
                "columns": ["x"],
                "means": ["0.1"],
                "deviations": ["2.5"],
                "rows": "".join(f"{row:08x}" for row in TABLE.rows),
            },
        },
    }
    body = encode(said)
    own = b"".join(b"".join(salts[name]) for name in header.states)
    expected = b"".join(
        (
            b"zk-autograd/openings/v1\n" + len(body).to_bytes(8, "big") + body,
            own * 2 + b"".join(salts["W"]),
            *(struct.pack(f"<{header.size}q", *state[name].tolist()) for name in header.states),
            struct.pack(f"<{steps * header.size}i", *gradients.ravel().tolist()),
        )
    )
    assert encode_index(index) + b"".join(encode_segment(header, secrets, state, iter(gradients))) == expected
    read = Openings(io.BytesIO(expected), log)
    assert read.index == index
    (opened,) = read.segments()
    assert opened.secrets == secrets

    listed, table, _ = tables("Openings")
    assert listed.keys() == said.keys()
    assert table.keys() == json.loads(body)["data"]["table"].keys()
    assert MAX_INDEX == 256 * 2**20 and "256 MiB" in section(FORMATS, "Openings")


def test_a_sealed_file_of_openings_begins_as_written() -> None:
    text = section(FORMATS, "Openings")
    recipient = RecipientKey.generate().recipient
    context = OpeningsContext(recipient.fingerprint, bytes(32), bytes(range(32)), 7)
    assert recipient.fingerprint == sha256(recipient.public).hexdigest() and len(recipient.public) == 1216
    head = context.head(bytes(WRAPPED_BYTES))
    said = json.loads(head[len(MAGIC) + 4 :])
    assert head == MAGIC + (len(head) - len(MAGIC) - 4).to_bytes(4, "big") + encode(said)
    assert [int(row[0]) for row in rows(text) if row[0].isdigit()] == [len(MAGIC), 4]
    for name in said:
        assert f"`{name}`" in text
    assert f"hex, {WRAPPED_BYTES:,}" in text and f"at most {MAX_HEAD:,}" in text
    parts = [b"openings", MAGIC[:-1], *(said[name].encode() for name in ("recipient", "run", "root")), b"7"]
    assert bytes(context) == b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def test_a_challenge_has_the_members_of_its_table_and_is_drawn_as_written() -> None:
    head = TreeHead(bytes(range(32)), 103)
    challenge = Challenge(head, 100, 17, b"seed", False)
    value = json.loads(challenge.encode())
    _, _, table = tables("Openings")
    assert table.keys() == value.keys()
    assert value["segments"] == list(sample(100, 17, b"seed", head.root, head.size, b"zk-autograd/challenge/v1\n"))
    assert Challenge.parse(challenge.encode()) == challenge and MAX_CHALLENGE == 64 * 2**20
    for name, form in table.items():
        _, refused = typed(Member("", name, form)) if name != "beacon" else ([], [1, "true"])
        for new in refused:
            with pytest.raises((UsageError, ValueError)):
                Challenge.parse(encode({**value, name: new}))
    with pytest.raises(UsageError, match="unknown fields"):
        Challenge.parse(encode({**value, "more": 1}))


def test_the_private_file_of_the_data_is_bounded_as_written() -> None:
    assert MAX_BESIDE == 257 * 2**20 and "| `data` | 4 bytes a cell, and 257 MiB |" in section(
        FORMATS, "The run directory"
    )
