"""A point on an active set of kinks: the multipliers, and what is left to gain along the directions that keep the set."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

from fitkit.optimizers.kinks import Kinks

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]
    Mask = NDArray[np.bool_]

RANK = 1e-10
"""Singular values of the scaled active Jacobian below this share of the largest are none."""
FLAT = 1e-12
"""Eigenvalues of the reduced Hessian below this share of the largest are none."""
VIOLATION = 1e-9
"""How far a multiplier may lie outside its slopes, as a share of them."""
MOST_BOXED = 2000
"""Active kinks up to which multipliers are sought within their slopes, where there are more than directions."""


@final
@dataclass(frozen=True)
class Reduced:
    """A point with an active set: multipliers, and what is left to gain in the directions that keep the set at zero."""

    kinks: Kinks
    active: Mask
    """Kinks held at zero, shape (kinks,)."""
    sides: Vector
    """a_m of the others, shape (kinks,); zero for the active ones."""
    multipliers: Vector
    """a_m of the active ones, shape (kinks,); zero for the others."""
    inverse: Matrix
    """Leads from the values of the active kinks to the shortest step by which they change so much, (free, active)."""
    slope: Vector
    """The gradient of what is smooth with the active kinks at zero, shape (free,)."""
    hessian: Matrix
    directions: Matrix
    """Directions that keep the active kinks at zero and make the Hessian diagonal, in columns, shape (free, directions)."""
    slopes: Vector
    """Along the directions, free of units where there is no curvature."""
    curvatures: Vector
    curved: Mask
    """Which of the curvatures are not zero."""
    imbalance: float
    """What the multipliers within their slopes leave of the slope across the active kinks, relative to the kinks' pulls."""
    excess: Vector = field(repr=False)
    """How far each multiplier lies outside its slopes, as a share of them, shape (kinks,); negative inside."""

    @property
    def correction(self) -> Vector:
        """The step that brings the active kinks to zero, shape (free,)."""
        return -(self.inverse @ self.kinks.values[self.active])

    @property
    def step(self) -> Vector:
        """The Newton step over the curved directions, shape (free,)."""
        import numpy as np

        moves: Vector = self.directions[:, self.curved] @ (
            -self.slopes[self.curved] / np.abs(self.curvatures[self.curved])
        )
        return moves

    @property
    def decrease(self) -> float:
        """What that step gains."""
        import numpy as np

        return float(np.sum(self.slopes[self.curved] ** 2 / np.abs(self.curvatures[self.curved])) / 2)

    @property
    def level_slope(self) -> float:
        """The largest slope along a direction without curvature, relative to the kinks' pulls."""
        import numpy as np

        return float(np.max(np.abs(self.slopes[~self.curved]), initial=0.0))


def reduce(kinks: Kinks, active: Mask, sides: Vector) -> Reduced:
    """Return what an active set comes to, with the sides a_m of all other kinks given."""
    import numpy as np

    sides = np.where(active, 0.0, sides)
    value, slope, hessian = kinks.expand(sides)
    diagonal = np.sqrt(np.abs(np.diag(hessian)))
    scale = np.where(kinks.pulled, kinks.scale, np.where(diagonal > 0, diagonal, 1.0))
    normals = (kinks.jacobian[active] / scale).T
    left, singular, right = np.linalg.svd(normals, full_matrices=True)
    rank = int(np.sum(singular > RANK * np.max(singular, initial=0.0)))
    inverse = right[:rank].T / singular[:rank] @ left[:, :rank].T
    multipliers = np.zeros(len(sides))
    multipliers[active] = _multipliers(kinks, active, normals, -slope / scale, -inverse @ (slope / scale), rank)
    if active.any():
        low = np.where(np.isfinite(kinks.down), -kinks.down, multipliers)
        hessian = kinks.expand(np.where(active, np.clip(multipliers, low, kinks.up), sides))[2]
    free = left[:, rank:] / scale[:, None]
    curvatures, vectors = np.linalg.eigh(free.T @ hessian @ free)
    directions = free @ vectors
    width = kinks.up + np.where(np.isfinite(kinks.down), kinks.down, np.max(np.abs(kinks.jacobian) * scale, axis=1))
    excess = np.maximum(multipliers - kinks.up, -kinks.down - multipliers) / np.where(width > 0, width, 1.0)
    # In these coordinates a curvature has the units of one over the objective, and what rounding leaves is below its eps.
    least = max(float(np.max(np.abs(curvatures), initial=0.0)), _largest(hessian, scale), 1 / max(abs(value), 1e-200))
    floor = FLAT * least
    imbalance = left[:, :rank].T @ (slope / scale + normals @ multipliers[active])
    return Reduced(
        kinks, active, sides, multipliers, inverse.T / scale[:, None], slope, hessian, directions, directions.T @ slope,
        curvatures, np.abs(curvatures) > floor, float(np.linalg.norm(imbalance)), np.where(active, excess, -1.0),
    )  # fmt: skip


def _largest(hessian: Matrix, scale: Vector) -> float:
    import numpy as np

    return float(np.max(np.abs(hessian) / np.outer(scale, scale), initial=0.0))


def _multipliers(kinks: Kinks, active: Mask, normals: Matrix, right: Vector, least: Vector, rank: int) -> Vector:
    """Return a_m of the active kinks, shape (active,): unique, or within their slopes where there is a choice."""
    import numpy as np

    low, high = -kinks.down[active], kinks.up[active]
    inside = bool((least >= low).all() and (least <= high).all())
    if inside or rank == len(least) or len(least) > MOST_BOXED:
        return least
    from scipy.optimize import lsq_linear

    room = np.where(high > low, 0.0, 1e-300)  # a kink without slopes has no choice
    return np.asarray(lsq_linear(normals, right, (low - room, high + room), method="bvls").x)
