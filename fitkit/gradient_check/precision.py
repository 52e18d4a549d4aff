"""What float32 costs: the gradient as the run takes it against the same gradient in float64."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitkit.gradient_check.result import Finding, Verdict

Vector = NDArray[np.float64]
SINGLE = float(np.finfo(np.float32).eps)


def compare(single: Any, double: Vector, scale: Vector, point: str) -> Finding | None:
    """Return what is lost at one point, or None where at least half of float32's digits are left.

    Sign and scale are judged on the norm in units of the parameters' sizes, not entry by entry: a right gradient may
    have an entry that is zero.
    """
    low = np.asarray(single, float) * scale
    high = double * scale
    norm = float(np.linalg.norm(high))
    if not np.all(np.isfinite(low)):
        message = f"at {point} the gradient is not finite in float32, and is in float64"
        return Finding(verdict=Verdict.PRECISION_LOST, parameter=None, message=message)
    if norm == 0:
        return None
    error = float(np.linalg.norm(low - high)) / norm
    ratio = float(np.linalg.norm(low)) / norm
    if float(low @ high) <= 0 or not 0.5 <= ratio <= 2:
        message = f"at {point} float32 gives a gradient {ratio:.2g} times as long, of another direction or scale"
        return Finding(verdict=Verdict.PRECISION_LOST, parameter=None, message=message)
    if error <= math.sqrt(SINGLE):
        return None
    left = max(0.0, -math.log10(error))
    message = f"at {point} float32 leaves {left:.1f} of {-math.log10(SINGLE):.1f} digits of the gradient"
    return Finding(verdict=Verdict.PRECISION, parameter=None, message=message)
