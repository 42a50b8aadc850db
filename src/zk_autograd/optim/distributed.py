"""Data-parallel training: which process records, and that all of them take the same steps.

Where torch.distributed runs with more than one process, rank 0 records, and the others take the
same exact steps. They agree before a run begins, at each step on the integers of its gradients, and
after it on that it was recorded: always with one message of every rank to every other, as long as
all of them, in a process group of its own over gloo. A rank that fails sends that instead of what
was due, so that the others raise, too, and none waits for it. Nothing is sent from a destructor.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Any, Protocol

import numpy as np
import torch
from torch import distributed

from zk_autograd.core.errors import RunError, UsageError

_DIGEST, _PLACE = 32, 16
_MESSAGE = 512
_FINE, _FAILED = 0, 1
_TEXT = 1 + _DIGEST + _PLACE

PATIENCE = timedelta(hours=2)
"""How long the others are waited for. Rank 0 may wait for its provers, or a disk, in between."""

MADE, BEGINS, BEGUN, STEP, RECORDED = "made", "begins", "begun", "step", "recorded"
"""What ranks agree on, in the order of a run: the optimizers, the first gradients and how they are
rounded, that there is a run, a step's gradients, that it was recorded."""

_ADVICE = {
    MADE: "they have other parameters, first weights, hyper-parameters or steps, or only some of them have run=: make the model the same "
    "on all of them before the optimizer (DistributedDataParallel does, so wrap the model first), and give all of them the same arguments",
    BEGINS: "their first gradients, or learning rates, differ: train the model through DistributedDataParallel, or all-reduce the "
    "gradients before step()",
    STEP: "their gradients, or learning rates, differ, but what is recorded must be the gradients that all of them step with: train "
    "the model through DistributedDataParallel, or all-reduce the gradients before step()",
}


class Ranks(Protocol):
    """The processes that train one model."""

    @property
    def records(self) -> bool:
        """Whether this process is the one that records."""
        ...

    @contextmanager
    def together(self) -> Iterator[None]:
        """A call that all ranks make, and end with `agree`: if it fails here, the others are told
        at the agreement that they wait at, and raise RunError."""
        ...

    def agree(self, place: str, *parts: bytes | np.ndarray[Any, Any]) -> None:
        """UsageError on all ranks unless they are all at this `place` with the same `parts`;
        RunError if one of them failed, or can't be reached."""
        ...

    def from_first(self, parts: Sequence[bytes] | None) -> list[bytes]:
        """What rank 0 gives here, on all ranks; the others give None."""
        ...


class Alone:
    """A process that trains by itself."""

    records = True

    @contextmanager
    def together(self) -> Iterator[None]:
        yield

    def agree(self, place: str, *parts: bytes | np.ndarray[Any, Any]) -> None:
        """Nobody is there to differ."""

    def from_first(self, parts: Sequence[bytes] | None) -> list[bytes]:
        assert parts is not None
        return [*parts]


ALONE = Alone()


@dataclass(frozen=True, slots=True)
class _Message:
    """What a rank sends at an agreement."""

    status: int
    digest: bytes
    place: str
    text: str = ""

    def tensor(self) -> torch.Tensor:
        head = bytes([self.status]) + self.digest + self.place.encode().ljust(_PLACE)
        body = self.text.encode()[: _MESSAGE - _TEXT].ljust(_MESSAGE - _TEXT)
        return torch.frombuffer(bytearray(head + body), dtype=torch.uint8)

    @classmethod
    def of(cls, tensor: torch.Tensor) -> "_Message":
        data = tensor.numpy().tobytes()
        place = data[1 + _DIGEST : _TEXT].decode().rstrip()
        return cls(data[0], data[1 : 1 + _DIGEST], place, data[_TEXT:].decode(errors="ignore").rstrip())


