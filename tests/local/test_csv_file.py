"""Tables: what is read from one, and that a bad one is refused by row and column."""

import bz2
import csv
import gzip
import lzma
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zk_autograd.core.errors import UsageError
from zk_autograd.local import csv_file
from zk_autograd.local.csv_name import CsvFile
from zk_autograd.train.names import data_called

HEAD = "age,height,sold\n"
GOOD = HEAD + "".join(f"{20 + i},{1.5 + i / 100},{i % 2}\n" for i in range(12))
Table = Callable[..., CsvFile]


@pytest.fixture
def table(tmp_path: Path) -> Table:
    """Writes a table and names it."""

    def write(content: str | bytes, label: str = "") -> CsvFile:
        path = tmp_path / "houses.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return CsvFile(str(path), label)

    return write


def test_table_is_read_with_its_last_column_as_classes(table: Table) -> None:
    found = csv_file.read(table(GOOD))
    assert found.features.tolist() == [[20.0 + i, 1.5 + i / 100] for i in range(12)]
    assert found.classes.tolist() == [0, 1] * 6
    assert found.names == ("0", "1")
    assert [values.dtype.name for values in (found.features, found.classes)] == ["float64", "int64"]


def test_another_column_can_hold_the_classes(table: Table) -> None:
    rows = "".join(f"{'yes' if i < 4 else 'no'},{i},{-i}\n" for i in range(12))
    found = csv_file.read(table("sold,a,b\n" + rows, label="sold"))
    assert found.features.tolist() == [[i, -i] for i in range(12)]
    assert found.names == ("no", "yes")
    assert found.classes.tolist() == [1] * 4 + [0] * 8


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["10", "9", "-1"], ("-1", "9", "10")),
        (["10", "9", "b"], ("10", "9", "b")),
        (["0.0", "1.0", "1.0"], ("0.0", "1.0")),
        (["0", "-0", "2"], ("-0", "0", "2")),
        (["00", "0", "-1"], ("-1", "0", "00")),
        (["Zürich", "Aarau", "a"], ("Aarau", "Zürich", "a")),
    ],
)
def test_integers_are_classes_by_value_and_texts_by_code_point(
    labels: list[str], names: tuple[str, ...], table: Table
) -> None:
    found = csv_file.read(table("x,c\n" + "".join(f"{i},{labels[i % 3]}\n" for i in range(12))))
    assert found.names == names
    assert [names[c] for c in found.classes] == [labels[i % 3] for i in range(12)]


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + GOOD.encode(),
        GOOD.replace("\n", "\r\n"),
        GOOD + "\n\n",
        GOOD.removesuffix("\n"),
        GOOD.replace("21,", '"21",').replace("22,", " 22\t,"),
        GOOD.replace("age", '"age"'),
    ],
    ids=["byte order mark", "CRLF", "empty lines at the end", "no last newline", "quotes and blanks", "quoted name"],
)
def test_spellings_of_one_table_are_read_alike(content: str | bytes, table: Table) -> None:
    wanted, found = csv_file.read(table(GOOD)), csv_file.read(table(content))
    np.testing.assert_array_equal(found.features, wanted.features)
    np.testing.assert_array_equal(found.classes, wanted.classes)


def test_byte_order_mark_is_no_part_of_a_name(table: Table) -> None:
    source = table("\ufeffsold,age\n" + "".join(f"{i % 2},{i}\n" for i in range(12)), label="sold")
    assert csv_file.read(source).classes.tolist() == [0, 1] * 6


def test_name_with_a_comma_and_a_line_break_is_a_name(table: Table) -> None:
    source = table(GOOD.replace("height", '"height,\nin m"'), label="height,\nin m")
    with pytest.raises(UsageError, match="12 different labels in 12 rows, so they are not classes"):
        csv_file.read(source)


