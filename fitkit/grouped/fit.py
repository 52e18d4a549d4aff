"""From a table of groups to a fit of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from fitkit.grouped.global_fit import fit_together
from fitkit.grouped.groups import Alone, GroupedFit, GroupProgress, Groups
from fitkit.grouped.one import common_length, problem_of
from fitkit.grouped.record import Record
from fitkit.grouped.rounds import fit_in_batches
from fitkit.optimizers.stopping import Reason
from fitkit.problem import Problem, register_pytrees

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

UNROLLED_UP_TO = 12
"""Free parameters up to which factorisations are written out."""


def fit_groups(
    problem: Problem,
    groups: Groups,
    alone: Callable[[Problem, Vector], Alone],
    *,
    max_steps: int | None = None,
    exact: bool = False,
    sandwich: bool = False,
    allow_flat: bool = False,
    effort: Literal["light", "full"] | None = None,
    threads: int | None = None,
    stop: Callable[[], bool] = lambda: False,
    show: Callable[[GroupProgress], None] = lambda _: None,
) -> GroupedFit:
    """Return where every group ended.

    Args:
        problem: what the groups have in common: model, loss, layout, bounds, held numbers, priors and penalties. Its rows
            are not looked at.
        groups: the rows, and where each search begins.
        alone: fits one group by itself: those that the batch does not vouch for, or that are no business of a batch.
        max_steps: the most steps of a batch for each group, where the config says so.
        exact: make errors of squares from the whole Hessian, as `uncertainty: {hessian: exact}` asks.
        sandwich: make all errors by the sandwich, as `uncertainty: {sandwich: always}` asks.
        allow_flat: leave to `alone` what the data do not determine, as `stopping: {allow_flat: true}` asks.
        effort: of compiling, by default by the amount of work: what compiles quickly runs at a third of the speed.
        threads: how many at once, by default one for each core.
        stop: asked between chunks of groups; those not fitted by then end with the reason `interrupted`.
        show: told between chunks how far the fit has come.

    Raises:
        ShapeMismatchError: the model does not return one number per row.
    """
    register_pytrees()
    record = Record.of(problem, groups)
    if groups.shared:
        shared = fit_together(problem, groups, record, max_steps=max_steps, threads=threads, stop=stop, show=show)
        return record.ended("global Levenberg-Marquardt", shared)
    batched = suits(problem)
    if batched:
        fit_in_batches(
            problem, groups, record, max_steps=max_steps, effort=effort, threads=threads, exact=exact,
            sandwich=sandwich, allow_flat=allow_flat, stop=stop, show=show,
        )  # fmt: skip
    _one_by_one(problem, groups, record, alone, stop, show)
    return record.ended("batched Levenberg-Marquardt" if batched else "one by one")


def suits(problem: Problem) -> bool:
    """Return whether a problem's groups are the business of a batch: smooth, and of few parameters."""
    few = 0 < problem.layout.size <= UNROLLED_UP_TO
    width = problem.loss is None or bool(problem.loss.width)
    return few and problem.smooth and not problem.constrained and not problem.single and not width


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

    # As `train` would begin: where the batch has gone to may be no place to come back from.
    start = np.clip(groups.start, np.asarray(problem.lower, np.float64), np.asarray(problem.upper, np.float64))
    equal = bool((groups.lengths == groups.lengths[0]).all()) if len(groups) else True
    waiting = np.flatnonzero(record.reason == Reason.RUNNING)
    for count, group in enumerate(waiting.tolist()):
        if stop():
            break
        length = int(groups.lengths[group])
        its = problem_of(problem, groups, group, length=length if equal else common_length(length))
        with np.errstate(all="ignore"):  # hopeless numbers end as verdicts, not as warnings
            found = alone(its, start[group])
        record.put_alone(group, found)
        show(GroupProgress(done=len(groups) - len(waiting) + count + 1, total=len(groups), alone=True))