class Group:
    """All ranks of torch.distributed's default group."""

    def __init__(self) -> None:
        """A collective call: each rank makes its optimizer. UsageError without gloo."""
        if not distributed.is_gloo_available():
            raise UsageError(
                "a recorded data-parallel training needs torch.distributed's gloo, which this torch was built without"
            )
        self.rank = distributed.get_rank()
        self.size = distributed.get_world_size()
        self._group = _reached(lambda: distributed.new_group(backend="gloo", timeout=PATIENCE))
        self._told = False

    @property
    def records(self) -> bool:
        return self.rank == 0

    @contextmanager
    def together(self) -> Iterator[None]:
        self._told = False
        try:
            yield
        except BaseException as error:
            if not self._told:
                self._tell(error)
                self._told = True
            raise

    def agree(self, place: str, *parts: bytes | np.ndarray[Any, Any]) -> None:
        found = self._exchange(_Message(_FINE, _digest(parts), place))
        failed = [(rank, message) for rank, message in enumerate(found) if message.status != _FINE]
        places = {message.place for message in found}
        self._told = True  # every rank finds the same, and raises
        if failed:
            rank, message = failed[0]
            raise RunError(f"rank {rank} failed, so this rank stops, too, and its step isn't taken: {message.text}")
        if len(places) > 1:
            raise UsageError(
                f"the {self.size} ranks make different calls ({', '.join(sorted(places))}): all of them must make the same optimizers, "
                "and call start() and step() equally often, in one order"
            )
        if others := [rank for rank, message in enumerate(found) if message.digest != found[0].digest]:
            raise UsageError(
                f"rank {others[0]} of {self.size} isn't where rank 0 is: {_ADVICE.get(place, 'they differ')}"
            )
        self._told = False

    def from_first(self, parts: Sequence[bytes] | None) -> list[bytes]:
        assert (parts is not None) == self.records
        self.agree("from_first")
        sizes = self._broadcast(np.array([len(part) for part in parts or ()], dtype=np.int64))
        return [
            self._broadcast_bytes(part, size) for part, size in zip(parts or [b""] * sizes.size, sizes, strict=True)
        ]

    def _broadcast(self, sizes: "np.ndarray[Any, np.dtype[np.int64]]") -> "np.ndarray[Any, np.dtype[np.int64]]":
        count = torch.tensor([sizes.size])
        _reached(lambda: distributed.broadcast(count, 0, group=self._group))
        values = torch.from_numpy(sizes.copy()) if self.records else torch.zeros(int(count), dtype=torch.int64)
        _reached(lambda: distributed.broadcast(values, 0, group=self._group))
        return values.numpy()

    def _broadcast_bytes(self, part: bytes, size: int) -> bytes:
        if size == 0:
            return b""
        buffer = torch.frombuffer(bytearray(part if self.records else int(size)), dtype=torch.uint8)
        _reached(lambda: distributed.broadcast(buffer, 0, group=self._group))
        return buffer.numpy().tobytes()

    def _tell(self, error: BaseException) -> None:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        with suppress(RunError):  # if the others are gone, too, what failed here is raised
            self._exchange(_Message(_FAILED, bytes(_DIGEST), "", text))

    def _exchange(self, message: _Message) -> list[_Message]:
        found = [torch.zeros(_MESSAGE, dtype=torch.uint8) for _ in range(self.size)]
        try:
            _reached(lambda: distributed.all_gather(found, message.tensor(), group=self._group))
        except RunError:
            self._told = True  # as far as they can be
            raise
        return [_Message.of(tensor) for tensor in found]


def ranks() -> Ranks:
    """All processes that train together with this one, which then all call this: where
    torch.distributed runs with more than one."""
    if not (distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1):
        return ALONE
    return Group()


def _digest(parts: Sequence[bytes | np.ndarray[Any, Any]]) -> bytes:
    """SHA-256 over the parts, each with its length."""
    state = sha256()
    for part in parts:
        data = np.ascontiguousarray(part).data.cast("B") if isinstance(part, np.ndarray) else part
        state.update(len(data).to_bytes(8, "little"))
        state.update(data)
    return state.digest()


def _reached(call: Any) -> Any:
    """What a collective call gives. RunError if another rank is gone, or doesn't answer in time."""
    try:
        return call()
    except RuntimeError as error:  # torch.distributed's errors are of it
        text = " ".join(str(error).split())[:200]
        raise RunError(
            f"another rank can't be reached ({text}): look at what it says itself; the recorded steps are safe, and rank 0's run can be resumed"
        ) from error
