"""The covariance of the parameters from the curvature at the minimum.

    squared residuals   s² (J'WJ)^-1,  s² = weighted sum of squares / degrees of freedom, or 1 where the data give sigma
    likelihoods         (sum of weights * H)^-1, the inverse observed information
    other losses        A^-1 B A^-1, the sandwich: A = sum of weighted Hessians, B = sum of outer products of row gradients

On request J'WJ gives way to half the exact Hessian of the sum of squares, J'WJ + sum w r Hess r, and the sandwich stands for
squares and likelihoods too: for a linear model it is then White's HC0, (X'X)^-1 (sum of r² x x') (X'X)^-1.

References: G. A. F. Seber and C. J. Wild, Nonlinear Regression, Wiley 1989, section 5.1; P. J. Huber, The Behavior of
Maximum Likelihood Estimates under Nonstandard Conditions, Fifth Berkeley Symposium (1967), and H. White, A
Heteroskedasticity-Consistent Covariance Matrix Estimator, Econometrica 48 (1980), for the sandwich.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, final

from fitkit.backend import array, jax, kernel
from fitkit.evidence import EXACT_UP_TO, Evidence
from fitkit.losses import Loss, ResidualLoss
from fitkit.losses.mse import MeanSquaredError
from fitkit.losses.residual import FormulaResidual
from fitkit.optimizers.bound_rows import BoundRows
from fitkit.problem import Problem
from fitkit.types import Theta
from fitkit.uncertainty.information import (
    exact_hessian,
    factor_of,
    outer_products,
)
from fitkit.uncertainty.settings import Covariance
from fitkit.uncertainty.tangent import equalities_of, inverse_of_curvature, inverse_of_squares, settled

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]
    Mask = NDArray[np.bool_]

DEFAULT = Covariance()
TAKES_PART = 0.05
"""A parameter takes part in a flat direction if its component in the unit vector is above this."""


@kernel()
def _values_jacobian(problem: Problem, theta: Theta) -> jax.Array:
    """Return the derivatives of what is reported by theta, shape (reported, free)."""
    jacobian: jax.Array = jax.jacfwd(problem.reported)(theta)
    return jacobian


@final
@dataclass(frozen=True, kw_only=True)
class CovarianceEstimate:
    """The covariance of theta, and how far it can be trusted."""

    matrix: Matrix | None
    """Shape (free, free), in the optimizer's coordinates; rows of parameters without an error are NaN."""
    status: Literal["accurate", "approximate", "unavailable"]
    message: str
    dof: int | None
    """Degrees of freedom of the scale s², for Student's t; None where the scale is known."""
    half: Matrix | None = None
    """H with H H' the covariance over all directions that are determined, shape (free, directions): what predictions need,
    also those of parameters that have no error of their own."""
    residual_variance: float | None = None
    """See `residual_variance`; None too where the errors do not believe in one for all rows."""
    unidentified: Mask
    """Parameters that take part in a flat direction, shape (free,)."""


def estimate_covariance(
    problem: Problem, theta: Vector, evidence: Evidence, asked: Covariance = DEFAULT
) -> CovarianceEstimate:
    """Return the covariance of theta at a minimum.

    Args:
        problem: the objective.
        theta: the minimum, shape (free,).
        evidence: the derivatives there.
        asked: which curvature, and whether the sandwich.
    """
    import numpy as np

    unidentified: Mask = np.any(np.abs(evidence.flat) > TAKES_PART, axis=0)
    degenerate = "the minimum is degenerate: the curvature that tells errors vanishes there"
    refused = degenerate if evidence.minimum == "degenerate" else _refusal(problem, theta, evidence)
    if refused is not None:
        return _unavailable(refused, unidentified)
    with np.errstate(all="ignore"):
        found = _estimate(problem, theta, evidence, asked)
        matrix = None if found.half is None else found.half @ found.half.T
    lost = evidence.held | unidentified | settled(evidence)
    if found.half is None or matrix is None or not (lost | (matrix.diagonal() > 0)).all():
        return _unavailable("the curvature is not positive definite here", unidentified)
    if lost.any():
        matrix[lost, :] = matrix[:, lost] = np.nan
    caveats = _caveats(problem, evidence)
    return CovarianceEstimate(
        matrix=matrix,
        half=found.half,
        status="approximate" if caveats else "accurate",
        message="; ".join([found.made_of, *caveats]),
        dof=found.dof,
        residual_variance=found.residual_variance,
        unidentified=unidentified,
    )


def _unavailable(why: str, unidentified: Mask) -> CovarianceEstimate:
    return CovarianceEstimate(matrix=None, status="unavailable", message=why, dof=None, unidentified=unidentified)


def values_jacobian(problem: Problem, theta: Vector) -> Matrix:
    """Return the derivatives of all reported numbers, arrays left out, by theta, shape (numbers, free)."""
    import numpy as np

    layout = problem.layout
    if layout.logarithmic or layout.tied or problem.reports_otherwise:
        return np.asarray(_values_jacobian.light(problem, array(theta, problem.lower.dtype)), np.float64)
    names = problem.reported_names
    selection = np.zeros((len(names), layout.size))
    for row, name in enumerate(names):
        if name in layout.places:
            selection[row, layout.places[name].start] = 1.0
    return selection


def degrees_of_freedom(problem: Problem, equalities: int = 0) -> int | None:
    """Return the observations, which are the rows that count and the priors, minus the free parameters; None without rows.

    Args:
        problem: with rows, or without.
        equalities: how many independent equality constraints there are, each of which takes a parameter's freedom.
    """
    if problem.rows is None:
        return None
    observations = BoundRows.of(problem).counting + len(problem.priors)
    return observations - problem.layout.size + equalities


