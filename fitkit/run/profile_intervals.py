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
from fitkit.uncertainty.profile_tied import TiedProfiles, profile_tied

Intervals: TypeAlias = dict[str, tuple[float | None, float | None]]

NOTHING_TIED = TiedProfiles(intervals={}, cut=(), endless=(), unsure=(), lowest=None)


def profile_intervals(
    problem: Problem,
    search: Search,
    evidence: Evidence,
    summary: UncertaintySummary,
    unidentified: frozenset[str],
    stop: Callable[[], bool],
) -> tuple[UncertaintySummary, Intervals]:
    """Return how the profiles went and the intervals of the free and the tied parameters.

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
        return _without(summary, None if found is None else found.lowest), {}
    caveats = [*_profile_caveats(problem, evidence, found)]
    level = summary.level or 0.95
    tied: TiedProfiles | None = NOTHING_TIED
    if problem.layout.tied:
        tied = profile_tied(problem, search.theta, evidence, deviance, level, wanted, stop)
    if tied is None or tied.lowest is not None:
        return _without(summary, None if tied is None else tied.lowest), {}
    if tied.unsure:
        caveats.append(f"the ends of {', '.join(tied.unsure)} were not found")
    told = replace(
        summary,
        status="approximate" if caveats else "accurate",
        message="; ".join(
            [
                f"likelihood profiles, {deviance.words}",
                *_open_ends(free, found, tied),
                *caveats,
            ]
        ),
    )
    logarithmic = problem.layout.logarithmic
    intervals = {
        free[index]: _ends(float(found.lower[index]), float(found.upper[index]), logarithmic=free[index] in logarithmic)
        for index in wanted
    }
    return told, intervals | tied.intervals


def _without(summary: UncertaintySummary, lowest: float | None) -> UncertaintySummary:
    """Return why there are no profiles: a refit found a lower minimum, or somebody said stop."""
    why = "interrupted"
    if lowest is not None:
        why = f"a profile led to a lower loss, {lowest:.6g}: begin there, or use `multistart`"
    return replace(summary, status="unavailable", message=why)


def _ends(low: float, high: float, *, logarithmic: bool) -> tuple[float | None, float | None]:
    def end(value: float) -> float | None:
        return None if math.isnan(value) else math.exp(value) if logarithmic else value

    return end(low), end(high)


def _open_ends(free: tuple[str, ...], found: ProfileEstimate, tied: TiedProfiles) -> list[str]:
    """Return why intervals lack an end."""
    said = []
    cut = [*(free[index] for index in found.cut), *tied.cut]
    if cut:
        said.append(f"bounds end those of {', '.join(cut)}")
    endless = [*(free[index] for index in found.endless), *tied.endless]
    if endless:
        said.append(f"nothing ends those of {', '.join(endless)} on a side")
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
