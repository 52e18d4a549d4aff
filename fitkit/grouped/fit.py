"""From a table of groups to a fit of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from fitkit.grouped.groups import Alone, GroupedFit, GroupProgress, Groups
from fitkit.grouped.one import common_length, problem_of
from fitkit.grouped.record import Record
from fitkit.optimizers.stopping import Reason
from fitkit.problem import Problem, register_pytrees

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]


def fit_groups(
    problem: Problem,
    groups: Groups,
    alone: Callable[[Problem, Vector], Alone],
    *,
    stop: Callable[[], bool] = lambda: False,
    show: Callable[[GroupProgress], None] = lambda _: None,
) -> GroupedFit:
    """Return where every group ended.

    Args:
        problem: what the groups have in common: model, loss, layout, bounds, held numbers, priors and penalties. Its rows
            are not looked at.
        groups: the rows, and where each search begins.
        alone: fits one group by itself: those that the batch does not vouch for, or that are no business of a batch.
        stop: asked between chunks of groups; those not fitted by then end with the reason `interrupted`.
        show: told between chunks how far the fit has come.

    Raises:
        ShapeMismatchError: the model does not return one number per row.
    """
    register_pytrees()
    record = Record.of(problem, groups)
    _one_by_one(problem, groups, record, alone, stop, show)
    return record.ended("one by one")


def _one_by_one(
    problem: Problem,
    groups: Groups,
    record: Record,
    alone: Callable[[Problem, Vector], Alone],
    stop: Callable[[], bool],
    show: Callable[[GroupProgress], None],
) -> None:
    """Fit the groups that have not ended, each by itself."""
    import numpy as np

    equal = bool((groups.lengths == groups.lengths[0]).all()) if len(groups) else True
    waiting = np.flatnonzero(record.reason == Reason.RUNNING)
    for count, group in enumerate(waiting.tolist()):
        if stop():
            break
        length = int(groups.lengths[group])
        its = problem_of(problem, groups, group, length=length if equal else common_length(length))
        record.put_alone(group, alone(its, record.theta[group]))
        show(GroupProgress(done=len(groups) - len(waiting) + count + 1, total=len(groups), alone=True))
