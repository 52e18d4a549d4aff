"""A residual written as a formula."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, final

from fitkit.backend import jax, jnp
from fitkit.expressions import Expression
from fitkit.losses.base import Fitted, ResidualLoss
from fitkit.losses.formulas import ROLES, evaluate
from fitkit.types import Rows


@final
@dataclass(frozen=True, kw_only=True)
class FormulaResidual(ResidualLoss):
    """The square of a residual written as a formula of `prediction`, `target`, columns and parameters."""

    kind: Literal["residual"] = "residual"
    deviance: ClassVar[bool] = True
    scatter: ClassVar[Literal["known", "by_sigma", "unknown"]] = "known"
    expression: Expression
    """The residual of a row: `(target - prediction) / sqrt(prediction)`."""

    @property
    def names(self) -> frozenset[str]:
        """Columns and parameters in the expression."""
        return self.expression.names - ROLES

    @property
    def formula(self) -> tuple[str, Expression]:
        """The formula."""
        return "expression", self.expression

    def residual(self, fitted: Fitted) -> Rows:
        """Return the expression, divided by sigma where the data give one, shape (rows,)."""
        value = evaluate(self.expression, fitted)
        return value if fitted.sigma is None else value / fitted.sigma

    def variance(self, fitted: Fitted) -> Rows:
        """Return 1 / (d residual / d target)² where the target is as predicted, shape (rows,): residuals have variance s²."""
        here = replace(fitted, target=fitted.prediction)

        def residual(target: Rows) -> Rows:
            return self.residual(replace(here, target=target))

        slope: Rows = jax.jvp(residual, (here.target,), (jnp.ones_like(here.target),))[1]
        return 1 / slope**2
