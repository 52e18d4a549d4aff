"""Error bars by name: the covariance of theta propagated to every parameter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, final

from fitkit.evidence import Evidence
from fitkit.minimize import Search
from fitkit.problem import Problem
from fitkit.result import Status, UncertaintySummary
from fitkit.run.row_bands import bands_told
from fitkit.run.told import names_of_directions, values_by_name
from fitkit.run.verdict import Verdict
from fitkit.uncertainty import Bootstrap, Covariance, Profile, Uncertainty
from fitkit.uncertainty.bands import NormalSpread, ResampledSpread, Spread
from fitkit.uncertainty.covariance import (
    DEFAULT,
    CovarianceEstimate,
    degrees_of_freedom,
    estimate_covariance,
    residual_variance,
    scale_from_residuals,
    values_jacobian,
)
from fitkit.uncertainty.intervals import two_sided_quantile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]


@final
@dataclass(frozen=True, kw_only=True)
class ErrorBars:
    """Standard errors and intervals by name, and how they were made."""

    summary: UncertaintySummary
    errors: dict[str, float]
    intervals: dict[str, tuple[float | None, float | None]]
    unidentified: frozenset[str]
    spread: Spread | None = None
    """Of theta, for the bands of the rows."""


def error_bars(
    problem: Problem,
    search: Search,
    evidence: Evidence,
    uncertainty: Uncertainty,
    verdict: Verdict,
    *,
    seed: int,
    stop: Callable[[], bool],
) -> ErrorBars:
    """Return the error bars of a converged fit, or why there are none, and which bands of the rows follow.

    Args:
        problem: the objective.
        search: that ended in theta.
        evidence: the derivatives there.
        uncertainty: what the config asks for.
        verdict: on the search.
        seed: of resamples.
        stop: asked in what takes long.
    """
    bars = _error_bars(problem, search, evidence, uncertainty, verdict, seed=seed, stop=stop)
    return replace(bars, summary=replace(bars.summary, bands=bands_told(problem, bars.spread, bars.summary)))


def _error_bars(
    problem: Problem,
    search: Search,
    evidence: Evidence,
    uncertainty: Uncertainty,
    verdict: Verdict,
    *,
    seed: int,
    stop: Callable[[], bool],
) -> ErrorBars:
    theta = search.theta
    if not isinstance(uncertainty, Covariance | Profile | Bootstrap):
        return _without(uncertainty.kind, "none were asked for", None)
    if problem.trained and problem.model is not None:
        why = f"the weights of the model `{problem.model.kind}` are not determined one by one"
        return _without(uncertainty.kind, why, uncertainty.level)
    estimate = None
    if verdict.status is Status.CONVERGED or len(evidence.flat):
        asked = uncertainty if isinstance(uncertainty, Covariance) else DEFAULT
        estimate = estimate_covariance(problem, theta, evidence, asked)
    unidentified: frozenset[str] = frozenset()
    if estimate is not None:
        unidentified = unidentified.union(*names_of_directions(problem, theta, evidence.flat))
    if verdict.status is not Status.CONVERGED or estimate is None:
        return _without(uncertainty.kind, "the fit has not converged", uncertainty.level, unidentified)
    if isinstance(uncertainty, Bootstrap):
        from fitkit.run.bootstrap_bars import bootstrap_bars

        told, errors, intervals, sample = bootstrap_bars(
            problem, theta, evidence, uncertainty, unidentified, seed, stop
        )
        dof = degrees_of_freedom(problem) if scale_from_residuals(problem) else None
        spread = None if sample is None else ResampledSpread(theta=sample, dof=dof)
        told = replace(told, residual_variance=residual_variance(problem, search.final.loss))
        return ErrorBars(summary=told, errors=errors, intervals=intervals, unidentified=unidentified, spread=spread)
    if estimate.matrix is None:
        bars = _without(uncertainty.kind, estimate.message, uncertainty.level, unidentified)
    else:
        bars = _with(problem, theta, estimate, estimate.matrix, uncertainty, unidentified)
    if isinstance(uncertainty, Profile):
        from fitkit.run.profile_intervals import profile_intervals

        summary, intervals = profile_intervals(problem, search, evidence, bars.summary, unidentified, stop)
        return replace(bars, summary=summary, intervals=intervals)
    return bars


def _without(kind: str, why: str, level: float | None, unidentified: frozenset[str] = frozenset()) -> ErrorBars:
    summary = UncertaintySummary(kind=kind, status="unavailable", message=why, level=level)
    return ErrorBars(summary=summary, errors={}, intervals={}, unidentified=unidentified)


def _with(
    problem: Problem,
    theta: Vector,
    estimate: CovarianceEstimate,
    matrix: Matrix,
    uncertainty: Covariance | Profile,
    unidentified: frozenset[str],
) -> ErrorBars:
    """Propagate the covariance of theta to all parameters: free, searched in their logarithm, and tied."""
    import numpy as np

    layout = problem.layout
    known = np.isfinite(matrix.diagonal())
    all_known = bool(known.all())
    filled = matrix if all_known else np.where(np.outer(known, known), matrix, 0.0)
    if layout.logarithmic or layout.tied or layout.shapes or problem.reports_otherwise:
        jacobian = values_jacobian(problem, theta)
        # A parameter that depends on one without an error has none either.
        determined = (jacobian != 0).any(axis=1)
        if not all_known:
            determined &= ~(jacobian[:, ~known] != 0).any(axis=1)
        deviations = np.sqrt(((jacobian @ filled) * jacobian).sum(axis=1)).tolist()
        told = zip(problem.reported_names, deviations, determined.tolist(), strict=True)
    else:  # as mostly: theta is what is reported
        told = zip(layout.free, np.sqrt(filled.diagonal()).tolist(), known.tolist(), strict=True)
    errors = {name: error for name, error, is_determined in told if is_determined}
    quantile = two_sided_quantile(uncertainty.level, estimate.dof)
    values = values_by_name(problem, theta)
    intervals: dict[str, tuple[float | None, float | None]] = {}
    for name, error in errors.items():
        value = values[name]
        if name in layout.logarithmic:
            factor = float(np.exp(quantile * error / value))
            intervals[name] = (value / factor, value * factor)
        else:
            intervals[name] = (value - quantile * error, value + quantile * error)
    if problem.reports_otherwise:
        names = tuple(errors)
        part = (jacobian @ filled @ jacobian.T)[np.ix_(determined, determined)]
    elif all_known:
        names, part = layout.coordinates, filled
    else:
        names = tuple(name for name, is_known in zip(layout.coordinates, known, strict=True) if is_known)
        part = filled[np.ix_(known, known)]
    scale = np.sqrt(part.diagonal())
    summary = UncertaintySummary(
        kind=uncertainty.kind,
        status=estimate.status,
        message=estimate.message,
        level=uncertainty.level,
        names=names,
        correlation=part / (scale[:, None] * scale),
        residual_variance=estimate.residual_variance,
    )
    spread = None if estimate.half is None else NormalSpread(half=estimate.half, dof=estimate.dof)
    return ErrorBars(summary=summary, errors=errors, intervals=intervals, unidentified=unidentified, spread=spread)
