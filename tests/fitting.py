"""Fits in this process, from configs written as dictionaries or standing in files."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from fitkit.config import ConfigSource, load
from fitkit.minimize import HistoryRow
from fitkit.result import Result
from fitkit.run.assemble import Assembled, assemble
from fitkit.run.train import TrainOptions, train

ROOT = Path(__file__).resolve().parent.parent


@final
@dataclass(frozen=True, kw_only=True)
class Fit:
    """What a fit came to, and the rows that were shown on the way."""

    result: Result
    rows: tuple[HistoryRow, ...]
    """The first of each step: a slow machine is shown more in the middle of a pass."""

    @property
    def values(self) -> NDArray[np.float64]:
        return np.array([parameter.value for parameter in self.result.parameters.values()])

    @property
    def errors(self) -> NDArray[np.float64]:
        found = (parameter.error for parameter in self.result.parameters.values())
        return np.array([np.nan if error is None else error for error in found])

    @property
    def verdict(self) -> tuple[str, int, str]:
        return self.result.status.value, self.result.exit_code, self.result.reason


def source(config: Mapping[str, Any]) -> ConfigSource:
    """Return a config written as a dictionary, by way of its text."""
    return load("-", (), io.StringIO(json.dumps(config)))


def fit(config: Mapping[str, Any] | str, *overrides: str) -> Fit:
    """Fit a config, given as a dictionary or as a path under `configs`."""
    loaded = load(str(ROOT / "configs" / config), overrides) if isinstance(config, str) else source(config)
    rows: dict[int, HistoryRow] = {}

    def keep(row: HistoryRow) -> None:
        rows.setdefault(row.step, row)

    options = TrainOptions(keep=False, allow_python=True, show=keep)
    result, _ = train(loaded, options, started=time.perf_counter())
    return Fit(result=result, rows=tuple(rows.values()))


def assembled(config: Mapping[str, Any]) -> Assembled:
    """Return the problem of a config, not yet solved."""
    return assemble(source(config), allow_python=True)


def right_digits(found: Any, truth: Any) -> float:
    """Return the digits of the worst number; 16 where all are the same."""
    found, truth = np.asarray(found, np.float64), np.asarray(truth, np.float64)
    scale = np.where(truth == 0, 1.0, np.abs(truth))
    relative = np.abs(found - truth) / scale
    return float(-np.log10(np.max(np.maximum(relative, 1e-16)))) if np.isfinite(found).all() else 0.0


def column(numbers: Sequence[float] | NDArray[Any]) -> list[float]:
    """Return numbers as a config takes them."""
    return [float(number) for number in numbers]


def rows(model: str, y: Sequence[float], optimizer: Any = "lm", **more: Any) -> Fit:
    """Fit a model to `y` at 0, 1, 2, ..."""
    return fit(
        {
            "data": {"values": {"x": column(range(len(y))), "y": column(y)}},
            "model": model,
            "optimizer": optimizer,
            **more,
        }
    )


def pure(formula: str, optimizer: Any = "lbfgs", **parameters: Any) -> Fit:
    """Minimise a formula of parameters."""
    return fit({"minimize": formula, "parameters": parameters, "optimizer": optimizer})
