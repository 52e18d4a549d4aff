"""From text to tokens: what is not part of the language is refused here, with a hint at what was meant."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, NoReturn, TypeAlias, final

from fitkit.expressions.functions import WORDS
from fitkit.expressions.problems import CHARACTER, LITERAL, SIZE, ExpressionError, excerpt

LONGEST_TEXT: Final = 10_000
"""The most characters an expression has."""

Kind: TypeAlias = Literal["number", "name", "text", "word", "operator", "tilde"]


@final
@dataclass(frozen=True, slots=True)
class Token:
    """A piece of an expression: its kind, its text as written, and where that begins."""

    kind: Kind
    text: str
    offset: int

    @property
    def end(self) -> int:
        """The offset behind the last character."""
        return self.offset + len(self.text)


_TOKEN: Final = re.compile(
    r"(?P<blank>[ \t\r\n]+)"
    r"|(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<triple>\"\"\"|''')"
    r"|(?P<text>'[^'\\\r\n]*'|\"[^\"\\\r\n]*\")"
    r"|(?P<wrong>&&?|\|\|?|<<|>>|<>|===|!==|=>|=<|:=|->|//|\*\*=|[-+*/^]=|=(?!=)|!(?!=)|[\[\]{}%@;:?`#$\\.])"
    r"|(?P<operator>\*\*|<=|>=|==|!=|[-+*/^<>(),])"
    r"|(?P<tilde>~)"
)
_TAIL: Final = re.compile(r"[A-Za-z0-9_.]+")

_HELP: Final = {
    "&": "use `and`",
    "&&": "use `and`",
    "|": "use `or`",
    "||": "use `or`",
    "!": "use `not`",
    "<>": "use `!=`",
    "===": "use `==`",
    "!==": "use `!=`",
    "=>": "use `>=`",
    "=<": "use `<=`",
    "=": "use `==` to compare",
    ":=": "a named part goes under `definitions`",
    "//": "use `floor(a / b)`",
    "%": "use `a - b * floor(a / b)` for the remainder",
    "@": "a product is written `*`",
    "[": "there are no subscripts; group with `(` and `)`",
    "]": "there are no subscripts; group with `(` and `)`",
    "{": "group with `(` and `)`",
    "}": "group with `(` and `)`",
    ".": "there are no attributes; the functions are used as they are: `exp(x)`",
    ";": "an expression is one formula; a named part goes under `definitions`",
    "?": "write `a if condition else b`",
    ":": "write `a if condition else b`",
    "`": "names are written without quotes",
    "#": "comments belong to the YAML around it",
    "\\": "a line needs no mark to go on in the next",
    "\N{MINUS SIGN}": "use `-`",
    "\N{EN DASH}": "use `-`",
    "\N{EM DASH}": "use `-`",
    "\N{MULTIPLICATION SIGN}": "use `*`",
    "\N{MIDDLE DOT}": "use `*`",
    "\N{DOT OPERATOR}": "use `*`",
    "\N{DIVISION SIGN}": "use `/`",
    "\N{LESS-THAN OR EQUAL TO}": "use `<=`",
    "\N{GREATER-THAN OR EQUAL TO}": "use `>=`",
    "\N{NOT EQUAL TO}": "use `!=`",
    "\N{SUPERSCRIPT TWO}": "use `**2`",
    "\N{SUPERSCRIPT THREE}": "use `**3`",
    "\N{SQUARE ROOT}": "use `sqrt(...)`",
    "\N{GREEK SMALL LETTER PI}": "use `pi`",
    "\N{LEFT SINGLE QUOTATION MARK}": "use `'`",
    "\N{RIGHT SINGLE QUOTATION MARK}": "use `'`",
    "\N{LEFT DOUBLE QUOTATION MARK}": 'use `"`',
    "\N{RIGHT DOUBLE QUOTATION MARK}": 'use `"`',
    "\N{NO-BREAK SPACE}": "use an ordinary blank",
}


def tokenize(text: str) -> list[Token]:
    """Return the tokens of `text`.

    Raises:
        ExpressionError: it is too long, or something in it is not part of the language.
    """
    if len(text) > LONGEST_TEXT:
        raise ExpressionError(
            f"the expression has {len(text):,} characters, at most {LONGEST_TEXT:,} are allowed",
            text=text,
            offset=LONGEST_TEXT,
            help="move parts of it to `definitions`",
            code=SIZE,
        )
    tokens: list[Token] = []
    position = 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        kind = found.lastgroup if found else None
        if found is None or kind in {"wrong", "triple"}:
            _refuse(text, position, found.group() if found else text[position])
        token = found.group()
        if kind == "number":
            _check_number(text, found)
        elif kind == "name":
            _check_name_end(text, found)
            kind = "word" if token in WORDS else "name"
        if kind != "blank":
            tokens.append(Token(kind, token, position))  # type: ignore[arg-type] # the groups that are left are the kinds
        position = found.end()
    return tokens


def _check_number(text: str, found: re.Match[str]) -> None:
    """Refuse what looks like one number but is more: `5x`, `1_000`, `2j`, `0x1F`, `1.2.3`."""
    rest = _TAIL.match(text, found.end())
    if rest is None:
        return
    tail = rest.group()
    number, whole = found.group(), found.group() + tail
    if tail[0] == ".":
        help_line: str | None = "a number has one decimal point"
    elif "_" in tail and tail.replace("_", "").isdigit():
        help_line = f"write `{excerpt(number + tail.replace('_', ''))}`"
    elif tail in {"j", "J"}:
        help_line = "there are no complex numbers"
    elif tail in WORDS:
        help_line = f"put a blank before `{tail}`"
    elif number == "0" and tail[0] in "xXbBoO":
        help_line = "numbers are decimal"
    elif tail in {"e", "E"}:
        help_line = f"an exponent needs digits; a product is written `{excerpt(number)}*{tail}`"
    else:
        help_line = f"a product is written `{excerpt(number)}*{excerpt(tail)}`"
    message = f"`{excerpt(whole)}` is not a number"
    raise ExpressionError(message, text=text, offset=found.start(), length=len(whole), help=help_line, code=LITERAL)


def _check_name_end(text: str, found: re.Match[str]) -> None:
    """Refuse what may not follow a name without a blank: an attribute's point, the quote of a prefixed text."""
    following = text[found.end() : found.end() + 1]
    if following == ".":
        _refuse(text, found.end(), ".")
    if following and following in "'\"" and found.group() not in WORDS:
        raise ExpressionError(
            f"a text has no prefix such as `{excerpt(found.group())}`",
            text=text,
            offset=found.start(),
            length=len(found.group()) + 1,
            help="texts are written 'so' or \"so\"",
            code=LITERAL,
        )


