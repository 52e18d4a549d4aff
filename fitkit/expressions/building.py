"""From Python's syntax tree to fitkit's nodes: an allow-list, with constants folded on the way."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from typing import Final, Literal, TypeAlias, cast, final

from fitkit.expressions.folding import evaluate
from fitkit.expressions.functions import FUNCTIONS
from fitkit.expressions.grammar import DEEPEST
from fitkit.expressions.problems import FUNCTION, NOT_FINITE, SIZE, SYNTAX, TEXT, ExpressionError, excerpt
from fitkit.expressions.tokens import Token
from fitkit.expressions.tree import (
    Call,
    Choice,
    Comparator,
    Comparison,
    Logic,
    Name,
    Negative,
    Node,
    Number,
    Power,
    Product,
    Sum,
    TextComparison,
    TextTest,
)

_COMPARATORS: Final[Mapping[type[ast.cmpop], Comparator]] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}
_SUMS: Final = (ast.Add, ast.Sub)
_PRODUCTS: Final = (ast.Mult, ast.Div)

_Place: TypeAlias = tuple[int, int]


@final
class Builder:
    """Builds the nodes of one expression.

    Args:
        text: the expression.
        tokens: its tokens.
        starts: the token that begins at an offset of the text that `ast` parsed.
        ends: the token that ends there.
        definitions: the trees that names stand for.
    """

    def __init__(
        self,
        text: str,
        tokens: list[Token],
        starts: Mapping[int, int],
        ends: Mapping[int, int],
        definitions: Mapping[str, Node],
    ) -> None:
        self.used: set[str] = set()
        self._text = text
        self._tokens = tokens
        self._starts = starts
        self._ends = ends
        self._definitions = definitions
        self._convert: dict[type[ast.expr], Callable[..., Node]] = {
            ast.Name: self._name,
            ast.BinOp: self._binary,
            ast.UnaryOp: self._unary,
            ast.Compare: self._comparisons,
            ast.BoolOp: self._logic,
            ast.IfExp: self._choice,
            ast.Call: self._call,
        }

    def build(self, expression: ast.expr, level: int = 1) -> Node:
        """Return the nodes of `expression`, which stands `level` nodes below the top."""
        convert = self._convert.get(type(expression))
        if convert is None:
            raise self._error(expression, "this is not part of the expression language", code=SYNTAX)
        if level > DEEPEST:
            message = f"the expression is nested more than {DEEPEST} levels deep"
            raise self._error(expression, message, "move parts of it to `definitions`", code=SIZE)
        return convert(expression, level)

    def _token(self, expression: ast.Name) -> Token:
        return self._tokens[int(expression.id[1:])]

    def _name(self, expression: ast.Name, _: int) -> Node:
        token = self._token(expression)
        if token.kind == "text":
            help_line = "a text is compared with a column: `column == 'text'`"
            raise self._error(expression, "a text has no place here", help_line, code=TEXT)
        if token.kind == "number":
            value = float(token.text)
            if not math.isfinite(value):
                raise self._not_finite(self._place(expression))
            return Number(value)
        if token.text in self._definitions:
            self.used.add(token.text)
            return self._definitions[token.text]
        return Name(token.text)

    def _binary(self, expression: ast.BinOp, level: int) -> Node:
        if isinstance(expression.op, ast.Pow):
            base = self.build(expression.left, level + 1)
            return self._fold(Power(base, self.build(expression.right, level + 1)), self._place(expression))
        family = _SUMS if isinstance(expression.op, _SUMS) else _PRODUCTS
        if not isinstance(expression.op, family):
            raise self._error(expression, "this operator is not part of the expression language", code=SYNTAX)
        # Python nests a + b + c + ... to the left, one level a term: a loop goes down, so that no stack is spent on it.
        steps: list[ast.BinOp] = []
        first: ast.expr = expression
        while isinstance(first, ast.BinOp) and isinstance(first.op, family):
            steps.append(first)
            first = first.left
        operands, inverted = [self.build(first, level + 1)], [False]
        make: Callable[[tuple[Node, ...], tuple[bool, ...]], Node] = Sum if family is _SUMS else Product
        for step in reversed(steps):
            operands.append(self.build(step.right, level + 1))
            inverted.append(isinstance(step.op, ast.Sub | ast.Div))
            if len(operands) == 2 and isinstance(operands[0], Number) and isinstance(operands[1], Number):
                operands = [self._fold(make(tuple(operands), tuple(inverted)), self._place(step))]
                inverted = [False]
        return operands[0] if len(operands) == 1 else make(tuple(operands), tuple(inverted))

    def _unary(self, expression: ast.UnaryOp, level: int) -> Node:
        operand = self.build(expression.operand, level + 1)
        if isinstance(expression.op, ast.UAdd):
            return operand
        node = Negative(operand) if isinstance(expression.op, ast.USub) else Logic("not", (operand,))
        return self._fold(node, self._place(expression))

    def _comparisons(self, expression: ast.Compare, level: int) -> Node:
        """Read `a < b < c` as `a < b and b < c`, with one node for b."""
        sides = [expression.left, *expression.comparators]
        texts = [self._quoted(side) for side in sides]
        nodes = [None if quoted is not None else side for quoted, side in zip(texts, sides, strict=True)]
        built: dict[int, Node] = {}
        deeper = level + (1 if len(expression.ops) == 1 else 2)
        found: list[Node] = []
        for index, op in enumerate(expression.ops):
            comparator = _COMPARATORS[type(op)]
            if texts[index] is not None or texts[index + 1] is not None:
                found.append(self._text_test(expression, sides[index : index + 2], comparator))
                continue
            for at in (index, index + 1):
                side = nodes[at]
                if at not in built and side is not None:
                    built[at] = self.build(side, deeper)
            place = (self._place(sides[index])[0], self._place(sides[index + 1])[1])
            found.append(self._fold(Comparison(comparator, built[index], built[index + 1]), place))
        return found[0] if len(found) == 1 else self._fold(Logic("and", tuple(found)), self._place(expression))

    def _text_test(self, expression: ast.Compare, sides: list[ast.expr], comparator: str) -> Node:
        value = self._quoted(sides[0]) or self._quoted(sides[1])
        column = sides[1] if self._quoted(sides[0]) is not None else sides[0]
        if comparator not in {"==", "!="}:
            raise self._error(
                expression, f"texts are not ordered: `{comparator}` has no meaning", "use `==` or `!=`", TEXT
            )
        if value is None or not isinstance(column, ast.Name) or self._token(column).kind != "name":
            raise self._error(expression, "a text is compared with a column only", "write `column == 'text'`", TEXT)
        name = self._token(column).text
        if name in self._definitions:
            raise self._error(column, f"`{excerpt(name)}` is a definition, not a column of texts", code=TEXT)
        return TextTest(TextComparison(name, cast("Literal['==', '!=']", comparator), value[1:-1]))

    def _quoted(self, expression: ast.expr) -> str | None:
        """Return a text with its quotes, or None for any other expression."""
        if isinstance(expression, ast.Name) and self._token(expression).kind == "text":
            return self._token(expression).text
        return None

    def _logic(self, expression: ast.BoolOp, level: int) -> Node:
        word: Literal["and", "or"] = "and" if isinstance(expression.op, ast.And) else "or"
        operands = tuple(self.build(operand, level + 1) for operand in expression.values)
        return self._fold(Logic(word, operands), self._place(expression))

    def _choice(self, expression: ast.IfExp, level: int) -> Node:
        parts = (expression.test, expression.body, expression.orelse)
        return self._fold(Choice(*(self.build(part, level + 1) for part in parts)), self._place(expression))

    def _call(self, expression: ast.Call, level: int) -> Node:
        function = FUNCTIONS[self._token(cast("ast.Name", expression.func)).text]
        least, most = function.arity
        given = len(expression.args)
        if not least <= given <= most:
            count = f"{least} argument{'' if least == 1 else 's'}" if least == most else f"{least} or more arguments"
            message = f"`{function.name}` takes {count}, not {given}"
            raise self._error(expression, message, f"write `{function.signature}`", FUNCTION)
        name = function.canonical
        extra = {"clip": 2, "minimum": given - 1, "maximum": given - 1}.get(name, 1)
        arguments = [self.build(argument, level + extra) for argument in expression.args]
        place = self._place(expression)
        if name == "where":
            return self._fold(Choice(*arguments), place)
        if name == "clip":
            inner = self._fold(Call("maximum", (arguments[0], arguments[1])), place)
            return self._fold(Call("minimum", (inner, arguments[2])), place)
        if name in {"minimum", "maximum"}:
            result = arguments[0]
            for argument in arguments[1:]:
                result = self._fold(Call(name, (result, argument)), place)
            return result
        return self._fold(Call(name, tuple(arguments)), place)

    def _fold(self, node: Node, place: _Place) -> Node:
        """Return `node`, or its value where all its operands are numbers."""
        if not all(isinstance(child, Number) for child in node.children):
            return node
        try:
            value = evaluate(node)
        except (ArithmeticError, ValueError):
            value = math.nan
        if not math.isfinite(value):
            raise self._not_finite(place)
        return Number(value)

    def _place(self, expression: ast.expr) -> _Place:
        first = self._tokens[self._starts[expression.col_offset]]
        last = self._tokens[self._ends[expression.end_col_offset or 0]]
        return first.offset, last.end

    def _not_finite(self, place: _Place) -> ExpressionError:
        message = f"`{excerpt(self._text[slice(*place)])}` is not a finite number"
        length = place[1] - place[0]
        return ExpressionError(message, text=self._text, offset=place[0], length=length, code=NOT_FINITE)

    def _error(
        self, expression: ast.expr, message: str, help_line: str | None = None, code: str = SYNTAX
    ) -> ExpressionError:
        offset, end = self._place(expression)
        return ExpressionError(message, text=self._text, offset=offset, length=end - offset, help=help_line, code=code)
