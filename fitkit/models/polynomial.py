"""A polynomial of one input."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal, final

from fitkit.backend import jnp
from fitkit.models.base import Model
from fitkit.models.chebyshev import from_powers, interval, powers_of, resolved, value
from fitkit.models.outlook import Outlook
from fitkit.readers import Table
from fitkit.types import Array, Degree, Inputs, Rows, Values


@final
@dataclass(frozen=True, kw_only=True)
class PolynomialModel(Model):
    """A polynomial of one input: c0 + c1 x + c2 x² + ...

    The parameters are named `c0`, `c1`, ... after their powers, and start at zero unless `parameters` says otherwise. Where
    nothing more is asked of them, the search is in coefficients of Chebyshev's polynomials of the input scaled to -1 to 1,
    unless `lm` fits squares and doubles tell the powers apart; values and errors are of the powers always.
    """

    kind: Literal["polynomial"] = "polynomial"
    input: str
    """The input column."""
    target: str
    """The column that is predicted."""
    degree: Degree
    """The highest power."""
    center: float | None = field(default=None, init=False)
    """The middle of the inputs; None where the coefficients of the powers themselves are searched."""
    half: float = field(default=1.0, init=False)
    """Half the width of the inputs."""
    powers: Array | None = field(default=None, init=False, metadata={"traced": True})
    """The way from what is searched to the coefficients of powers, shape (degree + 1, degree + 1)."""

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
    def searched_names(self) -> tuple[str, ...]:
        """`t0` to `t<degree>` for Chebyshev's polynomials, else the parameters."""
        return self.parameter_names if self.powers is None else tuple(f"t{k}" for k in range(self.degree + 1))

    @property
    def penalized(self) -> frozenset[str]:
        """All coefficients but the constant."""
        return frozenset(self.searched_names[1:])

    @property
    def reports_otherwise(self) -> bool:
        """Whether coefficients of Chebyshev's polynomials are searched."""
        return self.powers is not None

    @property
    def reported_names(self) -> tuple[str, ...]:
        """The coefficients of the powers."""
        return self.parameter_names

    def prepared(self, table: Table, outlook: Outlook) -> PolynomialModel:
        """Return the model with the basis that its inputs are searched in."""
        x = table.numeric(self.input)[outlook.weight > 0]
        if not outlook.unbound or self.degree == 0 or len(x) == 0 or (outlook.refined and resolved(x, self.degree)):
            return self
        return _with(self, *interval(x))

    def learned(self) -> dict[str, Any]:
        """Return what the input is scaled by."""
        return {"center": self.center, "half": self.half}

    def recalled(self, learned: dict[str, Any]) -> PolynomialModel:
        """Return the model with what it once learned."""
        return self if learned.get("center") is None else _with(self, learned["center"], learned["half"])

    def inner_start(self, outer: dict[str, float]) -> dict[str, Any]:
        """Return the coefficients that are searched, from those of powers."""
        if self.center is None:
            return dict(outer)
        start = from_powers([outer[name] for name in self.parameter_names], self.center, self.half)
        return dict(zip(self.searched_names, start.tolist(), strict=True))

    def reported(self, values: Values) -> Rows:
        """Return the coefficients of the powers, shape (degree + 1,), computed in float64."""
        found: Rows = jnp.asarray(self.powers) @ jnp.stack([values[name] for name in self.searched_names])
        return found

    def predict(self, values: Values, inputs: Inputs) -> Rows:
        """Return the polynomial by Horner's rule, or by Clenshaw's in Chebyshev's polynomials, shape (rows,)."""
        x, coefficients = inputs[self.input], [values[name] for name in self.searched_names]
        if self.center is not None:
            found: Rows = value(coefficients, (x - self.center) / self.half)
            return found
        result = jnp.broadcast_to(coefficients[-1], x.shape)
        for coefficient in reversed(coefficients[:-1]):
            result = result * x + coefficient
        return result


def _with(model: PolynomialModel, center: float, half: float) -> PolynomialModel:
    """Return the model searched in Chebyshev's polynomials of this interval."""
    found = replace(model)
    known = {"center": center, "half": half, "powers": powers_of(center, half, model.degree)}
    for name, entry in known.items():
        object.__setattr__(found, name, entry)  # frozen for users; this is construction
    return found
