"""Ill-conditioned least squares with large residuals: the digits that the data hold, and no more claimed.

The truth is the exact solution of the normal equations of the doubles, in sixty digits.
"""

from __future__ import annotations

from typing import Any

import mpmath  # type: ignore[import-untyped]  # it has no types
import numpy as np
import pytest
import yaml
from fitting import ROOT, Fit, assembled, column, fit
from nist_problems import optimum, solved
from numpy.typing import NDArray

from fitkit.optimizers.least_squares import LeastSquares
from fitkit.optimizers.refinement import refine

Vector = NDArray[np.float64]


def exact_solution(columns: list[Vector], y: Vector, weights: Vector) -> list[Any]:
    """Return the minimum of the weighted sum of squares of y - sum_j b_j columns_j."""
    with mpmath.workdps(60):
        exact = [[mpmath.mpf(number) for number in map(float, each)] for each in columns]
        return _solved(exact, y, weights)


def exact_polynomial(x: Vector, y: Vector, degree: int, weights: Vector) -> list[Any]:
    with mpmath.workdps(60):
        exact = [[mpmath.mpf(float(number)) ** power for number in x] for power in range(degree + 1)]
        return _solved(exact, y, weights)


def _solved(columns: list[list[Any]], y: Vector, weights: Vector) -> list[Any]:
    w = [mpmath.mpf(float(number)) for number in weights]
    right = [mpmath.mpf(float(number)) for number in y]
    matrix = mpmath.matrix([
        [mpmath.fsum(map(mpmath.fprod, zip(w, a, b, strict=True))) for b in columns] for a in columns
    ])  # fmt: skip
    vector = mpmath.matrix([mpmath.fsum(map(mpmath.fprod, zip(w, a, right, strict=True))) for a in columns])
    return list(mpmath.lu_solve(matrix, vector))


def digits(found: Fit, truth: list[Any]) -> Vector:
    with mpmath.workdps(60):
        errors = [float(abs(value / true - 1)) for value, true in zip(found.values.tolist(), truth, strict=True)]
    return -np.log10(np.maximum(errors, 1e-16))


def check(found: Fit, truth: list[Any], least: float) -> None:
    assert found.verdict[:2] == ("converged", 0)
    right = digits(found, truth)
    assert right.min() >= least
    printed = np.array([parameter.digits for parameter in found.result.parameters.values()])
    assert (printed <= right + 1).all(), (printed, right)


@pytest.mark.parametrize(("degree", "noise"), [(5, 1e9), (7, 1e3), (9, 1e6), (10, 1.0)])
@pytest.mark.parametrize("as_formula", [False, True])
def test_polynomials(degree: int, noise: float, as_formula: bool) -> None:  # noqa: FBT001 - a case
    random = np.random.default_rng(degree)
    x = random.uniform(-3, 9, 40)
    y = sum(x**power for power in range(degree + 1)) + noise * random.normal(size=40)
    model: Any = {"kind": "polynomial", "input": "x", "target": "y", "degree": degree}
    parameters = {}
    if as_formula:
        model = "y ~ c0 + " + " + ".join(f"c{power} * x**{power}" for power in range(1, degree + 1))
        parameters = {"parameters": {f"c{power}": 0 for power in range(degree + 1)}}
    found = fit({"data": {"values": {"x": column(x), "y": column(y)}}, "model": model, **parameters})
    check(found, exact_polynomial(x, np.asarray(y), degree, np.ones(40)), least=11)


@pytest.mark.parametrize(("size", "noise"), [(5, 1e4), (7, 1.0), (8, 1e-3), (8, 1e6)])
def test_columns_of_hilberts_matrix(size: int, noise: float) -> None:
    random = np.random.default_rng(size)
    columns = [1 / (np.arange(30) + j + 1.0) for j in range(size)]
    y = sum(columns) + noise * random.normal(size=30)
    table = {f"a{j}": column(each) for j, each in enumerate(columns)} | {"y": column(y)}
    model = {"kind": "linear", "inputs": list(table)[:-1], "target": "y", "intercept": False}
    check(fit({"data": {"values": table}, "model": model}), exact_solution(columns, y, np.ones(30)), least=11)


@pytest.mark.parametrize("key", ["weights", "sigma"])
def test_weights_and_standard_errors_are_kept_exactly(key: str) -> None:
    random = np.random.default_rng(7)
    x = np.arange(21.0)
    y = sum(x**power for power in range(6)) + np.rint(1e8 * random.normal(size=21))
    given = random.uniform(0.2, 5, 21)
    with mpmath.workdps(60):
        weights: Any = given if key == "weights" else [1 / mpmath.mpf(float(number)) ** 2 for number in given]
        w = [mpmath.mpf(number) for number in (map(float, weights) if key == "weights" else weights)]
        columns = [[root * mpmath.mpf(int(number)) ** power for root, number in zip(map(mpmath.sqrt, w), x, strict=True)]
                   for power in range(6)]  # fmt: skip
        right = [root * mpmath.mpf(int(number)) for root, number in zip(map(mpmath.sqrt, w), y, strict=True)]
        matrix = mpmath.matrix([[mpmath.fdot(a, b) for b in columns] for a in columns])
        truth = list(mpmath.lu_solve(matrix, mpmath.matrix([mpmath.fdot(a, right) for a in columns])))
    model = {"kind": "polynomial", "input": "x", "target": "y", "degree": 5}
    data = {"values": {"x": column(x), "y": column(y), "given": column(given)}, key: "given"}
    check(fit({"data": data, "model": model}), truth, least=11)


def test_numbers_that_reading_has_rounded_are_not_taken_for_exact() -> None:
    """Of whole numbers all digits are claimed; a thousandth of them are the nearest doubles, which move the minimum."""
    x = np.arange(21.0)
    y = np.array([1.0, -1.0] * 10 + [1.0]) * 1e7 + sum(x**power for power in range(6))
    model = {"kind": "polynomial", "input": "x", "target": "y", "degree": 5}

    def claimed(scale: float) -> float:
        found = fit({"data": {"values": {"x": column(x / scale), "y": column(y)}}, "model": model})
        return min(parameter.digits or 0.0 for parameter in found.result.parameters.values())

    assert claimed(1) > 15
    assert claimed(1024) > 15, "powers of two only move the point"
    assert claimed(1000) < 13.5


@pytest.mark.parametrize("name", ["MGH10", "Bennett5", "Thurber", "MGH17"])
def test_nonlinear_minima_have_the_same_digits_with_an_exact_slope(name: str) -> None:
    values = solved(name, "start2").values
    config = yaml.safe_load((ROOT / f"configs/nist/{name}.yaml").read_text())
    config["data"] = str((ROOT / "configs/nist" / config["data"]).resolve())
    squares = LeastSquares(assembled(config).problem)
    near = values * (1 + 1e-9)
    refined = refine(squares, near, squares.curvature(values, squares.linearize(values)), np.ones(len(values), bool))
    assert refined is not None
    right = -np.log10(np.maximum(np.abs(refined.theta.rounded() / optimum(name) - 1), 1e-16))
    assert right.min() > 13.8
    assert (refined.error < 1e-16 * np.abs(values)).all()
