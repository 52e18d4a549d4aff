"""One group fitted by itself, as `train` fits it: what a batch does not vouch for has the verdict of a single fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from fitkit.backend import array
from fitkit.config import Config
from fitkit.grouped import Alone
from fitkit.minimize import Watch, minimize
from fitkit.problem import Problem
from fitkit.run.choose import choose
from fitkit.run.conclude import judge
from fitkit.run.error_bars import error_bars

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]


def single_fit(config: Config, interrupted: Callable[[], bool]) -> Callable[[Problem, Vector], Alone]:
    """Return what fits the problem of one group from a start, shape (free,), as the config says."""

    def fit(problem: Problem, start: Vector) -> Alone:
        import numpy as np

        optimizer, _ = choose(config.optimizer, problem)
        watch = Watch(interrupted=interrupted)
        search = minimize(problem, optimizer, config.stopping, start, seed=config.seed, watch=watch)
        judged = judge(problem, start, search, optimizer, config.stopping)
        bars = error_bars(
            problem,
            search,
            judged.evidence,
            config.uncertainty,
            judged.verdict,
            seed=config.seed,
            stop=interrupted,
        )
        names = problem.reported_names
        return Alone(
            theta=search.theta,
            values=np.asarray(problem.reported(array(search.theta, problem.lower.dtype)), np.float64),
            errors=np.array([bars.errors.get(name, np.nan) for name in names]),
            loss=search.final.loss,
            reason=judged.verdict.reason,
            message=judged.verdict.message,
            steps=search.steps,
            evaluations=search.evaluations,
            at_bound=judged.evidence.held,
            unidentified=np.array([name in bars.unidentified for name in names], bool),
            move=judged.evidence.newton_step,
        )

    return fit
