"""How far a point is from a strict minimum of a smooth objective, and whether that is more than rounding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from fitkit.evidence.distance import distance_to_minimum, measured_noise, rounding_of_terms
from fitkit.evidence.evidence import CLOSE, NEAR_ZERO

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]
    Mask = NDArray[np.bool_]

SEVERAL = 10.0
"""How many standard deviations of rounding a step may be that is called rounding."""
NOISY = 1e-4
"""The largest share of a parameter's size that rounding may hide where a minimum is still told."""


@final
@dataclass(frozen=True, kw_only=True)
class SmoothDistance:
    """The Newton step that is left to a strict minimum, and what rounding in the slope makes of it."""

    theta: Vector
    hessian: Matrix
    inverse: Matrix
    """Of the Hessian over movable parameters, zero elsewhere, shape (free, free)."""
    left: Vector
    """The step, shape (free,)."""
    noise: Vector
    """Of the slope, one standard deviation, shape (free,)."""

    @classmethod
    def at(
        cls,
        theta: Vector,
        slopes: Callable[[Vector], Vector],
        gradient: Vector,
        hessian: Matrix,
        inverse: Matrix,
        *,
        single: bool,
    ) -> SmoothDistance:
        """Return the distance from theta, where the noise of the `slopes` is measured beside it."""
        import numpy as np

        terms = rounding_of_terms(theta, hessian, np.zeros(len(theta)), single=single)
        noise = np.hypot(measured_noise(slopes, theta, gradient, hessian), terms)
        noise = np.where(np.diag(inverse) > 0, noise, 0.0)
        return cls(theta=theta, hessian=hessian, inverse=inverse, left=-inverse @ gradient, noise=noise)

    @property
    def uncertainty(self) -> Vector:
        """How far each parameter may be from the minimum, shape (free,); nothing where a bound holds it."""
        import numpy as np

        found = distance_to_minimum(self.theta, self.left, self.inverse, self.noise)
        return np.where(np.diag(self.inverse) > 0, found, 0.0)

    def is_rounding(self, value: float, own: Vector) -> bool:
        """Return whether the step is small in each parameter, or, where one ends at zero, the rounding of its slope.

        A parameter that has always been zero has the size at which it alone would change the objective by all of it.

        Args:
            value: of the objective.
            own: the sizes that the search has seen, shape (free,).
        """
        import numpy as np

        bend, left = np.diag(self.hessian), np.abs(self.left)
        by_objective = np.where(bend > 0, np.sqrt(2 * abs(value) / np.where(bend > 0, bend, 1.0)), 0.0)
        hidden = np.sqrt(self.inverse**2 @ self.noise**2)
        rounding = (left <= SEVERAL * hidden) & (hidden <= NOISY * np.maximum(own, by_objective))
        small = left <= CLOSE * np.maximum(np.abs(self.theta), NEAR_ZERO * own)
        return bool((rounding | small).all())
