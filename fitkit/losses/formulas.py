"""How a loss written as a formula is evaluated."""

from __future__ import annotations

from typing import Any

from fitkit.backend import jnp
from fitkit.expressions import Expression, to_jax
from fitkit.losses.base import Fitted
from fitkit.types import Rows

ROLES = frozenset({"prediction", "target"})
"""Names that a loss written as a formula may use beside columns and parameters."""


def evaluate(expression: Expression, fitted: Fitted) -> Rows:
    """Return a formula of prediction and target for every row; one without either is repeated, shape (rows,)."""
    roles = {"prediction": fitted.prediction, "target": fitted.target}
    names: dict[Any, Rows] = {**fitted.inputs, **fitted.values, **roles}
    value = to_jax(expression)(names)
    return jnp.broadcast_to(value, fitted.target.shape)
