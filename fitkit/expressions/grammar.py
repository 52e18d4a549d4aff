"""The rules of word order: every mistake in it is found here, so that what goes on to `ast` is a legal expression.

An expression alternates between two states: an operand is expected, or an operator is. Each open parenthesis is a level
of its own, with the `if` that still waits for its `else`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NoReturn, final

from fitkit.errors import did_you_mean
from fitkit.expressions.functions import FUNCTIONS
from fitkit.expressions.problems import FUNCTION, SIZE, SYNTAX, ExpressionError, excerpt
from fitkit.expressions.tokens import Token

DEEPEST: Final = 100
"""The deepest tree, and the most parentheses within each other."""
LARGEST: Final = 4_000
"""The most nodes of a tree, those of the definitions it uses included, each counted once."""
_DEEPEST_TOKENS: Final = 2 * DEEPEST

_OPERANDS: Final = frozenset({"number", "name", "text"})
_COMPARATORS: Final = frozenset({"<", "<=", ">", ">=", "==", "!="})
_OPERATIONS: Final = frozenset({"not", "**", "^"}) | _COMPARATORS
_BINARY: Final = frozenset({"+", "-", "*", "/", "**", "^", "and", "or"}) | _COMPARATORS
_BEFORE_NOT: Final = frozenset({"(", ",", "and", "or", "not", "if", "else"})


@final
@dataclass(slots=True)
class _Level:
    """What is open inside one pair of parentheses."""

    opening: Token | None
    is_call: bool
    base: int = 0  # how deep the outer levels nest
    condition: Token | None = None  # the `if` that waits for its `else`
    prefixes: int = 0  # operators that nest to the right: signs, `not` and powers
    alternatives: int = 0  # `else`, which nests to the right too
    chains: bool = False  # whether it holds a sum, a product, `and` or `or`, which is one node however long


@final
class Grammar:
    """Reads tokens one after the other and refuses the first that may not stand where it does."""

    def __init__(self, text: str, tokens: list[Token]) -> None:
        self._text = text
        self._tokens = tokens
        self._levels = [_Level(None, is_call=False)]
        self._nodes = 0

    def check(self) -> None:
        """Raise an ExpressionError unless the tokens form one expression."""
        # What has too many nodes as it is written is refused before work is spent on building them.
        befores = [None, *self._tokens]
        self._count(sum(_is_node(token, before) for token, before in zip(self._tokens, befores, strict=False)))
        if not self._tokens:
            raise ExpressionError("the expression is empty", text=self._text, offset=0)
        expects_operand = True
        previous: Token | None = None
        for index, token in enumerate(self._tokens):
            if token.kind == "tilde":
                help_line = "`target ~ prediction` is for the model's formula only, once"
                self._refuse(token, "`~` has no place here", help_line)
            step = self._operand if expects_operand else self._operator
            expects_operand = step(token, previous, self._tokens[index + 1] if index + 1 < len(self._tokens) else None)
            previous = token
        last = self._tokens[-1]
        if expects_operand:
            self._refuse(last, f"the expression ends after `{last.text}`", "a number, a name or `(` must follow")
        level = self._levels[-1]
        self._close_condition(level)
        if level.opening is not None:
            self._refuse(level.opening, "`(` is never closed", None)

    def _operand(self, token: Token, previous: Token | None, following: Token | None) -> bool:
        """Take a token where an operand is expected; return whether one is still expected."""
        if token.kind == "name":
            self._check_call(token, following)
            return False
        if token.kind in {"number", "text"}:
            return False
        if token.text == "(":
            self._open(token, is_call=False)
            return True
        if token.text in {"+", "-", "not"}:
            self._prefix(token, previous)
            return True
        if token.text == ")" and previous is not None and previous.text == "(" and self._levels[-1].is_call:
            self._levels.pop()
            return False  # no arguments: the number of arguments is checked later, with a better message
        return self._refuse_operand(token, previous)

    def _operator(self, token: Token, previous: Token | None, _: Token | None) -> bool:
        """Take a token where an operator is expected; return whether an operand is expected next."""
        level = self._levels[-1]
        if token.text == "(" and previous is not None and previous.text in FUNCTIONS:
            self._open(token, is_call=True)
            return True
        if token.text == ")":
            self._close(token)
            return False
        if token.text == ",":
            self._comma(token)
        elif token.text == "if":
            if level.condition is not None:
                self._refuse(token, "an `if` inside a condition needs parentheses", "write `(a if b else c)`")
            level.condition, level.prefixes = token, 0
        elif token.text == "else":
            if level.condition is None:
                self._refuse(token, "`else` without `if`", "write `a if condition else b`")
            level.condition, level.prefixes = None, 0
            level.alternatives += 1
            self._nest(token)
        elif token.text in {"**", "^"}:
            level.prefixes += 1
            self._nest(token)
        elif token.text in _BINARY:
            level.prefixes = 0
            level.chains |= token.text not in _COMPARATORS
        else:
            self._refuse_juxtaposition(token, previous)
        return True

    def _check_call(self, token: Token, following: Token | None) -> None:
        """Refuse a function that is not called, and a call of what is no function."""
        called = following is not None and following.text == "("
        if token.text in FUNCTIONS and not called:
            message = f"`{token.text}` is a function"
            self._refuse(token, message, f"write `{FUNCTIONS[token.text].signature}`", FUNCTION)
        if called and token.text not in FUNCTIONS:
            help_line = did_you_mean(token.text, FUNCTIONS) if len(token.text) < DEEPEST else None
            message = f"`{excerpt(token.text)}` is not a function"
            product = f"a product is written `{excerpt(token.text)} * (...)`"
            self._refuse(token, message, help_line or product, FUNCTION)

    def _prefix(self, token: Token, previous: Token | None) -> None:
        if token.text == "not" and previous is not None and previous.text not in _BEFORE_NOT:
            self._refuse(token, f"`not` after `{previous.text}` needs parentheses", "write `(not ...)`")
        self._levels[-1].prefixes += 1
        self._nest(token)

    def _open(self, token: Token, *, is_call: bool) -> None:
        outer = self._levels[-1]
        base = outer.base + outer.prefixes + outer.alternatives + 1
        self._levels.append(_Level(token, is_call=is_call, base=base))
        self._nest(token)

    def _close(self, token: Token) -> None:
        level = self._levels[-1]
        if level.opening is None:
            self._refuse(token, "`)` closes nothing", None)
        self._close_condition(level)
        self._count(level.chains)
        self._levels.pop()

    def _count(self, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > LARGEST:
            raise too_large(self._text)

    def _comma(self, token: Token) -> None:
        level = self._levels[-1]
        if not level.is_call:
            self._refuse(
                token, "a comma stands between the arguments of a function only", "decimals have a point: `1.5`"
            )
        self._close_condition(level)
        level.prefixes = level.alternatives = 0

    def _close_condition(self, level: _Level) -> None:
        if level.condition is not None:
            self._refuse(level.condition, "`if` without `else`", "write `a if condition else b`")

    def _nest(self, token: Token) -> None:
        """Refuse what nests too deeply before `ast`, which would spend the machine's stack on it, sees it."""
        level = self._levels[-1]
        if len(self._levels) - 1 > DEEPEST or level.base + level.prefixes + level.alternatives > _DEEPEST_TOKENS:
            message = f"the expression is nested more than {DEEPEST} levels deep"
            self._refuse(token, message, "move parts of it to `definitions`", SIZE)

    def _refuse_operand(self, token: Token, previous: Token | None) -> NoReturn:
        if previous is None:
            self._refuse(token, f"nothing stands before `{token.text}`", None)
        if token.text in {"*", "**"} and previous.text in {"(", ","}:
            self._refuse(token, f"`{token.text}` needs an operand on its left", "arguments are given one by one")
        message = f"a number, a name or `(` is missing between `{previous.text}` and `{token.text}`"
        self._refuse(token, message, None)

    def _refuse_juxtaposition(self, token: Token, previous: Token | None) -> NoReturn:
        before = excerpt(previous.text if previous is not None else "")
        help_line = f"a product is written `{before} * {excerpt(token.text)}`"
        if token.text == "(" or before == ")":
            help_line = "a product is written with `*`"
        elif before == "is" or token.text in {"is", "in"}:
            help_line = "use `==` to compare"
        elif token.kind in {"text", "word"}:
            help_line = "use `and` or `or` between conditions"
        message = f"an operator is missing between `{before}` and `{excerpt(token.text)}`"
        self._refuse(token, message, help_line)

    def _refuse(self, token: Token, message: str, help_line: str | None, code: str = SYNTAX) -> NoReturn:
        length = len(token.text)
        raise ExpressionError(message, text=self._text, offset=token.offset, length=length, help=help_line, code=code)


def _is_node(token: Token, before: Token | None) -> bool:
    if token.text == "-":
        return before is None or (before.kind in {"operator", "word"} and before.text != ")")
    return token.kind in _OPERANDS or token.text in _OPERATIONS


def too_large(text: str) -> ExpressionError:
    """Return the refusal of a text with too many nodes."""
    message = f"the expression has more than {LARGEST:,} operations and operands, its definitions included"
    return ExpressionError(message, text=text, offset=0, length=len(text), code=SIZE)
