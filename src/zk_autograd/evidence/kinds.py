"""What a path or an address leads to, by its first bytes: fork evidence, a checkpoint's note, a
file of views, or what may be a run."""

import os
from enum import Enum

from zk_autograd.core.note import MAX_NOTE_BYTES
from zk_autograd.evidence.files import unreadable
from zk_autograd.evidence.fork_evidence import FAMILY

MODEL_SUFFIXES = (
    ".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".gguf", ".ggml", ".onnx", ".npz", ".npy", ".h5", ".keras", ".pb", ".tflite",
    ".pkl", ".model", ".tar", ".bundle", ".zip", ".gz",
)  # fmt: skip
"""Ends of names that people and programs take for those of a model or a bundle."""

_SIGNED = "\n\n\u2014 ".encode()
"""What stands between a note's text and its signatures."""

_VIEW = b'{"checkpoint":"zk-autograd/register/'
"""How a line of register/views.jsonl begins."""


class Kind(Enum):
    """What is to be made of it."""

    EVIDENCE = "fork evidence"
    CHECKPOINT = "a checkpoint"
    VIEWS = "a run's views of its trainer's register"
    RUN = "a run"
    """Or nothing at all: whoever opens it says what is wrong."""


def kind_of(target: str) -> Kind:
    """The kind of what the user calls `target`. UnreadableError for a file that this machine can't
    read."""
    if not os.path.isfile(target):  # a pipe isn't opened
        return Kind.RUN
    try:
        fd = os.open(target, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, "rb") as file:
            start = file.read(MAX_NOTE_BYTES + 1)
    except OSError as error:
        raise unreadable(target, error) from error
    if start.startswith(FAMILY.encode()):
        return Kind.EVIDENCE
    if start.startswith(_VIEW):
        return Kind.VIEWS
    return Kind.CHECKPOINT if len(start) <= MAX_NOTE_BYTES and b"\0" not in start and _SIGNED in start else Kind.RUN
