"""A point of Newton's search: the exact curvature there, its scale, and what is said of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, final

from fitkit.backend import array
from fitkit.optimizers.curvature import DENSE_UP_TO, Curvature, DenseCurvature, IterativeCurvature
from fitkit.optimizers.least_squares_state import relative_length
from fitkit.optimizers.smooth_kernels import expansion_at, hessian_diagonal, slope_of
from fitkit.optimizers.stopping import Measures
from fitkit.problem import Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]

FORGETTING = 0.8
"""The scale D follows a falling curvature by this factor a step."""
AT_ROUNDING = 1e-6
"""Below this slope a full step that neither lowers the objective nor shrinks the slope has met the rounding."""
CRAWL = 0.01
"""The least share of the objective that a step gains which does not crawl."""
NEAR_ZERO = 1e-6
"""A parameter below this share of the largest it was seen at is judged by that share instead of by itself."""
STEEPER = 1e4
"""D that is so many times what it is at this point holds its parameter still."""
HARDLY_ANY = 1e-8
"""The root of a curvature that changes the objective by its own rounding over a parameter's size."""
DIAGONAL_UP_TO = 5000
"""Free parameters up to which the Hessian's diagonal is worth its price as the scale of products with it."""


@final
@dataclass(frozen=True, kw_only=True)
class NewtonState:
    """A point of the search and the curvature there."""

    theta: Vector
    value: float
    gradient: Vector
    movable: NDArray[np.bool_]
    """Parameters that are not held at a bound by the slope."""
    curvature: Curvature | None
    """None where value, gradient or Hessian is not finite."""
    scale: Vector
    """The diagonal of D, shape (free,)."""
    radius: float
    """Of the trust region, in the metric of D."""
    largest: Vector
    """The largest |theta_j| so far."""
    measures: Measures
    evaluations: int
    crawled: int = 0
    """Steps in a row that gained next to nothing in value and place, where some curvature is lost in rounding."""


def state_at(problem: Problem, theta: Vector, *, previous: NewtonState | None, evaluations: int) -> NewtonState:
    """Return the state at theta, shape (free,), with the radius still that of `previous`."""
    import numpy as np

    value, gradient, hessian = _expand(problem, theta)
    held = ((theta <= problem.lower) & (gradient > 0)) | ((theta >= problem.upper) & (gradient < 0))
    largest = np.abs(theta) if previous is None else np.maximum(previous.largest, np.abs(theta))
    numbers = (gradient,) if hessian is None else (gradient, hessian)
    if not (np.isfinite(value) and all(np.isfinite(part).all() for part in numbers)):
        nothing = Measures(value, np.nan, np.nan, np.nan, np.False_, np.False_, np.False_, np.False_)
        return NewtonState(
            theta=theta, value=value, gradient=gradient, movable=~held, curvature=None, scale=np.ones(len(theta)),
            radius=0.0, largest=largest, measures=nothing, evaluations=evaluations,
        )  # fmt: skip
    scale = _scale(problem, theta, value, gradient, hessian, previous)
    curvature: Curvature
    if hessian is None:
        curvature = IterativeCurvature(problem, theta, gradient, ~held, scale)
    else:
        curvature = DenseCurvature(gradient, hessian, ~held, scale)
    with np.errstate(all="ignore"):
        measures = _measures(theta, value, curvature, largest, previous)
    first = min(float(np.linalg.norm(scale * curvature.newton.step)), float(np.sqrt(2 * abs(value)))) or 1.0
    return NewtonState(
        theta=theta, value=value, gradient=gradient, movable=~held, curvature=curvature, scale=scale,
        radius=first if previous is None else previous.radius, largest=largest,
        measures=measures, evaluations=evaluations,
        crawled=previous.crawled + 1 if previous is not None and _crawls(previous, theta, value, curvature) else 0,
    )  # fmt: skip


def _crawls(previous: NewtonState, theta: Vector, value: float, curvature: Curvature) -> bool:
    """Return whether a step went nowhere along a direction whose curvature is rounding, as near a degenerate minimum."""
    import numpy as np

    size = np.maximum(np.abs(theta), NEAR_ZERO * previous.largest)
    return bool(
        curvature.newton.flat_decrease > 0
        and previous.value - value <= CRAWL * abs(value)
        and (np.abs(theta - previous.theta) <= AT_ROUNDING * size).all()
    )


