"""Published files that a trainer named in the close record and no trainer writes: safetensors,
openings, hashes and names."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

from tests.verify.hostile import FAILED, LESS, SHOWN, said, step_of, within
from tests.verify.run_builder import LOG_POLICY, Run, honest, judge
from tests.verify.test_artefacts import contents_of
from tests.verify.test_artefacts import name as name_artefacts
from zk_autograd.core.canonical import encode
from zk_autograd.prove.hashed.commitment import commit

I64, F32, OPENING = "weights.i64.safetensors", "weights.f32.safetensors", "opening.json"
CLOSE = 5


@pytest.fixture
def run() -> Run:
    return honest("none")


def file(header: Any, data: bytes) -> bytes:
    """A safetensors file with this header, which may be a text."""
    text = header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":")).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(shape: Any, start: Any, end: Any, dtype: str = "I64") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def weights(first: Any, second: Any, more: bytes = b"", extra: bytes = b"") -> Callable[[Run], bytes]:
    """A file of the run's two tensors with these entries, over the run's own bytes and perhaps
    more."""

    def make(run: Run) -> bytes:
        text = json.dumps({"layer.weight": first, "layer.bias": second}, separators=(",", ":")).encode()
        return file(text[:-1] + extra + b"}", run.weights.tobytes() + more)

    return make


W, B = entry([2, 2], 0, 32), entry([2], 32, 48)

FILES: dict[str, Callable[[Run], bytes]] = {
    "nothing": lambda run: b"",
    "seven bytes": lambda run: bytes(7),
    "a header of 0 bytes": lambda run: bytes(8) + run.weights.tobytes(),
    "a header of 2^64 - 1 bytes": lambda run: b"\xff" * 8 + run.model[I64][8:],
    "a header of 2^63 bytes": lambda run: (2**63).to_bytes(8, "little") + run.model[I64][8:],
    "a header beyond the file": lambda run: (len(run.model[I64]) - 7).to_bytes(8, "little") + run.model[I64][8:],
    "a header up to the file's end": lambda run: (len(run.model[I64]) - 8).to_bytes(8, "little") + run.model[I64][8:],
    "overlapping tensors": weights(W, entry([2], 16, 32)),
    "tensors over the same bytes": weights(W, entry([2], 0, 16)),
    "a gap between tensors": weights(W, entry([2], 40, 56), bytes(8)),
    "a tensor beyond the file": weights(W, entry([2], 48, 64)),
    "a tensor that ends before it begins": weights(W, entry([2], 48, 32)),
    "tensors exchanged": weights(entry([2, 2], 16, 48), entry([2], 0, 16)),
    "bytes after the last": weights(W, B, bytes(8)),
    "bytes before the first": weights(entry([2, 2], 8, 40), entry([2], 40, 56), bytes(8)),
    "a shape of 2^64": weights(entry([2**64], 0, 32), B),
    "a shape of 2^64 - 1 and 2": weights(entry([2**64 - 1, 2], 0, 32), B),
    "a shape of 2^32 twice": weights(entry([2**32, 2**32], 0, 0), entry([2], 0, 16)),
    "a shape of 2^62 by 4": weights(entry([2**62, 4], 0, 32), B),
    "a shape of -2": weights(entry([-2, -2], 0, 32), B),
    "a shape of 2.0": weights(entry([2.0, 2], 0, 32), B),
    "a shape of true": weights(entry([True, 4], 0, 32), B),
    "65 axes": weights(entry([1] * 63 + [2, 2], 0, 32), B),
    "1000 axes": weights(entry([1] * 998 + [2, 2], 0, 32), B),
    "no axes": weights(entry([], 0, 8), entry([2], 8, 24)),
    "another order of axes": weights(entry([4], 0, 32), B),
    "an axis of 0": weights(entry([0, 2], 0, 0), entry([2], 0, 16)),
    "offsets of 2^64": weights(entry([2, 2], 0, 2**64), B),
    "three offsets": weights({**W, "data_offsets": [0, 16, 32]}, B),
    "no offsets": weights({"dtype": "I64", "shape": [2, 2]}, B),
    "no type": weights({"shape": [2, 2], "data_offsets": [0, 32]}, B),
    "no shape": weights({"dtype": "I64", "data_offsets": [0, 32]}, B),
    "an entry that is none": weights([], B),
    "an entry of null": weights(None, B),
    "one name twice": weights(W, B, extra=b',"layer.weight":{"dtype":"I64","shape":[2,2],"data_offsets":[0,32]}'),
    "a tensor too many": weights(W, B, bytes(8), b',"x":{"dtype":"I64","shape":[1],"data_offsets":[48,56]}'),
    "an empty tensor too many": weights(W, B, b"", b',"x":{"dtype":"I64","shape":[0],"data_offsets":[48,48]}'),
    "a name that leads out": weights(W, B, b"", b',"../../x":{"dtype":"I64","shape":[0],"data_offsets":[48,48]}'),
    "a header that is an array": lambda run: file([], b""),
    "a header of white space": lambda run: file(b" " * 100, b""),
    "an empty header": lambda run: file({}, b""),
    "a deep header": lambda run: file(b'{"a":' * 10**5, b""),
    "a deep shape": weights({**W, "shape": json.loads("[" * 500 + "]" * 500)}, B),
    "a header of brackets": lambda run: file(b"[" * 10**6, b""),
    "a header that is no UTF-8": lambda run: file(b'{"\xff":{}}', b""),
    "a header with a surrogate": lambda run: file(b'{"\\ud800":{"dtype":"I64","shape":[0],"data_offsets":[0,0]}}', b""),
    "a pickle": lambda run: b"\x80\x04\x95" + bytes(100),
    "a zip": lambda run: b"PK\3\4" + bytes(100),
    **{
        f"the type {dtype}": weights({**W, "dtype": dtype}, B)
        for dtype in ("BOOL", "U8", "I8", "U16", "F16", "BF16", "I32", "U32", "F32", "F8_E4M3", "U64", "F64", "i64", "", "I128")
    },
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_weights_has_one_meaning(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    run.model[I64] = FILES[name](run)
    run.name_model()
    folder = run.write(tmp_path)
    with within(2**26):
        status, report = said(capsys, folder)
    assert (status, step_of(report)) == (FAILED, 10), report["failure"]
    assert report["failure"]["record"] == CLOSE
    assert len(json.dumps(report["failure"])) < 4000


def test_the_files_above_are_made_as_the_writer_makes_them(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run.model[I64] = weights(W, B)(run)
    run.name_model()
    assert said(capsys, run.write(tmp_path))[0] == SHOWN


@pytest.mark.parametrize("value", [2**45, -(2**45), 2**45 + 1, 2**53 + 1, 2**63 - 1, -(2**63), 1 - 2**63])
@pytest.mark.parametrize("place", ["layer.weight", "layer.bias"])
def test_an_integer_that_no_weight_is(run: Run, tmp_path: Path, value: int, place: str) -> None:
    for floats in (False, True):
        tensors = {k: v.copy() for k, v in load(run.model[I64]).items()}
        tensors[place].flat[-1] = value
        run.model[I64] = save(tensors)
        if floats:  # what a reader of floats would round it to
            run.model[F32] = save({k: (v.astype(np.float64) * 2.0**-32).astype(np.float32) for k, v in tensors.items()})
        run.name_model()
        report = judge(run, tmp_path / str(floats), LOG_POLICY)
        assert report.failure is not None
        assert (report.failure.step, report.failure.record) == (10, CLOSE)


@pytest.mark.parametrize(
    "bits", [0x7FC00000, 0x7F800001, 0xFFFFFFFF, 0x7F800000, 0xFF800000, 0x80000000, 0x00000001, 0x80000001]
)
def test_a_float_that_is_no_rounding_of_its_integer(run: Run, tmp_path: Path, bits: int) -> None:
    """NaN with any payload, infinities, -0 and the smallest floats: bits are compared."""
    for integer in (0, 1, -1):
        weights = run.weights.copy()
        weights[5] = integer
        flat = {p.name: weights[p.offset : p.offset + p.size].reshape(p.shape) for p in run.header.parameters}
        floats = {k: (v.astype(np.float64) * 2.0**-32).astype(np.float32) for k, v in flat.items()}
        floats["layer.bias"].view(np.uint32)[1] = bits
        run.model[I64], run.model[F32] = save(flat), save(floats)
        run.name_model()
        report = judge(run, tmp_path / str(integer), LOG_POLICY)
        assert report.failure is not None
        assert report.failure.step == 10
        assert "is not the rounding of" in report.failure.message


def test_the_padding_of_a_block_opens_as_zeros(run: Run, tmp_path: Path) -> None:
    """The proofs don't show that elements beyond the model are zero: the opening does, which
    recomputes them as zeros."""
    assert run.close is not None
    block = run.header.blocks[1]
    values = np.concatenate([run.weights[block.offset : block.offset + block.size], [0, 1]])
    for padded, shown in ((values * [1, 1, 1, 0], True), (values, False)):
        state = {**run.close.state, "W": (run.close.state["W"][0], commit(padded, run.salts[1]))}
        run.segments[-1] = replace(run.segments[-1], state_out=state)
        run.close = replace(run.close, state=state)
        report = judge(run, tmp_path / str(shown), LOG_POLICY)
        assert (report.failure is None) == shown
        assert shown or "the weights of block 1 don't open" in str(report.failure)


# ---- opening.json

SALT = "00" * 32
OPENINGS: dict[str, Callable[[Run], bytes]] = {
    "nothing": lambda run: b"",
    "a byte order mark": lambda run: b"\xef\xbb\xbf" + run.model[OPENING],
    "a newline after it": lambda run: run.model[OPENING] + b"\n",
    "white space": lambda run: json.dumps(json.loads(run.model[OPENING])).encode(),
    "another order": lambda run: b'{"format"' + run.model[OPENING].partition(b'"format"')[2][:-1] + b',"W":[]}',
    "an array": lambda run: b"[]",
    "a number": lambda run: b"1",
    "null": lambda run: b"null",
    "no format": lambda run: encode({"W": [salt.hex() for salt in run.salts]}),
    "another format": lambda run: run.model[OPENING].replace(b"/v0", b"/v00"),
    "no salts": lambda run: encode({"format": "zk-autograd/opening/v0"}),
    "salts that are null": lambda run: b'{"W":null,"format":"zk-autograd/opening/v0"}',
    "an object of salts": lambda run: b'{"W":{"0":"' + SALT.encode() + b'"},"format":"zk-autograd/opening/v0"}',
    "a salt too few": lambda run: encode({"W": [run.salts[0].hex()], "format": "zk-autograd/opening/v0"}),
    "a salt too many": lambda run: encode({"W": [s.hex() for s in run.salts] + [SALT], "format": "zk-autograd/opening/v0"}),
    "a million salts": lambda run: encode({"W": [""] * 10**6, "format": "zk-autograd/opening/v0"}),
    "salts in capitals": lambda run: encode({"W": [s.hex().upper() for s in run.salts], "format": "zk-autograd/opening/v0"}),
    "salts in base64": lambda run: encode({"W": ["A" * 44] * 2, "format": "zk-autograd/opening/v0"}),
    "salts of 31 bytes": lambda run: encode({"W": [s.hex()[2:] for s in run.salts], "format": "zk-autograd/opening/v0"}),
    "salts of 256 bytes": lambda run: encode({"W": ["00" * 256] * 2, "format": "zk-autograd/opening/v0"}),
    "salts that are numbers": lambda run: encode({"W": [0, 0], "format": "zk-autograd/opening/v0"}),
    "salts exchanged": lambda run: encode({"W": [s.hex() for s in reversed(run.salts)], "format": "zk-autograd/opening/v0"}),
    "full-width digits": lambda run: encode({"W": ["\uff10" * 64] * 2, "format": "zk-autograd/opening/v0"}),
    "salts of M as well": lambda run: encode({**json.loads(run.model[OPENING]), "M": [SALT] * 2}),
    "the salts twice": lambda run: run.model[OPENING][:-1] + b',"W":[]}',
    "deep": lambda run: b"[" * 10**5,
    "deep salts": lambda run: b'{"W":' + b"[" * 10**5 + b"]" * 10**5 + b',"format":"zk-autograd/opening/v0"}',
}  # fmt: skip


@pytest.mark.parametrize("name", OPENINGS)
def test_an_opening_has_one_form(run: Run, tmp_path: Path, name: str) -> None:
    changed = OPENINGS[name](run)
    assert changed != run.model[OPENING]
    run.model[OPENING] = changed
    run.name_model()
    folder = tmp_path / "run"
    run.write(folder)
    with within(2**27):
        report = judge(run, folder, LOG_POLICY)
    assert report.failure is not None
    assert (report.failure.step, report.failure.record) == (10, CLOSE)
    assert len(str(report.failure)) < 1000


# ---- hashes.json and the files beside it

HASHES: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda data: b"",
    "a byte order mark": lambda data: b"\xef\xbb\xbf" + data,
    "a newline after it": lambda data: data + b"\n",
    "white space": lambda data: data.replace(b",", b", "),
    "an array": lambda data: b"[]",
    "null": lambda data: b"null",
    "another format": lambda data: data.replace(b"hashes/v0", b"hashes/v1"),
    "no format": lambda data: encode({k: v for k, v in json.loads(data).items() if k != "format"}),
    **{
        f"without {name}": lambda data, name=name: encode({k: v for k, v in json.loads(data).items() if k != name})  # type: ignore[misc]
        for name in ("config", "data", "environment", "reproducibility", "weights")
    },
    **{
        f"another {name}": lambda data, name=name: encode({**json.loads(data), name: "00" * 32})  # type: ignore[misc]
        for name in ("config", "data", "environment", "reproducibility", "weights")
    },
    "a short hash": lambda data: encode({**json.loads(data), "data": "00"}),
    "a hash in capitals": lambda data: data.upper(),
    "a hash that is a number": lambda data: encode({**json.loads(data), "data": 0}),
    "a hash that is null": lambda data: data.replace(b'"data":"', b'"data":null,"x":"'),
    "a hash too many": lambda data: encode({**json.loads(data), "model": "00" * 32}),
    "a hash twice": lambda data: data[:-1] + b',"data":"' + b"00" * 32 + b'"}',
    "deep": lambda data: b"[" * 4000,
    "4097 bytes": lambda data: data + b" " * (4097 - len(data)),
}


@pytest.mark.parametrize("name", HASHES)
def test_recorded_hashes_have_one_form(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    contents = contents_of(run)
    changed = {**contents, "hashes.json": HASHES[name](contents["hashes.json"])}
    assert changed != contents
    name_artefacts(run, changed)
    folder = run.write(tmp_path)
    for file, data in changed.items():
        (folder / file).write_bytes(data)
    status, report = said(capsys, folder)
    assert (status, step_of(report)) == (FAILED, 10), report["failure"]


# ---- names in the close record

NAMES = [
    "../x", "../../x", "/etc/passwd", "..", ".", "", "model/x", ".hidden", "a\\b", "a\nb", "a\0b", "\u202ex", "a" * 101, "\u00e9", "W",
    "WEIGHTS.I64.SAFETENSORS", "weights.i64.safetensors ", "weights.i64.safetensors\u200b", "private/header", "log/checkpoint",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_name_in_the_close_record_that_is_no_published_files(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert run.close is not None
    honest_close = run.close
    (_, digest), *others = honest_close.model
    for index, models in enumerate([(*honest_close.model, (name, bytes(32))), (*others, (name, digest))]):
        run.close = replace(honest_close, model=tuple(sorted(models)))
        status, report = said(capsys, run.write(tmp_path / str(index)))
        assert (status, step_of(report)) == (FAILED, 10)
    # As a name of a file of the trainer's own it is a digest of something that is no part of a run,
    # and nothing is looked for.
    run.close = replace(honest_close, artefacts=((name, bytes(32)),))
    status, report = said(capsys, run.write(tmp_path / "artefact"))
    assert status in (SHOWN, LESS, FAILED)
    assert report["failure"] is None or step_of(report) in (1, 10)


@pytest.mark.parametrize("shift", range(0, 100, 3))
def test_a_type_that_is_called_a_verdict_is_none_in_any_line_of_the_report(tmp_path: Path, shift: int) -> None:
    """The safetensors library repeats a type that it doesn't know."""
    run = honest("none")
    kind = "a" * shift + " verdict: L0, L1"
    header = json.dumps({"layer.weight": {"dtype": kind, "shape": [2, 2], "data_offsets": [0, 32]}}).encode()
    run.model[I64] = len(header).to_bytes(8, "little") + header + bytes(32)
    run.name_model()
    report = judge(run, tmp_path, LOG_POLICY)
    assert report.failure is not None
    assert report.failure.step == 10
    assert "verdict: L0" not in report.text()
