"""The step of a trust region from the eigenvalues of the Hessian: in a ball, and in a ball within a box.

Reference: J. J. Moré and D. C. Sorensen, Computing a trust region step, SIAM Journal on Scientific and Statistical
Computing 4 (1983).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]
    Mask = NDArray[np.bool_]

MOST_ITERATIONS = 60
ON_SPHERE = 1e-3
"""How well the length of a step matches the radius: a trust region is no exact number."""


def step_in_ball(slope: Vector, hessian: Matrix, radius: float) -> Vector:
    """Return the p that minimises slope'p + p'Hp/2 with |p| <= radius, shape (free,).

    Where the Hessian has negative curvature and the slope none along it (the hard case, a saddle above all), the rest of the
    radius goes along the most negative curvature.
    """
    import numpy as np

    values: Vector
    vectors: Matrix
    values, vectors = np.linalg.eigh(hessian)
    slopes: Vector = vectors.T @ slope
    size = float(np.max(np.abs(values), initial=0.0))
    tiny = max(1e-15 * size, 1e-300)
    lowest = float(values[0])
    if lowest > tiny:
        newton: Vector = slopes / values
        if np.linalg.norm(newton) <= radius:
            return -vectors @ newton
    low = max(0.0, -lowest) + tiny
    if np.linalg.norm(slopes / (values + low)) <= radius:  # the hard case, or a flat direction without slope
        inner: Vector = -slopes / (values + low)
        if lowest < -1e-12 * size:
            length = np.sqrt(max(0.0, radius**2 - float(inner @ inner)))
            inner[0] += length if inner[0] >= 0 else -length
        return vectors @ inner
    return -vectors @ (slopes / (values + _shift(slopes, values, radius, low)))


def _shift(slopes: Vector, values: Vector, radius: float, low: float) -> float:
    """Return the shift of the eigenvalues for which the step has the length `radius`, by Newton's method on 1/|p|."""
    import numpy as np

    high = low + float(np.linalg.norm(slopes)) / radius
    shift = low
    for _ in range(MOST_ITERATIONS):
        step = slopes / (values + shift)
        length = float(np.linalg.norm(step))
        if abs(length - radius) <= ON_SPHERE * radius:
            break
        low, high = (shift, high) if length > radius else (low, shift)
        slope = float(step @ (step / (values + shift)))
        following = shift + (length - radius) / radius * length**2 / slope if slope > 0 else np.inf
        shift = following if low < following < high else (low * high) ** 0.5 if low > 0 else (low + high) / 2
    return shift


def step_in_box(
    slope: Vector, hessian: Matrix, scale: Vector, radius: float, movable: Mask, room: tuple[Vector, Vector]
) -> Vector:
    """Return a p that lowers slope'p + p'Hp/2 with |D p| <= radius and lower <= p <= upper, shape (free,).

    Components that would leave the box are put on its wall, their effect moves to the slope, and the rest is solved again,
    at most once per parameter; where that raises the model (it may, without convexity), the projected slope is followed.

    Args:
        slope: the gradient, shape (free,).
        hessian: shape (free, free).
        scale: the diagonal of D, shape (free,).
        radius: above zero.
        movable: parameters that are not held at a bound.
        room: the box around the current point, lower <= 0 <= upper, each shape (free,).
    """
    import numpy as np

    lower, upper = room
    step = np.zeros(len(scale))
    inside = movable.copy()
    while inside.any():
        shifted = slope[inside] + hessian[np.ix_(inside, ~inside)] @ step[~inside]
        spent = float(np.linalg.norm(scale[~inside] * step[~inside]))
        left = np.sqrt(max(radius**2 - spent**2, 0.01 * radius**2))
        inner = np.outer(scale[inside], scale[inside])
        step[inside] = step_in_ball(shifted / scale[inside], hessian[np.ix_(inside, inside)] / inner, left)
        step[inside] /= scale[inside]
        outside = inside & ((step < lower) | (step > upper))
        if not outside.any():
            break
        step[outside] = np.clip(step[outside], lower[outside], upper[outside])
        inside &= ~outside
    if foretold(slope, hessian, step) > 0:
        return step
    step = _from_wall_to_wall(slope, hessian, scale, radius, movable, room)
    if foretold(slope, hessian, step) > 0:
        return step
    return _along_slope(slope, hessian, np.where(movable, slope, 0.0) / scale**2, scale, radius, room)


def _from_wall_to_wall(
    slope: Vector, hessian: Matrix, scale: Vector, radius: float, movable: Mask, room: tuple[Vector, Vector]
) -> Vector:
    """Return the step that goes towards the minimum in the ball until it meets a wall, follows it, and so on, shape (free,).

    Without negative curvature every leg lowers the model, which putting several components on their walls at once does not.
    """
    import numpy as np

    lower, upper = room
    step = np.zeros(len(scale))
    inside = movable.copy()
    while inside.any():
        rest = (slope + hessian @ step)[inside]
        left = np.sqrt(max(radius**2 - float(np.linalg.norm(scale * step)) ** 2, 0.0))
        if left <= 1e-3 * radius:
            break
        leg = np.zeros(len(scale))
        inner = np.outer(scale[inside], scale[inside])
        leg[inside] = step_in_ball(rest / scale[inside], hessian[np.ix_(inside, inside)] / inner, left) / scale[inside]
        distance = np.where(leg > 0, upper - step, lower - step)
        share = np.where(leg != 0, distance / np.where(leg != 0, leg, 1.0), np.inf)
        first = float(np.min(share))
        if not first < 1:  # no wall in the way, or no number: far out, scales underflow
            return step + leg
        met = inside & (share <= first)
        step = np.where(met, np.where(leg > 0, upper, lower), step + first * leg)
        inside &= ~met
    return step


def foretold(slope: Vector, hessian: Matrix, step: Vector) -> float:
    """Return the decrease that the quadratic model foretells."""
    return -float(slope @ step + step @ (hessian @ step) / 2)


def _along_slope(
    slope: Vector, hessian: Matrix, direction: Vector, scale: Vector, radius: float, room: tuple[Vector, Vector]
) -> Vector:
    """Return the longest projected step against the slope, up to halving, that lowers the model; zero if there is none."""
    import numpy as np

    length = float(np.linalg.norm(scale * direction))
    for halvings in range(MOST_ITERATIONS if length > 0 else 0):
        step = np.clip(-radius / length * 0.5**halvings * direction, *room)
        if foretold(slope, hessian, step) > 0:
            return step
    return np.zeros(len(direction))
