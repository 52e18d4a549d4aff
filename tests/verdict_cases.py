"""Problems whose verdict is known: what they are, and how each has to end; the table itself is `verdict_cases.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import yaml

Config = dict[str, Any]
X = [float(x) for x in range(8)]
ENDS = {
    "converged": ("converged", 0, "gradient_small"),
    "saddle": ("not_converged", 4, "saddle"),
    "not_identified": ("not_converged", 4, "not_identified"),
    "runaway": ("not_converged", 4, "runaway"),
    "stalled": ("not_converged", 4, "stalled"),
    "not_finite": ("diverged", 5, "not_finite"),
}
SQUARES = ("lm", "newton", "lbfgs")
OTHERS = ("newton", "lbfgs")


@final
@dataclass(frozen=True, kw_only=True)
class Case:
    """A problem, with {name} for each parameter in its formula, and the end it has to come to."""

    formula: str
    start: Mapping[str, Any]
    ends: str
    says: str = ""
    """Words of the one sentence."""
    y: list[float] | None = None
    """The targets at 0, 1, 2, ...; None for a pure objective."""
    optimizers: tuple[str, ...] = SQUARES
    at: Mapping[str, float] = field(default_factory=dict)
    """Where the minimum is known to be."""
    warns: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)
    columns: Mapping[str, list[float]] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)

    def config(self, optimizer: str, scale: float = 1.0, of_data: float = 1.0, **changes: Any) -> Config:
        """Return the config, with every parameter in units of `scale` and the targets in units of `of_data`."""
        names = {name: name if scale == 1 else f"({name} / {scale!r})" for name in self.start}
        formula = self.formula.format(**names)
        model = formula if of_data == 1 else f"{of_data!r} * ({formula})"
        rest: Config = {"optimizer": optimizer, "parameters": _in_units(self.start, scale), **self.more, **changes}
        if self.y is None:
            return {"minimize": model, **rest}
        values = {"x": X[: len(self.y)], "y": [of_data * y for y in self.y], **self.columns}
        return {"data": {"values": values, **self.data}, "model": f"y ~ {model}", **rest}


def _in_units(start: Mapping[str, Any], scale: float) -> Config:
    return {
        name: {key: scale * number for key, number in given.items()} if isinstance(given, dict) else scale * given
        for name, given in start.items()
    }


def _numbers(found: Any) -> Any:
    """Return what PyYAML read with every number a float, those like 1e300 too, which YAML 1.1 takes for text."""
    if isinstance(found, dict):
        return {key: _numbers(value) for key, value in found.items()}
    if isinstance(found, list):
        return [_numbers(value) for value in found]
    try:
        return float(found)
    except ValueError:
        return found


def _case(found: Mapping[str, Any]) -> Case:
    optimizers = found.get("optimizers", OTHERS if "y" not in found else SQUARES)
    numbers = {key: _numbers(found[key]) for key in ("start", "y", "at", "columns", "data") if key in found}
    return Case(**{**found, **numbers, "optimizers": tuple(optimizers)})


TABLE = yaml.safe_load(Path(__file__).with_name("verdict_cases.yaml").read_text(encoding="utf-8"))
CASES: dict[str, Case] = {name: _case(found) for name, found in TABLE.items()}
