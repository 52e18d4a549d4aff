"""A cost written as a formula."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

from fitkit.expressions import Expression
from fitkit.losses.base import Fitted, Loss
from fitkit.losses.formulas import ROLES, evaluate
from fitkit.types import Rows


@final
@dataclass(frozen=True, kw_only=True)
class FormulaCost(Loss):
    """A cost written as a formula of `prediction`, `target`, columns and parameters."""

    kind: Literal["expression"] = "expression"
    expression: Expression
    """The cost of a row: `log(cosh(prediction - target))`."""

    @property
    def names(self) -> frozenset[str]:
        """Columns and parameters in the expression."""
        return self.expression.names - ROLES

    @property
    def formula(self) -> tuple[str, Expression]:
        """The formula."""
        return "expression", self.expression

    def cost(self, fitted: Fitted) -> Rows:
        """Return the expression for every row, shape (rows,)."""
        return evaluate(self.expression, fitted)
