"""YAML text: what scalars mean, where nodes stand, what is refused and how it is told."""

from __future__ import annotations

import math
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fitkit.errors import ConfigError
from fitkit.yaml_text import (
    DEEPEST,
    MOST_BYTES,
    MOST_NODES,
    Mapping,
    Scalar,
    decode,
    dump,
    inside,
    parse,
    plain,
    resolve,
)


def read(text: str | bytes) -> object:
    words, lines = decode(text.encode() if isinstance(text, str) else text, "fit.yaml")
    document = parse(words, lines)
    if document.problems:
        raise ConfigError(*document.problems)
    return plain(document.root)


def refusal(text: str | bytes) -> tuple[str, int | None, int | None, str]:
    with pytest.raises(ConfigError) as caught:
        read(text)
    first = caught.value.diagnostics[0]
    assert first.file == "fit.yaml"
    return first.code, first.line, first.column, first.message


# https://yaml.org/spec/1.2.2/#1032-tag-resolution, its table and its example.
@pytest.mark.parametrize(
    ("word", "value"),
    [
        *[(word, None) for word in ("", "~", "null", "Null", "NULL")],
        *[(word, True) for word in ("true", "True", "TRUE")],
        *[(word, False) for word in ("false", "False", "FALSE")],
        *[(word, word) for word in ("no", "yes", "on", "off", "y", "n", "No", "nUll", "tRue", "1_000", "1:30", "0b1")],
        *[("0", 0), ("0o7", 7), ("0x3A", 58), ("-19", -19), ("017", 17), ("+1", 1), ("0o18", "0o18"), ("-0x1", "-0x1")],
        *[
            ("0.", 0.0),
            ("-0.0", -0.0),
            (".5", 0.5),
            ("+12e03", 12000.0),
            ("-2E+05", -2e5),
            ("1e-3", 1e-3),
            ("1e", "1e"),
        ],
        *[(".inf", math.inf), ("-.Inf", -math.inf), ("+.INF", math.inf), ("inf", "inf"), ("nan", "nan")],
        *[("2001-12-14", "2001-12-14"), ("1.2.3", "1.2.3"), (".", "."), ("+", "+"), ("\u0661", "\u0661")],
    ],
)
def test_scalars_are_resolved_by_the_core_schema(word: str, value: object) -> None:
    found = resolve(word)
    assert found == value
    assert type(found) is type(value)


def test_nan_is_nan_and_a_number_too_long_for_an_integer_is_a_float() -> None:
    assert all(isinstance(value := resolve(word), float) and math.isnan(value) for word in (".nan", ".NaN", ".NAN"))
    assert resolve("9" * 5000) == math.inf


def test_quoted_scalars_are_texts_and_keys_are_words() -> None:
    assert read("a: '1e-3'\nb: \"true\"\ny: |\n  7\n1: 2\n") == {"a": "1e-3", "b": "true", "y": "7\n", "1": 2}


def test_every_node_knows_its_place() -> None:
    words, lines = decode(b"\xef\xbb\xbf# note\r\na: 1\r\n\xc3\xa9t\xc3\xa9: [x, 'yz']\r\n", "fit.yaml")
    root = parse(words, lines).root
    assert isinstance(root, Mapping)
    places = {key: (entry.place.line, entry.place.column, entry.place.length) for key, entry in root.entries.items()}
    assert places == {"a": (2, 1, 1), "été": (3, 1, 3)}
    items = [(item.place.column, item.place.length) for item in root.entries["été"].node.items]  # type: ignore[union-attr]  # a sequence, by the text above
    assert items == [(7, 1), (10, 4)]


@pytest.mark.parametrize(
    ("text", "code", "line", "column", "words"),
    [
        ("a: 1\n\tb: 2\n", "E102", 2, 1, "tab"),
        ("a:\n\t- 1\n", "E102", 2, 1, "tab"),
        ("a b\nc: 1\n", "E102", 2, 2, "continues line 1"),
        ("a: b: c\n", "E102", 1, 5, "second `:`"),
        ("a: 1\n  b: 2\n", "E102", 2, 4, "continues line 1"),
        ("a:\n    b: 1\n  c: 2\n", "E102", 3, 3, "line up"),
        ("a: [1, 2\nb: 3\n", "E102", 1, 4, "`[` is never closed"),
        ("a: {x: 1\nb: 3\n", "E102", 1, 4, "`{` is never closed"),
        ('a: "abc\nb: 1\n', "E102", 1, 4, "quote is never closed"),
        ('a: "\\d"\n', "E102", 1, 5, "escape"),
        ("a: @b\n", "E102", 1, 4, "cannot begin with `@`"),
        ("a: - b\n", "E102", 1, 4, "list cannot begin"),
        ("a: [1]]\n", "E102", 1, 7, "line up"),
        ("{{x}}: 1\n", "E102", 1, 1, "cannot be a key"),
        (": 1\n", "E102", 1, 1, "key is missing"),
        ("a: *b\n", "E103", 1, 4, "aliases"),
        ("a: &b 1\n", "E103", 1, 4, "anchors"),
        ("a: !!python/object:os.system x\n", "E103", 1, 4, "tags are not allowed: `!!python/object:os.system`"),
        ("a: !!python/object/apply:os.system [ls]\n", "E103", 1, 4, "tags"),
        ("a: !x {b: 1}\n", "E103", 1, 4, "tags"),
        ("a: !e!x 1\n", "E103", 1, 4, "tags"),
        ("a: {<<: {b: 1}}\n", "E103", 1, 5, "merge keys"),
        ("---\na: 1\n---\nb: 2\n", "E103", 3, 1, "second document"),
        ("a: 1\nb: 2\na: 3\n", "E106", 3, 1, "duplicate key `a`, on line 3 and before that on line 1"),
        ("p: {x: 1, y: 2, x: 3}\n", "E106", 1, 17, "duplicate key `x`"),
        ("a: 1\nb: x\0y\n", "E101", 2, 5, "NUL"),
        ('a: "x\\0y"\n', "E101", 1, 4, "NUL"),
        ("a: \x07\n", "E101", 1, 4, "U+0007"),
        (b"a: 1\nb: caf\xe9 au lait\n", "E101", 2, 7, "0xe9"),
        ("a: 1".encode("utf-16"), "E101", None, None, "UTF-16"),
        ("", "E101", None, None, "empty"),
        ("# nothing\n", "E101", None, None, "empty"),
        ("---\n", "E101", None, None, "empty"),
    ],
)
def test_what_is_refused_is_told_at_its_place(
    text: str | bytes, code: str, line: int | None, column: int | None, words: str
) -> None:
    found = refusal(text)
    assert found[:3] == (code, line, column)
    assert words in found[3]


