"""How many points, directions and steps a check can afford."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

from fitkit.gradient_check.ladder import offsets
from fitkit.gradient_check.settings import PointKind, Settings

WORK = 1_000_000_000
"""Numbers that the operations of all lines together may make: about a second."""
DEAR = 4
"""Times the work that may be done by two directions at every point before one is left out."""
SWEEP_UP_TO = 64
"""Entries up to which each moves alone."""
FEW_RUNGS = 21
"""Rungs that a large function still gets: a plateau is told from an accident."""
FEWEST_RUNGS = 13
"""Rungs that a short budget still gets."""


@final
@dataclass(frozen=True, kw_only=True)
class Plan:
    """What will be tested."""

    points: tuple[PointKind, ...]
    directions: int
    """Random ones at each point."""
    singles: int
    """Lines at each point along which one parameter alone moves; 0 where there is no time for them."""
    rungs: int
    notes: tuple[str, ...] = ()

    @property
    def evaluations(self) -> int:
        """Values that all lines need."""
        return len(self.points) * (self.directions + self.singles) * len(offsets(self.rungs))


def plan(settings: Settings, singles: int, heavy: int, seconds: float | None) -> Plan:
    """Return the plan that fits.

    Args:
        settings: what was asked for, and the budget.
        singles: directions of one parameter that there are.
        heavy: numbers that one value takes to make.
        seconds: that one value takes; None where there is no budget.
    """
    wanted = Plan(points=settings.points, directions=settings.directions, singles=singles, rungs=settings.rungs)
    wanted = _smaller(wanted, WORK // heavy, "directions or steps, for the size of the function")
    if seconds is None or settings.budget is None:
        return wanted
    affordable = int(0.5 * settings.budget / max(seconds, 1e-9))  # the other half is for compiling and the other checks
    return _smaller(wanted, affordable, "points, directions or steps, to stay within the budget", points=True)


def _smaller(wanted: Plan, most: int, what: str, *, points: bool = False) -> Plan:
    """Return `wanted` with as much dropped as makes it fit into `most` values."""
    fitted = wanted
    while points and fitted.evaluations > most and len(fitted.points) > 1:
        fitted = replace(fitted, points=fitted.points[:-1])
    while fitted.evaluations > most and fitted.directions > 2:
        fitted = replace(fitted, directions=fitted.directions - 1)
    if fitted.evaluations > most and fitted.singles:
        fitted = replace(fitted, singles=0)
    # Each point has its own gradient, and a direction sees all of it: a second one at every point says the least.
    while fitted.evaluations > (most if points else DEAR * most) and fitted.directions > 1:
        fitted = replace(fitted, directions=fitted.directions - 1)
    least = FEWEST_RUNGS if points else FEW_RUNGS
    while fitted.evaluations > most and fitted.rungs > least:
        fitted = replace(fitted, rungs=fitted.rungs - 4)
    return fitted if fitted == wanted else replace(fitted, notes=(*wanted.notes, f"fewer {what}"))
