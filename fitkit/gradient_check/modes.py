"""Which way a function can be differentiated, and whether the ways agree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

from fitkit.backend import jax, jnp
from fitkit.gradient_check.program import first_line
from fitkit.gradient_check.structure import called, operations


@final
@dataclass(frozen=True, kw_only=True)
class Gradient:
    """The gradient of a function, the way it is found, and why not the other way."""

    function: Callable[[Any], Any] | None
    """theta -> (free,); None where there is no way."""
    mode: str
    """reverse, forward, or none."""
    reason: str = ""
    """Why reverse mode, or any mode, is not to be had."""


def differentiate(function: Callable[[Any], Any], theta: Any) -> Gradient:
    """Return the gradient of `function`, in reverse mode or, where it has none (`while_loop`), in forward mode."""
    reverse = traced(jax.grad(function), theta)
    if not isinstance(reverse, str):
        return Gradient(function=reverse, mode="reverse")
    forward = traced(jax.jacfwd(function), theta)
    if not isinstance(forward, str):
        return Gradient(function=forward, mode="forward", reason=reverse)
    return Gradient(function=None, mode="none", reason=reverse)


def refusal(function: Callable[..., Any], *arguments: Any) -> str | None:
    """Return why JAX cannot trace `function`, or None if it can."""
    found = traced(function, *arguments)
    return found if isinstance(found, str) else None


def traced(function: Callable[..., Any], *arguments: Any) -> Callable[..., Any] | str:
    """Return `function`, of one array, as the program that JAX makes of it, or why JAX cannot trace it."""
    try:
        program = jax.make_jaxpr(function)(*(jnp.asarray(argument) for argument in arguments))
    except Exception as error:  # JAX refuses with TypeError, ValueError, NotImplementedError and its own
        return first_line(error)
    if any(equation.primitive.name == "custom_lin" for equation in operations(program.jaxpr)):
        return "a custom_vjp function has no forward mode"  # JAX says so only when the program is compiled
    return called(program)


def directional(function: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    """Return (theta, direction) -> the derivative along the direction, in forward mode."""

    def along(theta: Any, direction: Any) -> Any:
        return jax.jvp(function, (theta,), (direction,))[1]

    return along


def curvature(gradient: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    """Return (theta, direction) -> the Hessian times the direction: the forward derivative of the gradient."""

    def product(theta: Any, direction: Any) -> Any:
        return jax.jvp(gradient, (theta,), (direction,))[1]

    return product
