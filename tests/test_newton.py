"""Newton's method in a trust region: the classical problems from their standard starts, saddles, scales and walls."""

from __future__ import annotations

from typing import Any

import mpmath  # type: ignore[import-untyped]  # it has no types
import numpy as np
import pytest
from fitting import Fit, column, fit, right_digits
from numpy.typing import NDArray
from scipy import optimize

from fitkit.optimizers.trust_region import foretold, step_in_ball, step_in_box

Array = NDArray[np.float64]
WOOD = (
    "100*(a**2-b)**2 + (1-a)**2 + 90*(c**2-d)**2 + (1-c)**2 + 10.1*((b-1)**2 + (d-1)**2) + 19.8*(b-1)*(d-1)"
)  # fmt: skip
CLASSICAL: dict[str, tuple[str, dict[str, float], list[float]]] = {
    "rosenbrock": ("(1 - a)**2 + 100 * (b - a**2)**2", {"a": -1.2, "b": 1}, [1, 1]),
    "beale": (
        "(1.5 - a*(1 - b))**2 + (2.25 - a*(1 - b**2))**2 + (2.625 - a*(1 - b**3))**2",
        {"a": 1, "b": 1},
        [3, 0.5],
    ),
    "powell badly scaled": (
        "(1e4*a*b - 1)**2 + (exp(-a) + exp(-b) - 1.0001)**2",
        {"a": 0, "b": 1},
        [1.0981593296998145e-5, 9.106146739866525],
    ),
    "brown badly scaled": ("(a - 1e6)**2 + (b - 2e-6)**2 + (a*b - 2)**2", {"a": 1, "b": 1}, [1e6, 2e-6]),
    "wood": (WOOD, {"a": -3, "b": -1, "c": -3, "d": -1}, [1, 1, 1, 1]),
    "helical valley": (
        "100*((z - 10*(atan2(y, x)/(2*pi)))**2 + (sqrt(x**2 + y**2) - 1)**2) + z**2",
        {"x": -1, "y": 0, "z": 0},
        [1, 0, 0],
    ),
}
"""Moré, Garbow and Hillstrom, Testing Unconstrained Optimization Software, ACM TOMS 7 (1981): problem, start, minimum."""


def pure(formula: str, **more: Any) -> Fit:
    return fit({"minimize": formula, "optimizer": "newton", **more})


@pytest.mark.parametrize("name", CLASSICAL)
def test_the_classical_problems_are_solved_from_their_standard_starts(name: str) -> None:
    formula, start, minimum = CLASSICAL[name]
    found = pure(formula, parameters=start)
    assert found.verdict[:2] == ("converged", 0), found.result.message
    np.testing.assert_allclose(found.values, minimum, rtol=1e-9, atol=1e-30)


@pytest.mark.parametrize("name", CLASSICAL)
def test_stopped_early_nothing_is_claimed_that_is_not_so(name: str) -> None:
    formula, start, minimum = CLASSICAL[name]
    for most in (1, 3, 5, 10, 20, 40):
        found = pure(formula, parameters=start, stopping={"max_steps": most})
        if found.result.status == "converged":
            np.testing.assert_allclose(found.values, minimum, rtol=1e-9, atol=1e-30)
        else:
            assert found.verdict == ("not_converged", 4, "max_steps")


@pytest.mark.parametrize("scale", [1e-8, 1e8])
@pytest.mark.parametrize("value", [1e-8, 1e8])
def test_units_of_parameters_and_of_the_objective_change_nothing(scale: float, value: float) -> None:
    plain = pure(WOOD, parameters=CLASSICAL["wood"][1])
    scaled = WOOD.replace("a", f"(a * {scale!r})").replace("d", f"(d / {scale!r})")
    found = pure(f"{value!r} * ({scaled})", parameters={"a": -3 / scale, "b": -1, "c": -3, "d": -scale})
    assert found.verdict == plain.verdict
    assert right_digits(found.values * [scale, 1, 1, 1 / scale], [1, 1, 1, 1]) >= 9
    assert abs((found.result.steps or 0) - (plain.result.steps or 0)) <= 3


