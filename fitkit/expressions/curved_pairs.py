"""Which second derivatives of an expression can be other than zero, by its structure alone."""

from __future__ import annotations

from itertools import product
from typing import TypeAlias

from fitkit.expressions.parsing import Expression
from fitkit.expressions.tree import (
    Choice,
    Comparison,
    Logic,
    Name,
    Negative,
    Node,
    Number,
    Product,
    Sum,
    TextTest,
    postorder,
)

Names: TypeAlias = frozenset[str]
Pairs: TypeAlias = frozenset[tuple[str, str]]


def curved_pairs(expression: Expression) -> Pairs:
    """Return the pairs of names, in both orders, of which some second derivative may not vanish.

    Sums curve as their terms do, products also between factors, divisors in themselves; all else in everything it is made of.
    """
    known: dict[int, tuple[Names, Pairs]] = {}
    for node in postorder([expression.root]):
        known[id(node)] = _of(node, known)
    return known[id(expression.root)][1]


def _of(node: Node, known: dict[int, tuple[Names, Pairs]]) -> tuple[Names, Pairs]:
    """Return the names that have a derivative, and the pairs that have a second one."""
    if isinstance(node, Name):
        return frozenset([node.name]), frozenset()
    if isinstance(node, Number | TextTest | Comparison | Logic):  # constant, or flat between jumps
        return frozenset(), frozenset()
    parts = [known[id(child)] for child in node.children]
    if isinstance(node, Choice):
        parts = parts[1:]
    names = frozenset[str]().union(*(part[0] for part in parts))
    pairs = frozenset[tuple[str, str]]().union(*(part[1] for part in parts))
    if isinstance(node, Sum | Negative | Choice):
        return names, pairs
    if not isinstance(node, Product):
        return names, frozenset(product(names, names))
    seen: Names = frozenset()
    for (factor, _), divides in zip(parts, node.divided, strict=True):
        pairs |= frozenset(product(seen, factor)) | frozenset(product(factor, seen))
        pairs |= frozenset(product(factor, factor)) if divides else frozenset()
        seen |= factor
    return names, pairs
