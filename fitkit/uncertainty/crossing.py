"""The search for the place where a profile crosses its bound, on one side of one parameter.

It does not compute: it is told the root of the deviance at the distance it asked for, and says where to look next, by
secants within a bracket.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

CLOSE_ENOUGH = 1e-7
"""Relative distance of tau from its bound at which a crossing is found: it has as many right digits, beside its width."""
ASTRAY = 4.0
"""A tau of more than so many times its bound has left the neighbourhood where it is nearly a straight line."""
MOST_DOUBTS = 5
"""How often a refit that went astray is tried again from a better start before it is believed."""

Ending = Literal["crossed", "bound", "endless", "unsure"]


@final
@dataclass
class Side:
    """The search for a crossing on one side of one parameter; distances are from the minimum."""

    parameter: int
    sign: int
    room: float
    """The distance of the bound."""
    next: float
    """The distance to look at next."""
    farthest: float
    point: Vector
    """Theta of the last refit, at distance `at`; before the first, where the curvature foretells it."""
    at: float
    below: tuple[float, float] = (0.0, 0.0)
    """The largest distance known to be inside, and tau there."""
    above: tuple[float, float] | None = None
    ending: Ending | None = None
    end: float = 0.0
    doubts: int = 0
    widths: list[float] = field(default_factory=list)

    def look(self, tau: float, bound: float, point: Vector, *, converged: bool) -> None:
        """Take in the root of the deviance at `next`, and settle where to look then."""
        distance = self.next
        if tau <= ASTRAY * bound:  # a refit that ended elsewhere is no guide to the next
            self.point, self.at = point, distance
        if abs(tau - bound) <= CLOSE_ENOUGH * bound:
            self.ending, self.end = "crossed" if converged else "unsure", distance
        elif tau < bound:
            self.below = (distance, tau)
            if self.above is None:
                self._reach(bound)
        else:
            self.above = (distance, tau if tau == tau else float("inf"))
        if self.ending is None and self.above is not None:
            self._narrow(bound, self.above)

    def _reach(self, bound: float) -> None:
        """Go further: the bound was not crossed yet."""
        distance, tau = self.below
        if distance >= self.room:
            self.ending = "bound"
        elif distance >= self.farthest:
            self.ending = "endless"
        else:
            stretch = bound / tau if tau > 0 else 4.0
            self.next = min(self.room, distance * min(4.0, max(1.05, 1.02 * stretch)))

    def _narrow(self, bound: float, above: tuple[float, float]) -> None:
        """Look between inside and outside: by a secant, or in the middle where secants shrink the bracket too slowly."""
        (low, inside), (high, outside) = self.below, above
        self.widths.append(high - low)
        if low > 0 and high - low <= 0.02 * high and not outside <= ASTRAY * bound and self.doubts < MOST_DOUBTS:
            # The refit out there may have gone astray from a start far off; from here it has a good one.
            self.doubts += 1
            self.above = None
            self._reach(bound)
            return
        if high - low <= 1e-10 * high:  # the objective jumps, as at the edge of where it is finite
            self.ending, self.end = "crossed", low
            return
        slow = len(self.widths) > 3 and self.widths[-1] > 0.5 * self.widths[-4]
        if slow or not outside <= ASTRAY * bound:
            self.next = (low + high) / 2
            self.widths.clear()
        else:
            self.next = low + (high - low) * (bound - inside) / (outside - inside)
