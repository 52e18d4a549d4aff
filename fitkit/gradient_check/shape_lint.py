"""Shapes that are not what they look like: broadcasts in the function, integers on the way of a gradient."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

from fitkit.backend import jax, jnp
from fitkit.gradient_check.program import first_line
from fitkit.gradient_check.result import Finding, Verdict
from fitkit.gradient_check.structure import operations, source, trace

_PROMOTED = re.compile(r"for (?P<operation>\w+) on shapes (?P<shapes>.*?)\. Set the")
_SHAPE = re.compile(r"\(([\d, ]*)\)")


@final
@dataclass(frozen=True, kw_only=True)
class Watched:
    """A function traced once more, and what was seen while it was."""

    program: Any
    """A closed jaxpr; None where the function could not be traced again."""
    findings: tuple[Finding, ...]


def watched_trace(function: Callable[[Any], Any], theta: Any) -> Watched:
    """Trace `function`, and warn of each operation whose result is larger than either operand for an added dimension.

    (3,) - (3, 1) is a (3, 3) array, and its mean a loss of nine differences that nobody meant. JAX tells of each such
    promotion when asked to; one whose result has the shape of one operand (a bias added to rows) is what it looks like.
    """
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            with jax.numpy_rank_promotion("warn"):
                program = trace(function, theta)
    except Exception as error:  # the function ran before: what fails here is the lint, and is told
        message = f"shapes were not looked at: {first_line(error)}"
        return Watched(program=None, findings=(Finding(verdict=Verdict.SHAPE_LINT, parameter=None, message=message),))
    return Watched(program=program, findings=_broadcasts(told))


def _broadcasts(told: list[warnings.WarningMessage]) -> tuple[Finding, ...]:
    found: dict[str, Finding] = {}
    for warning in told:
        match = _PROMOTED.search(str(warning.message))
        shapes = [_numbers(text) for text in _SHAPE.findall(match["shapes"])] if match else []
        if match and len(shapes) == 2 and _outer(*shapes):
            message = (
                f"`{match['operation']}` broadcasts shapes {shapes[0]} and {shapes[1]} to "
                f"{_result(*shapes)}: every entry with every other; was one entry per row meant?"
            )
            found[message] = Finding(verdict=Verdict.SHAPE_LINT, parameter=None, message=message)
    return tuple(found.values())


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(",") if part.strip())


def _result(first: tuple[int, ...], second: tuple[int, ...]) -> tuple[int, ...]:
    rank = max(len(first), len(second))
    pairs = zip((1,) * (rank - len(first)) + first, (1,) * (rank - len(second)) + second, strict=True)
    return tuple(max(pair) for pair in pairs)


def _outer(first: tuple[int, ...], second: tuple[int, ...]) -> bool:
    return _result(first, second) not in {first, second}


def integer_casts(program: Any) -> tuple[str, ...]:
    """Return where real numbers are turned into whole ones or rounded: no gradient comes through."""
    found = []
    for equation in operations(program):
        name = equation.primitive.name
        casts = name == "convert_element_type" and _real(equation.invars[0]) and _whole(equation.outvars[0])
        if casts or name in {"round", "floor", "ceil", "sign"}:
            place = source(equation)
            where = "" if place is None or place.within_fitkit else f" at {place}"
            found.append(f"{'a cast to integers' if casts else f'`{name}`'}{where}")
    return tuple(dict.fromkeys(found))


def _real(variable: Any) -> bool:
    dtype = getattr(getattr(variable, "aval", None), "dtype", None)
    return dtype is not None and bool(jnp.issubdtype(dtype, jnp.floating))


def _whole(variable: Any) -> bool:
    dtype = getattr(getattr(variable, "aval", None), "dtype", None)
    return dtype is not None and bool(jnp.issubdtype(dtype, jnp.integer))
