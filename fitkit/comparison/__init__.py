"""Two results beside each other: what changed, in numbers and in standard errors, and whether it is too much."""

from __future__ import annotations

from fitkit.comparison.baseline import Baseline, updated
from fitkit.comparison.drift import BaselineComparison, Drift, compared
from fitkit.comparison.record import Estimate, FitRecord, record_of
from fitkit.comparison.tolerance import Tolerance

__all__ = [
    "Baseline",
    "BaselineComparison",
    "Drift",
    "Estimate",
    "FitRecord",
    "Tolerance",
    "compared",
    "record_of",
    "updated",
]
