"""What is not part of the language is refused: quickly, at a place inside the text, and never by another exception."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitkit.expressions import Expression, ExpressionError, constant, parse, parse_equation

LIMIT_SECONDS = 0.05

MALFORMED = [
    # text, the part that is underlined, a word of the message or help
    ("", "", "empty"),
    ("   ", " ", "empty"),
    ("x +", "+", "ends"),
    ("x + * y", "*", "missing"),
    ("* x", "*", "before"),
    (")", ")", "before"),
    ("x)", ")", "closes nothing"),
    ("(x", "(", "never closed"),
    ("((x)", "(", "never closed"),
    ("()", ")", "missing"),
    ("x y", "y", "x * y"),
    ("2 x", "x", "2 * x"),
    ("2(x)", "(", "`*`"),
    ("(x)(y)", "(", "`*`"),
    ("5x", "5x", "5*x"),
    ("x(1)", "x", "not a function"),
    ("expp(x)", "expp", "`exp`"),
    ("print(1)", "print", "not a function"),
    ("__import__('os')", "__import__", "not a function"),
    ("exp", "exp", "exp(x)"),
    ("exp + 1", "exp", "exp(x)"),
    ("exp()", "exp()", "1 argument, not 0"),
    ("exp(1, 2)", "exp(1, 2)", "1 argument, not 2"),
    ("clip(x, 1)", "clip(x, 1)", "3 arguments, not 2"),
    ("max(x)", "max(x)", "2 or more"),
    ("exp(x,)", ")", "missing"),
    ("exp(*x)", "*", "one by one"),
    ("exp(**x)", "**", "one by one"),
    ("exp(x=1)", "=", "by position"),
    ("x, y", ",", "1.5"),
    ("1,5 * x", ",", "1.5"),
    ("x = 1", "=", "=="),
    ("x := 1", ":=", "definitions"),
    ("x += 1", "+=", "assigns nothing"),
    ("x === 1", "===", "=="),
    ("x <> 1", "<>", "!="),
    ("x => 1", "=>", ">="),
    ("x & y", "&", "and"),
    ("x && y", "&&", "and"),
    ("x | y", "|", "or"),
    ("x || y", "||", "or"),
    ("!x", "!", "not"),
    ("x % 2", "%", "floor"),
    ("x // 2", "//", "floor"),
    ("a @ b", "@", "`*`"),
    ("x; y", ";", "definitions"),
    ("x\n; import os", ";", "definitions"),
    ("x[0]", "[", "subscripts"),
    ("{x}", "{", "group"),
    ("x.real", ".", "attributes"),
    ("().__class__", ".", "attributes"),
    ("`x`", "`", "quotes"),
    ("x ? 1 : 2", "?", "if condition else"),
    ("lambda: 1", ":", "if condition else"),
    ("x # note", "#", "comments"),
    ("x \\", "\\", "line"),
    ("$x", "$", "not part"),
    ("x ~ y", "~", "no place"),
    ("1_000", "1_000", "`1000`"),
    ("2j", "2j", "complex"),
    ("0x1F", "0x1F", "decimal"),
    ("1.2.3", "1.2.3", "point"),
    ("1e", "1e", "exponent"),
    ("1e+", "1e", "exponent"),
    ("x is None", "is", "=="),
    ("x in y", "in", "=="),
    ("x for x in y", "for", "missing"),
    ("x if y", "if", "else"),
    ("x else y", "else", "without `if`"),
    ("x if a if b else c else d", "if", "parentheses"),
    ("exp(x if y, 1)", "if", "else"),
    ("a + not b", "not", "parentheses"),
    ("-not b", "not", "parentheses"),
    ("a not b", "not", "missing"),
    ("'text'", "'text'", "no place"),
    ("exp('text')", "'text'", "no place"),
    ("x < 'text'", "x < 'text'", "not ordered"),
    ("x + 1 == 'text'", "x + 1 == 'text'", "column only"),
    ("'a' == 'b'", "'a' == 'b'", "column only"),
    ("1 == 'b'", "1 == 'b'", "column only"),
    ("x == 'text", "'", "does not end"),
    ("x == 'te\\'xt'", "'", "does not end"),
    ("x == 'te\nxt'", "'", "does not end"),
    ('x == """text"""', '"""', "does not end"),
    ("f'{x}'", "f'", "prefix"),
    ("x == b'a'", "b'", "prefix"),
    ("x²", "²", "**2"),
    ("x \N{MINUS SIGN} 1", "\N{MINUS SIGN}", "`-`"),
    ("2·x", "·", "`*`"),
    ("π", "π", "pi"),
    ("größe", "ö", "ASCII"),
    ("x ≤ 1", "≤", "<="),
    ("x == \u2018a\u2019", "\u2018", "'"),
    ("x\x00", "\x00", "U+0000"),
    ("x\u00a0+ 1", "\u00a0", "blank"),
    ("\ud800", "\ud800", "not part"),
    ("1/0", "1/0", "finite"),
    ("x + 1/0", "1/0", "finite"),
    ("x + (1 - 1/(2 - 2))", "1/(2 - 2)", "finite"),
    ("1e999", "1e999", "finite"),
    ("exp(1000)", "exp(1000)", "finite"),
    ("log(0)", "log(0)", "finite"),
    ("sqrt(-1)", "sqrt(-1)", "finite"),
    ("0**-1", "0**-1", "finite"),
    ("(-8)**(1/3)", "(-8)**(1/3)", "finite"),
    ("1e300 * 1e300 * x", "1e300 * 1e300", "finite"),
    ("acos(2)", "acos(2)", "finite"),
    ("lgamma(0)", "lgamma(0)", "finite"),
    ("floor(1e308 * 10)", "1e308 * 10", "finite"),
    ("gaussian(1, 0, 0)", "gaussian(1, 0, 0)", "finite"),
    ("9**9**9**9", "9**9**9", "finite"),
]

