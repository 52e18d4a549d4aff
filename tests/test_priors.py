"""Gaussian priors: one more observation for each, in every optimizer, in the errors, the counts and the language."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fitting import Fit, assembled, column, fit, right_digits, source
from iminuit import Minuit  # type: ignore[import-untyped]  # it comes without types
from numpy.typing import NDArray
from scipy import optimize

from fitkit.backend import jnp
from fitkit.config import load, resolved
from fitkit.errors import ConfigError, DataError

Array = NDArray[np.float64]
RANDOM = np.random.default_rng(8)
X = np.linspace(0, 3, 25)
SIGMA = RANDOM.uniform(0.05, 0.2, 25)
DECAY = 3 * np.exp(-0.9 * X) + 0.5 + RANDOM.normal(0, 1, 25) * SIGMA
COUNTS = RANDOM.poisson(40 * np.exp(-0.9 * X) + 5).astype(float)
WEIGHT = RANDOM.integers(1, 4, 25).astype(float)
MODEL = "y ~ a * exp(-k * x) + c"
PRIORS = {"k": (1.1, 0.05), "c": (0.3, 0.04)}
PARAMETERS = {"a": 2, "k": {"start": 0.5, "prior": {"mean": 1.1, "sigma": 0.05}},
              "c": {"start": 0.1, "prior": {"mean": 0.3, "sigma": 0.04}}}  # fmt: skip


def decay(t: Array) -> Array:
    return np.asarray(t[0] * np.exp(-t[1] * X) + t[2])


def deviations(t: Array) -> Array:
    return np.array([(t[1] - 1.1) / 0.05, (t[2] - 0.3) / 0.04])


def measured(**more: Any) -> dict[str, Any]:
    values = {"x": column(X), "y": column(DECAY), "s": column(SIGMA)}
    return {"data": {"values": values, "sigma": "s"}, "model": MODEL, "parameters": PARAMETERS, **more}


def counted(**more: Any) -> dict[str, Any]:
    values = {"x": column(X), "y": column(COUNTS), "w": column(WEIGHT)}
    start = {"a": 30, "k": {"start": 0.7, "prior": {"mean": 1.1, "sigma": 0.05}}, "c": {"start": 3, "min": 0.1}}
    return {"data": {"values": values, "weights": "w"}, "model": MODEL, "loss": "poisson", "parameters": start, **more}


def chi_square(t: Array) -> float:
    return float(np.sum(((decay(t) - DECAY) / SIGMA) ** 2) + np.sum(deviations(t) ** 2))


@pytest.mark.parametrize(
    ("loss", "formula"),
    [
        ("mse", lambda u, z: np.mean(u**2) + np.sum(z**2) / 25),
        ({"kind": "residual", "expression": "target - prediction"}, lambda u, z: np.mean(u**2) + np.sum(z**2) / 25),
        ("cauchy", lambda u, z: np.mean(np.log1p(u**2) / 2) + np.sum(z**2) / 50),
        ("soft_l1", lambda u, z: np.mean(np.sqrt(1 + u**2) - 1) + np.sum(z**2) / 50),
    ],
    ids=["mse", "residual", "cauchy", "soft_l1"],
)
def test_the_objective_counts_a_prior_as_the_design_says(loss: Any, formula: Any) -> None:
    problem = assembled(measured(loss=loss)).problem
    t = np.array([2.2, 0.8, 0.4])
    expected = formula((decay(t) - DECAY) / SIGMA, deviations(t))
    assert float(problem.objective(jnp.asarray(t))) == pytest.approx(expected, rel=1e-13)
    residuals = [problem.row_residuals(jnp.asarray(t), problem.rows), problem.penalty_residuals(jnp.asarray(t))]  # type: ignore[arg-type]  # it has rows
    assert float(jnp.sum(jnp.concatenate(residuals) ** 2)) == pytest.approx(expected, rel=1e-13)


def test_under_a_likelihood_the_rows_are_counted_by_their_weights() -> None:
    problem = assembled(counted()).problem
    t = np.array([33.0, 0.8, 4.0])
    rate, n = decay(t), np.sum(WEIGHT)
    expected = np.sum(WEIGHT * (rate - COUNTS * np.log(rate))) / n + ((0.8 - 1.1) / 0.05) ** 2 / (2 * n)
    assert float(problem.objective(jnp.asarray(t))) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize(
    "optimizer", ["lm", "lbfgs", "newton", {"kind": "adam", "learning_rate": 0.02}], ids=lambda o: str(o)[:20]
)
def test_a_prior_is_one_more_residual(optimizer: Any) -> None:
    """scipy is given the priors as two more rows; iminuit's errors come from the curvature of chi-square."""
    found = fit(measured(optimizer=optimizer))
    assert found.verdict[:2] == ("converged", 0), found.result.message

    def residuals(t: Array) -> Array:
        return np.concatenate([(decay(t) - DECAY) / SIGMA, deviations(t)])

    tight: dict[str, Any] = {"xtol": 1e-15, "gtol": 1e-15, "ftol": 1e-15, "jac": "3-point", "x_scale": "jac"}
    oracle = optimize.least_squares(residuals, [2, 1, 0.3], **tight)
    assert right_digits(found.values, oracle.x) >= (6 if isinstance(optimizer, dict) else 7)
    jacobian = np.asarray(oracle.jac)
    covariance = np.linalg.inv(jacobian.T @ jacobian)
    assert right_digits(found.errors, np.sqrt(np.diag(covariance))) >= 5
    assert found.result.fit is not None
    assert found.result.fit.dof == 25 + 2 - 3
    assert found.result.fit.chi_square == pytest.approx(2 * oracle.cost, rel=1e-9)
    assert found.result.uncertainty is not None
    assert "2 priors" in str(found.result.uncertainty.message)


