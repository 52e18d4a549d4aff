"""The evidence: exact derivatives confirm a minimum, refute a false claim, and are free of units."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fitting import assembled, column
from numpy.typing import NDArray

from fitkit.evidence import Evidence, assess, confirms

Array = NDArray[np.float64]
RANDOM = np.random.default_rng(5)
X = np.linspace(0, 3, 25)
DESIGN = np.column_stack([np.ones(25), X])
Y = 1.5 - 0.8 * X + RANDOM.normal(0, 0.3, 25)
LINE = np.linalg.lstsq(DESIGN, Y, rcond=None)[0]


def line(**changes: Any) -> dict[str, Any]:
    return {
        "data": {"values": {"x": column(X), "y": column(Y)}},
        "model": "y ~ a + b * x",
        "parameters": {"a": 0, "b": 0},
        **changes,
    }


def at(config: dict[str, Any], theta: Any) -> Evidence:
    return assess(assembled(config).problem, np.asarray(theta, float))


def test_a_minimum_of_squares_is_confirmed() -> None:
    evidence = at(line(), LINE)
    assert evidence.minimum == "strict"
    assert evidence.optimality < 1e-14
    assert evidence.newton_step < 1e-12
    assert confirms(evidence, 1e-10)
    scaled = DESIGN / np.linalg.norm(DESIGN, axis=0)
    singular = np.linalg.svd(scaled, compute_uv=False)
    assert evidence.condition == pytest.approx(singular[0] / singular[-1], rel=1e-10)
    assert evidence.smallest_eigenvalue == pytest.approx(singular[-1] ** 2, rel=1e-10)


@pytest.mark.parametrize("size", [1e-3, 1e-1, 1.0, 100.0])
def test_beside_a_minimum_of_squares_a_claim_is_refuted(size: float) -> None:
    theta = LINE * (1 + size * np.array([1, -0.5]))
    evidence = at(line(), theta)
    residual = DESIGN @ theta - Y
    cosines = np.abs(DESIGN.T @ residual) / np.linalg.norm(DESIGN, axis=0) / np.linalg.norm(residual)
    assert evidence.optimality == pytest.approx(np.max(cosines), rel=1e-9)
    assert evidence.newton_step == pytest.approx(np.max(np.abs((theta - LINE) / theta)), rel=1e-9)
    share = np.sqrt(1 - np.sum((DESIGN @ LINE - Y) ** 2) / np.sum(residual**2))
    assert evidence.remaining == pytest.approx(share, rel=1e-6)
    assert not confirms(evidence, 1e-10)


def test_the_newton_step_of_a_pure_objective() -> None:
    """f = (a - 1)² + 4 (b - 2)² + a b + 7 is its own quadratic model."""
    theta, hessian = np.array([0.3, -1.1]), np.array([[2, 1], [1, 8.0]])
    config = {"minimize": "(a - 1)**2 + 4 * (b - 2)**2 + a * b + 7", "parameters": {"a": 0, "b": 0}}
    gradient = np.array([2 * (theta[0] - 1) + theta[1], 8 * (theta[1] - 2) + theta[0]])
    value = (theta[0] - 1) ** 2 + 4 * (theta[1] - 2) ** 2 + theta[0] * theta[1] + 7
    step = np.linalg.solve(hessian, gradient)
    evidence = at(config, theta)
    assert evidence.hessian is not None
    np.testing.assert_allclose(evidence.hessian, hessian, rtol=1e-14)
    assert evidence.newton_step == pytest.approx(np.max(np.abs(step / theta)), rel=1e-12)
    assert evidence.remaining == pytest.approx(np.sqrt(gradient @ step / 2 / value), rel=1e-12)
    assert evidence.smallest_eigenvalue == pytest.approx(1 - 1 / 4, rel=1e-12)  # of [[1, 1/4], [1/4, 1]]
    assert not confirms(evidence, 1e-8)
    assert confirms(at(config, theta - step), 1e-8)


@pytest.mark.parametrize(
    ("formula", "kind"),
    [
        ("a**2 + b**2 + 1", "strict"),
        ("a**2 - b**2 + 1", "saddle"),
        ("a * b + 1", "saddle"),
        ("(a - b)**2 + 1", "flat"),
        ("a**2 + 0 * b + 1", "flat"),
        ("-a**2 - b**2", "saddle"),
    ],
)
def test_kinds_of_stationary_points(formula: str, kind: str) -> None:
    assert at({"minimize": formula, "parameters": {"a": 0, "b": 0}}, [0, 0]).minimum == kind


def test_a_slope_without_curvature_is_no_minimum() -> None:
    evidence = at({"minimize": "a + 5", "parameters": {"a": 0}}, [1.0])
    assert evidence.minimum == "saddle"  # the objective is lower beside it
    assert not confirms(evidence, 1e-8)


def test_pressed_parameters_are_held_and_the_rest_is_judged() -> None:
    """With the intercept at its upper bound the slope alone is left to judge: a line through (0, 1)."""
    config = line(parameters={"a": {"start": 0, "max": 1.0}, "b": 0})
    slope = float(X @ (Y - 1) / (X @ X))
    evidence = at(config, [1.0, slope])
    assert evidence.held.tolist() == [True, False]
    assert evidence.condition == pytest.approx(1)
    assert confirms(evidence, 1e-10)
    inside = at(line(parameters={"a": {"start": 0, "max": 3.0}, "b": 0}), [1.0, slope])
    assert not inside.held.any()
    assert not confirms(inside, 1e-10)


def test_a_parameter_that_ends_at_zero_is_judged_by_where_it_was() -> None:
    """Of b = 1e-17 a step of 1e-17 is all of it; of the 0.5 that b has been, it is nothing."""
    config = {"minimize": "(a - 1)**2 + b**2", "parameters": {"a": 0, "b": 0.5}}
    problem, theta = assembled(config).problem, np.array([1.0, 1e-17])
    assert not confirms(assess(problem, theta), 1e-8)
    assert confirms(assess(problem, theta, np.array([1.0, 0.5])), 1e-8)


@pytest.mark.parametrize("scale", [1e-8, 1e8])
def test_no_number_of_the_evidence_has_a_unit(scale: float) -> None:
    theta = LINE * np.array([1.001, 0.999])
    plain = at(line(), theta)
    larger = at(line(data={"values": {"x": column(X * scale), "y": column(Y)}}), theta / [1, scale])
    louder = at(line(data={"values": {"x": column(X), "y": column(Y * scale)}}), theta * scale)
    for found in (larger, louder):
        for name in ("optimality", "remaining", "newton_step", "smallest_eigenvalue", "condition"):
            assert getattr(found, name) == pytest.approx(getattr(plain, name), rel=1e-6)


def test_where_derivatives_are_not_finite_nothing_is_claimed_to_be_known() -> None:
    evidence = at({"minimize": "log(a)", "parameters": {"a": 1}}, [-1.0])
    assert not evidence.known
    assert evidence.minimum == "unknown"
