"""Starts from the data: many random candidates compete, the best few are polished, and the best of all is kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, final

from fitkit.backend import array
from fitkit.guess.candidates import Scale, Span, children, draw, scale_of
from fitkit.guess.natural import naturally
from fitkit.guess.projection import linear_parameters, project
from fitkit.guess.sketch import Sketch
from fitkit.guess.units import implied_units, shifting
from fitkit.optimizers.least_squares_state import LeastSquaresState
from fitkit.optimizers.lm import LevenbergMarquardt
from fitkit.problem import Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]

SEED: Final = 0
CANDIDATES: Final = 4096
PARENTS: Final = 32
"""Candidates whose surroundings are searched."""
CHILDREN: Final = 32
"""Candidates in the surroundings of each, at each of the rounds."""
ROUNDS: Final = 4
HEATS: Final = ((32, 6), (10, 12), (4, 60))
"""How many of the best get how many steps of lm: the lowest valley at first sight may not be the deepest."""
PARSIMONY: Final = 0.01
"""How much higher the sum of squares counts for each power of ten by which a parameter exceeds its scale."""
TIE: Final = 1e-6
"""Relative difference of sums of squares that are the same."""
SCREENING_ROWS: Final = 256
POLISHING_ROWS: Final = 4000
SAMPLES: Final = 16
"""Points at which the derivatives are compared to tell which parameters enter linearly."""
DIGITS: Final = 4


@final
@dataclass(frozen=True, kw_only=True)
class Guess:
    """Where to start."""

    starts: dict[str, float]
    """By parameter, to four significant digits."""
    linear: frozenset[str]
    """Parameters that enter linearly, and were solved for."""
    found: bool
    """Whether the model is finite there; if not, every start is 1."""
    rows: int
    r_squared: float | None
    """The share of the target's variance that the guess explains; None where that means nothing."""


def guess_starts(sketch: Sketch) -> Guess:
    """Return starts for the parameters of a sketch, the same at every call.

    Raises:
        ConfigError: a parameter cannot be called so.
        DataError: the table cannot be fitted.
    """
    import numpy as np

    from fitkit.run.assemble import assemble

    assembled = assemble(sketch.source(), allow_python=False)
    problem, names = assembled.problem, assembled.problem.layout.free
    rows = 0 if problem.rows is None else len(problem.rows)
    scales = _scales(sketch, problem)
    generator = np.random.default_rng(SEED)
    screened = _thinned(problem, SCREENING_ROWS)
    linear = linear_parameters(screened, draw(scales, SAMPLES, generator))
    thinned = _thinned(problem, POLISHING_ROWS)
    best = _polish(thinned, _screen(screened, scales, linear, generator), linear, scales)
    starts = dict.fromkeys(names, 1.0)
    r_squared = None
    if best is not None:
        rounded = np.array([float(f"{value:.{DIGITS}g}") for value in best])
        squares = _sum_of_squares(problem, rounded)
        if np.isfinite(squares):
            starts = dict(zip(names, rounded.tolist(), strict=True))
            r_squared = _explained(problem, squares)
        else:
            best = None
    solved = frozenset(name for name, is_linear in zip(names, linear, strict=True) if is_linear)
    return Guess(starts=starts, linear=solved, found=best is not None, rows=rows, r_squared=r_squared)


def _scales(sketch: Sketch, problem: Problem) -> list[Scale]:
    """Return where each free parameter is sought, from the ranges of the columns."""
    import numpy as np

    if problem.rows is None:
        raise AssertionError("a formula has rows")
    columns = {str(name): np.asarray(column) for name, column in problem.rows.inputs.items() if isinstance(name, str)}
    left = sketch.equation.target
    targets = sorted(left.names & set(sketch.columns))
    if len(targets) == 1 and targets[0] not in columns:
        # The target's own column where it is one; of log(y) the unit is a pure number, and y's range is never asked for.
        columns[targets[0]] = np.asarray(problem.rows.target)
    spans = {name: Span(low=float(c.min()), high=float(c.max())) for name, c in columns.items()}
    names = problem.layout.free
    units = implied_units(sketch.equation, names, list(spans))
    places = shifting(sketch.equation, names, list(spans))
    return [scale_of(units[name], spans, len(problem.rows), shifts=name in places) for name in names]


