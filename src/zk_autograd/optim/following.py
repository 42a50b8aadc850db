"""The ranks of a data-parallel training that don't record: where they stand is where the run of
rank 0 stands, which it hands them when the run begins and when it is resumed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zk_autograd.core import record_bytes
from zk_autograd.core.errors import RunError
from zk_autograd.core.records import Header
from zk_autograd.core.rules import State, state_names
from zk_autograd.kernels.protocol import Kernel
from zk_autograd.optim.recording import InMemory, Recorder

_NOTHING, _SETTINGS, _UNREADABLE = b"n", b"s", b"u"


def handed(writer: Recorder) -> list[bytes]:
    """What `Follower` is made of: the run as `writer` has it, and its integers."""
    try:
        found = writer.later_settings()
        later = _NOTHING if found is None else _SETTINGS + found
    except RunError as error:
        later = _UNREADABLE + str(error).encode()
    lr = json.dumps(writer.last_lr).encode()
    said = [record_bytes.to_bytes(writer.header), writer.header_digest, writer.beacon, str(writer.step).encode()]
    states = [values.astype("<i8").tobytes() for values in writer.state.values()]
    return [*said, writer.loop_state, writer.settings, later, lr, *states]


@dataclass(frozen=True, slots=True)
class _Handed:
    header: Header
    header_digest: bytes
    beacon: bytes
    step: int
    loop_state: bytes
    settings: bytes
    later: bytes
    lr: tuple[str, ...]
    state: State


def _read(parts: Sequence[bytes]) -> _Handed:
    leaf, digest, beacon, step, loop_state, settings, later, lr, *states = parts
    header = record_bytes.parse(leaf, None)
    assert isinstance(header, Header)
    names = state_names(header.rule)
    state = {n: np.frombuffer(s, dtype="<i8").astype(np.int64) for n, s in zip(names, states, strict=True)}
    return _Handed(header, digest, beacon, int(step), loop_state, settings, later, tuple(json.loads(lr)), state)


class Follower(InMemory):
    """A keeper that takes the steps of a run that another process records."""

    def __init__(self, parts: Sequence[bytes], kernel: Kernel) -> None:
        """`parts` are those of `handed`, of the run in its present state."""
        found = _read(parts)
        super().__init__(found.header, found.state, found.step, kernel)
        self.loop_state = found.loop_state
        self.header_digest = found.header_digest
        self.beacon = found.beacon
        self.settings = found.settings
        self.last_lr = found.lr
        self._later = found.later

    def later_settings(self) -> bytes | None:
        """As the recorder's, when it handed the run on."""
        kind, text = self._later[:1], self._later[1:]
        if kind == _UNREADABLE:
            raise RunError(text.decode())
        return text if kind == _SETTINGS else None
