"""The points at which a claim is tried: the start proves nothing, so all else is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from fitkit.gradient_check.claims_subject import ClaimSubject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

DRAWN = 8
"""Random points, structural constants drawn too."""
_TRIES = 60
"""How often a point is drawn until the function is finite there."""


@final
@dataclass(frozen=True, kw_only=True)
class Point:
    """One point, shape (names,)."""

    kind: str
    """start, constants (those of the config, all else drawn), or drawn."""
    at: Vector


def draw_points(subject: ClaimSubject, name: str, seed: int) -> list[Point]:
    """Return the start, some random points with the config's constants if it has any, and `DRAWN` that are all random.

    A point where the function or its derivative by `name` is finite in no row is drawn again.
    """
    import numpy as np

    rng = np.random.default_rng([seed, sum(map(ord, name))])
    found = [Point(kind="start", at=np.array(subject.start))] if _finite(subject, name, subject.start) else []
    kinds = ["constants"] * (DRAWN // 2 if subject.constants else 0) + ["drawn"] * DRAWN
    for kind in kinds:
        for attempt in range(_TRIES):
            point = _draw(subject, rng, keep_signs=attempt % 2 == 0, keep_constants=kind == "constants")
            if _finite(subject, name, point, everywhere=attempt < _TRIES // 2):
                found.append(Point(kind=kind, at=point))
                break
    return found


def _finite(subject: ClaimSubject, name: str, point: Vector, *, everywhere: bool = False) -> bool:
    import numpy as np

    finite = np.isfinite(subject.value(point)) & np.isfinite(subject.slope(name)(point))
    return bool(np.all(finite) if everywhere else np.any(finite))


def _draw(subject: ClaimSubject, rng: np.random.Generator, *, keep_signs: bool, keep_constants: bool) -> Vector:
    """Return a point: between two bounds evenly, else within a factor of about four of the start, 0 counting as 1."""
    import numpy as np

    size = np.abs(np.where(subject.start == 0, 1.0, subject.start)) * np.exp(rng.normal(0, 0.7, len(subject.start)))
    sign = np.where(subject.start < 0, -1.0, 1.0)
    flips = rng.random(len(subject.start)) < (0.5 if not keep_signs else np.where(subject.start == 0, 0.5, 0.0))
    positive = np.array([name in subject.positive for name in subject.names])
    point = np.where(flips & ~positive, -sign, sign) * size
    both = np.isfinite(subject.lower) & np.isfinite(subject.upper)
    evenly = rng.random(len(point))
    span = np.where(both, subject.upper, 0.0) - np.where(both, subject.lower, 0.0)
    point = np.where(both, np.where(both, subject.lower, 0.0) + evenly * span, point)
    above, below = subject.lower > point, subject.upper < point
    point = np.where(above, np.where(above, subject.lower, 0.0) + size, point)
    point = np.where(below, np.where(below, subject.upper, 0.0) - size, point)
    if keep_constants:
        constant = np.array([name in subject.constants for name in subject.names])
        point = np.where(constant, subject.start, point)
    return np.asarray(point, np.float64)
