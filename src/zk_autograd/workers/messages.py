"""What a trainer and its gateway to a cluster say to each other, each in a frame
(prove.executors.frames).

    trainer    number (8 bytes), attempt (8), segment (8), block (8), a sealed task
    gateway    "S", slots (8): how many proofs the cluster makes at a time; first, and when it
               changes
               "U", a sentence: why this process is not confined; before all else, if so
               "A", number (8), length of the worker's name (8), the name, an answer
               "X", number (8), length of the worker's name (8), the name, why there is no answer
               "F", a sentence: the cluster can't be used, and this is the last frame

Numbers are big-endian.
"""

from dataclasses import dataclass

from zk_autograd.prove.executors.frames import BrokenFrameError
from zk_autograd.prove.executors.task import MAX_ANSWER
from zk_autograd.workers.sealing import MAX_TASK

MAX_NAME = 200
_WORD = 8
MAX_ASKED = 4 * _WORD + MAX_TASK
MAX_SAID = 1 + 2 * _WORD + MAX_NAME + MAX_ANSWER


@dataclass(frozen=True, slots=True)
class Asked:
    """A sealed task, and where it belongs."""

    number: int
    attempt: int
    segment: int
    block: int
    task: bytes

    def parts(self) -> tuple[bytes, bytes]:
        numbers = (self.number, self.attempt, self.segment, self.block)
        return b"".join(n.to_bytes(_WORD, "big") for n in numbers), self.task

    @classmethod
    def parse(cls, frame: bytes) -> "Asked":
        number, attempt, segment, block = (
            int.from_bytes(frame[at : at + _WORD], "big") for at in range(0, 4 * _WORD, _WORD)
        )
        return cls(number, attempt, segment, block, frame[4 * _WORD :])


@dataclass(frozen=True, slots=True)
class Said:
    """A gateway's frame; `kind` is its letter, `number` that of a task, or the slots."""

    kind: bytes
    number: int = 0
    worker: str = ""
    content: bytes = b""

    def encode(self) -> bytes:
        name = self.worker.encode("utf-8", "replace")[:MAX_NAME]
        if self.kind in (b"F", b"U"):
            return self.kind + self.content
        number = self.number.to_bytes(_WORD, "big")
        return self.kind + number if self.kind == b"S" else self.kind + number + _sized(name) + self.content

    @classmethod
    def parse(cls, frame: bytes) -> "Said":
        """BrokenFrameError for what no gateway says: whoever took it over may say anything."""
        kind, rest = frame[:1], frame[1:]
        if kind in (b"F", b"U"):
            return cls(kind, content=rest)
        number, rest = int.from_bytes(rest[:_WORD], "big"), rest[_WORD:]
        if kind == b"S" and not rest:
            return cls(kind, number)
        size = int.from_bytes(rest[:_WORD], "big")
        if kind not in (b"A", b"X") or size > min(MAX_NAME, len(rest) - _WORD):
            raise BrokenFrameError("it said something that no gateway says")
        name = rest[_WORD : _WORD + size].decode("utf-8", "replace")
        return cls(kind, number, name, rest[_WORD + size :])


def _sized(name: bytes) -> bytes:
    return len(name).to_bytes(_WORD, "big") + name
