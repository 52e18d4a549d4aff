"""What a gradient costs beside its value."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from fitkit.backend import jnp
from fitkit.gradient_check.result import Cost
from fitkit.gradient_check.session import Session

CALLS = 5


def measure(session: Session) -> Cost:
    """Return the seconds of a value, and of a gradient (which makes the value too), the best of a few calls each."""
    theta = jnp.asarray(session.subject.theta)
    return Cost(value=seconds(session.values, theta), gradient=seconds(session.gradients, theta))


def seconds(program: Callable[[Any], Any], theta: Any) -> float:
    """Return the seconds of one call, after the one that compiles."""
    program(theta).block_until_ready()
    best = float("inf")
    for _ in range(CALLS):
        start = time.perf_counter()
        program(theta).block_until_ready()
        best = min(best, time.perf_counter() - start)
    return best
