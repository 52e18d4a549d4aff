"""One fit of a batch, before it is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True, kw_only=True)
class BatchEntry:
    """Everything that another process needs to make the fit: a config by its path, and what is put on top of it."""

    name: str
    """Unlike that of every other fit of the batch: `decay[learning_rate=0.01,seed=1]`."""
    path: str
    combination: int = 0
    """Which one of the config's matrix, from 0."""
    overrides: tuple[str, ...] = ()
    """Values put on top, each as `key.path=value`."""

    @property
    def folder(self) -> str:
        """The name of the folder for its run, without characters that shells treat in their own way."""
        import re

        return re.sub(r"[^A-Za-z0-9._=,+-]+", "-", self.name.replace("/", ".")).strip("-.") or "run"
