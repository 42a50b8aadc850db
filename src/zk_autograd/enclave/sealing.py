"""What an enclave keeps for the owner of its job: the state after every so many steps and the
model, sealed for the job's recipient and for nobody else (vault.pairs).

    sealed/checkpoint-<step>.enc, .key.json     kind "checkpoint"
    sealed/model.enc, .key.json                 kind "model", after the last step

Each belongs to the tenant "enclave", and to the run's id and step. What is sealed is a safetensors
file: the weights as float32 by their names (W * 2^-32, rounded once), the integers of each state as
int64 by <state>/<name>, and in the model "opening/W", uint8 (blocks, bytes of a salt): the salts of
the last commitments to W, without which its owner couldn't show that this is the run's.
"""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from zk_autograd.core.errors import UsageError
from zk_autograd.core.formats import dequantize_weight
from zk_autograd.core.records import Header
from zk_autograd.core.rules import State
from zk_autograd.vault.context import CHECKPOINT, ENCLAVE, MODEL, Context
from zk_autograd.vault.errors import VaultError
from zk_autograd.vault.holder import DEK_BYTES
from zk_autograd.vault.holder.recipient import Recipient
from zk_autograd.vault.keys import RECIPIENT
from zk_autograd.vault.pairs import Holding, seal_pair

OPENING = "opening/W"


class Sealing:
    """Seals for `recipient`, a public key, into `folder`; a checkpoint every `every` steps (0:
    none)."""

    def __init__(self, recipient: bytes, every: int, folder: Path) -> None:
        """Makes nothing yet. UsageError for what is no recipient's public key, or a weak one."""
        try:
            holder = Recipient(recipient)
            holder.wrap(bytes(DEK_BYTES), Context(ENCLAVE, "none", 0, MODEL))  # rather now than after the last step
        except VaultError as error:
            raise UsageError(f"the job's recipient can't be sealed for: {error}") from error
        self._holding = Holding(holder, holder.fingerprint, RECIPIENT)
        self._every = every
        self._folder = folder

    def after(self, step: int, header: Header, state: State) -> None:
        """The state after a step, if it is due."""
        if self._every and step % self._every == 0:
            self._seal(f"checkpoint-{step}", CHECKPOINT, step, header, content(header, state))

    def end(self, step: int, header: Header, state: State, salts: Sequence[bytes]) -> None:
        """The state after the last step, with what opens the commitments to its weights."""
        self._seal("model", MODEL, step, header, content(header, state, salts))

    def _seal(self, name: str, kind: str, step: int, header: Header, data: bytes) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        seal_pair(io.BytesIO(data), self._folder, name, Context(ENCLAVE, header.run.hex(), step, kind), [self._holding])


def content(header: Header, state: Mapping[str, NDArray[np.int64]], salts: Sequence[bytes] = ()) -> bytes:
    """The safetensors file of a state, int64 (header.size,) each."""
    floats = dequantize_weight(state["W"])
    tensors: dict[str, NDArray[Any]] = {}
    for p in header.parameters:
        own = slice(p.offset, p.offset + p.size)
        tensors[p.name] = floats[own].reshape(p.shape)
        tensors |= {f"{name}/{p.name}": values[own].reshape(p.shape) for name, values in state.items()}
    if salts:
        tensors[OPENING] = np.frombuffer(b"".join(salts), np.uint8).reshape(len(salts), -1)
    return save({name: np.ascontiguousarray(values) for name, values in tensors.items()})
