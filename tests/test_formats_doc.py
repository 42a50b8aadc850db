"""docs/formats.md and docs/verification.md, held against the code where somebody would write
another verifier from them: each record's members and their bounds, the rules, names, circuits,
headers of bundles, the draw of a sample, the seal of a native commitment."""

import copy
import json
import random
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from hashlib import sha512, shake_256
from math import floor, isqrt
from typing import Any

import pytest

from tests.core.test_exact_records import exact_header
from tests.plain_blake3 import blake3, derive_key
from tests.test_docs import FORMATS, RUN, VERIFICATION, consoles, section
from tests.verify.run_builder import honest
from zk_autograd.cli.circuit import main as circuit
from zk_autograd.core import record_bytes
from zk_autograd.core.anchors import MAX_RECEIPT, Receipt
from zk_autograd.core.attestation import (
    MAX_COLLATERAL,
    MAX_DOCUMENT,
    Binding,
    Collateral,
    Document,
    release_digest,
)
from zk_autograd.core.backends import BACKENDS
from zk_autograd.core.canonical import encode
from zk_autograd.core.checkpoint import Checkpoint
from zk_autograd.core.constants import AdamConstants, LionConstants, RmspropConstants, SgdConstants
from zk_autograd.core.decimals import parse_decimal
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.first_weights import first_weights
from zk_autograd.core.hyper import AdamHyper, LionHyper, RmspropHyper, Rule, SgdHyper
from zk_autograd.core.keys import Ed25519Signer, check_name
from zk_autograd.core.recomputable import MAX_FROM_BEACON
from zk_autograd.core.record_bytes import parse, to_bytes
from zk_autograd.core.records import ENCLAVE_FORMAT, INSIDE, Block, Header, Parameter, Record
from zk_autograd.core.register import MAX_ENTRY, MAX_VIEW, Entry, Kind, View, sign_head
from zk_autograd.core.rules.families import FAMILIES, constants_sequence
from zk_autograd.evidence.bundle import header as tar_header
from zk_autograd.vault.context import FORMAT as CONTEXT_FORMAT
from zk_autograd.vault.context import KINDS, PURPOSE, Context
from zk_autograd.vault.holder import MAX_WRAPPED
from zk_autograd.vault.holder.keyfile import _WRAP
from zk_autograd.vault.holder.keyfile import WRAPPED_BYTES as KEYFILE_BYTES
from zk_autograd.vault.holder.recipient import FORMAT as RECIPIENT_FORMAT
from zk_autograd.vault.holder.recipient import SECRET_FORMAT, WRAPPED_BYTES
from zk_autograd.vault.keys import FORMAT as KEY_FORMAT
from zk_autograd.vault.keys import HOLDERS, MAX_KEK, MAX_KEY_FILE, MAX_WRAPS, KeyFile, Wrap
from zk_autograd.vault.seal import Sealed
from zk_autograd.verify.artefacts import LIMITS
from zk_autograd.verify.sampling import draw


def rows(text: str) -> Iterator[list[str]]:
    """The rows of a text's tables, without their heads."""
    for line in text.splitlines():
        if line.startswith("| `") or re.match(r"\| [0-9]", line):
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def part(heading: str) -> str:
    """What stands under a heading of the third level, up to the next one."""
    return section(FORMATS, "Records").split(f"\n### {heading}\n")[1].split("\n### ", maxsplit=1)[0]


def number(text: str) -> int:
    base, _, exponent = text.replace(",", "").partition("^")
    found: int = int(base) ** int(exponent or 1)
    return found


# ---- records -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Member:
    """A row of a record's table."""

    record: str
    path: str
    form: str

    @property
    def bounds(self) -> tuple[int, int]:
        low, high = re.findall(r"(-?[\d,^]+) to (-?[\d,^]+)", self.form)[0]
        return number(low), number(high)


TABLES = {
    name: [Member(name, path, row[1]) for row in rows(part(name)) for path in re.findall(r"`([^`]+)`", row[0])]
    for name in ("Header", "Genesis", "Segment", "Close")
}
MEMBERS = [member for table in TABLES.values() for member in table]


