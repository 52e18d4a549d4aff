"""Standard errors and percentile intervals from the bootstrap, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from fitkit.evidence import Evidence
from fitkit.problem import Problem
from fitkit.result import UncertaintySummary
from fitkit.run.goodness import predictions_at
from fitkit.uncertainty import Bootstrap
from fitkit.uncertainty.bootstrap import BootstrapSample, bootstrap

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
    free = problem.layout.free
    lost = {name for name, held in zip(free, evidence.held, strict=True) if held} | unidentified
    errors, intervals = _spread(problem, found, lost, settings.level)
    caveats = _caveats(problem, settings, evidence, converged)
    kept = [index for index, name in enumerate(free) if name not in lost]
    names, part = tuple(free[index] for index in kept), found.theta[:, kept]
    status: Literal["approximate", "accurate"] = "approximate" if caveats else "accurate"
    told = _summary(settings, status, "; ".join([words, *caveats]), converged, names, part)
    return told, errors, intervals, found.theta


def _spread(
    problem: Problem, sample: BootstrapSample, lost: frozenset[str] | set[str], level: float
) -> tuple[dict[str, float], Intervals]:
    """Return standard deviations and percentiles of all parameters that follow from none of the `lost` ones."""
    import numpy as np

    tail = 50 * (1 - level)
    errors: dict[str, float] = {}
    intervals: Intervals = {}
    for name, values in _values(problem, sample.theta).items():
        origins = _origins(problem, name)
        if origins & set(problem.layout.free) and not origins & lost:
            errors[name] = float(np.std(values, ddof=1))
            low, high = np.percentile(values, [tail, 100 - tail])
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
    """Return all parameters of every resample by name, shape (resamples,) each."""
    import numpy as np

    from fitkit.expressions import to_numpy

    layout = problem.layout
    found: dict[Any, Any] = {name: np.full(len(sample), float(value)) for name, value in problem.held.items()}
    for index, name in enumerate(layout.free):
        found[name] = np.exp(sample[:, index]) if name in layout.logarithmic else sample[:, index]
    for name, formula in layout.tied:
        found[name] = np.broadcast_to(np.asarray(to_numpy(formula)(found), np.float64), len(sample))
    return {name: found[name] for name in layout.names}


def _origins(problem: Problem, name: str) -> frozenset[str]:
    """Return the parameters that a parameter is made of, itself included."""
    ties = dict(problem.layout.tied)
    if name not in ties:
        return frozenset({name})
    return frozenset({name}).union(*(_origins(problem, other) for other in ties[name].names if other != "pi"))


def _caveats(problem: Problem, settings: Bootstrap, evidence: Evidence, converged: int) -> list[str]:
    caveats = []
    if converged < ENOUGH * settings.resamples:
        caveats.append("the others may be those that matter")
    if evidence.held.any():
        caveats.append("parameters at a bound have no errors")
    if problem.regularization.l2 > 0:
        caveats.append("the bias of the l2 penalty is not counted")
    if problem.priors:
        caveats.append("priors are held, not drawn")
    return caveats
