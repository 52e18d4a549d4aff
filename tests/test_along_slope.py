"""How far from stationary a point is, where there is no Hessian."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fitting import assembled, column, fit
from numpy.typing import NDArray

from fitkit.evidence import gain_along_slope
from fitkit.problem import register_pytrees


def risen(x: NDArray[np.float64]) -> float:
    """Return the bowl without its 3, which would round differences away."""
    return float(x[0] ** 2 + 10 * x[1] ** 2)


def bowl(**more: Any) -> Any:
    return assembled({"minimize": "a**2 + 10 * b**2 + 3", "parameters": {"a": 1, "b": 2}, **more}).problem


@pytest.mark.parametrize("point", [[1.0, 2.0], [1e-6, 3e-7], [5.0, 0.0]])
def test_the_gain_is_that_of_the_best_step_along_the_slope(point: list[float]) -> None:
    """Of a quadratic: the least value on the line through the point along its gradient."""
    register_pytrees()
    g, hessian, here = np.array([2 * point[0], 20 * point[1]]), np.diag([2.0, 20.0]), np.array(point)
    step = g @ g / (g @ hessian @ g)
    gain = (risen(here) - risen(here - step * g)) / (risen(here) + 3)
    assert gain_along_slope(bowl(), here) == pytest.approx(gain, rel=1e-12)
    assert gain <= 0.5 * g @ np.linalg.inv(hessian) @ g / (risen(here) + 3) * (1 + 1e-12)


def test_a_bound_holds_the_slope_and_a_stationary_point_has_none() -> None:
    assert gain_along_slope(bowl(), np.zeros(2)) == 0
    held = bowl(parameters={"a": {"start": 1, "min": 1}, "b": 2})
    assert gain_along_slope(held, np.array([1.0, 0.0])) == 0
    down = assembled({"minimize": "1 - a**2 + b**2", "parameters": {"a": 1, "b": 0}}).problem
    assert gain_along_slope(down, np.array([0.1, 0.0])) == np.inf


def test_training_tells_how_far_it_came() -> None:
    x = np.linspace(-2, 2, 60)
    data = {"values": {"x": column(x), "y": column(np.sin(x))}}
    model = {"kind": "mlp", "inputs": ["x"], "target": "y", "hidden": [80], "activation": "tanh"}
    optimizer = {"kind": "adam", "learning_rate": 0.01, "epochs": 200}
    gains = []
    for epochs in (1, 200):
        found = fit({"data": data, "model": model, "optimizer": {**optimizer, "epochs": epochs}})
        gain = found.result.evidence.gain_along_slope  # type: ignore[union-attr]
        assert gain is not None
        assert f"the best step along the slope would lower the loss by {gain:.1e} of itself" in found.result.message
        gains.append(gain)
    assert gains[1] < gains[0]
