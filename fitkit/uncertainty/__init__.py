"""Standard errors, intervals and correlations."""

from __future__ import annotations

from fitkit.uncertainty.settings import Bootstrap, Covariance, NoUncertainty, Profile, Uncertainty

UNCERTAINTIES: tuple[type[Uncertainty], ...] = (Covariance, Profile, Bootstrap, NoUncertainty)

__all__ = ["UNCERTAINTIES", "Bootstrap", "Covariance", "NoUncertainty", "Profile", "Uncertainty"]
