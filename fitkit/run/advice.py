"""The warnings that a careful colleague would give."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from fitkit.minimize import Search
from fitkit.optimizers import Optimizer
from fitkit.optimizers.first_order import FirstOrder
from fitkit.result import FitSummary, UncertaintySummary
from fitkit.run.assemble import Assembled
from fitkit.run.unseen import unseen_told

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]


STRONG = 0.999
"""Correlations above this are worth a warning."""
TIED = 1 - 1e-9
"""Those above this are made by constraints, where there are any."""
SHOT_UP = 2.0
"""How many times its start a loss may reach on the way before the learning rate is blamed."""
LEAST_EPOCHS = 5
"""Changes from epoch to epoch that are looked at, at least."""
RESTLESS = 0.2
"""The share by which a loss may change from epoch to epoch at the end, before the learning rate is blamed."""
SETTLED = 1e-3
"""A loss below this share of its start may change by any share of itself."""
UNLIKELY = 3e-5
"""The probability below which a chi-square contradicts sigma: four standard deviations."""


def too_fast(search: Search, optimizer: Optimizer) -> list[str]:
    """Return what is to be said of a learning rate by which the loss shot up on the way, or still jumps at the end.

    Optimizers whose steps have a length of their own come down again from any rate, so that nothing else tells of it.
    """
    import numpy as np

    losses = np.array([row.loss for row in search.history], np.float64)
    if not isinstance(optimizer, FirstOrder) or len(losses) < 2 or not (np.isfinite(losses).all() and losses[0] > 0):
        return []
    way_out = f"a smaller `learning_rate` than {optimizer.learning_rate:g}, or a warm-up, may lead to a lower one"
    highest = float(losses.max() / losses[0])
    if highest > SHOT_UP:
        return [f"on the way the loss rose to {highest:.3g} times its start; {way_out}"]
    last = losses[len(losses) // 2 :]
    if len(last) < LEAST_EPOCHS or (last <= SETTLED * losses[0]).any():
        return []
    jump = float(np.median(np.abs(np.diff(last)) / np.minimum(last[1:], last[:-1])))
    if jump <= RESTLESS or np.mean(np.diff(last) > 0) < 1 / 4:
        return []
    return [f"the loss still jumps by {100 * jump:.0f} % from one epoch to the next; {way_out}"]


def warnings_of(
    assembled: Assembled, fit: FitSummary, uncertainty: UncertaintySummary, optimizer: Optimizer
) -> list[str]:
    """Return a sentence for each thing that a careful colleague would mention."""
    model = assembled.problem.model
    idle = frozenset() if model is None else frozenset(model.constant)
    found = [
        f"parameter `{name}` is used by nothing and was held at its start"
        for name in assembled.parameters
        if name in assembled.unused and name not in idle
    ]
    found += _classes_and_columns(assembled, idle)
    found += unseen_told(model, assembled.validation, " held out")
    rows, size = assembled.problem.rows, optimizer.batch_size if isinstance(optimizer, FirstOrder) else None
    if size is not None and rows is not None and size > len(rows):
        found.append(f"`batch_size` is {size}, more than there are rows: each update takes all {len(rows)}")
    if assembled.table is not None and assembled.table.dropped:
        found.append(f"{_rows(assembled.table.dropped, 'was', 'were')} left out for a missing entry")
    if (
        assembled.table is not None
        and fit.rows is not None
        and (weightless := len(assembled.table) - fit.rows - assembled.held_out)
    ):
        found.append(f"{_rows(weightless, 'has', 'have')} weight zero and no part in the fit")
    if uncertainty.correlation is not None:
        found += _collinear(
            uncertainty.names, uncertainty.correlation, TIED if assembled.problem.constraints else math.inf
        )
    if fit.reduced_chi_square is not None and fit.dof and _unlikely(fit.reduced_chi_square, fit.dof):
        found.append(_contradicted(fit.reduced_chi_square))
    if assembled.problem.single and not assembled.problem.trained:
        found.append("computed in float32: expect about 4 right digits")
    return found


def _unlikely(reduced: float, dof: int) -> bool:
    """Return whether chance makes so large, or so small, a reduced chi-square once in tens of thousands of fits at most.

    By Chernoff's bound, P <= (q exp(1 - q))^(dof/2) on either side of q = 1, which needs no special function.
    """
    return reduced <= 0 or dof / 2 * (math.log(reduced) + 1 - reduced) < math.log(UNLIKELY)


def _contradicted(reduced: float) -> str:
    if reduced > 1:
        return (
            f"the residuals are larger than sigma says: reduced chi-square {reduced:.3g}; "
            "sigma is too small, or the model is wrong"
        )
    return f"the residuals are smaller than sigma says: reduced chi-square {reduced:.3g}; sigma is too large"


def _classes_and_columns(assembled: Assembled, idle: frozenset[str]) -> list[str]:
    """Return which inputs are constant, and which classes have one row only."""
    import numpy as np

    found = [f"`{name}` is constant: it tells nothing, and has weight 0" for name in sorted(idle)]
    problem = assembled.problem
    if problem.rows is not None and problem.loss is not None and problem.loss.classes:
        counts = np.bincount(np.asarray(problem.rows.target).astype(int), minlength=len(problem.loss.classes))
        for level, count in zip(problem.loss.classes, counts.tolist(), strict=True):
            if count <= 1:
                found.append(f"class `{level}` has {'one row' if count else 'no row'}: what is said of it is a guess")
    return found


def _rows(count: int, one: str, several: str) -> str:
    return f"1 row {one}" if count == 1 else f"{count} rows {several}"


def _collinear(names: tuple[str, ...], correlation: Any, most: float) -> list[str]:
    pairs = [
        (abs(float(correlation[i, j])), f"{names[i]} and {names[j]} ({correlation[i, j]:+.5f})")
        for i in range(len(names))
        for j in range(i)
        if STRONG < abs(correlation[i, j]) <= most
    ]
    if not pairs:
        return []
    shown = ", ".join(text for _, text in sorted(pairs, reverse=True)[:3])
    more = f", and {len(pairs) - 3} more pairs" if len(pairs) > 3 else ""
    return [f"nearly collinear: {shown}{more}; the data hardly tell them apart"]
