"""NIST's nonlinear problems: from any start, after any number of steps, and in any units of parameters and data."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
import yaml
from fitting import ROOT, Fit, fit
from numpy.typing import NDArray

from fitkit.optimizers import compiled_search

Vector = NDArray[np.float64]

CERTIFIED: dict[str, dict[str, Any]] = json.loads((ROOT / "datasets/nist/certified.json").read_text())["nonlinear"]
RUNS = [(name, start) for name in CERTIFIED for start in ("start1", "start2")]
"""The 27 problems from both of NIST's starts."""


@cache
def solved(name: str, start: str, most_steps: int | None = None) -> Fit:
    """Return the fit of a problem with default settings, or stopped early."""
    begin = zip(CERTIFIED[name]["parameter_names"], CERTIFIED[name][start], strict=True)
    stop = () if most_steps is None else (f"stopping.max_steps={most_steps}",)
    return fit(f"nist/{name}.yaml", *(f"parameters.{parameter}={value!r}" for parameter, value in begin), *stop)


def solved_alone(name: str, start: str) -> Fit:
    """Return the fit of a problem as a process makes it that makes no other: by the steps of the host."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled_search, "SEARCHES_BEFORE", 10**9)
        return solved.__wrapped__(name, start)


@cache
def optimum(name: str) -> Vector:
    """Return the minimum as computed with sixty digits, shape (parameters,)."""
    return np.array([float(text) for text in CERTIFIED[name]["optimum_60_digits"]])


def digits_of_each(found: Vector, truth: Vector) -> Vector:
    """Return how many digits of each number are right, at most 16."""
    digits: Vector = -np.log10(np.maximum(np.abs(found / truth - 1), 1e-16))
    return digits


def printed_digits(found: Fit) -> Vector:
    """Return the digits that the report prints for each parameter; NaN where it prints none."""
    printed = (parameter.digits for parameter in found.result.parameters.values())
    return np.array([np.nan if digits is None else digits for digits in printed])


@cache
def _table(name: str) -> Mapping[str, list[float]]:
    """Return the predictors by name, and the response as it is fitted as `observed`."""
    path = ROOT / "datasets/nist" / CERTIFIED[name]["file"]
    names = path.read_text(encoding="utf-8").split("\n", 1)[0].split(",")
    columns = dict(zip(names, np.loadtxt(path, delimiter=",", skiprows=1).T.tolist(), strict=True))
    response = np.array(columns.pop("y"))
    return {**columns, "observed": (np.log(response) if CERTIFIED[name]["response_transform"] else response).tolist()}


def in_units(name: str, start: Sequence[float], units: Sequence[float], of_data: float) -> dict[str, Any]:
    """Return the config of a problem with every parameter p written as (p * unit) and the data in another unit.

    The units are held parameters, so that one compiled program serves all of them.
    """
    names, formula = CERTIFIED[name]["parameter_names"], str(_model(name)).split("~")[1]
    for parameter in names:
        formula = re.sub(rf"\b{parameter}\b", f"({parameter} * unit_of_{parameter})", formula)
    free = {p: value / unit for p, value, unit in zip(names, start, units, strict=True)}
    held = {f"unit_of_{p}": {"start": unit, "fixed": True} for p, unit in zip(names, units, strict=True)}
    table = _table(name)
    return {
        "data": {"values": {**table, "observed": [of_data * value for value in table["observed"]]}},
        "model": f"observed ~ unit * ({formula})",
        "parameters": {**free, **held, "unit": {"start": of_data, "fixed": True}},
    }


@cache
def _model(name: str) -> str:
    text = (ROOT / f"configs/nist/{name}.yaml").read_text(encoding="utf-8")
    return str(yaml.safe_load(text)["model"])
