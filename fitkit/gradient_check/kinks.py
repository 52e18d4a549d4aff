"""Places where a function has no derivative: a kink with a slope on each side, or a jump."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from fitkit.gradient_check.ladder import Line
from fitkit.gradient_check.noise import EPSILON
from fitkit.gradient_check.plateaus import Plateau, backward_slopes, forward_slopes, one_sided, plateaus

Vector = NDArray[np.float64]

RUNGS = 6
"""Rungs on which the difference of the slopes must stand still, two decades of steps."""
CLEAR = 20.0
"""A difference this many times its noise is there."""
FINEST = 8
"""The last rungs of the ladder, which show what happens at the point itself."""


@final
@dataclass(frozen=True, kw_only=True)
class Kink:
    """The slopes on both sides of the point."""

    left: Plateau
    right: Plateau


def kink(line: Line, floor: float) -> Kink | None:
    """Return the kink at x itself: the slopes differ by the same amount on ever smaller steps, until noise hides it.

    A kink beside x is none: below its distance the slopes agree.
    """
    with np.errstate(all="ignore"):
        bends = forward_slopes(line) - backward_slopes(line)
        noise = np.maximum(floor, 0.5 * EPSILON * np.maximum(np.abs(line.forward), np.abs(line.backward)))
        shown = np.isfinite(bends) & (np.abs(bends) * line.steps > CLEAR * noise)
    places = np.flatnonzero(shown)
    if len(places) < RUNGS:
        return None
    last = int(places[-1])
    rungs = bends[last - RUNGS + 1 : last + 1]
    if last - RUNGS + 1 < 0 or not np.all(shown[last - RUNGS + 1 : last + 1]):
        return None
    steady = np.all(np.sign(rungs) == np.sign(rungs[-1])) and np.abs(rungs).max() <= 1.25 * np.abs(rungs).min()
    hidden = last == len(bends) - 1 or abs(rungs[-1]) * line.steps[last + 1] <= 2 * CLEAR * noise[last + 1]
    if not (steady and hidden):
        return None
    return _both(line, floor)


def _both(line: Line, floor: float) -> Kink | None:
    left = best(plateaus(one_sided(line, floor, ahead=False), 0.0))
    right = best(plateaus(one_sided(line, floor, ahead=True), 0.0))
    return None if left is None or right is None else Kink(left=left, right=right)


def best(found: tuple[Plateau, ...]) -> Plateau | None:
    """Return the plateau of the narrowest bar."""
    return min(found, key=lambda plateau: plateau.relative, default=None)


def jump(line: Line, floor: float) -> float:
    """Return by how much the function jumps at x, or 0: the same difference on the last rungs, far above noise."""
    with np.errstate(all="ignore"):
        across = (line.forward - line.backward)[-FINEST:]
    level = max(100 * floor, 8 * line.epsilon * max(abs(line.center), float(np.max(np.abs(across), initial=0.0))))
    if not np.all(np.isfinite(across)) or np.abs(across).min() <= level:
        return 0.0
    return float(across[-1]) if np.abs(across - across[-1]).max() <= 0.02 * abs(across[-1]) else 0.0


def open_side(line: Line) -> bool | None:
    """Return on which side alone the function is finite next to x: True ahead, False behind, None on both or neither."""
    ahead = bool(np.all(np.isfinite(line.forward[-FINEST:])))
    behind = bool(np.all(np.isfinite(line.backward[-FINEST:])))
    return None if ahead == behind else ahead
