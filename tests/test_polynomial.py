"""Polynomials: Chebyshev's inside, powers outside, and an exact way between them."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import here
from fitting import Fit, assembled, column, fit

from fitkit.models import PolynomialModel
from fitkit.models.chebyshev import from_powers, interval, powers_of, resolved, value

X = np.sort(np.random.default_rng(4).uniform(990, 1010, 120))
Y = np.sin(X) + np.random.default_rng(5).normal(0, 0.01, 120)


def config(degree: int = 2, **more: Any) -> dict[str, Any]:
    data = {"values": {"x": column(X), "y": column(Y)}}
    return {"data": data, "model": {"kind": "polynomial", "input": "x", "target": "y", "degree": degree}, **more}


def model_of(told: dict[str, Any]) -> PolynomialModel:
    found = assembled(told).problem.model
    assert isinstance(found, PolynomialModel)
    return found


def exactly(coefficients: list[float], x: Fraction) -> Fraction:
    found = Fraction(0)
    for coefficient in reversed(coefficients):
        found = found * x + Fraction(coefficient)
    return found


def chebyshev(k: int, s: Fraction) -> Fraction:
    before, here_ = Fraction(1), s
    for _ in range(k):
        before, here_ = here_, 2 * s * here_ - before
    return before


@pytest.mark.parametrize(("center", "half", "degree"), [(0.0, 1.0, 12), (-6.0, 3.0, 10), (1000.0, 10.5, 25)])
def test_each_number_between_the_bases_is_rounded_once(center: float, half: float, degree: int) -> None:
    """The k-th column is T_k in powers: by the recurrence in fractions, at as many points as determine it."""
    matrix = powers_of(center, half, degree)
    points = [Fraction(center) + Fraction(j) for j in range(-degree, degree + 1, 2)]
    for k in range(degree + 1):
        for x in points:
            exact = chebyshev(k, (x - Fraction(center)) / Fraction(half))
            size = sum(abs(Fraction(c)) * abs(x) ** j for j, c in enumerate(matrix[:, k].tolist()))
            assert abs(exactly(matrix[:, k].tolist(), x) - exact) <= Fraction(1, 2**53) * size


def test_powers_there_and_back() -> None:
    coefficients = [1.5, -2.0, 0.25, 3.0, -1.0]
    there = from_powers(coefficients, -2.5, 4.0)
    expected: Any = (
        np.polynomial.Polynomial(coefficients).convert(kind=np.polynomial.Chebyshev, domain=[-6.5, 1.5]).coef
    )
    np.testing.assert_allclose(there, expected, rtol=1e-12)
    np.testing.assert_allclose(powers_of(-2.5, 4.0, 4) @ there, coefficients, rtol=1e-12)
    s = np.linspace(-1, 1, 9)
    np.testing.assert_allclose(value(there.tolist(), s), np.polynomial.chebyshev.chebval(s, there), rtol=1e-13)
    np.testing.assert_allclose(value([2.0], s), np.full(9, 2.0))


def test_which_powers_doubles_tell_apart() -> None:
    assert resolved(X, 2)
    assert not resolved(X, 8)
    assert resolved(X - 1000, 8)
    assert resolved(np.array([1.0, 2.0]), 30)  # no basis helps
    assert interval(np.array([3.0, 3.0])) == (3.0, 1.0)


@pytest.mark.parametrize("optimizer", ["auto", "lbfgs", {"kind": "newton"}])
def test_a_high_degree_far_from_zero_fits_as_well_as_near_it(optimizer: Any) -> None:
    """In powers of x no double is left of it: the condition of the powers is above 1e40."""
    found = fit(config(25, optimizer=optimizer, precision="float64"))
    assert found.verdict[:2] == ("converged", 0), found.result.message
    theirs = np.polynomial.Chebyshev.fit(X, Y, 25)
    assert found.result.loss is not None
    assert found.result.loss.final == pytest.approx(np.mean((theirs(X) - Y) ** 2), rel=1e-9)
    assert list(found.result.parameters) == [f"c{power}" for power in range(26)]


def test_errors_are_carried_over_exactly() -> None:
    """Against the covariance of the powers worked out in fractions of the same table, by Gauss' elimination."""
    found = fit(config(4, optimizer="lbfgs"))
    powers = [[Fraction(x) ** k for k in range(5)] for x in X.tolist()]
    normal = [[sum((row[i] * row[j] for row in powers), Fraction(0)) for j in range(5)] for i in range(5)]
    right = [sum(row[i] * Fraction(y) for row, y in zip(powers, Y.tolist(), strict=True)) for i in range(5)]
    inverse = inverted(normal)
    exact = [sum(a * b for a, b in zip(row, right, strict=True)) for row in inverse]
    rest = [
        Fraction(y) - sum(a * b for a, b in zip(row, exact, strict=True))
        for row, y in zip(powers, Y.tolist(), strict=True)
    ]
    variance = float(sum(part**2 for part in rest)) / (len(X) - 5)
    errors = [(float(inverse[i][i]) * variance) ** 0.5 for i in range(5)]
    np.testing.assert_allclose(found.errors, errors, rtol=1e-9)
    assert (np.abs(found.values - np.array([float(c) for c in exact])) < 1e-5 * np.array(errors)).all()


