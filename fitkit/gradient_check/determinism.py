"""Does the function return the same number twice?"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from fitkit.backend import jnp
from fitkit.gradient_check.result import Finding, Verdict
from fitkit.gradient_check.session import Session, scalar
from fitkit.gradient_check.structure import trace

REPEATS = 3


def determinism(session: Session, again: Any) -> tuple[tuple[Finding, ...], float]:
    """Return what differs between evaluations at the start, and how far values differ.

    Value and gradient are taken three times from one compiled program; `again` is the program of the function traced anew,
    since Python may have drawn a number, or counted its calls, while it was traced.
    """
    theta = np.asarray(session.subject.theta, float)
    found = [session.measured(theta[None], theta) for _ in range(REPEATS)]
    values = [float(each.values[0]) for each in found]
    finite = [value for value in values if np.isfinite(value)]
    spread = max(finite, default=0.0) - min(finite, default=0.0)
    messages = []
    if len({repr(value) for value in values}) > 1:
        messages.append(f"{REPEATS} values at the start differ by up to {spread:.3g}")
    elif any(not np.array_equal(each.gradients, found[0].gradients, equal_nan=True) for each in found):
        messages.append("two gradients at the start differ")
    elif (apart := _traced_apart(session, again, theta)) is not None:
        messages.append(f"traced twice, the function differs by {apart:.3g}: Python draws or counts while it is traced")
        spread = max(spread, apart)
    told = tuple(Finding(verdict=Verdict.NONDET, parameter=None, message=message) for message in messages)
    return told, spread


def _traced_apart(session: Session, again: Any, theta: Any) -> float | None:
    """Return by how much two programs of the function differ in value; None where they are the same."""
    from jax.extend.core import jaxpr_as_fun

    again = trace(scalar(session.subject.function), theta) if again is None else again
    if _text(again) == _text(session.closed) and _same(again.consts, session.closed.consts):
        return None
    first, second = (float(jaxpr_as_fun(program)(jnp.asarray(theta))[0]) for program in (again, session.closed))
    return None if first == second or not np.isfinite(first - second) else abs(first - second)


def _text(program: Any) -> str:
    """Return a program as text, without the addresses of Python's objects."""
    return re.sub(r"0x[0-9a-f]+", "", str(program.jaxpr))


def _same(first: Any, second: Any) -> bool:
    if len(first) != len(second):
        return False
    return all(a is b or np.array_equal(np.asarray(a), np.asarray(b)) for a, b in zip(first, second, strict=True))
