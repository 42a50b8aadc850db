from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Constants: TypeAlias = list[tuple[int, ...]]
Int32: TypeAlias = bytes | NDArray[np.int32]
Int64: TypeAlias = bytes | NDArray[np.int64]

def version() -> str: ...
def blake3(pieces: list[bytes] | tuple[bytes, ...]) -> bytes: ...
def pack_integers(values: object) -> tuple[int, int, bytes, bytes]: ...
def describe(rule: str, s: int, preset: str) -> str: ...
def security(rule: str, s: int, preset: str, log_params: int, log_steps: int) -> float: ...
def commitment_names(rule: str) -> list[str]: ...
def commit(values: bytes, log_params: int, salt: bytes) -> bytes: ...
def commit_all(states: list[bytes], log_params: int, salts: list[bytes]) -> list[bytes]: ...
def commit_data(cells: Int64, log_cells: int, salt: bytes) -> bytes: ...
def commit_gradients(gradients: Int32, log_params: int, log_steps: int, salt: bytes) -> bytes: ...
def warm(rule: str, s: int, preset: str, decay: bool, log_params: int, log_steps: int) -> None: ...
def release() -> None: ...
def verify(
    rule: str,
    s: int,
    preset: str,
    decay: bool,
    first: bool,
    log_params: int,
    log_steps: int,
    constants: Constants,
    context: bytes,
    commitments: list[bytes],
    proof: bytes,
) -> None: ...
def explain(
    rule: str,
    s: int,
    decay: bool,
    log_params: int,
    log_steps: int,
    constants: Constants,
    states: dict[str, bytes],
    gradients: bytes,
) -> tuple[int, int, str, str] | None: ...

class WitnessError(ValueError):
    args: tuple[int, int, str, str]

class ProofError(ValueError): ...

class Job:
    def __init__(
        self,
        rule: str,
        s: int,
        preset: str,
        decay: bool,
        first: bool,
        log_params: int,
        log_steps: int,
        constants: Constants,
        context: bytes,
        start: dict[str, Int64],
        end: dict[str, Int64],
        gradients: Int32,
        salts: dict[str, bytes],
    ) -> None: ...
    def run(self) -> tuple[list[bytes], bytes]: ...
    def phases(self) -> list[tuple[str, float]]: ...
    def cancel(self) -> None: ...

def kernel_rules() -> list[str]: ...

class StepRefused(Exception): ...
class SharedMemory(ValueError): ...

class Stepper:
    def __init__(self, rule: str, tensors: list[tuple[int, int]], state: list[NDArray[np.int64]]) -> None: ...
    def step(
        self,
        gradients: NDArray[np.int32],
        kept: NDArray[np.int32],
        constants: Sequence[tuple[int, ...]],
        vectors: str,
        threads: int,
    ) -> None: ...
    def step_model(
        self,
        gradients: list[Any],
        weights: list[Any],
        k: int,
        kept: NDArray[np.int32],
        constants: Sequence[tuple[int, ...]],
        vectors: str,
        threads: int,
    ) -> int: ...
    def write(self, weights: list[Any]) -> None: ...
    def state(self, number: int) -> NDArray[np.int64]: ...
    def undo(self) -> bool: ...
