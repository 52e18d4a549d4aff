"""Numbers that may not exist."""

from __future__ import annotations

import math


def number(value: float | None) -> float | None:
    """Return the number, or None where it does not exist."""
    return None if value is None or not math.isfinite(value) else float(value)
