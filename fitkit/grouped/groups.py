"""What a table of groups is, and what fitting it comes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, final

from fitkit.optimizers.stopping import CLAIMS, Reason
from fitkit.problem import RowData
from fitkit.result import Status

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]
    Mask = NDArray[np.bool_]
    Whole = NDArray[np.int64]
    Codes = NDArray[np.int8]


@final
@dataclass(frozen=True, kw_only=True)
class Groups:
    """The rows of all groups one after the other, and where each search begins. All arrays are numpy's."""

    rows: RowData
    """Sorted by group, shape (rows,) each; rows that do not count, for want of a number or a weight, are left out."""
    offsets: Whole
    """Group g has the rows from offsets[g] up to offsets[g + 1]; shape (groups + 1,). A group may be empty."""
    start: Matrix
    """Theta of each group at its start, in the optimizer's coordinates, shape (groups, free). A column that is shared has
    one number. NaN where a group has no start: it ends with the reason `not_finite`."""
    held: Mapping[str, Vector] = field(default_factory=dict)
    """Numbers of held parameters that differ between groups, by name, shape (groups,) each."""
    shared: tuple[str, ...] = ()
    """The free parameters that have one value for all groups."""

    def __len__(self) -> int:
        """Return the number of groups."""
        return len(self.offsets) - 1

    @cached_property
    def lengths(self) -> Whole:
        """How many rows each group has, shape (groups,)."""
        import numpy as np

        return np.diff(self.offsets)


@final
@dataclass(frozen=True, kw_only=True)
class Alone:
    """What one group came to that was fitted by itself, as `train` fits it."""

    theta: Vector
    """Shape (free,)."""
    values: Vector
    """What a report tells, shape (reported,)."""
    errors: Vector
    """Their standard errors, NaN for none, shape (reported,)."""
    loss: float
    reason: Reason
    message: str
    steps: int
    evaluations: int
    at_bound: Mask
    """Shape (free,)."""
    unidentified: Mask
    """Shape (reported,)."""
    move: float
    """The largest share of itself by which a further step would change a parameter."""


@final
@dataclass(frozen=True, kw_only=True)
class GroupProgress:
    """How far a fit of groups has come."""

    done: int
    """Groups that have ended."""
    total: int
    alone: bool = False
    """Whether what is left is being fitted one by one."""


@final
@dataclass(frozen=True, kw_only=True)
class SharedFit:
    """What the parameters came to that all groups share."""

    names: tuple[str, ...]
    values: Vector
    """In the user's units, shape (shared,)."""
    errors: Vector
    """NaN for none, shape (shared,)."""
    covariance: Matrix
    """Of the values, shape (shared, shared)."""
    loss: float
    """The objective of all groups together: their weighted mean."""
    rows: int
    dof: int
    """Rows and priors less shared and local parameters."""
    reason: Reason
    message: str
    steps: int
    at_bound: Mask
    """Shape (shared,)."""


@final
@dataclass(frozen=True, kw_only=True)
class GroupedFit:
    """Where every group ended; numbers that do not exist are NaN."""

    names: tuple[str, ...]
    """The parameters that a report tells, in the order of every table."""
    theta: Matrix
    """In the optimizer's coordinates, shape (groups, free)."""
    values: Matrix
    """In the user's units, shape (groups, reported)."""
    errors: Matrix
    """Standard errors of the values; only of groups that converged, shape (groups, reported)."""
    loss: Vector
    """The objective of each group, shape (groups,)."""
    rss: Vector
    """The weighted sum of squares over its rows, NaN where the loss is not one of residuals, shape (groups,)."""
    dof: Whole
    """Rows and priors less free parameters, shape (groups,)."""
    steps: Whole
    """Shape (groups,)."""
    reason: Codes
    """Why each search ended, a `Reason`, shape (groups,)."""
    move: Vector
    """The largest share of itself by which a further step would change a parameter, shape (groups,)."""
    at_bound: Mask
    """Which parameters are pressed against a bound, shape (groups, free)."""
    unidentified: Mask
    """Which values the data do not tell, shape (groups, reported)."""
    messages: Mapping[int, str]
    """The sentences of groups that were fitted alone or not at all; see `message`."""
    evaluations: int
    """Of a group's objective with its derivatives, over all groups."""
    alone: int
    """How many groups were fitted one by one, because the batch could not vouch for them."""
    solver: str
    """What was used, in a few words: `batched Levenberg-Marquardt`."""
    shared: SharedFit | None = None

    def __len__(self) -> int:
        """Return the number of groups."""
        return len(self.loss)

    @cached_property
    def converged(self) -> Mask:
        """Which groups converged, shape (groups,)."""
        import numpy as np

        found: Mask = np.isin(self.reason, [int(reason) for reason in CLAIMS])
        return found

    def status(self, group: int) -> Status:
        """Return how the fit of a group ended."""
        return status_of(Reason(int(self.reason[group])))

    def message(self, group: int) -> str:
        """Return the sentence about a group."""
        if group in self.messages:
            return self.messages[group]
        steps = int(self.steps[group])
        made = f"{steps} step{'' if steps == 1 else 's'}"
        left = float(self.move[group])
        return f"Converged in {made}: a further step would change no parameter by more than {left:.1e} of itself."


def status_of(reason: Any) -> Status:
    """Return the status that a reason stands for."""
    if reason in CLAIMS:
        return Status.CONVERGED
    return {
        Reason.NOT_FINITE: Status.DIVERGED,
        Reason.ROSE: Status.DIVERGED,
        Reason.INTERRUPTED: Status.INTERRUPTED,
        Reason.TOO_FEW_ROWS: Status.FAILED,
        Reason.EPOCHS_DONE: Status.COMPLETED,
        Reason.PATIENCE: Status.COMPLETED,
    }.get(reason, Status.NOT_CONVERGED)
