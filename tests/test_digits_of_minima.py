"""Digits claimed of minima that are no plain sums of squares, free and along constraints, against optima in closed form."""

from __future__ import annotations

from math import exp, log, sqrt

import numpy as np
import pytest
from fitting import Fit, fit
from hock_schittkowski import PROBLEMS
from scipy import optimize
from test_hock_schittkowski import solved

from fitkit.result import Result

MOST, LEAST = 1.0, -4.0
"""By how much a claim may be above the truth, and below it: an estimate that is always low says nothing."""


def _doubly_exponential() -> tuple[float, float, float]:
    """Return the minimum of 0.2 exp(exp(x)) - 0.8 x and both exponentials of it, which is problem 66."""
    x = optimize.brentq(lambda x: exp(exp(x)) * exp(x) - 4, 0, 1, xtol=1e-16, rtol=1e-15)
    return x, exp(x), exp(exp(x))


UNDER_CONSTRAINTS: dict[int, tuple[float, ...]] = {
    12: (2, 3),
    14: ((sqrt(7) - 1) / 2, (sqrt(7) + 1) / 4),
    24: (3, sqrt(3)),
    29: (4, 2 * sqrt(2), 2),
    37: (24, 12, 12),
    66: _doubly_exponential(),
}
"""By the numbers of Hock and Schittkowski."""


def claims(found: Fit | Result, truth: tuple[float, ...]) -> list[float]:
    """Return by how much each claim is above the truth, of which 16 digits are known."""
    result = found.result if isinstance(found, Fit) else found
    assert result.status == "converged", result.message
    above = []
    for parameter, true in zip(result.parameters.values(), truth, strict=True):
        assert parameter.digits is not None
        right = -np.log10(max(abs(parameter.value / true - 1), 1e-16))
        above.append(parameter.digits - right)
    return above


@pytest.mark.parametrize("number", UNDER_CONSTRAINTS)
def test_under_constraints(number: int) -> None:
    problem = next(problem for problem in PROBLEMS if problem.number == number)
    above = claims(solved(problem), UNDER_CONSTRAINTS[number])
    assert max(above) <= MOST
    assert min(above) >= LEAST


FREE: dict[str, tuple[str, dict[str, float], tuple[float, ...]]] = {
    "an exponential": ("exp(a) - 3 * a", {"a": 0.3}, (log(3),)),
    "a banana": ("100 * (b - a**2)**2 + (1 - a)**2", {"a": -1.2, "b": 1}, (1, 1)),
    "of unlike sizes": ("(a - 1e6)**2 + 1e12 * (b - 2e-6)**2 + cosh(a * b - 2)", {"a": 9e5, "b": 1e-6}, (1e6, 2e-6)),
    "large terms that cancel": (
        "(1e6 + (a - 1.1)**2 + (b - a - 0.1)**2) - 1e6 + exp(b - 1.2) - b",
        {"a": 1, "b": 1},
        (1.1, 1.2),
    ),
}
CHECKS = [*((name, "newton") for name in FREE), ("a banana", "lbfgs"), ("of unlike sizes", "lbfgs")]


@pytest.mark.parametrize(("name", "optimizer"), CHECKS)
def test_of_an_objective_without_constraints(name: str, optimizer: str) -> None:
    objective, start, truth = FREE[name]
    above = claims(fit({"minimize": objective, "parameters": start, "optimizer": optimizer}), truth)
    assert max(above) <= MOST
    assert min(above) >= LEAST


def test_of_a_likelihood() -> None:
    """One rate for all counts: its mean, whatever the loss compares."""
    counts = [3.0, 5.0, 4.0, 7.0, 2.0]
    config = {
        "data": {"values": {"x": [0.0] * 5, "n": counts}},
        "model": "n ~ exp(a) + 0 * x",
        "loss": "poisson",
        "parameters": {"a": 0},
    }
    assert -2 <= claims(fit(config), (log(21 / 5),))[0] <= MOST


def test_of_a_fit_under_a_constraint() -> None:
    """A line through (0, 1): the slope is sum x (y - 1) / sum x²."""
    x, y = np.arange(1.0, 9), 1 + 0.3 * np.arange(1.0, 9) + 0.1 * np.sin(5 * np.arange(1.0, 9))
    config = {
        "data": {"values": {"x": x.tolist(), "y": y.tolist()}},
        "model": "y ~ a + b * x",
        "parameters": {"a": 3, "b": 1},
        "constraints": ["a == 1"],
    }
    above = claims(fit(config), (1.0, float(x @ (y - 1) / (x @ x))))
    assert max(above) <= MOST
    assert min(above) >= LEAST


def test_a_parameter_that_a_constraint_determines_is_known_as_well_as_the_constraint() -> None:
    """Both constraints are nearly the same line: where they cross is known to few digits."""
    config = {
        "minimize": "(a - 5)**2 + (b - 5)**2",
        "parameters": {"a": 1, "b": 1},
        "constraints": ["0.3 * a + 0.7 * b == 2.1", "0.3 * a + 0.70000001 * b == 2.1 + 1.3e-8"],
    }
    above = claims(fit(config), (2.1 / 0.3 - 1.3 * 0.7 / 0.3, 1.3))
    assert min(above) >= -2
    assert max(above) <= MOST