OVERSIZED = {
    "ten megabytes": "x" * 10_000_000,
    "too many characters": "x+" * 5_000 + "x",
    "parentheses": "(" * 9_999,
    "closing parentheses": ")" * 9_999,
    "balanced parentheses": "(" * 4_999 + "x" + ")" * 4_999,
    "parentheses beyond the limit": "(" * 101 + "x" + ")" * 101,
    "signs": "-" * 9_999,
    "signs of something": "-" * 9_998 + "x",
    "negations": "not " * 2_499 + "x",
    "powers": "x**" * 3_000 + "x",
    "powers of powers": "2^" * 4_900 + "2",
    "calls": "exp(" * 2_400 + "x",
    "closed calls": "exp(" * 1_900 + "x" + ")" * 1_900,
    "calls beyond the limit": "exp(" * 100 + "x" + ")" * 100,
    "branches": "1 if x else " * 800 + "1",
    "branches inside": "where(x," * 1_000 + "1" + ",1)" * 400,
    "signs within parentheses": ("(" + "-" * 98) * 99 + "x" + ")" * 99,
    "mixed levels": "(1+2*-" * 60 + "x" + ")" * 60,
    "comparisons": "x<" * 4_999 + "x",
    "conjunctions": "x and " * 1_660 + "x or (" + "x or " * 5 + "x) + (",
    "terms": "x+" * 4_000 + "x",
    "nodes": "-x+" * 3_000 + "x",
    "nodes that are sums": "(x+1)*" * 1_600 + "x",
    "digits": "9" * 9_999,
    "decimals of an exponent": "1e" + "9" * 9_000,
    "name called": "a" * 9_990 + "(x)",
    "name twice": "a" * 4_000 + " " + "b" * 4_000,
    "powers of nines": "9**" * 90 + "9",
    "quotes": "'" * 9_999,
    "texts": "x == " + "'a' == " * 1_000 + "1",
    "commas": "max(" + "1," * 4_000 + "1)",
    "blanks": " " * 9_999,
    "points": "." * 9_999,
    "equals": "=" * 9_999,
}


