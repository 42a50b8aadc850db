"""What opens a run's commitment to its data, and how the cells are made again from a table: part of
the openings (evidence.openings), and of the trainer's own file of the data."""

from dataclasses import dataclass, field
from math import isfinite

import numpy as np

from zk_autograd.core.canonical import Json
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.fields import Fields

MAX_ROWS = 2**24
"""Examples whose place in a table can be told: their text alone has 128 MiB."""

MAX_NAME = 1000
"""Characters of a column's or a class's name."""

_MAX_SHARDS = 2**16
_SALT_BYTES = 32
_ROW_BYTES = 4


@dataclass(frozen=True, slots=True)
class Table:
    """How the cells are made again from the table that the training read: `name` as the trainer
    calls it, the label's column and the classes in their order, the features' columns with mean and
    deviation (decimal texts that read back to the same float64), and the table's rows that are the
    examples, in order."""

    name: str
    label: str
    classes: tuple[str, ...]
    columns: tuple[str, ...]
    means: tuple[str, ...]
    deviations: tuple[str, ...]
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DataSecrets:
    """What opens the commitment to the data: the salts of its shards, or the one secret of its
    tree; of a run without exact gradients also the seed of its order. `table` is None where the
    cells themselves are the only source."""

    salts: tuple[bytes, ...] = field(repr=False)
    table: Table | None = field(default=None, repr=False)
    seed: int | None = field(default=None, repr=False)


def write_data(data: DataSecrets) -> dict[str, Json]:
    """They as canonical JSON has them."""
    said: dict[str, Json] = {"salts": [salt.hex() for salt in data.salts]}
    if data.seed is not None:
        said["seed"] = str(data.seed)
    if data.table is not None:
        said["table"] = written_table(data.table)
    return said


def written_table(table: Table) -> Json:
    """A table as canonical JSON has it."""
    return {
        "name": table.name,
        "label": table.label,
        "classes": list(table.classes),
        "columns": list(table.columns),
        "means": list(table.means),
        "deviations": list(table.deviations),
        "rows": np.array(table.rows, ">u4").tobytes().hex(),
    }


def read_data(f: Fields) -> DataSecrets:
    """Those of such an object, which the caller ends. VerificationError."""
    salts = tuple(v.hex(_SALT_BYTES) for v in f.array("salts", max_items=_MAX_SHARDS))
    seed = None
    if "seed" in f:
        text = f.text("seed", max_len=20)
        seed = int(text) if text.isascii() and text.isdigit() else -1
        if str(seed) != text or not 0 <= seed < 2**64:
            raise VerificationError("the seed of the data's order is not a number below 2^64", found=repr(text))
    return DataSecrets(salts, read_table(f.object("table")) if "table" in f else None, seed)


def read_table(f: Fields) -> Table:
    """The table of such an object. VerificationError."""
    columns = tuple(f.texts("columns", max_items=2**20, max_len=MAX_NAME))
    table = Table(
        name=f.text("name", max_len=5000),
        label=f.text("label", max_len=MAX_NAME),
        classes=tuple(f.texts("classes", max_items=2**20, max_len=MAX_NAME)),
        columns=columns,
        means=_decimals(f, "means", len(columns)),
        deviations=_decimals(f, "deviations", len(columns), positive=True),
        rows=_rows(f),
    )
    f.end()
    return table


def _rows(f: Fields) -> tuple[int, ...]:
    text = f.text("rows", max_len=2 * _ROW_BYTES * MAX_ROWS, min_len=0)
    if len(text) % (2 * _ROW_BYTES) or not set(text) <= set("0123456789abcdef"):
        raise VerificationError("the rows of the table are not numbers of 4 bytes in hexadecimal")
    return tuple(np.frombuffer(bytes.fromhex(text), ">u4").tolist())


def _decimals(f: Fields, name: str, count: int, *, positive: bool = False) -> tuple[str, ...]:
    """Texts that read as finite float64, perhaps above 0 only, and back to themselves."""
    found = tuple(v.text(max_len=40) for v in f.array(name, max_items=count, min_items=count))
    for text in found:
        try:
            same = isfinite(float(text)) and repr(float(text)) == text and (float(text) > 0 or not positive)
        except ValueError:
            same = False
        if not same:
            raise VerificationError(
                f"{name} of the table hold a text that is not the shortest of a number that they can be",
                found=repr(text),
            )
    return found