def test_errors_of_a_likelihood_with_a_prior_are_iminuits() -> None:
    found = fit(counted())

    def twice(a: float, k: float, c: float) -> float:
        rate = decay(np.array([a, k, c]))
        return float(2 * np.sum(WEIGHT * (rate - COUNTS * np.log(rate))) + ((k - 1.1) / 0.05) ** 2)

    oracle = Minuit(twice, a=30, k=0.7, c=3)
    oracle.limits["c"] = (0.1, None)
    oracle.strategy, oracle.tol = 2, 1e-8
    oracle.migrad()
    oracle.hesse()
    assert found.verdict[:2] == ("converged", 0)
    np.testing.assert_allclose(found.values, oracle.values, rtol=1e-5)
    np.testing.assert_allclose(found.errors, oracle.errors, rtol=2e-3)


@pytest.mark.parametrize("optimizer", ["lm", "newton"])
def test_priors_of_tied_and_logarithmic_parameters_bend_and_are_followed(optimizer: str) -> None:
    parameters = {
        "a": 2,
        "k": {"start": 0.5, "scale": "log", "prior": {"mean": 1.1, "sigma": 0.05}},
        "c": 0.1,
        "half": {"equals": "log(2) / k", "prior": {"mean": 0.9, "sigma": 0.1}},
    }
    found = fit(measured(parameters=parameters, optimizer=optimizer))

    def residuals(t: Array) -> Array:
        priors = [(t[1] - 1.1) / 0.05, (np.log(2) / t[1] - 0.9) / 0.1]
        return np.concatenate([(decay(t) - DECAY) / SIGMA, priors])

    oracle = optimize.least_squares(
        residuals, [2, 1, 0.3], xtol=1e-15, gtol=1e-15, ftol=1e-15, jac="3-point", x_scale="jac"
    )
    assert found.verdict[:2] == ("converged", 0)
    assert right_digits(found.values[:3], oracle.x) >= 7
    jacobian = np.asarray(oracle.jac)
    assert right_digits(found.errors[:3], np.sqrt(np.diag(np.linalg.inv(jacobian.T @ jacobian)))) >= 4
    digits = [parameter.digits for parameter in found.result.parameters.values()]
    assert min(digit for digit in digits if digit is not None) >= 9  # which the exact Hessian alone gives