@pytest.mark.parametrize("start", [{"x": 0, "y": 0}, {"x": 0, "y": 1}])
def test_a_saddle_is_left_along_its_negative_curvature(start: dict[str, float]) -> None:
    found = pure("x**4 - x**2 + y**2", parameters=start)
    assert found.verdict[:2] == ("converged", 0)
    assert np.abs(found.values) == pytest.approx([np.sqrt(0.5), 0], abs=1e-12)


def test_from_a_saddle_in_a_box_a_corner_is_found() -> None:
    box = {"start": 0, "min": -1, "max": 1}
    found = pure("x * y", parameters={"x": box, "y": box})
    assert found.verdict[:2] == ("converged", 0)
    assert sorted(found.values) == [-1, 1]


def test_without_a_lower_end_nothing_converges() -> None:
    found = pure("x**2 - y**2", parameters={"x": 0, "y": 0}, stopping={"max_steps": 300})
    assert found.result.exit_code in {4, 5}
    assert found.result.status != "converged"


def test_a_minimum_of_fourth_order_is_reached_as_closely_as_its_curvature_tells() -> None:
    found = pure("(a - 1)**4", parameters={"a": 3})
    assert found.verdict[:2] == ("converged", 0)
    assert found.values == pytest.approx([1], abs=1e-8)


def test_a_full_step_that_is_too_long_is_shortened_also_where_little_is_left_to_gain() -> None:
    """A peak so narrow that one row tells its height and place together: its Newton step fails while 1e-12 are to be had.

    The oracle is the zero of the slope in forty digits.
    """
    random = np.random.default_rng([39, 7])
    x = np.linspace(0, 6, 30)
    height, place, width = random.uniform(1, 5), random.uniform(1, 5), random.uniform(0.4, 2)
    y = height * np.exp(-(((x - place) / width) ** 2)) + 0.1 * random.standard_normal(30)
    found = fit({
        "data": {"values": {"x": column(x), "y": column(y)}}, "model": "y ~ a * exp(-((x - b) / c)**2)",
        "optimizer": "newton",
        "parameters": {
            "a": {"start": 0.23172021, "min": -1.14398987, "max": 7.44927265},
            "b": {"start": 0.92843588, "min": -3.36306395, "max": 3.38318419},
            "c": {"start": 0.34181556, "min": 0.05, "max": 0.80239191},
        },
    })  # fmt: skip

    with mpmath.workdps(40):
        rows = [(mpmath.mpf(at), mpmath.mpf(seen)) for at, seen in zip(column(x), column(y), strict=True)]

        def slopes(a: Any, b: Any) -> list[Any]:
            shifts = [(at - b) / mpmath.mpf(0.05) for at, _ in rows]
            peaks = [mpmath.exp(-(shift**2)) for shift in shifts]
            left = [(a * peak - seen) * peak for peak, (_, seen) in zip(peaks, rows, strict=True)]
            return [sum(left), sum(part * shift for part, shift in zip(left, shifts, strict=True))]

        oracle = [float(number) for number in mpmath.findroot(slopes, tuple(column(found.values[:2])))]
    assert found.verdict[:2] == ("converged", 0), found.result.message
    assert found.values[2] == 0.05
    assert right_digits(found.values[:2], oracle) >= 11


@pytest.mark.parametrize("start", [(1, 1, 1), (20, 1, 5), (500, 0.1, 1), (100, 5, 20)])
def test_counts_of_a_decay_are_fitted_from_far_starts(start: tuple[float, ...]) -> None:
    """The oracle solves for the zero of the score."""
    x = np.linspace(0, 5, 60)
    y = np.random.default_rng(0).poisson(100 * np.exp(-1.2 * x) + 5).astype(float)
    found = fit({
        "data": {"values": {"x": column(x), "y": column(y)}}, "model": "y ~ a * exp(-k * x) + c", "loss": "poisson",
        "parameters": dict(zip("akc", start, strict=True)),
    })  # fmt: skip
    assert found.result.optimizer is not None
    assert found.result.optimizer["kind"] == "newton"

    def score(t: Array) -> Array:
        e = np.exp(-t[1] * x)
        slopes = np.column_stack([e, -t[0] * x * e, np.ones(60)])
        return np.asarray(slopes.T @ (1 - y / (t[0] * e + t[2])))

    oracle = optimize.root(score, [100, 1.2, 5], tol=1e-14).x
    assert found.verdict[:2] == ("converged", 0), found.result.message
    assert right_digits(found.values, oracle) >= 9


