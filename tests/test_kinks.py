"""Objectives with kinks: the median, other quantiles and l1, to the vertex; and what may be said where they end."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fitting import ROOT, Fit, column, fit, right_digits
from numpy.typing import NDArray
from scipy import optimize

Array = NDArray[np.float64]
ENGEL = [81.48224741693613, 0.5601805512094196]
"""Median regression of food expenditure on income: the linear programme by HiGHS, its vertex solved exactly; statsmodels'
example notebook prints 81.4823 and 0.5602."""
RANDOM = np.random.default_rng(3)
X = np.linspace(0, 3, 40)
DECAY = 3 * np.exp(-0.9 * X) + 0.5 + RANDOM.standard_t(2, 40) * 0.1
CURVE: dict[str, Any] = {
    "data": {"values": {"x": column(X), "y": column(DECAY)}},
    "model": "y ~ a * exp(-k * x) + c",
    "parameters": {"a": 2, "k": 0.5, "c": 0},
}


def programme(design: Array, y: Array, q: float, weight: Array) -> float:
    """Return the least mean pinball loss of a linear model, by linear programming."""
    rows, size = design.shape
    costs = np.concatenate([np.zeros(2 * size), q * weight, (1 - q) * weight])
    equal = np.hstack([design, -design, np.eye(rows), -np.eye(rows)])
    found = optimize.linprog(costs, A_eq=equal, b_eq=y, method="highs")
    return float(np.asarray(found.fun)) / float(weight.sum())


def linear(design: Array, y: Array, **more: Any) -> Fit:
    names = [f"x{j}" for j in range(design.shape[1])]
    columns = {name: column(part) for name, part in zip(names, design.T, strict=True)}
    data = {"values": {**columns, "y": column(y), "w": column(more.pop("weight", np.ones(len(y))))}, "weights": "w"}
    return fit({"data": data, "model": {"kind": "linear", "inputs": names, "target": "y"}, **more})


@pytest.mark.parametrize("optimizer", ["auto", "lbfgs", "lm"])
@pytest.mark.parametrize("loss", ["quantile", {"kind": "quantile", "quantile": 0.5}, "mae"], ids=str)
def test_engels_median(loss: Any, optimizer: str) -> None:
    data, model = str(ROOT / "datasets/engel.csv"), "foodexp ~ a + b * income"
    found = fit({"data": data, "model": model, "parameters": {"a": 0, "b": 1}, "loss": loss, "optimizer": optimizer})
    assert found.verdict[:2] == ("converged", 0), found.result.message
    assert right_digits(found.values, ENGEL) >= 12
    assert found.result.loss is not None
    assert found.result.loss.final is not None
    share = 1 if loss == "mae" else 0.5
    assert found.result.loss.final * 235 * 0.5 / share == pytest.approx(8779.966323812845, rel=1e-13)
    assert np.isnan(found.errors).all()
    assert found.result.optimizer is not None
    assert found.result.optimizer["kind"] == ("lbfgs" if optimizer == "auto" else optimizer)


@pytest.mark.parametrize("seed", range(16))
def test_quantiles_of_linear_models_are_those_of_linear_programming(seed: int) -> None:
    """Heavy tails, scales apart by 1e6, weights of zero, and rows of small whole numbers that tie."""
    random = np.random.default_rng(seed)
    size, rows, q = int(random.integers(1, 6)), int(random.integers(8, 90)), float(random.choice([0.1, 0.25, 0.5, 0.9]))
    if seed % 4 == 1:
        design = np.round(random.normal(size=(rows, size)) * 2)
        y = np.round(design.sum(axis=1) + random.normal(size=rows) * 2)
    else:
        scales = 10 ** random.uniform(-3, 3, size)
        design = random.normal(size=(rows, size)) * scales
        y = design @ (random.normal(size=size) / scales) + 1 + random.standard_t(1.5, rows)
    weight = random.integers(0, 4, rows).astype(float) if seed % 4 == 2 else np.ones(rows)
    best = programme(np.column_stack([np.ones(rows), design]), y, q, weight)
    optimizer = "lm" if seed % 3 else "lbfgs"
    found = linear(design, y, loss={"kind": "quantile", "quantile": q}, weight=weight, optimizer=optimizer)
    assert found.verdict[:2] == ("converged", 0), found.result.message
    assert found.result.loss is not None
    assert found.result.loss.final == pytest.approx(best, rel=1e-9)


@pytest.mark.parametrize("optimizer", ["lm", "lbfgs"])
@pytest.mark.parametrize("loss", ["mae", {"kind": "quantile", "quantile": 0.1}, {"kind": "quantile", "quantile": 0.9}])
@pytest.mark.parametrize("bounded", [False, True])
def test_curves_end_where_nothing_near_is_lower(loss: Any, optimizer: str, bounded: bool) -> None:  # noqa: FBT001
    bounds = {"a": {"start": 2, "max": 2.5}, "k": 0.5, "c": {"start": 0, "min": 0}}
    found = fit({**CURVE, "loss": loss, "optimizer": optimizer, **({"parameters": bounds} if bounded else {})})
    assert found.verdict[:2] == ("converged", 0), found.result.message
    q = 0.5 if loss == "mae" else loss["quantile"]

    def cost(t: Array) -> float:
        r = DECAY - (t[0] * np.exp(-t[1] * X) + t[2])
        return float(np.mean(r * (q - (r < 0))))

    here = cost(found.values)
    random = np.random.default_rng(0)
    for size in (1e-2, 1e-4, 1e-6, 1e-8):
        for _ in range(300):
            near = found.values + size * random.normal(size=3)
            if bounded:
                near = np.array([min(near[0], 2.5), near[1], max(near[2], 0.0)])
            assert cost(near) >= here - 1e-15
    flags = found.result.parameters["a"].flags
    assert flags == (("at_bound",) if bounded else ())


def lasso(design: Array, y: Array, l1: float) -> Array:
    """Return the minimum of mean (y - b0 - D b)² + l1 |b|, by coordinate descent."""
    b, b0 = np.zeros(design.shape[1]), 0.0
    for _ in range(5000):
        b0 = float(np.mean(y - design @ b))
        for j in range(len(b)):
            rest = y - b0 - design @ b + design[:, j] * b[j]
            z, n = design[:, j] @ rest, len(y)
            b[j] = np.sign(z) * max(abs(z) - l1 * n / 2, 0.0) / (design[:, j] @ design[:, j])
    return np.concatenate([[b0], b])


@pytest.mark.parametrize("optimizer", ["lm", "lbfgs"])
@pytest.mark.parametrize("l1", [0.01, 0.3, 3.0, 30.0])
def test_the_lasso_has_its_zeros(l1: float, optimizer: str) -> None:
    design = np.random.default_rng(5).normal(size=(50, 5))
    y = design @ np.array([2, 0, -1, 0, 0.2]) + np.random.default_rng(6).normal(size=50) * 0.5 + 1
    found = linear(design, y, regularization={"l1": l1}, optimizer=optimizer)
    truth = lasso(design, y, l1)
    assert found.verdict[:2] == ("converged", 0), found.result.message
    np.testing.assert_allclose(found.values, truth, rtol=1e-10, atol=1e-13)
    assert (found.values == 0).tolist() == (truth == 0).tolist()
    assert np.isnan(found.errors).all()


def test_l1_shrinks_counts_too() -> None:
    """Zero lies in the subdifferential: |slope| = l1 where a weight is not zero, at most l1 where it is."""
    random = np.random.default_rng(2)
    design = random.normal(size=(80, 4))
    y = random.poisson(np.exp(0.5 + design @ np.array([0.6, 0, -0.3, 0.02]))).astype(float)
    found = linear(design, y, loss="poisson", regularization={"l1": 0.4})
    assert found.verdict[:2] == ("converged", 0), found.result.message
    b = found.values
    slope = np.column_stack([np.ones(80), design]).T @ (np.exp(b[0] + design @ b[1:]) - y) / 80
    assert abs(slope[0]) < 1e-12
    zero = b[1:] == 0
    assert 0 < zero.sum() < 4
    np.testing.assert_allclose(slope[1:][~zero], -0.4 * np.sign(b[1:][~zero]), rtol=1e-10)
    assert (np.abs(slope[1:][zero]) <= 0.4).all()


# -- what is said ------------------------------------------------------------------------------------------------------------


def constant(y: list[float], **more: Any) -> Fit:
    return fit({"data": {"values": {"y": y}}, "model": "y ~ a", "loss": "mae", "parameters": {"a": 0}, **more})


def test_the_median_of_an_odd_number_is_one_and_of_an_even_number_is_any_between() -> None:
    odd, even = constant([1, 2, 3, 4, 9]), constant([1, 2, 3, 4])
    assert odd.values.tolist() == [3]
    assert 2 <= even.values[0] <= 3
    assert odd.result.evidence is not None
    assert even.result.evidence is not None
    assert odd.verdict[:2] == even.verdict[:2] == ("converged", 0)
    assert (odd.result.evidence.minimum, even.result.evidence.minimum) == ("strict", "unknown")


def test_a_product_is_flat_under_the_absolute_error() -> None:
    data = {"values": {"x": [1, 2, 3, 4], "y": [1, 2.5, 3, 4]}}
    found = fit({"data": data, "model": "y ~ a * b * x", "loss": "mae", "parameters": {"a": 1, "b": 0.5}})
    assert found.verdict == ("not_converged", 4, "not_identified")
    assert found.result.evidence is not None
    assert found.result.evidence.flat == (("a", "b"),)


@pytest.mark.parametrize("optimizer", ["lm", "lbfgs"])
def test_stopped_early_nothing_is_claimed(optimizer: str) -> None:
    for most in range(6):
        found = fit({**CURVE, "loss": "mae", "optimizer": optimizer, "stopping": {"max_steps": most}})
        assert found.verdict == ("not_converged", 4, "max_steps")
        assert found.result.steps == most
        assert [row.step for row in found.rows] == list(range(most + 1))


@pytest.mark.parametrize("optimizer", ["lm", "lbfgs"])
def test_the_history_tells_the_loss_itself(optimizer: str) -> None:
    found = fit({**CURVE, "loss": "mae", "optimizer": optimizer})
    assert found.rows[0].loss == pytest.approx(float(np.mean(np.abs(DECAY - 2 * np.exp(-0.5 * X)))), rel=1e-13)
    t = found.values
    assert found.rows[-1].loss == pytest.approx(
        float(np.mean(np.abs(DECAY - t[0] * np.exp(-t[1] * X) - t[2]))), rel=1e-13
    )
    assert [row.step for row in found.rows] == list(range(len(found.rows)))


@pytest.mark.parametrize("scale", [1e-8, 1e8])
def test_units_change_nothing(scale: float) -> None:
    plain = fit({**CURVE, "loss": "mae"})
    values = {"x": column(X), "y": column(DECAY * scale)}
    start = {"a": 2 * scale, "k": 0.5, "c": 0}
    found = fit({**CURVE, "data": {"values": values}, "parameters": start, "loss": "mae"})
    assert found.verdict == plain.verdict
    assert right_digits(found.values / [scale, 1, scale], plain.values) >= 11


def test_a_start_without_a_value_has_diverged() -> None:
    found = fit({**CURVE, "model": "y ~ log(a) * x + k + c", "parameters": {"a": -1, "k": 0, "c": 0}, "loss": "mae"})
    assert found.verdict == ("diverged", 5, "not_finite")


def test_without_free_parameters_the_loss_is_evaluated() -> None:
    found = constant([1, 2, 6], parameters={"a": {"start": 2, "fixed": True}})
    assert found.verdict[:2] == ("converged", 0)
    assert found.result.loss is not None
    assert found.result.loss.final == pytest.approx(5 / 3)


def test_first_order_optimizers_are_told_how_far_they_are() -> None:
    """A subgradient step does not end on a kink, so an end by tolerance is not believed."""
    optimizer = {"kind": "adam", "learning_rate": 0.05}
    found = fit({**CURVE, "loss": "mae", "optimizer": optimizer, "stopping": {"max_steps": 300, "xtol": 1e-2}})
    assert found.result.status == "not_converged"
