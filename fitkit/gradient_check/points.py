"""Where a gradient is tested, and along which directions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from fitkit.gradient_check.settings import PointKind
from fitkit.gradient_check.subject import Subject

Vector = NDArray[np.float64]

JITTER = 0.1
"""How far a jittered point is from the start, in sizes of the parameters."""
WIDE = np.e
"""The factor by which a wide draw changes a parameter at the most, where no domain says more."""


@final
@dataclass(frozen=True, kw_only=True)
class Direction:
    """A direction in units of the parameters' sizes."""

    name: str
    signs: Vector
    """Shape (free,)."""
    single: bool
    """Whether one parameter alone moves."""


def sizes(subject: Subject, theta: Vector) -> Vector:
    """Return the change of each entry that matters, shape (free,): the scale given, |theta|, its block's, or 1."""
    found = np.abs(theta)
    for _, place in subject.slices():
        block = found[place]
        root = float(np.sqrt(np.mean(np.square(block)))) if block.size else 0.0
        block[block == 0] = root if root > 0 else 1.0
    if subject.scale is not None:
        found = np.where(np.isfinite(subject.scale), subject.scale, found)
    return found


def domain(subject: Subject) -> tuple[Vector, Vector]:
    """Return the bounds of each entry, shape (free,) each, infinite where there are none."""
    free = len(subject.theta)
    lower = np.full(free, -np.inf) if subject.lower is None else np.asarray(subject.lower, float)
    upper = np.full(free, np.inf) if subject.upper is None else np.asarray(subject.upper, float)
    return lower, upper


def draw(subject: Subject, kind: PointKind, generator: Generator, shrink: float = 1.0) -> Vector:
    """Return a point of `kind`, inside the domain.

    Args:
        subject: whose start and domain.
        kind: start and solution are given, the others drawn.
        generator: of the random numbers.
        shrink: below 1 keeps nearer to the start, for a point that is drawn again.
    """
    start = np.asarray(subject.theta, float)
    if kind == "start":
        return start
    if kind == "solution":
        return np.asarray(start if subject.solution is None else subject.solution, float)
    lower, upper = domain(subject)
    uniform = generator.uniform(-1.0, 1.0, len(start))
    if kind == "jitter":
        drawn = start + JITTER * shrink * sizes(subject, start) * uniform
        return _inside(drawn, start, lower, upper)
    factor = WIDE ** (shrink * uniform)
    drawn = np.where(start != 0, start * factor, shrink * sizes(subject, start) * uniform)
    bounded = np.isfinite(lower) & np.isfinite(upper)
    share = 0.5 + 0.49 * uniform
    across = np.where(bounded, lower, 0.0) + share * np.where(bounded, upper - np.where(bounded, lower, 0.0), 0.0)
    drawn = np.where(bounded, start + shrink * (across - start), drawn)
    return _inside(drawn, start, lower, upper)


def _inside(drawn: Vector, start: Vector, lower: Vector, upper: Vector) -> Vector:
    """Fold what left the domain back to half way between the start and the bound."""
    with np.errstate(invalid="ignore"):
        drawn = np.where(drawn <= lower, lower + 0.5 * (start - lower), drawn)
        return np.where(drawn >= upper, upper - 0.5 * (upper - start), drawn)


def random_direction(
    subject: Subject, theta: Vector, held: NDArray[np.bool_], name: str, draws: Generator
) -> Direction:
    """Return a direction whose entries are of size 0.5 to 1.5 with a random sign.

    Every entry counts (a normal entry may be near 0), and no two count the same (with signs alone, a swap of two
    entries is missed half of the time). At a bound an entry points inside.
    """
    lower, upper = domain(subject)
    signs = draws.uniform(0.5, 1.5, len(theta)) * draws.choice([-1.0, 1.0], len(theta))
    signs = np.where(theta <= lower, np.abs(signs), np.where(theta >= upper, -np.abs(signs), signs))
    return Direction(name=name, signs=np.where(held, 0.0, signs), single=False)


def block_direction(base: Direction, place: slice, name: str) -> Direction:
    """Return `base` with all entries but one parameter's held."""
    signs = np.zeros_like(base.signs)
    signs[place] = base.signs[place]
    return Direction(name=name, signs=signs, single=True)
