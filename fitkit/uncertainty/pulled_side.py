"""The search for the place where the profile of a tied parameter crosses its bound, on one side.

It does not compute: it is told how far a refit came and the root of the deviance there, and says how far to aim next.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

FARTHEST = 1e4
"""A profile that is still below its bound at so many times the width that the curvature foretells never reaches it."""
CLOSE = 1e-5
"""Relative distance of tau from its bound within which interpolation finds the crossing to rounding."""
CLOSE_LATER = 1e-3
"""The same once many refits have come near: their scatter about what they aim at is then what is left."""
MANY = 10


@final
@dataclass
class PulledSide:
    """The search for a crossing on one side of one tied parameter; distances are those of g from its value."""

    name: str
    sign: int
    width: float
    """The standard error of g."""
    next: float
    """The distance wanted."""
    lag: float
    """How much further the aim is."""
    theta: Vector
    points: list[tuple[float, float]] = field(default_factory=lambda: [(0.0, 0.0)])
    """Distances and taus."""
    ending: Literal["crossed", "cut", "endless", "unsure"] | None = None
    end: float = 0.0

    def look(self, distance: float, tau: float, bound: float) -> None:
        """Take in a refit, and settle where to look next."""
        aim = self.next + self.lag
        finite = math.isfinite(tau) and math.isfinite(distance)
        self.points.append((distance, tau) if finite else (self.next, math.inf))
        taken = len(self.points)
        near = CLOSE if taken < MANY else CLOSE_LATER
        if finite and abs(tau - bound) <= near * bound and taken > 2:
            self.ending, self.end = "crossed", _interpolated(self.points, bound)
            return
        inside = max((p for p in self.points if p[1] < bound), key=lambda p: p[0])
        outside = min((p for p in self.points if p[1] >= bound and p[0] > inside[0]), default=None, key=lambda p: p[0])
        if finite and tau < bound and distance < aim / 2:
            self.ending = "cut"
        elif outside is None and inside[0] > FARTHEST * self.width * bound:
            self.ending = "endless"
        elif outside is not None and outside[0] - inside[0] <= 1e-10 * outside[0]:
            self.ending, self.end = "crossed", inside[0]  # the objective jumps, as at the edge of where it is finite
        else:
            before = self.next
            self.next = _wanted(inside, outside, bound, slow=taken % 5 == 0)
            self.lag = self.lag * self.next / before if not finite else (aim - distance) * self.next / distance


def _wanted(inside: tuple[float, float], outside: tuple[float, float] | None, bound: float, *, slow: bool) -> float:
    """Return the distance to look at: further out, by a secant, or in the middle where secants would not do."""
    low, below = inside
    if outside is None:
        return low * min(4.0, max(1.05, 1.01 * bound / below)) if below > 0 else 4 * low
    high, above = outside
    if slow or not above <= 4 * bound:
        return (low + high) / 2
    return low + (high - low) * (bound - below) / (above - below)


def _interpolated(points: list[tuple[float, float]], bound: float) -> float:
    """Return the distance at which tau is at its bound, by the parabola through the three points that are nearest in tau."""
    chosen: list[tuple[float, float]] = []
    for point in sorted((p for p in points if math.isfinite(p[1])), key=lambda p: abs(p[1] - bound)):
        if all(abs(point[1] - other[1]) > 1e-9 * bound for other in chosen):
            chosen.append(point)
    chosen = chosen[:3]
    total = 0.0
    for distance, tau in chosen:
        others = [other for _, other in chosen if other != tau]
        total += distance * math.prod((bound - other) / (tau - other) for other in others)
    return total
