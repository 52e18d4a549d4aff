"""Confidence bands of the mean and prediction bands of new targets, row by row.

With f(theta) a row's prediction on the scale of the model (the log rate or the logit, under such a link), j its gradient and
C = H H' the covariance of theta,

    se² = j' C j = |H' j|²,            H' j by derivatives along the columns of H: no Jacobian is ever formed;
    confidence band   m(f - q se) to m(f + q se),  m the inverse of the link, so that a band of rates or chances stays one;
    prediction band   m(f) -+ q sqrt((m'(f) se)² + s² v / w),  v the variance of a target by its loss, w the row's weight,

with q the quantile of Student's t where the residuals tell s², of the normal distribution elsewhere. From resamples the
confidence band is between the percentiles of their predictions, and se is their standard deviation. Both bands are cut to
what targets can be.

Reference: G. A. F. Seber and C. J. Wild, Nonlinear Regression, Wiley 1989, section 5.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, final

from fitkit.backend import array, jax, jnp, kernel, lax
from fitkit.losses.mse import MeanSquaredError
from fitkit.optimizers.least_squares import LeastSquares
from fitkit.problem import Problem, RowData
from fitkit.types import Rows, Theta
from fitkit.uncertainty.intervals import two_sided_quantile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]

CHUNK = 65_536
"""Rows worked on at a time."""
AT_ONCE = 2**23
"""Predictions of resamples that are held in memory, 64 MB."""
MOST_RESAMPLED = 2**28
"""Predictions of resamples that are worth their time; beyond, the resamples' covariance stands for them."""


@final
@dataclass(frozen=True, kw_only=True)
class NormalSpread:
    """Theta is normal about the minimum."""

    half: Matrix
    """H with H H' its covariance, shape (free, directions)."""
    dof: int | None
    """Degrees of freedom of its scale, None where that is known."""


@final
@dataclass(frozen=True, kw_only=True)
class ResampledSpread:
    """Theta is spread as the minima of resamples are."""

    theta: Matrix
    """Shape (resamples, free)."""
    dof: int | None
    """Degrees of freedom of the residuals' scale, None where that is known."""


Spread: TypeAlias = "NormalSpread | ResampledSpread"


@final
@dataclass(frozen=True, kw_only=True)
class Bands:
    """The prediction of each row with its bands, on the scale of the target, shape (rows,) each."""

    prediction: Vector
    confidence_lower: Vector
    confidence_upper: Vector
    prediction_lower: Vector | None
    """None where the scatter of a new target is not known."""
    prediction_upper: Vector | None

    @property
    def ends(self) -> dict[str, Vector]:
        """The ends that there are, by the names of their columns in tables of predictions."""
        names = ("confidence_lower", "confidence_upper", "prediction_lower", "prediction_upper")
        found: dict[str, Vector | None] = {name: getattr(self, name) for name in names}
        return {name: end for name, end in found.items() if end is not None}


class _Part(NamedTuple):
    """Rows, on the scale of the target, shape (rows,) each."""

    center: Vector
    lower: Vector
    upper: Vector
    deviation: Vector
    """The standard error of the center."""
    variance: Vector
    """Of a target of weight one, in units of s²."""


def bands(
    problem: Problem, theta: Vector, spread: Spread, *, level: float, residual_variance: float | None = None
) -> Bands:
    """Return the bands of the rows of a problem: those of the fit, or new ones given by `problem.with_rows`.

    Args:
        problem: with a model, a loss and rows, whose targets do not matter.
        theta: the minimum of the fit, shape (free,).
        spread: how theta scatters about it.
        level: the probability that each row's band, by itself, is to cover with.
        residual_variance: s², see `fitkit.uncertainty.covariance.residual_variance`; None for no prediction bands.
    """
    import numpy as np

    if problem.rows is None or problem.loss is None:
        raise AssertionError("bands need rows")
    quantile = two_sided_quantile(level, spread.dof)
    found = _joined(_parts(problem, theta, _settled(spread, len(problem.rows)), level, quantile), len(problem.rows))
    low = high = None
    if residual_variance is not None and scatters(problem):
        scatter = residual_variance * found.variance / np.asarray(problem.rows.weight, np.float64)
        reach = quantile * np.sqrt(found.deviation**2 + scatter)
        low, high = found.center - reach, found.center + reach
    rule = problem.loss.target_rule
    ends = (-np.inf, np.inf) if rule is None else (rule.minimum, rule.maximum)
    return Bands(
        prediction=found.center,
        confidence_lower=np.clip(found.lower, *ends),
        confidence_upper=np.clip(found.upper, *ends),
        prediction_lower=None if low is None else np.clip(low, *ends),
        prediction_upper=None if high is None else np.clip(high, *ends),
    )


def scatters(problem: Problem) -> bool:
    """Return whether the loss says how new targets scatter about their prediction."""
    if problem.rows is None or problem.loss is None:
        return False
    return problem.loss.scatter == "known" or (problem.loss.scatter == "by_sigma" and problem.rows.sigma is not None)


# -- chunk by chunk -----------------------------------------------------------------------------------------------------------


