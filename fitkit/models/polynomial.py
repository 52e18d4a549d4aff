"""A polynomial of one input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, final

from fitkit.backend import jnp
from fitkit.models.base import Model
from fitkit.types import Degree, Inputs, Rows, Values


@final
@dataclass(frozen=True, kw_only=True)
class PolynomialModel(Model):
    """A polynomial of one input: c0 + c1 x + c2 x² + ...

    The parameters are named `c0`, `c1`, ... after their powers, and start at zero unless `parameters` says otherwise.
    """

    kind: Literal["polynomial"] = "polynomial"
    elementwise: ClassVar[bool] = True
    input: str
    """The input column."""
    target: str
    """The column that is predicted."""
    degree: Degree
    """The highest power."""

    @property
    def inputs_used(self) -> tuple[str, ...]:
        """The input column."""
        return (self.input,)

    @property
    def input_keys(self) -> tuple[tuple[str | int, ...], ...]:
        """The key `input`."""
        return (("input",),)

    @property
    def target_used(self) -> str:
        """The target column."""
        return self.target

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """`c0` to `c<degree>`."""
        return tuple(f"c{power}" for power in range(self.degree + 1))

    @property
    def penalized(self) -> frozenset[str]:
        """All coefficients but the constant."""
        return frozenset(self.parameter_names[1:])

    def predict(self, values: Values, inputs: Inputs) -> Rows:
        """Return the polynomial by Horner's rule, shape (rows,)."""
        x = inputs[self.input]
        result = jnp.broadcast_to(values[f"c{self.degree}"], x.shape)
        for power in reversed(range(self.degree)):
            result = result * x + values[f"c{power}"]
        return result
