"""What is computed in a faster form is the same: rows in blocks, and L-BFGS's curvature without its recursion."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from fitting import assembled, column
from numpy.typing import NDArray

from fitkit.backend import jax, jnp
from fitkit.evidence import assess, by_some_rows
from fitkit.optimizers import row_blocks
from fitkit.optimizers.compact_curvature import inverse_product, measured_for, with_pair, without_pairs
from fitkit.optimizers.smooth_kernels import expansion_at, slope_of

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
    bends, inside = share * p * (1 - p), np.ix_(free, free)
    # A block has 16 rows of two inputs; of two blocks the first is taken.
    for every, taken in ((1, np.ones(rows)), (2, np.arange(rows) // 16 % 2 == 0)):
        found = expansion_at(problem, np.asarray(theta), every)
        expected = ((x.T * (bends * taken)) @ x)[inside] + np.diag(penalized)
        np.testing.assert_allclose(np.asarray(found.hessian), expected, rtol=1e-12)
        assert bool(found.convex)


def test_some_rows_bound_the_newton_step_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against H^-1 g of all rows in closed form, near the minimum and farther away."""
    monkeypatch.setattr(row_blocks, "LARGE", 0)
    monkeypatch.setattr(row_blocks, "OF_PRODUCTS", 128)
    monkeypatch.setattr(by_some_rows, "OF_PRODUCTS", 128)
    config, x, y, weight = logistic(2000)
    problem, share, penalized = assembled(config).problem, weight / weight.sum(), np.array([0.0, 0.3, 0.3])

    def at(theta: Array) -> tuple[float, Array, Array]:
        z = x @ theta
        p = 1 / (1 + np.exp(-z))
        value = share @ (np.logaddexp(0, z) - y * z) + penalized @ theta**2 / 2
        bends = share * p * (1 - p)
        return value, (share * (p - y)) @ x + penalized * theta, (x.T * bends) @ x + np.diag(penalized)

    lowest = np.zeros(3)
    for _ in range(30):
        _, gradient, hessian = at(lowest)
        lowest = lowest - np.linalg.solve(hessian, gradient)
    for away, gtol in itertools.product((1e-1, 1e-3, 1e-4, 1e-5, 1e-6), 4 * (1e-8, 1e-6, 3e-6, 1e-5, 1e-4)):
        theta = lowest * (1 + away * RANDOM.normal(size=3))
        value, gradient, hessian = at(theta)
        step = -np.linalg.solve(hessian, gradient)
        found = by_some_rows.assess_by_some_rows(problem, theta, np.abs(theta), gtol)
        assert found is not None
        moves, share_left = np.max(np.abs(step / theta)), np.sqrt(-gradient @ step / 2 / value)
        close = 1 - 1e-15 / np.max(np.abs(gradient))  # which is as exact as its terms, of about one
        assert found.newton_step / moves >= close
        assert close <= found.remaining / share_left < 5  # the root of 8, more or less, and at most 1
        if found.newton_step > max(1e-6, 100 * gtol):  # three products with three parameters lead to the step itself
            assert found.newton_step / moves < 1 + 1e-3


@pytest.mark.parametrize("bad", ["a row bends downwards", "only some of the rows have an input", "it does not pay"])
def test_some_rows_do_not_bound_where_they_cannot(monkeypatch: pytest.MonkeyPatch, bad: str) -> None:
    monkeypatch.setattr(row_blocks, "LARGE", 0)
    for module in (row_blocks, by_some_rows):
        monkeypatch.setattr(module, "OF_PRODUCTS", 10**6 if bad == "it does not pay" else 128)
    config, x, _, _ = logistic(2000)
    config["regularization"] = {"l2": 0.0}
    theta = np.array([0.1, 0.9, -0.8])
    if bad == "a row bends downwards":  # the one in the second block, which is not taken
        config["loss"] = {"kind": "cauchy", "scale": 1.0}
        config["data"]["values"]["y"] = column(x @ theta + np.where(np.arange(2000) == 70, 5.0, 0.1))
    if bad == "only some of the rows have an input":  # those of that block
        sparse = np.where(np.arange(2000) // 64 == 1, x[:, 2], 0.0)
        config["data"]["values"]["v"] = column(sparse)
    assert by_some_rows.assess_by_some_rows(assembled(config).problem, theta, np.abs(theta), 1e-8) is None


def test_an_effect_that_was_lost_is_told_of_rows_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """An input that only rows of the second block have, all of one class, ends where their logistic is one, to rounding."""
    monkeypatch.setattr(row_blocks, "LARGE", 0)
    monkeypatch.setattr(row_blocks, "OF_PRODUCTS", 32)
    config, _, y, _ = logistic(64)
    second = np.arange(64) // 16 == 1
    config["data"]["values"] |= {"v": column(second.astype(float)), "y": column(np.where(second, 1.0, y))}
    config["regularization"] = {"l2": 0.0}
    start, end = np.array([0.1, 0.5, 0.0]), np.array([0.1, 0.5, 200.0])
    found = assess(assembled(config).problem, end, end, start)
    assert found.without_effect is not None
    assert found.without_effect.tolist() == [False, False, True]


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
