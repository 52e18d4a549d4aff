"""What is said of a global fit: the verdict on all groups together and on each, and their errors."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fitkit.backend import jax
from fitkit.grouped.groups import Groups, SharedFit
from fitkit.grouped.schur import report
from fitkit.grouped.together import SLICE, Elimination, Point, Together, diagonals, eliminated, free_of
from fitkit.optimizers.stopping import CLAIMS, Reason

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]
    Mask = NDArray[np.bool_]

SINGULAR = 1e-13
"""A pivot or an eigenvalue of a matrix scaled to a unit diagonal below this is none."""
FELT = 1e-14
"""A parameter whose whole effect, squared, is below this share of its group's objective is not felt."""


def conclude(together: Together, point: Point, reason: Reason) -> SharedFit:
    """Write down every group, and return what the shared parameters came to."""
    import numpy as np

    record, groups, active, shared = together.record, together.groups, together.active, list(together.shared)
    priors = len(together.problem.priors) * len(active) + len(together.priors)
    rows = int(groups.lengths[active].sum())
    dof = rows + priors - len(shared) - len(together.local) * len(active)
    at = point.at if together.shape.gauss_newton else together.at(point.theta, whole=True)
    free = free_of(together, point.theta, at)
    found = eliminated(together, at, at.bend + at.curvature, np.zeros_like(point.scale), free)
    values = point.theta[shared, 0]
    flat = _flat(found.matrix, free[shared, 0])
    names = groups.shared
    message = _sentence(reason, point, names, flat)
    if reason in CLAIMS and flat.any():
        reason = Reason.NOT_IDENTIFIED
    variance = _variance(together, point, dof) if reason in CLAIMS else np.nan
    covariance = np.full((len(shared), len(shared)), np.nan)
    kept = free[shared, 0]
    if np.isfinite(variance):
        covariance[np.ix_(kept, kept)] = variance * np.linalg.inv(found.matrix[np.ix_(kept, kept)])
    _write(together, point, found, free, np.where(np.isfinite(covariance), covariance, 0.0), variance, reason, message)
    fit = told(groups, values, reason, message, point.steps, covariance)
    logarithmic = np.array([name in together.problem.layout.logarithmic for name in names], bool)
    factor = np.where(logarithmic, np.exp(np.where(logarithmic, values, 0.0)), 1.0)
    spread = covariance * np.outer(factor, factor)
    return replace(
        fit,
        values=np.where(logarithmic, factor, values),
        covariance=spread,
        errors=np.sqrt(np.diag(spread)),
        loss=point.at.total / float(record.total_weight[active].sum()),
        rows=rows,
        dof=dof,
        at_bound=~kept,
    )


def told(
    groups: Groups, values: Vector, reason: Reason, message: str, steps: int, covariance: Matrix | None
) -> SharedFit:
    """Return a global fit as it is told; without a `covariance` there are no errors."""
    import numpy as np

    count = len(groups.shared)
    unknown = np.full((count, count), np.nan)
    return SharedFit(
        names=groups.shared, values=values, errors=np.full(count, np.nan),
        covariance=unknown if covariance is None else covariance, loss=float("nan"), rows=0, dof=0, reason=reason,
        message=message, steps=steps, at_bound=np.zeros(count, bool),
    )  # fmt: skip


def _flat(matrix: Matrix, free: Mask) -> Mask:
    """Return which shared parameters take part in a direction that no group determines, shape (shared,)."""
    import numpy as np

    flat = np.zeros(len(free), bool)
    part = matrix[np.ix_(free, free)]
    if not np.isfinite(part).all():
        return free.copy()
    diagonal = np.diag(part)
    scale = 1 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    values, vectors = np.linalg.eigh(part * np.outer(scale, scale))
    flat[free] = (np.abs(vectors[:, values < SINGULAR]) > 0.05).any(axis=1)
    return flat


def _variance(together: Together, point: Point, dof: int) -> float:
    """Return what the inverse of half the Hessian is multiplied by."""
    if together.shape.errors == "squares":
        if not together.shape.scatter:
            return 1.0
        return point.at.total / dof if dof > 0 else float("nan")
    return 0.5 if together.shape.errors == "likelihood" else float("nan")


