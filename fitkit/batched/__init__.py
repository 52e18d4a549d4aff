"""Many searches of one problem at once: from many starts, with parameters held, under other weights or other targets.

The lanes of a batch run in lock step in one compiled program, a chunk of them at a time; those that have converged retire.
"""

from __future__ import annotations

from fitkit.batched.lanes import Lanes, Solved
from fitkit.batched.solve import solve

__all__ = ["Lanes", "Solved", "solve"]
