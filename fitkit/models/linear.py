"""A linear model of several inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, final

from fitkit.backend import jnp
from fitkit.input_matrix import input_matrix
from fitkit.models.base import Model
from fitkit.types import Inputs, Rows, Values

INTERCEPT = "intercept"


@final
@dataclass(frozen=True, kw_only=True)
class LinearModel(Model):
    """A weighted sum of inputs: intercept + sum over inputs of weight times input.

    The parameters are named `intercept` and after their inputs, and start at zero unless `parameters` says otherwise.
    """

    kind: Literal["linear"] = "linear"
    as_matrix: ClassVar[bool] = True
    inputs: tuple[str, ...]
    """The input columns."""
    target: str
    """The column that is predicted."""
    intercept: bool = True
    """Whether there is a constant term."""

    @property
    def inputs_used(self) -> tuple[str, ...]:
        """The input columns."""
        return self.inputs

    @property
    def target_used(self) -> str:
        """The target column."""
        return self.target

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """`intercept`, then the inputs."""
        return ((INTERCEPT,) if self.intercept else ()) + self.inputs

    @property
    def has_constant(self) -> bool:
        """Whether there is an intercept."""
        return self.intercept

    @property
    def penalized(self) -> frozenset[str]:
        """The weights, not the intercept."""
        return frozenset(self.inputs)

    def predict(self, values: Values, inputs: Inputs) -> Rows:
        """Return intercept + sum_j w_j x_j, shape (rows,)."""
        # One product: a sum of hundreds of terms written out would take minutes to compile.
        weights = jnp.stack([values[name] for name in self.inputs])
        weighted = input_matrix(inputs, self.inputs) @ weights
        return weighted + values[INTERCEPT] if self.intercept else weighted
