from hashlib import sha256

import numpy as np
import pytest
import torch

from zk_autograd.optim.claims import batch_digest, loss_text

pytestmark = pytest.mark.torch


def test_rows_have_one_digest_however_they_are_held() -> None:
    wanted = sha256(b"zk-autograd/batch-rows/v0\n" + b"".join(n.to_bytes(8, "little") for n in (3, 1, 2))).digest()
    for rows in ([3, 1, 2], (3, 1, 2), np.array([3, 1, 2], np.int32), torch.tensor([3, 1, 2])):
        assert batch_digest(rows) == wanted


def test_bytes_are_not_taken_for_rows() -> None:
    wanted = sha256(b"zk-autograd/batch-bytes/v0\n" + bytes(8)).digest()
    assert batch_digest(bytes(8)) == wanted != batch_digest([0])


@pytest.mark.parametrize(
    ("loss", "text"),
    [
        (0.1, "0.1"),
        (1, "1.0"),
        (torch.tensor([0.5], requires_grad=True), "0.5"),
        (float("nan"), "nan"),
        (-1e-300, "-1e-300"),
    ],
)
def test_loss_is_the_shortest_text_of_a_float(loss: object, text: str) -> None:
    assert loss_text(loss) == text
