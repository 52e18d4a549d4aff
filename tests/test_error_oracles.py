"""Minima and errors to six digits: robust losses, likelihoods and squares against scipy, iminuit, lmfit and mpmath.

Oracles that work by finite differences have fewer digits than are asked for; theirs are given exact derivatives, or the
derivatives are formed in 40 digits by mpmath.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import iminuit  # type: ignore[import-untyped]  # it comes without types
import lmfit  # type: ignore[import-untyped]  # it comes without types
import mpmath  # type: ignore[import-untyped]  # it comes without types
import numpy as np
import pytest
from fitting import Fit, column, fit
from numpy.typing import NDArray
from scipy import optimize

from fitkit.uncertainty.information import inverse_of_hessian

Array = NDArray[np.float64]
RANDOM = np.random.default_rng(77)
X = np.linspace(0, 3, 40)
SIGMA = RANDOM.uniform(0.05, 0.2, 40)
Y = 3 * np.exp(-0.9 * X) + 0.5 + SIGMA * RANDOM.normal(size=40)
OUTLIERS = Y + np.where(np.arange(40) % 9 == 4, 1.3, 0.0)
COUNTS = RANDOM.poisson(40 * np.exp(-1.5 * X) + 8).astype(float)
START = {"a": 2.0, "k": 0.5, "c": 0.1}


def decay(t: Array) -> Array:
    return np.asarray(t[0] * np.exp(-t[1] * X) + t[2])


def slopes(t: Array) -> Array:
    decline = np.exp(-t[1] * X)
    return np.column_stack([decline, -t[0] * X * decline, np.ones(40)])


def decayed(y: Array, **more: Any) -> Fit:
    data = {"values": {"x": column(X), "y": column(y), "s": column(SIGMA)}, **more.pop("data", {})}
    return fit({"data": data, "model": "y ~ a * exp(-k * x) + c", "parameters": START, **more})


def exact(cost: Callable[..., Any], at: Array, y: Array) -> tuple[Array, Array]:
    """Return the Hessian of the sum of a cost of (parameters, x, y) and the outer products of its gradients, by mpmath."""
    size = len(at)
    hessian, products = np.zeros((size, size)), np.zeros((size, size))
    with mpmath.workdps(40):
        point = [mpmath.mpf(float(value)) for value in at]
        for x, target in zip(X.tolist(), y.tolist(), strict=True):

            def row(*t: Any, x: float = x, target: float = target) -> Any:
                return cost(t, mpmath.mpf(x), mpmath.mpf(target))

            unit = np.eye(size, dtype=int)
            gradient = np.array([float(mpmath.diff(row, point, tuple(map(int, e)))) for e in unit])
            products += np.outer(gradient, gradient)
            hessian += [[float(mpmath.diff(row, point, tuple(map(int, e + f)))) for f in unit] for e in unit]
    return hessian, products


ROBUST: dict[str, tuple[dict[str, Any], Callable[[Any], Any]]] = {
    "huber": (
        {"kind": "huber", "delta": 0.2},
        lambda u: u**2 / 2 if abs(u) <= 0.2 else mpmath.mpf(0.2) * (abs(u) - mpmath.mpf(0.2) / 2),
    ),
    "soft_l1": (
        {"kind": "soft_l1", "scale": 0.2},
        lambda u: mpmath.mpf(0.2) ** 2 * (mpmath.sqrt(1 + (u / mpmath.mpf(0.2)) ** 2) - 1),
    ),
    "cauchy": (
        {"kind": "cauchy", "scale": 0.2},
        lambda u: mpmath.mpf(0.2) ** 2 / 2 * mpmath.log(1 + (u / mpmath.mpf(0.2)) ** 2),
    ),
}


@pytest.mark.parametrize("kind", ROBUST)
def test_robust_minima_are_scipys(kind: Any) -> None:
    found = decayed(OUTLIERS, loss=ROBUST[kind][0])

    def residuals(t: Array) -> Array:
        return decay(t) - OUTLIERS

    oracle = optimize.least_squares(
        residuals, [2, 0.5, 0.1], jac=slopes, loss=kind, f_scale=0.2, xtol=1e-15, ftol=1e-15, gtol=1e-15
    )
    np.testing.assert_allclose(found.values, oracle.x, rtol=1e-6)
    assert found.result.loss is not None
    assert found.result.loss.final == pytest.approx(oracle.cost / 40, rel=1e-10)


@pytest.mark.parametrize("kind", ROBUST)
def test_robust_errors_are_the_sandwich_in_forty_digits(kind: str) -> None:
    settings, rho = ROBUST[kind]
    found = decayed(OUTLIERS, loss=settings)
    hessian, products = exact(lambda t, x, y: rho(t[0] * mpmath.exp(-t[1] * x) + t[2] - y), found.values, OUTLIERS)
    bread = np.linalg.inv(hessian)
    np.testing.assert_allclose(found.errors, np.sqrt(np.diag(bread @ products @ bread)), rtol=1e-6)


def migrad(cost: Callable[[Array], float], gradient: Callable[[Array], Array], start: list[float]) -> Array:
    """Return iminuit's minimum, by exact gradients: by differences it has four digits."""
    found = iminuit.Minuit(cost, np.array(start), grad=gradient)
    found.errordef, found.strategy, found.tol, found.precision = iminuit.Minuit.LIKELIHOOD, 2, 1e-10, 1e-15
    for _ in range(5):
        found.migrad()
    return np.array(found.values)


