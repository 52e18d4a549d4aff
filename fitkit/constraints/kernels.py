"""The compiled kernels of constraints: their values and slopes, and the curvature that multipliers give them."""

from __future__ import annotations

from fitkit.backend import jax, jnp, kernel
from fitkit.problem import Problem
from fitkit.types import ConstraintValues, Scalar, Theta


@kernel()
def expand_constraints(problem: Problem, theta: Theta) -> tuple[ConstraintValues, jax.Array]:
    """Return c, shape (constraints,), and its Jacobian, shape (constraints, free)."""
    return problem.excesses(theta), jax.jacfwd(problem.excesses)(theta)


@kernel()
def constraint_curvature(problem: Problem, theta: Theta, multipliers: ConstraintValues) -> jax.Array:
    """Return the Hessian of m'c, shape (free, free)."""
    hessian: jax.Array = jax.hessian(lambda t: jnp.vdot(multipliers, problem.excesses(t)))(theta)
    return hessian


@kernel()
def heights(problem: Problem, theta: Theta) -> tuple[Scalar, ConstraintValues]:
    """Return the objective and c."""
    return problem.objective(theta), problem.excesses(theta)


@kernel()
def both_sides(problem: Problem, theta: Theta) -> tuple[ConstraintValues, ConstraintValues]:
    """Return the left and the right sides, shape (constraints,) each."""
    return problem.sides(theta)
