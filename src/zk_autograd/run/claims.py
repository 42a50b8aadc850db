"""What a trainer says of a step, beside its gradients: one value, from the loop to the journal."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Claims:
    """`loss` is a decimal text, "" for none, and `saturated` how many gradients were clamped: the
    trainer's word, unproved. `batch` is a 32-byte digest of which rows the gradient is of, b"" for
    none; the record commits to it. `loop_state` is what the caller needs to continue after the
    step: it is kept private, and a resumed run returns it."""

    loss: str = ""
    saturated: int = 0
    batch: bytes = b""
    loop_state: bytes = b""


NOTHING = Claims()
"""Nothing is said of the step."""
