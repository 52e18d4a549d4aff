"""The value of an expression in doubles, with a bound on what rounding has done to it.

A running error analysis: each operation adds half a unit in the last place or two of its own, and hands on what its
operands bring, measured by moving each operand by its error. Second order effects are left out, and a comparison is
taken to be right, so the bound is an estimate; it is what cancellation shows in.

Reference: N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition, SIAM 2002, section 3.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from fitkit.expressions.branches import is_step
from fitkit.expressions.lower_numpy import operate, to_numpy
from fitkit.expressions.parsing import Expression
from fitkit.expressions.tree import Choice, Name, Node, Number, Product, Sum, TextTest, postorder

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from fitkit.expressions.tree import TextComparison

    Doubles: TypeAlias = NDArray[np.float64]

_UNIT: Final = 2.0**-53
_OWN: Final = 4.0
"""Units that one operation may add: a library's function is right to within two in its last place."""


def value_and_error(expression: Expression, environment: Mapping[str | TextComparison, Any]) -> tuple[Doubles, Doubles]:
    """Return the value and a bound on its absolute error, of the shape that the names broadcast to.

    Args:
        expression: the formula.
        environment: columns and parameters by name, taken as exact, and text comparisons; as `to_numpy`'s.
    """
    import numpy as np

    value: Doubles = to_numpy(expression)(environment)
    found: dict[int, tuple[Any, Any]] = {}
    with np.errstate(all="ignore"):
        for node in postorder([expression.root]):
            operands = [found[id(child)] for child in node.children]
            found[id(node)] = _step(node, operands, environment)
    error = np.asarray(found[id(expression.root)][1], np.float64)
    return value, np.where(np.isfinite(error), error, np.inf)


def _step(node: Node, operands: list[tuple[Any, Any]], environment: Mapping[Any, Any]) -> tuple[Any, Any]:
    """Return the value and the error of a node from those of its operands."""
    import numpy as np

    if isinstance(node, Number):
        return np.asarray(node.value), np.asarray(0.0 if node.value.is_integer() else _UNIT * abs(node.value))
    if isinstance(node, Name):
        value = np.pi if node.name == "pi" and "pi" not in environment else environment[node.name]
        return np.asarray(value, np.float64), np.asarray(0.0)
    if isinstance(node, TextTest):
        return np.asarray(environment[node.comparison], np.float64), np.asarray(0.0)
    values, errors = [v for v, _ in operands], [e for _, e in operands]
    value = np.asarray(operate(node, values), np.float64)
    if is_step(node):
        return value, np.zeros_like(value)
    if isinstance(node, Choice):
        return value, np.where(values[0] != 0, errors[1], errors[2])
    if isinstance(node, Sum):
        return value, sum(errors) + _OWN * _UNIT * sum(np.abs(v) for v in values)
    own = _OWN * _UNIT * np.abs(value) * max(1, len(values) - 1)
    if isinstance(node, Product) and all(np.all(v != 0) for v in values):
        return value, own + np.abs(value) * sum(e / np.abs(v) for v, e in zip(values, errors, strict=True))
    return value, own + sum(_handed_on(node, values, value, index, e) for index, e in enumerate(errors))


def _handed_on(node: Node, values: list[Any], value: Any, index: int, error: Any) -> Any:
    """Return how far the value moves when one operand moves by its error."""
    import numpy as np

    if not np.any(error):
        return 0.0
    moved = []
    for sign in (-1.0, 1.0):
        operands = list(values)
        operands[index] = operands[index] + sign * error
        moved.append(np.abs(np.asarray(operate(node, operands), np.float64) - value))
    return np.fmax(*moved)  # beyond the edge of where the function is defined nothing is known
