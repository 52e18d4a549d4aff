"""How thoroughly a gradient is checked, and what is accepted on the user's word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

PointKind = Literal["start", "jitter", "wide", "solution", "random"]
"""Start: as configured; jitter: 10 % around it; wide: drawn from the domain or around the start; random: like wide."""


@final
@dataclass(frozen=True, kw_only=True)
class Settings:
    """The options of a check. None of them is a step or a tolerance: those are derived."""

    seed: int = 0
    points: tuple[PointKind, ...] = ("start", "jitter", "jitter", "wide")
    """Kinds of points, in order; a kind may stand more than once."""
    directions: int = 8
    """Random directions at each point; the directions of single parameters come on top."""
    rungs: int = 37
    """Steps tried along each line."""
    order: Literal[1, 2] = 1
    """2 also tests Hessian-vector products along the lines."""
    budget: float | None = None
    """Seconds; to stay within them points are dropped, then directions, then rungs."""
    measure: bool = False
    """Also time the value and the gradient."""
    warn: bool = False
    """Staircases, discontinuities and non-determinism warn instead of failing."""
    allow_kinks: bool = False
    """At a kink any gradient is accepted, and told."""
    allow_stop_gradient: tuple[str, ...] = ()
    """Parameters whose gradient may be stopped: they are held along the lines."""
    surrogate: bool = False
    """Rules may differ from the derivative (straight-through estimators): what they explain warns instead of failing."""
