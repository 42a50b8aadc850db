"""Float gradients from a process of their own: no code of a model runs in the auditor's.

The process (reproduce.gradient_child) is started anew, finds packages in the interpreter's own
places alone, has an environment without tokens, and before it runs anything it gives up its user's
files (local.confinement). It is asked with weights and rows, and answers with as many floats as the
run has parameters; whatever else it says ends it.
"""

import json
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Timer

import numpy as np
from numpy.typing import NDArray

from zk_autograd.core.errors import ExitStatus, ZkError
from zk_autograd.core.formats import FloatArray
from zk_autograd.core.records import Parameter
from zk_autograd.core.text import printable
from zk_autograd.local.child_processes import python_alone
from zk_autograd.local.own_folders import temporary_folder
from zk_autograd.prove.executors.frames import BrokenFrameError, receive, send
from zk_autograd.reproduce.gradient_child import ANSWER, UNCONFINED
from zk_autograd.reproduce.named_model import NamedModel

CHILD = "zk_autograd.reproduce.gradient_child"
SECONDS = 600.0
"""What a step, or building the model, may take."""

_MAX_REASON = 2**16
_PASSED = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "TZ")
"""Of the environment: nothing in it that may be a secret."""


class NotReplayable(ZkError):
    """Why gradients can't be computed again here. It says nothing against the run."""

    exit_status = ExitStatus.UNJUDGED


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """A processor's instructions, by what torch and its libraries are told in the environment."""

    name: str
    environment: tuple[tuple[str, str], ...] = ()


ARITHMETICS = (
    Arithmetic("this processor's own instructions"),
    Arithmetic(
        "AVX2",
        (("ATEN_CPU_CAPABILITY", "avx2"), ("MKL_ENABLE_INSTRUCTIONS", "AVX2"), ("ONEDNN_MAX_CPU_ISA", "AVX2")),
    ),
    Arithmetic(
        "SSE4",
        (("ATEN_CPU_CAPABILITY", "default"), ("MKL_ENABLE_INSTRUCTIONS", "SSE4_2"), ("ONEDNN_MAX_CPU_ISA", "SSE41")),
    ),
)
"""In the order in which they are tried. Each adds up in another order, so that a hidden unit within
rounding of zero may be on in one and off in another."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is computed: the model, the run's tensors in their order, the rows' `columns`, how many
    `classes`, and how many `threads` compute. `unconfined`: also where the system confines no
    process."""

    model: NamedModel
    parameters: Sequence[Parameter]
    columns: int
    classes: int
    threads: int = 1
    unconfined: bool = False


class GradientProcess:
    """A process that computes gradients; `started` ends it."""

    def __init__(self, process: "subprocess.Popen[bytes]", words: int, asked: Asked) -> None:
        self._process, self._words, self._late = process, words, False
        self._size = sum(p.size for p in asked.parameters)
        code = asked.model.code
        said = {
            "name": asked.model.name,
            "file": asked.model.file,
            "columns": asked.columns,
            "classes": asked.classes,
            "threads": asked.threads,
            "parameters": [[p.name, list(p.shape)] for p in asked.parameters],
        }
        self._ask((json.dumps(said).encode(), code), 0)

    def gradients(self, weights: FloatArray, features: FloatArray, labels: NDArray[np.int64]) -> FloatArray:
        """The gradient of the mean cross-entropy over these rows, float32 (size,): `weights`
        float32 (size,), `features` float32 (rows, columns), `labels` int64 (rows,).

        NotReplayable, one sentence, for a model that fails, draws random numbers or takes too long.
        """
        question = (weights.astype("<f4"), features.astype("<f4"), labels.astype("<i8"))
        answer = self._ask([part.tobytes() for part in question], 4 * self._size)
        return np.frombuffer(answer, "<f4").astype(np.float32)

    def _ask(self, question: Sequence[bytes], size: int) -> bytes:
        """An answer of `size` bytes."""
        late = Timer(SECONDS, self._end_late)
        late.daemon = True
        late.start()
        try:
            answer = self._exchange(question, max(size, _MAX_REASON))
        except (BrokenFrameError, OSError) as error:
            raise NotReplayable(self._ended(error)) from error
        finally:
            late.cancel()
        kind, content = answer[:1], answer[1:]
        if kind == ANSWER and len(content) == size:
            return content
        text = printable(content[:_MAX_REASON].decode("utf-8", "replace"))
        if kind == UNCONFINED:
            raise NotReplayable(
                f"a model's code could read your files here ({text}): run it on Linux 5.13 or newer, or look at the code and pass --unconfined"
            )
        raise NotReplayable(
            f"the model {text[:600]}" if kind == b"F" else "the model's process answered something else"
        )

    def _exchange(self, question: Sequence[bytes], limit: int) -> bytes:
        pipe, answers = self._process.stdin, self._process.stdout
        assert pipe is not None and answers is not None
        with suppress(BrokenPipeError):  # it may have said why
            for part in question:
                send(pipe, part)
        return receive(answers, limit + 1)

    def _ended(self, error: Exception) -> str:
        if self._late:
            return f"the process that computes gradients took more than {SECONDS:.0f} s for a step"
        size = os.fstat(self._words).st_size
        words = os.pread(self._words, 600, max(size - 600, 0)).decode("utf-8", "replace")
        said = printable(" ".join(words.split()))
        return f"the process that computes gradients ended ({error})" + (f": {said}" if said else "")

    def _end_late(self) -> None:
        self._late = True
        with suppress(OSError):
            os.killpg(self._process.pid, signal.SIGKILL)  # it isn't reaped before the block of `started` ends


@contextmanager
def started(asked: Asked, arithmetic: Arithmetic) -> Iterator[GradientProcess]:
    """A process with the model built, and its end with the block. NotReplayable if it can't be."""
    words = os.memfd_create("zk-replay")
    environment = {name: value for name, value in os.environ.items() if name in _PASSED}
    # A built-in model is this package's own code.
    mode = "confined" if asked.model.file and not asked.unconfined else "free"
    try:
        with temporary_folder("zk-replay-") as folder:
            try:
                process = subprocess.Popen(
                    [*python_alone(CHILD), str(folder), mode],
                    env=environment | {"OMP_NUM_THREADS": str(asked.threads)} | dict(arithmetic.environment),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=words,
                    start_new_session=True,
                )
            except OSError as error:
                raise NotReplayable(f"no process can be started: {error.strerror}") from error
            try:
                yield GradientProcess(process, words, asked)
            finally:
                with suppress(OSError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                for pipe in (process.stdin, process.stdout):
                    if pipe is not None:
                        with suppress(OSError):
                            pipe.close()
    finally:
        os.close(words)
