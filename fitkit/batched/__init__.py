"""Many searches of one problem at once: from many starts, with parameters held, under other weights or other targets.

The lanes of a batch run in lock step in one compiled program, a chunk of them at a time; those that have converged retire.
"""

from __future__ import annotations

from collections.abc import Callable

from fitkit.batched.lanes import Lanes, Solved
from fitkit.batched.solve import solve
from fitkit.problem import Problem

__all__ = ["Lanes", "Solved", "solve", "solver_for"]


def solver_for(problem: Problem) -> Callable[..., Solved]:
    """Return `solve`, or for an objective with kinks `solve_kinked`."""
    if problem.smooth:
        return solve
    from fitkit.batched.kinked import solve_kinked

    return solve_kinked
