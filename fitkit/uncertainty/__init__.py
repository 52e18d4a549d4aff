"""Standard errors, intervals and correlations."""

from __future__ import annotations

from fitkit.uncertainty.settings import Covariance, NoUncertainty, Profile, Uncertainty

UNCERTAINTIES: tuple[type[Uncertainty], ...] = (Covariance, Profile, NoUncertainty)

__all__ = ["UNCERTAINTIES", "Covariance", "NoUncertainty", "Profile", "Uncertainty"]