def records(run: Any) -> dict[str, tuple[Any, Header | None]]:
    """A record of each kind as JSON, and the header that it is read with: of a run of an enclave,
    which has all members."""
    header = replace(run.header, format=ENCLAVE_FORMAT, proving=INSIDE)
    made: dict[str, tuple[Record, Header | None]] = {
        "Header": (header, None),
        "Genesis": (replace(run.genesis, attestation=bytes(32)), header),
        "Segment": (run.segments[0], header),
        "Close": (run.close, header),
    }
    return {name: (json.loads(to_bytes(record)), h) for name, (record, h) in made.items()}


RECORDS = records(honest("none", beacon=bytes(32)))
EZKL = records(honest("ezkl", beacon=bytes(32)))
EXACT = json.loads(to_bytes(exact_header()))
"""A header with exact gradients, which has no unproved tensors."""


def example(member: Member) -> tuple[Any, Header | None]:
    """A record that has the member, as JSON, and its header."""
    if member.path.startswith("exact"):
        return copy.deepcopy(EXACT), None
    value, header = (EZKL if member.path.startswith("prover.") else RECORDS)[member.record]
    return copy.deepcopy(value), header


def paths(value: Any, before: str = "") -> Iterator[str]:
    """The members of a record by their paths; those of an array's objects with []."""
    for name, inner in value.items():
        path = f"{before}{name}"
        yield path
        if isinstance(inner, dict) and path not in (
            "state",
            "zero_salts",
            "state_in",
            "state_out",
            "model",
            "artefacts",
            "beacon",
        ):
            yield from paths(inner, f"{path}.")
        elif isinstance(inner, list) and inner and isinstance(inner[0], dict):
            yield from paths(inner[0], f"{path}[].")


@pytest.mark.parametrize("name", TABLES)
def test_each_record_has_the_members_of_its_table(name: str) -> None:
    assert len(TABLES[name]) == len({member.path for member in TABLES[name]})
    found = set(paths(EZKL[name][0])) | (set(paths(EXACT)) if name == "Header" else set())
    hyper = {f"groups[].{name}" for family in FAMILIES.values() for name in family.hyper_names}
    assert {member.path for member in TABLES[name]} == found - hyper | ({"groups[].lr"} if name == "Header" else set())


def put(value: Any, path: str, new: Any) -> None:
    """Sets a member by its path, of an array's first object."""
    *parents, last = path.replace("[]", ".0").split(".")
    for key in parents:
        value = value[int(key) if key.isdecimal() else key]
    value[last] = new


