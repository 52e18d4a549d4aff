"""The immutable tree of an expression.

Nodes compare by identity: a definition that is used twice is one node with two parents, so a tree is really a directed
acyclic graph, and whatever walks it visits each node once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias, final

Comparator: TypeAlias = Literal["<", "<=", ">", ">=", "==", "!="]


@final
@dataclass(frozen=True, slots=True)
class TextComparison:
    """A text column compared with a quoted text; whoever evaluates an expression brings its rows of true and false."""

    column: str
    operator: Literal["==", "!="]
    value: str


class Node(ABC):
    """Abstract: one operation of an expression."""

    __slots__ = ()

    @property
    @abstractmethod
    def children(self) -> tuple[Node, ...]:
        """The operands, in the order of evaluation."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class Number(Node):
    """A finite constant."""

    value: float

    @property
    def children(self) -> tuple[Node, ...]:
        """None."""
        return ()


@final
@dataclass(frozen=True, slots=True, eq=False)
class Name(Node):
    """A column or a parameter; `pi` is one too, and has its usual value where nothing else is called so."""

    name: str

    @property
    def children(self) -> tuple[Node, ...]:
        """None."""
        return ()


@final
@dataclass(frozen=True, slots=True, eq=False)
class TextTest(Node):
    """A comparison of texts, true or false in each row."""

    comparison: TextComparison

    @property
    def children(self) -> tuple[Node, ...]:
        """None."""
        return ()


@final
@dataclass(frozen=True, slots=True, eq=False)
class Sum(Node):
    """Terms added or subtracted from left to right; the first is never subtracted."""

    terms: tuple[Node, ...]
    subtracted: tuple[bool, ...]

    @property
    def children(self) -> tuple[Node, ...]:
        """The terms."""
        return self.terms


@final
@dataclass(frozen=True, slots=True, eq=False)
class Product(Node):
    """Factors multiplied or divided by, from left to right; the first is never a divisor."""

    factors: tuple[Node, ...]
    divided: tuple[bool, ...]

    @property
    def children(self) -> tuple[Node, ...]:
        """The factors."""
        return self.factors


@final
@dataclass(frozen=True, slots=True, eq=False)
class Negative(Node):
    """Minus the operand."""

    operand: Node

    @property
    def children(self) -> tuple[Node, ...]:
        """The operand."""
        return (self.operand,)


@final
@dataclass(frozen=True, slots=True, eq=False)
class Power(Node):
    """The base to the exponent."""

    base: Node
    exponent: Node

    @property
    def children(self) -> tuple[Node, ...]:
        """The base, the exponent."""
        return (self.base, self.exponent)


@final
@dataclass(frozen=True, slots=True, eq=False)
class Comparison(Node):
    """True or false; 1 or 0 in arithmetic."""

    comparator: Comparator
    left: Node
    right: Node

    @property
    def children(self) -> tuple[Node, ...]:
        """The left side, the right side."""
        return (self.left, self.right)


@final
@dataclass(frozen=True, slots=True, eq=False)
class Logic(Node):
    """`and`, `or`, `not` of operands that are true unless they are 0; true or false, never one of the operands."""

    word: Literal["and", "or", "not"]
    operands: tuple[Node, ...]

    @property
    def children(self) -> tuple[Node, ...]:
        """The operands."""
        return self.operands


@final
@dataclass(frozen=True, slots=True, eq=False)
class Choice(Node):
    """`yes` in the rows where the condition holds, `no` in the others: `where` and `if ... else`."""

    condition: Node
    yes: Node
    no: Node

    @property
    def children(self) -> tuple[Node, ...]:
        """The condition and the two branches."""
        return (self.condition, self.yes, self.no)


@final
@dataclass(frozen=True, slots=True, eq=False)
class Call(Node):
    """A function, by the name it has in `FUNCTIONS` with aliases resolved, of its arguments."""

    function: str
    arguments: tuple[Node, ...]

    @property
    def children(self) -> tuple[Node, ...]:
        """The arguments."""
        return self.arguments


def all_children(node: Node) -> tuple[Node, ...]:
    """Return the operands of `node`."""
    return node.children


def postorder(roots: Iterable[Node], children: Callable[[Node], tuple[Node, ...]] = all_children) -> list[Node]:
    """Return every node that can be reached from `roots` once, each after all of its `children`."""
    done: set[int] = set()
    order: list[Node] = []
    stack = [(root, False) for root in reversed(tuple(roots))]
    while stack:
        node, expanded = stack.pop()
        if expanded:
            order.append(node)
        elif id(node) not in done:
            done.add(id(node))
            stack.append((node, True))
            stack.extend((child, False) for child in reversed(children(node)))
    return order


def depth(order: list[Node]) -> int:
    """Return the number of nodes on the longest way down, for the nodes of a tree in `postorder`."""
    depths: dict[int, int] = {}
    for node in order:
        depths[id(node)] = 1 + max((depths[id(child)] for child in node.children), default=0)
    return max(depths.values())
