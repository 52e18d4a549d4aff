"""Columns and parameters told apart, once the table's columns are known."""

from __future__ import annotations

import io

import pytest

from fitkit.config import Roles, check_names, load
from fitkit.errors import ConfigError, DataError, FitkitError

COLUMNS = ("t", "counts", "error", "state", "w")


def roles(text: str, columns: tuple[str, ...] | None = COLUMNS) -> Roles:
    return check_names(load("-", stdin=io.StringIO(text)), columns)


def refusal(
    text: str, error: type[FitkitError], columns: tuple[str, ...] | None = COLUMNS
) -> tuple[int | None, int | None, str]:
    with pytest.raises(error) as caught:
        roles(text, columns)
    first = caught.value.diagnostics[0]
    return first.line, first.column, f"{first.message} | {first.help}"


FULL = """\
data: {path: p.csv, sigma: error, where: state == 'treated' and w > 0}
definitions: {pulse: exp(-rate * t)}
model: log(counts) ~ amplitude * pulse * 2 * pi
parameters:
  amplitude: 3
  rate: {equals: log(2) / life}
  life: 2
  held: {start: 1, fixed: true}
  idle: {start: 1}
  shadow: {equals: idle * 2}
"""


def test_every_name_has_its_role() -> None:
    assert roles(FULL) == Roles(
        inputs=("t",),
        table_columns=("t", "counts", "error", "state", "w"),
        parameters=("amplitude", "rate", "life"),
        unused=("idle",),
    )


def test_without_columns_what_is_no_parameter_is_a_column() -> None:
    found = roles(FULL, None)
    assert found.inputs == ("t",)
    assert found.table_columns == ("counts", "error", "state", "t", "w")
    assert (found.parameters, found.unused) == (("amplitude", "rate", "life"), ("idle",))


def test_only_columns_in_use_are_read() -> None:
    text = "data: p.csv\nmodel: counts ~ a * t\nparameters: {a: 1}\n"
    assert roles(text).table_columns == ("t", "counts")


def test_names_of_the_loss() -> None:
    text = "data: p.csv\nmodel: counts ~ a * t\nparameters: {a: 1, s: 2}\nloss: {kind: residual, expression: %s}\n"
    found = roles(text % "(target - prediction) / (s + w)")
    assert (found.inputs, found.parameters) == (("t", "w"), ("a", "s"))
    assert refusal(text % "(target - prediction) / (s + v)", ConfigError)[:2] == (4, 65)
    clash = text.replace("s: 2", "s: 2, target: 1") % "target - prediction + s"
    assert refusal(clash, ConfigError)[:2] == (4, 36)


def test_models_with_names_of_their_own() -> None:
    found = roles("data: p.csv\nmodel: {kind: linear, inputs: [w, t], target: counts}\nparameters: {t: 1}\n")
    assert found == Roles(
        inputs=("t", "w"), table_columns=("t", "counts", "w"), parameters=("intercept", "w", "t"), unused=()
    )
    found = roles("data: p.csv\nmodel: {kind: polynomial, input: t, target: counts, degree: 1}\n")
    assert (found.inputs, found.parameters) == (("t",), ("c0", "c1"))
    python = "data: p.csv\nmodel: {kind: python, function: 'm.py:f', inputs: [t], target: counts}\nparameters: {t: 1}\n"
    assert roles(python).parameters == ("t",)


def test_pi_is_a_constant_unless_something_is_called_so() -> None:
    text = "data: p.csv\nmodel: y ~ a * pi\nparameters: {a: 1}\n"
    assert roles(text, ("y", "x")).inputs == ()
    assert roles(text, None).inputs == ()
    assert roles(text, ("y", "pi")).inputs == ("pi",)
    assert roles(text.replace("a: 1", "a: 1, pi: 3"), ("y",)).parameters == ("a", "pi")


def test_an_objective_has_parameters_only() -> None:
    found = roles("minimize: (1 - a)**2 + pi\nparameters: {a: 1, b: 2}\n", None)
    assert found == Roles(inputs=(), table_columns=(), parameters=("a",), unused=("b",))
    line, column, words = refusal("minimize: (1 - alpa)**2\nparameters: {alpha: 1}\n", ConfigError, None)
    assert (line, column) == (1, 16)
    assert "`alpha`" in words


MODEL = "data: p.csv\nmodel: %s\nparameters: {amplitude: 1, rate: 1, w: 1}\n"


@pytest.mark.parametrize(
    ("model", "column", "words"),
    [
        ("counts ~ amplitud * t", 17, "mean `amplitude`?"),
        ("counts ~ amplitude * coutns", 29, "mean `counts`?"),
        ("counts ~ amplitude * qqq", 29, "add it: `parameters: {qqq: 1}`"),
        ("counts ~ amplitude * w", 29, "both a column and a parameter"),
        ("cuonts ~ amplitude * t", 8, "mean `counts`?"),
        ("counts - rate ~ amplitude * t", 17, "is a parameter"),
        ("counts ~ amplitude * (rate == 'x')", 30, "compared with a text"),
        ("counts ~ amplitude * counts", 8, "would predict itself"),
        ("1 ~ amplitude * t", 8, "there is no column in it"),
        ("pi ~ amplitude * t", 8, "there is no column in it"),
    ],
)
def test_names_that_are_nothing_or_two_things(model: str, column: int, words: str) -> None:
    found = refusal(MODEL % model, ConfigError)
    assert found[:2] == (2, column)
    assert words in found[2]


@pytest.mark.parametrize("columns", [COLUMNS, None])
def test_a_column_may_stand_on_both_sides_of_a_difference(columns: tuple[str, ...] | None) -> None:
    assert roles("data: p.csv\nmodel: counts - w ~ a * w\nparameters: {a: 1}\n", columns).inputs == ("w",)


def test_an_expression_of_the_loss_needs_the_prediction() -> None:
    text = "data: p.csv\nmodel: counts ~ a * t\nparameters: {a: 1}\nloss: {kind: expression, expression: %s}\n"
    assert roles(text % "(target - prediction)**4").inputs == ("t",)
    assert refusal(text % "target**2 + a", ConfigError)[:2] == (4, 38)


def test_a_name_in_a_definition_is_found_there() -> None:
    found = refusal(FULL.replace("exp(-rate * t)", "exp(-rate * tt)"), ConfigError)
    assert found[:2] == (2, 34)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        (FULL.replace("sigma: error", "sigma: eror"), (1, 28), "`error`"),
        (FULL.replace("sigma: error", "weights: ww"), (1, 30), "`ww`"),
        (FULL.replace("state ==", "stat =="), (1, 42), "`state`"),
        ("data: p.csv\nmodel: {kind: linear, inputs: [t, x], target: counts}\n", (2, 35), "the columns are `t`"),
        ("data: p.csv\nmodel: {kind: linear, inputs: [t], target: count}\n", (2, 44), "`counts`"),
        ("data: p.csv\nmodel: {kind: polynomial, input: x, target: counts, degree: 1}\n", (2, 34), "`x`"),
    ],
)
def test_columns_that_the_table_lacks_are_mistakes_of_the_data(text: str, place: tuple[int, int], words: str) -> None:
    found = refusal(text, DataError)
    assert found[:2] == place
    assert words in found[2]