def _thinned(problem: Problem, most: int) -> Problem:
    """Return the problem over at most so many rows, evenly spaced."""
    import numpy as np

    rows = problem.rows
    if rows is None or len(rows) <= most:
        return problem
    index = np.unique(np.linspace(0, len(rows) - 1, most).astype(int))
    return replace(problem, rows=rows.take(index), total_weight=array(len(index), np.float64))


def _screen(problem: Problem, scales: list[Scale], linear: NDArray[np.bool_], generator: np.random.Generator) -> Matrix:
    """Return the best candidates that differ from each other, shape (at most PARENTS, free), best first."""
    import numpy as np

    if linear.all():
        points, squares = project(problem, np.zeros((1, len(scales))), linear)
        return points[np.isfinite(squares)]
    points, squares = project(problem, draw(scales, CANDIDATES, generator), linear)
    chosen = _different(points, squares, linear, PARENTS)
    points, squares = points[chosen], squares[chosen]
    for _ in range(ROUNDS if len(points) else 0):
        near = children(points, scales, CHILDREN, generator)
        solved, found = project(problem, near.reshape(-1, len(scales)), linear)
        # Each parent competes with its own children alone: the lowest valley at first sight may not be the deepest.
        families = np.concatenate([points[:, None], solved.reshape(near.shape)], axis=1)
        sums = np.concatenate([squares[:, None], found.reshape(near.shape[:2])], axis=1)
        best = np.argmin(sums, axis=1)
        points, squares = families[np.arange(len(best)), best], sums.min(axis=1)
    return points[np.argsort(squares, kind="stable")]


def _different(points: Matrix, squares: Vector, linear: NDArray[np.bool_], most: int) -> list[int]:
    """Return the best finite points, no two of which have all searched parameters within a tenth of each other."""
    import numpy as np

    chosen: list[int] = []
    order = [int(i) for i in np.argsort(squares, kind="stable") if np.isfinite(squares[i])]
    searched = points[:, ~linear]
    for index in order:
        others = searched[chosen]
        size = np.abs(others) + np.abs(searched[index])
        if not (np.abs(others - searched[index]) <= 0.05 * size).all(axis=1).any():
            chosen.append(index)
            if len(chosen) == most:
                break
    return chosen


def _polish(problem: Problem, points: Matrix, linear: NDArray[np.bool_], scales: list[Scale]) -> Vector | None:
    """Return the lowest point that lm reaches from the points, in heats; None if none of them is finite."""
    import numpy as np

    search = LevenbergMarquardt()
    states = [search.init(problem, point, SEED) for point in points]

    def handicapped(state: LeastSquaresState) -> float:
        excess = sum(float(scale.excess(value)) for scale, value in zip(scales, state.theta, strict=True))
        return state.point.sum_of_squares * (1 + PARSIMONY * excess)

    for many, steps in HEATS:
        running = [_walk(problem, search, state, steps) for state in states[:many]]
        states = sorted((state for state in running if state.point.finite), key=handicapped)
    if not states:
        return None
    best = min(states, key=lambda state: state.point.sum_of_squares)
    ties = [state for state in states if state.point.sum_of_squares <= best.point.sum_of_squares * (1 + TIE)]
    best = min(ties, key=handicapped)
    twin = naturally(problem, best.theta, linear, scales)
    again = _walk(problem, search, search.init(problem, array(twin, np.float64), SEED), HEATS[0][1])
    return again.theta if again.point.finite else best.theta


def _walk(problem: Problem, search: LevenbergMarquardt, state: LeastSquaresState, steps: int) -> LeastSquaresState:
    """Return the state after so many steps, or fewer where they no longer change the digits that are written."""
    for _ in range(steps if state.point.finite else 0):
        state = search.step(problem, state)
        if bool(state.measures.stalled) or float(state.measures.theta_change) < 10.0 ** -(DIGITS + 2):
            break
    return state


def _sum_of_squares(problem: Problem, theta: Vector) -> float:
    import numpy as np

    _, squares = project(problem, theta[None], np.zeros(len(theta), bool))
    return float(squares[0])


def _explained(problem: Problem, squares: float) -> float | None:
    import numpy as np

    if problem.rows is None:
        return None
    target = np.asarray(problem.rows.target)
    total = float(((target - target.mean()) ** 2).sum())
    return 1 - squares / total if total > 0 else None
