"""Which rows are used, what each counts, and the formats that hold numbers as such."""

from __future__ import annotations

import operator
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fitkit.errors import DataError, Diagnostic
from fitkit.expressions import parse
from fitkit.readers import Data, Table, read_header, read_table, row_weights, standard_errors

CSV = "t,state,y,e,w\n0,control,1,1,0\n1,treated,x,1,1\n2,treated,3,0,-1\n3,7.0,NA,-2,2\n4,treated,5,inf,1\n"


def read(tmp_path: Path, where: str | None = None, used: Any = ("t",), text: str = CSV, **data: Any) -> Table:
    (tmp_path / "t.csv").write_text(text)
    section = Data(path="t.csv", where=where, **data)
    return read_table(section, tmp_path, used, None if where is None else parse(where))


def told(error: pytest.ExceptionInfo[DataError]) -> Diagnostic:
    return error.value.diagnostics[0]


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ("t > 0.5 and t < 3.5", [1, 2, 3]),
        ("state == 'treated'", [1, 2, 4]),
        ("state != 'treated'", [0, 3]),
        ("state == '7.0'", [3]),
        ("t == '3'", [3]),
        ("not state == 'treated' and t < pi", [0, 3]),
        ("t", [1, 2, 3, 4]),
        ("log(t - 2) >= 0", [3, 4]),
        ("sqrt(t - 2.5)", [3, 4]),
        ("1", [0, 1, 2, 3, 4]),
    ],
)
def test_where_keeps_the_rows_that_fulfil_it(tmp_path: Path, where: str, kept: list[int]) -> None:
    chosen = read(tmp_path, where)
    assert chosen.numeric("t").tolist() == kept
    assert len(chosen) == len(kept)
    assert chosen.place(len(kept) - 1, "state") == (read(tmp_path).file, kept[-1] + 2, 3)
    assert chosen.dropped == 0


def test_where_goes_before_every_check(tmp_path: Path) -> None:
    assert read(tmp_path, "t == 0 or t == 2", ("y",)).numeric("y").tolist() == [1, 3]
    with pytest.raises(DataError) as caught:
        read(tmp_path, "t > 1", ("y",))
    assert (told(caught).line, told(caught).column) == (5, 7)
    assert "row 4 of column `y`" in told(caught).message
    dropped = read(tmp_path, "t > 1", ("y",), missing="drop")
    assert dropped.numeric("y").tolist() == [3, 5]
    assert dropped.dropped == 1
    with pytest.raises(DataError) as caught:
        read(tmp_path, "t < 2", ("y",)).numeric("y")
    assert (told(caught).code, told(caught).line, told(caught).column) == ("E310", 3, 11)
    assert "row 2 of column `y`" in told(caught).message


def test_text_in_a_row_that_is_left_out_hides_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, "t > 0", ("y",), "t,y\n0,text\n1,inf\n")
    assert (told(caught).code, told(caught).line) == ("E311", 3)
    kept = read(tmp_path, "y > 1 and t > 0", ("y",), "t,y\nNA,text\n1,2\n", missing="drop")
    assert (kept.numeric("y").tolist(), kept.dropped) == ([2], 1)


def test_missing_entries_in_a_column_of_where(tmp_path: Path) -> None:
    text = "t,y\n1,1\n,2\n3,3\n"
    with pytest.raises(DataError) as caught:
        read(tmp_path, "t > 1", ("y",), text)
    assert (told(caught).code, told(caught).line, told(caught).column) == ("E312", 3, 1)
    dropped = read(tmp_path, "t > 1", ("y",), text, missing="drop")
    assert (dropped.numeric("y").tolist(), dropped.dropped) == ([3], 1)
    dropped = read(tmp_path, "not t > 1", ("y",), text, missing="drop")
    assert (dropped.numeric("y").tolist(), dropped.dropped) == ([1], 1)


@pytest.mark.parametrize(
    ("where", "code", "words"),
    [
        ("t > 100", "E315", ["no row", "where: t > 100"]),
        ("T > 1", "E308", ["no column `T`", "did you mean `t`", "where"]),
        ("stat == 'treated'", "E308", ["no column `stat`", "did you mean `state`"]),
        ("state > 1", "E310", ["row 1 of column `state`", "`control`"]),
        ("e > 1", "E311", ["row 5 of column `e`"]),
    ],
)
def test_mistakes_in_where(tmp_path: Path, where: str, code: str, words: list[str]) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, where)
    assert told(caught).code == code
    for word in words:
        assert word in f"{told(caught).message}\n{told(caught).help}"