def test_latin_1_names_the_way_to_re_encode() -> None:
    with pytest.raises(ConfigError) as caught:
        read(b"name: caf\xe9\n")
    assert "iconv -f latin1 -t utf-8 fit.yaml" in caught.value.render()
    assert "1 | name: café" in re.sub(" +", " ", caught.value.render())


def test_mistakes_that_do_not_hinder_reading_are_told_together() -> None:
    with pytest.raises(ConfigError) as caught:
        read("a: *x\nb: !t 1\nb: 2\n<<: {}\nc: &d 1\n")
    assert [(d.code, d.line) for d in caught.value.diagnostics] == [
        ("E103", 1),
        ("E103", 2),
        ("E106", 3),
        ("E103", 4),
        ("E103", 5),
    ]


def test_nesting_is_limited() -> None:
    assert read("[" * DEEPEST + "]" * DEEPEST)
    assert refusal("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1))[:3] == ("E103", 1, DEEPEST + 1)
    blocks = "".join(f"{' ' * depth}a:\n" for depth in range(DEEPEST + 1)) + " " * (DEEPEST + 1) + "1"
    assert refusal(blocks)[:2] == ("E103", DEEPEST + 1)


def test_size_is_limited() -> None:
    assert refusal(b"a" * (MOST_BYTES + 1))[0] == "E101"
    assert refusal("[" + "1," * (MOST_NODES + 1) + "]")[0] == "E103"


@pytest.mark.parametrize(
    ("written", "value", "place"),
    [
        ("y ~ a + b", "+", (1, 10)),
        ("'y ~ a + b'", "+", (1, 11)),
        ('"y ~ a + b"', "+", (1, 11)),
        ("'s == ''q'' + b'", "+", (1, 16)),
        ('"s == \\"q\\" \\x41 + b"', "+", (1, 21)),
        ("\n  y ~ a\n    + b", "+", (3, 5)),
        (">\n  y ~ a\n  + b\n", "+", (3, 3)),
        ("|  # why\n  y ~ a\n  + b\n", "+", (3, 3)),
        ("'y ~\n   a + b'", "+", (2, 6)),
        ('"y ~ \\\n   a + b"', "+", (2, 6)),
    ],
)
def test_a_character_of_a_scalar_is_found_in_the_file(written: str, value: str, place: tuple[int, int]) -> None:
    words, lines = decode(f"f: {written}".encode(), "fit.yaml")
    root = parse(words, lines).root
    assert isinstance(root, Mapping)
    scalar = root.entries["f"].node
    assert isinstance(scalar, Scalar)
    found = inside(scalar, scalar.text.index(value))
    assert found is not None
    assert (found.line, found.column) == place
    assert found.text.lines[found.line - 1][found.column - 1] == value


def test_the_end_of_a_scalar_is_right_behind_it() -> None:
    words, lines = decode(b"f: y ~ a +\n", "fit.yaml")
    root = parse(words, lines).root
    assert isinstance(root, Mapping)
    scalar = root.entries["f"].node
    assert isinstance(scalar, Scalar)
    found = inside(scalar, len(scalar.text))
    assert found is not None
    assert (found.line, found.column) == (1, 11)


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts.filter(bool), inner, max_size=4),
    max_leaves=15,
)


@given(st.dictionaries(texts.filter(lambda key: key not in {"", "<<"}), values, min_size=1, max_size=4))
def test_what_is_written_reads_back(value: dict[str, object]) -> None:
    assert read(dump(value)) == value


@given(st.text(alphabet="ab:- \n\t[]{},'\"#|>&*!%@?~1.e\\<=", max_size=60) | st.binary(max_size=40))
def test_any_text_is_read_or_refused(text: str | bytes) -> None:
    try:
        read(text)
    except ConfigError as error:
        error.render()


@given(texts)
def test_a_text_in_double_quotes_by_pyyaml_is_read_as_that_text(text: str) -> None:
    assert read(yaml.safe_dump({"key": text}, default_style='"', allow_unicode=False)) == {"key": text}