def verdict(member: Member, new: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """What is wrong with the record if the member is `new`; "" for nothing. Values that no
    canonical JSON of 64 MiB could hold are judged, too."""
    value, header = example(member)
    put(value, member.path, new)
    monkeypatch.setattr(record_bytes, "decode", lambda leaf, max_bytes: leaf)
    try:
        parse(value, header)
    except VerificationError as error:
        return str(error)
    return ""


def typed(member: Member) -> tuple[list[Any], list[Any]]:
    """Values of the member that its table allows, by themselves, and values that it doesn't."""
    kind, _, rest = member.form.partition(",")
    if kind == "integer":
        if not rest:
            return [], ["1", True]
        low, high = member.bounds
        return [low, high], [low - 1, high + 1, str(low), low == 1]
    if kind == "text":
        low, high = member.bounds
        return ["x" * high, "\u00e9" * low], ["x" * (high + 1), "x" * (low - 1), "a\x7f", "a\x85", "a\x00", 1]
    if kind == "hex":
        length = 2 * int(re.findall(r"\d+", rest)[0])
        empty = "or none" in rest
        allowed, refused = ["0f" * (length // 2)], ["0F" * (length // 2), "0" * (length - 1), "0" * (length + 2), 1]
        return ([*allowed, ""], refused) if empty else (allowed, [*refused, ""])
    if kind.startswith("one of"):
        options = re.findall(r"`([^`]+)`", member.form)
        return options, [options[0] + " ", "", 1]
    if kind == "array":
        if not rest:
            return [], [{}, "x"]
        low, high = member.bounds
        return [], [{}, "x", *([[]] if low else []), [0] * (high + 1)]
    return [], [[], "x", 1]


@pytest.mark.parametrize("member", MEMBERS, ids=lambda member: f"{member.record}.{member.path}")
def test_each_member_is_bounded_as_its_table_says(member: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    where = f"record.{member.path.replace('[]', '[0]')}"
    allowed, refused = typed(member)
    assert refused
    for value in refused:
        assert verdict(member, value, monkeypatch), value
    for value in allowed:  # it may not fit what else is in the record
        found = verdict(member, value, monkeypatch)
        assert f"{where} is invalid" not in found and "exponent k is out of range" not in found, found


def test_a_table_of_other_bounds_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    for path, form in (("size", "integer, 1 to 2^41"), ("package", "text, 1 to 99"), ("data.root", "hex, 32")):
        with pytest.raises(AssertionError):
            test_each_member_is_bounded_as_its_table_says(Member("Header", path, form), monkeypatch)


def test_the_items_of_arrays_are_bounded_as_said(monkeypatch: pytest.MonkeyPatch) -> None:
    segment = RECORDS["Segment"][0]
    steps = segment["last"] - segment["first"] + 1
    loss, saturated = (Member("Segment", f"claimed.{name}", "") for name in ("loss", "saturated"))
    value: list[Any]
    for value in ([], ["x" * 60], [""] * steps, ["no number"]):
        assert not verdict(loss, value, monkeypatch)
    for value in ([""] * (steps + 1), ["x" * 61], [1], ["\x1b"]):
        assert "record.claimed.loss" in verdict(loss, value, monkeypatch)
    for value in ([], [2**40], [0] * steps):
        assert not verdict(saturated, value, monkeypatch)
    for value in ([0] * (steps + 1), [2**40 + 1], [-1], [True], ["0"]):
        assert "record.claimed.saturated" in verdict(saturated, value, monkeypatch)
    for member in ("model", "artefacts"):
        named = Member("Close", member, "")
        assert not verdict(named, {f"\x00{i}": "00" * 32 for i in range(100)}, monkeypatch)
        assert "too many" in verdict(named, {f"{i}": "00" * 32 for i in range(101)}, monkeypatch)
        assert verdict(named, {"": "00" * 31}, monkeypatch)
    for path in ("parameters[].shape", "unproved[].shape"):
        shape = Member("Header", path, "")
        assert "is invalid" in verdict(shape, [1] * 33, monkeypatch)
        assert "is invalid" in verdict(shape, [2**40 + 1], monkeypatch)
    assert "is invalid" in verdict(Member("Header", "keys", ""), ["x" * 8001], monkeypatch)
    assert "is invalid" in verdict(Member("Header", "blocks", ""), [[0, 0, 2**40 + 1]], monkeypatch)


def test_commitments_and_salts_are_as_long_as_said() -> None:
    types = {row[0]: row[1] for row in rows_of("Records")}
    told = {
        name: int(n) for n, name in re.findall(r"(\d+) (?:bytes in hexadecimal )?for `(\w+)`", types["commitments"])
    }
    assert told == {name: form.commitment_bytes for name, form in BACKENDS.items()}
    assert BACKENDS["native"].salt_bytes == BACKENDS["none"].salt_bytes == 32 and BACKENDS["ezkl"].salt_bytes == 256
    assert "32 bytes for `native` and `none`, 256 for `ezkl`" in types["salts"]


def rows_of(heading: str) -> Iterator[list[str]]:
    """All rows of a section's tables."""
    for line in section(FORMATS, heading).splitlines():
        if line.startswith("| "):
            yield [cell.strip() for cell in line.split("|")[1:-1]]


def test_the_rules_are_those_that_are_listed() -> None:
    listed = {}
    for name, states, hyper, s in (row for row in rows(section(FORMATS, "Rules")) if len(row) == 4):
        listed[name.strip("`")] = (
            tuple(states.split(", ")),
            tuple(re.findall(r"`(\w+)`", hyper)),
            tuple(map(int, s.split(" or "))),
        )
    assert listed == {r.value: (f.states, f.hyper_names, f.shifts) for r, f in FAMILIES.items()}
    assert set(listed) == {rule.value for rule in Rule}


# ---- what else another verifier needs ------------------------------------------------------------


def test_a_keys_name_has_none_of_the_characters_that_are_listed() -> None:
    told = section(FORMATS, "Keys").split("white space: ")[1].split(".")[0]
    listed: set[int] = set()
    for first, last in re.findall(r"U\+([0-9A-F]{4})(?: to U\+([0-9A-F]{4}))?", told):
        listed |= set(range(int(first, 16), int(last or first, 16) + 1))
    controls = {*range(0x20), *range(0x7F, 0xA0)}
    refused = set()
    for point in (*range(0xD800), *range(0xE000, 0x10000)):
        try:
            check_name("a" + chr(point))
        except VerificationError:
            refused.add(point)
    assert refused == listed | controls | {ord("+")}


@pytest.mark.usefixtures("native_prover")
def test_the_circuits_are_those_that_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    (shown,) = (text for text in consoles(section(FORMATS, "Native circuits")) if text.startswith("$ "))
    assert circuit(["digest"]) == 0
    assert shown == "$ zk-circuit digest\n" + capsys.readouterr().out.rstrip("\n")


def test_a_bundles_header_is_as_its_table_says() -> None:
    long = "model/" + "n" * 100
    for path, prefix, name in (("log/checkpoint", "", "log/checkpoint"), (long, "model", "n" * 100)):
        block = tar_header(path, 0o1234567)
        told = {
            0: name.encode(), 100: b"0000644\0", 108: b"0000000\0" * 2, 124: b"00001234567\0", 136: b"00000000000\0",
            156: b"0", 157: b"", 257: b"ustar\0" + b"00", 265: b"", 329: b"0000000\0" * 2, 345: prefix.encode(), 500: b"",
        }  # fmt: skip
        at = 0
        for start, length in ((int(row[0]), int(row[1])) for row in rows(section(FORMATS, "Bundles"))):
            assert start == at
            if start == 148:
                total = sum(block[:148]) + 8 * 0x20 + sum(block[156:])
                assert block[148:156] == b"%06o\0 " % total
            else:
                assert block[start : start + length] == told[start].ljust(length, b"\0")
            at = start + length
        assert at == len(block) == 512


def test_the_trainers_own_files_have_the_bounds_that_are_told() -> None:
    text = " ".join(section(FORMATS, "The trainer's own files").split())
    bounds = [
        2 ** int(exponent) for exponent in re.findall(r"2\^(\d+)", text.split("reads at most")[1].split(" bytes")[0])
    ]
    assert bounds == [LIMITS[n] for n in ("environment.json", "train_log.jsonl", "hashes.json", "config.toml")]


def tables(heading: str) -> list[dict[str, str]]:
    """A section's tables of members: what each may be, by its name."""
    found: list[dict[str, str]] = []
    for line in section(FORMATS, heading).splitlines():
        if line == "| member | type | |":
            found.append({})
        elif line.startswith("| `"):
            name, form, _ = [cell.strip() for cell in line.split("|")[1:-1]]
            found[-1][name.strip("`")] = form
    return found


def test_a_registers_lines_have_the_members_of_their_tables() -> None:
    entry = Entry(Kind.CLOSE, bytes(16), 3, bytes(32))
    view = View(sign_head(Checkpoint("x", 1, bytes(32)), [Ed25519Signer("x", bytes(32))]), 0, entry, ())
    receipt = Receipt("file", 1, bytes(32), {})
    for table, line, read in zip(
        tables("Register"),
        (entry.encode(), view.encode(), receipt.encode()),
        (Entry.parse, View.parse, Receipt.parse),
        strict=True,
    ):
        read(line)
        value = json.loads(line)
        assert value.keys() == table.keys()
        for name, form in table.items():
            allowed, refused = typed(Member("", name, form.replace("array, 0 to 64", "array")))
            if name == "checkpoint":  # any text of that length: its note is for step 4
                refused = [[], 1, "x" * (2**16 + 1)]
            for new in refused:  # of a number beyond 2^53 - 1 there are no canonical bytes
                with pytest.raises((VerificationError, ValueError)):
                    read(encode({**value, name: new}))
            for new in allowed:
                if not (name == "size" and new == 1) and not (name == "kind" and new == "begin"):
                    read(encode({**value, name: new}))
        with pytest.raises(VerificationError, match="unknown fields"):
            read(encode({**value, "more": 1}))
    begin = {**json.loads(entry.encode()), "kind": "begin"}
    Entry.parse(encode({**begin, "size": 1}))
    for size, kind in ((2, "begin"), (1, "close"), (1, "checkpoint")):
        with pytest.raises(VerificationError):
            Entry.parse(encode({**begin, "size": size, "kind": kind}))
    for name in ("inclusion", "consistency"):
        View.parse(encode({**json.loads(view.encode()), name: ["00" * 32] * 64}))
        with pytest.raises(VerificationError):
            View.parse(encode({**json.loads(view.encode()), name: ["00" * 32] * 65}))
    assert (MAX_ENTRY, MAX_VIEW, MAX_RECEIPT) == (1024, 2 * 2**16, 2**20)


def test_an_attestations_files_have_the_members_of_their_tables() -> None:
    files = (Document("nitro", b"\1", b"\2", b"\3", bytes(32)).encode(), Collateral((b"\1",), (b"\2",)).encode())
    for table, data, read in zip(tables("Attestations"), files, (Document.parse, Collateral.parse), strict=True):
        value = json.loads(data)
        assert value.keys() == table.keys()
        for name, form in table.items():
            bounds = [number(bound) for bound in re.findall(r"[0-9][0-9,]*", form)]
            allowed: list[Any]
            refused: list[Any]
            if form.startswith("hex"):
                low, high = bounds
                allowed, refused = ["00" * low, "0f" * high], ["00" * (high + 1), "0F", "0", *([""] if low else [])]
            elif form.startswith("array"):
                most = int(re.findall(r"hex, 0 to ([0-9,]+)", section(FORMATS, "Attestations"))[-1].replace(",", ""))
                longest = 16_384 if name == "certificates" else most
                allowed = [[], ["00"] * bounds[1], ["0f" * longest]]
                refused = [["00"] * (bounds[1] + 1), ["00" * (longest + 1)], [1], "00"]
            else:
                allowed, refused = typed(Member("", name, form))
            for new in refused:
                with pytest.raises(VerificationError):
                    read(encode({**value, name: new}))
            for new in allowed:
                read(encode({**value, name: new}))
        with pytest.raises(VerificationError, match="unknown fields"):
            read(encode({**value, "more": 1}))
    assert (MAX_DOCUMENT, MAX_COLLATERAL) == (256 * 2**10, 4 * 2**20)


def test_a_key_file_has_the_members_of_its_table() -> None:
    text = section(FORMATS, "Sealed files")
    context = Context("acme", "8c1f", 40, "checkpoint")
    wraps = tuple(Wrap("k", by, b"\1") for by in HOLDERS[:3])
    value = json.loads(KeyFile(context, Sealed("00" * 32, 72), wraps).encode())
    tabled = {row[0].strip("`") for row in rows(text)}
    assert tabled == value.keys() | {wrap["by"] for wrap in value["wraps"]}
    assert re.findall(r"`([a-z]+)`", text[text.index("`kind`: one of") + 14 :].split("|")[0]) == list(KINDS)
    parts = re.findall(r"by name: (.*) \|", text)[0]
    assert re.findall(r"`([a-z]+)`", parts) == list(context.names)
    for number_of in (MAX_WRAPS, MAX_KEK, MAX_WRAPPED, KEYFILE_BYTES, WRAPPED_BYTES):
        assert re.search(rf"\b{number_of:,}\b", text), number_of
    for told in (PURPOSE, CONTEXT_FORMAT, KEY_FORMAT, RECIPIENT_FORMAT, SECRET_FORMAT, _WRAP.decode()):
        assert f"`{told}`" in text
    assert MAX_KEY_FILE == 256 * 2**10


def test_what_a_device_signs_is_as_written() -> None:
    told = re.findall(r"H\(`([^`]+)`", section(FORMATS, "Attestations"))
    assert told == ["zk-autograd/attested-run/v0", "keys", "zk-autograd/attested-release/v0"]

    def hashed(domain: str, *parts: bytes) -> bytes:
        whole = (domain.encode(), len(parts).to_bytes(8, "big"), *parts)
        return sha512(b"".join(len(part).to_bytes(8, "big") + part for part in whole)).digest()

    keys = ("one+01020304+AA", "zwei+05060708+BB")
    binding = Binding(bytes(range(16)), bytes(range(32)), keys, b"release", b"nonce", bytes(32))
    texts = hashed(told[1], *(key.encode() for key in keys))
    assert binding.digest() == hashed(
        told[0], bytes(range(16)), bytes(range(32)), texts, b"release", b"nonce", bytes(32)
    )
    assert release_digest(b"run", b"release", b"nonce") == hashed(told[2], b"run", b"release", b"nonce")


def test_the_first_weights_that_are_written_follow_from_what_is_written() -> None:
    text = section(FORMATS, "First weights")
    shown = [int(word) for line in text.splitlines() if line.startswith("    ") for word in line.split()]
    rows_of_it = {row[0]: row[1] for row in rows(text)}
    parts = rows_of_it["29"], *(rows_of_it[n] for n in ("32", "8"))
    assert parts == ("`zk-autograd/first-weights/v1`, 0x0a", "the beacon", "j")
    name = b"a.weight"
    stream = shake_256(
        b"zk-autograd/first-weights/v1\n"
        + bytes(32)
        + bytes(range(32))
        + struct.pack(">Q", len(name))
        + name
        + bytes(8)
    ).digest(8 * 6)
    b = isqrt(2**64 // 3)
    assert shown == [w % (2 * b + 1) - b for w in struct.unpack("<6Q", stream)]
    header = replace(
        honest("none").header, parameters=(Parameter("a.weight", (2, 3), 0, 6, 0),), blocks=(Block(0, 0, 6),)
    )
    assert shown == first_weights(header, bytes(32), bytes(range(32))).tolist()
    assert MAX_FROM_BEACON == 2**31 and "at most 2^31 parameters" in text


def sample(
    n: int, k: int, seed: bytes, root: bytes, size: int, domain: bytes = b"zk-autograd/sample/v0\n"
) -> tuple[int, ...]:
    """As docs/verification.md describes it under "A sample"."""
    text = domain + len(seed).to_bytes(8, "big") + seed + root + size.to_bytes(8, "big")
    stream = shake_256(text).digest(1 << 16)
    words = (int.from_bytes(stream[i : i + 8], "big") for i in range(0, len(stream), 8))

    def below(b: int) -> int:
        return next(x for x in words if x < 2**64 // b * b) % b

    a = list(range(1, n - 1))
    for i in range(k - 2):
        r = below(n - 2 - i)
        a[i], a[i + r] = a[i + r], a[i]
    return tuple(sorted([0, n - 1, *a[: k - 2]]))


def test_a_sample_is_drawn_as_written() -> None:
    """By what docs/verification.md says, in its own words."""
    assert '"zk-autograd/sample/v0\\n" || length of the seed || seed || root || size' in section(
        VERIFICATION, "A sample"
    )
    for n, k in ((3, 2), (4, 3), (100, 17), (1000, 999)):
        assert sample(n, k, b"seed", bytes(range(32)), n + 3) == draw(n, k, b"seed", bytes(range(32)), n + 3)


class Transcript:
    """As docs/formats.md describes it under "Native commitments"."""

    def __init__(self, over: bytes) -> None:
        self.input, self.output = blake3(over), b""

    def take(self, data: bytes) -> None:
        self.output = b""
        self.input += data

    def byte(self) -> int:
        if not self.output:
            self.output = self.input = blake3(self.input)
        last, self.output = self.output[-1], self.output[:-1]
        return last

    def element(self) -> int:
        while True:
            if (found := int.from_bytes(bytes(self.byte() for _ in range(8)), "little")) < P:
                return found


P = 2**64 - 2**32 + 1
Extension = tuple[int, int]


def product(a: Extension, b: Extension) -> Extension:
    return (a[0] * b[0] + 7 * a[1] * b[1]) % P, (a[0] * b[1] + a[1] * b[0]) % P


def test_a_native_seal_is_made_as_written() -> None:
    """Work and value of a published first moment, which is zero, from its salt and its root."""
    header, genesis = (json.loads(line) for line in (RUN / "log/records.jsonl").read_bytes().splitlines()[:2])
    size = header["prover"]["block"]
    secret, commitment = (bytes.fromhex(genesis[part]["M"][0]) for part in ("zero_salts", "state"))
    root, work, told = commitment[:32], commitment[32:40], struct.unpack("<2Q", commitment[40:])

    transcript = Transcript(b"zk-autograd/native/seal/v1" + size.bit_length().to_bytes(8, "little") + root)
    seed = b"".join(transcript.element().to_bytes(8, "little") for _ in range(4))
    passing = (n for n in range(2**16) if is_work(seed, n))
    assert next(passing) == int.from_bytes(work, "little")
    transcript.take(work)
    point = transcript.element(), transcript.element()

    lengths = [length.to_bytes(8, "little") for length in (32, 8 * size)]
    coins = derive_key("zk-autograd native state v1", lengths[0] + secret + lengths[1] + bytes(8 * size))
    words = struct.unpack("<520Q", blake3(bytes(8), 8 * 520, key=blake3(b"mask", key=coins)))
    mask = [word for word in words if word < P][:512]
    value = (0, 0)
    for coefficient in reversed(mask):
        value = product(value, point)
        value = (value[0] + coefficient) % P, value[1]
    power = point
    for _ in range(size.bit_length() - 1):
        power = product(power, power)
    assert product(value, ((power[0] - 1) % P, power[1])) == told


def is_work(seed: bytes, number: int) -> bool:
    digest = blake3(b"zk-autograd/work" + seed + number.to_bytes(8, "little"))
    return int.from_bytes(digest, "little") % 2**12 == 0


def begins_as_ed25519(text: str) -> bool:
    """As docs/formats.md has it under "Keys", for a text that is no key."""
    first, second = ("+".join(text.split("+")[n:]) for n in (1, 2))
    kept = (re.sub(r"[^A-Za-z0-9/]", "", rest) for rest in (first, second))
    return any(len(rest) >= 4 and re.match("A[Q-Za-f]", rest) for rest in kept)


def test_what_begins_as_an_ed25519_key_is_as_written() -> None:
    generator, letters = random.Random(4), "+AQZafgP/= 0\u0410"
    seen = set()
    for _ in range(20_000):
        text = "".join(generator.choices(letters, k=generator.randrange(12)))
        seen.add(begins_as_ed25519(text))
        assert record_bytes._is_ed25519(text) == begins_as_ed25519(text), text
    assert seen == {True, False}


def test_the_constants_follow_from_the_formulas() -> None:
    """Those of the table under "Rules", in its own words, for steps 1 to 40."""
    one, lr, k = 2**256, Fraction("0.003"), -3
    adam = AdamHyper(lr, Fraction("0.9"), Fraction("0.99"), Fraction("0.001"), Fraction("0.02"))
    sequence = constants_sequence(Rule.ADAMW, adam, k)
    c1, c2 = (nearest((1 - beta) * 2**15) for beta in (adam.beta1, adam.beta2))
    power1 = power2 = one
    for t in range(1, 41):
        power1, power2 = power1 * (2**15 - c1) // 2**15, power2 * (2**15 - c2) // 2**15
        root = isqrt((one - power2) * one)
        ratio = root * one // (one - power1)
        least = isqrt(2**15 // c2) + 1
        assert sequence.at(t) == AdamConstants(
            c1,
            c2,
            nearest(lr * ratio * 2**32 / one),
            max(least, nearest(adam.eps * root * Fraction(2) ** (k + 28) / one)),
            nearest(lr * adam.weight_decay * 2**30),
        )
    sgd = SgdHyper(lr, Fraction("0.85"), Fraction("0.02"))
    for s in (30, 15):
        found = constants_sequence(Rule.NESTEROV, sgd, k, s).at(7)
        rate = nearest(lr * Fraction(2) ** (4 - k + s))
        assert found == SgdConstants(
            nearest(sgd.momentum * 2**15), 2**15, rate, s, nearest(lr * sgd.weight_decay * 2**30)
        )


def test_the_constants_of_lion_and_rmsprop_follow_from_the_formulas() -> None:
    lr, k = Fraction("0.003"), -3
    lion = LionHyper(lr, Fraction("0.9"), Fraction("0.99"), Fraction("0.02"))
    c1, c2 = (nearest((1 - beta) * 2**15) for beta in (lion.beta1, lion.beta2))
    rate, decay = nearest(lr * 2**32), nearest(lr * lion.weight_decay * 2**30)
    assert constants_sequence(Rule.LION, lion, k).at(7) == LionConstants(c1, c2, rate, decay)
    for eps in ("0.001", "0"):
        rmsprop = RmspropHyper(lr, Fraction("0.99"), Fraction(eps), Fraction("0.02"))
        least = max(isqrt(2**15 // c2) + 1, nearest(rmsprop.eps * Fraction(2) ** (k + 28)))
        assert constants_sequence(Rule.RMSPROP, rmsprop, k).at(7) == RmspropConstants(c2, rate, least, decay)


def nearest(value: Fraction) -> int:
    return floor(value + Fraction(1, 2))


@pytest.mark.parametrize("text", ["0", "00.10", "1e-08", "1E+5", "9" * 80, "1e399", "0.1e-399", "1.5"])
def test_a_decimal_as_written_is_read(text: str) -> None:
    assert parse_decimal(text, "x") == Fraction(text)


@pytest.mark.parametrize(
    "text", ["", ".1", "1.", "+1", "-0", "1e", "1e1000", "1e400", "0.1e-400", " 1", "1_0", "nan", "0" * 81, "\u0661"]
)
def test_another_text_is_no_decimal(text: str) -> None:
    with pytest.raises(VerificationError):
        parse_decimal(text, "x")