def test_robust_losses_take_the_prior_at_its_word() -> None:
    """The sandwich A^-1 B A^-1, where the prior scatters as it says itself."""
    found = fit(measured(loss="soft_l1"))
    t = found.values
    e, u = np.exp(-t[1] * X), (decay(t) - DECAY) / SIGMA
    slopes = np.column_stack([e, -t[0] * X * e, np.ones(25)]) / SIGMA[:, None]
    weight = u / np.sqrt(1 + u**2)
    second = np.zeros((3, 3))
    second[0, 1] = second[1, 0] = np.sum(weight * -X * e / SIGMA)
    second[1, 1] = np.sum(weight * t[0] * X**2 * e / SIGMA)
    information = np.diag([0, 1 / 0.05**2, 1 / 0.04**2])
    a = (slopes.T / (1 + u**2) ** 1.5) @ slopes + second + information
    b = (slopes.T * weight**2) @ slopes + information
    covariance = np.linalg.inv(a) @ b @ np.linalg.inv(a)
    assert np.linalg.norm(slopes.T @ weight + information @ (t - [0, 1.1, 0.3])) < 1e-6
    assert right_digits(found.errors, np.sqrt(np.diag(covariance))) >= 7


# -- counts and the language --------------------------------------------------------------------------------------------------


def few(priors: int) -> Fit:
    """Fit a line with two parameters to one row."""
    prior = {"prior": {"mean": 1, "sigma": 0.5}}
    parameters = {name: {"start": 0, **(prior if index < priors else {})} for index, name in enumerate("ab")}
    data = {"values": {"x": [2.0], "y": [3.0]}, "sigma": 0.1}
    return fit({"data": data, "model": "y ~ a + b * x", "parameters": parameters})


def test_priors_count_as_observations() -> None:
    with pytest.raises(DataError) as caught:
        few(0)
    assert caught.value.diagnostics[0].message == "1 row cannot determine 2 free parameters"
    for priors in (1, 2):
        found = few(priors)
        assert found.verdict[:2] == ("converged", 0)
        assert found.result.fit is not None
        assert found.result.fit.dof == priors - 1
    rows = np.array([[1, 2], [0.2, 0], [0, 0.2]]) * 10
    truth = np.linalg.lstsq(rows, np.array([30, 2, 2]), rcond=None)[0]
    assert right_digits(few(2).values, truth) >= 12
    assert right_digits(few(2).errors, np.sqrt(np.diag(np.linalg.inv(rows.T @ rows)))) >= 12


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"data": {"values": {"x": [1, 2], "y": [1, 2]}}}, "a prior needs `data.sigma`"),
        ({"loss": {"kind": "expression", "expression": "abs(prediction - target)"}, "optimizer": "sgd",
          "data": {"values": {"x": [1, 2], "y": [1, 2]}}}, "a prior needs `data.sigma`"),
        ({"parameters": {"a": {"start": 1, "fixed": True, "prior": {"mean": 1, "sigma": 1}}, "k": 1, "c": 1}},
         "`a` is fixed"),
        ({"parameters": {"a": {"start": 1, "prior": {"mean": 1, "sigma": 0}}, "k": 1, "c": 1}}, "sigma"),
        ({"parameters": {"a": {"start": 1, "prior": {"mean": 1}}, "k": 1, "c": 1}}, "sigma"),
        ({"parameters": {"a": {"start": 1, "prior": {"mean": 1, "sigma": 1, "shape": 2}}, "k": 1, "c": 1}}, "shape"),
    ],
)  # fmt: skip
def test_a_prior_that_says_nothing_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        source(measured(**change))
    assert words in " ".join(diagnostic.message for diagnostic in caught.value.diagnostics)
    assert all(diagnostic.line is not None for diagnostic in caught.value.diagnostics)


def test_a_pure_objective_has_no_priors() -> None:
    with pytest.raises(ConfigError) as caught:
        source({"minimize": "(a - 2)**2", "parameters": {"a": {"start": 1, "prior": {"mean": 1, "sigma": 1}}}})
    assert "minimize" in caught.value.diagnostics[0].message


def test_the_resolved_config_keeps_priors(tmp_path: Path) -> None:
    first = source(measured())
    (tmp_path / "again.yaml").write_text(resolved(first), encoding="utf-8")
    again = load(str(tmp_path / "again.yaml"), ("parameters.k.prior.sigma=0.07",))
    prior = again.config.parameters["k"].prior
    assert prior is not None
    assert (prior.mean, prior.sigma) == (1.1, 0.07)
    assert again.config.parameters["c"].prior == first.config.parameters["c"].prior
