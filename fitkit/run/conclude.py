"""From a search to a result: the verdict, the parameter table, goodness of fit, error bars, and a colleague's warnings."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, final

from fitkit.backend import array, kernel
from fitkit.evidence import Evidence, assess
from fitkit.losses.mse import MeanSquaredError
from fitkit.minimize import Search, stop_rule
from fitkit.optimizers import Optimizer, Stopping
from fitkit.optimizers.first_order import FirstOrder
from fitkit.optimizers.least_squares import LeastSquares
from fitkit.problem import Problem
from fitkit.result import EvidenceSummary, FitSummary, FittedParameter, LossSummary, Status, UncertaintySummary
from fitkit.run.assemble import Assembled
from fitkit.run.verdict import Verdict, directions, judge_search
from fitkit.types import Rows, Theta
from fitkit.uncertainty import Covariance, Uncertainty
from fitkit.uncertainty.covariance import (
    TAKES_PART,
    CovarianceEstimate,
    degrees_of_freedom,
    estimate_covariance,
    values_jacobian,
)
from fitkit.uncertainty.intervals import two_sided_quantile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]

MOST_DIGITS = 16.0
STRONG = 0.999
"""Correlations above this are worth a warning."""


@kernel()
def _predictions(problem: Problem, theta: Theta) -> Rows:
    """Return predictions on the scale of the target, shape (rows,)."""
    if problem.rows is None or problem.loss is None:
        raise AssertionError("predictions need rows")
    return problem.loss.mean(problem.fitted(theta, problem.rows).prediction)


@final
@dataclass(frozen=True, kw_only=True)
class Conclusion:
    """The parts of a result that follow from the search."""

    verdict: Verdict
    parameters: dict[str, FittedParameter]
    loss: LossSummary
    fit: FitSummary
    evidence: EvidenceSummary
    uncertainty: UncertaintySummary
    warnings: tuple[str, ...]
    predictions: Vector | None


def conclude(
    assembled: Assembled, search: Search, optimizer: Optimizer, stopping: Stopping, uncertainty: Uncertainty
) -> Conclusion:
    """Return what is to be said of a search."""
    problem = assembled.problem
    evidence = assess(problem, search.theta, search.largest)
    flat = directions(evidence.flat, problem.layout.free, TAKES_PART)
    verdict = judge_search(
        search,
        evidence,
        stop_rule(optimizer, stopping),
        stopping,
        flat_names=flat,
        first_order=isinstance(optimizer, FirstOrder),
    )
    errors = _errors(problem, search.theta, evidence, uncertainty, verdict)
    predictions = _predicted(problem, search.theta)
    fit = _goodness(problem, predictions)
    return Conclusion(
        verdict=verdict,
        parameters=_parameter_table(assembled, search, evidence, errors, verdict),
        loss=LossSummary(
            kind="minimize" if problem.loss is None else problem.loss.kind,
            initial=number(search.history[0].loss),
            final=number(search.final.loss),
        ),
        fit=fit,
        evidence=EvidenceSummary(
            optimality=number(evidence.optimality),
            smallest_eigenvalue=number(evidence.smallest_eigenvalue),
            condition=number(evidence.condition),
            minimum=evidence.minimum,
            flat=flat,
        ),
        uncertainty=errors.summary,
        warnings=tuple(_warnings(assembled, fit, errors.summary)),
        predictions=predictions,
    )


def number(value: float | None) -> float | None:
    """Return the number, or None where it does not exist."""
    return None if value is None or not math.isfinite(value) else float(value)


# -- error bars -------------------------------------------------------------------------------------------------------------


@final
@dataclass(frozen=True, kw_only=True)
class _ErrorBars:
    """Standard errors and intervals by name, and how they were made."""

    summary: UncertaintySummary
    errors: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    unidentified: frozenset[str]


def _errors(
    problem: Problem, theta: Vector, evidence: Evidence, uncertainty: Uncertainty, verdict: Verdict
) -> _ErrorBars:
    free = problem.layout.free
    if not isinstance(uncertainty, Covariance):
        return _without(uncertainty.kind, "none were asked for", None)
    estimate = None
    if verdict.status is Status.CONVERGED or len(evidence.flat):
        estimate = estimate_covariance(problem, theta, evidence)
    unidentified = frozenset() if estimate is None else frozenset(
        name for name, lost in zip(free, estimate.unidentified, strict=True) if lost
    )  # fmt: skip
    if verdict.status is not Status.CONVERGED or estimate is None:
        return _without(uncertainty.kind, "the fit has not converged", uncertainty.level, unidentified)
    if estimate.matrix is None:
        return _without(uncertainty.kind, estimate.message, uncertainty.level, unidentified)
    return _with(problem, theta, estimate, estimate.matrix, uncertainty, unidentified)


def _without(kind: str, why: str, level: float | None, unidentified: frozenset[str] = frozenset()) -> _ErrorBars:
    summary = UncertaintySummary(kind=kind, status="unavailable", message=why, level=level)
    return _ErrorBars(summary=summary, errors={}, intervals={}, unidentified=unidentified)


def _with(
    problem: Problem,
    theta: Vector,
    estimate: CovarianceEstimate,
    matrix: Matrix,
    uncertainty: Covariance,
    unidentified: frozenset[str],
) -> _ErrorBars:
    """Propagate the covariance of theta to all parameters: free, searched in their logarithm, and tied."""
    import numpy as np

    layout = problem.layout
    jacobian = values_jacobian(problem, theta)
    known = np.isfinite(np.diag(matrix))
    filled = np.where(np.outer(known, known), matrix, 0.0)
    # A parameter that depends on one without an error has none either.
    determined = ~(jacobian[:, ~known] != 0).any(axis=1) & (jacobian != 0).any(axis=1)
    variances = np.einsum("ij,jk,ik->i", jacobian, filled, jacobian)
    quantile = two_sided_quantile(uncertainty.level, estimate.dof)
    values = _values(problem, theta)
    errors: dict[str, float] = {}
    intervals: dict[str, tuple[float, float]] = {}
    for index, name in enumerate(layout.names):
        if not determined[index]:
            continue
        errors[name] = error = float(np.sqrt(variances[index]))
        value = values[name]
        if name in layout.logarithmic:
            factor = float(np.exp(quantile * error / value))
            intervals[name] = (value / factor, value * factor)
        else:
            intervals[name] = (value - quantile * error, value + quantile * error)
    names = tuple(name for name, is_known in zip(layout.free, known, strict=True) if is_known)
    part = filled[np.ix_(known, known)]
    deviations = np.sqrt(np.diag(part))
    summary = UncertaintySummary(
        kind=uncertainty.kind,
        status=estimate.status,
        message=estimate.message,
        level=uncertainty.level,
        names=names,
        correlation=part / np.outer(deviations, deviations),
    )
    return _ErrorBars(summary=summary, errors=errors, intervals=intervals, unidentified=unidentified)


# -- the parameter table ----------------------------------------------------------------------------------------------------


def _values(problem: Problem, theta: Vector) -> dict[str, float]:
    """Return all parameters by name, computed on the host in float64 where nothing is tied."""
    import numpy as np

    from fitkit.expressions import to_numpy

    layout = problem.layout
    found: dict[Any, float] = {name: float(value) for name, value in problem.held.items()}
    for index, name in enumerate(layout.free):
        found[name] = float(np.exp(theta[index]) if name in layout.logarithmic else theta[index])
    for name, formula in layout.tied:
        found[name] = float(to_numpy(formula)(found))
    return {name: found[name] for name in layout.names}


def _digits(problem: Problem, theta: Vector, evidence: Evidence) -> dict[str, float]:
    """Return how many decimal digits of each free parameter are right: -log10 of its relative distance to the minimum."""
    import numpy as np

    distance = evidence.uncertainty_of_minimum
    if distance is None:
        return {}
    found = {}
    for index, name in enumerate(problem.layout.free):
        if evidence.held[index]:
            found[name] = MOST_DIGITS
        elif np.isfinite(distance[index]) and theta[index] != 0:
            share = distance[index] if name in problem.layout.logarithmic else distance[index] / abs(theta[index])
            found[name] = float(np.clip(-np.log10(max(share, 1e-300)), 0.0, MOST_DIGITS))
    return found


def _parameter_table(
    assembled: Assembled, search: Search, evidence: Evidence, errors: _ErrorBars, verdict: Verdict
) -> dict[str, FittedParameter]:
    layout = assembled.problem.layout
    converged = verdict.status is Status.CONVERGED
    digits = _digits(assembled.problem, search.theta, evidence) if converged else {}
    values, starts = _values(assembled.problem, search.theta), _values(assembled.problem, assembled.start)
    held = {name for name, is_held in zip(layout.free, evidence.held, strict=True) if is_held}
    table = {}
    for name, parameter in assembled.parameters.items():
        conditions: tuple[tuple[Literal["at_bound", "not_identified", "fixed", "tied", "unused"], bool], ...] = (
            ("at_bound", name in held),
            ("not_identified", name in errors.unidentified),
            ("fixed", parameter.fixed),
            ("tied", parameter.equals is not None),
            ("unused", name in assembled.unused),
        )
        table[name] = FittedParameter(
            value=values[name],
            error=number(errors.errors.get(name)),
            interval=errors.intervals.get(name),
            start=starts[name],
            min=parameter.min,
            max=parameter.max,
            fixed=parameter.fixed,
            tied=None if parameter.equals is None else parameter.equals.source,
            digits=0.0 if name in errors.unidentified and converged else digits.get(name),
            flags=tuple(flag for flag, holds in conditions if holds),
        )
    return table


# -- goodness of fit --------------------------------------------------------------------------------------------------------


def _predicted(problem: Problem, theta: Vector) -> Vector | None:
    import numpy as np

    if problem.rows is None:
        return None
    if problem.least_squares and len(theta) > 0:
        return LeastSquares(problem).predictions(theta)  # by the program that the search used
    point = array(theta, problem.lower.dtype)
    work = len(problem.rows) * max(1, len(theta))
    return np.asarray(_predictions.for_work(work)(problem, point), np.float64)


def _goodness(problem: Problem, predictions: Vector | None) -> FitSummary:
    import numpy as np

    free = len(problem.layout.free)
    rows = problem.rows
    if rows is None or predictions is None or problem.loss is None or problem.model is None:
        return FitSummary(rows=None, free_parameters=free)
    dof = degrees_of_freedom(problem)
    weight, target = np.asarray(rows.weight, np.float64), np.asarray(rows.target, np.float64)
    if problem.loss.likelihood:
        return FitSummary(rows=len(rows), free_parameters=free, dof=dof)
    with np.errstate(all="ignore"):
        rss = float(np.sum(weight * (target - predictions) ** 2))
        chi_square = None
        if rows.sigma is not None and isinstance(problem.loss, MeanSquaredError):
            chi_square = float(np.sum(((target - predictions) / np.asarray(rows.sigma, np.float64)) ** 2))
        mean = float(np.sum(weight * target) / np.sum(weight)) if problem.model.has_constant else 0.0
        total = float(np.sum(weight * (target - mean) ** 2))
    means_something = isinstance(problem.loss, MeanSquaredError) and total > 0
    return FitSummary(
        rows=len(rows),
        free_parameters=free,
        dof=dof,
        rss=number(rss),
        chi_square=number(chi_square),
        reduced_chi_square=number(chi_square / dof) if chi_square is not None and dof else None,
        r_squared=number(1 - rss / total) if means_something else None,
    )


# -- a colleague's warnings -------------------------------------------------------------------------------------------------


def _warnings(assembled: Assembled, fit: FitSummary, uncertainty: UncertaintySummary) -> list[str]:
    found = [
        f"parameter `{name}` is used by nothing and was held at its start"
        for name in assembled.parameters
        if name in assembled.unused
    ]
    if assembled.table is not None and assembled.table.dropped:
        found.append(f"{assembled.table.dropped} rows with missing entries were left out")
    if uncertainty.correlation is not None:
        found += _collinear(uncertainty.names, uncertainty.correlation)
    if fit.reduced_chi_square is not None and fit.dof:
        distance = (fit.reduced_chi_square - 1) * math.sqrt(fit.dof / 2)
        if distance > 4:
            found.append(
                f"the residuals are larger than sigma says: reduced chi-square {fit.reduced_chi_square:.3g}; "
                "sigma is too small, or the model is wrong"
            )
        elif distance < -4:
            found.append(f"the residuals are smaller than sigma says: reduced chi-square {fit.reduced_chi_square:.3g}")
    if str(assembled.problem.lower.dtype) == "float32":
        found.append("computed in float32: expect about 4 right digits")
    return found


def _collinear(names: tuple[str, ...], correlation: Any) -> list[str]:
    pairs = [
        (abs(float(correlation[i, j])), f"{names[i]} and {names[j]} ({correlation[i, j]:+.5f})")
        for i in range(len(names))
        for j in range(i)
        if abs(correlation[i, j]) > STRONG
    ]
    if not pairs:
        return []
    shown = ", ".join(text for _, text in sorted(pairs, reverse=True)[:3])
    more = f", and {len(pairs) - 3} more pairs" if len(pairs) > 3 else ""
    return [f"nearly collinear: {shown}{more}; the data hardly tell them apart"]
