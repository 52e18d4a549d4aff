"""Python models whose derivative rules are wrong, or right but unusual, as the text of a file beside a config."""

from __future__ import annotations

MODELS = """\
import itertools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


@jax.custom_jvp
def softplus(x):
    return jnp.logaddexp(x, 0.0)


@softplus.defjvp
def softplus_rule(primals, tangents):
    (x,), (t,) = primals, tangents
    return softplus(x), t * jax.nn.sigmoid(-x)


@jax.custom_vjp
def deaf_sine(x):
    return jnp.sin(x)


deaf_sine.defvjp(lambda x: (jnp.sin(x), x), lambda x, g: (jnp.cos(x),))


@jax.custom_vjp
def spread_out(b, x):
    return jnp.broadcast_to(b, x.shape)


spread_out.defvjp(lambda b, x: (jnp.broadcast_to(b, x.shape), x), lambda x, g: (jnp.mean(g), jnp.zeros_like(x)))


@jax.custom_vjp
def clipped(x):
    return x * 1.0


clipped.defvjp(lambda x: (x * 1.0, None), lambda _, g: (jnp.clip(g, -1, 1),))


@jax.custom_jvp
def steep(x):
    return jnp.abs(x)


@steep.defjvp
def steep_rule(primals, tangents):
    (x,), (t,) = primals, tangents
    return steep(x), jnp.where(x == 0, 2.0, jnp.sign(x)) * t


@jax.custom_jvp
def good(x):
    return x * jnp.exp(-x)


@good.defjvp
def good_rule(primals, tangents):
    (x,), (t,) = primals, tangents
    return good(x), (1 - x) * jnp.exp(-x) * t


@jax.custom_vjp
def fixed_point(p):
    z = jnp.full_like(p, 0.5)
    for _ in range(5):
        z = jnp.cos(p * z)
    return z


def fixed_point_back(saved, g):
    p, z = saved
    s = jnp.sin(p * z)
    return (-g * z * s / (1 + p * s),)


fixed_point.defvjp(lambda p: (fixed_point(p), (p, fixed_point(p))), fixed_point_back)

CALLS = itertools.count()


def outside(function, x):
    return jax.pure_callback(function, jax.ShapeDtypeStruct(x.shape, x.dtype), x, vmap_method="sequential")


@jax.custom_jvp
def called(x):
    return outside(lambda v: np.sin(v), x)


@called.defjvp
def called_rule(primals, tangents):
    (x,), (t,) = primals, tangents
    return called(x), jnp.cos(x) * t


def only(value):
    return lambda parameters, inputs: value(parameters["x"]) + 0 * inputs["t"]


right_rule = only(good)
wrong_jvp = only(softplus)
wrong_jvp_at_its_own_zero = wrong_jvp
wrong_vjp = only(lambda x: 3 * deaf_sine(x))
mean_vjp = lambda p, i: jnp.sum((jnp.array([1.0, 2.0, 3.0, 4.0]) + spread_out(p["x"], jnp.ones(4))) ** 2) + 0 * i["t"]
clip_vjp = only(lambda x: 10 * clipped(x) ** 2)
kink_rule = only(steep)
implicit = only(fixed_point)
stopped = only(lambda x: x * lax.stop_gradient(x))
straight_through = only(lambda x: (x + lax.stop_gradient(jnp.round(x) - x)) ** 2)
staircase = only(lambda x: (jnp.round(10 * x) / 10) ** 2)
integers = only(lambda x: 0.01 * (100 * x).astype(int))
jump = only(lambda x: jnp.where(x >= 1, 1.0, 0.0))
identity_by_kinks = only(lambda x: jax.nn.relu(x) - jax.nn.relu(-x))
sinc = only(lambda x: jnp.where(jnp.abs(x) < 1e-6, 1 - x**2 / 6, jnp.sin(x) / x))
norm = only(lambda x: jnp.sqrt(x**2))
power_zero = only(lambda x: x**jnp.zeros(()))
random = only(lambda x: x**2 + outside(lambda v: v * 0 + 1e-4 * np.random.standard_normal(), lax.stop_gradient(x)))
counting = only(lambda x: x**2 + outside(lambda v: v * 0 + 1e-3 * next(CALLS), lax.stop_gradient(x)))
callback_rule = only(called)
callback_bare = only(lambda x: outside(lambda v: np.sin(v), x))
scanned = only(lambda x: lax.scan(lambda z, _: (jnp.cos(x * z), None), jnp.array(0.5), None, length=5)[0])
looped = only(lambda x: lax.while_loop(lambda z: jnp.abs(z * z - x) > 1e-3, lambda z: (z + x / z) / 2, x))
relu_kink = only(lambda x: jax.nn.relu(x) + x**2)
logsumexp = only(lambda x: jax.nn.logsumexp(jnp.array([1000.0, 1000.5, 999.0]) + x * jnp.array([1.0, 2.0, 0.5])))
remainder = only(lambda x: jax.jit(jnp.sin)(x) + jax.checkpoint(jnp.cos)(x))
"""

STARTS: dict[str, float] = {
    "right_rule": 0.7,
    "wrong_jvp": 2,
    "wrong_jvp_at_its_own_zero": 0,
    "wrong_vjp": 1,
    "mean_vjp": 0.5,
    "clip_vjp": 1,
    "kink_rule": 0,
    "implicit": 0.8,
    "stopped": 3,
    "straight_through": 1.3,
    "staircase": 0.337,
    "integers": 2.713,
    "jump": 1,
    "identity_by_kinks": 0,
    "sinc": 0,
    "norm": 0,
    "power_zero": 0,
    "random": 1,
    "counting": 1,
    "callback_rule": 0.7,
    "callback_bare": 0.7,
    "scanned": 0.8,
    "looped": 2,
    "relu_kink": 0,
    "logsumexp": 0.5,
    "remainder": 0.5,
}
"""Where each is checked."""