def _settled(spread: Spread, rows: int) -> Spread:
    """Return the spread by which so many rows are worth their time."""
    import numpy as np

    if isinstance(spread, NormalSpread) or len(spread.theta) * rows <= MOST_RESAMPLED:
        return spread
    centered = spread.theta - spread.theta.mean(axis=0)
    return NormalSpread(half=centered.T / np.sqrt(len(centered) - 1), dof=spread.dof)


def _parts(problem: Problem, theta: Vector, spread: Spread, level: float, quantile: float) -> Iterator[_Part]:
    import numpy as np

    rows = problem.rows
    if rows is None:
        raise AssertionError("bands need rows")
    if isinstance(spread, ResampledSpread):
        yield from _resampled_parts(problem, theta, spread.theta, level)
    elif isinstance(problem.loss, MeanSquaredError):
        yield from _squared_parts(problem, theta, spread.half, quantile)
    else:
        dtype = problem.lower.dtype
        point, half, reach = array(theta, dtype), array(spread.half.T, dtype), array(quantile, dtype)
        for part in rows.chunks(CHUNK):
            numbers = _along_links.for_work(len(part) * len(theta))(problem, point, half, reach, part)
            yield _Part(*(np.asarray(column, np.float64) for column in numbers))


def _joined(parts: Iterator[_Part], rows: int) -> _Part:
    """Return the parts as one, without what the last was filled up with."""
    import numpy as np

    columns = zip(*parts, strict=True)
    return _Part(*(np.concatenate(column)[:rows] for column in columns))


def _squared_parts(problem: Problem, theta: Vector, half: Matrix, quantile: float) -> Iterator[_Part]:
    """Yield the bands of least squares by the program of its search, whose residuals are predictions but for a factor."""
    import numpy as np

    search = LeastSquares(problem)
    for rows, expansion in zip(search.chunks(), search.expansions(theta), strict=True):
        weight = np.asarray(rows.weight, np.float64)
        sigma = np.ones_like(weight) if rows.sigma is None else np.asarray(rows.sigma, np.float64)
        slopes = np.asarray(expansion.columns, np.float64)[: len(theta)]
        center = np.asarray(expansion.predictions, np.float64)
        with np.errstate(all="ignore"):  # rows that fill up a chunk have weight zero
            unit = sigma * np.sqrt(float(problem.total_weight) / weight)
            deviation = unit * np.sqrt(np.sum((half.T @ slopes) ** 2, axis=0))
            yield _Part(center, center - quantile * deviation, center + quantile * deviation, deviation, sigma**2)


@kernel()
def _along_links(
    problem: Problem, theta: Theta, half: jax.Array, quantile: jax.Array, rows: RowData
) -> tuple[Rows, Rows, Rows, Rows, Rows]:
    """Return the numbers of a `_Part`; `half` is H', shape (directions, free)."""
    loss = problem.loss
    if loss is None:
        raise AssertionError("bands need a loss")

    def predicted(point: Theta) -> Rows:
        return problem.fitted(point, rows).prediction

    def add(total: Rows, direction: Theta) -> tuple[Rows, None]:
        change: Rows = jax.jvp(predicted, (theta,), (direction,))[1]
        return total + change**2, None

    fitted = problem.fitted(theta, rows)
    squares, _ = lax.scan(add, jnp.zeros_like(fitted.prediction), half)
    deviation = jnp.sqrt(squares)
    center, slope = jax.jvp(loss.mean, (fitted.prediction,), (jnp.ones_like(fitted.prediction),))
    lower = loss.mean(fitted.prediction - quantile * deviation)
    upper = loss.mean(fitted.prediction + quantile * deviation)
    return center, lower, upper, jnp.abs(slope) * deviation, loss.variance(fitted)


def _resampled_parts(problem: Problem, theta: Vector, sample: Matrix, level: float) -> Iterator[_Part]:
    import numpy as np

    rows, dtype, tail = problem.rows, problem.lower.dtype, 50 * (1 - level)
    if rows is None:
        raise AssertionError("bands need rows")
    point, points = array(theta, dtype), array(sample, dtype)
    size = max(1, min(CHUNK, AT_ONCE // len(sample)))
    for part in rows.chunks(size):
        work = len(part) * sample.size
        center, drawn, variance = _of_resamples.for_work(work)(problem, point, points, part)
        predictions = np.asarray(drawn, np.float64)
        low, high = np.percentile(predictions, [tail, 100 - tail], axis=0)
        deviation = predictions.std(axis=0, ddof=1)
        yield _Part(np.asarray(center, np.float64), low, high, deviation, np.asarray(variance, np.float64))


@kernel()
def _of_resamples(problem: Problem, theta: Theta, sample: jax.Array, rows: RowData) -> tuple[Rows, jax.Array, Rows]:
    """Return the rows' predictions, those by every resample, shape (resamples, rows), and the variances of targets."""
    loss = problem.loss
    if loss is None:
        raise AssertionError("bands need a loss")

    def predicted(point: Theta) -> Rows:
        return loss.mean(problem.fitted(point, rows).prediction)

    fitted = problem.fitted(theta, rows)
    drawn: jax.Array = jax.vmap(predicted)(sample)
    return loss.mean(fitted.prediction), drawn, loss.variance(fitted)
