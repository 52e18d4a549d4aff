"""What PyYAML says of a syntax error, in plain words and at the place where the mistake was made."""

from __future__ import annotations

from typing import Any, Final

from fitkit.errors import Diagnostic
from fitkit.yaml_text.nodes import Place, Text

_QUOTE: Final = "quote a text that holds `: `, ` #` or begins with a special character"
_PHRASES: Final[tuple[tuple[str, str, str | None], ...]] = (
    (
        "could not find expected ':'",
        "a `:` is missing after this key",
        "write `key: value`, with a blank after the colon",
    ),
    (
        "block sequence entries are not allowed",
        "a list cannot begin here",
        "begin it on a line of its own: `- item`, or write `[a, b]`",
    ),
    (
        "found unknown escape character",
        "an unknown escape in a text in double quotes",
        "use single quotes, in which `\\` is a backslash",
    ),
    ("did not find expected hexdecimal number", "an incomplete escape in a text in double quotes", "use single quotes"),
    ("found unexpected document indicator", "the quote is never closed", "close it, or remove the opening quote"),
    ("did not find expected <document start>", "text after the end of the document", "one config is one YAML document"),
    (
        "did not find expected '-' indicator",
        "this line does not line up with the list above it",
        "align it with the `-` or the keys it belongs to",
    ),
    ("did not find expected node content", "a value is missing here", None),
    ("directive", "a line cannot begin with `%`", _QUOTE),
)
_LEFT_OUT: Final[tuple[tuple[str, str, str | None], ...]] = (
    ("nesting depth", "nested too deep", "a config needs four or five levels"),
    ("tag", "tags are not allowed", "remove it; quote what is meant as text"),
    ("alphabetic or numeric character", "aliases and anchors are not allowed", _QUOTE),
)


def explain(error: Any, text: Text, last: Any) -> Diagnostic:
    """Return the diagnostic for PyYAML's error; `last` is the last event before it."""
    problem = str(getattr(error, "problem", None) or getattr(error, "reason", None) or "the text is not YAML")
    mark = getattr(error, "problem_mark", None)
    context = getattr(error, "context_mark", None) or mark
    if mark is None:
        return Diagnostic(code="E102", message=problem, file=text.shown)
    here, there = _place(text, mark), _place(text, context)
    known = _explained(problem, here, there, last)
    if known is not None:
        return known
    for phrase, message, way_out in _PHRASES:
        if phrase in problem:
            place = there if phrase.startswith("could not") or "document indicator" in phrase else here
            return place.diagnostic("E102", message, way_out)
    for phrase, message, way_out in _LEFT_OUT:
        if phrase in problem:
            return here.diagnostic("E103", message, way_out)
    return here.diagnostic("E102", problem)


def _explained(problem: str, here: Place, there: Place, last: Any) -> Diagnostic | None:
    """Return the diagnostic for a mistake whose explanation depends on what stands there, None for any other."""
    if "tab" in problem or _character(here) == "\t":
        return here.diagnostic("E102", "a tab in the indentation", "indent with blanks")
    if "cannot start any token" in problem:
        return here.diagnostic("E102", f"a value cannot begin with `{_character(here)}`", "quote the text: '...'")
    if "mapping values are not allowed" in problem:
        return _stray_colon(here, last)
    if "did not find expected ','" in problem:
        return _unclosed(here, there, problem[-3:-1].strip("' "))
    if "unexpected end of stream" in problem:
        return there.diagnostic("E102", "the quote is never closed", "close it, or remove the opening quote")
    if "did not find expected key" not in problem:
        return None
    if _character(here) == ":":
        return here.diagnostic("E102", "a key is missing before `:`")
    way_out = f"align it with the keys that it belongs with; the map begins on line {there.line}"
    return here.diagnostic("E102", "this does not line up with the keys above it", way_out)


def _place(text: Text, mark: Any) -> Place:
    """Return the place of a mark; the end of a text is after its last line with something on it."""
    line, column = int(mark.line), int(mark.column)
    if line >= len(text.lines):
        line = len(text.lines) - 1
        column = len(text.lines[line])
    if column == 0 and not text.lines[line].strip():
        while line > 0 and not text.lines[line].strip():
            line -= 1
        column = len(text.lines[line])
    return Place(text, line + 1, column + 1)


def _character(place: Place) -> str:
    line = place.text.lines[place.line - 1]
    return line[place.column - 1] if place.column <= len(line) else ""


def _stray_colon(here: Place, last: Any) -> Diagnostic:
    """Say why a `:` cannot stand where it does: the line above was not finished, or a text holds a colon."""
    start = getattr(last, "start_mark", None)
    if start is not None and start.line + 1 < here.line and getattr(last, "style", None) in ("", None):
        first = start.line + 1
        way_out = f"either line {first} lacks its `: `, or this line is indented too far"
        return here.diagnostic("E102", f"a `:` in what continues line {first}", way_out)
    return here.diagnostic("E102", "a second `:` on one line", "quote a text that holds `: `, or begin a new line")


def _unclosed(here: Place, there: Place, bracket: str) -> Diagnostic:
    opening, what = ("[", "list") if bracket.endswith("]") else ("{", "map")
    if here.line == there.line and _character(here):
        return here.diagnostic("E102", f"a `,` or `{bracket[-1]}` is missing in this {what}", _QUOTE)
    runs_on = f"the {what} runs on to line {here.line}: " if here.line > there.line else ""
    return there.diagnostic("E102", f"`{opening}` is never closed", f"{runs_on}close it with `{bracket[-1]}`")
