from hashlib import sha256

import numpy as np
import pytest
import torch

from zk_autograd.core.errors import UsageError
from zk_autograd.core.formats import dequantize_weight
from zk_autograd.optim.parameters import Manifest, collect, unproved_tensors

pytestmark = pytest.mark.torch


def test_weights_are_read_and_written_in_c_order_whatever_the_memory_is() -> None:
    values = torch.arange(24, dtype=torch.float32).reshape(1, 2, 3, 4)
    tensor = torch.nn.Parameter(values.clone().to(memory_format=torch.channels_last))
    groups, _ = collect([("a", tensor), ("b", torch.nn.Parameter(torch.tensor(7.0)))])
    manifest = Manifest.of(groups)
    assert [(p.shape, p.offset, p.size) for p in manifest.parameters] == [((1, 2, 3, 4), 0, 24), ((), 24, 1)]
    np.testing.assert_array_equal(manifest.weights() >> 32, [*range(24), 7])
    manifest.write(2 * manifest.weights())
    assert torch.equal(tensor, 2 * values)


@pytest.mark.parametrize("value", [-0.0, 2.0**-149])
def test_smallest_change_of_a_weight_is_seen(value: float) -> None:
    tensor = torch.nn.Parameter(torch.zeros(2))
    manifest = Manifest.of(collect([("a", tensor)])[0])
    written = dequantize_weight(manifest.weights())
    manifest.write(manifest.weights())
    assert manifest.changed(written) is None
    with torch.no_grad():
        tensor[1] = value
    assert manifest.changed(written) == "a"


def test_written_weights_tell_autograd_that_they_changed() -> None:
    tensor = torch.nn.Parameter(torch.ones(1))
    square = (tensor * tensor).sum()
    manifest = Manifest.of(collect([("a", tensor)])[0])
    manifest.write(manifest.weights())
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        square.backward()


def test_unproved_tensors_of_any_type_have_a_digest_of_their_values() -> None:
    model = torch.nn.Module()
    for name, buffer in (
        ("bfloat", torch.tensor([1.0, 2.0], dtype=torch.bfloat16)),
        ("flag", torch.tensor(True)),
        ("complex", torch.tensor([1 + 2j])),
        ("transposed", torch.arange(6).reshape(2, 3).T),
        ("empty", torch.zeros(0)),
    ):
        model.register_buffer(name, buffer)
    model.trained, model.other = torch.nn.Parameter(torch.ones(1)), torch.nn.Parameter(torch.ones(1))
    frozen = torch.nn.Parameter(torch.ones(2), requires_grad=False)
    listed = {u.name: u for u in unproved_tensors(model, [model.trained], [("mine", frozen)])}
    assert list(listed) == ["bfloat", "flag", "complex", "transposed", "empty", "other", "mine"]
    assert listed["bfloat"].digest == sha256(bytes([0x80, 0x3F, 0x00, 0x40])).digest()
    assert listed["flag"].digest == sha256(b"\x01").digest()
    assert listed["transposed"].digest == sha256(np.array([0, 3, 1, 4, 2, 5], "<i8").tobytes()).digest()
    assert listed["empty"].digest == sha256(b"").digest()
    assert (listed["mine"].kind, listed["other"].kind, listed["flag"].kind) == ("frozen", "frozen", "buffer")
    assert listed["complex"].dtype == "complex64"


def test_unproved_tensors_of_any_memory_have_a_digest_of_their_values() -> None:
    model = torch.nn.Module()
    for name, buffer in (
        ("expanded", torch.ones(1).expand(3)),
        ("one", torch.arange(4.0)[1::2][:1]),
        ("conjugate", torch.tensor([1 + 2j]).conj()),
        ("imaginary", torch.tensor([1 + 2j]).conj().imag),
    ):
        model.register_buffer(name, buffer)
    digests = [u.digest for u in unproved_tensors(model, [], [])]
    values = ([1, 1, 1], [1], [1, -2], [-2])
    assert digests == [sha256(np.array(v, "<f4").tobytes()).digest() for v in values]


def test_unproved_tensor_that_a_step_would_move_is_refused() -> None:
    memory = torch.zeros(8)
    trained = torch.nn.Parameter(memory[2:6])
    around = [torch.nn.Parameter(torch.ones(100)) for _ in range(20)]
    for beside in (memory[:2], memory[6:], memory[3:3], torch.zeros(4)):
        model = torch.nn.Module()
        model.register_buffer("beside", beside)
        assert len(unproved_tensors(model, [trained], [])) == 1
    for view in (memory[2:6], memory[:3], memory[5:], memory, memory[3:4], memory[5:6].expand(3)):
        model = torch.nn.Module()
        model.register_buffer("view", view)
        with pytest.raises(UsageError, match="the buffer view shares memory with a trained parameter: clone it"):
            unproved_tensors(model, [*around, trained], [])
        frozen = torch.nn.Parameter(view, requires_grad=False)
        with pytest.raises(UsageError, match="the frozen parameter mine shares memory with a trained parameter"):
            unproved_tensors(None, [trained], [("mine", frozen)])


@pytest.mark.parametrize("buffer", [torch.eye(2).to_sparse(), torch.zeros(2, device="meta")], ids=["sparse", "meta"])
def test_unproved_tensor_without_dense_values_is_refused(buffer: torch.Tensor) -> None:
    model = torch.nn.Module()
    model.register_buffer("odd", buffer)
    with pytest.raises(UsageError, match=r"the buffer odd holds no dense values \(layout"):
        unproved_tensors(model, [], [])
