"""Minima that may be no fit: their groups are searched again by another way, and the lower minimum is kept.

A step across a pole, as from K > 0 to K < 0 of V x / (K + x), may lead to a minimum that is real and useless. Two signs of
it are cheap to see: the curve leaves more than the targets' own scatter about their mean, or it leaves much of that and a
parameter has another sign than where it began.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, final

from fitkit.grouped.groups import Groups
from fitkit.grouped.record import Record
from fitkit.losses.mse import MeanSquaredError
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

AT_ONCE = 4096
"""Groups whose scatter is summed at once, so that little memory is wanted."""
MUCH = 0.1
"""The share of the scatter that a fit whose parameters have changed their sign may leave."""
ROUNDING = 1e-9
"""The share of the squared targets that a difference of sums may have lost."""


def doubtful(problem: Problem, groups: Groups, record: Record) -> Whole:
    """Return the groups that have converged to a minimum that may be the wrong one, of squares."""
    import numpy as np

    none = np.zeros(0, np.int64)
    if not isinstance(problem.loss, MeanSquaredError):
        return none
    found = [none]
    layout = problem.layout
    signed = [layout.places[name].start for name in layout.free if name not in layout.logarithmic]
    converged = np.flatnonzero((record.reason == int(Reason.GRADIENT_SMALL)) & (groups.lengths > 0))
    for first in range(0, len(converged), AT_ONCE):
        its = converged[first : first + AT_ONCE]
        crossed = (record.theta[its][:, signed] * groups.start[its][:, signed] < 0).any(axis=1)
        found.append(its[record.rss[its] > np.where(crossed, MUCH, 1.0) * _scatter(groups, its)])
    return np.concatenate(found)


def _scatter(groups: Groups, its: Whole) -> Vector:
    """Return the weighted squares of targets about their mean, a little too large, of groups in ascending order."""
    import numpy as np

    begin, end = int(groups.offsets[its[0]]), int(groups.offsets[its[-1] + 1])
    target, weight = (np.asarray(each[begin:end], np.float64) for each in (groups.rows.target, groups.rows.weight))
    if groups.rows.sigma is not None:
        with np.errstate(all="ignore"):
            weight = weight / np.asarray(groups.rows.sigma[begin:end], np.float64) ** 2
    # Between the groups asked for may lie others: each begins a sum, and every second sum is theirs or of no row.
    edges = np.stack([groups.offsets[its], groups.offsets[its + 1]], axis=1).ravel() - begin

    def sums(column: Vector) -> Vector:
        found: Vector = np.add.reduceat(np.append(column, 0.0), edges)[::2]
        return found

    with np.errstate(all="ignore"):  # hopeless numbers compare as false
        total, first, second = sums(weight), sums(weight * target), sums(weight * target**2)
        scatter: Vector = second - first**2 / total + ROUNDING * second
    return scatter


@final
@dataclass(frozen=True, kw_only=True)
class Ending:
    """Where some groups had ended, a row for each."""

    theta: Matrix
    values: Matrix
    errors: Matrix
    loss: Vector
    rss: Vector
    steps: Whole
    reason: Codes
    move: Vector
    at_bound: Mask

    @staticmethod
    def of(record: Record, its: Whole) -> Ending:
        """Return where the groups `its` stand in the record."""
        return Ending(**{each.name: getattr(record, each.name)[its] for each in fields(Ending)})

    def restore(self, record: Record, its: Whole) -> None:
        """Put back those of the groups `its` that have not converged since to a lower loss."""
        import numpy as np

        better = (record.reason[its] == int(Reason.GRADIENT_SMALL)) & (record.loss[its] < self.loss)
        worse = np.flatnonzero(~better)
        for each in fields(Ending):
            getattr(record, each.name)[its[worse]] = getattr(self, each.name)[worse]
