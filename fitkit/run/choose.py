"""The choice of an optimizer for a problem, with its reason."""

from __future__ import annotations

from fitkit.config import ConfigSource
from fitkit.errors import ConfigError
from fitkit.optimizers import Automatic, Optimizer
from fitkit.optimizers.adam import Adam
from fitkit.optimizers.affordable import HOPELESS_BEYOND, affords_triangle
from fitkit.optimizers.curvature import DENSE_UP_TO
from fitkit.optimizers.lbfgs import LimitedMemoryBFGS
from fitkit.optimizers.lm import LevenbergMarquardt
from fitkit.optimizers.newton import Newton
from fitkit.problem import Problem

EPOCHS = 100
"""How many passes models that are trained get where the config does not say."""


def choose(wanted: Optimizer | Automatic, problem: Problem) -> tuple[Optimizer, str | None]:
    """Return the optimizer and, where fitkit chose it, why."""
    if not isinstance(wanted, Automatic):
        return wanted, None
    if problem.trained:
        size = None if problem.model is None or problem.rows is None else problem.model.batch
        few = size is None or problem.rows is None or len(problem.rows) <= size
        return Adam(batch_size=None if few else size, epochs=EPOCHS), "a model that is trained by passes over the rows"
    if not problem.smooth:
        return LimitedMemoryBFGS(), "an objective with kinks, which are rounded less and less"
    if problem.least_squares and not affords_triangle(problem):
        return (
            LimitedMemoryBFGS(),
            f"a loss of residuals with {problem.layout.size:,} parameters, too many to form its Jacobian",
        )
    if problem.least_squares:
        return LevenbergMarquardt(), "a smooth loss of residuals"
    if problem.layout.size <= DENSE_UP_TO:
        return Newton(), "a smooth objective that is not a sum of squared residuals"
    return LimitedMemoryBFGS(), f"a smooth objective of more than {DENSE_UP_TO} parameters"


def refuse_hopeless(source: ConfigSource, optimizer: Optimizer, problem: Problem) -> None:
    """Refuse a written `lm` where each of its steps would take very long.

    Raises:
        ConfigError: with the way out.
    """
    free = problem.layout.size
    if isinstance(optimizer, LevenbergMarquardt) and problem.least_squares and free > HOPELESS_BEYOND:
        message = f"`lm` decomposes the Jacobian of {free:,} parameters at each step, which would take very long"
        way_out = "use `lbfgs`, or leave the choice to fitkit with `auto`"
        raise ConfigError(source.diagnostic(("optimizer",), "E111", message, way_out, value=True))
