"""The functions in jax.numpy, with slopes that are finite at the edges of where a function is defined."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

from fitkit.backend import jax, jnp, lax
from fitkit.expressions.tree import Node, Number
from fitkit.expressions.voigt_profile import voigt
from fitkit.types import Array

_LARGEST_INTEGER_POWER: Final = 64
"""Up to here a whole power is multiplied out, in at most eleven products; beyond, the general power is as accurate."""


def _named(module: Any, name: str) -> Callable[..., Array]:
    """Return the module's function of that name, looked up when it is called, so that JAX is not imported before."""

    def function(*arguments: Array) -> Array:
        return getattr(module, name)(*arguments)  # type: ignore[no-any-return] # JAX's functions return arrays

    return function


def select(mask: Array, value: Array, otherwise: float) -> Array:
    """Return `value` in the rows of the mask and a constant of the same type in the others."""
    return jnp.where(mask, value, lax.full_like(value, otherwise))


def _flat_at_edge(name: str, edge: float, inside: float) -> Callable[[Array], Array]:
    """Return a function with slope 0 where |x| is `edge` and has no (finite) slope; `inside` is any other point."""

    def function(x: Array) -> Array:
        f = getattr(jnp, name)
        at_edge = jnp.abs(x) == edge if name != "arccosh" else x == edge
        return jnp.where(at_edge, f(lax.stop_gradient(x)), f(select(~at_edge, x, inside)))

    return function


def _atan2(y: Array, x: Array) -> Array:
    origin = (x == 0) & (y == 0)
    there = jnp.arctan2(lax.stop_gradient(y), lax.stop_gradient(x))
    return jnp.where(origin, there, jnp.arctan2(y, select(~origin, x, 1.0)))


def _hypot(x: Array, y: Array) -> Array:
    """Return sqrt(x² + y²): both are divided by the larger, as a constant, which changes no derivative."""
    larger = lax.stop_gradient(jnp.maximum(jnp.abs(x), jnp.abs(y)))
    infinite = jnp.isinf(x) | jnp.isinf(y)
    regular = (larger > 0) & ~infinite
    scale = select(regular, larger, 1.0)
    square = (select(regular, x, 1.0) / scale) ** 2 + (select(regular, y, 0.0) / scale) ** 2
    return jnp.where(regular, scale * jnp.sqrt(square), jnp.where(infinite, lax.full_like(larger, math.inf), larger))


def _gaussian(x: Array, center: Array, sigma: Array) -> Array:
    z = (x - center) / sigma
    return jnp.exp(-z * z / 2)


def _lorentzian(x: Array, center: Array, gamma: Array) -> Array:
    z = (x - center) / gamma
    return 1 / (1 + z * z)


def _pseudo_voigt(x: Array, center: Array, width: Array, fraction: Array) -> Array:
    gaussian = _gaussian(x, center, width / math.sqrt(8 * math.log(2)))
    return fraction * _lorentzian(x, center, width / 2) + (1 - fraction) * gaussian


_SAME: Final = ("exp", "expm1", "log", "log1p", "log2", "log10", "sign", "floor", "ceil")
_SAME_TRIGONOMETRIC: Final = ("sin", "cos", "tan", "sinh", "cosh", "tanh")
_RENAMED: Final = {"atan": "arctan", "asinh": "arcsinh", "atanh": "arctanh"}

FUNCTIONS: Final[Mapping[str, Callable[..., Array]]] = {
    **{name: _named(jnp, name) for name in (*_SAME, *_SAME_TRIGONOMETRIC)},
    **{name: _named(jnp, other) for name, other in _RENAMED.items()},
    "abs": _flat_at_edge("abs", 0.0, 1.0),
    "sqrt": _flat_at_edge("sqrt", 0.0, 1.0),
    "cbrt": _flat_at_edge("cbrt", 0.0, 1.0),
    "asin": _flat_at_edge("arcsin", 1.0, 0.0),
    "acos": _flat_at_edge("arccos", 1.0, 0.0),
    "acosh": _flat_at_edge("arccosh", 1.0, 2.0),
    "atan2": _atan2,
    "hypot": _hypot,
    **{name: _named(lax, name) for name in ("erf", "erfc", "lgamma", "digamma")},
    "sigmoid": _named(lax, "logistic"),
    "softplus": lambda x: jnp.logaddexp(x, 0.0),
    "gaussian": _gaussian,
    "lorentzian": _lorentzian,
    "voigt": voigt,
    "pseudo_voigt": _pseudo_voigt,
}


def power(base: Array, exponent: Any, base_node: Node, exponent_node: Node) -> Array:
    """Return base to the exponent, by the rule that suits what is constant.

    A whole constant exponent is multiplied out: right for negative bases and at 0, in every derivative. Otherwise the
    slope by the base is p x^(p-1) where that is finite and 0 at x = 0 where it is not; the slope by the exponent is
    x^p log(x) for positive x, and 0 elsewhere: at 0 that is its limit for p > 0, and for negative x the logarithm has
    no real value, nor has the power for any exponent nearby. A negative base with an exponent that is not whole is NaN.
    """
    if isinstance(exponent_node, Number):
        p = exponent_node.value
        if p.is_integer() and abs(p) <= _LARGEST_INTEGER_POWER:
            return lax.integer_pow(base, int(p))
        return _constant_power(p)(base)
    exponents = jnp.asarray(exponent, base.dtype)
    if isinstance(base_node, Number) and base_node.value > 0:
        return jnp.power(base, exponents)  # the logarithm of a positive constant needs no guard
    return _general_power()(base, exponents)


@lru_cache(maxsize=256)
def _constant_power(p: float) -> Callable[[Array], Array]:
    """Return x -> x**p."""

    @jax.custom_jvp
    def function(x: Array) -> Array:
        return jnp.power(x, p)

    @function.defjvp
    def _(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
        (x,), (dx,) = primals, tangents
        finite = (x != 0) | (p >= 1)
        slope = p * _constant_power(p - 1)(select(finite, x, 1.0))
        return function(x), select(finite, slope, 0.0) * dx

    return function


@lru_cache(maxsize=1)
def _general_power() -> Callable[[Array, Array], Array]:
    """Return (x, p) -> x**p."""

    @jax.custom_jvp
    def function(x: Array, p: Array) -> Array:
        return jnp.power(x, p)

    @function.defjvp
    def _(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
        (x, p), (dx, dp) = primals, tangents
        value = function(x, p)
        finite = (x != 0) | (p >= 1)
        by_base = select(finite, p * function(select(finite, x, 1.0), p - 1), 0.0)
        positive = x > 0
        by_exponent = select(positive, value * jnp.log(select(positive, x, 1.0)), 0.0)
        return value, by_base * dx + by_exponent * dp

    return function
