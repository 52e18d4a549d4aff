"""Quantiles for confidence intervals."""

from __future__ import annotations


def two_sided_quantile(level: float, dof: int | None) -> float:
    """Return the k for which an estimate +- k standard errors covers with probability `level`.

    Student's t with `dof` degrees of freedom, or the normal distribution where the scale is known (dof is None).
    """
    from scipy.special import ndtri, stdtrit

    probability = (1 + level) / 2
    return float(ndtri(probability) if dof is None else stdtrit(dof, probability))
