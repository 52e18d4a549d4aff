"""The points of a check, drawn until value and gradient are finite."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from fitkit.gradient_check.nonfinite import culprit
from fitkit.gradient_check.points import draw
from fitkit.gradient_check.probe import Place
from fitkit.gradient_check.result import Finding, Verdict
from fitkit.gradient_check.session import Session
from fitkit.gradient_check.settings import PointKind

DRAWS = 12
"""How often a point outside the function's domain is drawn again, each time nearer to the start."""
NEARER = 0.6


@final
@dataclass(frozen=True, kw_only=True)
class Places:
    """The points at which lines can be tested, and what was wrong with the others."""

    found: tuple[Place, ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]


def find_places(session: Session, kinds: tuple[PointKind, ...], spread: float) -> Places:
    """Return the points of `kinds`; a point that is not finite is an error at the start, elsewhere it is drawn again."""
    generator = np.random.default_rng(session.settings.seed)
    found: list[Place] = []
    findings: list[Finding] = []
    notes: list[str] = []
    for kind, name in zip(kinds, _names(kinds), strict=True):
        if kind in {"start", "solution"}:
            place = session.place(name, draw(session.subject, kind, generator), spread)
            wrong = _wrong(session, place)
            if wrong is None:
                found.append(place)
            else:
                findings.append(wrong)
            continue
        redrawn = _drawn(session, kind, name, generator, spread)
        found += redrawn[0]
        notes += redrawn[1]
    return Places(found=tuple(found), findings=tuple(findings), notes=tuple(notes))


def _names(kinds: tuple[PointKind, ...]) -> list[str]:
    """Return `start`, `jitter 1`, `jitter 2`, `wide`, ...: numbered where a kind stands more than once."""
    seen: dict[str, int] = {}
    names = []
    for kind in kinds:
        seen[kind] = seen.get(kind, 0) + 1
        names.append(f"{kind} {seen[kind]}" if kinds.count(kind) > 1 else kind)
    return names


def _drawn(
    session: Session, kind: PointKind, name: str, generator: np.random.Generator, spread: float
) -> tuple[list[Place], list[str]]:
    for attempt in range(DRAWS):
        theta = draw(session.subject, kind, generator, NEARER**attempt)
        place = session.place(name, theta, spread)
        if np.isfinite(place.value) and np.all(np.isfinite(place.gradient)):
            times = "once" if attempt == 1 else f"{attempt} times"
            return [place], [f"{name}: drawn again {times}, where value and gradient are finite"] if attempt else []
    return [], [f"{name}: left out, no point near the start has a finite value and gradient"]


def _wrong(session: Session, place: Place) -> Finding | None:
    if not np.isfinite(place.value):
        message = f"the value at the {place.name} is {place.value}"
        return Finding(verdict=Verdict.NONFINITE_VALUE, parameter=None, message=message)
    spoiled = np.flatnonzero(~np.isfinite(place.gradient))
    if len(spoiled) == 0:
        return None
    known = culprit(session.function, session.gradient, place.theta)
    first = session.subject.name(int(spoiled[0]))
    more = f" and {len(spoiled) - 1} more" if len(spoiled) > 1 else ""
    message = f"the value at the {place.name} is finite, its gradient for {first}{more} is {place.gradient[spoiled[0]]}"
    if known is not None:
        message += f": {known.sentence()}"
    return Finding(verdict=Verdict.NAN_GRAD, parameter=first, message=message)
