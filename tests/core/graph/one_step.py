"""Takes steps whose sums come in another order on another machine, and prints what they give as one
JSON object: digests of the exact steps, and of such as aren't exact.

    python -m tests.core.graph.one_step numpy|cpu|cuda

With torch, on that device, also by 1 and 2 threads: one object each.
"""

import json
import sys
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from tests.core.graph.texts import text
from zk_autograd.core.graph import Pass, require_acceptable
from zk_autograd.core.graph import text as graph_text
from zk_autograd.core.graph.products import Matmul

ONE, UNIT = 2**12, 2**32
Step = tuple[str, NDArray[np.int64], NDArray[np.int32], int, int]
"""A graph's text, W, cells, log2 of the batch, k."""


def steps() -> Iterator[Step]:
    """Of products of several kinds of size, and such as no float64 holds without a split."""
    rng = np.random.default_rng(45)
    mlp = text(784, [300, 100], 10)
    size = graph_text.parse(mlp.encode()).size
    own = np.eye(10, dtype=np.int32)[rng.integers(0, 10, 64)] * ONE
    features = rng.integers(-2 * ONE, 2 * ONE, (64, 784), dtype=np.int32)
    yield mlp, rng.integers(-UNIT // 20, UNIT // 20, size), np.concatenate([features, own], axis=1), 6, -4

    # Two halves that cancel: inputs, and examples.
    inputs = rng.integers(-(2**22) + 1, 2**22, (4, 1500), dtype=np.int32)
    weights = rng.integers(-(2**38), 2**38, (3, 1500))
    cells = np.concatenate([inputs, inputs, rng.integers(-ONE, ONE, (4, 3), dtype=np.int32)], axis=1)
    near = -weights + rng.integers(0, 2**18, (3, 1500))
    yield text(3000, [], 3, "mse", bias=False), np.concatenate([weights, near], axis=1).reshape(-1), cells, 2, -10

    # The sums go to 2^62 and come back, all but for one example; s = 0, so that nothing is rounded.
    inputs = rng.integers(2**22 - 2**12, 2**22, (4095, 40), dtype=np.int32)
    targets = rng.integers(2**20 - 2**12, 2**20, (4095, 3), dtype=np.int32)
    last = np.concatenate([rng.integers(-9, 9, (2, 40)), rng.integers(-ONE, ONE, (2, 3))], axis=1)
    cells = np.concatenate([np.tile(inputs, (2, 1)), np.concatenate([targets, -targets])], axis=1)
    cells = np.concatenate([cells, last]).astype(np.int32)
    yield text(40, [], 3, "mse", bias=False), np.zeros(120, np.int64), cells, 13, 17


def found(matmul: Callable[..., Any]) -> dict[str, Any]:
    """Digests of the exact steps; of the same without the split of sums beyond 2^53; of a product
    in float32."""
    exact = digest(matmul)
    with patch("zk_autograd.core.graph.products.EXACT", float("inf")):
        unsplit = digest(matmul)
    rng = np.random.default_rng(46)
    x, y = (rng.integers(-(2**20), 2**20, shape).astype(np.float32) for shape in ((64, 4096), (4096, 64)))
    return {"exact": exact, "unsplit": unsplit, "float32": sha256(matmul(x, y).tobytes()).hexdigest()}


def digest(matmul: Matmul) -> str:
    """Of all that the steps give: G, loss, outputs."""
    parts = sha256()
    for network, weights, cells, log_batch, k in steps():
        graph = graph_text.parse(network.encode())
        require_acceptable(graph, graph.size)
        own = Pass(graph, matmul=matmul)
        G, loss = own.step(weights, cells, 2**log_batch, log_batch, k)
        parts.update(G.tobytes() + loss.hex().encode() + own.outputs(weights, cells).tobytes())
    return parts.hexdigest()


def main(device: str) -> None:
    if device == "numpy":
        print(json.dumps(found(np.matmul)))
        return
    import torch

    from zk_autograd.optim.exact.torch_matmul import TorchMatmul

    for threads in (1, 2):
        torch.set_num_threads(threads)
        print(json.dumps(found(TorchMatmul(device))))


if __name__ == "__main__":
    main(sys.argv[1])
