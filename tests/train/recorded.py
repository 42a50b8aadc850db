"""A plan as a session records it."""

from collections.abc import Callable
from pathlib import Path

from zk_autograd.core.formats import IntArray
from zk_autograd.core.records import Header
from zk_autograd.train.command import Recording
from zk_autograd.train.plan import Plan
from zk_autograd.train.session import Session, repeatable

Record = Callable[..., tuple[Header, IntArray]]


def recorded(
    plan: Plan, run: Path, key: Path, *, resume: bool = False, steps: int | None = None
) -> tuple[Header, IntArray]:
    """Header and final weights of at most `steps` steps of it in `run`."""
    with repeatable():
        session = Session(plan, Recording(run, "none", key, resume=resume))
        first = session.optimizer.steps
        left = plan.steps if steps is None else steps
        session.train(lambda: session.optimizer.steps - first < left)
        if session.optimizer.steps == plan.steps:
            session.optimizer.close()
        else:
            session.optimizer.abandon()
        assert session.optimizer.header is not None
        return session.optimizer.header, session.optimizer.integers["W"]