def _refuse(text: str, offset: int, piece: str) -> NoReturn:
    """Refuse `piece`, which is not part of the language."""
    if piece[0] in "'\"":
        raise ExpressionError(
            "a text does not end, or holds a backslash",
            text=text,
            offset=offset,
            length=len(piece),
            help="texts are written 'so' or \"so\", on one line, without escapes",
            code=LITERAL,
        )
    help_line = _HELP.get(piece)
    if piece == ":" and re.search(r"(?<!\w)lambda\s+[A-Za-z_][\w, ]*$", text[max(0, offset - 200) : offset]):
        help_line = "an expression defines no functions; a named part goes under `definitions`"
    if piece == "=" and re.search(r"[(,]\s*[A-Za-z_][A-Za-z0-9_]*\s*$", text[max(0, offset - 200) : offset]):
        help_line = "arguments are given by position, without their names; use `==` to compare"
    elif help_line is None and len(piece) > 1 and piece.endswith("="):
        help_line = "an expression assigns nothing; use `==` to compare"
    elif help_line is None and piece.isalpha():
        help_line = "names are ASCII; a column can be given one under `data.columns`"
    shown = piece if piece.isprintable() else f"U+{ord(piece[0]):04X}"
    message = f"`{shown}` is not part of the expression language"
    raise ExpressionError(message, text=text, offset=offset, length=len(piece), help=help_line, code=CHARACTER)
