"""In which rows each part of an expression counts: what keeps a gradient finite where the chosen branch is.

`where(x > 0, log(x), 0)` is 0 at x = 0, and so is its slope; but reverse mode multiplies the cotangent 0 of the branch
that was not chosen by the slope of log there, and 0 times infinity is not a number. A *select* stops it: its transpose
puts 0 in place of whatever comes back for the rows that it did not select, NaN too. So whatever enters a branch is
selected by the branch's condition on the way in, and the branch by the same condition on the way out; between the two
selects NaN may do what it likes, in forward and in reverse mode and in any order of differentiation.

The rows in which a node counts are its *domain*. A node that counts in several branches gets the union of their
domains and is computed once; where a domain is entered, an edge of the graph from a wider one, is the select. Nothing
is computed twice, so branches within branches and definitions within them cost no more than they are long.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from fitkit.expressions.functions import SELECTIONS, STEPS
from fitkit.expressions.tree import Call, Choice, Comparison, Logic, Name, Node, Number, TextTest, postorder


@final
@dataclass(frozen=True, slots=True, eq=False)
class Domain:
    """A set of rows: all of them, those of `outer` in which `branch` picks its operand `index`, or a union."""

    outer: Domain | None = None
    branch: Node | None = None
    index: int = 0
    union: tuple[Domain, ...] = ()


EVERYWHERE = Domain()


@final
@dataclass(frozen=True)
class Plan:
    """What has to be computed, in order.

    Args:
        plain: the nodes that decide about branches and steps; no gradient flows through them.
        smooth: the nodes that the gradient flows through, the root last.
        domains: for each smooth node, by identity, the rows in which it counts.
        edges: for each smooth node, by identity, and each of its smooth operands, the rows in which it is needed there.
    """

    plain: tuple[Node, ...]
    smooth: tuple[Node, ...]
    domains: dict[int, Domain]
    edges: dict[int, tuple[Domain, ...]]


def is_step(node: Node) -> bool:
    """Return whether the node's value changes by jumps only, so that its slope is 0."""
    return isinstance(node, Comparison | Logic) or (isinstance(node, Call) and node.function in STEPS)


def is_selection(node: Node) -> bool:
    """Return whether the node picks one of its operands, row by row."""
    return isinstance(node, Choice) or (isinstance(node, Call) and node.function in SELECTIONS)


def smooth_operands(node: Node) -> tuple[Node, ...]:
    """Return the operands that a gradient flows to."""
    if is_step(node):
        return ()
    if isinstance(node, Choice):
        return (node.yes, node.no)
    return node.children


def deciding_operands(node: Node) -> tuple[Node, ...]:
    """Return the operands of which the plain value decides a branch or a step."""
    if isinstance(node, Choice):
        return (node.condition,)
    return node.children if is_step(node) or is_selection(node) else ()


def plan(root: Node) -> Plan:
    """Return what has to be computed for `root`."""
    smooth = postorder([root], smooth_operands)
    plain = postorder([operand for node in smooth for operand in deciding_operands(node)])
    interned: dict[object, Domain] = {}
    needed: dict[int, list[Domain]] = {id(root): [EVERYWHERE]}
    domains: dict[int, Domain] = {}
    edges: dict[int, tuple[Domain, ...]] = {}
    for node in reversed(smooth):
        domain = _union(needed[id(node)], interned)
        # A column or parameter exists everywhere, so that every branch it enters selects it.
        domains[id(node)] = EVERYWHERE if isinstance(node, Name) else domain
        entered = []
        for index, operand in enumerate(smooth_operands(node)):
            inner = domain
            if is_selection(node):
                inner = interned.setdefault((domain, node, index), Domain(outer=domain, branch=node, index=index))
            entered.append(inner)
            needed.setdefault(id(operand), []).append(inner)
        edges[id(node)] = tuple(entered)
    return Plan(tuple(plain), tuple(smooth), domains, edges)


def _union(parts: list[Domain], interned: dict[object, Domain]) -> Domain:
    """Return the union of `parts`, without those that lie in another one."""
    distinct = dict.fromkeys(parts)
    if EVERYWHERE in distinct:
        return EVERYWHERE
    kept = tuple(part for part in distinct if not any(outer in distinct for outer in _outwards(part)))
    if len(kept) == 1:
        return kept[0]
    return interned.setdefault(frozenset(kept), Domain(union=kept))


def _outwards(domain: Domain) -> list[Domain]:
    """Return the domains that `domain` was cut from, from the inside out."""
    found = []
    while domain.outer is not None:
        domain = domain.outer
        found.append(domain)
    return found


def needs_select(node: Node, domain: Domain, entered: Domain) -> bool:
    """Return whether a `node` that counts in `domain` must be selected where it enters a part of it."""
    return domain is not entered and not isinstance(node, Number | TextTest)
