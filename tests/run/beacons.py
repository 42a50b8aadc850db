"""An anchor that gives a beacon, without a chain: the anchor `file`, and the hash of what was
anchored. Its trainer could try as many as they like, so no verifier believes it; whatever else a
beacon needs is the same. The real one is tests/anchor/evm's."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

from zk_autograd.anchor.file.publish import FileAnchor
from zk_autograd.core.anchors import History, Receipt, SignedCheckpoint
from zk_autograd.core.progress import Progress, silent

TERMS = {"delay": "1"}


class HashBeacon:
    """`faults` are called one after the other, one for each call of `beacon`."""

    kind = "hash"
    spec = "hash:it"

    def __init__(self, path: Path, faults: Iterable[Callable[[], None]] = ()) -> None:
        self._file = FileAnchor(path)
        self._faults = iter(faults)
        self.sizes: list[int] = []

    def beacon_terms(self) -> Mapping[str, str]:
        return TERMS

    def publish(self, checkpoint: SignedCheckpoint, history: History) -> Sequence[Receipt]:
        return self._file.publish(checkpoint, history)

    def beacon(
        self,
        checkpoint: SignedCheckpoint,
        history: History,
        *,
        progress: Progress = silent,
        patience: float | None = None,
    ) -> tuple[Receipt, bytes]:
        progress("blocks", 0, 1)
        if (fault := next(self._faults, None)) is not None:
            fault()
        (receipt,) = self.publish(checkpoint, history)
        self.sizes.append(checkpoint.head.size)
        return receipt, sha256(checkpoint.head.root).digest()
