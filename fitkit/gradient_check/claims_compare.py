"""One claimed derivative at one point: what it gives beside autodiff and differences, and which of them agree."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, final

from fitkit.expressions import Expression
from fitkit.expressions.rounding import value_and_error
from fitkit.gradient_check.claims_differences import numerical_slope
from fitkit.gradient_check.claims_subject import ClaimSubject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Rows = NDArray[np.float64]
    Mask = NDArray[np.bool_]

_EPS: Final = 2.0**-52
_SAFETY: Final = 8.0
"""Times the bound on rounding, which is an estimate, before two numbers count as different."""


@final
@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A claim at one point, shape (rows,) each. Rows in which the derivative is not finite are in no mask."""

    point: Rows
    claimed: Rows
    autodiff: Rows
    tolerance: Rows
    """What rounding may have done to the two."""
    agree: Mask
    """The claim is autodiff's."""
    refuted: Mask
    """The claim differs from autodiff and from differences, which agree with each other."""
    doubted: Mask
    """The claim differs from autodiff, and differences cannot tell or side with neither."""


def compare(subject: ClaimSubject, name: str, claim: Expression, point: Rows) -> Comparison:
    """Return a claimed derivative by `name` at a point, shape (names,), beside the two others."""
    import numpy as np

    claimed, error = claimed_rows(claim, subject.environment(point), len(subject.value(point)))
    autodiff = subject.slope(name)(point)
    known = np.isfinite(autodiff) & np.isfinite(subject.value(point))
    with np.errstate(all="ignore"):
        tolerance = _SAFETY * (error + _own_error(subject, name, point, autodiff))
        differs = known & ~(np.abs(claimed - autodiff) <= tolerance)
        refuted = np.zeros_like(differs)
        if differs.any():
            numerical, bar = numerical_slope(subject, name, point)
            against_claim = np.isfinite(bar) & ~(np.abs(claimed - numerical) <= 3 * bar + _SAFETY * error)
            with_autodiff = np.abs(autodiff - numerical) <= 3 * bar + tolerance
            refuted = differs & against_claim & with_autodiff
    return Comparison(
        point=point,
        claimed=claimed,
        autodiff=autodiff,
        tolerance=tolerance,
        agree=known & ~differs,
        refuted=refuted,
        doubted=differs & ~refuted,
    )


def claimed_rows(claim: Expression, names: dict[Any, Any], rows: int) -> tuple[Rows, Rows]:
    """Return what a claim gives in every row with the names' values, and what rounding may have done to it."""
    import numpy as np

    value, error = value_and_error(claim, names)
    return np.broadcast_to(value, (rows,)), np.broadcast_to(error, (rows,))


def _own_error(subject: ClaimSubject, name: str, point: Rows, autodiff: Rows) -> Rows:
    """Return what rounding may have done to autodiff: how far it moves when the point moves by a unit in the last place."""
    import numpy as np

    moved = np.zeros_like(autodiff)
    for signs in _signs(len(point)):
        there = subject.slope(name)(point * (1 + 2 * _EPS * np.array(signs)))
        change = np.abs(there - autodiff)
        moved = np.fmax(moved, np.where(np.isfinite(change), change, 0.0))
    return np.asarray(moved + 16 * _EPS * np.abs(autodiff))


@lru_cache(maxsize=64)
def _signs(count: int) -> tuple[tuple[float, ...], ...]:
    """Return three fixed patterns of signs."""
    alternating = tuple(1.0 if index % 2 else -1.0 for index in range(count))
    return (1.0,) * count, alternating, tuple(1.0 if index % 3 else -1.0 for index in range(count))