def _refusal(problem: Problem, theta: Vector, evidence: Evidence) -> str | None:
    """Return why there can be no covariance, or None."""
    if problem.rows is None:
        return "a pure objective has no observations"
    if problem.loss is not None and not problem.loss.smooth:
        return f"{problem.loss.kind} has no curvature"
    if problem.regularization.l1 > 0:
        return "the l1 penalty has no curvature"
    if len(theta) == 0:
        return "no parameter is free"
    if evidence.held.all():
        return "every free parameter is at a bound"
    if settled(evidence).all():
        return "the constraints leave no parameter free"
    dof = degrees_of_freedom(problem, equalities_of(evidence))
    if scale_from_residuals(problem) and dof is not None and dof <= 0:
        return "there are no degrees of freedom left to tell the scatter from"
    if (
        scale_from_residuals(problem)
        and evidence.linearization is not None
        and evidence.linearization.sum_of_squares == 0
    ):
        return "the residuals are zero: there is no scatter to tell errors from"
    if evidence.linearization is None and evidence.hessian is None:
        return _without_curvature(len(theta))
    return None


def _without_curvature(free: int) -> str:
    if free <= EXACT_UP_TO:
        return "there is no exact Hessian: a derivative is not finite"
    return f"the curvature of {free:,} free parameters was not formed, which would take too long"


def is_sum_of_squares(loss: Loss | None) -> bool:
    """Return whether normal errors stand behind the loss: s² and Student's t, or chi-square where sigma is known."""
    return isinstance(loss, MeanSquaredError | FormulaResidual)


def scale_from_residuals(problem: Problem) -> bool:
    """Return whether the scatter of the target is told by the residuals, for want of a sigma."""
    return is_sum_of_squares(problem.loss) and problem.rows is not None and problem.rows.sigma is None


@final
@dataclass(frozen=True, kw_only=True)
class _Estimate:
    """A covariance as a factor, and how it came about."""

    half: Matrix | None
    """H with H H' the covariance, shape (free, directions); None where the curvature is not positive definite."""
    made_of: str
    dof: int | None
    residual_variance: float | None


def _estimate(problem: Problem, theta: Vector, evidence: Evidence, asked: Covariance) -> _Estimate:
    total, point = float(problem.total_weight), evidence.linearization
    squared = is_sum_of_squares(problem.loss) and point is not None
    if squared and point is not None and asked.hessian != "exact":
        half: Matrix | None = inverse_of_squares(evidence, point) / math.sqrt(2 * total)
        curvature = "Gauss-Newton"
    else:
        hessian = evidence.hessian if evidence.hessian is not None else exact_hessian(problem, theta, point)
        half, curvature = inverse_of_curvature(evidence, total * hessian), "exact Hessian"
    # half half' is the inverse of the Hessian of sum_i w_i cost_i.
    regained = equalities_of(evidence)
    dof = degrees_of_freedom(problem, regained) if scale_from_residuals(problem) else None
    variance = residual_variance(problem, None if point is None else point.sum_of_squares, regained)
    if asked.sandwich == "always" or not (squared or (problem.loss is not None and problem.loss.likelihood)):
        if half is not None:
            half = half @ (half.T @ factor_of(outer_products(problem, theta)))
        words = f"sandwich, {curvature}{_and_priors(problem)}"
        believed = None if asked.sandwich == "always" else variance
        return _Estimate(half=half, made_of=words, dof=None, residual_variance=believed)
    if squared:
        scale = "residuals" if dof is not None else f"sigma{_and_priors(problem)}"
        if half is not None:
            half = half * math.sqrt(2 * (variance or 0.0))
        words = f"{curvature}, scale from {'the ' if dof is not None else ''}{scale}"
        return _Estimate(half=half, made_of=words, dof=dof, residual_variance=variance)
    words = f"inverse observed information{_and_priors(problem)}"
    return _Estimate(half=half, made_of=words, dof=None, residual_variance=variance)


def residual_variance(problem: Problem, objective: float | None, equalities: int = 0) -> float | None:
    """Return the variance of a target of weight one, in units of the loss's own `variance`: s² = weighted rss / dof or one.

    None where the residuals would have to tell it and cannot.

    Args:
        problem: with rows.
        objective: at the minimum.
        equalities: how many independent equality constraints there are.
    """
    if not scale_from_residuals(problem):
        return 1.0
    dof = degrees_of_freedom(problem, equalities) or 0
    return objective * float(problem.total_weight) / dof if objective is not None and dof > 0 else None


def _and_priors(problem: Problem) -> str:
    count = len(problem.priors)
    return f", with {count} prior{'' if count == 1 else 's'}" if count else ""


def _caveats(problem: Problem, evidence: Evidence) -> list[str]:
    """Return what makes the covariance less than accurate."""
    caveats = []
    if problem.regularization.l2 > 0:
        caveats.append("the l2 penalty is counted as curvature and its bias is not")
    if evidence.held.any():
        caveats.append("parameters at a bound are held there")
    if evidence.conditions is not None and evidence.conditions.presses:
        caveats.append("active inequality constraints are held as equalities")
    if len(evidence.flat):
        caveats.append("only over the directions that the data determine")
    if evidence.condition > 1e10:
        caveats.append(f"the scaled Jacobian's condition number is {evidence.condition:.0e}, which costs most digits")
    if isinstance(problem.loss, ResidualLoss) and not is_sum_of_squares(problem.loss):
        caveats.append("valid for many rows")
    return caveats
