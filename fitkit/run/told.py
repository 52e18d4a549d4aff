"""The parameters as a report tells them: by name, in the user's units, from the numbers that the optimizer moves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fitkit.backend import array, kernel
from fitkit.problem import Problem
from fitkit.types import Rows, Theta
from fitkit.uncertainty.covariance import TAKES_PART, values_jacobian

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]


@kernel()
def _reported(problem: Problem, theta: Theta) -> Rows:
    return problem.reported(theta)


def values_by_name(problem: Problem, theta: Vector) -> dict[str, Any]:
    """Return all parameters by name, numbers or arrays, computed on the host in float64 where nothing follows from others."""
    import numpy as np

    from fitkit.expressions import to_numpy

    if problem.reports_otherwise:
        numbers = np.asarray(_reported.light(problem, array(theta, problem.lower.dtype)), np.float64)
        return dict(zip(problem.reported_names, numbers.tolist(), strict=True))
    layout = problem.layout
    found: dict[Any, Any] = {name: _entry(np.asarray(value, np.float64)) for name, value in problem.held.items()}
    if layout.shapes or layout.logarithmic:
        for name, place in layout.places.items():
            numbers = np.asarray(theta[place], np.float64).reshape(layout.shape(name))
            found[name] = _entry(np.exp(numbers) if name in layout.logarithmic else numbers)
    else:
        found.update(zip(layout.free, np.asarray(theta, np.float64).tolist(), strict=True))
    for name, formula in layout.tied:
        found[name] = float(to_numpy(formula)(found))
    named = {name: found[name] for name in layout.names}
    return named if problem.model is None else problem.model.in_raw_units(named)


def _entry(numbers: Vector) -> Any:
    return numbers if numbers.ndim else float(numbers)


@kernel()
def _standardized(problem: Problem, theta: Theta) -> Rows | None:
    return None if problem.model is None else problem.model.standardized(problem.values(theta))


def standardized_by_name(problem: Problem, theta: Vector) -> dict[str, float]:
    """Return the parameters for standardized inputs by name; nothing where the model does not standardize."""
    import numpy as np

    if problem.model is None or problem.trained or not getattr(problem.model, "standardize", False):
        return {}
    numbers = np.asarray(_standardized.light(problem, array(theta, problem.lower.dtype)), np.float64)
    return dict(zip(problem.model.parameter_names or (), numbers.tolist(), strict=True))


def names_of_directions(problem: Problem, theta: Vector, flat: Matrix) -> tuple[tuple[str, ...], ...]:
    """Return for each flat direction, shape (flat, free), the reported parameters that take part in it."""
    import numpy as np

    if len(flat) == 0:
        return ()
    names, parts = problem.layout.coordinates, np.abs(flat)
    if problem.reports_otherwise:
        jacobian = values_jacobian(problem, theta)
        lengths = np.linalg.norm(jacobian, axis=1)
        names, parts = problem.reported_names, np.abs(flat @ jacobian.T) / np.where(lengths > 0, lengths, 1.0)
    found = [tuple(name for name, part in zip(names, row, strict=True) if part > TAKES_PART) for row in parts.tolist()]
    return tuple(dict.fromkeys(found))


def reported_share(problem: Problem, theta: Vector, distance: Vector) -> dict[str, float]:
    """Return how far each free number may be from where it should be, in units of itself, by the name it is reported by.

    Args:
        problem: the objective.
        theta: the point, shape (free,).
        distance: how far each number of theta may be off, shape (free,).
    """
    import numpy as np

    layout = problem.layout
    with np.errstate(all="ignore"):
        if problem.reports_otherwise:
            values = np.array(list(values_by_name(problem, theta).values()))
            shares = np.abs(values_jacobian(problem, theta)) @ distance / np.abs(values)
            return dict(zip(problem.reported_names, shares.tolist(), strict=True))
        size = np.where(np.array(layout.logarithms, bool), 1.0, np.abs(theta)) if layout.logarithmic else np.abs(theta)
        shares = (distance / size).tolist()
    return {name: shares[place.start] for name, place in layout.places.items() if not layout.shape(name)}
