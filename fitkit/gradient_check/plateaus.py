"""Where along a ladder of steps does a difference quotient stand still, at what value, and how surely?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from fitkit.gradient_check.ladder import Line
from fitkit.gradient_check.noise import EPSILON

Vector = NDArray[np.float64]
Mask = NDArray[np.bool_]

COLUMNS = 4
"""Columns of the extrapolation table."""
AFTER = 8
"""Rungs after a plateau that show the noise of the function's values."""
FEWEST_AFTER = 3
NOISY = 1e-3
"""A noise above this share of all that the values do along the line leaves no steps between noise and curvature."""
SURE = 0.1
"""A plateau whose bar is wider than this share of the slopes around it says nothing."""


@final
@dataclass(frozen=True, kw_only=True)
class Plateau:
    """An estimate of the derivative from three successive entries of an extrapolation table."""

    value: float
    error: float
    """The bar: how far the three entries are apart, and what noise does to them."""
    size: float
    """The largest one-sided slope on the rungs it rests on."""
    step: float
    """The smallest step it rests on."""

    @property
    def relative(self) -> float:
        """The bar in units of the slopes around."""
        return self.error / max(self.size, abs(self.value), 1e-300)

    def contradicts(self, other: Plateau) -> bool:
        """Whether both cannot be the same number."""
        return abs(self.value - other.value) > 3 * (self.error + other.error)


@final
@dataclass(frozen=True, kw_only=True)
class Quotients:
    """A difference quotient on every rung, and what an extrapolation needs to know of it."""

    steps: Vector
    values: Vector
    """The quotient, shape (rungs,); NaN where the function is not finite."""
    sizes: Vector
    """The largest one-sided slope on each rung, shape (rungs,)."""
    bends: Vector
    """The forward less the backward slope on each rung, shape (rungs,); zeros for a one-sided quotient."""
    floors: Vector
    """The noise of the function's values on each rung, shape (rungs,)."""
    order: int
    """The first power of the step in the quotient's error, and by how much the powers grow: 2 central, 1 one-sided."""


def central(line: Line, floor: float) -> Quotients:
    """Return (phi(t) - phi(-t)) / 2t on every rung."""
    with np.errstate(all="ignore"):
        ahead, behind = forward_slopes(line), backward_slopes(line)
        values = (line.forward - line.backward) / (2 * line.steps)
        sizes = np.maximum(np.abs(ahead), np.abs(behind))
        floors = np.maximum(floor, 0.5 * EPSILON * np.maximum(np.abs(line.forward), np.abs(line.backward)))
    return Quotients(
        steps=line.steps, values=_finite(values), sizes=sizes, bends=ahead - behind, floors=floors, order=2
    )


def one_sided(line: Line, floor: float, *, ahead: bool) -> Quotients:
    """Return (phi(t) - phi(0)) / t on every rung, or the same backwards."""
    values = forward_slopes(line) if ahead else backward_slopes(line)
    with np.errstate(all="ignore"):
        floors = np.maximum(floor, 0.5 * EPSILON * np.abs(line.forward if ahead else line.backward))
    return Quotients(
        steps=line.steps,
        values=values,
        sizes=np.abs(values),
        bends=np.zeros_like(values),
        floors=2 * floors,  # two values over t, where the central quotient has two over 2t
        order=1,
    )


def forward_slopes(line: Line) -> Vector:
    """Return (phi(t) - phi(0)) / t, shape (rungs,)."""
    with np.errstate(all="ignore"):
        return _finite((line.forward - line.center) / line.steps)


def backward_slopes(line: Line) -> Vector:
    """Return (phi(0) - phi(-t)) / t, shape (rungs,)."""
    with np.errstate(all="ignore"):
        return _finite((line.center - line.backward) / line.steps)


def _finite(values: Vector) -> Vector:
    return np.where(np.isfinite(values), values, np.nan)


def claimable(line: Line, noise: float) -> float:
    """Return the |<g, d>| by which a plateau may be called sure although no slope around it is as large.

    A function that hardly moves refutes a large gradient, unless what it does move is noise.
    """
    values = np.concatenate([line.forward, line.backward, [line.center]])
    values = values[np.isfinite(values)]
    return abs(line.autodiff) if noise <= NOISY * float(np.ptp(values)) else 0.0


