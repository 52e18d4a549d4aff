"""The covariance of the parameters from the curvature at the minimum.

    squared residuals   s² (J'WJ)^-1,  s² = weighted sum of squares / degrees of freedom, or 1 where the data give sigma
    likelihoods         (sum of weights * H)^-1, the inverse observed information
    other losses        A^-1 B A^-1, the sandwich: A = sum of weighted Hessians, B = sum of outer products of row gradients

References: G. A. F. Seber and C. J. Wild, Nonlinear Regression, Wiley 1989, section 5.1; P. J. Huber, The Behavior of
Maximum Likelihood Estimates under Nonstandard Conditions, Fifth Berkeley Symposium (1967), for the sandwich.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, final

from fitkit.backend import array, jax, jnp, kernel
from fitkit.evidence import EXACT_UP_TO, Evidence
from fitkit.losses import Loss, ResidualLoss
from fitkit.losses.mse import MeanSquaredError
from fitkit.losses.residual import FormulaResidual
from fitkit.optimizers.least_squares import LeastSquares
from fitkit.problem import Problem, RowData
from fitkit.types import Theta

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]
    Mask = NDArray[np.bool_]

TAKES_PART = 0.05
"""A parameter takes part in a flat direction if its component in the unit vector is above this."""


@kernel()
def _hessian(problem: Problem, theta: Theta) -> Theta:
    hessian: jax.Array = jax.hessian(problem.objective)(theta)
    return hessian


@kernel()
def _row_gradients(problem: Problem, theta: Theta, rows: RowData) -> jax.Array:
    """Return the weighted gradient of each row's cost, shape (rows, free)."""
    gradients: jax.Array = jax.jacfwd(lambda t: problem.row_costs(t, rows))(theta)
    return rows.weight[:, None] * gradients


@kernel()
def _deviations_jacobian(problem: Problem, theta: Theta) -> jax.Array:
    """Return the derivatives of the priors' z by theta, shape (priors, free)."""
    jacobian: jax.Array = jax.jacfwd(problem.deviations)(theta)
    return jacobian


@kernel()
def _values_jacobian(problem: Problem, theta: Theta) -> jax.Array:
    """Return the derivatives of all parameters by theta, shape (parameters, free)."""
    jacobian: jax.Array = jax.jacfwd(lambda t: jnp.stack(list(problem.values(t).values())))(theta)
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
    unidentified: Mask
    """Parameters that take part in a flat direction, shape (free,)."""


def estimate_covariance(problem: Problem, theta: Vector, evidence: Evidence) -> CovarianceEstimate:
    """Return the covariance of theta at a minimum, shape (free, free)."""
    import numpy as np

    unidentified: Mask = np.any(np.abs(evidence.flat) > TAKES_PART, axis=0)
    refused = _refusal(problem, theta, evidence)
    if refused is not None:
        return CovarianceEstimate(
            matrix=None, status="unavailable", message=refused, dof=None, unidentified=unidentified
        )
    with np.errstate(all="ignore"):
        matrix, made_of, dof = _estimate(problem, theta, evidence)
    lost = evidence.held | unidentified
    matrix[lost, :] = matrix[:, lost] = np.nan
    if not (np.diag(matrix)[~lost] > 0).all():
        message = "the curvature is not positive definite here"
        return CovarianceEstimate(
            matrix=None, status="unavailable", message=message, dof=None, unidentified=unidentified
        )
    caveats = _caveats(problem, evidence)
    return CovarianceEstimate(
        matrix=matrix,
        status="approximate" if caveats else "accurate",
        message="; ".join([made_of, *caveats]),
        dof=dof,
        unidentified=unidentified,
    )


def values_jacobian(problem: Problem, theta: Vector) -> Matrix:
    """Return the derivatives of all parameters, free, held and tied, by theta, shape (parameters, free)."""
    import numpy as np

    layout = problem.layout
    if layout.logarithmic or layout.tied:
        return np.asarray(_values_jacobian.light(problem, array(theta, problem.lower.dtype)), np.float64)
    positions = {name: index for index, name in enumerate(layout.free)}
    selection = np.zeros((len(layout.names), len(layout.free)))
    for row, name in enumerate(layout.names):
        if name in positions:
            selection[row, positions[name]] = 1.0
    return selection


def degrees_of_freedom(problem: Problem) -> int | None:
    """Return the observations, which are the rows that count and the priors, minus the free parameters; None without rows."""
    import numpy as np

    if problem.rows is None:
        return None
    return int(np.count_nonzero(np.asarray(problem.rows.weight))) + len(problem.priors) - len(problem.layout.free)


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
    dof = degrees_of_freedom(problem)
    if scale_from_residuals(problem) and dof is not None and dof <= 0:
        return "there are no degrees of freedom left to tell the scatter from"
    if (
        scale_from_residuals(problem)
        and evidence.linearization is not None
        and evidence.linearization.sum_of_squares == 0
    ):
        return "the residuals are zero: there is no scatter to tell errors from"
    if evidence.linearization is None and evidence.hessian is None:
        reason = (
            f"more than {EXACT_UP_TO} free parameters" if len(theta) > EXACT_UP_TO else "a derivative is not finite"
        )
        return f"there is no exact Hessian: {reason}"
    return None