def forget(problem: Problem, state: NewtonState) -> NewtonState | None:
    """Return the state with D of this point alone, where what is remembered of far steeper ones holds parameters still."""
    import numpy as np

    if not isinstance(state.curvature, DenseCurvature):
        return None
    fresh = _scale(problem, state.theta, state.value, state.gradient, state.curvature.hessian, None)
    if not (state.scale > STEEPER * fresh).any():
        return None
    curvature = replace(state.curvature, scale=fresh)
    radius = float(np.linalg.norm(fresh * curvature.newton.step))
    return replace(state, scale=fresh, curvature=curvature, radius=radius or 1.0)


def _expand(problem: Problem, theta: Vector) -> tuple[float, Vector, Matrix | None]:
    """Return value, gradient and, for few parameters, the Hessian."""
    import numpy as np

    size, rows = len(theta), 1 if problem.rows is None else len(problem.rows)
    if size > DENSE_UP_TO:
        value, gradient = slope_of.for_work(size * rows)(problem, array(theta, problem.lower.dtype))
        return float(value), np.asarray(gradient, np.float64), None
    found = expansion_at(problem, theta)
    return float(found.value), np.asarray(found.gradient, np.float64), np.asarray(found.hessian, np.float64)


def _scale(
    problem: Problem,
    theta: Vector,
    value: float,
    gradient: Vector,
    hessian: Matrix | None,
    previous: NewtonState | None,
) -> Vector:
    """Return D: the root of the Hessian's diagonal, remembered for some steps where it falls, shape (free,).

    A parameter without curvature has the scale in which its slope alone would take away the whole objective.
    """
    import numpy as np

    if hessian is not None:
        diagonal = np.diag(hessian)
    elif previous is not None:
        return previous.scale
    elif len(theta) <= DIAGONAL_UP_TO:
        work = len(theta) * (1 if problem.rows is None else len(problem.rows))
        diagonal = np.asarray(hessian_diagonal.for_work(work)(problem, array(theta, problem.lower.dtype)), np.float64)
    else:
        return np.ones(len(theta))
    root = np.sqrt(np.abs(np.where(np.isfinite(diagonal), diagonal, 0.0)))
    # A parameter with hardly any curvature would otherwise be free to go anywhere, whatever that does to the others.
    own = np.where(theta != 0, np.abs(theta), np.inf)
    root = np.maximum(root, np.where(root > 0, HARDLY_ANY * np.sqrt(abs(value)) / own, 0.0))
    if previous is not None:
        return np.maximum(FORGETTING * previous.scale, root)
    steep = np.abs(gradient) / (np.sqrt(abs(value)) or 1.0)
    root = np.where(root > 0, root, steep)
    return np.where(root > 0, root, 1.0)


def _measures(
    theta: Vector, value: float, curvature: Curvature, largest: Vector, previous: NewtonState | None
) -> Measures:
    """Return what is to be said of a point; its slope is known only where no curvature is negative."""
    import numpy as np

    newton = curvature.newton
    share = np.sqrt(newton.decrease / abs(value)) if value != 0 else 0.0 if newton.decrease == 0 else np.inf
    size = np.maximum(np.abs(theta), NEAR_ZERO * largest)
    # Whether the step of a parameter that has always been zero is small, nobody knows.
    left = float(np.max(np.where(newton.step == 0, 0.0, np.abs(newton.step) / size), initial=0.0))
    if newton.flat_decrease > AT_ROUNDING**2 * abs(value):  # a slope without curvature has no Newton step to speak of
        left = np.inf
    measured = min(float(share), left)
    optimality = measured if newton.convex else np.nan
    value_change = theta_change = np.nan
    if previous is not None:
        value_change = (previous.value - value) / (abs(previous.value) or 1.0)
        theta_change = max(relative_length(theta - previous.theta, theta, largest), left if newton.convex else np.inf)
    return Measures(
        value=np.float64(value),
        optimality=np.float64(optimality),
        value_change=np.float64(value_change),
        theta_change=np.float64(theta_change),
        moved=np.bool_(previous is not None),
        stalled=np.False_,
        at_rounding=np.bool_(newton.nearly_convex and measured <= AT_ROUNDING),
        finite=np.True_,
    )
