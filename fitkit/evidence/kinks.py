"""The evidence for objectives with kinks: whether zero lies in the subdifferential, and the curvature along the kinks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from fitkit.backend import array
from fitkit.evidence.evidence import CLOSE, Evidence, relative_size, unknown
from fitkit.optimizers.kinks import Kinks, kinks_at, objective_at
from fitkit.optimizers.reduced import VIOLATION, Reduced, reduce
from fitkit.problem import Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Mask = NDArray[np.bool_]

AT_ZERO = 1e-9
"""A distance below this share of the mean one is zero; so is a weight below this share of the largest."""


def assess_kinks(problem: Problem, theta: Vector, seen: Vector) -> Evidence:
    """Return the evidence at theta, shape (free,).

    Args:
        problem: an objective with kinks.
        theta: the point.
        seen: the largest |theta_j| that the search has seen, shape (free,).
    """
    import numpy as np

    kinks = kinks_at(problem, theta)
    value = float(objective_at.light(problem, array(theta, problem.lower.dtype)))
    if not (kinks.finite and np.isfinite(value)):
        return unknown(len(theta), finite=False)
    state = reduce(kinks, _at_zero(kinks), kinks.sides())
    share = float(np.sqrt(state.decrease / abs(value))) if value else np.inf
    step = relative_size(state.step + state.correction, theta, seen)
    broken = max(state.level_slope, state.imbalance, float(np.max(state.excess, initial=0.0)))
    if broken > VIOLATION:  # downhill all the same, however short the step along what is smooth
        share, step = max(share, broken), np.inf
    walls = (state.multipliers < 0) & ~np.isfinite(kinks.down)
    flat = _flat(state)
    smallest = float(np.min(state.curvatures, initial=np.inf))
    return Evidence(
        optimality=min(share, step) if broken <= VIOLATION else share,
        remaining=share,
        newton_step=step,
        smallest_eigenvalue=smallest if np.isfinite(smallest) else float("nan"),
        condition=float("nan"),
        minimum=_minimum(state, flat),
        held=np.any(kinks.jacobian[walls] != 0, axis=0),
        flat=(kinks.scale[:, None] * state.directions[:, flat]).T,
    )


def _at_zero(kinks: Kinks) -> Mask:
    """Return which kinks count as zero, shape (kinks,)."""
    import numpy as np

    size = np.abs(kinks.values)
    counts = kinks.up + np.where(np.isfinite(kinks.down), kinks.down, 0.0) > 0
    mean = float(np.mean(size[: kinks.rows][counts[: kinks.rows]])) if counts[: kinks.rows].any() else 0.0
    largest = float(np.max(size[kinks.rows : kinks.smooth], initial=0.0))
    limits = np.zeros(len(size))
    limits[: kinks.rows], limits[kinks.rows : kinks.smooth] = AT_ZERO * mean, AT_ZERO * largest
    return (size <= np.maximum(limits, kinks.rounding)) & (counts | ~np.isfinite(kinks.down))


def _flat(state: Reduced) -> Mask:
    """Return the directions without curvature that cross no kink either: along them nothing changes."""
    import numpy as np

    kinks = state.kinks
    steep = np.maximum(kinks.up, np.where(np.isfinite(kinks.down), kinks.down, 0.0))
    change = steep @ np.abs(kinks.jacobian @ state.directions)
    pull = kinks.scale @ np.abs(state.directions)
    return ~state.curved & (change <= CLOSE * np.where(pull > 0, pull, 1.0))


def _minimum(state: Reduced, flat: Mask) -> Literal["strict", "flat", "saddle", "unknown"]:
    if (state.curvatures[state.curved] < 0).any():
        return "saddle"
    if flat.any():
        return "flat"
    # An edge of equal height, or a multiplier at the end of its slopes: a minimum, but perhaps not the only one.
    unique = state.curved.all() and (state.excess[state.active] < -VIOLATION).all()
    return "strict" if unique else "unknown"
