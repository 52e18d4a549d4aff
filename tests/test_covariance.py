"""Standard errors against scipy's, iminuit's and formulas written out in numpy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import iminuit  # type: ignore[import-untyped]  # it comes without types
import mpmath  # type: ignore[import-untyped]  # it comes without types
import numpy as np
import pytest
from command import fitkit, written
from fitting import Fit, column, fit
from numpy.typing import NDArray
from scipy import optimize, stats

Array = NDArray[np.float64]
RANDOM = np.random.default_rng(8)
X = np.linspace(0, 3, 40)
SIGMA, WEIGHT = RANDOM.uniform(0.03, 0.2, 40), RANDOM.uniform(0.1, 3, 40)
Y = 3 * np.exp(-0.9 * X) + 0.5 + SIGMA * RANDOM.normal(size=40)
COUNTS = RANDOM.poisson(40 * np.exp(-1.5 * X) + 8).astype(float)
YES = (RANDOM.random(40) < 1 / (1 + np.exp(-2 * (X - 1.5)))).astype(float)
DESIGN = np.column_stack([np.ones(40), X])
MODEL = "y ~ a * exp(-k * x) + c"
START = {"a": 2.0, "k": 0.5, "c": 0.0}


def decay(x: Array, a: Any, k: Any, c: Any) -> Array:
    return np.asarray(a * np.exp(-k * x) + c)


def decayed(y: Array = Y, **more: Any) -> Fit:
    columns = {name: column(more.pop(name)) for name in ("s", "w") if name in more}
    keys: dict[str, Any] = {key: more.pop(key) for key in ("sigma", "weights") if key in more}
    data: dict[str, Any] = {"values": {"x": column(X), "y": column(y), **columns}, **keys}
    return fit({"data": data, "model": MODEL, "parameters": START, **more})


def correlation(covariance: NDArray[Any]) -> Array:
    deviations = np.sqrt(np.diag(covariance))
    return np.asarray(covariance / np.outer(deviations, deviations))


def agrees(found: Fit, covariance: NDArray[Any], rtol: float) -> None:
    np.testing.assert_allclose(found.errors, np.sqrt(np.diag(covariance)), rtol=rtol)
    assert found.result.uncertainty is not None
    told = np.asarray(found.result.uncertainty.correlation, np.float64)
    np.testing.assert_allclose(told, correlation(covariance), rtol=10 * rtol, atol=1e-6)


def scipy_covariance(**options: Any) -> Array:
    _, covariance = optimize.curve_fit(decay, X, Y, [2, 0.5, 0], xtol=1e-15, ftol=1e-15, gtol=0, **options)
    return np.asarray(covariance)


# -- squared residuals --------------------------------------------------------------------------------------------------------


def test_without_sigma_the_scale_comes_from_the_residuals() -> None:
    found = decayed()
    agrees(found, scipy_covariance(), 1e-6)
    assert found.result.uncertainty is not None
    assert found.result.uncertainty.status == "accurate"


def test_with_sigma_the_errors_are_absolute() -> None:
    found = decayed(s=SIGMA, sigma="s")
    agrees(found, scipy_covariance(sigma=SIGMA, absolute_sigma=True), 1e-6)
    assert found.result.fit is not None
    assert found.result.fit.chi_square == pytest.approx(np.sum(((decay(X, *found.values) - Y) / SIGMA) ** 2), rel=1e-12)


def test_weights_are_relative() -> None:
    """Weights are inverse variances up to a factor, which the residuals give: any factor has the same errors."""
    expected = scipy_covariance(sigma=1 / np.sqrt(WEIGHT), absolute_sigma=False)
    for factor in (1.0, 1e-6):
        agrees(decayed(w=WEIGHT * factor, weights="w"), expected, 1e-6)


@pytest.mark.parametrize("optimizer", ["lbfgs", {"kind": "adam", "learning_rate": 0.02}], ids=str)
def test_the_optimizer_does_not_matter(optimizer: Any) -> None:
    np.testing.assert_allclose(decayed(optimizer=optimizer).errors, decayed().errors, rtol=1e-6)


def test_a_line_in_closed_form() -> None:
    data = {"values": {"x": column(X), "y": column(Y)}}
    found = fit({"data": data, "model": {"kind": "linear", "inputs": ["x"], "target": "y"}})
    residual = Y - DESIGN @ found.values
    scale = residual @ residual / (len(X) - 2)
    agrees(found, scale * np.linalg.inv(DESIGN.T @ DESIGN), 1e-10)


def test_intervals_are_students_without_sigma_and_normal_with_it() -> None:
    for found, quantile in ((decayed(), stats.t.ppf(0.975, 37)), (decayed(s=SIGMA, sigma="s"), stats.norm.ppf(0.975))):
        for parameter in found.result.parameters.values():
            assert parameter.error is not None
            half = quantile * parameter.error
            assert parameter.interval == pytest.approx((parameter.value - half, parameter.value + half), rel=1e-9)
    wide = decayed(uncertainty={"kind": "covariance", "level": 0.5}).result.parameters["k"]
    assert wide.interval is not None
    assert wide.error is not None
    assert wide.interval[1] is not None
    assert wide.interval[1] - wide.value == pytest.approx(stats.t.ppf(0.75, 37) * wide.error, rel=1e-9)


# -- likelihoods --------------------------------------------------------------------------------------------------------------


def minuit(cost: Any, start: Any) -> iminuit.Minuit:
    """Return iminuit's minimum of half the deviance, with errors from the second derivatives."""
    found = iminuit.Minuit(cost, np.asarray(start, float))
    found.errordef = iminuit.Minuit.LIKELIHOOD
    found.strategy = 2
    found.tol = 1e-6
    found.migrad()
    found.hesse()
    return found


