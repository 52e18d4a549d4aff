"""The batch of searches against single fits, scipy and formulas: what a lane does, it does for itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fitting import assembled, column
from numpy.typing import NDArray
from scipy import optimize

from fitkit.backend import jax, jnp
from fitkit.batched import Lanes, solve
from fitkit.batched.definite import solve_definite

Array = NDArray[np.float64]
RANDOM = np.random.default_rng(5)
X = np.linspace(0, 4, 30)
Y = 5 * np.exp(-0.8 * X) + 1 + 0.1 * RANDOM.normal(size=30)
DECAY: dict[str, Any] = {
    "data": {"values": {"x": column(X), "y": column(Y)}},
    "model": "y ~ a * exp(-k * x) + c",
    "parameters": {"a": 1, "k": 1, "c": 0},
}


def truth(y: Array, weight: Array | None = None) -> Array:
    root = np.ones(30) if weight is None else np.sqrt(weight)

    def residuals(t: Array) -> Array:
        return np.asarray(root * (t[0] * np.exp(-t[1] * X) + t[2] - y))

    found = optimize.least_squares(residuals, [4, 1, 0.5], xtol=1e-15, ftol=1e-15, gtol=1e-15)
    return np.asarray(found.x)


@pytest.mark.parametrize("size", [1, 2, 7, 30])
def test_the_solution_of_definite_systems_is_numpys(size: int) -> None:
    root = RANDOM.normal(size=(4, size, size + 3))
    matrix = root @ root.transpose(0, 2, 1)
    scale = 1 / np.sqrt(np.diagonal(matrix, axis1=1, axis2=2))
    matrix = matrix * scale[:, :, None] * scale[:, None, :]
    right = RANDOM.normal(size=(4, size))
    found = jax.vmap(solve_definite)(jnp.asarray(matrix), jnp.asarray(right))
    np.testing.assert_allclose(found, np.linalg.solve(matrix, right[..., None])[..., 0], rtol=1e-7, atol=1e-9)


def test_what_is_not_definite_has_no_solution() -> None:
    assert np.isnan(solve_definite(jnp.asarray([[1.0, 2.0], [2.0, 1.0]]), jnp.ones(2))).any()


def test_lanes_with_targets_of_their_own_are_single_fits() -> None:
    targets = 5 * np.exp(-0.8 * X) + 1 + 0.1 * RANDOM.normal(size=(9, 30))
    lanes = Lanes(theta=np.tile([1.0, 1.0, 0.0], (9, 1)), draw=lambda index: (targets[index], None))
    found = solve(assembled(DECAY).problem, lanes)
    assert found.converged.all()
    np.testing.assert_allclose(found.theta, [truth(y) for y in targets], rtol=1e-4)


def test_lanes_with_weights_of_their_own_are_single_fits() -> None:
    weights = RANDOM.multinomial(30, np.full(30, 1 / 30), size=5).astype(float)
    lanes = Lanes(theta=np.tile([1.0, 1.0, 0.0], (5, 1)), draw=lambda index: (None, weights[index]))
    found = solve(assembled(DECAY).problem, lanes)
    np.testing.assert_allclose(found.theta, [truth(Y, w) for w in weights], rtol=1e-4)
    rss = [w @ (t[0] * np.exp(-t[1] * X) + t[2] - Y) ** 2 / w.sum() for t, w in zip(found.theta, weights, strict=True)]
    np.testing.assert_allclose(found.value, rss, rtol=1e-10)


def test_a_held_parameter_stays() -> None:
    movable = np.ones((6, 3), bool)
    movable[:, 1] = False
    theta = np.column_stack([np.ones(6), np.linspace(0.5, 1.2, 6), np.zeros(6)])
    found = solve(assembled(DECAY).problem, Lanes(theta=theta, movable=movable))
    assert (found.theta[:, 1] == theta[:, 1]).all()
    for lane, (a, k, c) in enumerate(found.theta):
        design = np.column_stack([np.exp(-k * X), np.ones(30)])
        best, rss = np.linalg.lstsq(design, Y)[:2]
        np.testing.assert_allclose([a, c], best, rtol=1e-6)
        assert found.value[lane] == pytest.approx(rss[0] / 30, rel=1e-10)


def test_bounds_hold_and_the_rest_is_best_there() -> None:
    bounded = {**DECAY, "parameters": {"a": 1, "k": {"start": 0.2, "min": 0, "max": 0.5}, "c": {"start": 0, "min": -1}}}
    found = solve(assembled(bounded).problem, Lanes(theta=np.array([[1.0, 0.2, 0.0], [9.0, 0.5, 9.0]])))
    low, high = np.array([-np.inf, 0, -1]), np.array([np.inf, 0.5, np.inf])

    def residuals(t: Array) -> Array:
        return np.asarray(t[0] * np.exp(-t[1] * X) + t[2] - Y)

    oracle = optimize.least_squares(residuals, [1, 0.2, 0], bounds=(low, high), xtol=1e-15, ftol=1e-15)
    assert found.converged.all()
    np.testing.assert_allclose(found.theta, np.tile(oracle.x, (2, 1)), rtol=1e-5)


def test_neighbours_of_a_hopeless_lane_do_not_feel_it() -> None:
    theta = RANDOM.uniform(0.5, 2, (8, 3))
    poisoned = theta.copy()
    poisoned[3] = [1, -1e9, 0]
    problem = assembled(DECAY).problem
    sound, ill = solve(problem, Lanes(theta=theta)), solve(problem, Lanes(theta=poisoned))
    others = np.arange(8) != 3
    assert (sound.theta[others] == ill.theta[others]).all()
    assert ill.converged[others].all()
    assert not ill.converged[3]


def test_other_objectives_go_by_newton_and_not_into_saddles() -> None:
    config = {"minimize": "(1 - a)**2 + 100 * (b - a**2)**2", "parameters": {"a": 0, "b": 0}}
    found = solve(assembled(config).problem, Lanes(theta=RANDOM.uniform(-3, 3, (40, 2))))
    assert found.converged.all()
    np.testing.assert_allclose(found.theta, 1, rtol=1e-8)
    saddle = assembled({"minimize": "a**2 - b**2 + b**4", "parameters": {"a": 1, "b": 1}})
    found = solve(saddle.problem, Lanes(theta=RANDOM.uniform(-1, 1, (40, 2))))
    assert found.converged.all()
    np.testing.assert_allclose(np.abs(found.theta[:, 1]), np.sqrt(0.5), rtol=1e-8)


def test_a_peak_beside_its_data_is_not_determined() -> None:
    y = np.exp(-((X - 2) ** 2))
    config = {
        "data": {"values": {"x": column(X), "y": column(y)}},
        "model": "y ~ a * exp(-((x - m) / s)**2)",
        "parameters": {"a": 1, "m": 1, "s": 1},
    }
    found = solve(assembled(config).problem, Lanes(theta=np.array([[1.0, 1.5, 1.0], [1.0, 1e3, 1.0]])))
    assert found.determined.tolist() == [True, False]