@pytest.mark.parametrize("walls", [False, True])
def test_products_with_the_hessian_lead_to_the_same_minimum(walls: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001
    """What is done beyond 200 parameters, here beyond 5: scales apart by 1e12, and a slope that is judged by numpy."""
    monkeypatch.setattr("fitkit.optimizers.newton_state.DENSE_UP_TO", 5)
    random = np.random.default_rng(1)
    size, rows = 12, 60
    scales = 10 ** random.uniform(-6, 6, size)
    design = random.normal(size=(rows, size))
    y = design @ random.normal(size=size) + random.normal(size=rows)
    names = [f"x{j}" for j in range(size)]
    columns = {name: column(part) for name, part in zip(names, (design * scales).T, strict=True)}
    bounds = {"start": 0, "min": -0.3, "max": 0.3} if walls else {"start": 0}
    found = fit({
        "data": {"values": {**columns, "y": column(y)}},
        "model": {"kind": "linear", "inputs": names, "target": "y", "intercept": False},
        "loss": {"kind": "expression", "expression": "log(cosh(prediction - target))"},
        "parameters": {
            name: {key: v / scale for key, v in bounds.items()} for name, scale in zip(names, scales, strict=True)
        },
        "optimizer": "newton",
    })  # fmt: skip
    assert found.verdict[:2] == ("converged", 0), found.result.message
    theta = found.values * scales
    slope = design.T @ np.tanh(design @ theta - y)
    low, high = (theta <= -0.3 + 1e-12, theta >= 0.3 - 1e-12) if walls else (np.zeros(size, bool), np.zeros(size, bool))
    assert (slope[low] > 0).all()
    assert (slope[high] < 0).all()
    free = ~(low | high)
    assert (not walls) or 2 < free.sum() < size
    hessian = ((design.T / np.cosh(design @ theta - y) ** 2) @ design)[np.ix_(free, free)]
    assert np.max(np.abs(np.linalg.solve(hessian, slope[free]) / theta[free])) < 1e-8


# -- the step -----------------------------------------------------------------------------------------------------------------


def least_on_sphere(slope: Array, hessian: Array, radius: float) -> float:
    """Return the least value of the model in a ball of two dimensions, by looking everywhere."""
    angle, length = np.meshgrid(np.linspace(0, 2 * np.pi, 2001), np.linspace(0, radius, 201))
    points = np.stack([length * np.cos(angle), length * np.sin(angle)])
    values = np.einsum("i,ijk->jk", slope, points) + np.einsum("ijk,il,ljk->jk", points, hessian, points) / 2
    return float(values.min())


@pytest.mark.parametrize("seed", range(12))
def test_the_step_in_a_ball_is_the_best_there_is(seed: int) -> None:
    random = np.random.default_rng(seed)
    square = random.normal(size=(2, 2))
    hessian = square + square.T + (3 if seed % 3 == 0 else 0) * np.eye(2)
    slope = np.zeros(2) if seed % 4 == 3 else random.normal(size=2)
    for radius in (0.1, 1.0, 30.0):
        step = step_in_ball(slope, hessian, radius)
        assert np.linalg.norm(step) <= radius * 1.002
        best = least_on_sphere(slope, hessian, radius)
        assert -foretold(slope, hessian, step) <= best + 4e-3 * abs(best)


@pytest.mark.parametrize("seed", range(12))
def test_the_step_in_a_box_stays_inside_and_lowers_the_model(seed: int) -> None:
    random = np.random.default_rng(seed)
    square = random.normal(size=(5, 5))
    hessian = square + square.T if seed % 2 else square @ square.T
    slope, scale = random.normal(size=5), 10 ** random.uniform(-3, 3, 5)
    room = (-(10 ** random.uniform(-3, 1, 5)) / scale, 10 ** random.uniform(-3, 1, 5) / scale)
    hessian = hessian * np.outer(scale, scale)
    step = step_in_box(slope * scale, hessian, scale, 2.0, np.ones(5, bool), room)
    assert (step >= room[0]).all()
    assert (step <= room[1]).all()
    assert foretold(slope * scale, hessian, step) > 0
