"""Laws of reading: what was written is read back to the last bit, and the fast way and the precise way agree."""

from __future__ import annotations

import csv
import io
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fitkit.errors import DataError
from fitkit.readers import Data, Table, read_table
from fitkit.readers.blanks import squeezed
from fitkit.readers.encoding import survey
from fitkit.readers.fast_text import counted, read_fast
from fitkit.readers.header import read_text_header
from fitkit.readers.records import dialect_of
from fitkit.readers.source import Source, locate
from fitkit.readers.text import read_text

doubles = st.floats(allow_nan=False, allow_infinity=False)
words = st.text(st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cs"]), max_size=6).map(
    lambda word: f"w{word}"
)
laws = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def tables(draw: st.DrawFn) -> dict[str, list[Any]]:
    rows = draw(st.integers(1, 8))
    names = draw(st.lists(st.sampled_from(["x", "y", "Zeit (s)", "ä", "lambda"]), min_size=1, max_size=4, unique=True))
    return {name: draw(st.lists(doubles, min_size=rows, max_size=rows)) for name in names}


def same(read: Table, written: dict[str, list[float]]) -> None:
    assert read.names == tuple(written)
    for name, numbers in written.items():
        assert read.numeric(name).tobytes() == np.array(numbers).tobytes()


@laws
@given(tables(), st.sampled_from(["repr", ".17g", ".16e"]), st.sampled_from(["\n", "\r\n"]))
def test_numbers_come_back_from_csv_to_the_last_bit(
    tmp_path: Path, written: dict[str, list[float]], style: str, end: str
) -> None:
    for suffix, delimiter in ((".csv", ","), (".tsv", "\t")):
        with (tmp_path / f"t{suffix}").open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream, delimiter=delimiter, lineterminator=end)
            writer.writerow(written)
            for row in zip(*written.values(), strict=True):
                writer.writerow([repr(number) if style == "repr" else format(number, style) for number in row])
        same(read_table(Data(path=f"t{suffix}"), tmp_path), written)


@laws
@given(tables(), st.sampled_from([" ", "   ", "\t", " \t "]))
def test_numbers_come_back_from_aligned_text_to_the_last_bit(
    tmp_path: Path, written: dict[str, list[float]], blank: str
) -> None:
    lines = [blank.join(map(repr, row)) for row in zip(*written.values(), strict=True)]
    (tmp_path / "t.txt").write_text("\n".join(blank + line for line in lines))
    same(read_table(Data(path="t.txt", columns=list(written)), tmp_path), written)


@laws
@given(tables())
def test_numbers_come_back_from_binary_formats_to_the_last_bit(tmp_path: Path, written: dict[str, list[float]]) -> None:
    pl.DataFrame(written).write_parquet(tmp_path / "t.parquet")
    np.savez(
        tmp_path / "t.npz", allow_pickle=False, **{f"c{index}": column for index, column in enumerate(written.values())}
    )
    np.save(tmp_path / "t.npy", np.array(list(written.values())).T)
    same(read_table(Data(path="t.parquet"), tmp_path), written)
    same(read_table(Data(path="t.npz", columns=list(written)), tmp_path), written)
    same(read_table(Data(path="t.npy", columns=list(written)), tmp_path), written)
    same(read_table(Data(values={name: list(column) for name, column in written.items()}), tmp_path), written)