def test_poisson_errors_are_iminuits() -> None:
    def cost(t: Array) -> float:
        rate = decay(X, *t)
        return float(np.sum(rate - COUNTS * np.log(rate)))

    oracle = minuit(cost, [40, 1.5, 8])
    found = decayed(
        COUNTS,
        loss="poisson",
        parameters={name: {"start": s, "min": 0.01} for name, s in zip("akc", (20, 1, 5), strict=True)},
    )
    np.testing.assert_allclose(found.values, oracle.values, rtol=1e-4)
    np.testing.assert_allclose(found.errors, oracle.errors, rtol=2e-3)


def test_poisson_errors_are_the_inverse_observed_information() -> None:
    found = decayed(COUNTS, loss="poisson", parameters={"a": 20, "k": 1, "c": 5})
    a, k, c = found.values
    decline = np.exp(-k * X)
    rate, zero = a * decline + c, np.zeros(40)
    slopes = np.array([decline, -a * X * decline, np.ones(40)])
    bends = np.array([[zero, -X * decline, zero], [-X * decline, a * X**2 * decline, zero], [zero, zero, zero]])
    information = np.einsum("in,jn,n->ij", slopes, slopes, COUNTS / rate**2) + bends @ (1 - COUNTS / rate)
    agrees(found, np.linalg.inv(information), 1e-6)


def test_logistic_errors_are_the_inverse_information() -> None:
    data = {"values": {"x": column(X), "y": column(YES)}}
    linear = {"kind": "linear", "inputs": ["x"], "target": "y"}
    found = fit({"data": data, "model": linear, "loss": "binary_cross_entropy"})
    probability = 1 / (1 + np.exp(-DESIGN @ found.values))
    information = (DESIGN.T * (probability * (1 - probability))) @ DESIGN
    agrees(found, np.linalg.inv(information), 1e-6)


