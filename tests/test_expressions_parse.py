"""What a text means: precedence, names, definitions, equality and the bounds that a legal text keeps."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys

import pytest

from fitkit.expressions import (
    FUNCTIONS,
    TextComparison,
    check_name,
    constant,
    lower_numpy,
    parse,
    parse_equation,
    to_numpy,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2^3^2", 512.0),
        ("2**3^2", 512.0),
        ("-2^2", -4.0),
        ("2^-1", 0.5),
        ("-2^-2", -0.25),
        ("1 - 2 - 3", -4.0),
        ("8 / 4 / 2", 1.0),
        ("8 / 4 * 2", 4.0),
        ("1 - (2 - 3)", 2.0),
        ("2 + 3 * 4 ^ 2 / 8", 8.0),
        ("--2", 2.0),
        ("+-+2", -2.0),
        ("2 * -3", -6.0),
        ("017", 17.0),
        ("1e3 + 1E-3", 1000.001),
        (".5 + 5.", 5.5),
        ("1/3", 1 / 3),
        ("2*pi", 2 * math.pi),
        ("log(0.35)", math.log(0.35)),
        ("0 < 1 < 2", 1.0),
        ("0 < 2 < 1", 0.0),
        ("3 > 2 > 1", 1.0),
        ("1 < 2 == 1", 0.0),
        ("(1 < 2) == 1", 1.0),
        ("not 0", 1.0),
        ("not 3", 0.0),
        ("not 1 == 2", 1.0),
        ("2 and 3", 1.0),
        ("0 or 5", 1.0),
        ("1 or 0 and 0", 1.0),
        ("2 if 0 else 3 if 0 else 4", 4.0),
        ("2 + 1 if 1 else 0", 3.0),
        ("where(1 < 2, 3, 4)", 3.0),
        ("min(3, 1, 2) + max(1, 5, 2)", 6.0),
        ("clip(7, 0, 5) + clip(-7, 0, 5)", 5.0),
        ("0 ** 0", 1.0),
        ("(-2) ** 3", -8.0),
        ("1\n +\t2\r\n", 3.0),
        ("hypot(3, 4)", 5.0),
        ("gaussian(1, 1, 2) + lorentzian(1, 1, 2)", 2.0),
        ("lorentzian(3, 1, 2)", 0.5),
        ("pseudo_voigt(3, 1, 4, 0.3)", 0.5),
        ("voigt(3, 3, 0.7, 0.2)", 1.0),
        ("floor(-1.5) + ceil(-1.5) + sign(-3)", -4.0),
        ("cbrt(-27)", -3.0),
        ("relu(-1) + relu(2)", 2.0),
    ],
)
def test_a_constant_has_its_value(text: str, value: float) -> None:
    assert constant(text) == pytest.approx(value, rel=1e-15, abs=1e-15)


KEYWORDS = [
    "lambda",
    "class",
    "in",
    "is",
    "None",
    "True",
    "False",
    "import",
    "for",
    "del",
    "yield",
    "async",
    "match",
    "v0",
]


@pytest.mark.parametrize("name", KEYWORDS)
def test_a_keyword_of_python_is_a_name_like_any_other(name: str) -> None:
    expression = parse(f"2 * {name} + {name}^2")
    assert expression.names == {name}
    assert to_numpy(expression)({name: 3.0}) == 15.0
    assert check_name(name) is None


@pytest.mark.parametrize(
    "name", ["and", "or", "not", "if", "else", "exp", "ln", "min", "1x", "a b", "größe", "", "a.b", "a\n"]
)
def test_other_words_are_no_names(name: str) -> None:
    assert check_name(name)


def test_names_and_texts_are_collected() -> None:
    expression = parse("a * exp(-b * t) + (state == 'on') - ('x y' != other) * pi")
    assert expression.names == {"a", "b", "t", "pi"}
    assert expression.text_comparisons == {
        TextComparison("state", "==", "on"),
        TextComparison("other", "!=", "x y"),
    }


def test_text_comparisons_take_their_rows_from_the_caller() -> None:
    expression = parse("where(state == \"it's\", x, -x) + (state != '')")
    rows = {TextComparison("state", "==", "it's"): [True, False], TextComparison("state", "!=", ""): [0, 1]}
    assert to_numpy(expression)({"x": [1.0, 2.0], **rows}).tolist() == [1.0, -1.0]  # type: ignore[dict-item] # names and comparisons together


def test_pi_is_a_constant_unless_something_is_called_so() -> None:
    function = to_numpy(parse("2 * pi"))
    assert function({}) == 2 * math.pi
    assert function({"pi": 3.0}) == 6.0
    assert to_numpy(parse("pi", {"pi": parse("x")}))({"x": 7.0}) == 7.0


def test_definitions_are_expanded() -> None:
    definitions = {"pulse": parse("exp(-rate * t)")}
    definitions["twice"] = parse("2 * pulse", definitions)
    expression = parse("a * twice + pulse", definitions)
    assert expression.names == {"a", "rate", "t"}
    value = to_numpy(expression)({"a": 3.0, "rate": 0.5, "t": 2.0})
    assert value == pytest.approx(7 * math.exp(-1), rel=1e-15)


def test_equality_is_of_text_and_definitions() -> None:
    one, other = {"d": parse("x")}, {"d": parse("y")}
    assert parse("d + 1", one) == parse("d + 1", {"d": parse("x")})
    assert hash(parse("d + 1", one)) == hash(parse("d + 1", {"d": parse("x")}))
    assert parse("d + 1", one) != parse("d + 1", other)
    assert parse("z + 1", one) == parse("z + 1", other)
    assert parse("x+1") != parse("x + 1")
    nested, same = ({"e": parse("2 * d", definitions)} for definitions in (one, other))
    assert parse("e", nested) != parse("e", same)


def test_an_equation_has_two_sides() -> None:
    equation = parse_equation("log(y) ~ a * where(s == '~', x, 1)")
    assert equation.target.names == {"y"}
    assert equation.prediction.names == {"a", "x"}
    assert equation.source == "log(y) ~ a * where(s == '~', x, 1)"
    assert equation == parse_equation(equation.source)


@pytest.mark.parametrize(
    ("operator", "count", "value"),
    [("+", 1_900, 1_900.0), ("*", 1_900, 1.0), ("-", 2_900, -2_898.0), ("/", 2_900, 1.0), (" and ", 1_600, 1.0)],
)
def test_long_flat_expressions_are_legal(operator: str, count: int, value: float) -> None:
    assert to_numpy(parse(operator.join(["x"] * count)))({"x": 1.0}) == value


def test_the_deepest_legal_expressions() -> None:
    parse("(" * 100 + "x" + ")" * 100)
    parse("exp(" * 99 + "x" + ")" * 99)
    parse("-" * 99 + "x")
    parse("not " * 99 + "x")
    parse("x**" * 99 + "x")
    assert to_numpy(parse("0 if x < 1 else " * 98 + "5"))({"x": 2.0}) == 5.0


def test_thirty_definitions_that_square_each_other() -> None:
    definitions = {"d0": parse("x")}
    for n in range(30):
        definitions[f"d{n + 1}"] = parse(f"d{n} * d{n}", definitions)
    assert to_numpy(parse("d30", definitions))({"x": 1.0}) == 1.0
    assert len(parse("d30", definitions).definitions) == 31


def test_an_expression_can_be_sent_to_another_process() -> None:
    expression = parse("where(s == 'a', d * x, d) + " + "+".join(["x"] * 1_000), {"d": parse("exp(-k * x)")})
    sent = pickle.loads(pickle.dumps(expression))  # noqa: S301 - our own bytes
    assert sent == expression
    environment = {"x": 1.0, "k": 2.0, TextComparison("s", "==", "a"): True}
    assert to_numpy(expression)(environment) == sent_value(sent.root, environment)  # type: ignore[arg-type] # names and comparisons together


def sent_value(root: object, environment: object) -> float:
    """Return the value of a tree without the cache that would find the equal expression."""
    return float(lower_numpy.to_numpy.__wrapped__(type("Sent", (), {"root": root}))(environment))  # type: ignore[arg-type] # only the root is read


def test_every_function_tells_what_it_is() -> None:
    for name, function in FUNCTIONS.items():
        assert function.name == name
        assert function.summary
        assert function.canonical in FUNCTIONS or name == "where"
        least, most = function.arity
        assert 1 <= least <= most


def test_parsing_imports_no_numerical_library() -> None:
    code = (
        "import sys; from fitkit.expressions import constant, parse_equation; parse_equation('y ~ a * exp(-b * x)');"
        "constant('2 * pi + erf(1)'); print({'jax', 'numpy', 'scipy', 'jaxtyping'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
