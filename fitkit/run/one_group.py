"""One group of many fitted by itself: the search, the verdict and the error bars of `train`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from fitkit.grouped import Alone
from fitkit.minimize import Watch, minimize
from fitkit.optimizers import Automatic, Optimizer, Stopping
from fitkit.problem import Problem
from fitkit.run.choose import choose
from fitkit.run.conclude import judge
from fitkit.run.error_bars import error_bars
from fitkit.run.told import values_by_name
from fitkit.uncertainty import Uncertainty

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]


def single_fitter(
    optimizer: Optimizer | Automatic,
    stopping: Stopping,
    uncertainty: Uncertainty,
    *,
    seed: int = 0,
    interrupted: Callable[[], bool] = lambda: False,
) -> Callable[[Problem, Vector], Alone]:
    """Return what fits the problem of one group from its start, shape (free,), as a config says."""

    def fit(problem: Problem, start: Vector) -> Alone:
        return _fit(problem, start, choose(optimizer, problem)[0], stopping, uncertainty, seed, interrupted)

    return fit


def _fit(
    problem: Problem,
    start: Vector,
    optimizer: Optimizer,
    stopping: Stopping,
    uncertainty: Uncertainty,
    seed: int,
    interrupted: Callable[[], bool],
) -> Alone:
    import numpy as np

    search = minimize(problem, optimizer, stopping, start, seed=seed, watch=Watch(interrupted=interrupted))
    judged = judge(problem, start, search, optimizer, stopping)
    evidence, verdict = judged.evidence, judged.verdict
    bars = error_bars(problem, search, evidence, uncertainty, verdict, seed=seed, stop=interrupted)
    values, names = values_by_name(problem, search.theta), problem.reported_names
    return Alone(
        theta=search.theta,
        values=np.array([float(values[name]) for name in names]),
        errors=np.array([bars.errors.get(name, np.nan) for name in names]),
        loss=search.final.loss,
        reason=verdict.reason,
        message=verdict.message,
        steps=search.steps,
        evaluations=search.evaluations,
        at_bound=evidence.held,
        unidentified=np.array([name in bars.unidentified for name in names], bool),
        move=evidence.newton_step,
    )
