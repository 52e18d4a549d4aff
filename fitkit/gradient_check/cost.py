"""What a gradient costs beside its value."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from fitkit.backend import Kernel, jax, jnp
from fitkit.gradient_check.result import Cost
from fitkit.gradient_check.session import Session

CALLS, LONGEST = 20, 0.5
"""Calls that are timed, and the seconds after which no more are."""


def measure(session: Session) -> Cost:
    """Return the seconds of a value, and of a value with its gradient, the best of a few calls each."""
    theta, heavy = jnp.asarray(session.subject.theta), session.structure.heavy
    both = Kernel(lambda point: (session.function(point), session.gradient(point))).for_work(4 * heavy)
    return Cost(value=seconds(session.values, theta), gradient=seconds(both, theta))


def seconds(program: Callable[[Any], Any], theta: Any) -> float:
    """Return the seconds of one call, after the one that compiles."""
    _wait(program(theta))
    best = float("inf")
    began = time.perf_counter()
    for _ in range(CALLS):
        start = time.perf_counter()
        _wait(program(theta))
        best = min(best, time.perf_counter() - start)
        if time.perf_counter() - began > LONGEST:
            break
    return best


def _wait(made: Any) -> None:
    for array in jax.tree.leaves(made):
        array.block_until_ready()
