"""The problem of one group by itself."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fitkit.backend import array, jax
from fitkit.grouped.groups import Groups
from fitkit.problem import Problem, RowData

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]


def problem_of(problem: Problem, groups: Groups, group: int, *, length: int | None = None) -> Problem:
    """Return the problem over the rows of a group, filled up to `length` with copies of the last at weight zero."""
    import numpy as np

    first, last = int(groups.offsets[group]), int(groups.offsets[group + 1])
    index = np.minimum(np.arange(first, first + (length or last - first)), last - 1)
    found = groups.rows.take(index)
    weight = np.where(np.arange(len(index)) < last - first, np.asarray(found.weight), 0.0)
    rows: RowData = jax.tree.map(jax.device_put, replace(found, weight=array(weight, problem.lower.dtype)))
    own = {name: array(numbers[group], problem.lower.dtype) for name, numbers in groups.held.items()}
    return replace(problem, rows=rows, total_weight=float(weight.sum()), held={**problem.held, **own})


def common_length(length: int) -> int:
    """Return a length of at least this that few others share, half an octave apart: programs are compiled for a length."""
    octave = max(3, (length - 1).bit_length())
    return 3 * 2 ** (octave - 2) if length <= 3 * 2 ** (octave - 2) else int(2**octave)