def plateaus(quotients: Quotients, claimed: float) -> tuple[Plateau, ...]:
    """Return every plateau that is sure enough to be judged by, in the order of the table.

    Sure is a bar below a tenth of the slopes around, or of `claimed`.

    The table is Richardson's: column j removes the error's j-th power of the step. Three successive entries are one
    plateau; one more column, Aitken's, removes whatever single power there is, so that |x|**1.5 has a derivative too.
    """
    ratio = float(quotients.steps[0] / quotients.steps[1])
    column, grown = quotients.values, np.ones(len(quotients.values))
    columns, amplifications = [column], [grown]
    for j in range(1, COLUMNS):
        power = ratio ** (quotients.order * j)
        column = column[1:] + (column[1:] - column[:-1]) / (power - 1)
        grown = grown[1:] * (power + 1) / (power - 1)
        columns.append(column)
        amplifications.append(grown)
    with np.errstate(all="ignore"):
        limit, grown = _aitken(quotients.values)
    return _sure(quotients, [*columns, limit], [*amplifications, grown], claimed)


def _aitken(values: Vector) -> tuple[Vector, Vector]:
    """Return the limits of geometric sequences through three successive entries, and how they amplify noise.

    A sequence that does not shrink has no limit: NaN.
    """
    first, second = values[1:-1] - values[:-2], values[2:] - values[1:-1]
    shrink = second / first
    limit = values[2:] + second * shrink / (1 - shrink)
    kept = (np.abs(shrink) < 0.95) & (shrink > 0)
    return np.where(kept, limit, np.nan), np.where(kept, ((1 + shrink) / (1 - shrink)) ** 2, 1.0)


def _sure(table: Quotients, columns: list[Vector], amplifications: list[Vector], claimed: float) -> tuple[Plateau, ...]:
    """Return the sure plateaus of all columns; the last entry of each rests on the last rung.

    Columns are rows here, shape (columns, rungs), each put at the rung of the smallest step that its entries rest on.
    """
    rungs, narrow = len(table.steps), np.full((len(columns), len(table.steps)), np.nan)
    grown = narrow.copy()
    for row, (column, amplification) in enumerate(zip(columns, amplifications, strict=True)):
        narrow[row, rungs - len(column) :] = column
        grown[row, rungs - len(column) :] = amplification
    reach = np.asarray([rungs - len(column) for column in columns])
    fine = np.arange(2, rungs)  # the rung on which a plateau ends, of three successive entries
    values, steps = narrow[:, 2:], table.steps[fine]
    first, second = np.abs(narrow[:, 1:-1] - narrow[:, :-2]), np.abs(values - narrow[:, 1:-1])
    floors, sizes = (
        np.stack([_up_to(numbers, 3 + more)[2:] for more in range(COLUMNS)])[reach]
        for numbers in (table.floors, table.sizes)
    )
    with np.errstate(all="ignore"):
        amplitudes = np.maximum(floors, _scatter(table, values, fine))
        noise = np.maximum(np.maximum(grown[:, 2:], grown[:, 1:-1]), grown[:, :-2]) * amplitudes / steps
        errors = np.maximum(first, second) + noise
        converges = second <= np.maximum(noise, 0.5 * first)
        last, before = np.abs(table.bends[fine]), np.abs(table.bends[fine - 2])
        # At a kink the central quotient stands still at no derivative: the one-sided slopes must run together.
        straight = last <= np.maximum(np.maximum(0.6 * before, 4 * amplitudes / steps), errors)
        sure = errors <= SURE * np.maximum(sizes, claimed)
    kept = np.isfinite(errors) & np.isfinite(sizes) & converges & straight & sure
    return tuple(
        Plateau(value=float(values[j, k]), error=float(errors[j, k]), size=float(sizes[j, k]), step=float(steps[k]))
        for j, k in np.argwhere(kept)
    )


def _up_to(values: Vector, length: int) -> Vector:
    """Return for each entry the largest of it and the `length` - 1 before it; NaN where one is NaN or missing."""
    padded = np.concatenate([np.full(length - 1, np.nan), values])
    return np.asarray(np.lib.stride_tricks.sliding_window_view(padded, length).max(axis=1), float)


def _scatter(table: Quotients, values: NDArray[np.float64], fine: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the noise of the function's values as the quotients on the next smaller steps show it, for each plateau."""
    last = len(table.steps) - 1
    rest = fine[:, None] + np.arange(1, AFTER + 1)
    near = np.minimum(rest, last)
    apart = np.abs(table.values[near] - values[:, :, None]) * table.steps[near]
    apart = np.sort(np.where((rest <= last) & np.isfinite(apart), apart, np.inf), axis=-1)
    count = np.sum(np.isfinite(apart), axis=-1)
    low, high = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, AFTER - 1)
    ends = np.take_along_axis(apart, np.stack([low, high], axis=-1), axis=-1)
    return np.asarray(np.where(count >= FEWEST_AFTER, 0.5 * (ends[..., 0] + ends[..., 1]), 0.0), float)
