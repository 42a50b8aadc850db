"""What a table on disk is called, without what reads it: a help text must not wait for NumPy."""

from dataclasses import dataclass
from pathlib import PurePath

CSV = "csv:"
"""What the name of a table on disk begins with."""


@dataclass(frozen=True, slots=True)
class CsvFile:
    """A table on disk, and which of its columns holds the classes ("" for the last one)."""

    path: str
    label: str = ""

    def __str__(self) -> str:
        """As reports and published files call it: without its folder."""
        return CSV + PurePath(self.path).name
