"""A proof to be made by a worker, as bytes, and the worker's side of it.

    4 bytes   length of the head, big-endian
    ...       the head: canonical JSON {"format", "package", "wanted"}
    ...       the integers of the witness (prove.witness_bytes)

An answer is one byte, "P" and a proof's bytes or "E" and a sentence, so that whoever waits for it
decodes nothing but that: no exception and no other object has to travel. A task holds a part of the
training's gradients and states: it is as private as they are.
"""

import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from zk_autograd.core import canonical
from zk_autograd.core.canonical import Json
from zk_autograd.core.errors import ProverError, ZkError
from zk_autograd.core.fields import Fields
from zk_autograd.core.records import Prover
from zk_autograd.core.statement import Statement
from zk_autograd.core.text import printable, quoted
from zk_autograd.local.own_folders import temporary_folder
from zk_autograd.prove.choice import choice_of
from zk_autograd.prove.executors.protocol import Place
from zk_autograd.prove.protocol import Backend, BlockWitness
from zk_autograd.prove.witness_bytes import Wanted
from zk_autograd.version import __version__

FORMAT = "zk-autograd/task/v0"
MAX_HEAD = 2**16
MAX_PROOF = 2**26
"""Bytes of a proof, as of a run's proof file (evidence.layout)."""
MAX_ANSWER = 1 + MAX_PROOF
MAX_SENTENCE = 500

_LENGTH = 4
_PROOF, _ERROR = b"P", b"E"


def task_of(prover: Prover, statement: Statement, witness: BlockWitness, package: str = __version__) -> bytes:
    """The task that asks for the proof of `statement`."""
    wanted = Wanted.of(prover, statement, witness)
    head: dict[str, Json] = {"format": FORMAT, "package": package, "wanted": wanted.word()}
    encoded = canonical.encode(head)
    return b"".join((len(encoded).to_bytes(_LENGTH, "big"), encoded, *wanted.data(statement, witness)))


def read_task(task: bytes) -> tuple[Prover, Statement, BlockWitness]:
    """What a task asks for. VerificationError for what is malformed or out of bounds, ProverError
    for a task of another version of this package."""
    wanted, data = _wanted(task)
    if len(data) != wanted.size:
        raise ProverError(f"this is no task: it has {len(data)} bytes of integers, and its head says {wanted.size}")
    return wanted.prover, *wanted.read(data)


def read_place(task: bytes) -> Place:
    """Which proof a task asks for. Errors as `read_task`, which reads the rest."""
    wanted, _ = _wanted(task)
    return Place(wanted.header_digest, wanted.segment, wanted.block)


def _wanted(task: bytes) -> tuple[Wanted, bytes]:
    size = int.from_bytes(task[:_LENGTH], "big")
    if len(task) < _LENGTH or not 0 < size <= min(MAX_HEAD, len(task) - _LENGTH):
        raise ProverError(f"this is no task: it is cut, or its head has more than {MAX_HEAD} bytes")
    fields = Fields(canonical.decode(task[_LENGTH : _LENGTH + size], max_bytes=MAX_HEAD), "task")
    fields.choice("format", (FORMAT,))
    package = fields.text("package", 40)
    if package != __version__:
        raise ProverError(
            f"the task is of zk-autograd {quoted(package)}, and this worker has {__version__}: install the trainer's version here"
        )
    wanted = Wanted.parse(fields.object("wanted"))
    fields.end()
    return wanted, task[_LENGTH + size :]


class Workshop:
    """Makes proofs, one at a time. A backend is kept for the next task of its run: its keys stay
    loaded."""

    def __init__(self, scratch: Path | None = None) -> None:
        """`scratch` is where a witness may lie while it is proved; the system's temporary folder by
        default."""
        self._scratch = scratch
        self._lock = threading.Lock()
        self._kept: tuple[Prover, Backend] | None = None
        self._folders = ExitStack()

    def prove(self, task: bytes) -> bytes:
        """The proof that a task asks for. ProverError and VerificationError say what is wrong with
        the task, or why there is no proof."""
        prover, statement, witness = read_task(task)
        with self._lock:
            return self._backend(prover).prove(statement, witness).proof

    def _backend(self, prover: Prover) -> Backend:
        if self._kept is not None and self._kept[0] == prover:
            return self._kept[1]
        self.forget()
        scratch = self._folders.enter_context(temporary_folder("zk-prove-", self._scratch))
        backend = choice_of(prover.backend).of_run(prover, None, scratch)
        if backend.prover != prover:
            raise ProverError(
                f"the task is for the prover {prover.backend} {quoted(prover.version)}, and this worker has {backend.prover.version}: "
                "install the trainer's version here"
            )
        self._kept = prover, backend
        return backend

    def forget(self) -> None:
        """Forgets the backend that is kept, and removes its folder."""
        if self._kept is not None:
            self._kept[1].stop()
            self._kept = None
        self.clear()

    def clear(self) -> None:
        """Removes the folder in which a witness may lie, even while it is proved."""
        self._folders.close()


def prove_task(task: bytes) -> bytes:
    """The proof that a task asks for; what a worker runs. As `Workshop.prove`."""
    return _WORKSHOP.prove(task)


def answer_task(task: bytes) -> bytes:
    """The answer to a task, whatever happens: of MAX_ANSWER bytes at most."""
    return answered(prove_task, task)


def answered(prove: Callable[[bytes], bytes], task: bytes) -> bytes:
    """The answer of a worker that makes proofs with `prove`."""
    try:
        return _PROOF + prove(task)
    except ZkError as error:
        return _refusal(str(error))
    except Exception as error:
        return _refusal(f"it failed with {type(error).__name__}: {error}")
    except BaseException as error:  # a panic in a prover's native code is no Exception
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        return _refusal(f"it failed with {type(error).__name__}: {error}")


def proof_of(answer: object) -> bytes:
    """The proof in an answer, which may be anything. ProverError says what the worker did, or
    said."""
    if type(answer) is not bytes:
        raise ProverError(f"the worker returned no bytes, but an object of type {quoted(type(answer).__name__)}")
    if len(answer) > MAX_ANSWER:
        raise ProverError(f"the worker returned {len(answer)} bytes, and a proof has at most {MAX_PROOF}")
    kind, content = answer[:1], answer[1:]
    if kind == _PROOF and content:
        return content
    if kind == _ERROR:
        said = printable(content[: 4 * MAX_SENTENCE].decode("utf-8", "replace")[:MAX_SENTENCE])
        raise ProverError(f'the worker says: "{said}"')
    raise ProverError(
        "the worker returned nothing" if not answer else "the worker returned neither a proof nor a reason"
    )


def _refusal(sentence: str) -> bytes:
    return _ERROR + sentence.encode("utf-8", "replace")[: 4 * MAX_SENTENCE]


_WORKSHOP = Workshop()
