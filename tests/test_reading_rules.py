"""What `data` may ask of a table: keys that its format has, and conditions that are conditions."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import fitkit, written

from fitkit.config import load
from fitkit.errors import ConfigError

REST = "\nmodel: y ~ a * x\nparameters: {a: 1}\n"
VALUES = "{values: {x: [1, 2], y: [2, 4], t: [a, b]}, "


@pytest.mark.parametrize(
    ("data", "code", "at", "words"),
    [
        ("{path: p.csv, where: \"t < 'b'\"}", "E205", "t <", "texts are not ordered"),
        (VALUES + "where: \"t < 'b'\"}", "E205", "t <", "texts are not ordered"),
        (VALUES + "where: \"x > 1 and t >= 'b'\"}", "E205", "t >=", "texts are not ordered"),
        (VALUES + "where: x >}", "E203", "x >", "the expression"),
        ("{path: p.csv, where: x - 1}", "E205", "x - 1", "`x - 1` is a number, and `where` needs a condition"),
        (VALUES + "where: 'x > 1 if y > 2 else exp(x)'}", "E205", "x > 1", "needs a condition"),
        (VALUES + "where: 3}", "E108", "3}", "must be a text"),
        ("{path: p.npz, skip: 1}", "E111", "skip", "a .npz file is none"),
        ("{path: p.npy, decimal: ','}", "E111", "decimal", "a .npy file is none"),
        ("{path: p.PARQUET, comment: '%'}", "E111", "comment", "a .parquet file is none"),
        ("{path: p.parquet, delimiter: ;}", "E111", "delimiter", "remove `delimiter`"),
    ],
)
def test_what_cannot_be_asked(tmp_path: Path, data: str, code: str, at: str, words: str) -> None:
    line = f"data: {data}"
    with pytest.raises(ConfigError) as caught:
        load(str(written(tmp_path, "fit.yaml", line + REST)))
    (told,) = caught.value.diagnostics
    assert (told.code, told.line) == (code, 1)
    assert words in told.message + str(told.help)
    if code != "E203":  # whose place is a token's
        assert told.column == line.index(at) + 1


@pytest.mark.parametrize(
    "where",
    ["x > 1", "x", "not x", "x > 1 or y", "1", "where(x > 1, y > 2, t == 'a')", "x == '1'", "1 < 2", "1 < x < 3"],
)
def test_what_is_a_condition(tmp_path: Path, where: str) -> None:
    assert load(str(written(tmp_path, "fit.yaml", f'data: {VALUES}where: "{where}"}}{REST}'))).where is not None


@pytest.mark.parametrize("command", ["train", "validate"])
def test_an_order_of_texts_in_where_is_told_by_every_command(tmp_path: Path, command: str) -> None:
    done = fitkit(command, written(tmp_path, "fit.yaml", f"data: {VALUES}where: \"t < 'b'\"}}{REST}"))
    assert done.code == 2
    assert "fit.yaml:1:" in done.err
