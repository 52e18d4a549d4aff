"""Many starts under constraints: one search after another, as a batch of lanes knows nothing of constraints."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from fitkit.batched import Solved
from fitkit.minimize import Search
from fitkit.optimizers.stopping import CLAIMS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]


def searched_one_by_one(starts: Matrix, search: Callable[[Vector], Search], stop: Callable[[], bool]) -> Solved:
    """Return where the searches from each start end; one that ends in no minimum counts as infinitely high.

    A point that breaks the constraints may be lower than any minimum within them.

    Args:
        starts: shape (starts, free).
        search: returns the search from a start, shape (free,).
        stop: asked before each search; those that were not begun by then count as not converged.
    """
    import numpy as np

    theta, value = starts.copy(), np.full(len(starts), np.inf)
    ended, evaluations = np.zeros(len(starts), bool), 0
    for lane, start in enumerate(starts):
        if stop():
            break
        found = search(start)
        evaluations += found.evaluations
        if found.reason in CLAIMS and np.isfinite(found.final.loss):
            theta[lane], value[lane], ended[lane] = found.theta, found.final.loss, True
    return Solved(theta=theta, value=value, converged=ended, determined=ended, evaluations=evaluations)
