"""A Ray cluster, as a gateway sees it: an actor a node, which keeps keys loaded between tasks.

An actor whose node is lost is begun again on another one.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from zk_autograd.workers.assigning import Assigning
from zk_autograd.workers.messages import Asked
from zk_autograd.workers.sealing import answer_sealed


class _Prover:
    """What a node runs."""

    def answer(self, task: bytes) -> bytes:
        return answer_sealed(task)


class ActorExecutor(Executor):
    """Calls `answer_sealed` in one actor."""

    def __init__(self, node: str) -> None:
        where = NodeAffinitySchedulingStrategy(node, soft=True)
        # A proof takes all processors; an actor claims one, so that there is room on every node.
        made = ray.remote(_Prover).options(num_cpus=1, max_restarts=-1, max_task_retries=0, scheduling_strategy=where)
        self._actor: Any = made.remote()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Only `answer_sealed` with one task: RuntimeError for anything else."""
        if fn is not answer_sealed or len(args) != 1 or kwargs:
            raise RuntimeError("an actor answers sealed tasks and calls nothing else: submit(answer_sealed, task)")
        found: Future[Any] = self._actor.answer.remote(args[0]).future()
        return found

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Ends the actor, and what it does."""
        ray.kill(self._actor)


class RayCluster:
    """The cluster whose head is at `address`, host:port; this machine is one of its nodes."""

    def __init__(self, address: str) -> None:
        ray.init(address=address, log_to_driver=False, include_dashboard=False, configure_logging=False)
        self._assigning = Assigning()
        self._lock = threading.Lock()
        self._executors: dict[str, ActorExecutor] = {}
        self._asked: dict[Future[Any], str] = {}

    def slots(self) -> int:
        return len(self._nodes())

    def submit(self, asked: Asked) -> "Future[Any]":
        nodes = self._nodes()
        if not nodes:
            raise RuntimeError("the cluster has no node that is alive")
        with self._lock:
            for gone in set(self._executors) - set(nodes):
                self._executors.pop(gone).shutdown()
            node = self._assigning.choose(nodes, (asked.segment, asked.block), asked.attempt)
            if node not in self._executors:
                self._executors[node] = ActorExecutor(node)
            future = self._executors[node].submit(answer_sealed, asked.task)
            self._asked[future] = node
        return future

    def worker(self, future: "Future[Any]") -> str:
        node = self._asked.pop(future, "")
        self._assigning.done(node)
        return f"node {node[:16]}"

    def _nodes(self) -> list[str]:
        return sorted(node["NodeID"] for node in ray.nodes() if node["Alive"])
