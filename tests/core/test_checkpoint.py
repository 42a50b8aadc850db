"""Checkpoints: three lines, each of one spelling."""

import base64

import pytest

from zk_autograd.core.checkpoint import Checkpoint, checkpoint_text, parse_checkpoint
from zk_autograd.core.errors import VerificationError

ORIGIN = "zk-autograd/5f3c"
ROOT = base64.b64encode(bytes(32)).decode()


@pytest.mark.parametrize("size", [0, 1, 10, 2**53, 2**63 - 1])
def test_checkpoint_round_trip(size: int) -> None:
    root = bytes(range(224, 256))
    for origin in (ORIGIN, "o" * 255, "an origin+with anything \u2014"):
        text = checkpoint_text(origin, size, root)
        assert text == f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"
        assert parse_checkpoint(text) == Checkpoint(origin, size, root)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "3 lines, found 0"),
        ("o\n1\n", "3 lines, found 2"),
        (f"o\n1\n{ROOT}", "3 lines, found 2"),
        (f"o\n1\n{ROOT}\n\n", "3 lines, found 4"),
        (f"o\n1\n{ROOT}\nextension\n", "extension lines are refused"),
        (f"o\n1\n{ROOT}\nextension", "extension lines are refused"),
        (f"\n1\n{ROOT}\n", "no usable origin"),
        (f"{'o' * 256}\n1\n{ROOT}\n", "no usable origin"),
        (f"o\r\n1\n{ROOT}\n", "no usable origin"),
        (f"o\x9b\n1\n{ROOT}\n", "no usable origin"),
        (f"\ud800\n1\n{ROOT}\n", "lone surrogate"),
        (f"o\n\n{ROOT}\n", "size is not a decimal number"),
        (f"o\n01\n{ROOT}\n", "size is not a decimal number"),
        (f"o\n00\n{ROOT}\n", "size is not a decimal number"),
        (f"o\n+1\n{ROOT}\n", "size is not a decimal number"),
        (f"o\n-1\n{ROOT}\n", "size is not a decimal number"),
        (f"o\n 1\n{ROOT}\n", "size is not a decimal number"),
        (f"o\n1_0\n{ROOT}\n", "size is not a decimal number"),
        (f"o\n0x1\n{ROOT}\n", "size is not a decimal number"),
        (f"o\n\u0661\n{ROOT}\n", "size is not a decimal number"),
        (f"o\n1\u0661\n{ROOT}\n", "size is not a decimal number"),
        (f"o\n{2**63}\n{ROOT}\n", "impossible size"),
        (f"o\n{'9' * 50_000}\n{ROOT}\n", "size is not a decimal number"),
        ("o\n1\n\n", "no root hash"),
        ("o\n1\nAAAA\n", "no root hash"),
        (f"o\n1\n{ROOT[:-2]}B=\n", "not canonical base64"),
        (f"o\n1\n{ROOT[:-1]}\n", "not base64"),
        (f"o\n1\n{ROOT}=\n", "not (canonical )?base64"),
        (f"o\n1\n {ROOT}\n", "not base64"),
        (f"o\n1\n{ROOT.replace('A', '_')}\n", "not base64"),
        (f"o\n1\n{ROOT[:-4]}\u00e9AA=\n", "not base64"),
    ],
    ids=ascii,
)
def test_text_that_is_no_checkpoint_is_refused(text: str, reason: str) -> None:
    with pytest.raises(VerificationError, match=reason):
        parse_checkpoint(text)


@pytest.mark.parametrize(
    ("origin", "size", "root"),
    [
        ("", 1, bytes(32)),
        ("a\nb", 1, bytes(32)),
        ("a", -1, bytes(32)),
        ("a", 2**63, bytes(32)),
        ("a", 1, bytes(31)),
    ],
)
def test_checkpoint_that_can_not_be_is_not_written(origin: str, size: int, root: bytes) -> None:
    with pytest.raises(VerificationError, match="checkpoint has"):
        checkpoint_text(origin, size, root)
