"""Where a report leaves its reader: one of five, which every form of it shows alike."""

from enum import Enum

from zk_autograd.verify.report import Report


class Standing(Enum):
    """What a report comes to, in one word; `SHOWN` alone ends with status 0."""

    SHOWN = "shown"
    LESS = "less"
    UNPINNED = "unpinned"
    FAILED = "failed"
    UNJUDGED = "unjudged"

    @classmethod
    def of(cls, report: Report) -> "Standing":
        """The report's standing."""
        if report.failure is not None:
            return cls.FAILED
        if report.unreadable is not None:
            return cls.UNJUDGED
        if not report.pinned:
            return cls.UNPINNED
        return cls.LESS if report.missing else cls.SHOWN
