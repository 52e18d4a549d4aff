"""Constraints `left <= right`, `left >= right` and `left == right` between expressions of parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, cast, final

from fitkit.expressions.parsing import Expression, parse
from fitkit.expressions.problems import CONSTRAINT, ExpressionError
from fitkit.expressions.tokens import Token, tokenize

Relation: TypeAlias = Literal["<=", ">=", "=="]

_NO_DEFINITIONS: Final[Mapping[str, Expression]] = MappingProxyType({})
_EXAMPLE: Final = "write one `<=`, `>=` or `==`, as in `a + b <= 10`"
_RELATIONS: Final = frozenset({"<=", ">=", "=="})
_COMPARATORS: Final = _RELATIONS | {"<", ">", "!="}
_LOGIC: Final = frozenset({"and", "or", "not", "if", "else"})


@final
@dataclass(frozen=True)
class Constraint:
    """What parameters must satisfy: `left <= right`, `left >= right` or `left == right`."""

    left: Expression
    relation: Relation
    right: Expression
    source: str
    """The whole, as written."""

    @property
    def names(self) -> frozenset[str]:
        """The names on both sides, those in their definitions included."""
        return self.left.names | self.right.names


def parse_constraint(text: str, definitions: Mapping[str, Expression] = _NO_DEFINITIONS) -> Constraint:
    """Parse one constraint.

    Args:
        text: the constraint.
        definitions: what named parts stand for.

    Raises:
        ExpressionError: with the place in `text`; there is no relation outside parentheses, more than one, a strict one, a
            side is no expression, or no name stands on either side.
    """
    try:
        tokens = tokenize(text)
    except ExpressionError as error:
        if text[error.offset : error.offset + error.length] == "=":
            error.help = "an equality is written `==`"
        raise
    at = _relation(text, _outside(tokens))
    sides = []
    for part, shift, side in ((text[: at.offset], 0, "before"), (text[at.end :], at.end, "after")):
        if not part.strip():
            message = f"nothing stands {side} `{at.text}`"
            raise ExpressionError(message, text=text, offset=at.offset, length=2, help=_EXAMPLE, code=CONSTRAINT)
        try:
            sides.append(parse(part, definitions))
        except ExpressionError as error:
            raise error.within(text, shift) from None
    found = Constraint(left=sides[0], relation=cast("Relation", at.text), right=sides[1], source=text)
    if not found.names - {"pi"} and not any(side.text_comparisons for side in sides):
        message = "the constraint has no parameter in it: it holds, or it does not, whatever is fitted"
        raise ExpressionError(message, text=text, offset=0, length=len(text), help="remove it", code=CONSTRAINT)
    return found


def _outside(tokens: list[Token]) -> list[Token]:
    """Return the tokens outside all parentheses."""
    level, found = 0, []
    for token in tokens:
        level += (token.text == "(") - (token.text == ")")
        if level == 0:
            found.append(token)
    return found


def _relation(text: str, tokens: list[Token]) -> Token:
    """Return the one relation of a constraint."""

    def refuse(token: Token | None, message: str, way_out: str) -> ExpressionError:
        place = (0, len(text)) if token is None else (token.offset, len(token.text))
        return ExpressionError(message, text=text, offset=place[0], length=place[1], help=way_out, code=CONSTRAINT)

    found = [token for token in tokens if token.text in _COMPARATORS]
    logic = next((token for token in tokens if token.kind == "word" and token.text in _LOGIC), None)
    if logic is not None:
        way_out = (
            "write a constraint for each" if logic.text == "and" else f"put a side that uses `{logic.text}` into `( )`"
        )
        raise refuse(logic, f"`{logic.text}` cannot join constraints", way_out)
    if not found:
        raise refuse(None, "a constraint needs `<=`, `>=` or `==` between its sides", _EXAMPLE)
    if len(found) > 1:
        raise refuse(found[1], "a constraint has one relation only", "write a constraint for each")
    if found[0].text not in _RELATIONS:
        strict = found[0].text in {"<", ">"}
        message = f"`{found[0].text}` is no constraint: a minimum may lie on the edge, which must be allowed"
        if not strict:
            message = "`!=` is no constraint: it excludes points that are as good as their neighbours"
        raise refuse(found[0], message, f"write `{found[0].text}=`" if strict else _EXAMPLE)
    return found[0]
