"""Texts of graphs, from the numbers of their units."""

from collections.abc import Sequence

KINDS = {"cross-entropy": "class", "logistic": "class", "mse": "value"}


def text(
    features: int,
    hidden: Sequence[int],
    outputs: int,
    loss: str = "cross-entropy",
    *,
    bias: bool = True,
    skip: bool = False,
) -> str:
    """The text of a network of full layers: `hidden` ReLU layers, `outputs` outputs (the zero class
    of "logistic" comes on top). `skip`: the outputs take the features, too."""
    lines = ["zk-autograd/graph/v1", f"feature {features}", "constant 1", *(f"relu {n}" for n in hidden)]
    layers = []  # first unit, count
    at = features + 1
    for count in hidden:
        layers.append((at, count))
        at += count
    if loss == "logistic":
        lines.append("zero-class 1")
        at += 2
    lines.append(f"{KINDS[loss]} {outputs}")
    layers.append((at + 1, outputs))
    at += 2 * outputs
    if loss != "mse":
        lines.append("close 1")
        at += 1
    lines.append(f"pad {(1 << at.bit_length()) - at}")
    tensors, offset = [], 0
    source = (0, features)
    for number, (first, count) in enumerate(layers):
        sources = [source, (0, features)] if skip and number == len(layers) - 1 and number else [source]
        for a, width in sources:
            tensors.append(f"weight {a} {first} {count} {width} {offset}")
            offset += width * count
        if bias:
            tensors.append(f"bias {features} {first} {count} 1 {offset}")
            offset += count
        source = (first, count)
    return "".join(f"{line}\n" for line in lines + tensors)
