"""Global fits, whose groups share parameters, against scipy on all parameters at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from grouped_tables import ALONE, Vector, table
from numpy.typing import NDArray
from scipy import optimize

from fitkit.grouped import GroupedFit, Groups, fit_groups
from fitkit.optimizers.stopping import Reason
from fitkit.problem import Problem

X = np.linspace(0, 4, 30)
TWO_DECAYS: dict[str, Any] = {
    "model": "y ~ a * exp(-k1 * x) + b * exp(-k2 * x) + c",
    "parameters": {"a": 2, "k1": 0.4, "b": 2, "k2": 3, "c": 0.5},
}
DECAY: dict[str, Any] = {"model": "y ~ a * exp(-k * x) + c", "parameters": {"a": 2, "k": 1, "c": 0}}


def two_decays(groups: int, seed: int = 2) -> list[Vector]:
    random = np.random.default_rng(seed)
    found = []
    for _ in range(groups):
        a, b, c = 3 + 0.5 * random.normal(), 2 + 0.5 * random.normal(), 1 + 0.2 * random.normal()
        found.append(a * np.exp(-0.6 * X) + b * np.exp(-2.5 * X) + c + 0.05 * random.normal(size=len(X)))
    return found


def decays(groups: int, seed: int = 4) -> list[Vector]:
    random = np.random.default_rng(seed)
    amplitudes = 3 + random.normal(size=groups)
    return [a * np.exp(-0.7 * X) + 1 + 0.1 * random.normal(size=len(X)) for a in amplitudes]


def shared(
    config: dict[str, Any], y: list[Vector], *names: str, x: list[Vector] | None = None
) -> tuple[Problem, Groups]:
    problem, groups = table(config, [X] * len(y) if x is None else x, y)
    return problem, replace(groups, shared=names)


def at_minimum(residuals: Any, jacobian: Any, start: Vector) -> tuple[Vector, NDArray[np.float64]]:
    """Return scipy's minimum, brought to the last digit by Gauss-Newton steps, and its Jacobian."""
    found = optimize.least_squares(residuals, start, jac=jacobian, xtol=1e-15, ftol=1e-15, gtol=1e-15).x
    for _ in range(12):
        found = found - np.linalg.lstsq(jacobian(found), residuals(found))[0]
    return found, jacobian(found)


def test_two_shared_and_three_local_parameters_are_scipys() -> None:
    y = two_decays(8)
    found = fit_groups(*shared(TWO_DECAYS, y, "k1", "k2"), ALONE)

    def residuals(t: Vector) -> Vector:
        own = t[2:].reshape(8, 3)
        curve = own[:, :1] * np.exp(-t[0] * X) + own[:, 1:2] * np.exp(-t[1] * X) + own[:, 2:]
        return np.asarray((curve - np.array(y)).ravel())

    def jacobian(t: Vector) -> Vector:
        own, full = t[2:].reshape(8, 3), np.zeros((8, len(X), len(t)))
        full[:, :, 0] = -own[:, :1] * X * np.exp(-t[0] * X)
        full[:, :, 1] = -own[:, 1:2] * X * np.exp(-t[1] * X)
        for group in range(8):
            full[group, :, 2 + 3 * group] = np.exp(-t[0] * X)
            full[group, :, 3 + 3 * group] = np.exp(-t[1] * X)
            full[group, :, 4 + 3 * group] = 1
        return full.reshape(-1, len(t))

    best, columns = at_minimum(residuals, jacobian, np.array([0.4, 3, *[2, 2, 0.5] * 8]))
    rss = float(residuals(best) @ residuals(best))
    dof = 8 * len(X) - 26
    covariance = rss / dof * np.linalg.inv(columns.T @ columns)
    errors = np.sqrt(np.diag(covariance))
    fit = found.shared
    assert fit is not None
    assert fit.reason is Reason.GRADIENT_SMALL
    assert fit.dof == dof
    np.testing.assert_allclose(fit.values, best[:2], rtol=1e-8)
    np.testing.assert_allclose(found.values[:, [0, 2, 4]].ravel(), best[2:], rtol=1e-8)
    np.testing.assert_allclose(fit.covariance, covariance[:2, :2], rtol=1e-6)
    np.testing.assert_allclose(found.errors[:, [0, 2, 4]].ravel(), errors[2:], rtol=1e-6)
    np.testing.assert_allclose(found.errors[:, [1, 3]], np.tile(errors[:2], (8, 1)), rtol=1e-6)
    assert fit.loss == pytest.approx(rss / (8 * len(X)), rel=1e-12)
    assert found.converged.all()


