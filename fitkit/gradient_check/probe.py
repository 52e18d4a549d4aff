"""From a point and a direction to the values along the line, for all lines of a check at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numpy.typing import NDArray

from fitkit.gradient_check.judge import RESOLVED, Judgement, judge
from fitkit.gradient_check.ladder import Line, Vector, line, offsets
from fitkit.gradient_check.noise import Quantum, is_staircase, quantum
from fitkit.gradient_check.program import Program, along
from fitkit.gradient_check.result import Verdict

WIDEN = 1e3
"""How much longer a line becomes whose largest step is still too small for the noise."""
WIDENINGS = 4
STAIRS = 200
"""Points by which a staircase is told from a hinge."""
FEW_DIGITS = 8.0


@final
@dataclass(frozen=True, kw_only=True)
class Place:
    """A point with the gradient under test, and what rounding the point does to it."""

    name: str
    theta: Vector
    gradient: Vector
    shaken: NDArray[np.float64]
    """Gradients at the point with its entries rounded otherwise, shape (shakes, free)."""
    spread: float = 0.0
    """How far repeated values differ."""

    def condition(self, direction: Vector) -> float:
        """Return the most that rounding theta changes <g, d>."""
        with np.errstate(invalid="ignore"):
            changes = np.abs((self.shaken - self.gradient) @ direction)
        return float(np.max(changes[np.isfinite(changes)], initial=0.0))


@final
@dataclass(frozen=True, kw_only=True)
class Probe:
    """Tests lines of one function.

    Args:
        program: the values.
        lower: bounds, outside of which nothing is evaluated.
        upper: as `lower`.
        rungs: steps on a line.
        epsilon: the unit of rounding of the lowest precision in the program.
        one_by_one: whether points are made on the device, one at a time, because a batch would not fit.
    """

    program: Program
    lower: Vector
    upper: Vector
    rungs: int
    epsilon: float
    one_by_one: bool

    def judge_all(self, lines: Sequence[tuple[Place, Vector]]) -> list[Judgement]:
        """Return the verdict along each direction d (already in the units of theta) from its place."""
        if not lines:
            return []
        measured = self._measure(lines, np.broadcast_to(offsets(self.rungs), (len(lines), len(offsets(self.rungs)))))
        return [self._judge(place, move, values) for (place, move), values in zip(lines, measured, strict=True)]

    def _judge(self, place: Place, move: Vector, values: Vector) -> Judgement:
        judged = self._once(place, move, values)
        for widening in range(1, WIDENINGS + 1):
            if not _worth_widening(judged, self.rungs):
                break
            longer = move * WIDEN**widening
            wider = self._once(place, longer, self._measure([(place, longer)], offsets(self.rungs)[None])[0])
            if not _better(wider, judged, widening):
                break
            judged = _rescaled(wider, WIDEN**-widening)
        return judged

    def _once(self, place: Place, move: Vector, values: Vector) -> Judgement:
        found = line(
            values,
            self.rungs,
            autodiff=float(place.gradient @ move),
            magnitude=float(np.abs(place.gradient) @ np.abs(move)),
            condition=place.condition(move),
            epsilon=self.epsilon,
            spread=place.spread,
        )
        return judge(found, self._quantum(found, place, move))

    def _quantum(self, found: Line, place: Place, move: Vector) -> Quantum:
        quantised = quantum(found)
        if quantised.size == 0 or quantised.by_rounding:
            return quantised
        reach = 3 * quantised.until * float(found.steps[0] / found.steps[1])
        stretches = [self._measure([(place, move)], np.linspace(0, end, STAIRS)[None])[0] for end in (reach, -reach)]
        stairs = any(is_staircase(stretch) for stretch in stretches)
        return quantised if stairs else Quantum(size=0.0, until=quantised.until, by_rounding=True)

    def _measure(self, lines: Sequence[tuple[Place, Vector]], places: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.one_by_one:
            rows = [self._one_line(place, move, row) for (place, move), row in zip(lines, places, strict=True)]
            return np.stack(rows)
        moved, made_up = [], []
        for (place, move), row in zip(lines, places, strict=True):
            shift = row[:, None] * move
            points = place.theta + shift
            moved.append(points)
            made_up.append(((points - place.theta) - shift) @ place.gradient)
        points = np.concatenate(moved)
        outside = np.any((points < self.lower) | (points > self.upper), axis=1)
        values = self.program.at(
            np.where(outside[:, None], np.repeat([p.theta for p, _ in lines], places.shape[1], 0), points)
        )
        with np.errstate(all="ignore"):
            kept = np.where(outside, np.nan, values - np.concatenate(made_up))
        return np.asarray(kept.reshape(places.shape), float)

    def _one_line(self, place: Place, move: Vector, row: Vector) -> Vector:
        values = along(self.program, place.theta, move, row, place.gradient)
        if np.all(np.isinf(self.lower)) and np.all(np.isinf(self.upper)):
            return values
        inside = [bool(np.all((p >= self.lower) & (p <= self.upper))) for p in (place.theta + t * move for t in row)]
        return np.where(inside, values, np.nan)


def _worth_widening(judged: Judgement, rungs: int) -> bool:
    """Whether larger steps would drown the noise: the best step is among the largest and digits are few."""
    if judged.verdict not in {Verdict.PASS, Verdict.INCONCLUSIVE} or (judged.still and judged.autodiff == 0):
        return False
    few = np.isnan(judged.resolvable) or judged.resolvable < FEW_DIGITS or judged.tolerance > RESOLVED * judged.scale
    ladder = offsets(rungs)[1 : rungs + 1]
    return bool(few and (np.isnan(judged.step) or judged.step > ladder[min(10, rungs - 1)]))


def _better(wider: Judgement, judged: Judgement, widening: int) -> bool:
    """Whether the longer line resolves more."""
    if wider.verdict in {Verdict.INCONCLUSIVE, Verdict.STAIRCASE, Verdict.DISCONTINUOUS} or np.isnan(wider.resolvable):
        return False
    apart = abs(wider.numerical * WIDEN**-widening - judged.numerical)
    if apart > 3 * (wider.error * WIDEN**-widening + judged.error):  # false where the shorter line showed no number
        return False
    return bool(np.isnan(judged.resolvable) or wider.resolvable > judged.resolvable)


def _rescaled(wider: Judgement, factor: float) -> Judgement:
    """Return what a longer line showed, per step of the line as it was asked for."""
    names = ("autodiff", "numerical", "error", "tolerance", "scale", "left", "right")
    changed = {name: getattr(wider, name) * factor for name in names}
    return replace(wider, step=wider.step / factor, **changed)