def is_sum_of_squares(loss: Loss | None) -> bool:
    """Return whether normal errors stand behind the loss: s² and Student's t, or chi-square where sigma is known."""
    return isinstance(loss, MeanSquaredError | FormulaResidual)


def scale_from_residuals(problem: Problem) -> bool:
    """Return whether the scatter of the target is told by the residuals, for want of a sigma."""
    return is_sum_of_squares(problem.loss) and problem.rows is not None and problem.rows.sigma is None


def _estimate(problem: Problem, theta: Vector, evidence: Evidence) -> tuple[Matrix, str, int | None]:
    """Return the covariance, what it is made of, and the degrees of freedom of its scale."""
    import numpy as np

    movable = ~evidence.held
    total = float(problem.total_weight)
    point = evidence.linearization
    if is_sum_of_squares(problem.loss) and point is not None:
        inverse = _pseudo_inverse_of_factor(point.factor, point.column_norms, movable)
        if scale_from_residuals(problem):
            dof = degrees_of_freedom(problem) or 0
            return inverse * (point.sum_of_squares / dof), "Gauss-Newton, scale from the residuals", dof
        return inverse / total, f"Gauss-Newton, scale from sigma{_and_priors(problem)}", None
    if evidence.hessian is not None:
        hessian = evidence.hessian
    else:
        hessian = np.asarray(_hessian.light(problem, array(theta, problem.lower.dtype)), np.float64)
    inverse = _pseudo_inverse(total * hessian, movable)
    if problem.loss is not None and problem.loss.likelihood:
        return inverse, f"inverse observed information{_and_priors(problem)}", None
    spread = _outer_products(problem, theta)
    return inverse @ spread @ inverse, f"sandwich{_and_priors(problem)}", None


def _and_priors(problem: Problem) -> str:
    count = len(problem.priors)
    return f", with {count} prior{'' if count == 1 else 's'}" if count else ""


def _outer_products(problem: Problem, theta: Vector) -> Matrix:
    """Return the sum over rows and priors of the outer products of weighted gradients, shape (free, free)."""
    import numpy as np

    point = array(theta, problem.lower.dtype)
    total = np.zeros((len(theta), len(theta)))
    for rows in LeastSquares(problem).chunks():
        gradients = np.asarray(_row_gradients.for_work(len(rows) * len(theta))(problem, point, rows), np.float64)
        total += gradients.T @ gradients
    if problem.priors:
        # Unlike a row, a prior says itself how far it scatters: its gradient z dz has the variance of dz.
        slopes = np.asarray(_deviations_jacobian.light(problem, point), np.float64)
        total += slopes.T @ slopes
    return total


def _pseudo_inverse_of_factor(factor: Matrix, norms: Vector, movable: Mask) -> Matrix:
    """Return (R'R)^-1 over the movable parameters and the directions that are determined, shape (free, free)."""
    import numpy as np

    from fitkit.optimizers.subspace import RANK_TOLERANCE

    scale = np.where(norms[movable] > 0, norms[movable], 1.0)
    _, singular, right = np.linalg.svd(factor[:, movable] / scale, full_matrices=False)
    kept = singular > RANK_TOLERANCE * singular[0]
    half = (right[kept].T / singular[kept]) / scale[:, None]
    result = np.zeros((len(norms), len(norms)))
    result[np.ix_(movable, movable)] = half @ half.T
    return result


def _pseudo_inverse(hessian: Matrix, movable: Mask) -> Matrix:
    """Return H^-1 over the movable parameters and the directions with curvature, shape (free, free)."""
    import numpy as np

    from fitkit.evidence import FLAT_BELOW

    part = hessian[np.ix_(movable, movable)]
    diagonal = np.abs(np.diag(part))
    scale = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    values, vectors = np.linalg.eigh(part / np.outer(scale, scale))
    kept = np.abs(values) > FLAT_BELOW * max(1.0, float(np.max(np.abs(values), initial=0.0)))
    half = vectors[:, kept] / scale[:, None]
    result = np.zeros_like(hessian)
    result[np.ix_(movable, movable)] = (half / values[kept]) @ half.T
    return result


def _caveats(problem: Problem, evidence: Evidence) -> list[str]:
    """Return what makes the covariance less than accurate."""
    caveats = []
    if problem.regularization.l2 > 0:
        caveats.append("the l2 penalty is counted as curvature and its bias is not")
    if evidence.held.any():
        caveats.append("parameters at a bound are held there")
    if len(evidence.flat):
        caveats.append("only over the directions that the data determine")
    if evidence.condition > 1e10:
        caveats.append(f"the scaled Jacobian's condition number is {evidence.condition:.0e}, which costs most digits")
    if isinstance(problem.loss, ResidualLoss) and not is_sum_of_squares(problem.loss):
        caveats.append("valid for many rows")
    return caveats
