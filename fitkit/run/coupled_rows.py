"""Python models whose prediction at a row depends on other rows: groups of unlike lengths cannot be fitted by them.

Rows of such groups are laid out in blocks and filled up with copies, which no other model notices.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fitkit.backend import jnp
from fitkit.config import ConfigSource
from fitkit.errors import ConfigError
from fitkit.grouped import Groups
from fitkit.grouped.one import problem_of
from fitkit.models.python import PythonModel
from fitkit.problem import Problem
from fitkit.run.python_trial import try_python

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

SAME = 1e-6
"""Predictions differ if by more than this share of the largest: less is the tolerance of a solver within a model."""


def refuse_coupled_rows(source: ConfigSource, problem: Problem, groups: Groups) -> None:
    """Refuse a python model that predicts the rows of a group otherwise in two parts than at once, by the largest group.

    Raises:
        ConfigError: it does, or fails on a part, and the groups have unlike lengths.
    """
    import numpy as np

    fitted = groups.lengths[groups.lengths > 0]
    if not isinstance(problem.model, PythonModel) or len(fitted) == 0 or fitted.min() == fitted.max():
        return
    group = int(np.argmax(groups.lengths))
    its, start = problem_of(problem, groups, group), groups.start[group]
    half = int(groups.lengths[group]) // 2
    whole, first, second = (
        _predicted(source, its, start, part) for part in (slice(None), slice(0, half), slice(half, None))
    )
    parts = np.concatenate([first, second])
    numbers = np.isfinite(whole) & np.isfinite(parts)
    if (np.abs(whole - parts)[numbers] <= SAME * np.abs(whole[numbers]).max(initial=0.0)).all():
        return
    message = (
        f"what `{problem.model.function}` returns for a row depends on the other rows, and groups differ in length"
    )
    way_out = (
        "compute each row from its own inputs, or give all groups as many rows, or fit each by itself with `where`"
    )
    raise ConfigError(source.diagnostic(("model", "function"), "E162", message, way_out, value=True))


def _predicted(source: ConfigSource, problem: Problem, start: Vector, part: slice) -> Vector:
    """Return the predictions for some of the rows, shape (rows,)."""
    import numpy as np

    if problem.rows is None:
        raise AssertionError("a group has rows")
    rows = problem.rows.take(part)
    try_python(source, replace(problem, rows=rows), start, derivatives=False)
    found: Any = problem.fitted(jnp.asarray(start), rows).prediction
    return np.asarray(found, np.float64)