def refusal(text: str) -> ExpressionError:
    """Return the refusal of `text`, of which the quickest of three takes less than the limit of processor time."""
    seconds = []
    for _ in range(3):
        start = time.process_time()
        with pytest.raises(ExpressionError) as caught:
            parse(text)
        seconds.append(time.process_time() - start)
    assert min(seconds) < LIMIT_SECONDS
    error = caught.value
    assert error.text == text
    assert error.code.startswith("E2")
    assert len(error.message) < 300
    if text:
        assert 0 <= error.offset < len(text)
        assert 1 <= error.length <= len(text) - error.offset
    return error


@pytest.mark.parametrize(("text", "underlined", "word"), MALFORMED, ids=[repr(m[0]) for m in MALFORMED])
def test_malformed_text_is_refused_at_its_place_with_a_hint(text: str, underlined: str, word: str) -> None:
    error = refusal(text)
    assert text[error.offset : error.offset + error.length] == underlined
    assert word in f"{error.message} {error.help}"


@pytest.mark.parametrize("text", OVERSIZED.values(), ids=list(OVERSIZED))
def test_oversized_text_is_refused_in_no_time(text: str) -> None:
    refusal(text)


def test_there_are_enough_hostile_inputs() -> None:
    assert len(MALFORMED) + len(OVERSIZED) >= 60


@given(st.text(alphabet="x1.5e+-*/^<>=!()'\", ~andorifelse \n", max_size=40))
@settings(max_examples=500, derandomize=True, deadline=None)
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        parsed = parse(text)
    except ExpressionError as refused:
        offset, end = refused.offset, refused.offset + refused.length
        in_text = not text or 0 <= offset < end <= len(text)
    else:
        in_text = parsed.source == text
    assert in_text


@pytest.mark.parametrize(
    ("text", "underlined", "word"),
    [
        ("y = a * x", "=", "target ~ prediction"),
        ("a * x", "a * x", "target ~ prediction"),
        ("y ~ a ~ b", "~", "one `~`"),
        ("~ a", "~", "before"),
        ("y ~ ", "~", "after"),
        ("y ~ a * (x", "(", "never closed"),
        ("y ~ 1/0", "1/0", "finite"),
        ("5y ~ x", "5y", "5*y"),
    ],
)
def test_a_wrong_equation_is_refused_at_its_place(text: str, underlined: str, word: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_equation(text)
    error = caught.value
    assert error.text == text
    assert text[error.offset : error.offset + error.length] == underlined
    assert word in f"{error.message} {error.help}"


def test_the_second_tilde_is_the_one_that_is_shown() -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_equation("y ~ a ~ b")
    assert caught.value.offset == 6


@pytest.mark.parametrize(("text", "offset"), [("2 * x", 4), ("lambda", 0), ("1 + s == 'a'", 0), ("log(tau)", 4)])
def test_a_constant_has_no_names(text: str, offset: int) -> None:
    with pytest.raises(ExpressionError) as caught:
        constant(text)
    assert caught.value.offset == offset


def test_a_misspelt_constant_gets_a_suggestion() -> None:
    with pytest.raises(ExpressionError) as caught:
        constant("2 * Pi")
    assert caught.value.help == "did you mean `pi`?"


def test_a_definition_is_no_column_of_texts() -> None:
    with pytest.raises(ExpressionError, match="definition"):
        parse("part == 'a'", {"part": parse("2 * x")})


def chain(text: str, count: int) -> dict[str, Expression]:
    """Return `count` definitions d0, d1, ... of which each is `text` with `d` for the one before."""
    definitions = {"d0": parse("x")}
    for n in range(1, count):
        definitions[f"d{n}"] = parse(text.replace("d", f"d{n - 1}"), definitions)
    return definitions


def test_depth_counts_through_definitions() -> None:
    definitions = chain("1 / (1 + d)", 50)
    start = time.process_time()
    with pytest.raises(ExpressionError, match="nested more than 100 levels"):
        parse("1 / (1 + d49)", definitions)
    assert time.process_time() - start < LIMIT_SECONDS


def test_nodes_of_definitions_count_once() -> None:
    definitions = {"d": parse("+".join(["x"] * 2_500))}
    parse("d * d * d", definitions)
    with pytest.raises(ExpressionError, match="4,000"):
        parse("+".join(["x"] * 2_000) + "+ d", definitions)
