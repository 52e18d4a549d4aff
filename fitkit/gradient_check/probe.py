"""From a point and a direction to the values along the line, for all lines of a check at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import final

import numpy as np
from numpy.typing import NDArray

from fitkit.gradient_check.judge import RESOLVED, Judgement, judge, right_between_jumps
from fitkit.gradient_check.jumps import first_jump, largest_jump, slope_over_jumps
from fitkit.gradient_check.ladder import LARGEST, Line, Vector, line, offsets
from fitkit.gradient_check.noise import Quantum, quantum
from fitkit.gradient_check.program import Program, along
from fitkit.gradient_check.result import NAN, Verdict

WIDEN = 1e3
"""How much longer a line becomes whose largest step is still too small for the noise."""
WIDENINGS = 4
AT_ONCE = 8_000_000
"""Numbers of all points that are made at once on the host."""
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
    value: float = NAN
    ahead: float | None = None
    """The derivative along the session's direction `across` in forward mode; None where that is not another way."""

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
        jumpy: whether the program has loops of unknown length, whose values may jump where their length changes.
        one_by_one: whether points are made on the device, one at a time, because a batch would not fit.
    """

    program: Program
    lower: Vector
    upper: Vector
    rungs: int
    epsilon: float
    one_by_one: bool
    jumpy: bool

    def judge_all(self, lines: Sequence[tuple[Place, Vector]]) -> list[Judgement]:
        """Return the verdict along each direction d (already in the units of theta) from its place."""
        if not lines:
            return []
        measured = self._measure(lines, np.broadcast_to(offsets(self.rungs), (len(lines), len(offsets(self.rungs)))))
        return [self._judge(place, move, values) for (place, move), values in zip(lines, measured, strict=True)]

    def _judge(self, place: Place, move: Vector, values: Vector) -> Judgement:
        judged = self._once(place, move, values)
        for widening in range(1, WIDENINGS + 1):
            if not _worth_widening(judged, self.rungs, dear=self.one_by_one):
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
        judged = judge(found, self._quantum(found, place, move))
        if judged.verdict is not Verdict.FAIL or not self.jumpy:
            return judged
        jump_size = largest_jump(partial(self._along, place, move), LARGEST, judged.noise)
        if not jump_size:
            return judged
        slope, bar = slope_over_jumps(partial(self._along, place, move), jump_size)
        return right_between_jumps(found, judged, jump_size, slope, bar)

    def _quantum(self, found: Line, place: Place, move: Vector) -> Quantum:
        quantised = quantum(found)
        if quantised.size == 0 or quantised.by_rounding:
            return quantised
        reach = 3 * quantised.until * float(found.steps[0] / found.steps[1])
        along_line = partial(self._along, place, move)
        stair = max(first_jump(along_line, end) for end in (reach, -reach))
        return replace(quantised, size=stair, by_rounding=stair <= quantised.rounding)

    def _along(self, place: Place, move: Vector, places: Vector) -> Vector:
        return np.asarray(self._measure([(place, move)], places[None])[0], float)

    def _measure(self, lines: Sequence[tuple[Place, Vector]], places: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.one_by_one:
            rows: list[Vector] = []
            for k, ((place, move), row) in enumerate(zip(lines, places, strict=True)):
                again = k > 0 and lines[k - 1][0].theta is place.theta and lines[k - 1][1] is move
                rows.append(rows[-1] if again else self._one_line(place, move, row))
            return np.stack(rows)
        together = max(1, AT_ONCE // (places.shape[1] * len(self.lower)))
        if len(lines) > together:
            parts = range(0, len(lines), together)
            return np.concatenate([self._measure(lines[k : k + together], places[k : k + together]) for k in parts])
        moved, made_up = [], []
        for (place, move), row in zip(lines, places, strict=True):
            shift = row[:, None] * move
            points = place.theta + shift
            moved.append(points)
            made_up.append(((points - place.theta) - shift) @ place.gradient)
        points = np.concatenate(moved)
        outside = np.any((points < self.lower) | (points > self.upper), axis=1)
        starts = np.repeat([place.theta for place, _ in lines], places.shape[1], 0)
        values = self.program.at(np.where(outside[:, None], starts, points)).reshape(places.shape)
        corrected = values - np.concatenate(made_up).reshape(places.shape)
        corrected = np.where(values == values[:, :1], values, corrected)  # what did not move must be seen not to move
        return np.asarray(np.where(outside.reshape(places.shape), np.nan, corrected), float)

    def _one_line(self, place: Place, move: Vector, row: Vector) -> Vector:
        values = along(self.program, place.theta, move, row)
        if np.all(np.isinf(self.lower)) and np.all(np.isinf(self.upper)):
            return values
        inside = [bool(np.all((p >= self.lower) & (p <= self.upper))) for p in (place.theta + t * move for t in row)]
        return np.where(inside, values, np.nan)


def _worth_widening(judged: Judgement, rungs: int, *, dear: bool) -> bool:
    """Whether larger steps would drown the noise: the best step is among the largest and digits are few.

    A function whose values are `dear` is left at few digits, unless they decide nothing.
    """
    if dear and judged.verdict is Verdict.PASS:
        return False
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
