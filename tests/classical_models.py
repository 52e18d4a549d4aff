"""Residuals of classical problems in jax.numpy, one function each: parameters x1, x2, ... and the number i of the row."""

from __future__ import annotations

import jax
import jax.numpy as jnp

Dictionary = dict[str, jax.Array]


def point(parameters: Dictionary) -> jax.Array:
    return jnp.stack([parameters[f"x{j + 1}"] for j in range(len(parameters))])


def helical_valley(parameters: Dictionary, _: Dictionary) -> jax.Array:
    x = point(parameters)
    turns = jnp.arctan2(x[1], x[0]) / (2 * jnp.pi)
    turns = jnp.where(
        turns < -0.25, turns + 1, turns
    )  # the paper's branch: arctan(x2 / x1), and half a turn where x1 < 0
    return jnp.stack([10 * (x[2] - 10 * turns), 10 * (jnp.hypot(x[0], x[1]) - 1), x[2]])


def powell_singular(parameters: Dictionary, _: Dictionary) -> jax.Array:
    x = point(parameters)
    return jnp.stack(
        [
            x[0] + 10 * x[1],
            jnp.sqrt(5.0) * (x[2] - x[3]),
            (x[1] - 2 * x[2]) ** 2,
            jnp.sqrt(10.0) * (x[0] - x[3]) ** 2,
        ]
    )


def wood(parameters: Dictionary, _: Dictionary) -> jax.Array:
    x = point(parameters)
    ten, ninety = jnp.sqrt(10.0), jnp.sqrt(90.0)
    return jnp.stack(
        [
            10 * (x[1] - x[0] ** 2),
            1 - x[0],
            ninety * (x[3] - x[2] ** 2),
            1 - x[2],
            ten * (x[1] + x[3] - 2),
            (x[1] - x[3]) / ten,
        ]
    )


def watson(parameters: Dictionary, inputs: Dictionary) -> jax.Array:
    x, t = point(parameters), inputs["i"][:29] / 29
    powers = jnp.arange(len(x))
    slope = (powers[1:] * x[1:] * t[:, None] ** (powers[1:] - 1)).sum(1)
    value = (x * t[:, None] ** powers).sum(1)
    return jnp.concatenate([slope - value**2 - 1, jnp.stack([x[0], x[1] - x[0] ** 2 - 1])])


def trigonometric(parameters: Dictionary, inputs: Dictionary) -> jax.Array:
    x, i = point(parameters), inputs["i"]
    return len(x) - jnp.cos(x).sum() + i * (1 - jnp.cos(x)) - jnp.sin(x)


def brown_almost_linear(parameters: Dictionary, _: Dictionary) -> jax.Array:
    x = point(parameters)
    return jnp.append(x[:-1] + x.sum() - (len(x) + 1), jnp.prod(x) - 1)


def chebyquad(parameters: Dictionary, inputs: Dictionary) -> jax.Array:
    u = 2 * point(parameters) - 1
    found, before, last = [], jnp.ones_like(u), u
    for i in range(1, len(inputs["i"]) + 1):
        found.append(last.mean() + (1 / (i * i - 1) if i % 2 == 0 else 0))
        before, last = last, 2 * u * last - before
    return jnp.stack(found)


def variably_dimensioned(parameters: Dictionary, _: Dictionary) -> jax.Array:
    x = point(parameters)
    linear = (jnp.arange(1, len(x) + 1) * (x - 1)).sum()
    return jnp.concatenate([x - 1, linear[None], linear[None] ** 2])
