"""What a baseline says of a batch, fit by fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from fitkit.comparison import BaselineComparison, Drift


@final
@dataclass(frozen=True, kw_only=True)
class BaselineVerdict:
    """A comparison, with the names that fits have in the batch."""

    shown: str
    """The baseline's path as the user gave it."""
    found: BaselineComparison
    names: Mapping[str, str]
    """What the baseline calls each fit of the batch that was compared."""
    left_out: tuple[str, ...]
    """What it calls the fits that failed, and were not compared."""

    def drifts_of(self, name: str) -> tuple[Drift, ...] | None:
        """Return what drifted in a fit of the batch; None where the baseline says nothing of it."""
        called = self.names.get(name)
        return None if called is None or called in self.found.new else tuple(self.found.drifted.get(called, ()))
