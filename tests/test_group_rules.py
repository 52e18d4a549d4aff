"""Mistakes about groups: what cannot be asked of many fits, and what cannot be asked without them."""

from __future__ import annotations

from pathlib import Path

import pytest

from fitkit.config import load
from fitkit.config.names import check_names
from fitkit.errors import ConfigError, DataError, Diagnostic
from fitkit.types import ColumnName

DATA = "data: {path: p.csv, group_by: g}\n"
MODEL = "model: y ~ a * x + b\n"
PARAMETERS = "parameters: {a: 1, b: 2}\n"


def refused(folder: Path, text: str) -> list[Diagnostic]:
    (folder / "fit.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(str(folder / "fit.yaml"))
    return list(caught.value.diagnostics)


@pytest.mark.parametrize(
    ("text", "code", "line", "column", "words"),
    [
        (DATA.replace("group_by: g", "group_by: []") + MODEL + PARAMETERS, "E105", 1, 31, "is empty"),
        (DATA.replace("group_by: g", "group_by: [g, g]") + MODEL + PARAMETERS, "E106", 1, 35, "twice"),
        (DATA.replace("group_by: g", "group_by: 3") + MODEL + PARAMETERS, "E108", 1, 31, "a text or a list"),
        (DATA.replace("group_by: g", "group_by: a") + MODEL + PARAMETERS, "E113", 1, 31, "stand twice"),
        (DATA.replace("group_by: g", "group_by: b_error") + MODEL + PARAMETERS, "E113", 1, 31, "stand twice"),
        (DATA.replace("group_by: g", "group_by: status") + MODEL + PARAMETERS, "E113", 1, 31, "`columns: {group:"),
        (DATA + "model: y ~ a * x + loss\nparameters: {a: 1, loss: 2}\n", "E113", 3, 20, "cannot be called `loss`"),
        (DATA + MODEL + PARAMETERS + "multistart: {starts: 5}\n", "E111", 4, 1, "exclude each other"),
        (DATA + MODEL + PARAMETERS + "uncertainty: bootstrap\n", "E111", 4, 14, "`covariance`"),
        (DATA + MODEL + PARAMETERS + "uncertainty: {kind: profile}\n", "E111", 4, 21, "`covariance`"),
        (DATA + MODEL + PARAMETERS + "optimizer: adam\n", "E111", 4, 12, "`lm`"),
        (DATA.replace("g}", "g, validation: 0.2}") + MODEL + PARAMETERS, "E111", 1, 46, "remove it"),
        (DATA + MODEL + "parameters: {a: 1, b: {start: 1, shared: true, fixed: true}}\n", "E111", 3, 34, "is fixed"),
        (DATA + MODEL + "parameters: {a: 1, b: {equals: 2 * a, shared: true}}\n", "E111", 3, 39, "is tied"),
        (DATA + MODEL + "parameters: {a: 1, b: {start: x, shared: true}}\n", "E111", 3, 31, "for all groups"),
        (
            DATA + MODEL + "parameters: {a: {start: 1, shared: true}, b: {start: 1, shared: true}}\n",
            "E111", 3, 28, "all rows are one fit",
        ),
        (
            DATA + MODEL + "parameters: {a: {start: 1, shared: true}, b: 2}\nloss: mae\n",
            "E111", 3, 28, "the loss `mae`, which has kinks, exclude",
        ),
        (
            DATA + MODEL + "parameters: {a: {start: 1, shared: true}, b: 2}\nprecision: float32\n",
            "E111", 3, 28, "`precision: float32` exclude",
        ),
        (
            DATA + MODEL + "parameters: {a: {start: 1, shared: true}, b: 2}\nuncertainty: {kind: covariance, hessian: exact}\n",
            "E111", 3, 28, "`hessian: exact` exclude",
        ),
        (
            DATA + MODEL + "parameters: {a: {start: 1, shared: true},b: 2}\nuncertainty: {kind: covariance,sandwich: always}\n",
            "E111", 3, 28, "`sandwich: always` exclude",
        ),
        (DATA + "model: {kind: mlp, inputs: [x], target: y}\n", "E111", 2, 15, "by a run of its own"),
        (
            "data: p.csv\n" + MODEL + "parameters: {a: 1, b: {start: 1, shared: true}}\n",
            "E111", 3, 34, "no `data.group_by`",
        ),
        ("data: p.csv\n" + MODEL + "parameters: {a: 1, b: x}\n", "E112", 3, 23, "`group_by` in `data`"),
        ("minimize: a**2\nparameters: {a: {start: 1, shared: true}}\n", "E111", 2, 28, "no `data.group_by`"),
    ],
)  # fmt: skip
def test_a_mistake_has_its_place_and_a_way_out(
    tmp_path: Path, text: str, code: str, line: int, column: int, words: str
) -> None:
    found = refused(tmp_path, text)
    assert [(d.code, d.line, d.column) for d in found] == [(code, line, column)], [d.render() for d in found]
    assert words in f"{found[0].message} {found[0].help}"


@pytest.mark.parametrize(
    ("data", "parameters", "line", "column"),
    [
        ("{path: p.csv, group_by: [g, plate]}", "{a: 1, b: 2}", 1, 35),
        ("{path: p.csv, group_by: g}", "{a: 1, b: plate}", 3, 23),
    ],
)
def test_a_column_that_is_not_there(tmp_path: Path, data: str, parameters: str, line: int, column: int) -> None:
    (tmp_path / "fit.yaml").write_text(f"data: {data}\n{MODEL}parameters: {parameters}\n", encoding="utf-8")
    source = load(str(tmp_path / "fit.yaml"))
    with pytest.raises(DataError) as caught:
        check_names(source, ("g", "plat", "x", "y"))
    found = caught.value.diagnostics
    assert [(d.code, d.line, d.column, d.help) for d in found] == [("E308", line, column, "did you mean `plat`?")]


def test_a_start_is_a_number_where_it_is_written_as_one_and_else_a_column(tmp_path: Path) -> None:
    starts = "{a: log(2), b: x, c: pi, d: {start: first_guess}}"
    text = f"{DATA}model: y ~ a * x + b + c + d\nparameters: {starts}\n"
    (tmp_path / "fit.yaml").write_text(text, encoding="utf-8")
    parameters = load(str(tmp_path / "fit.yaml")).config.parameters
    assert [parameters[name].start for name in "ac"] == pytest.approx([0.6931471805599453, 3.141592653589793])
    assert [parameters[name].start for name in "bd"] == ["x", "first_guess"]
    assert all(isinstance(parameters[name].start, ColumnName) for name in "bd")


def test_columns_of_groups_are_no_inputs_where_all_others_are(tmp_path: Path) -> None:
    text = f"{DATA}model: {{kind: linear, inputs: '*', target: y}}\nparameters: {{x: s}}\n"
    (tmp_path / "fit.yaml").write_text(text, encoding="utf-8")
    roles = check_names(load(str(tmp_path / "fit.yaml")), ("g", "x", "s", "y", "z"))
    assert roles.model_inputs == ("x", "z")
    assert roles.table_columns == ("g", "x", "s", "y", "z")


def test_only_shared_parameters_can_be_expected(tmp_path: Path) -> None:
    text = DATA + MODEL + "parameters: {a: 1, b: {start: 2, shared: true}}\n"
    text += "expect: {parameters: {a: {min: 0}, b: {min: 0}}, r_squared: {min: 0.9}}\n"
    found = refused(tmp_path, text)
    assert [(d.code, d.line, d.column) for d in found] == [("E111", 4, 23), ("E111", 4, 50)]
