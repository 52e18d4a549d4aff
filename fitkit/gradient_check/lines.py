"""All lines of a check: random directions, and each parameter alone, at every point."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numpy.typing import NDArray

from fitkit.gradient_check.judge import Judgement
from fitkit.gradient_check.ladder import Vector
from fitkit.gradient_check.plan import SWEEP_UP_TO, Plan
from fitkit.gradient_check.points import Direction, block_direction, random_direction, sizes
from fitkit.gradient_check.probe import Place
from fitkit.gradient_check.result import Check, Finding, Verdict
from fitkit.gradient_check.session import Session
from fitkit.gradient_check.subject import Subject

FAILED = frozenset({Verdict.FAIL, Verdict.ZERO_GRAD, Verdict.KINK_FAIL})


@final
@dataclass(frozen=True, kw_only=True)
class Tested:
    """One line: where, along what, and what it showed."""

    place: Place
    direction: Direction
    move: Vector
    """The direction in the units of theta, shape (free,)."""
    judged: Judgement

    @property
    def entry(self) -> int | None:
        """The one entry that moves, or None."""
        moving = np.flatnonzero(self.direction.signs) if self.direction.single else np.zeros(0)
        return int(moving[0]) if len(moving) == 1 else None


def single_places(subject: Subject) -> list[tuple[str, slice]]:
    """Return what moves alone: each entry where they are few, else each parameter where those are few."""
    free = len(subject.theta)
    if free <= SWEEP_UP_TO:
        return [(subject.name(i), slice(i, i + 1)) for i in range(free)]
    blocks = [(block.name, place) for block, place in subject.slices() if block.size]
    return blocks if 1 < len(blocks) <= SWEEP_UP_TO else []


def judged_lines(session: Session, places: tuple[Place, ...], plan: Plan, held: NDArray[np.bool_]) -> list[Tested]:
    """Return every line of the plan with its verdict; the entries of `held` do not move."""
    subject = session.subject
    wanted: list[tuple[Place, Direction, Vector]] = []
    for place in places:
        draws = np.random.default_rng([session.settings.seed, 1])  # the same directions everywhere, but for bounds
        size = sizes(subject, place.theta)
        directions = [
            random_direction(subject, place.theta, held, f"random {k + 1}", draws) for k in range(plan.directions)
        ]
        if plan.singles:
            base = random_direction(subject, place.theta, held, "", draws)
            directions += [block_direction(base, where, name) for name, where in single_places(subject)]
        wanted += [(place, d, d.signs * size) for d in directions if np.any(d.signs)]
    judged = session.probe.judge_all([(place, move) for place, _, move in wanted])
    tested = [
        Tested(place=place, direction=direction, move=move, judged=verdict)
        for (place, direction, move), verdict in zip(wanted, judged, strict=True)
    ]
    return _unused(tested)


def _unused(tested: list[Tested]) -> list[Tested]:
    """Mark the parameters that have no effect at any point."""
    idle = {t.direction.name for t in tested if t.direction.single} | {
        t.direction.name for t in tested if all(u.judged.still for u in tested)
    }
    for line in tested:
        if not (line.judged.still and line.judged.autodiff == 0 and line.judged.verdict is Verdict.PASS):
            idle.discard(line.direction.name)
    return [
        replace(t, judged=replace(t.judged, verdict=Verdict.UNUSED)) if t.direction.name in idle else t for t in tested
    ]


def unused_findings(tested: list[Tested]) -> tuple[Finding, ...]:
    """Return a warning for each parameter without effect."""
    names = dict.fromkeys(t.direction.name for t in tested if t.judged.verdict is Verdict.UNUSED and t.direction.single)
    return tuple(
        Finding(
            verdict=Verdict.UNUSED, parameter=name, message=f"{name} has no effect on the value at any point tested"
        )
        for name in names
    )


def as_check(subject: Subject, line: Tested, blamed: str | None) -> Check:
    """Return the row of the report for one line; where one entry moves alone, its partial derivative."""
    entry, judged = line.entry, line.judged
    factor = 1.0 if entry is None else 1.0 / float(line.move[entry])
    width = abs(factor)
    left, right = (judged.left, judged.right) if factor > 0 else (judged.right, judged.left)
    return Check(
        point=line.place.name,
        direction=line.direction.name,
        parameter=blamed if entry is None else subject.name(entry),
        autodiff=judged.autodiff * factor,
        numerical=judged.numerical * factor,
        error_estimate=judged.error * width,
        tolerance=judged.tolerance * width,
        verdict=judged.verdict,
        note=judged.note,
        digits=judged.digits,
        resolvable_digits=judged.resolvable,
        slope=judged.order,
        step=judged.step,
        noise=judged.noise,
        left=left * factor,
        right=right * factor,
    )