def test_weights_count_rows_under_likelihoods() -> None:
    """A row of weight two is the row twice."""
    twice = np.r_[np.arange(40), np.arange(40)]
    linear = {"kind": "linear", "inputs": ["x"], "target": "y"}
    doubled = fit({
        "data": {"values": {"x": column(X[twice]), "y": column(YES[twice])}}, "model": linear, "loss": "binary_cross_entropy",
    })  # fmt: skip
    weighted = fit({
        "data": {"values": {"x": column(X), "y": column(YES), "w": [2.0] * 40}, "weights": "w"},
        "model": linear, "loss": "binary_cross_entropy",
    })  # fmt: skip
    np.testing.assert_allclose(weighted.errors, doubled.errors, rtol=1e-7)


# -- robust losses ------------------------------------------------------------------------------------------------------------


def test_robust_errors_are_the_sandwich() -> None:
    """A^-1 B A^-1 with A the sum of Hessians and B that of outer products of gradients, both weighted."""
    data = {"values": {"x": column(X), "y": column(Y), "w": column(WEIGHT)}, "weights": "w"}
    linear = {"kind": "linear", "inputs": ["x"], "target": "y"}
    found = fit({"data": data, "model": linear, "loss": {"kind": "soft_l1", "scale": 0.2}})
    u = (DESIGN @ found.values - Y) / 0.2
    influence, curvature = 0.2 * u / np.sqrt(1 + u**2), (1 + u**2) ** -1.5
    bread = np.linalg.inv((DESIGN.T * (WEIGHT * curvature)) @ DESIGN)
    meat = (DESIGN.T * (WEIGHT * influence) ** 2) @ DESIGN
    agrees(found, bread @ meat @ bread, 1e-6)


# -- coordinates --------------------------------------------------------------------------------------------------------------


def test_a_logarithmic_scale_has_the_same_error_and_an_interval_of_its_own() -> None:
    plain, scaled = decayed(), decayed(parameters={**START, "k": {"start": 0.5, "scale": "log"}})
    np.testing.assert_allclose(scaled.errors, plain.errors, rtol=1e-6)
    rate = scaled.result.parameters["k"]
    assert rate.error is not None
    factor = np.exp(stats.t.ppf(0.975, 37) * rate.error / rate.value)
    assert rate.interval == pytest.approx((rate.value / factor, rate.value * factor), rel=1e-9)


def test_ties_propagate_by_the_delta_method() -> None:
    ties = {"ratio": {"equals": "a / c"}, "twice": {"equals": "2 * ratio"}, "constant": {"equals": "3"}}
    found = decayed(parameters={**START, "c": 0.4, **ties})
    covariance = scipy_covariance()
    a, _, c = found.values[:3]
    slope = np.array([1 / c, 0, -a / c**2])
    error = float(np.sqrt(slope @ covariance @ slope))
    parameters = found.result.parameters
    assert parameters["ratio"].error == pytest.approx(error, rel=1e-6)
    assert parameters["twice"].error == pytest.approx(2 * error, rel=1e-6)
    assert parameters["constant"].error is None


# -- where there is none ------------------------------------------------------------------------------------------------------


def test_a_parameter_at_a_bound_is_held() -> None:
    """It has no error, what depends on it has none either, and the others are as if it had been fixed."""
    bounded = {**START, "c": {"start": 0, "max": 0.3}, "sum": {"equals": "a + c"}, "double": {"equals": "2 * a"}}
    found = decayed(parameters=bounded)
    fixed = decayed(parameters={**START, "c": {"start": 0.3, "fixed": True}})
    dof = np.sqrt((40 - 2) / (40 - 3))  # the bounded fit counts it as free
    parameters = found.result.parameters
    assert (parameters["c"].error, parameters["c"].flags) == (None, ("at_bound",))
    assert parameters["sum"].error is None
    np.testing.assert_allclose(found.errors[:2], fixed.errors[:2] * dof, rtol=1e-6)
    assert parameters["double"].error == pytest.approx(2 * found.errors[0], rel=1e-12)
    assert found.result.uncertainty is not None
    assert (found.result.uncertainty.names, found.result.uncertainty.status) == (("a", "k"), "approximate")


