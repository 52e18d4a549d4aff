"""From a tree to a function of another framework's arrays, with the meaning that the language gives every branch and edge.

Which branch is taken in which row is decided by plain doubles; what is not taken is computed of 1 instead of its operands,
so that nothing there can spoil a derivative, as in `lower_jax`. Slopes at the edges of where a function is defined are 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, final

from fitkit.expressions.branches import EVERYWHERE, Domain, needs_select, plan, smooth_operands
from fitkit.expressions.framework import Framework
from fitkit.expressions.lower_numpy import operate
from fitkit.expressions.parsing import Expression
from fitkit.expressions.tree import Call, Choice, Name, Negative, Node, Number, Power, Product, Sum, TextTest, postorder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]
    Mask = NDArray[np.bool_]

_EDGES: Final[Mapping[str, tuple[float, float]]] = {
    "sqrt": (0.0, 1.0), "cbrt": (0.0, 1.0), "abs": (0.0, 1.0), "asin": (1.0, 0.0), "acos": (1.0, 0.0), "acosh": (1.0, 2.0),
}  # fmt: skip
"""Where |x| makes a function's slope infinite or torn, and another point inside its domain."""


def evaluate(expression: Expression, environment: Mapping[Any, Any], framework: Framework) -> Any:
    """Return the value of an expression in the framework.

    Args:
        expression: the formula.
        environment: columns and parameters by name, as the framework's numbers, and text comparisons as doubles.
        framework: whose numbers they are.

    Raises:
        NoCounterpartError: it lacks a function that the formula uses.
    """
    return _Evaluation(expression, environment, framework).result()


