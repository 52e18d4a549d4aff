"""Profile and bootstrap intervals cover the truth as often as they promise, over many fits through the run itself.

Every data set is a config of its own, fitted, judged and reported as the command would. One compiled program serves them
all, which is a law of its own: the shapes are the same, and all numbers are traced.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from fitting import column, fit
from numpy.typing import NDArray

from fitkit.backend import COMPILATIONS

Array = NDArray[np.float64]
pytestmark = pytest.mark.slow

DEVIATIONS = 3.5
"""How many binomial standard deviations a count may be off."""
X = np.linspace(0, 4, 30)
TRUTH = {"a": 5.0, "k": 0.8, "c": 1.0}
HALF = float(np.log(2) / 0.8)
TIED = {"half": {"equals": "log(2) / k"}}
RATE = {"a": 60.0, "k": 0.8, "c": 15.0}


def mean(values: dict[str, float]) -> Array:
    return np.asarray(values["a"] * np.exp(-values["k"] * X) + values["c"])


def config(y: Array, uncertainty: dict[str, Any], **more: Any) -> dict[str, Any]:
    data = {"values": {"x": column(X), "y": column(y)}}
    return {"data": data, "model": "y ~ a * exp(-k * x) + c", "uncertainty": uncertainty, **more}


KINDS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, float], int]] = {
    "profile, scale from the residuals": ({"kind": "profile"}, {"parameters": {**TRUTH, **TIED}}, TRUTH, 150),
    "profile, counts": (
        {"kind": "profile"},
        {"parameters": {name: {"start": value, "min": 0} for name, value in RATE.items()} | TIED, "loss": "poisson"},
        RATE,
        100,
    ),
    "bootstrap of residuals": (
        {"kind": "bootstrap", "method": "residual", "resamples": 200},
        {"parameters": {**TRUTH, **TIED}},
        TRUTH,
        100,
    ),
}


@cache
def covered(kind: str, level: float) -> Array:
    """Return how many intervals of each parameter hold the truth, the tied one last, shape (parameters,)."""
    asked, more, truth, fits = KINDS[kind]
    random = np.random.default_rng([list(KINDS).index(kind), int(100 * level)])
    values = np.array([*truth.values(), HALF])
    count, programs = np.zeros(len(values)), 0
    for number in range(fits):
        rate = mean(truth)
        y = random.poisson(rate).astype(float) if more.get("loss") else rate + 0.2 * random.standard_normal(len(X))
        found = fit(config(y, {**asked, "level": level}, **more))
        assert found.verdict[0] == "converged"
        ends = np.array([parameter.interval for parameter in found.result.parameters.values()], float)
        # An end that nothing sets is as far as can be.
        low, high = np.nan_to_num(ends[:, 0], nan=-np.inf), np.nan_to_num(ends[:, 1], nan=np.inf)
        count += (low <= values) & (values <= high)
        if number == fits // 2:
            programs = COMPILATIONS.programs
    assert COMPILATIONS.programs == programs, "a data set of the same shape was compiled anew"
    return count


@pytest.mark.parametrize("level", [0.68, 0.95])
@pytest.mark.parametrize("kind", KINDS)
def test_intervals_cover_as_often_as_they_promise(kind: str, level: float) -> None:
    fits = KINDS[kind][3]
    deviation = np.sqrt(fits * level * (1 - level))
    np.testing.assert_allclose(covered(kind, level), fits * level, atol=DEVIATIONS * deviation)
