"""Minimization: one loop walks an optimizer's points, asks the stop rule, and writes down rows.

On the host a step at a time, in compiled blocks of steps otherwise; between them the host looks at signals and the clock,
so nothing ever calls back out of compiled code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fitkit.minimize.in_blocks import walk_in_blocks
from fitkit.minimize.on_host import walk_on_host
from fitkit.minimize.search import HistoryRow, Search, Watch
from fitkit.optimizers.base import Optimizer, Solver
from fitkit.optimizers.first_order import FirstOrder
from fitkit.optimizers.pieces import register_pieces
from fitkit.optimizers.schedules import SCHEDULES
from fitkit.optimizers.stopping import Stopping, StopRule
from fitkit.problem import Problem, RowData, register_component, register_pytrees

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["HistoryRow", "Search", "Watch", "minimize", "stop_rule"]


SINGLE_GTOL = 1e-5
"""The default gtol in float32, whose slopes have no more digits."""
SINGLE_XTOL = 1e-7


def stop_rule(optimizer: Optimizer, stopping: Stopping, *, single: bool = False) -> StopRule:
    """Return the numbers to stop by; with `epochs`, a tolerance counts only if it is written.

    Args:
        optimizer: has the defaults.
        stopping: what is written.
        single: whether the numbers are float32.
    """
    epochs = optimizer.epochs if isinstance(optimizer, FirstOrder) else None

    def tolerance(written: float | None, default: float) -> float:
        if written is not None:
            return written
        return -1.0 if epochs is not None else default

    most = stopping.max_steps
    return StopRule(
        gtol=tolerance(stopping.gtol, max(optimizer.default_gtol, SINGLE_GTOL if single else 0.0)),
        ftol=tolerance(stopping.ftol, optimizer.default_ftol),
        xtol=tolerance(stopping.xtol, max(optimizer.default_xtol, SINGLE_XTOL if single else 0.0)),
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
    validation: RowData | None = None,
) -> Search:
    """Return where `optimizer` leads from theta, shape (free,); first-order optimizers look at `validation` on the way.

    Raises:
        ShapeMismatchError: the model does not return one number per row.
    """
    register_pytrees()
    register_pieces()
    for cls in (type(optimizer), *SCHEDULES):
        register_component(cls)
    rule = stop_rule(optimizer, stopping, single=problem.single)
    if isinstance(optimizer, FirstOrder):
        from fitkit.minimize.by_epochs import walk_by_epochs

        return walk_by_epochs(problem, optimizer, rule, stopping, theta, seed, watch, validation)
    if not isinstance(optimizer, Solver):
        raise TypeError(f"{optimizer.kind} is neither a solver nor a first-order optimizer")
    walk = walk_on_host if optimizer.on_host else walk_in_blocks
    if problem.constrained:
        from fitkit.minimize.constrained import walk_constrained

        walk = walk_constrained
    elif not problem.smooth:
        from fitkit.minimize.continuation import walk_by_continuation

        walk = walk_by_continuation
    return walk(problem, optimizer, rule, stopping, theta, seed, watch)