def inverted(matrix: list[list[Fraction]]) -> list[list[Fraction]]:
    size = len(matrix)
    rows = [[*row, *(Fraction(i == j) for j in range(size))] for i, row in enumerate(matrix)]
    for i in range(size):
        rows[i] = [entry / rows[i][i] for entry in rows[i]]
        for j in range(size):
            if j != i:
                rows[j] = [a - rows[j][i] * b for a, b in zip(rows[j], rows[i], strict=True)]
    return [row[size:] for row in rows]


@pytest.mark.parametrize(
    ("more", "inside"),
    [
        ({"optimizer": "lbfgs"}, "chebyshev"),
        ({"optimizer": {"kind": "adam", "epochs": 3}}, "chebyshev"),
        ({"optimizer": "lbfgs", "parameters": {"c1": 2}}, "chebyshev"),
        ({}, "powers"),  # which lm refines
        ({"precision": "float32"}, "chebyshev"),
        ({"optimizer": "lbfgs", "parameters": {"c1": {"min": 0}}}, "powers"),
        ({"optimizer": "lbfgs", "regularization": {"l2": 0.1}}, "powers"),
        ({"optimizer": "lbfgs", "check_grad": {"claims": {"c1": "x"}}}, "powers"),
        ({"optimizer": "lbfgs", "constraints": ["c0 <= 1"]}, "powers"),
        ({"optimizer": "lbfgs", "uncertainty": "profile"}, "powers"),
    ],
)
def test_powers_are_searched_where_something_is_asked_of_them(more: dict[str, Any], inside: str) -> None:
    assert (model_of(config(2, **more)).center is not None) == (inside == "chebyshev")


def test_starts_are_those_given() -> None:
    begun = {"c0": 3.0, "c1": -1.0, "c2": 0.5}
    found = fit(config(2, parameters=begun, optimizer="lbfgs", stopping={"max_steps": 0}))
    np.testing.assert_allclose(found.values, list(begun.values()), rtol=1e-9)
    assert found.rows[0].loss == pytest.approx(np.mean((3 - X + 0.5 * X**2 - Y) ** 2), rel=1e-12)


def test_gradient_descent_gets_there() -> None:
    """In powers of x around 1000 the largest learning rate that does not diverge would take 1e12 steps."""
    found: Fit = fit(config(3, optimizer={"kind": "sgd", "learning_rate": 0.3, "epochs": 400}))
    theirs = np.polynomial.Chebyshev.fit(X, Y, 3)
    assert found.result.loss is not None
    assert found.result.loss.final == pytest.approx(np.mean((theirs(X) - Y) ** 2), rel=1e-9)


def test_the_saved_run_predicts(tmp_path: Path) -> None:
    path, table = tmp_path / "fit.yaml", tmp_path / "t.csv"
    table.write_text("x,y\n" + "".join(f"{x!r},{y!r}\n" for x, y in zip(X.tolist(), Y.tolist(), strict=True)))
    path.write_text(json.dumps({**config(5, optimizer="lbfgs"), "data": "t.csv"}))
    assert here("train", path, "--out", tmp_path / "run", "--quiet").code == 0
    done = here("predict", tmp_path / "run", "--data", table, "--out", tmp_path / "p.csv")
    assert done.code == 0, done.err
    assert (tmp_path / "p.csv").read_bytes() == (tmp_path / "run" / "predictions.csv").read_bytes()
