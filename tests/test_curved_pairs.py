"""Pairs of names that curve an expression, against what calculus says and against its Hessian."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fitkit.expressions import parse, to_jax
from fitkit.expressions.curved_pairs import curved_pairs

FORMULAS = {
    "a + b - 2 * c": "",
    "a * b + c": "ab",
    "a / b + c": "ab bb",
    "(a + b) / (1 + c)": "ac bc cc",
    "a * exp(-b * x) + c": "ab bb",
    "-a * b * c": "ab ac bc",
    "a ** b": "aa ab bb",
    "a ** 2 + b ** x": "aa bb",
    "where(x > 0, a * b, c * c)": "ab cc",
    "(a > b) * c": "",
    "sin(a) * b + sqrt(c)": "aa ab cc",
    "a * (b + c) / x": "ab ac",
    "a * a / 3": "aa",
    "x / (a - b)": "aa ab bb",
}
"""Each with the pairs that curve it, both names alphabetically."""


@pytest.mark.parametrize("source", FORMULAS)
def test_no_second_derivative_is_missed_and_none_is_made_up(source: str) -> None:
    expression = parse(source)
    found = curved_pairs(expression)
    names = "abc"
    told = {"".join(sorted(pair)) for pair in found if "x" not in pair}
    assert told == set(FORMULAS[source].split())
    assert {(second, first) for first, second in found} == found
    function = to_jax(expression)

    def value(theta: jax.Array) -> jax.Array:
        return jnp.asarray(function({"x": jnp.asarray(1.3), **dict(zip(names, theta, strict=True))}), theta.dtype)

    hessian = np.asarray(jax.hessian(value)(jnp.array([0.7, 1.9, 0.4])))
    for (i, first), (j, second) in itertools.product(enumerate(names), repeat=2):
        assert (hessian[i, j] == 0) or (first, second) in found