def _sentence(reason: Reason, point: Point, names: tuple[str, ...], flat: Mask) -> str:
    import numpy as np

    made = f"{point.steps} step{'' if point.steps == 1 else 's'}"
    if reason in CLAIMS and flat.any():
        which = ", ".join(name for name, one in zip(names, flat, strict=True) if one)
        return f"Not identified: the loss of all groups together does not change with a combination of {which}."
    if reason in CLAIMS:
        left = 0.0 if point.move is None else float(np.max(point.move, initial=0.0))
        closeness = f"a further step would change no parameter by more than {left:.1e} of itself"
        return f"Converged in {made} of all groups together: {closeness}."
    return {
        Reason.INTERRUPTED: f"Interrupted after {made} of all groups together.",
        Reason.MAX_STEPS: f"Not converged after {made} of all groups together, the most allowed.",
    }.get(reason, f"Not converged after {made} of all groups together: no step lowers the loss any more.")


def _write(
    together: Together,
    point: Point,
    found: Elimination,
    free: Mask,
    covariance: Matrix,
    variance: float,
    reason: Reason,
    message: str,
) -> None:
    """Write down where every group ended."""
    import numpy as np

    record, its = together.record, together.active
    local = list(together.local)
    record.theta[its] = point.theta.T
    record.loss[its] = point.at.value / record.total_weight[its]
    if record.squares:
        record.rss[its] = point.at.value
    record.steps[its] = point.steps
    record.at_bound[its] = ~free.T
    record.move[its] = np.nan if point.move is None else point.move
    values, errors = _reported(together, point, found, free, covariance, 1.0 if np.isnan(variance) else variance)
    effects = np.abs(diagonals(point.at.bend, len(point.theta)))[local] * point.largest[local] ** 2
    unfelt = (effects <= FELT * np.abs(point.at.value)) & free[local]
    lost = unfelt.any(axis=0) | ~(found.least_pivot > SINGULAR)
    record.values[its] = values.T
    record.errors[its] = np.where(lost[:, None] | np.isnan(variance), np.nan, errors.T)
    record.reason[its] = int(reason)
    record.evaluations += together.evaluations
    if reason not in CLAIMS:
        record.messages.update(dict.fromkeys(its.tolist(), message))
        return
    names = [together.problem.layout.coordinates[j] for j in local]
    for place in np.flatnonzero(lost).tolist():
        which = ", ".join(name for name, one in zip(names, unfelt[:, place], strict=True) if one) or ", ".join(names)
        record.end(int(its[place]), Reason.NOT_IDENTIFIED, f"Not identified: the loss does not change with {which}.")


def _reported(
    together: Together, point: Point, found: Elimination, free: Mask, covariance: Matrix, variance: float
) -> tuple[Matrix, Matrix]:
    """Return what a report tells of every group, and its errors, shape (reported, groups) each."""
    import numpy as np

    its = together.active
    call = report.full if together.full else report.light
    length = min(SLICE, 2 ** max(4, (len(its) - 1).bit_length()))

    def cut(whole: Any, first: int) -> Any:
        part = whole[..., first : first + length]
        missing = length - part.shape[-1]
        return np.ascontiguousarray(np.pad(part, [(0, 0)] * (part.ndim - 1) + [(0, missing)], mode="edge"))

    parts = []
    for first in range(0, len(its), length):
        found_here = call(
            together.problem,
            cut(point.theta, first),
            {name: cut(numbers[its], first) for name, numbers in together.groups.held.items()},
            cut(together.record.total_weight[its], first),
            cut(found.follow, first),
            cut(found.inverse * variance, first),
            jax.device_put(covariance),
            cut(free, first),
            shape=together.shape,
            shared=together.shared,
        )
        parts.append(jax.tree.map(np.asarray, found_here))
    values, errors = (np.concatenate(each, axis=-1)[:, : len(its)] for each in zip(*parts, strict=True))
    return values, errors
