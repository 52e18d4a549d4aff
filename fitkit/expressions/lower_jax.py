"""From a tree to a function of arrays in jax.numpy, with gradients that a branch not taken cannot spoil."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final, TypeAlias, final

from fitkit.backend import jnp, lax
from fitkit.expressions.branches import EVERYWHERE, Domain, Plan, needs_select, plan, smooth_operands
from fitkit.expressions.folding import COMPARE
from fitkit.expressions.jax_functions import FUNCTIONS, power, select
from fitkit.expressions.parsing import Expression
from fitkit.expressions.tree import (
    Call,
    Choice,
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
from fitkit.types import Array

Environment: TypeAlias = Mapping[str | TextComparison, Array]
_Value: TypeAlias = "Array | float"


@lru_cache(maxsize=1024)
def to_jax(expression: Expression) -> Callable[[Environment], Array]:
    """Return the function that `expression` is, for use under any of JAX's transformations.

    The function takes the columns and parameters by name, each a scalar or one number per row, and the text comparisons
    as true and false per row; it may be given more than it uses. Without a name `pi` it uses the constant. Its result
    has the shape that they broadcast to and their common floating type: single precision stays single precision.

    A gradient is finite wherever the branch that was chosen is, in forward and reverse mode and of any order; the slope
    at a point where it is infinite on one side (sqrt, cbrt, x**p at 0, asin and acos at 1) is taken as 0: such a point
    is an edge of where the function is defined, and an optimizer can stand on it (a parameter at its bound, a row with
    x = 0) only if one row's slope does not make all the others' useless.

    Raises:
        KeyError: by the function, a name or text comparison that it uses is missing.
    """
    steps = plan(expression.root)

    def evaluate(environment: Environment) -> Array:
        used = {name: environment[name] for name in expression.names if name != "pi" or "pi" in environment}
        return _Evaluation(steps, used, environment).result()

    return evaluate


@final
class _Evaluation:
    """One evaluation of an expression."""

    def __init__(self, steps: Plan, used: Mapping[str, Array], environment: Environment) -> None:
        # An expression of constants and text comparisons alone takes the precision of whatever it is evaluated among.
        typed = used or {name: value for name, value in environment.items() if isinstance(name, str)}
        kind = jnp.result_type(*typed.values()) if typed else jnp.result_type(float)
        self._dtype: Final = kind if jnp.issubdtype(kind, jnp.inexact) else jnp.result_type(float)
        self._steps: Final = steps
        self._named = {name: jnp.asarray(value, self._dtype) for name, value in used.items()}
        self._environment = environment
        self._plain: dict[int, _Value] = {}
        self._smooth: dict[int, _Value] = {}
        self._picks: dict[int, tuple[Array, ...]] = {}
        self._masks: dict[Domain, Array | None] = {EVERYWHERE: None}
        self._selected: dict[tuple[int, Domain], Array] = {}

    def result(self) -> Array:
        """Return the value of the root."""
        for node in self._steps.plain:
            operands = [self._plain[id(child)] for child in node.children]
            if isinstance(node, Choice):
                operands = operands[1:]
            value = self._compute(node, operands)
            self._plain[id(node)] = value if isinstance(value, float) else lax.stop_gradient(value)
        for node in self._steps.smooth:
            edges = self._steps.edges[id(node)]
            entering = [self._enter(*pair) for pair in zip(smooth_operands(node), edges, strict=True)]
            self._smooth[id(node)] = self._compute(node, entering)
        return jnp.asarray(self._smooth[id(self._steps.smooth[-1])], self._dtype)

    def _enter(self, node: Node, domain: Domain) -> _Value:
        """Return the value of `node` as it enters `domain`: 1 in the rows outside, whatever it may be there."""
        value = self._smooth[id(node)]
        if not needs_select(node, self._steps.domains[id(node)], domain):
            return value
        key = (id(node), domain)
        if key not in self._selected:
            mask = self._mask(domain)
            number = jnp.asarray(self._number(value), self._dtype)
            self._selected[key] = number if mask is None else select(mask, number, 1.0)
        return self._selected[key]

    def _mask(self, domain: Domain) -> Array | None:
        """Return which rows belong to `domain`, or None for all."""
        if domain not in self._masks:
            if domain.union:
                masks = [self._mask(part) for part in domain.union]
                mask = masks[0]
                for other in masks[1:]:
                    mask = None if mask is None or other is None else mask | other
            else:
                outer = None if domain.outer is None else self._mask(domain.outer)
                picked = self._pick(domain.branch)[domain.index] if domain.branch is not None else None
                mask = picked if outer is None or picked is None else outer & picked
            self._masks[domain] = mask
        return self._masks[domain]

    def _pick(self, node: Node | None) -> tuple[Array, ...]:
        """Return in which rows `node` picks each of its operands; both of two equal ones are picked."""
        if id(node) not in self._picks:
            match node:
                case Choice():
                    condition = self._truth(self._plain[id(node.condition)])
                    picks: tuple[Array, ...] = (condition, ~condition)
                case Call(function="relu"):
                    picks = (~(jnp.asarray(self._plain[id(node.arguments[0])]) <= 0),)
                case Call():
                    first, second = (jnp.asarray(self._number(self._plain[id(a)])) for a in node.arguments)
                    smaller = first < second if node.function == "minimum" else first > second
                    wins = smaller | jnp.isnan(first)
                    picks = (wins | (first == second), ~wins)
                case _:
                    raise TypeError(type(node))
            self._picks[id(node)] = picks
        return self._picks[id(node)]

    def _compute(self, node: Node, operands: list[_Value]) -> _Value:
        """Return the value of `node` from those of its operands; of a step, from their plain values."""
        match node:
            case Number():
                return node.value
            case Name():
                return self._named.get(node.name, math.pi)
            case TextTest():
                return jnp.asarray(self._environment[node.comparison]).astype(bool)
            case Comparison():
                left, right = (self._number(self._plain[id(side)]) for side in node.children)
                return jnp.asarray(COMPARE[node.comparator](left, right))  # type: ignore[arg-type] # Python's operators compare arrays row by row
            case Logic():
                return self._logic(node)
            case _:
                return self._operate(node, [self._number(value) for value in operands])

    def _operate(self, node: Node, numbers: list[_Value]) -> _Value:
        match node:
            case Choice():
                chosen, other = (jnp.asarray(number, self._dtype) for number in numbers)
                return jnp.where(self._pick(node)[0], chosen, other)
            case Sum():
                return _sum(numbers, node.subtracted)
            case Product():
                return _product(numbers, node.divided)
            case Negative():
                return -numbers[0]
            case Power():
                return power(jnp.asarray(numbers[0], self._dtype), numbers[1], node.base, node.exponent)
            case Call():
                return self._call(node, numbers)
        raise TypeError(type(node))

    def _call(self, node: Call, numbers: list[_Value]) -> Array:
        arguments = [jnp.asarray(number, self._dtype) for number in numbers]
        if node.function == "relu":
            return select(self._pick(node)[0], arguments[0], 0.0)
        if node.function in {"minimum", "maximum"}:
            first, second = self._pick(node)
            either = (arguments[0] + arguments[1]) / 2
            return jnp.where(first & second, either, jnp.where(first, arguments[0], arguments[1]))
        if not arguments or not smooth_operands(node):
            arguments = [jnp.asarray(self._number(self._plain[id(a)]), self._dtype) for a in node.arguments]
        return FUNCTIONS[node.function](*arguments)

    def _logic(self, node: Logic) -> Array:
        truths = [self._truth(self._plain[id(operand)]) for operand in node.operands]
        result = truths[0]
        for truth in truths[1:]:
            result = result & truth if node.word == "and" else result | truth
        return ~result if node.word == "not" else result

    def _number(self, value: _Value) -> _Value:
        """Return true and false as 1 and 0."""
        return value if isinstance(value, float) or value.dtype != bool else value.astype(self._dtype)

    def _truth(self, value: _Value) -> Array:
        array = jnp.asarray(value)
        return array if array.dtype == bool else array != 0


def _sum(terms: list[_Value], subtracted: tuple[bool, ...]) -> _Value:
    total = terms[0]
    for term, minus in zip(terms[1:], subtracted[1:], strict=True):
        total = total - term if minus else total + term
    return total


def _product(factors: list[_Value], divided: tuple[bool, ...]) -> _Value:
    product = factors[0]
    for factor, inverse in zip(factors[1:], divided[1:], strict=True):
        product = product / factor if inverse else product * factor
    return product
