"""What a result says of many fits beside their summary: shared parameters, sizes, errors, and a colleague's warnings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fitkit.config import Config
from fitkit.grouped import GroupedFit, SharedFit
from fitkit.losses.mse import MeanSquaredError
from fitkit.result import FitSummary, FittedParameter, UncertaintySummary
from fitkit.run.grouped_assembly import AssembledGroups
from fitkit.run.numbers import counted, number
from fitkit.uncertainty import Covariance, Uncertainty
from fitkit.uncertainty.covariance import scale_from_residuals
from fitkit.uncertainty.intervals import two_sided_quantile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]


def shared_parameters(config: Config, assembled: AssembledGroups, fit: GroupedFit) -> dict[str, FittedParameter]:
    """Return a line for each parameter that all groups share, in the order of every table."""
    shared = fit.shared
    if shared is None:
        return {}
    found = {}
    dof = shared.dof if scale_from_residuals(assembled.problem) else None
    for name in fit.names:
        if name not in shared.names:
            continue
        place, said = shared.names.index(name), assembled.parameters[name]
        value, error = float(shared.values[place]), number(shared.errors[place])
        found[name] = FittedParameter(
            value=value,
            error=error,
            interval=_interval(config.uncertainty, value, error, dof, logarithmic=said.scale == "log"),
            start=said.start if isinstance(said.start, float) else None,
            min=said.min,
            max=said.max,
            flags=("at_bound",) if shared.at_bound[place] else (),
        )
    return found


def _interval(
    uncertainty: Uncertainty, value: float, error: float | None, dof: int | None, *, logarithmic: bool
) -> tuple[float, float] | None:
    """Return the interval at the level asked for; of what is searched in its logarithm by a factor."""
    import math

    if error is None or not isinstance(uncertainty, Covariance) or (dof is not None and dof <= 0):
        return None
    reach = two_sided_quantile(uncertainty.level, dof) * error
    if logarithmic:
        factor = math.exp(reach / value)
        return value / factor, value * factor
    return value - reach, value + reach


def fit_summary(assembled: AssembledGroups, fit: GroupedFit) -> FitSummary:
    """Return the sizes and sums of squares of the groups that converged, taken together."""
    import numpy as np

    groups, layout = assembled.groups, assembled.problem.layout
    local = layout.size - len(groups.shared)
    counted_groups = groups.lengths > 0
    with np.errstate(invalid="ignore"):
        rss = number(float(fit.rss[fit.converged].sum())) if fit.converged.any() else None
    loss = assembled.problem.loss
    squares = isinstance(loss, MeanSquaredError)
    rows, dof = int(groups.lengths[fit.converged].sum()), int(np.maximum(fit.dof[fit.converged], 0).sum())
    if fit.shared is not None:
        dof = fit.shared.dof
    chi_square = rss if squares and assembled.groups.rows.sigma is not None else None
    return FitSummary(
        rows=int(groups.lengths.sum()),
        free_parameters=len(groups.shared) + local * int(counted_groups.sum()),
        dof=dof if rows else None,
        rss=rss if chi_square is None else None,
        chi_square=chi_square,
        reduced_chi_square=number(chi_square / dof) if chi_square is not None and dof else None,
    )


def uncertainty_summary(uncertainty: Uncertainty, assembled: AssembledGroups, fit: GroupedFit) -> UncertaintySummary:
    """Return how the errors were made; where parameters are shared, with the correlations of these."""
    import numpy as np

    if not isinstance(uncertainty, Covariance):
        return UncertaintySummary(
            kind=uncertainty.kind, status="unavailable", message="none were asked for", level=None
        )
    if not np.isfinite(fit.errors).any():
        message = "no group has both converged and rows to spare"
        if fit.shared is not None and fit.converged.any() and fit.shared.dof > 0:
            message = "a global fit has errors under squares and likelihoods; other losses need a sandwich"
        return UncertaintySummary(kind=uncertainty.kind, status="unavailable", message=message, level=uncertainty.level)
    penalized = assembled.problem.regularization.l2 > 0
    shared = fit.shared
    return UncertaintySummary(
        kind=uncertainty.kind,
        status="approximate" if penalized else "accurate",
        message="of all groups together" if shared is not None else "of each group from its own rows",
        level=uncertainty.level,
        names=() if shared is None else shared.names,
        correlation=None if shared is None else _correlation(shared),
    )


def _correlation(shared: SharedFit) -> Matrix | None:
    import numpy as np

    deviations = np.sqrt(np.diag(shared.covariance))
    if not (np.isfinite(deviations) & (deviations > 0)).all():
        return None
    found: Matrix = shared.covariance / np.outer(deviations, deviations)
    return found


def group_warnings(assembled: AssembledGroups, fit: GroupedFit) -> tuple[str, ...]:
    """Return a sentence for each thing that a careful colleague would mention."""
    import numpy as np

    found = [f"parameter `{name}` is used by nothing and was held at its start" for name in sorted(assembled.unused)]
    table = assembled.table
    if table.dropped:
        found.append(
            f"{counted(table.dropped, 'row')} {'was' if table.dropped == 1 else 'were'} left out for a missing entry"
        )
    exact = int((fit.converged & (fit.dof == 0)).sum())
    if exact and fit.shared is None:
        found.append(
            f"{counted(exact, 'group')} with as many rows as parameters: the curve goes through them, and has no errors"
        )
    for name, place in assembled.problem.layout.places.items():
        pressed = int(fit.at_bound[fit.converged, place.start].sum())
        if pressed and name not in assembled.groups.shared:
            found.append(f"`{name}` is at its bound in {counted(pressed, 'group')}")
    flat = fit.unidentified[fit.converged].any(axis=1)
    if flat.any():
        names = [
            name for name, column in zip(fit.names, fit.unidentified[fit.converged].T, strict=True) if column.any()
        ]
        found.append(
            f"{', '.join(f'`{name}`' for name in names)}: not identified in {counted(int(np.sum(flat)), 'group')}"
        )
    if str(assembled.problem.lower.dtype) == "float32":
        found.append("computed in float32: expect about 4 right digits")
    return tuple(found)
