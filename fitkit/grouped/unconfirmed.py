"""What is to be said of groups whose search came to rest where no minimum could be confirmed, many at once.

In coordinates scaled to columns of J of length one, let a v = 0 be the least eigenvalue of J'J, and h that of J'J + S.

    a = 0     to rounding: the residuals do not change along v. The data do not tell that combination of parameters, and a
              single fit says of such a group `not_identified`, after hundreds of steps along a valley that has no end.
    h < 0     the objective falls on both sides of v: the search stands on a saddle, and goes on from beside it.

    a = 0     but along v the objective is bent: a valley that is long and curved. Damped steps follow its curve by a
              thousandth of the parameters each; a leap along v, and a few steps back to the bottom, go on as far at once.

What is none of these is fitted alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from fitkit.backend import jax
from fitkit.grouped.elimination import place
from fitkit.grouped.record import Record
from fitkit.grouped.surroundings import Surroundings
from fitkit.optimizers.stopping import Reason
from fitkit.problem import Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]
    Mask = NDArray[np.bool_]
    Whole = NDArray[np.int64]

SINGULAR = 1e-12
"""An eigenvalue of J'J scaled to a unit diagonal below this is that of a singular J, as far as J'J has digits."""
VALLEY = 1e-8
"""The same for what may yet become singular farther along."""
LEVEL = 0.1
"""The share of the objective that a move by the parameters' own size may still change, by the quadratic model."""
BESIDE = 0.3
"""How far beside a saddle the search goes on, as a share of the parameters."""
TAKES_PART = 0.05
"""A parameter takes part in a direction if its component in the unit vector is above this."""


@final
@dataclass(frozen=True, kw_only=True)
class Rest:
    """How the groups `its` rest, a row for each."""

    its: Whole
    flat: Mask
    """Which have a singular J, and no move to make."""
    saddle: Mask
    """Which have lower places on both sides."""
    beside: Matrix
    """One of these places, shape (groups, free)."""
    along: Matrix
    """The direction without effect, in scaled coordinates, of length one, shape (groups, free)."""
    valley: Mask
    """Which have next to no effect along it."""
    ahead: Matrix
    """As far along it as the parameters are large, on the side where the objective falls, shape (groups, free)."""


def rest_of(problem: Problem, record: Record, found: list[tuple[Whole, Surroundings]]) -> Rest:
    """Return how groups rest, by what surrounds them; what is not finite, or at a bound, is neither flat nor a saddle.

    Args:
        problem: what they have in common.
        record: where they stand.
        found: some groups each time, and the expansions of their objectives, groups first.
    """
    import numpy as np

    its = np.concatenate([groups for groups, _ in found])
    there: Surroundings = jax.tree.map(lambda *parts: np.concatenate(parts), *(each for _, each in found))
    theta, at = record.theta[its], there.at
    known = np.isfinite(at.value + np.abs(at.bend).sum(axis=1) + np.abs(there.curvature).sum(axis=1)) & (at.value > 0)
    known &= ((theta > np.asarray(problem.lower)) & (theta < np.asarray(problem.upper))).all(axis=1)
    packed = [[place(i, j) for j in range(theta.shape[1])] for i in range(theta.shape[1])]
    bend, curvature = (np.where(known[:, None], each, 0.0)[:, packed] for each in (at.bend, there.curvature))
    lengths = np.sqrt(np.einsum("gjj->gj", bend))
    scale = 1 / np.where(lengths > 0, lengths, 1.0)
    both = scale[:, :, None] * scale[:, None, :]
    least, ways = np.linalg.eigh(bend * both)
    bent, down = np.linalg.eigh((bend + curvature) * both)
    along = ways[:, :, 0]
    size = np.where(np.array(problem.layout.logarithms, bool), 1.0, np.abs(theta))
    valley, move = _of_own_size(along * scale, size), _of_own_size(down[:, :, 0] * scale, size)
    falls = 2 * np.abs(np.einsum("gj,gj->g", valley, at.slope))
    turns = np.abs(np.einsum("gi,gij,gj->g", valley, bend + curvature, valley))
    return Rest(
        its=its,
        flat=known & (least[:, 0] <= SINGULAR) & (falls + turns <= LEVEL * at.value),
        saddle=known & (bent[:, 0] < 0),
        beside=theta + BESIDE * _downhill(move, at.slope),
        along=along,
        valley=known & (least[:, 0] <= VALLEY),
        ahead=theta + _downhill(valley, at.slope),
    )


def _downhill(ways: Matrix, slope: jax.Array) -> Matrix:
    """Return `ways` or their opposites, by `slope`, half the negative gradient, shape (groups, free) each."""
    import numpy as np

    return np.where(np.einsum("gj,gj->g", ways, slope) < 0, -1.0, 1.0)[:, None] * ways


def _of_own_size(ways: Matrix, size: Matrix) -> Matrix:
    """Return moves along `ways` by the whole of the parameter that moves most for its size, shape (groups, free) each."""
    import numpy as np

    largest = (np.abs(ways) / np.where(size > 0, size, 1.0)).max(axis=1, keepdims=True)
    found: Matrix = ways / np.where(largest > 0, largest, 1.0)
    return found


def end_flat(problem: Problem, record: Record, rest: Rest) -> None:
    """End the groups that have not moved since and that a singular J leaves undetermined, in the words of a single fit."""
    import numpy as np

    names, reported = problem.layout.coordinates, problem.reported_names
    waiting = rest.flat & (record.reason[rest.its] == Reason.RUNNING)
    parts = np.abs(rest.along) > TAKES_PART
    for row in np.flatnonzero(waiting).tolist():
        group, its = int(rest.its[row]), [name for name, part in zip(names, parts[row], strict=True) if part]
        how = f"with {its[0]}" if len(its) == 1 else f"along a combination of {', '.join(its)}"
        record.end(group, Reason.NOT_IDENTIFIED, f"Not identified: the loss does not change {how}.")
        record.unidentified[group] = [name in its for name in reported]
