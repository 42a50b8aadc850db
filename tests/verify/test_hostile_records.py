"""Records that a trainer signed and no trainer writes: numbers, sizes, names, decimals, schedules
and JSON of every kind."""

import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.verify.hostile import FAILED, LESS, SHOWN, put, said, step_of, within, written
from tests.verify.run_builder import LOG_POLICY, POLICY, Run, honest, stand_ins
from zk_autograd.core.canonical import encode
from zk_autograd.core.hyper import Rule
from zk_autograd.core.records import Parameter, Prover, Unproved
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.verify.policy import Policy
from zk_autograd.verify.report import Report
from zk_autograd.verify.verifier import Verifier


def look(folder: Path, policy: Policy = POLICY) -> Report:
    with RunFolder(folder) as files:
        report = Verifier(policy, stand_ins()).verify(files)
    report.text()
    json.dumps(report.to_json())
    return report


# ---- integers

MARK = 900_719_925_474_099
"""Stands for an integer until the record is bytes: no record has this one."""

LITERALS = [
    b"-1", b"-0", b"0e0", b"1.0", b"1e3", b"true", b"false", b"null", b'"1"', b"01", b"+1", b"NaN", b"Infinity", b"[]", b"{}", b"0x1",
    b"0", b"1", b"2", b"3", b"65536", str(2**40).encode(), str(2**40 + 1).encode(), str(2**53 - 1).encode(), str(2**53 + 1).encode(),
    str(2**60).encode(), str(2**63).encode(), str(2**64).encode(), b"9" * 5000,
]  # fmt: skip


