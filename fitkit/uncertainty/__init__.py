"""Standard errors, intervals and correlations."""

from __future__ import annotations

from fitkit.uncertainty.settings import Covariance, NoUncertainty, Uncertainty

UNCERTAINTIES: tuple[type[Uncertainty], ...] = (Covariance, NoUncertainty)

__all__ = ["UNCERTAINTIES", "Covariance", "NoUncertainty", "Uncertainty"]
