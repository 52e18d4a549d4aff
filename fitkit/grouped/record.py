"""What is known of every group while a fit goes on."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

from fitkit.grouped.groups import Alone, GroupedFit, Groups, SharedFit
from fitkit.losses import ResidualLoss
from fitkit.optimizers.stopping import Reason
from fitkit.problem import Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]
    Mask = NDArray[np.bool_]
    Whole = NDArray[np.int64]
    Codes = NDArray[np.int8]


@final
@dataclass(kw_only=True)
class Record:
    """The columns of a `GroupedFit`, filled in as groups end; a group that has not ended has the reason RUNNING."""

    names: tuple[str, ...]
    theta: Matrix
    values: Matrix
    errors: Matrix
    loss: Vector
    rss: Vector
    dof: Whole
    steps: Whole
    reason: Codes
    move: Vector
    at_bound: Mask
    unidentified: Mask
    squares: bool
    total_weight: Vector
    scatter: Vector
    """The squared residuals about the mean target, where the objective is one of distances, else infinity."""
    messages: dict[int, str] = field(default_factory=dict)
    evaluations: int = 0
    alone: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @staticmethod
    def of(problem: Problem, groups: Groups) -> Record:
        """Return the record before the fit: groups that cannot be fitted have ended already."""
        import numpy as np

        count, free, reported = len(groups), problem.layout.size, len(problem.reported_names)
        lower, upper = np.asarray(problem.lower, np.float64), np.asarray(problem.upper, np.float64)
        record = Record(
            names=problem.reported_names,
            theta=np.clip(groups.start, lower, upper),
            values=np.full((count, reported), np.nan),
            errors=np.full((count, reported), np.nan),
            loss=np.full(count, np.nan),
            rss=np.full(count, np.nan),
            dof=groups.lengths + len(problem.priors) - free,
            steps=np.zeros(count, np.int64),
            reason=np.full(count, int(Reason.RUNNING), np.int8),
            move=np.full(count, np.nan),
            at_bound=np.zeros((count, free), bool),
            unidentified=np.zeros((count, reported), bool),
            squares=isinstance(problem.loss, ResidualLoss),
            total_weight=_total_weights(groups),
            scatter=np.full(count, np.inf),
        )
        record._refuse(problem, groups)
        return record

    def _refuse(self, problem: Problem, groups: Groups) -> None:
        """End the groups that have too few rows, or no start."""
        import numpy as np

        enough = groups.lengths > 0
        if isinstance(problem.loss, ResidualLoss) and problem.regularization.l2 == 0 and not groups.shared:
            enough &= self.dof >= 0
        free, priors = problem.layout.size, len(problem.priors)
        for group in np.flatnonzero(~enough).tolist():
            rows = int(groups.lengths[group])
            told = f"{rows} row{'' if rows == 1 else 's'}"
            if priors:
                told += f" and {priors} prior{'' if priors == 1 else 's'}"
            wanted = f"{free} free parameter{'' if free == 1 else 's'}"
            self.end(group, Reason.TOO_FEW_ROWS, f"{told} cannot determine {wanted}.")
        for group in np.flatnonzero(enough & ~np.isfinite(self.theta).all(axis=1)).tolist():
            self.end(group, Reason.NOT_FINITE, "Diverged: the group's start is not finite.")

    def end(self, group: int, reason: Reason, message: str) -> None:
        """End a group with a sentence."""
        self.reason[group] = int(reason)
        self.messages[group] = message

    @property
    def done(self) -> int:
        """How many groups have ended."""
        import numpy as np

        return int(np.count_nonzero(self.reason != Reason.RUNNING))

    def count_evaluations(self, more: int) -> None:
        """Add to the evaluations, from any thread."""
        with self.lock:
            self.evaluations += more

    def put_alone(self, group: int, found: Alone) -> None:
        """Write down what one group came to by itself."""
        self.theta[group] = found.theta
        self.values[group], self.errors[group] = found.values, found.errors
        self.loss[group] = found.loss
        self.rss[group] = found.loss * self.total_weight[group] if self.squares else float("nan")
        self.steps[group] = found.steps
        self.move[group] = found.move
        self.at_bound[group], self.unidentified[group] = found.at_bound, found.unidentified
        self.end(group, found.reason, found.message)
        self.evaluations += found.evaluations
        self.alone += 1

    def ended(self, solver: str, shared: SharedFit | None = None) -> GroupedFit:
        """Return the fit; groups that have not ended were interrupted."""
        import numpy as np

        left = np.flatnonzero(self.reason == Reason.RUNNING)
        self.values[left], self.loss[left] = np.nan, np.nan
        for group in left.tolist():
            self.end(group, Reason.INTERRUPTED, "Interrupted before this group was fitted.")
        return GroupedFit(
            names=self.names, theta=self.theta, values=self.values, errors=self.errors, loss=self.loss, rss=self.rss,
            dof=self.dof, steps=self.steps, reason=self.reason, move=self.move, at_bound=self.at_bound,
            unidentified=self.unidentified, messages=self.messages, evaluations=self.evaluations, alone=self.alone,
            solver=solver, shared=shared,
        )  # fmt: skip


def _total_weights(groups: Groups) -> Vector:
    """Return the sum of the weights of each group."""
    import numpy as np

    weight = np.asarray(groups.rows.weight, np.float64)
    if (weight == 1).all():
        return groups.lengths.astype(np.float64)
    totals = np.concatenate([[0.0], np.cumsum(weight)])
    found: Vector = totals[groups.offsets[1:]] - totals[groups.offsets[:-1]]
    return found
