"""Random smooth functions, in number without end, with gradients by JAX and mutations of them: a law's material.

Nothing here was looked at while the check's tolerances were derived: they follow from the numbers of each line.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.random import Generator

from fitkit.backend import jax, jnp, lax

Function = Callable[[Any], Any]


def random_function(draws: Generator) -> tuple[Function, np.ndarray[Any, Any]]:
    """Return a function of 1 to 6 numbers, and a start."""
    family = FAMILIES[int(draws.integers(len(FAMILIES)))]
    free = int(draws.integers(1, 7))
    function = family(draws, free)
    scale = 10.0 ** draws.uniform(-3, 3) if draws.random() < 0.3 else 1.0
    offset = 10.0 ** draws.uniform(-2, 2) * draws.choice([-1, 1]) if draws.random() < 0.3 else 0.0
    units = 10.0 ** draws.uniform(-4, 4, free) if draws.random() < 0.3 else np.ones(free)
    start = draws.uniform(0.3, 1.5, free) * draws.choice([-1.0, 1.0], free)
    return (lambda x: scale * (function(x / units) + offset)), start * units


def waves(draws: Generator, free: int) -> Function:
    weights, phases = draws.normal(size=(5, free)), draws.uniform(0, 6, 5)
    return lambda x: jnp.sum(jnp.sin(weights @ x + phases) * jnp.arange(1.0, 6.0))


def network(draws: Generator, free: int) -> Function:
    first, second, last = draws.normal(size=(7, free)), draws.normal(size=(7, 7)), draws.normal(size=7)
    return lambda x: jnp.tanh(second @ jnp.tanh(first @ x) + 0.3) @ last


def polynomial(draws: Generator, free: int) -> Function:
    square, cube = draws.normal(size=(free, free)), draws.normal(size=free)
    return lambda x: x @ square @ x + jnp.sum(cube * x**3) - 2 * jnp.prod(1 + 0.2 * x)


def decay_fit(draws: Generator, free: int) -> Function:
    t, y = np.linspace(0.1, 3, 20), draws.normal(size=20)
    rates = draws.uniform(0.2, 1.5, free)
    return lambda x: jnp.mean((jnp.exp(-t[:, None] * rates) @ x + 0.1 * jnp.sin(t * x[0]) - y) ** 2)


def log_likelihood(draws: Generator, free: int) -> Function:
    rows, labels = draws.normal(size=(15, free)), draws.integers(0, 2, 15)
    return lambda x: jnp.mean(jnp.logaddexp(0.0, rows @ x) - labels * (rows @ x)) + 0.01 * (x @ x)


def mixture(draws: Generator, free: int) -> Function:
    centers = draws.normal(size=(4, free))
    return lambda x: -jax.scipy.special.logsumexp(-0.5 * jnp.sum((x - centers) ** 2, axis=1))


def determinant(draws: Generator, free: int) -> Function:
    fixed, shapes = draws.normal(size=(4, 4)), draws.normal(size=(free, 4, 4))
    return lambda x: jnp.linalg.slogdet(5 * jnp.eye(4) + fixed + jnp.tensordot(x, 0.2 * shapes, 1))[1]


def linear_system(draws: Generator, free: int) -> Function:
    fixed, right = draws.normal(size=(4, 4)), draws.normal(size=4)
    place = np.arange(free) % 4

    def function(x: Any) -> Any:
        matrix = 6 * jnp.eye(4) + fixed + jnp.zeros((4, 4)).at[place, (place + 1) % 4].add(x)
        return jnp.sum(jnp.linalg.solve(matrix, right) ** 2)

    return function


def recurrence(draws: Generator, free: int) -> Function:
    inputs, weights = draws.normal(size=12), draws.normal(size=free)

    def function(x: Any) -> Any:
        def step(state: Any, value: Any) -> Any:
            state = jnp.tanh(0.7 * state + value * jnp.sum(weights * x))
            return state, state**2

        return jnp.sum(lax.scan(step, jnp.asarray(0.1), inputs)[1])

    return function


def orbit(draws: Generator, free: int) -> Function:
    forces = draws.uniform(0.5, 2, free)

    def function(x: Any) -> Any:
        def step(_: Any, state: Any) -> Any:
            place, speed = state
            speed = speed - 0.05 * forces * jnp.sin(place)
            return place + 0.05 * speed, speed

        return jnp.sum(lax.fori_loop(0, 40, step, (x, jnp.zeros_like(x)))[0] ** 2)

    return function


def quotient(draws: Generator, free: int) -> Function:
    above, below = draws.normal(size=free), draws.uniform(0.5, 2, free)
    return lambda x: (1 + above @ x) / (1 + jnp.sum(below * x**2)) + jnp.sqrt(1 + x @ x)


def integral(draws: Generator, free: int) -> Function:
    places, powers = np.linspace(0, 1, 33), np.arange(free)
    weight = draws.uniform(0.5, 1.5, 33) / 33
    return lambda x: jnp.sum(weight * jnp.exp(-((places[:, None] ** powers) @ x)))


def interpolated(draws: Generator, free: int) -> Function:
    knots, heights = np.linspace(-40, 40, 400), draws.normal(size=400)
    mixing = draws.normal(size=free)
    return lambda x: jnp.interp(mixing @ x, knots, heights) + jnp.sum(jnp.arctan(x))


def special(draws: Generator, free: int) -> Function:
    shifts = draws.uniform(2, 4, free)
    return lambda x: jnp.sum(jax.lax.lgamma(shifts + x) * jax.scipy.special.erf(x)) + jnp.sum(jnp.arcsinh(x))


FAMILIES: tuple[Callable[[Generator, int], Function], ...] = (
    waves,
    network,
    polynomial,
    decay_fit,
    log_likelihood,
    mixture,
    determinant,
    linear_system,
    recurrence,
    orbit,
    quotient,
    integral,
    interpolated,
    special,
)


def random_mutation(draws: Generator, free: int) -> tuple[int, float]:
    """Return the entry of a gradient to spoil, and its relative error, 1e-6 to 1e-2."""
    return int(draws.integers(free)), float(10.0 ** draws.uniform(-6, -2) * draws.choice([-1, 1]))
