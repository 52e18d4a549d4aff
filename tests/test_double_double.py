"""Double-doubles: every operation against mpmath, and whole programs against the same programs in doubles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath  # type: ignore[import-untyped]  # it has no types
import numpy as np
import pytest
from fitting import assembled
from hypothesis import given
from hypothesis import strategies as st

from fitkit.backend import array, jax, jnp
from fitkit.double_double import DoubleDouble, UnknownOperation, evaluate, functions, two_product, two_sum
from fitkit.optimizers.row_kernels import expand
from fitkit.problem import register_pytrees

TWICE = 2.0**-97
"""What is asked: 97 of 106 bits, relative to the result."""


def spread(low: float, high: float, seed: int = 0) -> DoubleDouble:
    """Return 60 double-doubles between two numbers, all bits of both parts at random."""
    random = np.random.default_rng(seed)
    leading = random.uniform(low, high, 60)
    return DoubleDouble(leading, leading * random.uniform(-1, 1, 60) * 2.0**-54)


def exact(numbers: DoubleDouble) -> list[Any]:
    return [mpmath.mpf(float(h)) + mpmath.mpf(float(low)) for h, low in zip(numbers.high, numbers.low, strict=True)]


def worst(found: DoubleDouble, truth: list[Any], scale: Any = None) -> float:
    """Return the largest error, relative to `scale`, or to the truth."""
    pairs = zip(exact(found), truth, strict=True)
    return float(max(abs(value - true) / (scale or abs(true) or 1) for value, true in pairs))


@pytest.fixture(autouse=True)
def fifty_digits() -> Any:
    with mpmath.workdps(50):
        yield


@given(st.floats(-1e150, 1e150), st.floats(-1e150, 1e150))
def test_sums_and_products_lose_nothing(a: float, b: float) -> None:
    total, error = two_sum(np.float64(a), np.float64(b))  # type: ignore[arg-type]  # scalars do as arrays do
    assert mpmath.mpf(float(total)) + mpmath.mpf(float(error)) == mpmath.mpf(a) + mpmath.mpf(b)
    if a == 0 or b == 0 or abs(a * b) > 1e-140:
        product, error = two_product(np.float64(a), np.float64(b))  # type: ignore[arg-type]  # same
        assert mpmath.mpf(float(product)) + mpmath.mpf(float(error)) == mpmath.mpf(a) * mpmath.mpf(b)


@pytest.mark.parametrize(
    ("operate", "truly"),
    [
        (lambda x, y: x + y, lambda x, y: x + y),
        (lambda x, y: x - y, lambda x, y: x - y),
        (lambda x, y: x * y, lambda x, y: x * y),
        (lambda x, y: x / y, lambda x, y: x / y),
        (lambda x, y: functions.power(x * x, y), lambda x, y: (x * x) ** y),
    ],
)
def test_arithmetic(operate: Callable[..., DoubleDouble], truly: Callable[..., Any]) -> None:
    x, y = spread(-3, 3), spread(-2, 5, seed=1)
    assert worst(operate(x, y), [truly(a, b) for a, b in zip(exact(x), exact(y), strict=True)]) < TWICE


@pytest.mark.parametrize(
    ("function", "truly", "between"),
    [
        (functions.exponential, mpmath.exp, (-3, 3)),
        (functions.exponential, mpmath.exp, (-600, 700)),
        (functions.exponential_minus_one, mpmath.expm1, (-2, 2)),
        (functions.exponential_minus_one, mpmath.expm1, (-1e-8, 1e-8)),
        (functions.logarithm, mpmath.log, (1e-3, 50)),
        (functions.square_root, mpmath.sqrt, (1e-3, 50)),
        (functions.hyperbolic_tangent, mpmath.tanh, (-3, 3)),
        (functions.hyperbolic_tangent, mpmath.tanh, (-900, 900)),
        (functions.logistic, lambda x: 1 / (1 + mpmath.exp(-x)), (-3, 3)),
    ],
)
def test_functions(
    function: Callable[..., DoubleDouble], truly: Callable[..., Any], between: tuple[float, float]
) -> None:
    x = spread(*between)
    assert worst(function(x), [truly(a) for a in exact(x)]) < TWICE * max(1.0, *map(abs, between))


def test_logarithm_about_one_and_angles_are_right_to_an_absolute_error() -> None:
    x = spread(0.999, 1.001)
    assert worst(functions.logarithm(x), [mpmath.log(a) for a in exact(x)], scale=1e-3) < TWICE
    angles = spread(-500, 500)
    sine, cosine = functions.sine_and_cosine(angles)
    assert worst(sine, [mpmath.sin(a) for a in exact(angles)], scale=1) < 500 * TWICE
    assert worst(cosine, [mpmath.cos(a) for a in exact(angles)], scale=1) < 500 * TWICE


def test_a_sum_keeps_what_cancels() -> None:
    numbers = DoubleDouble.of([1.0, 1e16, 1e-16, -1e16, 3.0, -4.0])
    assert numbers.sum(0).rounded() == 1e-16
    assert DoubleDouble.of(np.ones((3, 0))).sum(1).rounded().tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    "formula",
    [
        "a * (1 - exp(-b * x))",
        "a + b * x + c * x**2",
        "a * x**b / (1 + sqrt(x)) + log(1 + c * x)",
        "a * sin(b * x) + cos(c * x) * tanh(x)",
        "where(x > 2, a * x, b) + maximum(c, x) + abs(a - x)",
        "sigmoid(a * x - b) * expm1(-c * x)",
    ],
)
def test_a_program_gives_the_same_residuals_and_derivatives_to_all_digits_of_a_double(formula: str) -> None:
    register_pytrees()
    x = [0.25, 1.0, 1.75, 3.5, 6.0]
    config = {
        "model": f"y ~ {formula}",
        "parameters": {name: 0.3 for name in "abc" if name in formula.replace("abs", "")},
    }
    problem = assembled(
        {"data": {"values": {"x": x, "y": [1.0, 2.0, 2.5, 3.0, 3.2], "s": [0.1] * 5}, "sigma": "s"}, **config}
    ).problem
    theta = array([0.7, 0.3, 1.9][: len(config["parameters"])], problem.lower.dtype)
    assert problem.rows is not None
    in_doubles = expand.light(problem, theta, problem.rows)
    bound = expand.bound(0, problem, problem.rows)
    predictions, columns = evaluate(bound.program(theta), [*bound.leaves, theta])
    np.testing.assert_allclose(predictions.rounded(), in_doubles.predictions, rtol=1e-14)
    np.testing.assert_allclose(columns.rounded(), in_doubles.columns, rtol=1e-13, atol=1e-14)


def test_products_of_matrices() -> None:
    random = np.random.default_rng(3)
    a, b = random.normal(size=(3, 4, 5)), random.normal(size=(3, 5, 6))
    traced = jax.jit(lambda a, b: (jnp.einsum("bij,bjk->bik", a, b), a[0] @ b[0, :, 0], b[0].T @ a[0].T)).trace(a, b)
    found = evaluate(traced.jaxpr, [a, b])
    for got, true in zip(found, (a @ b, a[0] @ b[0, :, 0], b[0].T @ a[0].T), strict=True):
        np.testing.assert_allclose(got.rounded(), true, rtol=1e-13)


def test_what_is_not_known_is_refused() -> None:
    traced = jax.jit(jax.scipy.special.erf).trace(1.0)
    with pytest.raises(UnknownOperation, match="erf"):
        evaluate(traced.jaxpr, [1.0])
    single = jax.jit(lambda x: x.astype(jnp.float32) * 2).trace(1.0)
    with pytest.raises(UnknownOperation, match="single"):
        evaluate(single.jaxpr, [1.0])
