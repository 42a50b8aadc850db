"""A table on disk: comma-separated UTF-8 text (RFC 4180), whose first row names the columns.

Rules: every column but the one with the classes holds decimal numbers, below 10^100 in size; no
cell is empty, and every row has as many cells as there are names. Classes are integers or texts,
and are numbered in their order: integers by value, texts by code point. A byte order mark and empty
lines at the end are allowed, and nothing else is guessed. Errors name the line that a row begins
at, as editors count it, and the column.
"""

import csv
import io
import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zk_autograd.core.errors import UsageError
from zk_autograd.core.text import SHOWN, nearest
from zk_autograd.local.csv_name import CsvFile
from zk_autograd.local.named_files import read_named

MAX_BYTES = 2**30
MAX_COLUMNS = 10_000
MAX_CLASSES = 1_000
LEAST_ROWS = 10
"""A fifth of the rows is for tests."""

_BOUND = 1e100
"""Beyond it, squares would leave the range of a float64."""

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")
"""One text for each value: "-0" beside "0" would leave the order of the two to chance."""

_PACKED = {
    b"\x1f\x8b": "gzip",
    b"BZh91AY&SY": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\3\4": "zip, as spreadsheets are",
}
"""How files that hold a table in another form begin."""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """`features` are float64 (rows, columns), `columns` what they are called; `classes` int64
    (rows,), the places of the labels in `names`, which are of the column `label`."""

    features: NDArray[np.float64]
    classes: NDArray[np.int64]
    names: tuple[str, ...]
    columns: tuple[str, ...]
    label: str


def read(source: CsvFile) -> Table:
    """The table. UsageError, which names row and column, for a file that isn't one; StorageError if
    the system won't let us read it."""
    return parsed(read_named(Path(source.path), "the table", MAX_BYTES), source)


def parsed(data: bytes, source: CsvFile) -> Table:
    """The table of a file's bytes; `source` is what messages call it. UsageError as `read`."""
    rows = _rows(data, source)
    try:
        _, names = next(rows)
    except StopIteration:
        raise UsageError(f"{source.path} is empty; its first row must name the columns") from None
    label = _label(source, names)
    values = array("d")
    labels: list[str] = []
    for line, cells in rows:
        if len(cells) != len(names):
            raise UsageError(
                f"{source.path}: row {line} has {len(cells)} cells, but the first row names {len(names)} columns"
            )
        for column, cell in enumerate(cells):
            text = cell.strip(" \t")
            if not text:
                raise UsageError(f"{_place(source, line, names[column])} is empty; fill the cell, or leave out the row")
            if column == label:
                labels.append(text)
            else:
                values.append(_number(text, source, line, names[column]))
    if len(labels) < LEAST_ROWS:
        raise UsageError(
            f"{source.path} has {len(labels)} rows below its names; a training needs at least {LEAST_ROWS}"
        )
    found = _classes(labels, source, names[label])
    number = {name: i for i, name in enumerate(found)}
    features = np.frombuffer(values, np.float64).reshape(len(labels), len(names) - 1)
    columns = tuple(name for i, name in enumerate(names) if i != label)
    return Table(features, np.array([number[text] for text in labels], np.int64), found, columns, names[label])


def _rows(data: bytes, source: CsvFile) -> Iterator[tuple[int, list[str]]]:
    """Each row with the line that it begins at. Empty lines at the end are left out."""
    reader = csv.reader(io.StringIO(_text(data, source), newline=""), strict=True)
    line, empty = 1, 0
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise UsageError(f"{source.path}: row {line} can't be read: {error}") from error
        if cells and empty:
            raise UsageError(f"{source.path}: row {empty} is an empty line; remove it")
        if cells:
            yield line, cells
        else:
            empty = empty or line
        line = reader.line_num + 1


def _text(data: bytes, source: CsvFile) -> str:
    for begin, form in _PACKED.items():
        if data.startswith(begin):
            raise UsageError(f"{source.path} is compressed ({form}); unpack it, or save it as comma-separated text")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = data[: error.start].count(b"\n") + 1
        raise UsageError(f"{source.path}: row {row} is not UTF-8 text; save the table as UTF-8") from error


def _label(source: CsvFile, names: list[str]) -> int:
    """The place of the column with the classes, after the names were checked."""
    if len(names) > MAX_COLUMNS:
        raise UsageError(f"{source.path} has {len(names)} columns; at most {MAX_COLUMNS} are read")
    seen: set[str] = set()
    for column, name in enumerate(names):
        if not name.strip():
            raise UsageError(f"{source.path}: row 1 has no name for column {column + 1}")
        if name in seen:
            raise UsageError(f"{source.path}: row 1 names two columns {_quoted(name)}; give each its own name")
        seen.add(name)
    if all(_NUMBER.fullmatch(name) for name in names):
        raise UsageError(f"{source.path}: row 1 holds numbers; the first row must name the columns")
    if len(names) < 2:
        raise UsageError(
            f"{source.path} has one column, {_quoted(names[0])}; it needs the classes and at least one feature, separated by commas"
        )
    if not source.label:
        return len(names) - 1
    if source.label not in seen:
        raise UsageError(f"{source.path} has no column {_quoted(source.label)}{nearest(source.label, names)}")
    return names.index(source.label)


def _number(text: str, source: CsvFile, line: int, column: str) -> float:
    if not _NUMBER.fullmatch(text):
        finite = "" if text.lower().lstrip("+-") not in ("nan", "inf", "infinity") else " finite"
        raise UsageError(f"{_place(source, line, column)}: {_quoted(text)} is not a{finite} number")
    value = float(text)
    if not abs(value) < _BOUND:
        raise UsageError(f"{_place(source, line, column)}: {_quoted(text)} is too large; a number must be below 1e100")
    return value


def _classes(labels: list[str], source: CsvFile, column: str) -> tuple[str, ...]:
    found = set(labels)
    place = f"{source.path}: column {_quoted(column)}"
    if len(found) == 1:
        raise UsageError(f"{place} has only one class, {_quoted(labels[0])}; there is nothing to tell apart")
    if len(found) > min(MAX_CLASSES, len(labels) // 2):
        raise UsageError(
            f"{place} has {len(found)} different labels in {len(labels)} rows, so they are not classes; name the column of the classes with "
            "--label"
        )
    if all(_INTEGER.fullmatch(text) for text in found):
        return tuple(sorted(found, key=int))
    return tuple(sorted(found))


def _place(source: CsvFile, line: int, column: str) -> str:
    return f"{source.path}: row {line}, column {_quoted(column)}"


def _quoted(text: str) -> str:
    return repr(text if len(text) <= SHOWN else text[:SHOWN] + "...")
