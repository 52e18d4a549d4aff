"""The curvature of a smooth objective at a point, as Newton's method sees it: in full, or by products with the Hessian.

Lengths are measured by D, whose square has the units of the Hessian's diagonal, so nothing depends on the parameters' units.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, final

from fitkit.backend import array
from fitkit.optimizers.smooth_kernels import conjugate_gradients, product_with
from fitkit.optimizers.trust_region import foretold, step_in_box
from fitkit.problem import Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]
    Mask = NDArray[np.bool_]
    Box = tuple[Vector, Vector]

DENSE_UP_TO = 200
"""Free parameters up to which the Hessian is formed."""
FLAT = 1e-12
"""An eigenvalue of the Hessian scaled to unit diagonal below this share of the largest is flat."""

NEARLY_FLAT = 1e-6
"""The same share for an eigenvalue that may be made of the slope that is left."""


@final
@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A step inside the trust region and the box, and the decrease that the quadratic model foretells."""

    step: Vector
    foretold: float


@final
@dataclass(frozen=True, kw_only=True)
class NewtonPoint:
    """The undamped Newton step over the movable parameters, shape (free,)."""

    step: Vector
    decrease: float
    """g'H^-1 g / 2, the decrease that is left."""
    flat_decrease: float
    """The part of it that lies along directions without curvature, as if they had the least that counts."""
    convex: bool
    """Whether no curvature is negative."""
    nearly_convex: bool
    """Whether what is negative may be made of the slope that is left, as beside the bottom of a valley."""


class Curvature(Protocol):
    """What Newton's method asks of the curvature at a point."""

    @property
    def newton(self) -> NewtonPoint:
        """The undamped step."""
        ...

    def propose(self, radius: float, room: Box) -> Proposal:
        """Return the best step of |D p| <= radius in the box around the point."""
        ...

    def size_of(self, gradient: Vector) -> float:
        """Return the length of a gradient in the metric of this point."""
        ...


@final
@dataclass(frozen=True)
class DenseCurvature:
    """The Hessian in full."""

    gradient: Vector
    hessian: Matrix
    movable: Mask
    scale: Vector
    """The diagonal of D, shape (free,)."""

    @cached_property
    def _spectrum(self) -> tuple[Vector, Matrix, float]:
        """Return the eigenvalues of the Hessian scaled to unit diagonal, the directions (in columns), what counts as flat."""
        import numpy as np

        part = self.hessian[np.ix_(self.movable, self.movable)]
        diagonal = np.abs(np.diag(part))
        root = np.sqrt(np.where(diagonal > 0, diagonal, self.scale[self.movable] ** 2))
        values, vectors = np.linalg.eigh(part / np.outer(root, root))
        return values, vectors / root[:, None], FLAT * float(np.max(np.abs(values), initial=0.0)) or FLAT

    @cached_property
    def newton(self) -> NewtonPoint:
        """The undamped step, over the directions that have curvature."""
        import numpy as np

        values, directions, floor = self._spectrum
        slopes = directions.T @ self.gradient[self.movable]
        curved = np.abs(values) > floor
        step = np.zeros(len(self.gradient))
        step[self.movable] = -directions[:, curved] @ (slopes[curved] / np.abs(values[curved]))
        parts = slopes**2 / np.maximum(np.abs(values), floor) / 2
        return NewtonPoint(
            step=step,
            decrease=float(np.sum(parts)),
            flat_decrease=float(np.sum(parts[~curved])),
            convex=bool((values >= -floor).all()),
            nearly_convex=bool((values >= -NEARLY_FLAT / FLAT * floor).all()),
        )

    def propose(self, radius: float, room: Box) -> Proposal:
        """Return the best step of |D p| <= radius in the box around the point."""
        step = step_in_box(self.gradient, self.hessian, self.scale, radius, self.movable, room)
        return Proposal(step=step, foretold=foretold(self.gradient, self.hessian, step))

    def size_of(self, gradient: Vector) -> float:
        """Return sqrt(g' |H|^-1 g) over the movable parameters."""
        import numpy as np

        values, directions, floor = self._spectrum
        slopes = directions.T @ gradient[self.movable]
        return float(np.sqrt(np.sum(slopes**2 / np.maximum(np.abs(values), floor))))


MOST_WALLS = 10
"""How often conjugate gradients begin again because a step meets the walls of the box; then it is cut there."""
FORCING = 0.01
"""The share of the slope at which conjugate gradients end."""


@final
@dataclass(frozen=True)
class IterativeCurvature:
    """Products with the Hessian, by conjugate gradients."""

    problem: Problem
    theta: Vector
    gradient: Vector
    movable: Mask
    scale: Vector

    def _walk(self, slope: Vector, inside: Mask, radius: float) -> tuple[Vector, Vector, bool, bool]:
        import numpy as np

        dtype = self.problem.lower.dtype
        rows = 1 if self.problem.rows is None else len(self.problem.rows)
        walk = conjugate_gradients.for_work(len(slope) * rows)(
            self.problem,
            array(self.theta, dtype),
            array(slope, dtype),
            array(self.scale, dtype),
            array(inside, bool),
            array(radius, dtype),
            array(FORCING, dtype),
            2 * len(slope),
        )
        step, product = np.asarray(walk.step, np.float64), np.asarray(walk.product, np.float64)
        return step, product, bool(walk.inside), bool(walk.convex)

    @cached_property
    def newton(self) -> NewtonPoint:
        """The undamped step; where negative curvature was met on the way, as far as that."""
        import numpy as np

        step, _, _, convex = self._walk(self.gradient, self.movable, np.inf)
        if not convex:
            step = np.where(self.movable, -self.gradient / self.scale**2, 0.0)
        return NewtonPoint(
            step=step, decrease=-float(self.gradient @ step) / 2, flat_decrease=0.0, convex=convex, nearly_convex=convex
        )

    def propose(self, radius: float, room: Box) -> Proposal:
        """Return a good step of |D p| <= radius in the box around the point."""
        import numpy as np

        lower, upper = room
        fixed, slope, inside = np.zeros(len(self.theta)), self.gradient, self.movable.copy()
        step = fixed
        for _ in range(MOST_WALLS):
            step, product, _, _ = self._walk(slope, inside, radius)
            outside = inside & ((step < lower) | (step > upper))
            if not fixed.any() and not outside.any():
                return Proposal(step=step, foretold=-float(self.gradient @ step + step @ product / 2))
            step = np.clip(step + fixed, lower, upper)
            if not outside.any():
                break
            fixed = np.where(outside, step, fixed)
            inside &= ~outside
            slope = self.gradient + self._product(fixed)
        return Proposal(step=step, foretold=-float(self.gradient @ step + step @ self._product(step) / 2))

    def _product(self, step: Vector) -> Vector:
        import numpy as np

        dtype = self.problem.lower.dtype
        found = product_with.light(self.problem, array(self.theta, dtype), array(step, dtype))
        return np.asarray(found, np.float64)

    def size_of(self, gradient: Vector) -> float:
        """Return |D^-1 g| over the movable parameters."""
        import numpy as np

        return float(np.linalg.norm((gradient / self.scale)[self.movable]))