rows_of = st.lists(
    st.tuples(st.sampled_from([None, 0.0, 1.0, 2.5]), st.sampled_from(["a", "b", "1"])), min_size=1, max_size=12
)
comparisons = {">": operator.gt, "<=": operator.le, "==": operator.eq, "!=": operator.ne}


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows_of, st.sampled_from(sorted(comparisons)), st.sampled_from(["a", "1"]), st.sampled_from(["and", "or"]))
def test_rows_are_those_of_a_comprehension_in_every_format(
    tmp_path: Path, rows: list[tuple[float | None, str]], sign: str, label: str, joined: str
) -> None:
    together = {"and": operator.and_, "or": operator.or_}[joined]
    where = f"x {sign} 1 {joined} g == '{label}'"
    whole = [(index, x, g) for index, (x, g) in enumerate(rows) if x is not None]
    kept = [index for index, x, g in whole if together(comparisons[sign](x, 1), g == label)]
    frame = pl.DataFrame(
        {"i": range(len(rows)), "x": [x for x, _ in rows], "g": [g for _, g in rows]},
        schema_overrides={"x": pl.Float64},
    )
    frame.write_csv(tmp_path / "t.csv")
    frame.write_parquet(tmp_path / "t.parquet")
    np.savez(
        tmp_path / "t.npz",
        allow_pickle=False,
        i=frame["i"].to_numpy(),
        x=frame["x"].to_numpy(),
        g=frame["g"].to_numpy().astype(str),
    )
    values = {"i": list(range(len(rows))), "x": [x for x, _ in rows], "g": [g for _, g in rows]}
    for source in ({"path": "t.csv"}, {"path": "t.parquet"}, {"path": "t.npz"}, {"values": values}):
        data = Data(missing="drop", where=where, **source)
        if not kept:
            with pytest.raises(DataError, match="no row"):
                read_table(data, tmp_path, ["i"], parse(where))
            continue
        chosen = read_table(data, tmp_path, ["i"], parse(where))
        assert chosen.numeric("i").tolist() == kept
        assert chosen.dropped == len(rows) - len(whole)


def test_the_fast_way_selects_the_same_rows(tmp_path: Path) -> None:
    rows = 100_000
    lines = [f"{index}.50,{'ab'[index % 2]},{'' if index % 1000 == 7 else index}" for index in range(rows)]
    text = "t,g,y\n" + "\n".join(lines)
    assert len(text) > 1 << 20
    chosen = read(tmp_path, "t > 99990 and g == 'b'", ("t", "y", "g"), text)
    assert chosen.numeric("y").tolist() == [99991, 99993, 99995, 99997, 99999]
    assert chosen.text("t") == [f"{index}.50" for index in (99991, 99993, 99995, 99997, 99999)]
    assert set(chosen.text("g")) == {"b"}
    assert chosen.is_text("g")
    assert not chosen.is_text("y")
    assert chosen.place(0, "y")[1:] == (99993, 12)
    assert read(tmp_path, None, ("y",), text, missing="drop").dropped == 100
    assert read(tmp_path, "t == '5.50'", ("t",), text).numeric("t").tolist() == [5.5]
    with pytest.raises(DataError) as caught:
        read(tmp_path, None, ("y",), text)
    assert (told(caught).line, told(caught).column) == (9, 8)
    assert "100 such entries" in told(caught).message


def test_standard_errors_are_numbers_above_zero(tmp_path: Path) -> None:
    data = Data(path="t.csv", sigma="e")
    errors = standard_errors(data, read(tmp_path, "t < 2", sigma="e"))
    assert errors is not None
    assert errors.tolist() == [1, 1]
    with pytest.raises(DataError) as caught:
        standard_errors(data, read(tmp_path, "t < 4", sigma="e"))
    assert [(d.code, d.line, d.column) for d in caught.value.diagnostics] == [("E313", 4, 13), ("E313", 5, 10)]
    some = standard_errors(data, read(tmp_path, "t < 4", sigma="e"), np.array([0, 1]))
    assert some is not None
    assert some.tolist() == [1, 1]
    with pytest.raises(DataError) as caught:
        read(tmp_path, sigma="e")
    assert (told(caught).code, told(caught).line, told(caught).column) == ("E311", 6, 13)
    constant = standard_errors(Data(path="t.csv", sigma=0.5), read(tmp_path))
    assert constant is not None
    assert constant.tolist() == [0.5] * 5
    assert standard_errors(Data(path="t.csv"), read(tmp_path)) is None
    for wrong in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(DataError, match="no standard error"):
            standard_errors(Data(path="t.csv", sigma=wrong), read(tmp_path))


def test_weights_are_not_negative_and_not_all_zero(tmp_path: Path) -> None:
    data = Data(path="t.csv", weights="w")
    weights = row_weights(data, read(tmp_path, "t < 2", weights="w"))
    assert weights is not None
    assert weights.tolist() == [0, 1]
    with pytest.raises(DataError) as caught:
        row_weights(data, read(tmp_path, weights="w"))
    assert (told(caught).code, told(caught).line, told(caught).column) == ("E314", 4, 15)
    with pytest.raises(DataError, match="zero"):
        row_weights(data, read(tmp_path, "t == 0", weights="w"))
    assert row_weights(Data(path="t.csv"), read(tmp_path)) is None