def edited(line: int, row: str) -> str:
    lines = GOOD.splitlines()
    lines[line - 1] = row
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("content", "label", "message"),
    [
        (edited(7, "abc,1.5,1"), "", "houses.csv: row 7, column 'age': 'abc' is not a number"),
        (edited(7, "25,1_0,1"), "", "row 7, column 'height': '1_0' is not a number"),
        (edited(7, "25,٣,1"), "", "row 7, column 'height': '٣' is not a number"),
        (edited(7, "25,0x10,1"), "", "'0x10' is not a number"),
        (edited(7, "25,1.5\x00,1"), "", "is not a number"),
        (edited(3, "25,nan,1"), "", "row 3, column 'height': 'nan' is not a finite number"),
        (edited(3, "25,-Infinity,1"), "", "'-Infinity' is not a finite number"),
        (edited(3, "25,1e999,1"), "", "'1e999' is too large"),
        (edited(3, "25,-1e100,1"), "", "'-1e100' is too large"),
        (edited(13, "25,,1"), "", "row 13, column 'height' is empty"),
        (edited(13, "25,1, "), "", "row 13, column 'sold' is empty"),
        (edited(5, "25,1"), "", "row 5 has 2 cells, but the first row names 3 columns"),
        (edited(5, "25,1,0,9"), "", "row 5 has 4 cells"),
        (edited(5, "25;1;0"), "", "row 5 has 1 cells"),
        (edited(5, ""), "", "row 5 is an empty line"),
        (edited(5, '25,"1\n2",0'), "", "row 5, column 'height'"),
        (edited(6, "a,b,c").replace("1.52,0", '1.52,"0\n"'), "", "row 7, column 'age': 'a'"),
        (edited(5, '25,"1.5,0'), "", "row 5 can't be read: unexpected end of data"),
        (edited(5, '25,"1"5,0'), "", "row 5 can't be read"),
        (edited(5, "25," + "1" * 200_000 + ",0"), "", "row 5 can't be read: field larger than field limit"),
        ("", "", "is empty; its first row must name the columns"),
        ("\n\n", "", "is empty; its first row must name the columns"),
        (HEAD, "", "has 0 rows below its names; a training needs at least 10"),
        ("".join(GOOD.splitlines(keepends=True)[:10]), "", "has 9 rows below its names"),
        (GOOD.replace(HEAD, ""), "", "row 1 holds numbers; the first row must name the columns"),
        (GOOD.replace("height", "age"), "", "row 1 names two columns 'age'"),
        (GOOD.replace("height", " "), "", "row 1 has no name for column 2"),
        ("c\n" + "1\n2\n" * 6, "", "has one column, 'c'"),
        (GOOD, "Sold", "has no column 'Sold'; did you mean sold?"),
        (GOOD.replace(",0\n", ",1\n"), "", "column 'sold' has only one class, '1'"),
        (GOOD, "age", "column 'age' has 12 different labels in 12 rows, so they are not classes; name the column"),
        (edited(4, "é,1,0").encode("latin-1"), "", "row 4 is not UTF-8 text"),
        (GOOD.encode("utf-16"), "", "row 1 is not UTF-8 text"),
        (
            gzip.compress(GOOD.encode(), mtime=0),
            "",
            "is compressed (gzip); unpack it, or save it as comma-separated text",
        ),
        (bz2.compress(GOOD.encode()), "", "is compressed (bzip2); unpack it"),
        (lzma.compress(GOOD.encode()), "", "is compressed (xz); unpack it"),
        (b"PK\3\4" + bytes(30), "", "is compressed (zip, as spreadsheets are); unpack it"),
        (",".join(map(str, range(10_001))) + "\n", "", "has 10001 columns; at most 10000 are read"),
    ],
)
def test_bad_table_is_refused_by_row_and_column(content: str | bytes, label: str, message: str, table: Table) -> None:
    with pytest.raises(UsageError) as caught:
        csv_file.read(table(content, label))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_file_that_is_missing_too_long_or_no_file_is_refused(
    table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match=r"nothing\.csv can't be read: No such file"):
        csv_file.read(CsvFile(str(tmp_path / "nothing.csv")))
    with pytest.raises(UsageError, match="can't be read: it is a folder, and must be a regular file"):
        csv_file.read(CsvFile(str(tmp_path)))
    monkeypatch.setattr(csv_file, "MAX_BYTES", len(GOOD))
    csv_file.read(table(GOOD))
    with pytest.raises(UsageError, match="has more than"):
        csv_file.read(table(GOOD + "\n"))


@given(st.lists(st.tuples(st.floats(-1e99, 1e99), st.integers(-99, 99), st.sampled_from("ab")), min_size=10))
def test_what_python_writes_is_read_back(rows: list[tuple[float, int, str]]) -> None:
    from tempfile import TemporaryDirectory

    rows = [*rows, (0.0, 0, "a"), (0.0, 0, "b")]
    with TemporaryDirectory() as folder:
        path = Path(folder, "t.csv")
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("x", "y", "c"), *rows])
        found = csv_file.read(CsvFile(str(path)))
    assert found.features.tolist() == [[x, float(y)] for x, y, _ in rows]
    assert [found.names[c] for c in found.classes] == [c for _, _, c in rows]


def test_published_name_has_no_folder() -> None:
    assert str(CsvFile("/home/me/houses.csv", "sold")) == "csv:houses.csv"


def test_numbers_of_classes_do_not_hang_on_how_texts_are_hashed(table: Table) -> None:
    """Two labels of one value were numbered in the order of a set."""
    source = table("x,c\n" + "".join(f"{i},{('0', '-0')[i % 2]}\n" for i in range(12)))
    script = (
        "import sys; from zk_autograd.local import csv_file; from zk_autograd.local.csv_name import CsvFile; "
        "print(csv_file.read(CsvFile(sys.argv[1])).names)"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", script, source.path],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in "1234"
    }
    assert told == {"('-0', '0')\n"}


def test_a_table_in_the_home_folder_is_found_though_no_shell_saw_the_path(
    table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(table(GOOD).path)
    monkeypatch.setenv("HOME", str(path.parent))
    named = data_called(f"csv:~/{path.name}")
    assert isinstance(named, CsvFile)
    assert csv_file.read(named).names == csv_file.read(CsvFile(str(path))).names
    for literal in ("csv:~x.csv", "csv:a/~/x.csv"):
        named = data_called(literal)
        assert isinstance(named, CsvFile)
        assert named.path == literal.removeprefix("csv:")
