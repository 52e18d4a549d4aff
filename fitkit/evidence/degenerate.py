"""Degenerate minima: without curvature along some direction, and minima all the same, as Powell's singular function has one.

A Hessian without curvature along a direction u is that of a valley with a level floor, where parameters are not identified,
or of a minimum that rises more slowly than any square, as (a - 1)^4 does. The floor f(t) of the valley tells them apart: theta
moves by t along u, and everything across u is settled there anew. Where f rises to both sides, and at twice the distance by
more than a square would, the minimum is there and nowhere else; for f(t) = |t - d|^p, with h for the distance,

    (f(h) - f(-h)) / (f(h) + f(-h)) = -p d / h + O(d² / h²)

tells how far off it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from fitkit.backend import array
from fitkit.optimizers.exact_newton import EPSILON
from fitkit.optimizers.least_squares import LeastSquares
from fitkit.optimizers.smooth_kernels import expand_smooth
from fitkit.problem import Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]
    Mask = NDArray[np.bool_]
    Expansion = tuple[float, Vector, Matrix]

NO_CURVATURE = 1e-6
"""An eigenvalue below this share of the largest is none, in units of the sizes that the search has seen."""
MOST_WAYS = 8
BESIDE = (1e-3, 1e-2)
"""How far the valley is followed, as a share of those sizes: farther where nothing is seen nearer by."""
STEEPER = 6.0
"""By what factor the floor rises at twice the distance: a square would rise by 4, |t|³ by 8."""
NEAR = 4e-4
"""The largest product of the asymmetry and the distance: the minimum is nearer than a ten-thousandth of the sizes."""
MOST_SETTLING = 40
SETTLED = 1e-3
"""The floor is reached where a step gains less than this share of the rise."""
LEVEL = 1e-9
"""A floor below this share of the rise straight on is level."""


@final
@dataclass(frozen=True, kw_only=True)
class Degenerate:
    """What is to be said of a degenerate minimum."""

    ways: Matrix
    """The directions without curvature, in units of the parameters' sizes, shape (directions, free)."""
    distance: Vector
    """How far each parameter may be from it, shape (free,)."""


def degenerate_minimum(problem: Problem, theta: Vector, seen: Vector, movable: Mask) -> Degenerate | None:
    """Return the degenerate minimum at theta; None if there is none.

    Args:
        problem: smooth, and without constraints.
        theta: where the slope is as good as zero, shape (free,).
        seen: the largest |theta_j| that the search has seen, shape (free,): the sizes of the parameters.
        movable: parameters that no bound holds, shape (free,).
    """
    import numpy as np

    size = np.maximum(np.abs(theta), seen)[movable]
    if not movable.any() or not (size > 0).all():
        return None
    with np.errstate(all="ignore"):
        floor = _Floor(problem=problem, theta=theta, movable=movable, size=size)
        here = floor.expand(np.zeros(len(size)))
        if here is None:
            return None
        values, vectors = np.linalg.eigh(here[2])
        bare = np.abs(values) <= NO_CURVATURE * np.max(np.abs(values), initial=0.0)
        step = vectors @ np.where(values != 0, vectors.T @ here[1] / np.where(values != 0, np.abs(values), 1.0), 0.0)
        ways = vectors.T[bare] if bare.any() else step[None, :]
        if not 0 < len(ways) <= MOST_WAYS or not np.isfinite(ways).all() or not ways.any():
            return None
        longest = np.max(np.abs(ways), axis=1, keepdims=True)
        found = []
        for way in ways / longest:
            off = next((d for beside in BESIDE if (d := _distance(floor, beside * way, here[0])) is not None), None)
            if off is None:
                return None
            found.append(off * np.abs(way))
        distance, whole = np.zeros(len(theta)), np.zeros((len(ways), len(theta)))
        distance[movable] = size * np.max(found, axis=0)
        whole[:, movable] = ways / np.linalg.norm(ways, axis=1, keepdims=True)
        return Degenerate(ways=whole, distance=distance)


def _distance(floor: _Floor, way: Vector, value: float) -> float | None:
    """Return how far off the minimum is, by p d with moves along `way` and back; None where it is no degenerate minimum."""
    import numpy as np

    noise = 1e3 * EPSILON * abs(value)
    straight = [floor.value(side * way) - value for side in (-2.0, -1.0, 1.0, 2.0)]
    if not all(noise < rise < float("inf") for rise in straight):
        return None
    rises = [floor.settled(side * way, value) for side in (-2.0, -1.0, 1.0, 2.0)]
    if not all(rise > max(noise, LEVEL * ahead) for rise, ahead in zip(rises, straight, strict=True)):
        return None
    left2, left, right, right2 = rises
    if left2 < STEEPER * left or right2 < STEEPER * right:
        return None
    off = abs(right - left) / (right + left) * float(np.max(np.abs(way)))
    return off if off <= NEAR else None


@final
@dataclass(frozen=True, kw_only=True)
class _Floor:
    """The objective around a point, in units of the parameters' sizes."""

    problem: Problem
    theta: Vector
    movable: Mask
    size: Vector
    """Of the movable parameters, shape (movable,)."""

    def _point(self, move: Vector) -> Vector | None:
        import numpy as np

        point = self.theta.copy()
        point[self.movable] += self.size * move
        inside = (point >= np.asarray(self.problem.lower)) & (point <= np.asarray(self.problem.upper))
        return point if inside.all() else None

    def value(self, move: Vector) -> float:
        """Return the objective after a move, shape (movable,); infinity outside the bounds."""
        found = self.expand(move)
        return float("inf") if found is None else found[0]

    def expand(self, move: Vector) -> Expansion | None:
        """Return value, slope and curvature (Gauss-Newton for least squares) after a move, None where one is not finite."""
        import numpy as np

        theta = self._point(move)
        if theta is None:
            return None
        if self.problem.least_squares:
            point = LeastSquares(self.problem).linearize(theta)
            value, slope, curvature = point.sum_of_squares, point.gradient, point.factor.T @ point.factor
        else:
            work = len(theta) ** 2 * (1 if self.problem.rows is None else len(self.problem.rows))
            parts = expand_smooth.for_work(work)(self.problem, array(theta, self.problem.lower.dtype))
            value, slope, curvature = float(parts[0]), np.asarray(parts[1], float), np.asarray(parts[2], float)
        if not (np.isfinite(value) and np.isfinite(slope).all() and np.isfinite(curvature).all()):
            return None
        inside = np.ix_(self.movable, self.movable)
        return value, slope[self.movable] * self.size, curvature[inside] * np.outer(self.size, self.size)

    def settled(self, move: Vector, value: float) -> float:
        """Return how far the floor is above `value` after a move, with everything across settled anew; NaN if unknown."""
        import numpy as np

        across = np.linalg.svd(move[None, :])[2][1:]
        found = self.expand(move)
        for _ in range(MOST_SETTLING if len(across) else 0):
            if found is None:
                break
            spectrum, vectors = np.linalg.eigh(across @ found[2] @ across.T)
            clear = spectrum > 1e-14 * max(float(spectrum[-1]), 0.0)
            slopes = vectors[:, clear].T @ (across @ found[1])
            trial = move - across.T @ (vectors[:, clear] @ (slopes / spectrum[clear]))
            following = self.expand(trial)
            if following is None or following[0] >= found[0]:
                break
            gained, move, found = found[0] - following[0], trial, following
            if gained <= SETTLED * (found[0] - value):
                break
        return float("nan") if found is None else found[0] - value