def test_counts_are_iminuits_and_their_errors_the_inverse_information() -> None:
    def cost(t: Array) -> float:
        rate = np.maximum(decay(t), 1e-9)
        return float(np.sum(rate - COUNTS * np.log(rate)))

    found = decayed(COUNTS, loss="poisson", parameters={"a": 20, "k": 1, "c": 5})
    oracle = migrad(cost, lambda t: slopes(t).T @ (1 - COUNTS / decay(t)), [30, 1.2, 8])
    np.testing.assert_allclose(found.values, oracle, rtol=1e-6)

    def row(t: Any, x: Any, y: Any) -> Any:
        rate = t[0] * mpmath.exp(-t[1] * x) + t[2]
        return rate - y * mpmath.log(rate)

    hessian, _ = exact(row, found.values, COUNTS)
    np.testing.assert_allclose(found.errors, np.sqrt(np.diag(np.linalg.inv(hessian))), rtol=1e-6)


def test_a_fitted_scatter_is_iminuits_and_its_errors_the_inverse_information() -> None:
    y = 1 + 2 * X + (0.2 + 0.15 * X) * RANDOM.normal(size=40)

    def cost(t: Array) -> float:
        sigma = np.maximum(t[2] + t[3] * X, 1e-3)
        return float(np.sum(np.log(sigma) + ((t[0] + t[1] * X - y) / sigma) ** 2 / 2))

    def gradient(t: Array) -> Array:
        sigma, off = t[2] + t[3] * X, t[0] + t[1] * X - y
        mean, spread = off / sigma**2, 1 / sigma - off**2 / sigma**3
        return np.array([mean.sum(), mean @ X, spread.sum(), spread @ X])

    found = fit({
        "data": {"values": {"x": column(X), "y": column(y)}}, "model": "y ~ a + b * x",
        "loss": {"kind": "gaussian_nll", "sigma": "s0 + s1 * x"}, "parameters": {"a": 0, "b": 1, "s0": 0.3, "s1": 0.1},
    })  # fmt: skip
    np.testing.assert_allclose(found.values, migrad(cost, gradient, [1, 2, 0.3, 0.1]), rtol=1e-6)

    def row(t: Any, x: Any, y: Any) -> Any:
        sigma = t[2] + t[3] * x
        return mpmath.log(sigma) + ((t[0] + t[1] * x - y) / sigma) ** 2 / 2

    hessian, _ = exact(row, found.values, y)
    np.testing.assert_allclose(found.errors, np.sqrt(np.diag(np.linalg.inv(hessian))), rtol=1e-6)


@pytest.mark.parametrize("absolute", [True, False])
def test_squares_are_lmfits_and_scipys(*, absolute: bool) -> None:
    """lmfit and curve_fit know no exact Hessian, and neither does the default: J'WJ, with s² where there is no sigma."""
    found = decayed(Y, data={"sigma": "s"} if absolute else {})
    weight = 1 / SIGMA if absolute else np.ones(40)
    model = lmfit.Model(lambda x, a, k, c: a * np.exp(-k * x) + c)
    oracle = model.fit(
        Y, x=X, **START, weights=weight, scale_covar=not absolute, fit_kws={"xtol": 1e-15, "ftol": 1e-15}
    )
    np.testing.assert_allclose(found.values, list(oracle.best_values.values()), rtol=1e-6)
    np.testing.assert_allclose(found.errors, [oracle.params[name].stderr for name in START], rtol=1e-4)
    _, covariance = optimize.curve_fit(
        lambda x, a, k, c: a * np.exp(-k * x) + c, X, Y, list(START.values()), sigma=1 / weight, absolute_sigma=absolute,
        jac=lambda _, a, k, c: slopes(np.array([a, k, c])), xtol=1e-15, ftol=1e-15, gtol=1e-15, method="lm",
    )  # fmt: skip
    np.testing.assert_allclose(found.errors, np.sqrt(np.diag(covariance)), rtol=1e-6)


# -- the status says what errors are worth ------------------------------------------------------------------------------------


def told(found: Fit) -> tuple[str, str]:
    assert found.result.uncertainty is not None
    return found.result.uncertainty.status, found.result.uncertainty.message or ""


def test_the_status_and_what_the_errors_are_made_of() -> None:
    assert told(decayed(Y)) == ("accurate", "Gauss-Newton, scale from the residuals")
    assert told(decayed(Y, data={"sigma": "s"})) == ("accurate", "Gauss-Newton, scale from sigma")
    assert told(decayed(COUNTS, loss="poisson", parameters={"a": 20, "k": 1, "c": 5})) == (
        "accurate",
        "inverse observed information",
    )
    status, message = told(decayed(OUTLIERS, loss="huber"))
    assert status == "approximate"
    assert message.startswith("sandwich, exact Hessian")
    status, message = told(decayed(Y, parameters={**START, "c": {"start": 0.1, "max": 0.3}}))
    assert (status, "at a bound" in message) == ("approximate", True)
    status, message = told(decayed(Y, regularization={"l2": 1e-3}))
    assert (status, "l2" in message) == ("approximate", True)


def test_a_hessian_that_is_not_positive_definite_gives_no_errors() -> None:
    movable = np.ones(2, bool)
    assert inverse_of_hessian(np.diag([1.0, -1.0]), movable) is None
    half = inverse_of_hessian(np.array([[2.0, 1.0], [1.0, 3.0]]), movable)
    assert half is not None
    np.testing.assert_allclose(half @ half.T, np.array([[3, -1], [-1, 2]]) / 5, rtol=1e-12)
