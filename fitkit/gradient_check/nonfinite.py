"""Where a gradient that is not finite comes from: the first operation that made infinity or NaN out of finite numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from fitkit.backend import jnp
from fitkit.gradient_check.strip import CUSTOM
from fitkit.gradient_check.structure import operations, source, sub_programs, trace

_OPENED = frozenset({"pjit", "jit", "closed_call", "core_call", "remat", "checkpoint", *CUSTOM})


@final
@dataclass(frozen=True, kw_only=True)
class Culprit:
    """The operation that made the first number that is not finite."""

    operation: str
    place: str
    """`file:line`, or the formula."""
    selects: bool
    """Whether the program chooses between branches: the operation may stand in the branch that was not taken."""

    def sentence(self) -> str:
        """Return the sentence that names it and the way out."""
        advice = (
            "a branch that is not taken still spoils the gradient: give `where` a safe argument inside as well as outside"
            if self.selects
            else "the derivative is infinite or undefined here: guard the argument, with a `where` inside and outside"
        )
        return f"`{self.operation}` at {self.place} is where it stops being finite; {advice}"


def culprit(function: Callable[[Any], Any], derivative: Callable[[Any], Any], theta: Any) -> Culprit | None:
    """Return what spoils `derivative` of `function` at theta; None where every operation is finite."""
    program = trace(derivative, theta)
    spoiled = _first(program.jaxpr, program.consts, [jnp.asarray(theta)])
    if spoiled is None:
        return None
    forward = list(operations(trace(function, theta).jaxpr))
    place = source(spoiled)
    summary = _summary(spoiled)
    same = [e.primitive.name for e in forward if _summary(e) == summary and e.primitive.name not in _PLUMBING]
    name = spoiled.primitive.name
    where = "an operation of the formula" if place is None or place.within_fitkit else str(place)
    return Culprit(
        operation=name if name in same or not same else same[0],
        place=where,
        selects=any(e.primitive.name == "select_n" for e in forward),
    )


_PLUMBING = frozenset({"broadcast_in_dim", "convert_element_type", "squeeze", "slice", "reshape", "jit", "pjit", "mul"})


def _summary(equation: Any) -> str:
    from jax.extend import source_info_util

    return str(source_info_util.summarize(equation.source_info, num_frames=1))


def _first(program: Any, constants: Any, arguments: list[Any]) -> Any:
    """Return the first equation whose inputs are finite and whose outputs are not, or None."""
    spoiled, _ = _walk(program, constants, arguments)
    return spoiled


def _walk(program: Any, constants: Any, arguments: list[Any]) -> tuple[Any, list[Any]]:
    from jax.extend.core import Literal

    values: dict[Any, Any] = dict(zip(program.constvars, constants, strict=True))
    values.update(zip(program.invars, arguments, strict=True))
    for equation in program.eqns:
        inputs = [item.val if isinstance(item, Literal) else values[item] for item in equation.invars]
        inner = sub_programs(equation)
        if equation.primitive.name in _OPENED and len(inner) == 1:
            closed = next((v for v in equation.params.values() if hasattr(v, "consts")), None)
            spoiled, outputs = _walk(inner[0], [] if closed is None else closed.consts, inputs)
            if spoiled is not None:
                return spoiled, outputs
        else:
            found = equation.primitive.bind(*inputs, **equation.primitive.get_bind_params(equation.params))
            outputs = list(found) if equation.primitive.multiple_results else [found]
            if all(map(_finite, inputs)) and not all(map(_finite, outputs)):
                return equation, outputs
        values.update(zip(equation.outvars, outputs, strict=True))
    return None, [item.val if isinstance(item, Literal) else values[item] for item in program.outvars]


def _finite(value: Any) -> bool:
    numbers = np.asarray(value) if hasattr(value, "dtype") or isinstance(value, float | int) else np.zeros(1)
    return bool(np.all(np.isfinite(numbers))) if numbers.dtype.kind == "f" else True
