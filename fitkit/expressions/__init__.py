"""The expression language: formulas are parsed through an allow-list into a tree, never evaluated as Python.

Parsing is all that `fitkit validate` needs; what turns a tree into a function is imported when it is first asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from fitkit.expressions.constraint import Constraint as Constraint
from fitkit.expressions.constraint import parse_constraint as parse_constraint
from fitkit.expressions.equation import Equation as Equation
from fitkit.expressions.equation import constant as constant
from fitkit.expressions.equation import parse_equation as parse_equation
from fitkit.expressions.functions import FUNCTIONS as FUNCTIONS
from fitkit.expressions.functions import Function as Function
from fitkit.expressions.functions import check_name as check_name
from fitkit.expressions.parsing import Expression as Expression
from fitkit.expressions.parsing import parse as parse
from fitkit.expressions.problems import ExpressionError as ExpressionError
from fitkit.expressions.tree import TextComparison as TextComparison

if TYPE_CHECKING:
    from fitkit.types import Array


def to_jax(expression: Expression) -> Callable[[Mapping[str | TextComparison, Array]], Array]:
    """Return the expression as a function of named arrays in jax.numpy; see `fitkit.expressions.lower_jax`."""
    from fitkit.expressions import lower_jax

    return lower_jax.to_jax(expression)


def to_numpy(expression: Expression) -> Callable[[Mapping[str | TextComparison, Any]], Any]:
    """Return the expression as a function of named arrays in numpy; see `fitkit.expressions.lower_numpy`."""
    from fitkit.expressions import lower_numpy

    return lower_numpy.to_numpy(expression)
