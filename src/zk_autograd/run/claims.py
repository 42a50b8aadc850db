"""What a training loop says of a step, beside its gradients."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Claims:
    """`loss` is a number's text, "" for none: the trainer's word, unproved. `batch` is a digest of which rows the gradient
    is of, b"" for none; the record commits to it. `loop_state` is kept in private and given back by a resumed run."""

    loss: str = ""
    batch: bytes = b""
    loop_state: bytes = b""
