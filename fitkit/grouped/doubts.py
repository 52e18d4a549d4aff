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

MUCH = 0.1
"""The share of the scatter that a fit whose parameters have changed their sign may leave."""


def doubtful(problem: Problem, groups: Groups, record: Record) -> Whole:
    """Return the groups that have converged to a minimum that may be the wrong one, of distances."""
    import numpy as np

    much = np.flatnonzero((record.reason == int(Reason.GRADIENT_SMALL)) & (record.rss > MUCH * record.scatter))
    layout = problem.layout
    signed = [layout.places[name].start for name in layout.free if name not in layout.logarithmic]
    crossed = (record.theta[much][:, signed] * groups.start[much][:, signed] < 0).any(axis=1)
    found: Whole = much[crossed | (record.rss[much] > record.scatter[much])]
    return found


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
        better = (record.reason[its] == int(Reason.GRADIENT_SMALL)) & (record.loss[its] < self.loss)
        self.put_back(record, its, ~better)

    def put_back(self, record: Record, its: Whole, which: Mask) -> None:
        """Put back those of the groups `its` that `which` tells, shape (its,)."""
        for each in fields(Ending):
            getattr(record, each.name)[its[which]] = getattr(self, each.name)[which]