@pytest.mark.parametrize(
    "changes",
    [
        {"stopping": {"max_steps": 1}},
        {"uncertainty": "none"},
        {"loss": "mae", "optimizer": {"kind": "adam", "epochs": 3}},
    ],
    ids=str,
)
def test_no_errors_where_they_mean_nothing(changes: dict[str, Any]) -> None:
    found = decayed(**changes)
    assert np.isnan(found.errors).all()
    assert all(parameter.interval is None for parameter in found.result.parameters.values())
    assert found.result.uncertainty is not None
    assert found.result.uncertainty.status == "unavailable"


def test_a_pure_objective_has_no_errors() -> None:
    found = fit({"minimize": "(a - 1)**2 + 1", "parameters": {"a": 0}})
    assert found.verdict[:2] == ("converged", 0)
    assert np.isnan(found.errors).all()


def test_a_penalty_makes_errors_approximate() -> None:
    uncertainty = decayed(regularization={"l2": 1e-4}).result.uncertainty
    assert uncertainty is not None
    assert uncertainty.status == "approximate"
    assert "l2" in (uncertainty.message or "")


# -- which curvature, and the sandwich ----------------------------------------------------------------------------------------


def told(found: Fit) -> str:
    assert found.result.uncertainty is not None
    return found.result.uncertainty.message or ""


def hesse(found: Fit, sigma: Any) -> Array:
    """Return the covariance by second derivatives of half chi-square, in 40 digits: what HESSE approaches (errordef 1/2)."""
    with mpmath.workdps(40):

        def half_chi_square(a: Any, k: Any, c: Any) -> Any:
            return sum(
                ((a * mpmath.exp(-k * x) + c - y) / s) ** 2 / 2
                for x, y, s in zip(X.tolist(), Y.tolist(), np.broadcast_to(sigma, 40).tolist(), strict=True)
            )

        point = [mpmath.mpf(value) for value in found.values]
        orders = [tuple(int(i == j) + int(i == k) for i in range(3)) for j in range(3) for k in range(3)]
        second = [mpmath.diff(half_chi_square, point, order) for order in orders]
        information = mpmath.matrix([second[:3], second[3:6], second[6:]])
        return np.array(mpmath.inverse(information).tolist(), float)


def test_the_exact_hessian_of_a_chi_square_is_hesses() -> None:
    found = decayed(s=SIGMA, sigma="s", uncertainty={"kind": "covariance", "hessian": "exact"})
    agrees(found, hesse(found, SIGMA), 1e-9)
    assert told(found) == "exact Hessian, scale from sigma"
    oracle = minuit(lambda t: float(np.sum(((decay(X, *t) - Y) / SIGMA) ** 2) / 2), found.values)
    np.testing.assert_allclose(found.errors, oracle.errors, rtol=1e-3)
    assert not np.allclose(found.errors, decayed(s=SIGMA, sigma="s").errors, rtol=1e-4)


def test_the_exact_hessian_without_sigma_has_its_scale_from_the_residuals() -> None:
    found = decayed(uncertainty={"kind": "covariance", "hessian": "exact"})
    variance = float(np.sum((decay(X, *found.values) - Y) ** 2) / 37)
    agrees(found, hesse(found, np.sqrt(variance)), 1e-9)
    assert told(found) == "exact Hessian, scale from the residuals"


def test_gauss_newton_is_the_default_of_squares() -> None:
    chosen = decayed(uncertainty={"kind": "covariance", "hessian": "gauss_newton"})
    np.testing.assert_array_equal(chosen.errors, decayed().errors)
    assert told(chosen) == told(decayed()) == "Gauss-Newton, scale from the residuals"


