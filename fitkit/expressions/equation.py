"""Equations `target ~ prediction`, and the constants that stand for numbers in a config."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, final

from fitkit.errors import did_you_mean
from fitkit.expressions.functions import FUNCTIONS
from fitkit.expressions.parsing import Expression, parse
from fitkit.expressions.problems import EQUATION, NOT_CONSTANT, ExpressionError, excerpt
from fitkit.expressions.tokens import tokenize
from fitkit.expressions.tree import Number

_NO_DEFINITIONS: Final[Mapping[str, Expression]] = MappingProxyType({})
_EXAMPLE: Final = "write `target ~ prediction`, as in `y ~ a * x + b`"


@final
@dataclass(frozen=True)
class Equation:
    """A model's formula: `target ~ prediction`."""

    target: Expression
    """The left side: a column or an expression of columns."""
    prediction: Expression
    """The right side."""
    source: str
    """The whole, as written."""


def parse_equation(text: str, definitions: Mapping[str, Expression] = _NO_DEFINITIONS) -> Equation:
    """Parse `target ~ prediction`.

    Raises:
        ExpressionError: with the place in `text`; `~` is missing or stands there twice, or a side is no expression.
    """
    try:
        tokens = tokenize(text)
    except ExpressionError as error:
        if text[error.offset : error.offset + error.length] == "=" and "~" not in text:
            error.help = _EXAMPLE
        raise
    tildes = [token.offset for token in tokens if token.kind == "tilde"]
    if not tildes:
        message = "the formula has no `~` between its target and its prediction"
        raise ExpressionError(message, text=text, offset=0, length=len(text), help=_EXAMPLE, code=EQUATION)
    if len(tildes) > 1:
        raise ExpressionError("a formula has one `~` only", text=text, offset=tildes[1], help=_EXAMPLE, code=EQUATION)
    at = tildes[0]
    sides = []
    for part, shift, side in ((text[:at], 0, "before"), (text[at + 1 :], at + 1, "after")):
        if not part.strip():
            message = f"nothing stands {side} `~`"
            raise ExpressionError(message, text=text, offset=at, help=_EXAMPLE, code=EQUATION)
        try:
            sides.append(parse(part, definitions))
        except ExpressionError as error:
            raise error.within(text, shift) from None
    return Equation(target=sides[0], prediction=sides[1], source=text)


_PI: Final = {
    "pi": Expression(source="pi", definitions=(), names=frozenset(), text_comparisons=frozenset(), root=Number(math.pi))
}


def constant(text: str) -> float:
    """Return the value of a constant expression, such as `log(0.35)`, `2*pi` or `1/3`.

    Raises:
        ExpressionError: it cannot be parsed, has a name other than `pi` in it, or is not finite.
    """
    expression = parse(text, _PI)
    if isinstance(expression.root, Number):
        return expression.root.value
    names = expression.names | {comparison.column for comparison in expression.text_comparisons}
    token = next((t for t in tokenize(text) if t.text in names), None)
    offset, word = (token.offset, token.text) if token is not None else (0, text)
    raise ExpressionError(
        f"`{excerpt(word)}` is no constant: a number here may use `pi` and functions, and no other name",
        text=text,
        offset=offset,
        length=len(word),
        help=did_you_mean(word, ["pi", *FUNCTIONS]) if len(word) < 50 else None,
        code=NOT_CONSTANT,
    )
