"""Intervals from likelihood profiles, by name."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from fitkit.evidence import Evidence
from fitkit.minimize import Search
from fitkit.problem import Problem
from fitkit.result import UncertaintySummary
from fitkit.uncertainty.deviance import deviance_at
from fitkit.uncertainty.profile import ProfileEstimate, profile

Intervals: TypeAlias = dict[str, tuple[float | None, float | None]]


def profile_intervals(
    problem: Problem,
    search: Search,
    evidence: Evidence,
    summary: UncertaintySummary,
    unidentified: frozenset[str],
    stop: Callable[[], bool],
) -> tuple[UncertaintySummary, Intervals]:
    """Return how the profiles went and the intervals of the free parameters; tied ones have none.

    Args:
        problem: the objective.
        search: that ended in its minimum.
        evidence: the derivatives there.
        summary: of the standard errors, from the covariance.
        unidentified: free parameters without an interval.
        stop: asked between refits.
    """
    deviance = deviance_at(problem, search.final.loss)
    reason = deviance if isinstance(deviance, str) else None
    if len(search.theta) == 0:
        reason = "no parameter is free"
    if problem.reports_otherwise:
        reason = "the parameters of this model are computed from others; use covariance or bootstrap"
    if isinstance(deviance, str) or reason is not None:
        return replace(summary, status="unavailable", message=reason), {}
    free = problem.layout.coordinates
    wanted = tuple(index for index, name in enumerate(free) if name not in unidentified)
    found = profile(problem, search.theta, evidence, deviance, summary.level or 0.95, wanted, stop)
    if found is None or found.lowest is not None:
        why = "interrupted"
        if found is not None:
            why = f"a profile led to a lower loss, {found.lowest:.6g}: begin there, or use `multistart`"
        return replace(summary, status="unavailable", message=why), {}
    caveats = [*_profile_caveats(problem, evidence, found)]
    told = replace(
        summary,
        status="approximate" if caveats else "accurate",
        message="; ".join(
            [
                f"likelihood profiles, {deviance.words}",
                *_open_ends(free, found, tied=bool(problem.layout.tied)),
                *caveats,
            ]
        ),
    )
    logarithmic = problem.layout.logarithmic
    intervals = {
        free[index]: _ends(float(found.lower[index]), float(found.upper[index]), logarithmic=free[index] in logarithmic)
        for index in wanted
    }
    return told, intervals


def _ends(low: float, high: float, *, logarithmic: bool) -> tuple[float | None, float | None]:
    def end(value: float) -> float | None:
        return None if math.isnan(value) else math.exp(value) if logarithmic else value

    return end(low), end(high)


def _open_ends(free: tuple[str, ...], found: ProfileEstimate, *, tied: bool) -> list[str]:
    """Return why intervals lack an end."""
    said = []
    if tied:
        said.append("tied parameters have none")
    if found.cut:
        said.append(f"bounds end those of {', '.join(free[index] for index in found.cut)}")
    if found.endless:
        said.append(f"nothing ends those of {', '.join(free[index] for index in found.endless)} on a side")
    return said


def _profile_caveats(problem: Problem, evidence: Evidence, found: ProfileEstimate) -> list[str]:
    caveats = []
    if problem.regularization.l2 > 0:
        caveats.append("the l2 penalty is counted as curvature and its bias is not")
    if evidence.held.any():
        caveats.append("parameters at a bound are not spread as chi-square says")
    if found.unsure:
        names = ", ".join(problem.layout.coordinates[index] for index in found.unsure)
        caveats.append(f"refits for {names} did not converge")
    return caveats
