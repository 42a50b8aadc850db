"""Tasks: what a worker proves, and what it refuses."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.prove.executors.tasks import statement, task, witness
from tests.run.native_run import SHAPE
from zk_autograd.core import canonical
from zk_autograd.core.errors import ProverError, VerificationError, ZkError
from zk_autograd.prove.executors.task import (
    MAX_ANSWER,
    MAX_HEAD,
    Workshop,
    answer_task,
    answered,
    proof_of,
    prove_task,
    read_place,
    read_task,
    task_of,
)
from zk_autograd.prove.native.backend import NativeBackend


def test_a_task_says_all_that_a_proof_needs() -> None:
    prover, found, held = read_task(task())
    assert (prover, found) == (SHAPE.prover, statement())
    assert held.salts == witness().salts
    assert np.array_equal(held.gradients, witness().gradients)
    assert np.array_equal(held.start["W"], witness().start["W"])
    assert np.array_equal(held.end["W"], witness().end["W"])
    place = read_place(task())
    assert (place.header_digest, place.segment, place.block) == (statement().header_digest, 0, 0)


def test_a_proof_that_a_task_brings_is_the_one_that_is_made_here() -> None:
    """Two workers that prove a block give the same bytes, so that only one becomes known."""
    here = NativeBackend(SHAPE).prove(statement(), witness())
    assert prove_task(task()) == proof_of(answer_task(task())) == here.proof


def test_a_backend_is_kept_for_the_next_task() -> None:
    workshop = Workshop()
    workshop.prove(task())
    kept = workshop._kept
    workshop.prove(task())
    assert kept is not None
    assert workshop._kept is not None
    assert kept[1] is workshop._kept[1]
    workshop.forget()


def test_a_task_of_another_version_is_refused_with_what_to_do() -> None:
    with pytest.raises(
        ProverError, match=r"of zk-autograd '9.9.9', and this worker has .*: install the trainer's version"
    ):
        prove_task(task("9.9.9"))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"digest": bytes(32).hex()}, "another circuit"),
        ({"version": "2"}, "this worker has 1"),
        ({"circuit": "native/sgd-other"}, "no such circuit"),
        ({"block": 2**14, "steps": 2**9}, "rows"),
    ],
)
def test_a_task_for_another_prover_is_refused(change: dict[str, Any], says: str) -> None:
    size = int.from_bytes(task()[:4], "big")
    head: Any = canonical.decode(task()[4 : 4 + size], max_bytes=size)
    head["wanted"]["prover"] |= change
    changed = canonical.encode(head)
    with pytest.raises(ZkError, match=says):
        prove_task(len(changed).to_bytes(4, "big") + changed + task()[4 + size :])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0\0",
        bytes(4),
        b"\xff" * 4,
        (10).to_bytes(4, "big") + b"{}",
        (MAX_HEAD + 1).to_bytes(4, "big") + bytes(MAX_HEAD + 1),
    ],
)
def test_what_is_no_task_is_refused(data: bytes) -> None:
    with pytest.raises(ProverError, match="this is no task"):
        prove_task(data)


@pytest.mark.parametrize("more", [b"x", b"-1"])
def test_a_task_of_another_length_is_refused(more: bytes) -> None:
    with pytest.raises(ProverError, match="bytes of integers, and its head says"):
        prove_task(task()[:-1] if more == b"-1" else task() + more)


def test_a_witness_that_breaks_the_rule_is_told_and_not_proved() -> None:
    end = {"W": witness().end["W"] + 1}
    broken = task_of(SHAPE.prover, statement(), replace(witness(), end=end))
    with pytest.raises(ProverError, match=r"the worker says: .*segment 0, block 0"):
        proof_of(answer_task(broken))


class Bomb:
    """An object whose unpickling would run code."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (pytest.fail, ("it was unpickled",))


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"", "returned nothing"),
        (None, "an object of type 'NoneType'"),
        (Bomb(), "an object of type 'Bomb'"),
        (bytearray(b"Px"), "an object of type 'bytearray'"),
        (b"P", "neither a proof nor a reason"),
        (b"garbage", "neither a proof nor a reason"),
        (b"Eno\x1b[31m memory", r'the worker says: "no\\x1b\[31m memory"'),
        (b"E" + b"\xff" * 10**6, "the worker says"),
        (b"P" * (MAX_ANSWER + 1), "bytes, and a proof has at most"),
    ],
)
def test_an_answer_is_bytes_and_nothing_else(answer: object, says: str) -> None:
    with pytest.raises(ProverError, match=says) as caught:
        proof_of(answer)
    assert len(str(caught.value)) < 5000


def test_whatever_happens_a_worker_answers() -> None:
    class PanicException(BaseException):  # as pyo3's
        pass

    def fail(error: BaseException) -> bytes:
        raise error

    for error, says in (
        (ZeroDivisionError("x"), b"Eit failed with ZeroDivisionError: x"),
        (PanicException("index"), b"Eit failed with PanicException: index"),
        (VerificationError("no"), b"Eno"),
        (MemoryError(), b"Eit failed with MemoryError: "),
    ):
        assert answered(lambda _, error=error: fail(error), b"") == says  # type: ignore[misc]
    with pytest.raises(KeyboardInterrupt):
        answered(lambda _: fail(KeyboardInterrupt()), b"")
