"""The bootstrap: the same fit to many data sets that might have been, all in one batch.

    case        rows drawn with replacement, as weights: a row that is drawn twice counts twice
    residual    target = prediction + scale e, with e drawn from the fit's residuals in units of their scale (sigma, or one
                over the root of the weight), centred (but for quantiles), and enlarged by sqrt(n / dof) for what the fit
                has taken up
    parametric  the target drawn from the distribution that the loss stands for, around the prediction

Each resample has a generator of its own, seeded by the config's seed and its number, so that chunks, rounds and more
resamples change none.

References: B. Efron and R. J. Tibshirani, An Introduction to the Bootstrap, Chapman and Hall 1993, sections 6.2, 9.4 and
13.3; A. C. Davison and D. V. Hinkley, Bootstrap Methods and Their Application, Cambridge 1997, section 6.2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, final

from fitkit.batched import Lanes, solver_for
from fitkit.losses import KinkedLoss
from fitkit.losses.binary_cross_entropy import BinaryCrossEntropy
from fitkit.losses.poisson import Poisson
from fitkit.problem import Problem
from fitkit.uncertainty.covariance import degrees_of_freedom
from fitkit.uncertainty.settings import Bootstrap

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]
    Mask = NDArray[np.bool_]
    Index = NDArray[np.intp]

Resample: TypeAlias = "Callable[[np.random.Generator], Vector]"
"""From a generator to the weights or the targets of a resample, shape (rows,)."""

NEARBY = 1e-3
"""The damping of the first step: the minima of resamples are near that of the data."""


@final
@dataclass(frozen=True, kw_only=True)
class BootstrapSample:
    """The minima of the resamples."""

    theta: Matrix
    """Of those that converged, shape (converged, free)."""
    resamples: int


def bootstrap(
    problem: Problem, theta: Vector, predictions: Vector, settings: Bootstrap, seed: int, stop: Callable[[], bool]
) -> BootstrapSample | str:
    """Return the minima of the resamples, or why there are none.

    Args:
        problem: with rows.
        theta: its minimum, shape (free,).
        predictions: there, on the scale of the target, shape (rows,).
        settings: how many resamples, and how they are drawn.
        seed: of the config.
        stop: asked between chunks of resamples.
    """
    import numpy as np

    resample = _resample(problem, predictions, settings.method)
    if isinstance(resample, str):
        return resample

    def draw(index: Index) -> tuple[Matrix | None, Matrix | None]:
        drawn = np.stack([resample(np.random.default_rng([seed, int(number)])) for number in index])
        return (None, drawn) if settings.method == "case" else (drawn, None)

    lanes = Lanes(theta=np.tile(theta, (settings.resamples, 1)), draw=draw)
    solved = solver_for(problem)(problem, lanes, damping=NEARBY, stop=stop)
    if stop():
        return "interrupted"
    return BootstrapSample(theta=solved.theta[solved.converged & solved.determined], resamples=settings.resamples)


def _resample(problem: Problem, predictions: Vector, method: str) -> Resample | str:
    """Return how one resample is drawn, or why none can be."""
    import numpy as np

    rows = problem.rows
    if rows is None:
        return "a pure objective has no observations"
    weight, target = np.asarray(rows.weight, np.float64), np.asarray(rows.target, np.float64)
    count = len(weight)
    if method == "case":
        return lambda random: weight * random.multinomial(count, np.full(count, 1 / count))
    if method == "parametric" and isinstance(problem.loss, Poisson):
        return lambda random: random.poisson(weight * predictions) / weight
    if method == "parametric" and isinstance(problem.loss, BinaryCrossEntropy):
        trials = np.maximum(1, np.rint(weight)).astype(int)
        return lambda random: random.binomial(trials, np.clip(predictions, 0, 1)) / trials
    scale = 1 / np.sqrt(weight) if rows.sigma is None else np.asarray(rows.sigma, np.float64)
    residuals = (target - predictions) / scale
    dof = degrees_of_freedom(problem) or 0
    if dof <= 0 and (method == "residual" or rows.sigma is None):
        return "there are no degrees of freedom left to tell the scatter from"
    if method == "residual":
        # A quantile of the residuals is zero by the fit itself, where a loss has kinks, and their mean need not be.
        middle = 0.0 if isinstance(problem.loss, KinkedLoss) else residuals.mean()
        pool = (residuals - middle) * np.sqrt(count / dof)
        return lambda random: predictions + scale * random.choice(pool, count)
    spread = np.sqrt(residuals @ residuals / dof) if rows.sigma is None else 1.0
    return lambda random: predictions + scale * spread * random.standard_normal(count)
