"""Rows that belong together: found by what is written, in any order of the table, of any format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitkit.expressions import parse
from fitkit.readers import Data, read_table
from fitkit.readers.columns import WrittenColumn
from fitkit.readers.contents import Contents
from fitkit.readers.grouping import Grouping, group_rows

KEYS = st.sampled_from(["a", "b", "1", "1.0", " 1", "é", "", "NA"])


def found(grouping: Grouping) -> dict[tuple[str, ...], list[int]]:
    """Return the rows of each group by its key, as its parts tell them."""
    keys = list(zip(*grouping.keys.values(), strict=True))
    assert len(set(keys)) == len(keys) == len(grouping)
    rows = {key: grouping.rows(group).tolist() for group, key in enumerate(keys)}
    assert [len(of_key) for of_key in rows.values()] == grouping.sizes.tolist()
    return rows


@settings(max_examples=150)
@given(st.lists(st.tuples(KEYS, KEYS), min_size=1, max_size=12), st.data())
def test_groups_are_those_of_a_dictionary(rows: list[tuple[str, str]], data: st.DataObject) -> None:
    lacks = [any(entry in {"", "NA"} for entry in row) for row in rows]
    may = [row for row in range(len(rows)) if not lacks[row]]
    kept = sorted(data.draw(st.sets(st.sampled_from(may)))) if may else []
    chosen = None if kept == list(range(len(rows))) else np.array(kept, dtype=np.intp)
    columns = {name: WrittenColumn([row[place] for row in rows], ".") for place, name in enumerate("pq")}
    contents = Contents(file="t", names=("p", "q"), columns=columns, length=len(rows), sha256="")
    expected: dict[tuple[str, ...], list[int]] = {rows[row]: [] for row in may}  # in the order of their first rows
    for place, row in enumerate(kept):
        expected[rows[row]].append(place)
    grouping = group_rows(contents, ("p", "q"), chosen)
    assert list(found(grouping).items()) == list(expected.items())
    in_order = [place for places in expected.values() for place in places]
    assert (grouping.order is None) == (in_order == sorted(in_order))


TABLE = pl.DataFrame({"g": [7, 7, 10, 7, 9007199254740993, 9007199254740992], "y": [1.5, 2.5, 3.5, 4.5, 5.5, 6.5]})


@pytest.mark.parametrize("extension", ["csv", "parquet"])
def test_whole_numbers_are_told_apart_to_their_last_digit(tmp_path: Path, extension: str) -> None:
    getattr(TABLE, f"write_{extension}")(tmp_path / f"t.{extension}")
    grouping = read_table(Data(path=f"t.{extension}", group_by="g"), tmp_path).grouping
    assert grouping is not None
    assert found(grouping) == {
        ("7",): [0, 1, 3],
        ("10",): [2],
        ("9007199254740993",): [4],
        ("9007199254740992",): [5],
    }


def test_keys_are_written_as_they_stand_in_a_large_file_too(tmp_path: Path) -> None:
    """Above a megabyte polars reads, which would make numbers of them."""
    lines = [f"{key},{row % 100}" for key in ("007", "7", "1e1", "A 1") for row in range(60_000)]
    (tmp_path / "t.csv").write_text("well,y\n" + "\n".join(lines) + "\n")
    assert (tmp_path / "t.csv").stat().st_size > 1 << 20
    table = read_table(Data(path="t.csv", group_by="well"), tmp_path)
    assert table.grouping is not None
    assert table.grouping.keys == {"well": ("007", "7", "1e1", "A 1")}
    assert table.grouping.sizes.tolist() == [60_000] * 4
    assert table.grouping.order is None


def test_groups_without_rows_are_told(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("g,x,y\nb,1,1\na,2,NA\na,3,NA\nc,4,1\nb,5,1\nNA,6,1\n")
    data = Data(path="t.csv", group_by="g", where="x > 1.5", missing="drop")
    table = read_table(data, tmp_path, where=parse("x > 1.5"))
    assert table.grouping is not None
    assert found(table.grouping) == {("b",): [1], ("a",): [], ("c",): [0]}
    assert table.numeric("x").tolist() == [4.0, 5.0]
    assert table.dropped == 3


def test_groups_that_are_not_wanted_are_none(tmp_path: Path) -> None:
    """A condition on what tells groups apart chooses among them; one that looks at other columns too leaves some empty."""
    (tmp_path / "t.csv").write_text("g,x,y\na,1,1\nb,2,NA\nc,3,2\na,4,3\n")
    for condition, expected in (
        ("g != 'c'", {("a",): [0, 1], ("b",): []}),
        ("g == 'a' and x > 1", {("a",): [0], ("b",): [], ("c",): []}),
    ):
        data = Data(path="t.csv", group_by="g", where=condition, missing="drop")
        table = read_table(data, tmp_path, where=parse(condition))
        assert table.grouping is not None
        assert found(table.grouping) == expected


def test_a_group_is_a_table_that_knows_its_places(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("g,y\na,1\nb,2\na,3\nb,4\n")
    table = read_table(Data(path="t.csv", group_by="g", where="y > 1"), tmp_path, where=parse("y > 1"))
    alone = table.of_group(1)
    assert alone.numeric("y").tolist() == [2.0, 4.0]
    assert alone.place(1, "y") == (table.file, 5, 3)


def test_rows_of_a_group_keep_their_order_however_many_there_are() -> None:
    keys = np.random.default_rng(0).integers(0, 7, 5_000)
    columns = {"g": WrittenColumn([str(key) for key in keys], ".")}
    grouping = group_rows(Contents(file="t", names=("g",), columns=columns, length=5_000, sha256=""), ("g",), None)
    for group, key in enumerate(grouping.keys["g"]):
        assert grouping.rows(group).tolist() == np.flatnonzero(keys == int(key)).tolist()