@final
class _Evaluation:
    """One evaluation."""

    def __init__(self, expression: Expression, environment: Mapping[Any, Any], framework: Framework) -> None:
        self._framework = framework
        self._environment = environment
        self._steps = plan(expression.root)
        self._plain = _plain_values(expression, environment, framework)
        self._smooth: dict[int, Any] = {}
        self._masks: dict[Domain, Mask | None] = {EVERYWHERE: None}

    def result(self) -> Any:
        """Return the value of the root."""
        for node in self._steps.smooth:
            edges = self._steps.edges[id(node)]
            operands = [self._enter(*pair) for pair in zip(smooth_operands(node), edges, strict=True)]
            self._smooth[id(node)] = self._compute(node, operands)
        return self._smooth[id(self._steps.smooth[-1])]

    def _enter(self, node: Node, domain: Domain) -> Any:
        """Return the value of `node` as it enters `domain`: 1 in the rows outside."""
        value = self._smooth[id(node)]
        mask = self._mask(domain) if needs_select(node, self._steps.domains[id(node)], domain) else None
        return value if mask is None else self._framework.select(mask, value, 1.0)

    def _mask(self, domain: Domain) -> Mask | None:
        if domain not in self._masks:
            masks = [self._mask(part) for part in domain.union]
            if masks:
                mask = None if any(part is None for part in masks) else _any(masks)
            else:
                outer = None if domain.outer is None else self._mask(domain.outer)
                picked = self._picks(domain.branch)[domain.index]
                mask = picked if outer is None else outer & picked
            self._masks[domain] = mask
        return self._masks[domain]

    def _picks(self, node: Node | None) -> tuple[Mask, ...]:
        """Return in which rows `node` picks each of its operands; both of two equal ones are picked."""
        import numpy as np

        if isinstance(node, Choice):
            condition = self._plain[id(node.condition)] != 0
            return condition, ~condition
        if isinstance(node, Call) and node.function == "relu":
            return (~(self._plain[id(node.arguments[0])] <= 0),)
        if isinstance(node, Call):
            first, second = (self._plain[id(argument)] for argument in node.arguments)
            wins = (first < second if node.function == "minimum" else first > second) | np.isnan(first)
            return wins | (first == second), ~wins
        raise TypeError(type(node))

    def _compute(self, node: Node, operands: list[Any]) -> Any:
        match node:
            case Number():
                return node.value
            case Name():
                return self._environment.get(node.name, math.pi) if node.name == "pi" else self._environment[node.name]
            case Sum():
                return _chained(operands, node.subtracted, lambda a, b: a + b, lambda a, b: a - b)
            case Product():
                return _chained(operands, node.divided, lambda a, b: a * b, lambda a, b: a / b)
            case Negative():
                return -operands[0]
            case Power():
                return self._power(node, *operands)
            case Choice():
                return self._framework.select(self._picks(node)[0], *operands)
            case Call() if operands:
                return self._call(node, operands)
        return self._framework.array(self._plain[id(node)])  # a step: it has a value, and no slope

    def _power(self, node: Power, base: Any, exponent: Any) -> Any:
        """Return the power, with the slopes that `jax_functions.power` documents."""
        import numpy as np

        plain_base, plain_exponent = self._plain[id(node.base)], self._plain[id(node.exponent)]
        framework = self._framework
        if isinstance(node.exponent, Number) and node.exponent.value.is_integer():
            return framework.power(base, node.exponent.value)
        positive, shape = plain_base > 0, np.broadcast_shapes(plain_base.shape, plain_exponent.shape)
        if np.all(positive):
            return framework.power(base, exponent)
        risen = framework.power(framework.select(positive, base, 1.0), exponent)
        with np.errstate(all="ignore"):
            value = np.broadcast_to(np.power(plain_base, plain_exponent), shape)
            slope = np.where(
                (plain_base != 0) | (plain_exponent >= 1),
                plain_exponent * np.power(plain_base, plain_exponent - 1),
                0.0,
            )
        # Below and at zero the exponent has no slope, and the base the one of a power that is constant.
        flat = framework.array(np.array(value - slope * plain_base)) + framework.array(np.array(slope)) * base
        return framework.select(np.broadcast_to(positive, shape), risen, flat)

    def _call(self, node: Call, operands: list[Any]) -> Any:
        name, framework = node.function, self._framework
        if name == "relu":
            return framework.select(self._picks(node)[0], operands[0], 0.0)
        if name in {"minimum", "maximum"}:
            first, second = self._picks(node)
            either = framework.select(first & second, (operands[0] + operands[1]) / 2, operands[1])
            return framework.select(first & ~second, operands[0], either)
        plain = [self._plain[id(argument)] for argument in node.arguments]
        if name in _EDGES:
            edge, inside = _EDGES[name]
            at_edge = abs(plain[0]) == edge
            value = self._apply(name, [framework.select(at_edge, inside, operands[0])] if at_edge.any() else operands)
            return framework.select(at_edge, framework.array(self._plain[id(node)]), value) if at_edge.any() else value
        if name in {"atan2", "hypot"}:
            origin = (plain[0] == 0) & (plain[1] == 0)
            if origin.any():
                inside_both = [framework.select(origin, 1.0, operand) for operand in operands]
                there = framework.array(self._plain[id(node)])
                return framework.select(origin, there, self._apply(name, inside_both))
        return self._apply(name, operands)

    def _apply(self, name: str, x: list[Any]) -> Any:
        """Return a function of the language, made of the framework's."""
        f = self._framework.function
        if name == "gaussian":
            return f("exp")(-(((x[0] - x[1]) / x[2]) * ((x[0] - x[1]) / x[2])) / 2)
        if name == "lorentzian":
            return 1 / (1 + ((x[0] - x[1]) / x[2]) * ((x[0] - x[1]) / x[2]))
        if name == "pseudo_voigt":
            gaussian = self._apply("gaussian", [x[0], x[1], x[2] / math.sqrt(8 * math.log(2))])
            return x[3] * self._apply("lorentzian", [x[0], x[1], x[2] / 2]) + (1 - x[3]) * gaussian
        if name == "hypot":
            return f("sqrt")(x[0] * x[0] + x[1] * x[1])
        if name in {"log2", "log10"}:
            return f("log")(x[0]) / math.log(2 if name == "log2" else 10)
        if name == "cbrt":
            magnitude = f("abs")(x[0])
            return x[0] / magnitude * self._framework.power(magnitude, 1 / 3)
        return f(name)(*x)


def _plain_values(expression: Expression, environment: Mapping[Any, Any], framework: Framework) -> dict[int, Doubles]:
    """Return the value of every node in doubles, by identity."""
    import numpy as np

    found: dict[int, Any] = {}
    with np.errstate(all="ignore"):
        for node in postorder([expression.root]):
            match node:
                case Number():
                    value: Any = node.value
                case Name():
                    value = environment.get("pi", math.pi) if node.name == "pi" else environment[node.name]
                    value = framework.plain(value)
                case TextTest():
                    value = environment[node.comparison]
                case _:
                    value = operate(node, [found[id(child)] for child in node.children])
            found[id(node)] = np.asarray(value, np.float64)
    return found


def _chained(
    operands: list[Any],
    inverted: tuple[bool, ...],
    forward: Callable[[Any, Any], Any],
    backward: Callable[[Any, Any], Any],
) -> Any:
    result = operands[0]
    for operand, inverse in zip(operands[1:], inverted[1:], strict=True):
        result = (backward if inverse else forward)(result, operand)
    return result


def _any(masks: list[Any]) -> Any:
    found = masks[0]
    for mask in masks[1:]:
        found = found | mask
    return found
