"""Step 10: the published weights are the proved ones, in form and value."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

from tests.verify.run_builder import POLICY, Run, files_of, honest, judge, refused
from zk_autograd.core.canonical import encode
from zk_autograd.verify import model
from zk_autograd.verify.outcome import Status, Step

I64, F32, OPENING = "weights.i64.safetensors", "weights.f32.safetensors", "opening.json"
RECORD = 5


@pytest.fixture(params=["none", "ezkl"])
def run(request: pytest.FixtureRequest) -> Run:
    return honest(request.param)


def test_step10_model_opens_the_final_commitment(run: Run, tmp_path: Path) -> None:
    finding = judge(run, tmp_path).findings[Step.MODEL]
    assert finding.status is Status.PASSED
    assert "the integers open the final commitment of W" in finding.sentences


# ---- which files


@pytest.mark.parametrize("name", [I64, F32, OPENING])
def test_step10_close_record_leaves_a_file_out(run: Run, tmp_path: Path, name: str) -> None:
    del run.model[name]
    run.name_model()
    refused(judge(run, tmp_path), 10, "does not name exactly the files of a model", record=RECORD)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "../escape", "/etc/passwd", ""])
def test_step10_close_record_names_another_file(run: Run, tmp_path: Path, name: str) -> None:
    assert run.close is not None
    run.close = replace(run.close, model=tuple(sorted((*run.close.model, (name, bytes(32))))))
    refused(judge(run, tmp_path), 10, "does not name exactly the files of a model", record=RECORD)


@pytest.mark.parametrize("name", [I64, F32, OPENING])
def test_step10_folder_lacks_a_file(run: Run, tmp_path: Path, name: str) -> None:
    del run.model[name]
    refused(judge(run, tmp_path), 10, f"{name} can't be read: No such file", record=RECORD)


def test_step10_folder_is_missing_or_a_link(run: Run, tmp_path: Path) -> None:
    files, run.model = run.model, {}
    refused(judge(run, tmp_path / "missing"), 10, "model can't be read: No such file", record=RECORD)
    for name, data in files.items():
        (tmp_path / "elsewhere").mkdir(exist_ok=True)
        (tmp_path / "elsewhere" / name).write_bytes(data)
    (tmp_path / "link").mkdir()
    (tmp_path / "link/model").symlink_to(tmp_path / "elsewhere")
    refused(judge(run, tmp_path / "link"), 10, "can't be read", record=RECORD)


@pytest.mark.parametrize("name", [I64, F32, OPENING])
def test_step10_file_is_not_the_published_one(run: Run, tmp_path: Path, name: str) -> None:
    run.model[name] += b" "
    refused(judge(run, tmp_path), 10, f"{name} does not match the close record", record=RECORD)


@pytest.mark.parametrize("name", [I64, F32])
def test_step10_files_have_a_bound(run: Run, tmp_path: Path, name: str) -> None:
    run.model[name] += bytes(2**21)
    run.name_model()
    refused(judge(run, tmp_path), 10, "too large", record=RECORD)


def test_step10_models_have_a_bound(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "MAX_PARAMETERS", 5)
    refused(judge(run, tmp_path), 10, "too large to be opened", record=RECORD)


# ---- which values


def republish(run: Run, weights: Any, salts: list[bytes] | None = None) -> None:
    run.model = files_of(run.header, weights, salts or run.salts)
    run.name_model()


@pytest.mark.parametrize("place", range(6))
def test_step10_one_weight_is_another_by_one_unit(run: Run, tmp_path: Path, place: int) -> None:
    weights = run.weights.copy()
    weights[place] += 1
    republish(run, weights)
    block = 0 if place < 4 else 1
    refused(judge(run, tmp_path), 10, f"the weights of block {block} don't open", record=RECORD)


def test_step10_opening_with_another_salt(run: Run, tmp_path: Path) -> None:
    republish(run, run.weights, [run.salts[0], run.salts[0]])
    refused(judge(run, tmp_path), 10, "the weights of block 1 don't open", record=RECORD)


def test_step10_weight_that_no_step_gives(run: Run, tmp_path: Path) -> None:
    tensors = {k: v.copy() for k, v in load(run.model[I64]).items()}
    tensors["layer.bias"][0] = -(2**63)
    run.model[I64] = save(tensors)
    run.name_model()
    refused(judge(run, tmp_path), 10, "holds a value that no step produces", record=RECORD)


@pytest.mark.parametrize("value", [1.0, np.nan, np.inf, -0.0])
def test_step10_float_that_is_not_the_rounding(run: Run, tmp_path: Path, value: float) -> None:
    tensors = {k: v.copy() for k, v in load(run.model[F32]).items()}
    tensors["layer.bias"][1] = value
    run.model[F32] = save(tensors)
    run.name_model()
    refused(
        judge(run, tmp_path),
        10,
        "is not the rounding of weights.i64.safetensors: 'layer.bias', element 1",
        record=RECORD,
    )


def test_step10_float_next_to_the_rounding(run: Run, tmp_path: Path) -> None:
    tensors = {k: v.copy() for k, v in load(run.model[F32]).items()}
    flat = tensors["layer.weight"].reshape(-1)
    flat[2] = np.nextafter(flat[2], np.float32(0))
    run.model[F32] = save(tensors)
    run.name_model()
    refused(judge(run, tmp_path), 10, "'layer.weight', element 2", record=RECORD)


def test_step10_negative_zero_is_not_the_rounding_of_zero(tmp_path: Path) -> None:
    """-0.0 is equal to 0.0, and a network can tell them apart."""
    run = honest("none")
    weights = run.weights.copy()
    weights[5] = 0
    republish(run, weights)
    tensors = {k: v.copy() for k, v in load(run.model[F32]).items()}
    tensors["layer.bias"][1] = -0.0
    run.model[F32] = save(tensors)
    run.name_model()
    refused(judge(run, tmp_path), 10, "'layer.bias', element 1", record=RECORD)


# ---- which form


def drop(tensors: dict[str, Any]) -> None:
    del tensors["layer.bias"]


def add(tensors: dict[str, Any]) -> None:
    tensors["norm.running_mean"] = np.zeros(2, np.float32)


def add_empty(tensors: dict[str, Any]) -> None:
    tensors["empty"] = np.zeros(0, np.int64)


def rename(tensors: dict[str, Any]) -> None:
    tensors["layer.Bias"] = tensors.pop("layer.bias")


@pytest.mark.parametrize("name", [I64, F32])
@pytest.mark.parametrize("change", [drop, add, add_empty, rename])
def test_step10_other_tensors_than_the_manifest(
    run: Run, tmp_path: Path, name: str, change: Callable[[dict[str, Any]], None]
) -> None:
    tensors = load(run.model[name])
    change(tensors)
    run.model[name] = save(tensors)
    run.name_model()
    refused(judge(run, tmp_path), 10, f"{name} does not have the tensors of the header's manifest", record=RECORD)


@pytest.mark.parametrize("name", [I64, F32])
def test_step10_another_shape_or_type(run: Run, tmp_path: Path, name: str) -> None:
    changes: list[Callable[[Any], Any]] = [
        lambda a: a.reshape(4),
        lambda a: a.view(np.uint8),
        lambda a: a.reshape(1, 2, 2),
    ]
    for i, change in enumerate(changes):
        tensors = load(files_of(run.header, run.weights, run.salts)[name])
        tensors["layer.weight"] = change(tensors["layer.weight"])
        run.model[name] = save(tensors)
        run.name_model()
        refused(
            judge(run, tmp_path / str(i)), 10, f"{name} has the wrong type or shape for 'layer.weight'", record=RECORD
        )


def test_step10_same_bits_under_another_type(run: Run, tmp_path: Path) -> None:
    """What is opened as int64 must be declared as int64: a loader would see other numbers."""
    for name, other in ((I64, np.uint64), (I64, np.float64), (F32, np.int32)):
        republish(run, run.weights)
        run.model[name] = save({k: v.view(other) for k, v in load(run.model[name]).items()})
        run.name_model()
        refused(judge(run, tmp_path / other.__name__), 10, "the wrong type or shape", record=RECORD)


def safetensors(header: str, data: bytes) -> bytes:
    return len(header).to_bytes(8, "little") + header.encode() + data


def test_step10_one_name_twice(run: Run, tmp_path: Path) -> None:
    """The library takes the last of two entries, other readers the first: the same file would be
    two models."""
    data = run.weights.tobytes()
    entries = [
        '"layer.weight":{"dtype":"I64","shape":[4],"data_offsets":[0,32]}',
        '"layer.bias":{"dtype":"I64","shape":[2],"data_offsets":[32,48]}',
        '"layer.weight":{"dtype":"I64","shape":[2,2],"data_offsets":[0,32]}',
    ]
    run.model[I64] = safetensors("{" + ",".join(entries) + "}", data)
    assert load(run.model[I64])["layer.weight"].shape == (2, 2)
    run.name_model()
    refused(judge(run, tmp_path), 10, "a name occurs twice", record=RECORD)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff" * 100,
        safetensors("{}", b"x"),
        safetensors("[" * 1000, b""),
        safetensors('{"layer.weight":{"dtype":"BF16","shape":[4],"data_offsets":[0,8]}}', bytes(8)),
        safetensors('{"layer.weight":{"dtype":"I64","shape":[18446744073709551615,2],"data_offsets":[0,8]}}', bytes(8)),
        safetensors('{"layer.weight":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}', b"short"),
    ],
)
@pytest.mark.parametrize("name", [I64, F32])
def test_step10_no_safetensors_file(run: Run, tmp_path: Path, name: str, data: bytes) -> None:
    run.model[name] = data
    run.name_model()
    refused(judge(run, tmp_path), 10, f"{name} is not a safetensors file", record=RECORD)


def with_header(data: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    change(header)
    text = json.dumps(header, separators=(",", ":"))
    return safetensors(text + " " * (-len(text) % 8), data[8 + length :])


EXTRAS: dict[str, Callable[[dict[str, Any]], object]] = {
    "metadata": lambda h: h.update(__metadata__={"format": "pt", "auto_map": "evil"}),
    "empty metadata": lambda h: h.update(__metadata__={}),
    "a field of an entry": lambda h: h["layer.bias"].update(loader="evil"),
}


@pytest.mark.parametrize("name", [I64, F32])
@pytest.mark.parametrize("extra", EXTRAS)
def test_step10_what_is_no_tensor_in_published_weights_is_refused(
    run: Run, tmp_path: Path, name: str, extra: str
) -> None:
    run.model[name] = with_header(run.model[name], EXTRAS[extra])
    assert load(run.model[name]).keys() == {"layer.weight", "layer.bias"}  # the library takes it
    run.name_model()
    words = "has metadata" if "metadata" in extra else "has a malformed entry, 'layer.bias'"
    refused(judge(run, tmp_path), 10, f"{name} {words}", record=RECORD)


@pytest.mark.parametrize("name", [I64, F32])
def test_step10_order_of_tensors_and_fields_is_free(run: Run, tmp_path: Path, name: str) -> None:
    def reorder(header: dict[str, Any]) -> None:
        items = [(key, dict(reversed(list(value.items())))) for key, value in reversed(list(header.items()))]
        header.clear()
        header.update(items)

    run.model[name] = with_header(run.model[name], reorder)
    run.name_model()
    assert judge(run, tmp_path).findings[Step.MODEL].status is Status.PASSED


def opening(run: Run, **changes: Any) -> dict[str, Any]:
    return {"format": "zk-autograd/opening/v0", "W": [salt.hex() for salt in run.salts], **changes}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda run: encode(opening(run, format="zk-autograd/opening/v1")), "opening.json.format"),
        (lambda run: encode(opening(run, W=[run.salts[0].hex()])), "opening.json.W"),
        (lambda run: encode(opening(run, W=[salt.hex() for salt in run.salts] * 2)), "opening.json.W"),
        (lambda run: encode(opening(run, W=[salt.hex()[2:] for salt in run.salts])), "opening.json.W[0]"),
        (lambda run: encode(opening(run, M=[])), "unknown fields"),
        (lambda run: encode({"format": "zk-autograd/opening/v0"}), "opening.json.W is missing"),
        (lambda run: encode([]), "opening.json is invalid"),
        (lambda run: json.dumps(opening(run)).encode(), "not canonical JSON"),
        (lambda run: b"{", "not canonical JSON"),
    ],
    ids=[
        "version",
        "too few",
        "too many",
        "short salts",
        "unknown field",
        "no salts",
        "an array",
        "white space",
        "no JSON",
    ],
)
def test_step10_opening_of_another_form(run: Run, tmp_path: Path, change: Callable[[Run], bytes], message: str) -> None:
    run.model[OPENING] = change(run)
    run.name_model()
    refused(judge(run, tmp_path), 10, message, record=RECORD)


# ---- what is not there


def test_step10_not_published(run: Run, tmp_path: Path) -> None:
    run.model = {}
    run.name_model()
    finding = judge(run, tmp_path).findings[Step.MODEL]
    assert (finding.status, finding.sentences) == (Status.ABSENT, ("not published: the close record names no model",))


def test_step10_without_an_allowed_srs_the_weights_are_not_opened(tmp_path: Path) -> None:
    run = honest()
    policy = replace(POLICY, srs=frozenset())
    finding = judge(run, tmp_path / "honest", policy).findings[Step.MODEL]
    assert finding.status is Status.NOT_SHOWN
    run.model[I64] += b" "
    refused(judge(run, tmp_path / "changed", policy), 10, "does not match the close record", record=RECORD)
