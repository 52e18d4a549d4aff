"""Numbers that may not exist."""

from __future__ import annotations

import math


def number(value: float | None) -> float | None:
    """Return the number, or None where it does not exist."""
    return None if value is None or not math.isfinite(value) else float(value)


def counted(count: int, what: str) -> str:
    """Return `1 row` or `2 rows`."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
