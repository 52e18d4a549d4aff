"""What of a result is compared with another: the numbers that a fit is made for, and what they rest on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, final


@final
@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A parameter of a fit."""

    value: float | None
    """None for an array."""
    error: float | None = None
    """The standard error, where there is one."""

    def agrees(self, other: Estimate, rtol: float) -> bool:
        """Return whether two estimates are the same but for rounding, of values to `rtol` and of errors to 1e-5."""
        if self.value is None or other.value is None:
            return self.value == other.value
        errors = self.error or 0.0, other.error or 0.0
        size = rtol * max(abs(self.value), errors[0])
        rounding = max(errors) <= rtol * abs(self.value)  # of a fit without residuals: such an error has no digits
        return abs(other.value - self.value) <= size and (
            (self.error is None) == (other.error is None)
            and (rounding or abs(errors[1] - errors[0]) <= 1e-5 * errors[0])
        )

    @property
    def negligible(self) -> bool:
        """Whether the error is rounding beside the value, as where there are no residuals."""
        return self.error is not None and self.error <= 1e-9 * abs(self.value or 0.0)


@final
@dataclass(frozen=True, kw_only=True)
class FitRecord:
    """A fit in a few numbers."""

    status: str
    """As the result spells it: `converged`."""
    loss: float | None = None
    """At the end."""
    dof: int | None = None
    """The degrees of freedom of a scale that was taken from the residuals; None where errors do not have one."""
    data_sha256: str | None = None
    """The hash of the table; None where there is none, as for a pure objective."""
    rows: int | None = None
    """How many of its rows were used."""
    parameters: Mapping[str, Estimate] = field(default_factory=dict)
    groups: Mapping[str, int] | None = None
    """Of many fits from one table, how many there are (`count`) and how many `converged`."""

    def same_data(self, other: FitRecord) -> bool:
        """Return whether both come from the same rows, as far as the hash of the table and their number tell."""
        return self.data_sha256 == other.data_sha256 and self.rows == other.rows

    def agrees(self, other: FitRecord, rtol: float) -> bool:
        """Return whether two fits are the same but for rounding."""
        facts = [(one.status, one.dof, one.groups, one.parameters.keys()) for one in (self, other)]
        if facts[0] != facts[1] or not self.same_data(other):
            return False
        exact = bool(self.parameters) and all(one.negligible for one in self.parameters.values())
        return (exact or Estimate(value=self.loss).agrees(Estimate(value=other.loss), rtol)) and all(
            one.agrees(other.parameters[name], rtol) for name, one in self.parameters.items()
        )


def record_of(document: Mapping[str, Any]) -> FitRecord:
    """Return the record of a result, `fitkit.result/1`.

    Raises:
        KeyError, TypeError, ValueError: the document is none.
    """
    fit, groups = document["fit"] or {}, document["groups"]
    scaled = fit.get("rss") is not None and fit.get("chi_square") is None
    return FitRecord(
        status=str(document["status"]),
        loss=finite((document["loss"] or {}).get("final")),
        dof=fit.get("dof") if scaled else None,
        data_sha256=document["provenance"].get("data_sha256"),
        rows=fit.get("rows"),
        parameters={
            name: Estimate(value=finite(entry["value"]), error=finite(entry["error"]))
            for name, entry in document["parameters"].items()
        },
        groups=None if groups is None else {key: int(groups[key]) for key in ("count", "converged")},
    )


def refuse_constant(name: str) -> float:
    """Refuse NaN and Infinity, which JSON does not have and Python reads.

    Raises:
        ValueError: always.
    """
    raise ValueError(f"{name} is no number of JSON")


def finite(value: Any) -> float | None:
    """Return a number, None where it is null or not finite.

    Raises:
        TypeError: it is no number.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number")
    return float(value) if math.isfinite(value) else None
