"""From text to a tree: tokens, word order, `ast`, and from there through an allow-list into fitkit's own nodes."""

from __future__ import annotations

import ast
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, final

from fitkit.expressions.building import Builder
from fitkit.expressions.grammar import DEEPEST, LARGEST, Grammar, too_large
from fitkit.expressions.problems import SIZE, SYNTAX, ExpressionError
from fitkit.expressions.tokens import Token, tokenize
from fitkit.expressions.tree import Name, Node, TextComparison, TextTest, depth, postorder

_STACK: Final = 8_000  # what Python 3.11 needs to build a sum of as many terms, which nests to the left


@final
@dataclass(frozen=True)
class Expression:
    """A parsed expression.

    Two are equal when their text and the texts of the definitions they use, directly or not, are: what is compiled for
    one serves the other.
    """

    source: str
    """The text as written."""
    definitions: tuple[tuple[str, str], ...]
    """Name and text of each definition it uses, in order of name."""
    names: frozenset[str] = field(compare=False)
    """Columns and parameters it uses, those in its definitions included; `pi` is one of them.

    Where no column or parameter is called pi, it is the constant: leave it out of the names that must be known.
    """
    text_comparisons: frozenset[TextComparison] = field(compare=False)
    """Comparisons of text columns it uses; their columns are not in `names`."""
    root: Node = field(compare=False, repr=False)
    """The tree; a definition used twice is one node in it."""


_NO_DEFINITIONS: Final[Mapping[str, Expression]] = MappingProxyType({})


def parse(text: str, definitions: Mapping[str, Expression] = _NO_DEFINITIONS) -> Expression:
    """Parse one expression.

    Args:
        text: the expression; blanks and line ends between its tokens mean nothing.
        definitions: what named parts stand for. They win over columns and parameters of the same name.

    Raises:
        ExpressionError: with the place in `text`. There is no other exception for any text.
    """
    tokens = tokenize(text)
    Grammar(text, tokens).check()
    emitted = _Emitted(tokens)
    builder = Builder(text, tokens, emitted.starts, emitted.ends, {name: d.root for name, d in definitions.items()})
    root = builder.build(_syntax_tree(text, emitted))
    nodes = postorder([root])
    if len(nodes) > LARGEST:
        raise too_large(text)
    if depth(nodes) > DEEPEST:
        message = f"the expression is nested more than {DEEPEST} levels deep, its definitions included"
        raise ExpressionError(message, text=text, offset=0, length=len(text), code=SIZE)
    used = {name: definitions[name] for name in builder.used}
    return Expression(
        source=text,
        definitions=tuple(
            sorted({(n, d.source) for n, d in used.items()}.union(*(d.definitions for d in used.values())))
        ),
        names=frozenset(node.name for node in nodes if isinstance(node, Name)),
        text_comparisons=frozenset(node.comparison for node in nodes if isinstance(node, TextTest)),
        root=root,
    )


@final
class _Emitted:
    """The text that `ast` gets: every operand is replaced by a name made of its token's number.

    So Python's keywords are ordinary names, no number or text literal of Python's is ever read, and each place in the
    tree leads back to a token.
    """

    def __init__(self, tokens: list[Token]) -> None:
        self.starts: dict[int, int] = {}
        self.ends: dict[int, int] = {}
        pieces: list[str] = []
        position = 0
        for index, token in enumerate(tokens):
            piece = f"v{index}" if token.kind in {"number", "name", "text"} else token.text.replace("^", "**")
            self.starts[position] = index
            self.ends[position + len(piece)] = index
            pieces.append(piece)
            position += len(piece) + 1
        self.text = " ".join(pieces)


_RECURSION = threading.Lock()


def _syntax_tree(text: str, emitted: _Emitted) -> ast.expr:
    """Return Python's syntax tree of the tokens, which the grammar has found legal.

    Python 3.11 counts the levels of the tree, and a sum of many terms is a tree as deep, against the recursion limit.
    """
    with _RECURSION:  # the limit is the process's: another thread would put back what this one had set
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(max(limit, _STACK))
        try:
            return ast.parse(emitted.text, mode="eval").body
        except (SyntaxError, RecursionError, MemoryError, ValueError):
            message = "the expression cannot be understood"
            help_line = "put its parts into parentheses, or move them to `definitions`"
            raise ExpressionError(message, text=text, offset=0, length=len(text), help=help_line, code=SYNTAX) from None
        finally:
            sys.setrecursionlimit(limit)
