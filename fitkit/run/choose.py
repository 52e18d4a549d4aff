"""The choice of an optimizer for a problem, with its reason."""

from __future__ import annotations

from fitkit.optimizers import Automatic, Optimizer
from fitkit.optimizers.lbfgs import LimitedMemoryBFGS
from fitkit.optimizers.lm import LevenbergMarquardt
from fitkit.problem import Problem


def choose(wanted: Optimizer | Automatic, problem: Problem) -> tuple[Optimizer, str | None]:
    """Return the optimizer and, where fitkit chose it, why."""
    if not isinstance(wanted, Automatic):
        return wanted, None
    if problem.least_squares:
        return LevenbergMarquardt(), "a smooth loss of residuals"
    return LimitedMemoryBFGS(), "a smooth objective that is not a sum of squared residuals"
