"""What a config may ask of many starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

from fitkit.component import Component
from fitkit.types import Spread, StartCount


@final
@dataclass(frozen=True, kw_only=True)
class Multistart(Component):
    """Search from many starts in one batch, report the distinct minima, and polish the best."""

    starts: StartCount = 64
    """How many starts, the given one among them."""
    method: Literal["sobol", "latin_hypercube"] = "sobol"
    """How the others are drawn; both fill the range evenly, seeded by `seed`."""
    spread: Spread = 10.0
    """How far starts reach where a parameter lacks a bound: up to `spread` times |start| to both sides (`spread` itself
    from a start at 0), half of them within an eighth of that; with `scale: log` from start / spread to start * spread,
    evenly in the logarithm. Between two bounds starts are spread evenly, and `spread` does not count."""
