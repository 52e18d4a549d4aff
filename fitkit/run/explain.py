"""Why a search found no minimum, from a look at the surroundings of the point where it ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from fitkit.backend import array
from fitkit.evidence import EXACT_UP_TO
from fitkit.evidence.endless import all_but_exact, heads_for_infinity
from fitkit.evidence.neighbours import Beside, around
from fitkit.evidence.smooth import objective_of
from fitkit.minimize import Search
from fitkit.optimizers.stopping import Reason
from fitkit.problem import Problem
from fitkit.result import Status
from fitkit.run.verdict import Verdict, listed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

ABOVE_ALL = 1e300
LONG = 100
"""Steps after which a parameter that is still moving outwards may be said to run away; before, it may come back."""


def explain(problem: Problem, search: Search, start: Vector, verdict: Verdict, predictions: Vector | None) -> Verdict:
    """Return the verdict with a better reason or sentence, where the surroundings of the last point tell one.

    Args:
        problem: what was minimised.
        search: where it ended.
        start: where the search began, shape (free,).
        verdict: what the derivatives say.
        predictions: at the last point, shape (rows,); None for a pure objective.
    """
    import numpy as np

    if verdict.reason is Reason.NOT_FINITE and search.steps == 0 and predictions is not None:
        return _not_finite(verdict, predictions)
    tail = verdict.status is Status.CONVERGED and all_but_exact(problem, search.final.loss)
    known = verdict.reason is Reason.RUNAWAY
    if known or not (tail or verdict.status is Status.NOT_CONVERGED) or not 0 < len(start) <= EXACT_UP_TO:
        return verdict
    objective = _within_constraints(problem)

    unsettled = {Reason.STALLED, Reason.SADDLE, Reason.NOT_IDENTIFIED}
    if tail or verdict.reason in unsettled or (verdict.reason is Reason.MAX_STEPS and search.steps >= LONG):
        with np.errstate(all="ignore"):  # farther out yet than where a search went astray
            away = heads_for_infinity(problem, start, search.theta, objective)
        if away.any():
            return _ran_away(tuple(name for name, far in zip(problem.layout.coordinates, away, strict=True) if far))
    if problem.constrained:  # beside an active constraint all is worse, which says nothing of the loss
        return verdict
    if verdict.reason is Reason.STALLED:
        return _stalled(problem, search, verdict, objective)
    if verdict.reason is Reason.NOT_IDENTIFIED:
        return _flat_here(problem, search, verdict, objective)
    return verdict


def _within_constraints(problem: Problem) -> Callable[[Vector], float]:
    """Return the objective, above all else where a constraint is broken."""
    from fitkit.constraints.feasibility import meets

    dtype = problem.lower.dtype

    def objective(point: Vector) -> float:
        if problem.constrained and not meets(problem, point):
            return ABOVE_ALL
        return float(objective_of.light(problem, array(point, dtype)))

    return objective


def _not_finite(verdict: Verdict, predictions: Vector) -> Verdict:
    """Return the verdict with what it is that is not finite: some of the predictions, or only what is made of them."""
    import numpy as np

    bad, rows = int(np.count_nonzero(~np.isfinite(predictions))), len(predictions)
    if bad == 0:
        what = "the predictions at the start are finite, but the loss or its slope overflows; rescale the data"
    else:
        what = f"at the start the prediction is not finite in {bad} of {rows} rows; choose another start or bounds"
    return replace(verdict, message=f"Diverged: {what}.")


def _ran_away(names: tuple[str, ...]) -> Verdict:
    message = (
        f"Not converged: {listed(names)} ran away from the start by orders of magnitude, and farther out the loss does "
        "not rise again; there is no minimum at a finite value."
    )
    return Verdict(status=Status.NOT_CONVERGED, reason=Reason.RUNAWAY, message=message)


def _stalled(problem: Problem, search: Search, verdict: Verdict, objective: Callable[[Vector], float]) -> Verdict:
    """Return the verdict with what hinders every step: a kink, or the edge of where the loss is a number."""
    found = around(problem, search.theta, search.largest, objective)
    kinks, edges = (
        tuple(name for name, seen in zip(problem.layout.coordinates, found, strict=True) if seen is kind)
        for kind in (Beside.KINK, Beside.EDGE)
    )
    if kinks and "kink" not in verdict.message:
        more = f"the loss has a kink or a jump at this {listed(kinks)}, where derivatives say nothing"
    elif level := _level(problem, search, objective):
        more = f"the loss does not change with {listed(level)} here: try another start, or multistart"
    elif edges:
        more = f"beside this {listed(edges)} the loss is not finite; bounds can keep the search from there"
    else:
        return verdict
    return replace(verdict, message=f"{verdict.message.removesuffix('.')}; {more}.")


def _level(problem: Problem, search: Search, objective: Callable[[Vector], float]) -> tuple[str, ...]:
    """Return the parameters that may move by a tenth of themselves to both sides without any change, as on a plateau."""
    import numpy as np

    value, size = objective(search.theta), np.where(search.largest > 0, search.largest, 1.0)
    lower, upper = np.asarray(problem.lower, np.float64), np.asarray(problem.upper, np.float64)
    points = (
        [np.clip(search.theta + share * move, lower, upper) for share in (-0.1, -1e-3, 1e-3, 0.1)]
        for move in np.diag(size)
    )
    return tuple(
        name
        for name, beside in zip(problem.layout.coordinates, points, strict=True)
        if all(objective(point) == value for point in beside)
    )


def _flat_here(problem: Problem, search: Search, verdict: Verdict, objective: Callable[[Vector], float]) -> Verdict:
    """Return the verdict with a hint, where the loss is level here and not elsewhere: a tail, or a step function."""
    import numpy as np

    value = objective(search.theta)
    size = np.where(search.largest > 0, search.largest, 1.0)
    lower, upper = np.asarray(problem.lower, np.float64), np.asarray(problem.upper, np.float64)
    for name, axis in zip(problem.layout.coordinates, np.eye(len(size)), strict=True):
        if not any(taken in verdict.message for taken in (f"with {name};", f"with {name}.")):
            continue
        for share in (-1.0, -0.5, 0.5, 1.0):
            if objective(np.clip(search.theta + share * size * axis, lower, upper)) != value:
                more = "though it does farther away: try another start, or multistart"
                return replace(verdict, message=f"{verdict.message.removesuffix('.')} here, {more}.")
    return verdict
