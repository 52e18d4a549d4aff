"""Many starts: where they are, and which distinct minima they lead to."""

from __future__ import annotations

from fitkit.multistart.minima import distinct_minima
from fitkit.multistart.settings import Multistart
from fitkit.multistart.starts import StartRange, draw_starts, start_range

__all__ = ["Multistart", "StartRange", "distinct_minima", "draw_starts", "start_range"]