@pytest.mark.parametrize("hessian", ["auto", "exact"])
def test_the_sandwich_of_a_curve_is_hc0(hessian: str) -> None:
    """(J'WJ)^-1 (sum of w² r² j j') (J'WJ)^-1, with all of the Hessian in place of J'WJ if asked."""
    asked = {"kind": "covariance", "sandwich": "always", "hessian": hessian}
    found = decayed(w=WEIGHT, weights="w", uncertainty=asked)
    a, k, c = found.values
    decline = np.exp(-k * X)
    slopes, residual = np.column_stack([decline, -a * X * decline, np.ones(40)]), decay(X, a, k, c) - Y
    curvature = (slopes.T * WEIGHT) @ slopes
    if hessian == "exact":
        pull = WEIGHT * residual * decline
        curvature += np.array([
            [0, -pull @ X, 0], [-pull @ X, a * pull @ X**2, 0], [0, 0, 0],
        ])  # fmt: skip
    bread = np.linalg.inv(curvature)
    agrees(found, bread @ ((slopes.T * (WEIGHT * residual) ** 2) @ slopes) @ bread, 1e-7)
    assert told(found).startswith("sandwich, exact Hessian" if hessian == "exact" else "sandwich, Gauss-Newton")
    rate = found.result.parameters["k"]
    assert rate.error is not None
    half = stats.norm.ppf(0.975) * rate.error
    assert rate.interval == pytest.approx((rate.value - half, rate.value + half), rel=1e-9)


def test_the_sandwich_of_counts_in_closed_form() -> None:
    data = {"values": {"x": column(X), "y": column(COUNTS)}}
    linear = {"kind": "linear", "inputs": ["x"], "target": "y"}
    asked = {"kind": "covariance", "sandwich": "always"}
    found = fit({"data": data, "model": linear, "loss": "poisson", "uncertainty": asked})
    rate = np.exp(DESIGN @ found.values)
    bread = np.linalg.inv((DESIGN.T * rate) @ DESIGN)
    agrees(found, bread @ ((DESIGN.T * (COUNTS - rate) ** 2) @ DESIGN) @ bread, 1e-7)


def test_a_prior_scatters_as_it_says_in_the_sandwich_of_squares() -> None:
    """With nothing but priors to tell them apart: the mean of n equal rows with a prior at its own place."""
    config = {
        "data": {"values": {"x": [0.0] * 4, "y": [1.0, 3.0, 2.0, 2.0]}, "sigma": 0.5}, "model": "y ~ a + 0 * x",
        "parameters": {"a": {"start": 1, "prior": {"mean": 2, "sigma": 0.4}}},
        "uncertainty": {"kind": "covariance", "sandwich": "always"},
    }  # fmt: skip
    information = 4 / 0.5**2 + 1 / 0.4**2
    spread = 2 / 0.5**4 + 1 / 0.4**2
    assert fit(config).errors[0] == pytest.approx(np.sqrt(spread) / information, rel=1e-9)


def test_of_a_robust_loss_the_curvature_is_exact() -> None:
    found = decayed(loss="huber")
    assert told(found).startswith("sandwich, exact Hessian")
    np.testing.assert_array_equal(
        decayed(loss="huber", uncertainty={"kind": "covariance", "hessian": "exact"}).errors, found.errors
    )


@pytest.mark.parametrize(
    ("lines", "word"),
    [
        ("uncertainty: {hessian: gauss_newton}\nloss: poisson", "gauss_newton"),
        ("uncertainty: {hessian: gauss_newton}\nloss: huber", "gauss_newton"),
    ],
)
def test_what_cannot_be_had_is_refused(tmp_path: Path, lines: str, word: str) -> None:
    base = "data: {values: {x: [1, 2, 3], y: [1, 2, 4]}}\nmodel: y ~ a * x\nparameters: {a: 1}\n"
    lines = lines.replace("{hessian", "{kind: covariance, hessian")
    done = fitkit("validate", written(tmp_path, "c.yaml", f"{base}{lines}\n"))
    assert done.code == 2
    assert word in done.err + done.out


def test_an_objective_has_no_errors_to_choose(tmp_path: Path) -> None:
    text = "minimize: a**2\nparameters: {a: 1}\nuncertainty: {kind: covariance, hessian: exact}\n"
    assert fitkit("validate", written(tmp_path, "c.yaml", text)).code == 2
