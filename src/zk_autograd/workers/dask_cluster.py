"""A Dask cluster, as a gateway sees it: its workers, each behind `client.get_executor()`."""

import warnings
from concurrent.futures import Future
from typing import Any

from distributed import Client

from zk_autograd.workers.assigning import Assigning
from zk_autograd.workers.messages import Asked
from zk_autograd.workers.sealing import answer_sealed

CONNECT_SECONDS = 30


class DaskCluster:
    """The cluster whose scheduler is at `address`: host:port, or tls://host:port."""

    def __init__(self, address: str) -> None:
        self._client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
        self._assigning = Assigning()
        self._asked: dict[Future[Any], str] = {}

    def slots(self) -> int:
        """As `Cluster.slots`, which is called every second: what a lost worker had is given up."""
        addresses = self._addresses()
        for future, address in list(self._asked.items()):
            if address not in addresses:
                future.cancel()
        return len(addresses)

    def submit(self, asked: Asked) -> "Future[Any]":
        addresses = self._addresses()
        if not addresses:
            raise RuntimeError("the cluster has no worker")
        address = self._assigning.choose(addresses, (asked.segment, asked.block), asked.attempt)
        # This one and no other: an idle one, such as one that lies at once, would steal the task.
        executor = self._client.get_executor(pure=False, workers=[address])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a large task
            future: Future[Any] = executor.submit(answer_sealed, asked.task)
        self._asked[future] = address
        return future

    def worker(self, future: "Future[Any]") -> str:
        address = self._asked.pop(future, "")
        self._assigning.done(address)
        return address

    def _addresses(self) -> list[str]:
        return sorted(self._client.scheduler_info(n_workers=-1)["workers"])
