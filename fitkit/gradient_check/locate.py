"""Which entry of the gradient is wrong, and by what factor?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

import numpy as np

from fitkit.gradient_check.judge import Judgement
from fitkit.gradient_check.ladder import Vector, steps
from fitkit.gradient_check.lines import FAILED, Tested
from fitkit.gradient_check.program import along
from fitkit.gradient_check.session import Session

LEVELS = 64
LIKE = 1e-3
"""Ratios of gradient to derivative that differ by less are one ratio."""


@final
@dataclass(frozen=True, kw_only=True)
class Located:
    """The entry of which a failure was traced."""

    index: int
    autodiff: float
    numerical: float
    error: float

    @property
    def ratio(self) -> float:
        """The gradient over the derivative."""
        return self.autodiff / self.numerical if self.numerical != 0 else float("inf")


def worst_entry(tested: Iterable[Tested]) -> Located | None:
    """Return the entry that is the furthest off among the lines of single entries that failed."""
    failed = [t for t in tested if t.judged.verdict in FAILED and t.entry is not None]
    if not failed:
        return None
    worst = max(failed, key=lambda t: abs(t.judged.difference) / max(t.judged.scale, 1e-300))
    return _located(worst.entry or 0, worst.judged, worst.move)


def _located(index: int, judged: Judgement, move: Vector) -> Located:
    unit = float(move[index])
    return Located(
        index=index,
        autodiff=judged.autodiff / unit,
        numerical=judged.numerical / unit,
        error=judged.error / abs(unit),
    )


def bisect(session: Session, line: Tested) -> Located | None:
    """Return the entry that a failed line owes its failure to, by halving the entries that move.

    The difference between gradient and derivative is additive over entries: the half with the larger difference is
    kept, so that one wrong entry of a million is found in twenty halvings. None where the last line does not fail.
    """
    low, high = 0, len(line.move)
    whole = line.judged.difference
    for _ in range(LEVELS):
        if high - low <= 1:
            break
        middle = (low + high) // 2
        left = _difference(session, line, low, middle)
        low, high, whole = (low, middle, left) if abs(left) >= abs(whole - left) else (middle, high, whole - left)
    return entry_alone(session, line, low)


def entry_alone(session: Session, line: Tested, index: int) -> Located | None:
    """Return one entry of a failed line as what it was traced to; None where that entry alone does not fail."""
    move = np.zeros_like(line.move)
    move[index] = line.move[index]
    judged = session.probe.judge_all([(line.place, move)])[0] if move[index] != 0 else None
    return _located(index, judged, move) if judged is not None and judged.verdict in FAILED else None


def _difference(session: Session, line: Tested, low: int, high: int) -> float:
    """Return <g, d> less a numerical derivative for the entries from low to high, by one extrapolation.

    At the step where the whole line was most accurate: precise enough to compare two halves.
    """
    move = np.zeros_like(line.move)
    move[low:high] = line.move[low:high]
    ladder = steps(session.rungs)
    ratio = float(ladder[0] / ladder[1])
    step = line.judged.step if np.isfinite(line.judged.step) else float(ladder[len(ladder) // 3])
    places = np.asarray([step * ratio, -step * ratio, step, -step])
    values = along(session.values, line.place.theta, move, places)
    coarse, fine = (values[0] - values[1]) / (2 * places[0]), (values[2] - values[3]) / (2 * places[2])
    found = fine + (fine - coarse) / (ratio**2 - 1)
    return float(line.place.gradient @ move) - float(found)


def factor_words(ratio: float, rows: int | None) -> str:
    """Return what a ratio of gradient to derivative reminds of; empty where it reminds of nothing."""
    if not np.isfinite(ratio) or ratio == 0:
        return ""
    for name, value in _known(ratio, rows):
        if abs(ratio - value) <= LIKE * abs(value):
            return name
    return ""


def _known(ratio: float, rows: int | None) -> list[tuple[str, float]]:
    known = [
        ("the sign is wrong", -1.0),
        ("a factor 2 too many", 2.0),
        ("a factor 2 is missing", 0.5),
        ("a factor 2 too many and the wrong sign", -2.0),
    ]
    if rows is not None and rows > 1:
        known.insert(0, (f"{rows} times, the number of rows: a sum where a mean is meant?", float(rows)))
        known.insert(1, (f"1/{rows}, one over the number of rows: a mean where a sum is meant?", 1.0 / rows))
    whole = round(ratio)
    if 3 <= whole <= 1_000_000 and abs(ratio - whole) <= 1e-6 * whole:
        known.append((f"{whole} times: a sum over {whole} where a mean is meant?", float(whole)))
    inverse = round(1 / ratio) if 1e-6 < ratio < 0.4 else 0
    if inverse >= 3 and abs(1 / ratio - inverse) <= 1e-6 * inverse:
        known.append((f"1/{inverse}: a mean over {inverse} where a sum is meant?", 1.0 / inverse))
    return known


def common_ratio(tested: Iterable[Tested]) -> float | None:
    """Return the ratio of gradient to derivative if it is the same on all lines that show a slope, else None."""
    ratios, wrong = [], False
    for line in tested:
        judged = line.judged
        if np.isfinite(judged.numerical) and abs(judged.numerical) > 10 * judged.tolerance:
            ratios.append(judged.autodiff / judged.numerical)
            wrong = wrong or judged.verdict in FAILED
    if not ratios or not wrong or max(ratios) - min(ratios) > LIKE * abs(float(np.median(ratios))):
        return None
    return float(np.median(ratios))
