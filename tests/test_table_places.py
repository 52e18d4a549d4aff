"""Mistakes in a table that stands in the config are told at the config's line."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import fitkit, written

TABLE = """\
data:
  values:
    x: [1, 2, 3]
    y: [2, 4, %s]
model: %s
parameters: {a: 1}
"""


PLAIN = "y ~ a * x"


@pytest.mark.parametrize(
    ("command", "entry", "model", "more", "place", "line", "words"),
    [
        ("train", "hi", PLAIN, "", "4:15", "    y: [2, 4, hi]", "`hi` is not a number"),
        ("validate", "hi", PLAIN, "", "4:15", "    y: [2, 4, hi]", "`hi` is not a number"),
        ("train", "null", PLAIN, "", "4:15", "    y: [2, 4, null]", "the entry is missing"),
        ("train", "-1", "log(y) ~ a * x", "", "4:15", "    y: [2, 4, -1]", "`log(y)` is not a finite number"),
        ("train", "-1", PLAIN, "loss: poisson\n", "4:15", "    y: [2, 4, -1]", "the target is -1"),
        ("train", "5, 6", PLAIN, "", "3:5", "    x: [1, 2, 3]", "different lengths"),
        ("validate", "5, 6", PLAIN, "", "3:5", "    x: [1, 2, 3]", "different lengths"),
    ],
)
def test_an_entry_is_told_at_its_line(
    tmp_path: Path, command: str, entry: str, model: str, more: str, place: str, line: str, words: str
) -> None:
    config = written(tmp_path, "fit.yaml", TABLE % (entry, model) + more)
    done = fitkit(command, config, *(["--no-save"] if command == "train" else ["--data"]))
    assert done.code == 3
    assert f"{words}" in done.err.splitlines()[0]
    assert f" --> {config}:{place}\n" in done.err
    assert f"| {line}\n" in done.err


def test_an_entry_is_found_where_rows_before_it_are_left_out(tmp_path: Path) -> None:
    table = "data: {where: x > 1, values: {x: [1, 2, 3], y: [1, 0, -2]}}\n"
    config = written(tmp_path, "fit.yaml", table + "model: y ~ a * x\nparameters: {a: 1}\nloss: poisson\n")
    assert f" --> {config}:1:{table.index('-2') + 1}\n" in fitkit("train", config, "--no-save").err


def test_an_entry_of_the_command_line_has_no_line_in_the_config(tmp_path: Path) -> None:
    config = written(tmp_path, "fit.yaml", TABLE % (3, "y ~ a * x"))
    assert f" --> {config}\n" in fitkit("train", config, "--no-save", "--set", "data.values.y.2=hi").err


@pytest.mark.parametrize("command", ["train", "validate"])
def test_a_column_that_cannot_be_renamed_is_told_where_it_is_named(tmp_path: Path, command: str) -> None:
    written(tmp_path, "d.csv", "x,y\n1,2\n2,4\n")
    config = written(
        tmp_path, "fit.yaml", "data:\n  path: d.csv\n  columns: {t: xx}\nmodel: y ~ a * t\nparameters: {a: 1}\n"
    )
    done = fitkit(command, config)
    assert done.code == 3
    assert "there is no column `xx` in " in done.err
    assert f" --> {config}:3:16\n" in done.err