@laws
@given(st.lists(words, min_size=1, max_size=6))
def test_text_comes_back_as_it_was_written(tmp_path: Path, written: list[str]) -> None:
    with (tmp_path / "t.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, quoting=csv.QUOTE_ALL).writerows([["name", "y"], *([word, "1"] for word in written)])
    read = read_table(Data(path="t.csv"), tmp_path)
    assert read.text("name") == written
    assert read.is_text("name")
    pl.DataFrame({"name": written}).write_parquet(tmp_path / "t.parquet")
    assert read_table(Data(path="t.parquet"), tmp_path).text("name") == written


pieces = st.sampled_from(
    """1|2.5|-1e3| 1|1 |+.5|1.||NA|nan|-nan|null|inf|1e999|1e-400|abc| a|a b|1_0|0x1|1,5|1;5|"1"|"|#|# c|1#|ä|1d5
    |\ufeff1|\x0b1|\xa01|4.9e-324|\u2028|  |\x85""".replace("\n", "").split("|")
)


@st.composite
def messy_texts(draw: st.DrawFn) -> str:
    """Text that is nearly a table: mostly numbers, with anything in between."""
    width = draw(st.integers(1, 3))
    odd = draw(st.lists(pieces, min_size=1, max_size=3))
    entry = st.sampled_from(["1", "2.5", "3", "-4e2", *odd])
    delimiter = draw(st.sampled_from([",", ";", " ", "\t", "  "]))
    usual = st.lists(entry, min_size=width, max_size=width)
    row = st.one_of(usual, usual, usual, st.lists(entry, max_size=4))
    lines = [delimiter.join(f"c{index}" for index in range(width))]
    lines += [delimiter.join(draw(row)) for _ in range(draw(st.integers(1, 6)))]
    ends = draw(st.sampled_from(["\n", "\n", "\r\n", "\r", "\n\n"]))
    return ends.join(lines) + draw(st.sampled_from(["", ends, "\n", "\n \n"]))


def outcome(source: Source, data: Data, large: int) -> Any:
    """What reading comes to: every column's entries, or every mistake."""
    try:
        contents = read_text(source, data, lambda names: names, large)
        read = Table(contents, 0)
        columns = []
        for name in read.names:
            column = contents.columns[name]
            missing = column.missing.tolist()
            kept = [None if gap else text for gap, text in zip(missing, read.text(name), strict=True)]
            columns.append(
                (column.numbers.tobytes(), missing, kept, read.is_text(name), read.place(len(read) - 1, name))
            )
    except DataError as error:
        return error.diagnostics
    return columns


@settings(laws, max_examples=400)
@example("c0,c1\n\ufeff1,2\n", ".csv", None, ".", 200)
@example("c0,c1\n\ufeffa,2\n", ".csv", None, ".", 200)
@example('c0,c1\n"1",2\n', ".csv", None, ".", 200)
@example('c0,c1\n"a",2\n', ".csv", None, ".", 200)
@example("c0,c1\n1,2\n1,-nan\n", ".csv", None, ".", 1)
@example("c0,c1\n1,2\n1,inf\n", ".csv", None, ".", 1)
@example("c0,c1\n1,2\n1,nan\n", ".csv", None, ".", 1)
@example("c0;c1\n1,5;2\n1.5;3\n", ".csv", ";", ",", 1)
@example("c0§c1\n1§2\n3§4\n", ".csv", "§", ".", 1)
@example("c0\tc1\n1\t2\n\t\n", ".tsv", None, ".", 1)
@given(
    messy_texts(),
    st.sampled_from([".csv", ".tsv", ".dat"]),
    st.sampled_from([None, ";"]),
    st.sampled_from([".", ","]),
    st.sampled_from([1, 200]),
)
def test_fast_and_precise_reading_agree(
    tmp_path: Path, text: str, suffix: str, delimiter: str | None, decimal: Any, sample: int
) -> None:
    (tmp_path / f"t{suffix}").write_bytes(text.encode())
    data = Data(path=f"t{suffix}", delimiter=delimiter, decimal=decimal)
    source = locate(f"t{suffix}", tmp_path, None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fitkit.readers.fast_text._SAMPLE", sample)
        fast = outcome(source, data, large=0)
    assert fast == outcome(source, data, large=1 << 60)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", "1,2\n3,4\n"),
        ("t.dat", "  1  2\n3\t4"),
        ("t.csv", "# c\nx,y\n1,2\n,4\n"),
        ("t.csv", "x,name\r\n1,a\r\nNA,b\r\n"),
        ("t.tsv", "x\ty\n1\t2"),
        ("t.dat", "x  y\n 1\t 2  \n3   4\n\n"[:-1]),
        ("t.dat", "# u v\n\nx y\n1 2\n3 4"),
    ],
)
def test_simple_files_are_read_fast(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_bytes(text.encode())
    source, data = (
        locate(name, tmp_path, None),
        Data(path=name, columns=["a", "b"] if text.lstrip()[0] == "1" else None),
    )
    dialect = dialect_of(data, source.format)
    header = read_text_header(source, data, dialect)
    columns = read_fast(source, dialect, header, survey(source, counted(dialect)), header.names)
    assert columns is not None
    assert set(columns) == set(header.names)


def test_a_million_rows_take_the_fast_way(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).normal(size=(1_000_000, 2))
    pl.DataFrame(numbers, schema=["x", "y"]).write_csv(tmp_path / "t.csv")
    begin = time.perf_counter()
    read = read_table(Data(path="t.csv"), tmp_path)
    seconds = time.perf_counter() - begin
    assert read.numeric("x").tobytes() == np.ascontiguousarray(numbers[:, 0]).tobytes()
    assert seconds < 2
    assert read.place(999_999, "y")[1] == 1_000_001


def test_a_mistake_in_a_large_file_is_placed(tmp_path: Path) -> None:
    rows = 200_000
    (tmp_path / "t.csv").write_text("x,y\n" + "1.25,2.5\n" * rows + "1,oops\n3,4\n")
    broken = read_table(Data(path="t.csv"), tmp_path)
    with pytest.raises(DataError) as caught:
        broken.numeric("y")
    told = caught.value.diagnostics[0]
    assert (told.line, told.column, told.source) == (rows + 2, 3, "1,oops")


@laws
@given(st.lists(st.sampled_from(["a", "b", " ", "\t", "  ", "\n", "\r\n", "\n\n"]), max_size=20), st.integers(1, 5))
def test_squeezing_blanks_does_not_depend_on_the_chunks(parts: list[str], size: int) -> None:
    text = "".join(parts).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fitkit.readers.source.CHUNK", size)
        found = squeezed(Source(shown="-", format=".dat", contents=text), 0)
    lines = text.replace(b"\r\n", b"\n").split(b"\n")
    assert found.replace(b"\r\n", b"\n") == b"\n".join(b" ".join(line.split()) for line in lines)


@laws
@given(st.text(st.sampled_from("a,ä€😀\r\n"), max_size=20), st.integers(1, 4))
def test_counting_does_not_depend_on_the_chunks(text: str, size: int) -> None:
    counts = (b",", b"\r\n", "€".encode(), b"aa\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fitkit.readers.source.CHUNK", size)
        found = survey(Source(shown="-", format=".csv", contents=text.encode()), counts)
    assert found.counts == {word: text.encode().count(word) for word in counts}
    assert found.size == len(text.encode())


@laws
@given(st.binary(max_size=30), st.integers(1, 4))
def test_what_is_not_utf8_is_placed_where_python_finds_it(contents: bytes, size: int) -> None:
    contents = b"x" + contents.replace(b"\0", b"1")
    source = Source(shown="-", format=".csv", contents=contents)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fitkit.readers.source.CHUNK", size)
        try:
            contents.decode("utf-8")
        except UnicodeDecodeError as error:
            before = io.StringIO(contents[: error.start].decode() + "|", newline="").readlines()
            with pytest.raises(DataError) as caught:
                survey(source)
            told = caught.value.diagnostics[0]
            assert (told.line, told.column) == (len(before), len(before[-1]))
        else:
            survey(source)


def test_a_number_is_what_the_grammar_says_and_has_pythons_value(tmp_path: Path) -> None:
    entries = [
        "1",
        "-1.5",
        "+.5",
        "2.",
        "1e5",
        "1E-5",
        "123456789012345678901234567890",
        "0.1",
        "4.9e-324",
        "1e-400",
        "-0",
    ]
    (tmp_path / "t.csv").write_text("x\n" + "\n".join(entries))
    read = read_table(Data(path="t.csv"), tmp_path).numeric("x")
    assert read.tobytes() == np.array([float(entry) for entry in entries]).tobytes()
    assert math.copysign(1, read[-1]) == -1
