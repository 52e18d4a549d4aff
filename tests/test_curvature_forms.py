"""What is computed in a faster form is the same: rows in blocks, and L-BFGS's curvature without its recursion."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fitting import assembled, column
from numpy.typing import NDArray

from fitkit.backend import jax, jnp
from fitkit.optimizers import row_blocks
from fitkit.optimizers.compact_curvature import inverse_product, measured_for, with_pair, without_pairs
from fitkit.optimizers.smooth_kernels import expand_smooth, slope_of

Array = NDArray[np.float64]
RANDOM = np.random.default_rng(5)


def logistic(rows: int, **more: Any) -> tuple[dict[str, Any], Array, Array, Array]:
    """Return a config, the inputs with a column of ones, the targets and the weights."""
    x, weight = RANDOM.normal(size=(rows, 2)), RANDOM.uniform(0.5, 2, rows)
    y = (x @ [1.0, -1.0] + RANDOM.logistic(size=rows) > 0).astype(float)
    table = {"u": column(x[:, 0]), "v": column(x[:, 1]), "y": column(y), "w": column(weight)}
    config = {
        "data": {"values": table, "weights": "w"},
        "model": {"kind": "linear", "inputs": ["u", "v"], "target": "y"},
        "loss": "binary_cross_entropy",
        "regularization": {"l2": 0.3},
        **more,
    }
    return config, np.column_stack([np.ones(rows), x]), y, weight


@pytest.mark.parametrize(("rows", "held"), [(64, {}), (71, {"v": {"start": 0.5, "fixed": True}})])
def test_rows_in_blocks_give_the_closed_form(monkeypatch: pytest.MonkeyPatch, rows: int, held: dict[str, Any]) -> None:
    """Against X'W(p - y) / n + l2 v and X'W p(1 - p) X / n + l2, where the last block is full or not."""
    config, x, y, weight = logistic(rows, parameters={"intercept": 0.1, "u": 0.2, **(held or {"v": 0.5})})
    monkeypatch.setattr(row_blocks, "LARGE", 0)
    monkeypatch.setattr(row_blocks, "OF_GRADIENTS", 32)
    monkeypatch.setattr(row_blocks, "OF_PRODUCTS", 32)
    problem = assembled(config).problem
    whole = np.array([0.1, 0.2, 0.5])
    free = [0, 1] if held else [0, 1, 2]
    theta, share, penalized = jnp.asarray(whole[free]), weight / weight.sum(), np.array([0.0, 0.3, 0.3])[free]
    p = 1 / (1 + np.exp(-x @ whole))
    value, gradient = slope_of.light(problem, theta)
    costs = -(y * np.log(p) + (1 - y) * np.log(1 - p))
    np.testing.assert_allclose(value, share @ costs + penalized @ whole[free] ** 2 / 2, rtol=1e-13)
    np.testing.assert_allclose(gradient, ((share * (p - y)) @ x)[free] + penalized * whole[free], rtol=1e-12)
    hessian = expand_smooth.light(problem, theta).hessian
    expected = ((x.T * (share * p * (1 - p))) @ x)[np.ix_(free, free)] + np.diag(penalized)
    np.testing.assert_allclose(np.asarray(hessian), expected, rtol=1e-12)


def recursion(pairs: list[tuple[Array, Array]], metric: Array, gradient: Array, movable: NDArray[np.bool_]) -> Array:
    """Return H g over the movable parameters by the two loops of Nocedal and Wright, algorithm 7.4."""
    pairs = [(s * movable, y * movable) for s, y in pairs]
    pairs = [(s, y) for s, y in pairs if s @ y > 0]
    q, alphas = gradient * movable, []
    for s, y in reversed(pairs):
        alphas.append(s @ q / (s @ y))
        q = q - alphas[-1] * y
    scale = 1.0
    if pairs:
        s, y = pairs[-1]
        scale = float(s @ y / (y @ (movable * (metric @ y))))
    r = scale * movable * (metric @ q)
    for (s, y), alpha in zip(pairs, reversed(alphas), strict=True):
        r = r + s * (alpha - y @ r / (s @ y))
    return r


@pytest.mark.parametrize("dense", [False, True])
def test_the_compact_form_is_the_recursion(dense: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Through a full ring, a parameter that stops to move and moves again, and a step that brings no pair."""
    size, memory = 7, 4
    root = RANDOM.normal(size=(size, size))
    metric = root @ root.T if dense else np.diag(RANDOM.uniform(0.5, 2, size))
    ours = jnp.asarray(metric if dense else np.diag(metric))
    curved = np.eye(size) + np.cov(RANDOM.normal(size=(size, 20)))
    known, pairs = without_pairs(memory, jnp.zeros(size)), []
    taught, product = jax.jit(with_pair), jax.jit(inverse_product)
    measured = jax.jit(measured_for)
    before = np.ones(size, bool)
    for number in range(9):
        step = RANDOM.normal(size=size)
        slope = curved @ step
        positive, movable = number != 6, np.arange(size) != (2 if number in (3, 4, 7) else -1)
        if positive:
            pairs.append((step, slope))
        learned = taught(
            known,
            jnp.asarray(step),
            jnp.asarray(slope),
            jnp.asarray(step @ slope),
            moved=jnp.asarray(True),  # noqa: FBT003 - a traced truth value
            positive=jnp.asarray(positive),
        )
        fresh = memory if (movable != before).any() else int(positive)
        known, before = measured(learned, ours, jnp.asarray(movable), jnp.asarray(fresh)), movable
        gradient = RANDOM.normal(size=size)
        expected = recursion(pairs[-memory:], metric, gradient, movable)
        np.testing.assert_allclose(product(known, ours, jnp.asarray(gradient)), expected, rtol=1e-9, atol=1e-11)