def test_columns_that_were_not_read_are_not_given(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        read(tmp_path).numeric("y")


def test_types_of_binary_columns(tmp_path: Path) -> None:
    pl.DataFrame(
        {"i": [1, None, 3], "b": [True, False, None], "f": [1.5, float("nan"), 2.0], "c": ["x", None, "y"]}
    ).write_parquet(tmp_path / "t.parquet")
    table = read_table(Data(path="t.parquet", missing="drop"), tmp_path, ["i", "c", "f"])
    assert (table.numeric("i").tolist(), table.text("i"), table.text("c"), table.dropped) == (
        [1, 3],
        ["1", "3"],
        ["x", "y"],
        1,
    )
    assert read_table(Data(path="t.parquet", missing="drop"), tmp_path, ["b"]).numeric("b").tolist() == [1, 0]
    assert table.place(1, "i")[1:] == (None, None)
    np.save(
        tmp_path / "t.npy", np.array([(1, 2.5, b"a"), (3, 4.5, b"b")], dtype=[("x", "i4"), ("y", "f4"), ("g", "S1")])
    )
    table = read_table(Data(path="t.npy", columns={"n": "x"}), tmp_path)
    assert table.names == ("n", "y", "g")
    assert (table.numeric("n").tolist(), table.numeric("y").tolist(), table.text("g")) == (
        [1, 3],
        [2.5, 4.5],
        ["a", "b"],
    )


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.array([1.0, 2.0]), ["not a table", "two dimensions"]),
        (np.ones((2, 2, 2)), ["not a table"]),
        (np.array([[1, "a"], [2, None]], dtype=object), ["Python objects"]),
        (np.ones((2, 2), dtype=complex), ["complex128"]),
        (np.empty((0, 2)), ["no rows"]),
        (np.ones((2, 3)), ["2 names", "3 columns"]),
        (np.array([[1.0, np.inf]]), ["row 1 of column `b`"]),
        (np.array([[1.0, np.nan]]), ["row 1 of column `b`", "missing"]),
    ],
)
def test_mistakes_in_an_array(tmp_path: Path, array: Any, words: list[str]) -> None:
    np.save(tmp_path / "t.npy", array, allow_pickle=True)
    with pytest.raises(DataError) as caught:
        read_table(Data(path="t.npy", columns=["a", "b"]), tmp_path)
    for word in words:
        assert word in f"{told(caught).message}\n{told(caught).help}"


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": np.ones(2), "y": np.ones(3)}, ["different lengths", "`y` 3"]),
        ({"x": np.ones((2, 2))}, ["`x` has 2 dimensions"]),
        ({"x": np.array([1, None])}, ["Python objects"]),
        ({}, ["no arrays"]),
    ],
)
def test_mistakes_in_arrays(tmp_path: Path, arrays: dict[str, Any], words: list[str]) -> None:
    np.savez(tmp_path / "t.npz", allow_pickle=True, **arrays)
    with pytest.raises(DataError) as caught:
        read_table(Data(path="t.npz"), tmp_path)
    for word in words:
        assert word in told(caught).message


@pytest.mark.parametrize("name", ["t.npz", "t.npy", "t.parquet"])
@pytest.mark.parametrize("contents", [b"", b"x,y\n1,2\n", b"PAR1", b"PK\x03\x04 broken", b"\x93NUMPY\x01\x00v\x00{"])
def test_binary_files_that_are_not_sound(tmp_path: Path, name: str, contents: bytes) -> None:
    (tmp_path / name).write_bytes(contents)
    with pytest.raises(DataError) as caught:
        read_table(Data(path=name), tmp_path)
    assert told(caught).code == "E317"
    assert told(caught).help


def test_archives_that_hold_no_arrays(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "t.npz", "w") as archive:
        archive.writestr("note.txt", "hello")
    with pytest.raises(DataError, match="not an array"):
        read_table(Data(path="t.npz"), tmp_path)


def test_parquet_of_other_types_and_without_columns_in_use(tmp_path: Path) -> None:
    frame = pl.DataFrame({"x": [1.0, 2.0], "d": ["2024-01-01", "2024-01-02"]}).with_columns(pl.col("d").str.to_date())
    frame.write_parquet(tmp_path / "t.parquet")
    assert read_table(Data(path="t.parquet"), tmp_path, ["x"]).numeric("x").tolist() == [1, 2]
    with pytest.raises(DataError, match="Date"):
        read_table(Data(path="t.parquet"), tmp_path)
    assert len(read_table(Data(path="t.parquet"), tmp_path, [])) == 2


def test_headers_of_the_data_sets_are_the_names_of_their_tables() -> None:
    folder = Path(__file__).parents[1] / "datasets"
    paths = sorted(folder.rglob("*.csv"))
    assert len(paths) > 30
    for path in paths:
        data = Data(path=str(path))
        table = read_table(data, Path())
        assert read_header(data, Path()) == table.names
        assert len(table) == len(path.read_text().splitlines()) - 1
