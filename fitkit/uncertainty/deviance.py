"""How much the objective may rise before a point is no longer believed.

The deviance of a point is c (objective - minimum), with c such that it is distributed, one parameter at a time, as

    chi-square of one degree of freedom    c = sum of weights, squares of residuals over a known sigma
                                           c = 2 sum of weights, negative log-likelihoods
                                           c = 2, an objective of its own, taken for a negative log-likelihood
    F(1, dof), the square of Student's t   c = dof / minimum, squares whose scale the residuals tell

References: D. M. Bates and D. G. Watts, Nonlinear Regression Analysis and Its Applications, Wiley 1988, section 6.1, for
squares; F. James and M. Roos, MINUIT, Computer Physics Communications 10 (1975), for likelihoods.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from fitkit.problem import Problem
from fitkit.uncertainty.covariance import degrees_of_freedom, is_sum_of_squares, scale_from_residuals
from fitkit.uncertainty.intervals import two_sided_quantile


@final
@dataclass(frozen=True, kw_only=True)
class Deviance:
    """The rise of the objective in units of what chance explains."""

    factor: float
    """c, per unit of the objective."""
    dof: int | None
    """Of Student's t, None where the scale is known."""
    words: str
    """What it is made of."""

    def bound(self, level: float) -> float:
        """Return the root of the deviance that is exceeded with probability 1 - level."""
        return two_sided_quantile(level, self.dof)


def deviance_at(problem: Problem, minimum: float) -> Deviance | str:
    """Return the deviance above a minimum of the objective, or why there is none."""
    if problem.rows is None:
        return Deviance(factor=2.0, dof=None, words="the objective taken for a negative log-likelihood")
    total = float(problem.total_weight)
    if problem.loss is not None and problem.loss.likelihood:
        return Deviance(factor=2 * total, dof=None, words="from the likelihood")
    if not is_sum_of_squares(problem.loss):
        return "the loss is no likelihood"
    if not scale_from_residuals(problem):
        return Deviance(factor=total, dof=None, words="scale from sigma")
    dof = degrees_of_freedom(problem) or 0
    if dof <= 0:
        return "there are no degrees of freedom left to tell the scatter from"
    if minimum <= 0:
        return "the residuals are zero: there is no scatter to tell errors from"
    return Deviance(factor=dof / minimum, dof=dof, words="scale from the residuals")