def with_pooled_k(
    y: list[Vector], prior: tuple[float, float] | None = None, sigma: float = 1.0
) -> tuple[Vector, Vector]:
    """Return k with every a and c, and their errors by sigma, from scipy on all at once."""
    count = len(y)

    def residuals(t: Vector) -> Vector:
        own = t[1:].reshape(count, 2)
        rows = ((own[:, :1] * np.exp(-t[0] * X) + own[:, 1:] - np.array(y)) / sigma).ravel()
        return rows if prior is None else np.append(rows, (t[0] - prior[0]) / prior[1])

    def jacobian(t: Vector) -> Vector:
        own, full = t[1:].reshape(count, 2), np.zeros((count, len(X), len(t)))
        full[:, :, 0] = -own[:, :1] * X * np.exp(-t[0] * X)
        for group in range(count):
            full[group, :, 1 + 2 * group], full[group, :, 2 + 2 * group] = np.exp(-t[0] * X), 1
        rows = full.reshape(-1, len(t)) / sigma
        return rows if prior is None else np.vstack([rows, np.eye(len(t))[:1] / prior[1]])

    best, columns = at_minimum(residuals, jacobian, np.array([1, *[2.0, 0.0] * count]))
    return best, np.sqrt(np.diag(np.linalg.inv(columns.T @ columns)))


def test_a_prior_on_a_shared_parameter_counts_once() -> None:
    y = decays(6)
    prior = {"start": 1, "prior": {"mean": 0.9, "sigma": 0.02}}
    config = {**DECAY, "parameters": {**DECAY["parameters"], "k": prior}}
    problem, groups = table(config, [X] * 6, y, sigma=[np.full(len(X), 0.1)] * 6)
    found = fit_groups(problem, replace(groups, shared=("k",)), ALONE).shared
    best, errors = with_pooled_k(y, (0.9, 0.02), 0.1)
    assert found is not None
    np.testing.assert_allclose(found.values, best[:1], rtol=1e-8)
    np.testing.assert_allclose(found.errors, errors[:1], rtol=1e-6)


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_groups_that_cannot_take_part_are_left_out(scale: str) -> None:
    y = decays(8)
    best, _ = with_pooled_k([y[0], *y[3:]])
    spoilt, x = [each.copy() for each in y], [X] * 8
    spoilt[1][3] = np.nan
    spoilt[2], x[2] = spoilt[2][:1], X[:1]
    config = {**DECAY, "parameters": {**DECAY["parameters"], "k": {"start": 1, "scale": scale}}}
    found = fit_groups(*shared(config, spoilt, "k", x=x), ALONE)
    assert [Reason(int(code)) for code in found.reason[1:3]] == [Reason.NOT_FINITE, Reason.TOO_FEW_ROWS]
    assert found.message(2) == "1 row cannot determine 2 parameters of its own."
    kept = [0, 3, 4, 5, 6, 7]
    assert found.converged[kept].all()
    np.testing.assert_allclose(found.values[kept, 1], best[0], rtol=1e-8)
    np.testing.assert_allclose(found.values[kept][:, [0, 2]].ravel(), best[1:], rtol=1e-8)
    assert np.isnan(found.errors[1:3]).all()


def bounded(k: dict[str, float], c: dict[str, float]) -> GroupedFit:
    config = {**DECAY, "parameters": {"a": 2, "k": k, "c": c}}
    return fit_groups(*shared(config, decays(5), "k"), ALONE)


def test_bounds_hold_shared_and_local_parameters() -> None:
    found = bounded({"start": 0.5, "min": 0.1, "max": 0.6}, {"start": 1.2, "min": 1.1})
    assert found.shared is not None
    assert found.shared.at_bound.tolist() == [True]
    assert found.shared.values.tolist() == [0.6]
    assert np.isnan(found.shared.errors).all()
    assert found.converged.all()
    for group, y in enumerate(decays(5)):
        design = np.column_stack([np.exp(-0.6 * X), np.ones_like(X)])
        a, c = optimize.lsq_linear(design, y, ([-np.inf, 1.1], np.inf), tol=1e-14).x
        np.testing.assert_allclose(found.values[group, [0, 2]], [a, c], rtol=1e-7)


def test_shared_parameters_that_no_group_tells_apart_are_not_identified() -> None:
    config = {"model": "y ~ a * exp(-(k + l) * x) + c", "parameters": {"a": 2, "k": 0.5, "l": 0.3, "c": 0}}
    found = fit_groups(*shared(config, decays(4), "k", "l"), ALONE)
    assert found.shared is not None
    assert found.shared.reason is not Reason.GRADIENT_SMALL
    assert not found.converged.any()
    assert np.isnan(found.shared.errors).all()


def test_all_parameters_shared_is_one_fit_of_all_rows() -> None:
    y = decays(6)
    found = fit_groups(*shared(DECAY, y, "a", "k", "c"), ALONE)
    expected, covariance = optimize.curve_fit(
        lambda x, a, k, c: a * np.exp(-k * x) + c, np.tile(X, 6), np.concatenate(y), [2, 1, 0], ftol=1e-14, xtol=1e-14
    )
    assert found.shared is not None
    np.testing.assert_allclose(found.shared.values, expected, rtol=1e-6)
    np.testing.assert_allclose(found.shared.errors, np.sqrt(np.diag(covariance)), rtol=1e-5)
