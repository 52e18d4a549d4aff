"""Standard errors and percentile intervals from the bootstrap, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeAlias

from fitkit.evidence import Evidence
from fitkit.problem import Problem
from fitkit.result import UncertaintySummary
from fitkit.run.goodness import predictions_at
from fitkit.run.told import values_by_name
from fitkit.uncertainty import Bootstrap
from fitkit.uncertainty.bootstrap import BootstrapSample, bootstrap
from fitkit.uncertainty.covariance import values_jacobian

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]

Intervals: TypeAlias = dict[str, tuple[float | None, float | None]]
Bars: TypeAlias = "tuple[UncertaintySummary, dict[str, float], Intervals, Matrix | None]"

ENOUGH = 0.95
"""Share of resamples that must converge for accurate errors: those that do not are not a random choice."""
TOO_FEW = 0.5


def bootstrap_bars(
    problem: Problem,
    theta: Vector,
    evidence: Evidence,
    settings: Bootstrap,
    unidentified: frozenset[str],
    seed: int,
    stop: Callable[[], bool],
) -> Bars:
    """Return how the bootstrap went, the standard errors, the intervals and the minima of the resamples, (resamples, free).

    Args:
        problem: the objective.
        theta: its minimum, shape (free,).
        evidence: the derivatives there; parameters held at a bound have no errors.
        settings: of the bootstrap.
        unidentified: free parameters without an error.
        seed: of the config.
        stop: asked between chunks of resamples.
    """
    import numpy as np

    predictions = predictions_at(problem, theta)
    found: BootstrapSample | str = "a pure objective has no observations"
    if len(theta) == 0:
        found = "no parameter is free"
    elif predictions is not None:
        found = bootstrap(problem, theta, predictions, settings, seed, stop)
    if isinstance(found, str):
        return _summary(settings, "unavailable", found, None), {}, {}, None
    converged = len(found.theta)
    words = f"{settings.method} bootstrap, {converged} of {found.resamples} resamples converged"
    if converged < max(2.0, TOO_FEW * found.resamples):
        return _summary(settings, "unavailable", words, converged), {}, {}, None
    free = problem.layout.coordinates
    lost = unidentified.union(name for name, held in zip(free, evidence.held, strict=True) if held)
    values = _values(problem, found.theta)
    errors, intervals = _spread(values, _without_error(problem, theta, lost), settings.level)
    caveats = _caveats(problem, settings, evidence, converged)
    if problem.reports_otherwise:
        names = tuple(errors)
        part = np.stack([values[name] for name in names], axis=1) if names else found.theta[:, :0]
    else:
        kept = [index for index, name in enumerate(free) if name not in lost]
        names, part = tuple(free[index] for index in kept), found.theta[:, kept]
    status: Literal["approximate", "accurate"] = "approximate" if caveats else "accurate"
    told = _summary(settings, status, "; ".join([words, *caveats]), converged, names, part)
    return told, errors, intervals, found.theta


def _spread(values: dict[str, Vector], lost: frozenset[str], level: float) -> tuple[dict[str, float], Intervals]:
    """Return standard deviations and percentiles of all parameters but the `lost` ones."""
    import numpy as np

    tail = 50 * (1 - level)
    errors: dict[str, float] = {}
    intervals: Intervals = {}
    for name, drawn in values.items():
        if name not in lost:
            errors[name] = float(np.std(drawn, ddof=1))
            low, high = np.percentile(drawn, [tail, 100 - tail])
            intervals[name] = (float(low), float(high))
    return errors, intervals


def _summary(
    settings: Bootstrap,
    status: Literal["accurate", "approximate", "unavailable"],
    message: str,
    converged: int | None,
    names: tuple[str, ...] = (),
    sample: Matrix | None = None,
) -> UncertaintySummary:
    import numpy as np

    correlation = None
    if sample is not None and names and (sample.std(axis=0) > 0).all():
        correlation = np.atleast_2d(np.corrcoef(sample, rowvar=False))
    return UncertaintySummary(
        kind=settings.kind,
        status=status,
        message=message,
        level=settings.level,
        names=names if correlation is not None else (),
        correlation=correlation,
        method=settings.method,
        resamples=settings.resamples,
        converged=converged,
    )


def _values(problem: Problem, sample: Matrix) -> dict[str, Vector]:
    """Return what is reported of every resample by name, shape (resamples,) each; arrays are left out."""
    import numpy as np

    each = [values_by_name(problem, theta) for theta in sample]
    return {name: np.array([values[name] for values in each]) for name in problem.reported_names}


def _without_error(problem: Problem, theta: Vector, lost: frozenset[str]) -> frozenset[str]:
    """Return the reported parameters that depend on nothing free, or on one of the `lost`."""
    import numpy as np

    touched = values_jacobian(problem, theta) != 0
    if problem.reports_otherwise:  # those that are lost have been found among the reported ones
        return lost | {
            name for name, moves in zip(problem.reported_names, touched.any(axis=1), strict=True) if not moves
        }
    bad = np.array([name in lost for name in problem.layout.coordinates], bool)
    found = touched[:, bad].any(axis=1) | ~touched.any(axis=1)
    return frozenset(name for name, is_lost in zip(problem.reported_names, found, strict=True) if is_lost)


def _caveats(problem: Problem, settings: Bootstrap, evidence: Evidence, converged: int) -> list[str]:
    caveats = []
    if converged < ENOUGH * settings.resamples:
        caveats.append("the others may be those that matter")
    if evidence.held.any():
        caveats.append("parameters at a bound have no errors")
    for name, penalty in (("l2", problem.regularization.l2), ("l1", problem.regularization.l1)):
        if penalty > 0:
            caveats.append(f"the bias of the {name} penalty is not counted")
    if problem.priors:
        caveats.append("priors are held, not drawn")
    return caveats
