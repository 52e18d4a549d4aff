"""The models whose gradients are timed: of ADBench's kind, as a user's config names them."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

DIMENSIONS, COMPONENTS = 10, 25
BELOW = np.tril_indices(DIMENSIONS, -1)
PAIRS = np.triu_indices(DIMENSIONS)
TWICE = np.where(PAIRS[0] == PAIRS[1], 1.0, 2.0)

Arrays = dict[str, Any]


def table(inputs: Arrays) -> Any:
    """Return the inputs side by side, of shape (rows, inputs)."""
    return jnp.stack([inputs[f"x{i}"] for i in range(len(inputs))], axis=1)


def gaussian_mixture(parameters: Arrays, inputs: Arrays) -> Any:
    """Return the log density of a Gaussian mixture at each row, but for constants.

    The inverse square roots of the covariances are lower triangular, with exp(`logs`) on the diagonal and `low` below.
    """
    x = table(inputs)
    alpha, mean, logs, low = (parameters[name] for name in ("alpha", "mean", "logs", "low"))
    roots = jnp.zeros((COMPONENTS, DIMENSIONS, DIMENSIONS)).at[:, BELOW[0], BELOW[1]].set(low)
    roots = roots + jax.vmap(jnp.diag)(jnp.exp(logs))
    shift = jnp.einsum("kij,kj->ki", roots, mean).reshape(-1)
    z = (x @ roots.reshape(-1, DIMENSIONS).T - shift).reshape(-1, COMPONENTS, DIMENSIONS)
    inner = alpha + logs.sum(axis=1) - 0.5 * jnp.sum(z * z, axis=2)
    return jax.scipy.special.logsumexp(inner, axis=1) - jax.scipy.special.logsumexp(alpha)


def gaussian_mixture_expanded(parameters: Arrays, inputs: Arrays) -> Any:
    """Return the same with the squares multiplied out: one product of the precisions with x_i x_j, x_i and 1.

    It is several times as fast, and loses digits where the data lie far from zero beside their spread.
    """
    x = table(inputs)
    alpha, mean, logs, low = (parameters[name] for name in ("alpha", "mean", "logs", "low"))
    roots = jnp.zeros((COMPONENTS, DIMENSIONS, DIMENSIONS)).at[:, BELOW[0], BELOW[1]].set(low)
    roots = roots + jax.vmap(jnp.diag)(jnp.exp(logs))
    precision = jnp.einsum("kij,kil->kjl", roots, roots)
    linear = jnp.einsum("kij,kj->ki", precision, mean)
    constant = alpha + logs.sum(axis=1) - 0.5 * jnp.sum(linear * mean, axis=1)
    weights = jnp.concatenate([-0.5 * TWICE * precision[:, PAIRS[0], PAIRS[1]], linear, constant[:, None]], axis=1)
    features = jnp.concatenate([x[:, PAIRS[0]] * x[:, PAIRS[1]], x, jnp.ones((len(x), 1))], axis=1)
    return jax.scipy.special.logsumexp(features @ weights.T, axis=1) - jax.scipy.special.logsumexp(alpha)


def least_squares(parameters: Arrays, inputs: Arrays) -> Any:
    """Return a linear model's predictions."""
    return table(inputs) @ parameters["w"]


def log_sum_exp(parameters: Arrays, inputs: Arrays) -> Any:
    """Return log(sum_k exp(x . w_k)) of each row."""
    return jax.scipy.special.logsumexp(table(inputs) @ parameters["w"], axis=1)


def network(parameters: Arrays, inputs: Arrays) -> Any:
    """Return the one output of a network of three layers."""
    hidden = jnp.tanh(table(inputs) @ parameters["w1"] + parameters["b1"])
    hidden = jnp.tanh(hidden @ parameters["w2"] + parameters["b2"])
    return hidden @ parameters["w3"]
