"""What belongs to one process, and what there is only one of: neither a forked child nor a copy may
use it.

A fork duplicates a writer, but not its lock, its proving thread or its provers; and a lock that
another thread held at that moment is never released in the child. So an owner checks at each use,
before anything else, that it still is in its own process.
"""

import os
from pathlib import Path
from typing import ClassVar, NoReturn, SupportsIndex

from zk_autograd.core.errors import RunError, UsageError


class Owned:
    """What only the process that made it uses."""

    def __init__(self) -> None:
        self._process = os.getpid()

    @property
    def in_own_process(self) -> bool:
        """Whether this is the process that made the object."""
        return os.getpid() == self._process

    def require_own_process(self, path: Path) -> None:
        """RunError in any process but the object's own; `path` is what would be written there."""
        if not self.in_own_process:
            raise RunError(
                f"{path} belongs to process {self._process}; a forked child can't write to it: leave it to that process, and give the child "
                "an optimizer and a run of its own"
            )


class Unique:
    """What there is only one of: `copy` and `pickle` refuse it."""

    INSTEAD: ClassVar[str] = "use the existing one"
    """What to do instead, for the message."""

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        """Raises UsageError. Copying and pickling begin here."""
        self.__getstate__()

    def __getstate__(self) -> NoReturn:
        """Raises UsageError."""
        raise UsageError(f"{type(self).__name__} can't be copied or pickled: {self.INSTEAD}")
