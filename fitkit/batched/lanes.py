"""What a batch is: the lanes to be solved, and where they ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, final

from fitkit.parameters import Prior

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]
    Mask = NDArray[np.bool_]
    Index = NDArray[np.intp]

Draw: TypeAlias = "Callable[[Index], tuple[Matrix | None, Matrix | None]]"
"""From lane numbers, shape (lanes,), to the targets and the weights of their rows, (lanes, rows) each; None for the data's."""


@final
@dataclass(frozen=True, kw_only=True)
class Lanes:
    """Searches of one problem."""

    theta: Matrix
    """Where each begins, shape (lanes, free)."""
    movable: Mask | None = None
    """Which parameters each may move, shape (lanes, free); None for all."""
    draw: Draw | None = None
    """The rows of each lane, where they differ from the problem's."""
    priors: Mapping[str, Prior] | None = None
    """The priors of each lane in place of the problem's; their numbers are arrays, shape (lanes,)."""


@final
@dataclass(frozen=True, kw_only=True)
class Solved:
    """Where the lanes of a batch ended."""

    theta: Matrix
    """Shape (lanes, free)."""
    value: Vector
    """The objective there, NaN where it was never finite, shape (lanes,)."""
    converged: Mask
    """Which lanes stand at a minimum as far as the batch can tell, shape (lanes,)."""
    determined: Mask
    """Which of those feel all their parameters: on a plateau a slope vanishes without a minimum, shape (lanes,)."""
    evaluations: int
    """Of the objective with its derivatives, over all lanes."""