def integers(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of the integers in a JSON value, one of those in a list of numbers."""
    if type(value) is int:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        if path and path[-1] == "saturated" and key:
            continue
        yield from integers(item, (*path, key))


def exchanged(leaf: bytes, path: tuple[Any, ...], literal: bytes) -> bytes:
    value = json.loads(leaf)
    place = value
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = MARK
    return encode(value).replace(str(MARK).encode(), literal)


@pytest.mark.parametrize("record", range(6))
def test_no_integer_of_a_record_can_be_another(tmp_path: Path, record: int) -> None:
    """Each in turn, in every record: too small, too large, of another type or spelling, and other
    integers that its form allows."""
    run = honest()
    leaves = run.leaves()
    folder = run.write(tmp_path)
    tried = 0
    for path in integers(json.loads(leaves[record])):
        for literal in LITERALS:
            changed = exchanged(leaves[record], path, literal)
            if changed == leaves[record]:
                continue
            put(folder, [*leaves[:record], changed, *leaves[record + 1 :]], run.header.origin)
            report = look(folder)
            tried += 1
            if path[-2:-1] == ("saturated",) and report.failure is None:
                assert literal.isdigit()  # a claim, and called one
                assert any("saturation counts are claimed" in limit for limit in report.limits)
                continue
            assert report.failure is not None, (path, literal)
            assert report.failure.step in (1, 5, 6, 7), (path, literal)
            if not re.fullmatch(rb"-1|0|[1-9][0-9]{0,15}", literal):  # not canonical, or no integer
                assert report.failure.step == 1, (path, literal, str(report.failure))
    assert tried > 50 or record == 1  # the genesis has no integers


def edited(leaves: list[bytes], record: int, **changes: Any) -> list[bytes]:
    """The leaves with other fields in one of them."""
    return [
        *leaves[:record],
        encode({**json.loads(leaves[record]), **changes}),
        *leaves[record + 1 :],
    ]


SEGMENTS: dict[str, tuple[int, int, dict[str, Any]]] = {
    "of 0 steps": (1, 3, {"first": 4, "last": 3}),
    "that ends before it begins": (1, 3, {"first": 6, "last": 4}),
    "of step 0": (1, 2, {"first": 0, "last": 0}),
    "at step 2^40": (6, 3, {"first": 2**40, "last": 2**40, "claimed": {"loss": [""], "saturated": [0]}}),
    "beyond step 2^40": (1, 3, {"first": 2**40 + 1, "last": 2**40 + 1}),
    "up to step 2^40": (1, 3, {"last": 2**40}),
    "at step 2^53 - 1": (1, 3, {"first": 2**53 - 1, "last": 2**53 - 1}),
    "of index -1": (1, 3, {"index": -1}),
    "of index 2^40": (6, 3, {"index": 2**40}),
    "of index true": (1, 3, {"index": True}),
    "of the index before it": (6, 3, {"index": 0}),
    "of the steps before it": (6, 3, {"first": 1, "last": 3}),
}


@pytest.mark.parametrize("name", SEGMENTS)
@pytest.mark.parametrize("backend", ["none", "ezkl"])
def test_a_segment_that_is_none(tmp_path: Path, name: str, backend: str) -> None:
    step, record, changes = SEGMENTS[name]
    run = honest(backend)
    report = look(written(run, tmp_path, edited(run.leaves(), record, **changes)), LOG_POLICY)
    assert report.failure is not None
    assert (report.failure.step, report.failure.record) == (step, record), str(report.failure)


def test_a_segment_twice_and_a_close_record_of_none(tmp_path: Path) -> None:
    run = honest("none")
    leaves = run.leaves()
    for index, (changed, step) in enumerate(
        [
            ([*leaves[:3], leaves[2], *leaves[3:]], 6),
            ([*leaves[:4], *leaves[3:]], 6),
            ([*leaves, leaves[-1]], 1),
            ([*leaves, leaves[3]], 1),
            ([leaves[0], leaves[0], *leaves[1:]], 1),
            ([*leaves[:2], *leaves[1:]], 1),
            ([leaves[0], *leaves[2:]], 1),
            (edited(leaves, 5, last_step=2**40), 6),
            (edited(leaves, 5, last_step=0), 6),
            (edited(leaves, 5, segments=0), 6),
        ]
    ):
        report = look(written(run, tmp_path / str(index), changed), LOG_POLICY)
        assert report.failure is not None
        assert report.failure.step == step, (index, str(report.failure))


# ---- sizes

PROVERS: dict[str, tuple[int, Prover]] = {
    "a native block of 2^40": (5, Prover("native", "1", 2**40, 8, "native/adam-standard", bytes(32))),
    "a native block of 2^16 + 1": (5, Prover("native", "1", 2**16 + 1, 8, "native/adam-standard", bytes(32))),
    "a native block of 3": (5, Prover("native", "1", 3, 8, "native/adam-standard", bytes(32))),
    "3 native steps": (5, Prover("native", "1", 2**16, 3, "native/adam-standard", bytes(32))),
    "2^16 native steps": (5, Prover("native", "1", 2**16, 2**16, "native/adam-standard", bytes(32))),
    "2^40 native steps": (1, Prover("native", "1", 2**16, 2**40, "native/adam-standard", bytes(32))),
    "a native circuit that is not this": (5, Prover("native", "1", 2**16, 8, "native/adam-standard", bytes(32))),
    "a native circuit in another folder": (5, Prover("native", "1", 2**16, 8, "../adam-standard", bytes(32))),
    "a block of 2^40 without a circuit": (5, Prover("none", "1", 2**40, 3)),
    "2^16 steps without a circuit": (5, Prover("none", "1", 4, 2**16)),
    "2^40 steps without a circuit": (1, Prover("none", "1", 4, 2**40)),
    "an EZKL block of 2^40": (5, Prover("ezkl", "23.0.5", 2**40, 4, "adam-n480-t4", bytes(32), bytes(32))),
    "an EZKL circuit in another folder": (5, Prover("ezkl", "23.0.5", 480, 4, "../../adam-n480-t4", bytes(32), bytes(32))),
}  # fmt: skip


@pytest.mark.parametrize("name", PROVERS)
def test_a_prover_of_no_size_is_refused_before_anything_is_reserved(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("ZK_AUTOGRAD_CACHE", str(tmp_path / "cache"))
    step, prover = PROVERS[name]
    run = honest("none")
    size = min(prover.block, 2**40)
    run.edit_header(
        prover=prover,
        size=size,
        parameters=(Parameter("w", (size,), 0, size, 0),),
        blocks=(replace(run.header.blocks[0], size=size),),
        unproved=(),
    )
    leaves = run.leaves()
    header = written(run, tmp_path / "run", leaves[:1])
    said(capsys, header)  # loads what it needs
    with within(2**24):
        status, report = said(capsys, header)
    assert (status, step_of(report)) == (FAILED, step), report


def test_a_run_of_2_to_the_40_parameters_is_refused(tmp_path: Path) -> None:
    """In few blocks, or in as many as a header may have."""
    run = honest("none")
    run.edit_header(unproved=(), size=2**40, parameters=(Parameter("w", (2**20, 2**20), 0, 2**40, 0),))
    for index, (block, count, step) in enumerate([(2**40, 1, 5), (2**20, 1, 1), (2**39, 2, 5)]):
        run.edit_prover(block=block)
        blocks = tuple(replace(run.header.blocks[0], offset=i * block, size=block) for i in range(count))
        run.edit_header(blocks=blocks)
        with within(2**26):
            report = look(written(run, tmp_path / str(index), run.leaves()[:1]), LOG_POLICY)
        assert report.failure is not None
        assert report.failure.step == step, str(report.failure)
    for shape in ((2**40, 2**40), (2**40,) * 32, (2,) * 41, (0,), (0, 2**40), (2**40 + 1,)):
        run.edit_header(parameters=(Parameter("w", shape, 0, 2**40, 0),))
        with within(2**26):
            report = look(written(run, tmp_path / str(len(shape)), run.leaves()[:1]), LOG_POLICY)
        assert report.failure is not None
        assert report.failure.step == 1, str(report.failure)


@pytest.mark.parametrize(("count", "status", "step"), [(1000, SHOWN, 0), (1001, FAILED, 1)])
def test_a_thousand_groups_and_not_one_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], count: int, status: int, step: int
) -> None:
    run = honest("none", rule=Rule.SGD)
    run.edit_header(groups=run.header.groups * count)
    found, report = said(capsys, run.write(tmp_path))
    assert (found, step_of(report)) == (status, step)


# ---- names


def named(first: str, second: str, third: str = "norm.running_mean") -> Run:
    """A run whose tensors have these names, and so has its model."""
    run = honest("none")
    one, two = run.header.parameters
    run.edit_header(
        parameters=(replace(one, name=first), replace(two, name=second)),
        unproved=(Unproved(third, "buffer", (2,), "float32", bytes(32)),),
    )
    return run


NFC, NFD = (unicodedata.normalize(form, "caf\u00e9.weight") for form in ("NFC", "NFD"))


@pytest.mark.parametrize(
    ("names", "step"),
    [
        (("a", "a"), 1),
        (("a", "b", "a"), 1),
        (("a\n", "b"), 1),
        (("a", "\0"), 1),
        (("a", "b", "c\x1b[2J"), 1),
        (("a", "b", "c\x9b2J"), 1),
        (("", "b"), 1),
        (("x" * 1001, "b"), 1),
        ((NFC, NFD), 10),
        (("a", "\u202eb"), 10),
        (("a", "b", "\u202egpj.exe"), 0),
        (("a", "b", "c\u2028    verdict: L0, L1"), 0),
        (("a", "b", "\u2066\u05d0\u0301\u0301\u0301"), 0),
        (("a", "b", NFD), 0),
        (("a", "b", "x" * 55 + " verdict: L0, L1"), 0),
    ],
    ids=range(15),
)
def test_names_that_look_like_others_or_like_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], names: tuple[str, ...], step: int
) -> None:
    """Texts of the run's are escaped in both reports (which `said` looks for), and two spellings of
    one name are two names."""
    run = named(*names)  # the model's files have the names that they had: step 10 sees it
    folder = run.write(tmp_path)
    status, report = said(capsys, folder)
    if step == 0:
        assert (status, step_of(report)) == (FAILED, 10)
        run.model = {}
        run.name_model()
        (folder / "model").rename(tmp_path.parent / f"{tmp_path.name}-model")
        status, report = said(capsys, run.write(folder))
        assert (status, step_of(report)) == (SHOWN, 0)
        assert not any(line.strip().startswith("verdict") for line in "\n".join(report["limits"]).split("\n"))
    else:
        assert (status, step_of(report)) == (FAILED, step)


@pytest.mark.parametrize(
    "escape", [b"\\ud800", b"\\udfff\\ud800", b"\\u0000", b"\\ud83d\\ude00", b"\xed\xa0\x80", b"\xff", b"\xc0\x80"]
)
def test_a_name_that_no_writer_spells(tmp_path: Path, escape: bytes) -> None:
    run = honest("none")
    leaves = run.leaves()
    header = leaves[0].replace(b"norm.running_mean", escape)
    assert header != leaves[0]
    report = look(written(run, tmp_path, [header, *leaves[1:]]), LOG_POLICY)
    assert report.failure is not None
    assert (report.failure.step, report.failure.record) == (1, 0)


# ---- decimals and schedules

DIGITS = "1" * 10**6
TEXTS: dict[str, tuple[str, str, set[int]]] = {
    "10^6 digits": ("lr", DIGITS, {1}),
    "10^6 digits behind the point": ("lr", "0." + DIGITS, {1}),
    "83 characters": ("lr", "0." + "0" * 80 + "1", {1}),
    "a huge exponent": ("lr", "1e999999999", {1}),
    "a tiny exponent": ("lr", "1e-999999999", {1}),
    "the smallest decimal": ("lr", "1e-400", {0}),
    "below the smallest": ("lr", "1e-401", {1}),
    "minus zero": ("lr", "-0", {1}),
    "nan": ("lr", "nan", {1}),
    "infinity": ("lr", "Infinity", {1}),
    "Arabic digits": ("lr", "\u0660.\u0661", {1}),
    "a superscript": ("lr", "\u00b2", {1}),
    "full-width digits": ("lr", "\uff11", {1}),
    "a fraction": ("lr", "1/3", {1}),
    "hexadecimal": ("lr", "0x1p-3", {1}),
    "an underscore": ("lr", "1_0", {1}),
    "nothing": ("lr", "", {1}),
    "a beta next to 0": ("beta1", "1e-400", {0}),
    "a beta of 80 digits": ("beta2", "0." + "9" * 78, {1}),
    "a beta of 1": ("beta1", "1", {1}),
    "a beta above 1": ("beta2", "1e399", {1}),
    "a huge eps": ("eps", "1e399", {1}),
    "a tiny eps": ("eps", "1e-400", {0}),
    "a huge lr": ("lr", "1e399", {5}),
}


@pytest.mark.parametrize("name", TEXTS)
def test_decimals_are_exact_or_refused_and_cost_nothing(tmp_path: Path, name: str) -> None:
    hyper, text, steps = TEXTS[name]
    run = honest("none")
    group = tuple((key, text if key == hyper else value) for key, value in run.header.groups[0].hyper)
    run.edit_header(groups=(replace(run.header.groups[0], hyper=group),))
    folder = run.write(tmp_path)
    with within(2**26):
        report = look(folder, LOG_POLICY)
    assert (0 if report.failure is None else report.failure.step) in steps, str(report.failure)
    assert len(report.text()) < 20_000


@pytest.mark.parametrize("name", [name for name, (key, _, steps) in TEXTS.items() if key == "lr" and steps != {0}])
def test_a_recorded_rate_is_a_decimal_too(tmp_path: Path, name: str) -> None:
    run = honest("none", schedule="recorded")
    run.segments[1] = replace(run.segments[1], lr=(("0.01",), (TEXTS[name][1],), ("0.01",)))
    folder = run.write(tmp_path)
    with within(2**26):
        report = look(folder, LOG_POLICY)
    assert report.failure is not None
    assert report.failure.step in (1, 5)
    assert report.failure.record == 3


SCHEDULES: dict[str, tuple[str, set[int]]] = {
    "the longest warm-up": ("constant,warm_up=1099511627776", {0}),
    "a longer warm-up": ("constant,warm_up=1099511627777", {1}),
    "a warm-up of 2^64": ("constant,warm_up=18446744073709551616", {1}),
    "the slowest fall": ("step:every=1,factor=0.999999999", {0}),
    "the slowest fall after the longest warm-up": ("step:every=1,factor=0.999999999,warm_up=1099511627776", {0}),
    "the slowest cosine": ("cosine:steps=1099511627776,end=0.999999999", {0}),
    "a superscript": ("linear:steps=\u00b2,end=0", {1}),
    "Arabic digits": ("linear:steps=\u0663,end=0", {1}),
    "an empty number": ("linear:steps=,end=0", {1}),
    "an empty end": ("linear:steps=3,end=", {1}),
    "no options": ("linear:", {1}),
    "empty options": ("linear:,,,", {1}),
    "an option twice": ("linear:steps=3,steps=3,end=0", {1}),
    "an option too many": ("constant,end=0", {1}),
    "options in another order": ("linear:end=0,steps=3", {1}),
    "capitals": ("LINEAR:steps=3,end=0", {1}),
    "a blank": ("linear: steps=3,end=0", {1}),
    "commas alone": ("constant" + "," * 100, {1}),
    "a long text": ("linear:steps=3,end=0." + "0" * 10**6, {1}),
    "a long number": ("linear:steps=" + "9" * 180 + ",end=0", {1}),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_are_cheap_or_refused(tmp_path: Path, name: str) -> None:
    text, steps = SCHEDULES[name]
    run = honest("none")
    run.edit_header(schedule=text)
    folder = run.write(tmp_path)
    with within(2**26):
        report = look(folder, LOG_POLICY)
    assert (0 if report.failure is None else report.failure.step) in steps, str(report.failure)


# ---- JSON


def reordered(leaf: bytes) -> bytes:
    value = json.loads(leaf)
    return json.dumps(dict(reversed(value.items())), separators=(",", ":"), ensure_ascii=False).encode()


JSON: dict[str, Callable[[bytes], bytes]] = {
    "a byte order mark": lambda leaf: b"\xef\xbb\xbf" + leaf,
    "a carriage return": lambda leaf: leaf + b"\r",
    "a blank before": lambda leaf: b" " + leaf,
    "a blank after": lambda leaf: leaf + b" ",
    "a tab within": lambda leaf: leaf.replace(b",", b",\t", 1),
    "another order": reordered,
    "a field twice": lambda leaf: leaf[:-1] + b',"type":' + json.dumps(json.loads(leaf)["type"]).encode() + b"}",
    "a field twice, by an escape": lambda leaf: b'{"\\u0074ype":"header",' + leaf[1:],
    "an unknown field": lambda leaf: encode({**json.loads(leaf), "note": "x"}),
    "an unknown field of a megabyte": lambda leaf: encode({**json.loads(leaf), "note": "x" * 2**20}),
    "an array around it": lambda leaf: b"[" + leaf + b"]",
    "deep arrays in it": lambda leaf: leaf[:-1] + b',"x":' + b"[" * 10**5 + b"]" * 10**5 + b"}",
    "a deep array in its place": lambda leaf: b"[" * 10**6,
    "deep objects in its place": lambda leaf: b'{"a":' * 10**5,
    "nothing": lambda leaf: b"",
    "null": lambda leaf: b"null",
    "a comment": lambda leaf: leaf + b"//",
    "two values": lambda leaf: leaf + leaf,
    "a torn value": lambda leaf: leaf[:-1],
    "NUL": lambda leaf: leaf + b"\0",
    "UTF-16": lambda leaf: leaf.decode().encode("utf-16"),
    "an open string": lambda leaf: b'{"type":"' + b"\\" * 10**6,
}


@pytest.mark.parametrize("name", JSON)
@pytest.mark.parametrize("record", [0, 2], ids=["header", "segment"])
def test_a_record_has_one_form(tmp_path: Path, name: str, record: int) -> None:
    run = honest("none")
    leaves = run.leaves()
    changed = JSON[name](leaves[record])
    report = look(written(run, tmp_path, [*leaves[:record], changed, *leaves[record + 1 :]]), LOG_POLICY)
    assert report.failure is not None
    assert (report.failure.step, report.failure.record) == (1, record), str(report.failure)
    assert len(str(report.failure)) < 2000


def test_empty_lines_are_records_that_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = honest("none")
    leaves = run.leaves()
    for index, changed in enumerate([[b"", *leaves], [*leaves[:3], b"", *leaves[3:]], [*leaves, b""], [b""] * 3]):
        status, report = said(capsys, written(run, tmp_path / str(index), changed))
        assert (status, step_of(report)) == (FAILED, 1)
    # Not under the checkpoint: they don't exist.
    folder = run.write(tmp_path / "after")
    with (folder / "log/records.jsonl").open("ab") as file:
        file.write(b"\n" * 1000)
    status, report = said(capsys, folder)
    assert (status, step_of(report)) == (SHOWN, 0)
    assert said(capsys, folder, "--key", run.header.keys[0])[0] == LESS  # L1 is not reached, as without them
