"""The problem: names and theta, the objective of the design's section 1, and what its value may not depend on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fitting import assembled, column
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fitkit.backend import jax, jnp
from fitkit.problem import Problem, RowData

Array = NDArray[np.float64]
RANDOM = np.random.default_rng(11)
X, Y = np.linspace(0, 4, 23), RANDOM.normal(2, 1, 23)
SIGMA, WEIGHT = RANDOM.uniform(0.5, 2, 23), RANDOM.uniform(0, 3, 23)


def config(**changes: Any) -> dict[str, Any]:
    return {
        "data": {"values": {"x": column(X), "y": column(Y)}},
        "model": "y ~ a * exp(-k * x) + c",
        "parameters": {"a": 2.0, "k": 0.7, "c": 0.5},
        **changes,
    }


def with_columns(**columns: Any) -> dict[str, Any]:
    given = {"x": column(X), "y": column(Y), **{name: column(values) for name, values in columns.items()}}
    return {
        "values": given,
        **({"sigma": "s"} if "s" in columns else {}),
        **({"weights": "w"} if "w" in columns else {}),
    }


def objective(problem: Problem, theta: Any) -> float:
    return float(problem.objective(jnp.asarray(theta)))


def decay(theta: Array) -> Array:
    return np.asarray(theta[0] * np.exp(-theta[1] * X) + theta[2])


ROBUST = {"kind": "soft_l1", "scale": 0.8}
CASES: list[tuple[dict[str, Any], Any]] = [
    ({}, lambda _t, u: np.mean(u**2)),
    ({"loss": "mae", "optimizer": "sgd"}, lambda _t, u: np.mean(np.abs(u))),
    ({"loss": ROBUST}, lambda _t, u: np.mean(0.64 * (np.sqrt(1 + (u / 0.8) ** 2) - 1))),
    ({"data": with_columns(s=SIGMA)}, lambda _t, u: np.mean((u / SIGMA) ** 2)),
    ({"data": with_columns(w=WEIGHT)}, lambda _t, u: np.sum(WEIGHT * u**2) / np.sum(WEIGHT)),
    ({"regularization": {"l2": 0.3}}, lambda t, u: np.mean(u**2) + 0.15 * np.sum(t**2)),
    (
        {"regularization": {"l1": 0.2, "l2": 0.1}, "optimizer": "sgd", "data": with_columns(w=WEIGHT)},
        lambda t, u: np.sum(WEIGHT * u**2) / np.sum(WEIGHT) + 0.05 * np.sum(t**2) + 0.2 * np.sum(np.abs(t)),
    ),
]


@pytest.mark.parametrize(("changes", "formula"), CASES, ids=[str(index) for index in range(len(CASES))])
def test_the_objective_is_the_formula_of_the_design(changes: dict[str, Any], formula: Any) -> None:
    problem = assembled(config(**changes)).problem
    for theta in (np.array([2.0, 0.7, 0.5]), np.array([-1.0, 0.1, 3.0])):
        assert objective(problem, theta) == pytest.approx(formula(theta, decay(theta) - Y), rel=1e-13)


@pytest.mark.parametrize("changes", [c for c, _ in CASES if "optimizer" not in c], ids=str)
def test_residuals_and_penalties_square_to_the_objective(changes: dict[str, Any]) -> None:
    problem = assembled(config(**changes)).problem
    theta = jnp.array([1.5, 0.6, -0.2])
    assert problem.rows is not None
    parts = [problem.row_residuals(theta, problem.rows), problem.penalty_residuals(theta)]
    assert float(jnp.sum(jnp.concatenate(parts) ** 2)) == pytest.approx(objective(problem, theta), rel=1e-13)


def test_penalties_pass_over_intercepts_and_what_is_not_free() -> None:
    data = {"values": {"u": [1, 2, 3, 4], "v": [1, 0, 1, 0], "y": [1, 2, 3, 5]}}
    linear = {"kind": "linear", "inputs": ["u", "v"], "target": "y"}
    problem = assembled({"data": data, "model": linear, "regularization": {"l2": 2.0}}).problem
    assert problem.penalized == ("u", "v")
    without = replace(problem, regularization=replace(problem.regularization, l2=0.0))
    theta = np.array([5.0, 3.0, -2.0])
    assert objective(problem, theta) - objective(without, theta) == pytest.approx(9 + 4, rel=1e-13)
    held = config(
        regularization={"l2": 2.0}, parameters={"a": 2, "k": {"start": 9, "fixed": True}, "c": {"equals": "a"}}
    )
    assert assembled(held).problem.penalized == ("a",)


def test_theta_is_the_free_parameters_in_their_order_and_scale() -> None:
    parameters = {
        "c": {"start": 0.5, "min": -1, "max": 2},
        "k": {"start": 0.7, "scale": "log", "min": 0.1},
        "a": {"equals": "2 * b + c"},
        "b": {"equals": "k ** 2"},
        "z": {"start": 4, "fixed": True},
    }
    made = assembled(config(parameters=parameters, model="y ~ a * exp(-k * x) + c * z"))
    problem = made.problem
    assert problem.layout.free == ("c", "k")
    np.testing.assert_allclose(made.start, [0.5, np.log(0.7)])
    np.testing.assert_allclose(problem.lower, [-1, np.log(0.1)])
    np.testing.assert_allclose(problem.upper, [2, np.inf])
    values = problem.values(jnp.asarray(made.start))
    assert list(values) == list(parameters)
    expected = {"c": 0.5, "k": 0.7, "a": 2 * 0.49 + 0.5, "b": 0.49, "z": 4.0}
    assert {name: float(value) for name, value in values.items()} == pytest.approx(expected, rel=1e-14)
    u = expected["a"] * np.exp(-0.7 * X) + 2 - Y
    assert objective(problem, made.start) == pytest.approx(np.mean(u**2), rel=1e-13)


def rows_of(problem: Problem) -> RowData:
    assert problem.rows is not None
    return problem.rows


WEIGHTED = assembled(config(data=with_columns(w=WEIGHT))).problem
THETA = jnp.array([1.5, 0.6, -0.2])


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(len(X))))
def test_the_order_of_rows_does_not_matter(order: list[int]) -> None:
    shuffled = WEIGHTED.with_rows(rows_of(WEIGHTED).take(np.array(order)))
    assert objective(shuffled, THETA) == pytest.approx(objective(WEIGHTED, THETA), rel=1e-13)


def test_rows_of_weight_zero_count_for_nothing_whatever_they_hold() -> None:
    """Padding repeats a row with weight zero; even a row whose cost or slope is not finite must not be heard."""
    rows = rows_of(WEIGHTED)
    padded = rows.take(np.r_[np.arange(len(X)), [0, 3, 5]])
    for poison in (1.0, 1e300, np.nan, np.inf):
        target = jnp.where(jnp.arange(len(X) + 3) < len(X), padded.target, poison)
        weight = jnp.where(jnp.arange(len(X) + 3) < len(X), padded.weight, 0.0)
        problem = WEIGHTED.with_rows(replace(padded, target=target, weight=weight))
        assert objective(problem, THETA) == pytest.approx(objective(WEIGHTED, THETA), rel=1e-13)
        squares = jnp.sum(problem.row_residuals(THETA, rows_of(problem)) ** 2)
        assert float(squares) == pytest.approx(objective(WEIGHTED, THETA), rel=1e-13)
        if np.isfinite(poison):
            slopes = jax.grad(problem.objective)(THETA), jax.grad(WEIGHTED.objective)(THETA)
            np.testing.assert_allclose(*slopes, rtol=1e-12)


@pytest.mark.parametrize("size", [1, 4, 10, 23])
def test_gradients_of_batches_sum_to_that_of_all_rows(size: int) -> None:
    """Each batch's mean weighs as much as its rows do."""
    rows = rows_of(WEIGHTED)

    def slope(part: RowData) -> Array:
        total = jnp.sum(part.weight)
        return np.asarray(jax.grad(lambda t: WEIGHTED.smooth_objective(t, part, total))(THETA) * total)

    parts = [rows.take(np.arange(start, min(start + size, len(X)))) for start in range(0, len(X), size)]
    whole = jax.grad(WEIGHTED.objective)(THETA) * jnp.sum(rows.weight)
    np.testing.assert_allclose(np.sum([slope(part) for part in parts], axis=0), whole, rtol=1e-11)


def test_problems_of_one_structure_share_a_program() -> None:
    """Data, bounds, weights and the numbers of losses and penalties are traced; names and formulas are structure."""
    one = assembled(config(loss=ROBUST, regularization={"l2": 0.1})).problem
    other = assembled(config(loss={"kind": "soft_l1", "scale": 3}, regularization={"l2": 5})).problem
    different = assembled(config(loss="cauchy")).problem
    structures: list[Any] = [jax.tree.structure(problem) for problem in (one, other, different)]
    assert structures[0] == structures[1] != structures[2]
    again: Problem = jax.tree.unflatten(structures[0], jax.tree.leaves(other))
    assert objective(again, THETA) == objective(other, THETA)
    traced = 0

    @jax.jit
    def value(problem: Problem) -> Any:
        nonlocal traced
        traced += 1
        return problem.objective(THETA)

    assert float(value(one)) == pytest.approx(objective(one, THETA), rel=1e-13)
    assert float(value(other)) == pytest.approx(objective(other, THETA), rel=1e-13)
    assert traced == 1
