"""Minimization: one loop walks an optimizer's points, asks the stop rule, and writes down rows.

On the host a step at a time, in compiled blocks of steps otherwise; between them the host looks at signals and the clock,
so nothing ever calls back out of compiled code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fitkit.minimize.continuation import walk_by_continuation
from fitkit.minimize.in_blocks import walk_in_blocks
from fitkit.minimize.on_host import walk_on_host
from fitkit.minimize.search import HistoryRow, Search, Watch
from fitkit.optimizers.base import Optimizer
from fitkit.optimizers.first_order import FirstOrder
from fitkit.optimizers.stopping import Stopping, StopRule
from fitkit.problem import Problem, register_component, register_pytrees

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["HistoryRow", "Search", "Watch", "minimize", "stop_rule"]


def stop_rule(optimizer: Optimizer, stopping: Stopping) -> StopRule:
    """Return the numbers to stop by; with `epochs`, a tolerance counts only if it is written."""
    epochs = optimizer.epochs if isinstance(optimizer, FirstOrder) else None

    def tolerance(written: float | None, default: float) -> float:
        if written is not None:
            return written
        return -1.0 if epochs is not None else default

    most = stopping.max_steps
    return StopRule(
        gtol=tolerance(stopping.gtol, optimizer.default_gtol),
        ftol=tolerance(stopping.ftol, optimizer.default_ftol),
        xtol=tolerance(stopping.xtol, optimizer.default_xtol),
        max_steps=most if most is not None else max(optimizer.default_max_steps, epochs or 0),
        epochs=-1 if epochs is None else epochs,
        patience=-1 if stopping.patience is None else stopping.patience,
    )


def minimize(
    problem: Problem,
    optimizer: Optimizer,
    stopping: Stopping,
    theta: NDArray[np.float64],
    *,
    seed: int = 0,
    watch: Watch,
) -> Search:
    """Return where `optimizer` leads from theta, shape (free,).

    Raises:
        ShapeMismatchError: the model does not return one number per row.
    """
    register_pytrees()
    register_component(type(optimizer))
    walk = walk_on_host if optimizer.on_host else walk_in_blocks
    if not problem.smooth and not isinstance(optimizer, FirstOrder):
        walk = walk_by_continuation
    return walk(problem, optimizer, stop_rule(optimizer, stopping), stopping, theta, seed, watch)
