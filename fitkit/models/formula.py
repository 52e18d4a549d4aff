"""A model written as a formula."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, final

from fitkit.expressions import Equation, to_jax
from fitkit.models.base import Model
from fitkit.types import Inputs, Rows, Scalar, Values


@final
@dataclass(frozen=True, kw_only=True)
class FormulaModel(Model):
    """A formula `target ~ prediction` of columns and parameters.

    Names that are columns are inputs, all others are parameters and must stand in `parameters`. The left side is a column
    or an expression of columns.
    """

    kind: Literal["formula"] = "formula"
    formula: Equation
    """The formula: `y ~ b1 * (1 - exp(-b2 * x))`."""
    predicts_rate: ClassVar[bool] = True
    may_be_constant: ClassVar[bool] = True
    elementwise: ClassVar[bool] = True

    @property
    def inputs_used(self) -> None:
        """None: the table's columns decide which names are inputs."""
        return

    @property
    def target_used(self) -> None:
        """None: the left side of the formula is the target."""
        return

    @property
    def parameter_names(self) -> None:
        """None: `parameters` in the config names them."""
        return

    def predict(self, values: Values, inputs: Inputs) -> Rows | Scalar:
        """Return the formula's right side, shape (rows,), or () where it depends on no column."""
        names: dict[Any, Rows] = {**inputs, **values}
        return to_jax(self.formula.prediction)(names)
