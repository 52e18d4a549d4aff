"""Every named mistake in a table is told with its line, its column and a way out; and what is no mistake is read."""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fitkit.errors import DataError, Diagnostic, ExitCode
from fitkit.readers import Data, Table, read_header, read_table


def table(
    tmp_path: Path, text: str | bytes, name: str = "t.csv", used: Any = None, where: Any = None, **data: Any
) -> Table:
    (tmp_path / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return read_table(Data(path=name, **data), tmp_path, used, where)


def numbers(tmp_path: Path, text: str | bytes, name: str = "t.csv", **data: Any) -> dict[str, list[float]]:
    read = table(tmp_path, text, name, **data)
    return {column: read.numeric(column).tolist() for column in read.names}


def mistakes(tmp_path: Path, text: str | bytes, name: str = "t.csv", **data: Any) -> tuple[Diagnostic, ...]:
    """The diagnostics of reading all columns as numbers."""
    with pytest.raises(DataError) as caught:
        numbers(tmp_path, text, name, **data)
    assert caught.value.exit_code is ExitCode.DATA
    for told in caught.value.diagnostics:
        assert told.help
        assert told.code.startswith("E3")
        assert told.render()
    return caught.value.diagnostics


# text, options, code, line, column, and words that the message or the help must have
MISTAKES: list[Any] = [
    ("x,y\n1,2\n3\n4,5\n", {}, "E305", 3, 2, ["row 2", "1 field", "header has 2"]),
    ("x,y\n1,2\n3,4,5\n", {}, "E305", 3, 5, ["row 2", "3 fields"]),
    ("# note\n\nx,y\n\n1,2\n# more\n3\n", {}, "E305", 7, 2, ["row 2"]),
    ('x,y\n"1\n",2\n3\n', {}, "E305", 4, 2, ["row 2"]),
    ("x;y\n1;2\n", {}, "E306", 1, 2, ['delimiter: ";"']),
    ("x\ty\n1\t2\n", {}, "E306", 1, 2, ['delimiter: "\\t"']),
    ("x   y\n1   2\n", {}, "E306", 1, 2, ['delimiter: " "']),
    ("x;y\n1,5;2,5\n", {}, "E306", 1, 2, ['delimiter: ";"']),
    ("x,y\n1,2\n", {"name": "t.txt"}, "E306", 1, 2, ['delimiter: ","']),
    ("x, y\n1, 2\n", {"name": "t.dat"}, "E306", 1, 2, ['delimiter: ","']),
    ("1;2\n", {"columns": ["x", "y"]}, "E307", 1, 4, ['delimiter: ";"']),
    ("x,y\n1,2\n3,\xe9\n".encode("latin1"), {}, "E303", 3, 3, ["0xe9", "UTF-8", "iconv"]),
    ("x,y\n\xe9,2\n3,4\n".encode("latin1"), {}, "E303", 2, 1, ["0xe9"]),
    ("x,y\n1,2\n".encode("utf-16"), {}, "E303", 1, None, ["UTF-16"]),
    (b"x,y\n1,2\n3,\0\n", {}, "E303", 3, 3, ["NUL"]),
    ("x,y,x\n1,2,3\n", {}, "E307", 1, 5, ["`x`", "2 times"]),
    ("x,y\n1,2\n3,abc\n", {}, "E310", 3, 3, ["row 2", "`y`", "`abc`"]),
    ('x,y\n1,2\n"3", "abc"\n', {}, "E310", 3, 6, ["row 2", "`y`"]),
    ("x;y\n1;2\n3;1,5\n", {"delimiter": ";"}, "E310", 3, 3, ['decimal: ","']),
    ("x;y\n1;2\n3;1.5\n", {"delimiter": ";", "decimal": ","}, "E310", 3, 3, ["`decimal"]),
    ("x\ty\n1\t2\n3\t1,234,567.5\n", {"name": "t.tsv"}, "E310", 3, 3, ["thousands"]),
    ("x,y\n1,2\n3,1_000\n", {}, "E310", 3, 3, ["thousands"]),
    ("x,y\n1,2\n3,1_0\n", {}, "E310", 3, 3, ["decimal digits"]),
    ("x,y\n1,2\n3,0x10\n", {}, "E310", 3, 3, ["decimal digits"]),
    ("x,y\n1,2\n3,1.5D+03\n", {}, "E310", 3, 3, ["`e`"]),
    ("x,y\n1,2\n3,٣\n", {}, "E310", 3, 3, ["`y`"]),
    ("x,y\n1,2\n3,\x0b4\n", {}, "E310", 3, 3, ["`y`"]),
    ("x,y\n1,2\n3,\xa04\n", {}, "E310", 3, 3, ["`y`"]),
    ("x,y\n1,2\n3,-\n", {}, "E310", 3, 3, ["NA"]),
    ("x,y\n1,2\n3,inf\n", {}, "E311", 3, 3, ["row 2", "`y`", "not a finite"]),
    ("x,y\n1,2\n3,1e999\n", {}, "E311", 3, 3, ["too large"]),
    ("x,y\n1,2\n3,NaN\n", {}, "E312", 3, 3, ["row 2", "`y`", "missing: drop"]),
    ("x,y\n1,2\n3,\n", {}, "E312", 3, 3, ["row 2", "`y`", "missing: drop"]),
    ("x y\n1 2\n3 na\n", {"name": "t.dat"}, "E312", 3, 3, ["row 2"]),
    ("", {}, "E304", 1, None, ["empty"]),
    ("\n# only\n", {}, "E304", 1, None, ["comments"]),
    ("x,y\n", {}, "E304", 1, 1, ["no rows"]),
    ("1,2\n3,4\n", {}, "E307", 1, 1, ["no header", "columns: [x, y]"]),
    ("# t counts\n1 2\n3 4\n", {"name": "t.dat"}, "E307", 2, 1, ["columns: [t, counts]"]),
    ("1,2\n3,4\n", {"columns": ["x", "y", "z"]}, "E307", 1, 4, ["3 names", "2 fields"]),
    ("1,2\n3,4\n", {"columns": ["x"]}, "E307", 1, 3, ["1 name", "2 fields"]),
    ("1,2\n3,4\n", {"columns": ["x", "x"]}, "E307", None, None, ["`x`"]),
    ("x,y\n1,2\n", {"columns": ["a", "b"]}, "E310", 1, 1, ["header", "mapping"]),
    ("Time (s),y\n1,2\n", {"columns": {"t": "Time(s)"}}, "E308", None, None, ["`Time(s)`", "did you mean `Time (s)`"]),
    ("x,y\n1,2\n", {"columns": {"x": "y"}}, "E307", None, None, ["two columns are called `x`"]),
    ("x,y\n1,2\n", {"columns": {"a": "y", "b": "y"}}, "E307", None, None, ["two names"]),
    ("x,errors\n1,2\n", {"sigma": "error"}, "E308", None, None, ["sigma", "did you mean `errors`"]),
    ("x,wt\n1,2\n", {"weights": "weight"}, "E308", None, None, ["weights", "`x`, `wt`"]),
    ('x,y\n1,2\n3,"4\n5,6\n', {}, "E309", 3, 3, ["never closed"]),
    ('x,y\n1,2\n"a"b,4\n', {}, "E309", 3, 1, ["closing quote"]),
    ("x,y\n1,2\n", {"decimal": ","}, "E300", None, None, ["delimiter"]),
]


@pytest.mark.parametrize(("text", "options", "code", "line", "column", "words"), MISTAKES)
def test_mistake_is_told_with_its_place(
    tmp_path: Path,
    text: str | bytes,
    options: dict[str, Any],
    code: str,
    line: int | None,
    column: int | None,
    words: list[str],
) -> None:
    told = mistakes(tmp_path, text, **options)[0]
    assert (told.code, told.line, told.column) == (code, line, column)
    for word in words:
        assert word in f"{told.message}\n{told.help}"
    if column is not None and isinstance(text, str):
        assert told.source == text.split("\n")[(line or 1) - 1]


@pytest.mark.parametrize(("text", "options", "code", "line", "column", "words"), MISTAKES)
def test_mistake_is_told_alike_with_windows_line_ends_and_a_byte_order_mark(
    tmp_path: Path,
    text: str | bytes,
    options: dict[str, Any],
    code: str,
    line: int | None,
    column: int | None,
    words: list[str],
) -> None:
    del words
    if isinstance(text, str):
        told = mistakes(tmp_path, b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode(), **options)[0]
        assert (told.code, told.line, told.column) == (code, line, column)


def test_many_mistakes_are_told_at_once_and_at_most_twenty(tmp_path: Path) -> None:
    told = mistakes(tmp_path, "x,y\n" + "1\n" * 50)
    assert [d.line for d in told] == list(range(2, 22))
    told = mistakes(tmp_path, "x,y\n" + "1,\n" * 50)
    assert len(told) == 20
    assert "50 such entries" in told[0].message


def test_header_is_read_with_the_same_verdict_and_without_numpy(tmp_path: Path) -> None:
    for text, options, code, line, column, _ in MISTAKES:
        if code not in {"E304", "E306", "E307", "E308"}:
            continue
        arguments = dict(options)
        name = arguments.pop("name", "t.csv")
        (tmp_path / name).write_bytes(text.encode() if isinstance(text, str) else text)
        with pytest.raises(DataError) as caught:
            read_header(Data(path=name, **arguments), tmp_path)
        told = caught.value.diagnostics[0]
        assert (told.code, told.line, told.column) == (code, line, column)
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"x,y\n1,2\n"))
    program = (
        "import sys, pathlib; from fitkit.readers import Data, read_header\n"
        f"assert read_header(Data(path='t.csv.gz'), pathlib.Path({str(tmp_path)!r})) == ('x', 'y')\n"
        "assert not {'numpy', 'polars', 'jax', 'scipy', 'pydantic'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[1])


def test_header_of_formats_without_one(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", x=np.ones(2))
    assert read_header(Data(path="t.npz"), tmp_path) is None
    assert read_header(Data(path="-"), tmp_path) is None
    assert read_header(Data(values={"x": [1.0]}), tmp_path) == ("x",)
    with pytest.raises(DataError, match="no such file"):
        read_header(Data(path="u.npz"), tmp_path)


@pytest.mark.parametrize(
    ("path", "code", "words"),
    [
        ("tabel.csv", "E301", ["no such file", "did you mean `table.csv`"]),
        ("nowhere/table.csv", "E301", ["no folder"]),
        ("folder.csv", "E301", ["folder"]),
        ("folder", "E301", ["folder"]),
        ("table.xyz", "E302", [".csv", ".parquet", "not known"]),
        ("table", "E302", ["no extension"]),
        ("table.json", "E302", ["not available yet"]),
        ("table.parquet.gz", "E302", ["decompress"]),
        ("https://example.org/table.csv", "E302", ["URL", "download"]),
    ],
)
def test_file_that_cannot_be_opened(tmp_path: Path, path: str, code: str, words: list[str]) -> None:
    (tmp_path / "table.csv").write_text("x\n1\n")
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "folder").mkdir()
    for read in (read_header, read_table):
        with pytest.raises(DataError) as caught:
            read(Data(path=path), tmp_path)
        told = caught.value.diagnostics[0]
        assert told.code == code
        for word in words:
            assert word in f"{told.message}\n{told.help}"


def test_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # a mode of 0 would not stop root
    for read in (read_header, read_table):
        with pytest.raises(DataError, match="permission") as caught:
            read(Data(path="t.csv"), tmp_path)
        assert caught.value.diagnostics[0].code == "E301"


@pytest.mark.parametrize(
    "text",
    [
        "x,y\n1,2\n3,4\n",
        "x,y\n1,2\n3,4",
        "x,y\r\n1,2\r\n3,4\r\n",
        "x,y\r1,2\r3,4\r",
        "\ufeffx,y\n1,2\n3,4\n",
        "\n\nx,y\n\n1,2\n   \n3,4\n\n\n",
        "# a, comment\nx,y\n  # another\n1,2\n3,4\n#end",
        '"x","y"\n"1","2"\n3,4\n',
        " x , y \n 1 ,\t2\n3,4 \n",
        "x,y\n+1,2.\n3.0e0,.4E+1\n",
    ],
)
def test_the_same_table_in_many_clothes(tmp_path: Path, text: str) -> None:
    read = table(tmp_path, text)
    assert read.names == ("x", "y")
    assert read.numeric("x").tolist() == [1, 3]
    assert read.numeric("y").tolist() == [2, 4]
    assert read.sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert len(read) == 2
    assert read.dropped == 0
    zipped = table(tmp_path, gzip.compress(text.encode()), "t.csv.gz")
    assert zipped.numeric("y").tolist() == [2, 4]


def test_newlines_delimiters_and_quotes_within_quotes(tmp_path: Path) -> None:
    read = table(tmp_path, 'name,y\n"a\n# b",1\n"c, ""d""",2\ne,3\n')
    assert read.text("name") == ["a\n# b", 'c, "d"', "e"]
    assert read.is_text("name")
    assert not read.is_text("y")
    assert read.place(0, "y")[1:] == (3, 6)
    assert read.place(1, "y")[1:] == (4, 12)
    assert read.place(2, "name")[1:] == (5, 1)


def test_blank_separated_text(tmp_path: Path) -> None:
    read = table(tmp_path, "# header\n  t \t y   # trailing\n 1.5    -2\n\n\t3 4 # note\n", "t.txt")
    assert read.numeric("t").tolist() == [1.5, 3]
    assert read.numeric("y").tolist() == [-2, 4]
    assert read.place(1, "y")[1:] == (5, 4)


def test_skip_comment_decimal_and_names(tmp_path: Path) -> None:
    read = table(
        tmp_path,
        "junk, junk\n1;2;3\n% c\nTime (s);n\n1,5;2\n",
        skip=2,
        comment="%",
        delimiter=";",
        decimal=",",
        columns={"t": "Time (s)"},
    )
    assert read.names == ("t", "n")
    assert read.numeric("t").tolist() == [1.5]
    read = table(tmp_path, "1 2\n3 4\n", "t.dat", columns=["a", "b"])
    assert read.numeric("b").tolist() == [2, 4]
    assert read.place(0, "b")[1:] == (1, 3)
    assert table(tmp_path, ",x\n0,1\n").names == ("column_1", "x")


def test_unused_columns_may_hold_anything(tmp_path: Path) -> None:
    text = "x,y,note\n1,2,inf\n3,4,\n5,6,abc\n"
    for used in (["x", "y"], lambda names: [name for name in names if name != "note"]):
        read = table(tmp_path, text, used=used)
        assert read.names == ("x", "y", "note")
        assert read.numeric("y").tolist() == [2, 4, 6]
    with pytest.raises(DataError, match="no column `z`"):
        table(tmp_path, text, used=["z"])


def test_missing_rows_are_dropped_and_counted(tmp_path: Path) -> None:
    read = table(tmp_path, "x,y,z\n1,NA,\n2,5,null\n,6,NaN\n4,7,1\n8,nAn,1\n", used=["x", "y"], missing="drop")
    assert read.numeric("x").tolist() == [2, 4]
    assert read.dropped == 3
    assert read.place(1, "x")[1:] == (5, 1)
    with pytest.raises(DataError, match="no row is left"):
        table(tmp_path, "x\nNA\n", missing="drop")


def test_standard_input(tmp_path: Path) -> None:
    read = read_table(Data(path="-"), tmp_path, stdin=io.BytesIO(b"x\n1\n"))
    assert (read.file, read.numeric("x").tolist()) == ("-", [1])
    with pytest.raises(DataError) as caught:
        read_table(Data(path="-"), tmp_path, stdin=io.BytesIO(b"x\n1,2\n"))
    assert caught.value.diagnostics[0].file == "-"
    with pytest.raises(DataError, match="empty"):
        read_table(Data(path="-"), tmp_path, stdin=io.BytesIO(b""))


def test_broken_compression(tmp_path: Path) -> None:
    whole = gzip.compress(b"x,y\n" + os.urandom(5000).hex().encode() + b",2\n")
    for broken in (whole[:-100], b"x,y\n1,2\n", whole[:200] + b"!!!!" + whole[204:]):
        with pytest.raises(DataError, match="compressed file") as caught:
            table(tmp_path, broken, "t.csv.gz")
        assert caught.value.diagnostics[0].code == "E303"


def test_decompression_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fitkit.readers.source.MOST_DECOMPRESSED", 1 << 20)
    with pytest.raises(DataError, match="when decompressed"):
        table(tmp_path, gzip.compress(b"x\n" + b"1\n" * (1 << 20)), "t.csv.gz")


def test_values() -> None:
    read = read_table(Data(values={"x": [1, 2.5, None], "g": ["a", 1.0, "b"]}), Path(), ["g"])
    assert read.text("g") == ["a", "1", "b"]
    assert read.is_text("g")
    assert read.file == "<values>"
    read = read_table(Data(values={"x": [1, 2.5, None]}, missing="drop"), Path())
    assert read.numeric("x").tolist() == [1, 2.5]
    assert (read.dropped, read.place(0, "x")) == (1, ("<values>", None, None))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"x": [1.0], "y": [1.0, 2.0]}, ["different lengths", "`x` 1", "`y` 2"]),
        ({"x": [1.0, True]}, ["entry 2 of `x`", "`true`"]),
        ({"x": [1.0, [2.0]]}, ["entry 2 of `x`", "list"]),
        ({"x": [1.0, math.inf]}, ["row 2 of column `x`", "not a finite"]),
        ({"x": [1.0, 10**400]}, ["row 2 of column `x`"]),
        ({"x": [1.0, None]}, ["row 2 of column `x`", "missing"]),
        ({"x": []}, ["no rows"]),
        ({}, ["empty"]),
    ],
)
def test_mistakes_in_values(values: Any, words: list[str]) -> None:
    with pytest.raises(DataError) as caught:
        read_table(Data(values=values), Path())
    for word in words:
        assert word in caught.value.diagnostics[0].message


def test_a_table_and_only_one() -> None:
    for data in (Data(), Data(path="x.csv", values={"x": [1.0]})):
        for read in (read_header, read_table):
            with pytest.raises(DataError, match="`path`"):
                read(data, Path())
