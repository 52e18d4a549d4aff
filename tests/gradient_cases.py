"""Functions with right and wrong gradients, and the verdicts that a gradient check owes them.

`mutations` are wrong gradients or traps, `tricky` are right ones that fixed steps and tolerances call wrong. Derivatives
that are written down are the textbook's; those of functions in JAX's operations alone are JAX's.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fitkit.backend import jax, jnp, lax
from fitkit.gradient_check import Block, Settings, Subject

NUMBER: Any = jax.ShapeDtypeStruct


@dataclass(frozen=True, kw_only=True)
class Case:
    """One function at one point."""

    id: str
    function: Callable[[Any], Any]
    theta: list[float] | np.ndarray[Any, Any]
    gradient: Callable[[Any], Any] | None = None
    expected: frozenset[str]
    """Verdicts of which at least one must stand in the report."""
    more: dict[str, Any]
    settings: Settings

    def subject(self) -> Subject:
        """Return what is checked."""
        theta = np.asarray(self.theta, float)
        blocks = (Block(name="x", shape=(len(theta),)),) if len(theta) != 1 else (Block(name="x"),)
        return Subject(
            **{"function": self.function, "theta": theta, "blocks": blocks, "gradient": self.gradient, **self.more}
        )


def case(
    id: str,  # noqa: A002 - the case's
    function: Callable[[Any], Any],
    theta: Any,
    gradient: Callable[[Any], Any] | None = None,
    *,
    expected: str,
    settings: Settings | None = None,
    **more: Any,
) -> Case:
    """Return one case; `expected` are verdicts separated by blanks."""
    return Case(
        id=id,
        function=function,
        theta=theta,
        gradient=gradient,
        expected=frozenset(expected.split()),
        more=more,
        settings=settings or Settings(),
    )


def vector(*entries: Any) -> Any:
    """Return entries as one array."""
    return jnp.stack([jnp.asarray(entry, float) for entry in entries])


def rosenbrock(x: Any) -> Any:
    return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2


def times(factor: float, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: factor * jax.grad(function)(x)


ROWS_X, ROWS_Y = (1.0, 2.0, 3.0), (0.0, 1.0, 2.0)
ELLIPSE = ((0.1, 0.2), (0.05, 0.3))
SKEW = ((2.0, 1.0), (0.0, 3.0))


def line_loss(w: Any) -> Any:
    return jnp.mean((jnp.asarray(ROWS_X) * w[0] - jnp.asarray(ROWS_Y)) ** 2)


def broadcast_loss(w: Any) -> Any:
    return jnp.mean((jnp.asarray(ROWS_X) * w[0] - jnp.asarray(ROWS_Y)[:, None]) ** 2)


def squares_of_length(x: Any) -> Any:
    return (x @ x) ** 2


def bell(x: Any) -> Any:
    return jnp.exp(x @ jnp.asarray(ELLIPSE) @ x)


def log_length(x: Any) -> Any:
    return jnp.log(x @ x)


def skewed(x: Any) -> Any:
    return x @ jnp.asarray(SKEW) @ x + 5


def weighted_softplus(x: Any) -> Any:
    return jnp.sum(jnp.linspace(0.5, 1.5, x.shape[0]) * jnp.logaddexp(x, 0.0))


def normal_equations(x: Any) -> Any:
    return 0.5 * (x[0] + 2 * x[1] - 3) ** 2 + 0.5 * (3 * x[0] - x[1] - 1) ** 2 + 5e-4 * (x @ x)


def rippled(x: Any) -> Any:
    return jnp.sin(3 * x[0]) + 1e-9 * jnp.sin(7.13e9 * x[0] + jnp.sin(1e7 * x[0]))


def single_softplus(x: Any) -> Any:
    return jnp.sum(jnp.log(1 + jnp.exp(-1.3 * x.astype(jnp.float32))))


def single_softplus_gradient(x: Any) -> Any:
    return (-1.3 * jax.nn.sigmoid(-1.3 * x.astype(jnp.float32))).astype(jnp.float64)


def cosine_quotient(x: Any) -> Any:
    return (1 - jnp.cos(x[0])) / x[0] ** 2


def product_residuals(x: Any) -> Any:
    return x[0] * x[1] * jnp.arange(1.0, 6.0) - jnp.arange(1.0, 6.0)


def softplus_with_a_wrong_rule() -> Callable[[Any], Any]:
    @jax.custom_jvp
    def softplus(x: Any) -> Any:
        return jnp.log1p(jnp.exp(x))

    @softplus.defjvp
    def _rule(primals: Any, tangents: Any) -> Any:
        return softplus(primals[0]), tangents[0] * jax.nn.sigmoid(-primals[0])

    return lambda x: softplus(x[0])


def with_backward(forward: Callable[[Any], Any], backward: Callable[[Any, Any], Any]) -> Callable[[Any], Any]:
    """Return `forward` with `backward(x, cotangent)` as its reverse rule."""

    @jax.custom_vjp
    def function(x: Any) -> Any:
        return forward(x)

    def run(x: Any) -> Any:
        return forward(x), x

    def back(x: Any, cotangent: Any) -> Any:
        return (backward(x, cotangent),)

    function.defvjp(run, back)
    return function


def ignores_cotangent() -> Callable[[Any], Any]:
    sine = with_backward(jnp.sin, lambda x, _: jnp.cos(x))
    return lambda x: 3 * sine(x[0])


def mean_for_a_sum() -> Callable[[Any], Any]:
    spread = with_backward(lambda b: jnp.broadcast_to(b, (4,)), lambda _, cotangent: jnp.mean(cotangent))
    return lambda x: jnp.sum((x[:4] + spread(x[4])) ** 2)


def clipped_inside() -> Callable[[Any], Any]:
    clip = with_backward(lambda x: x, lambda _, cotangent: jnp.clip(cotangent, -1, 1))
    return lambda x: jnp.sum(10 * clip(x) ** 2)


def fixed_point(count: int, *, implicit: bool) -> Callable[[Any], Any]:
    """Return z of z <- cos(p z) after `count` steps, differentiated through the steps or as if z were the limit."""

    def iterate(p: Any) -> Any:
        return lax.scan(lambda z, _: (jnp.cos(p * z), None), jnp.asarray(0.5), None, length=count)[0]

    def backward(p: Any, cotangent: Any) -> Any:
        z = iterate(p)
        slope = -jnp.sin(p * z)
        return cotangent * slope * z / (1 - slope * p)

    solve = with_backward(iterate, backward) if implicit else iterate
    return lambda x: solve(x[0])


def unseeded(x: Any) -> Any:
    generator = random.Random()  # noqa: S311 - noise

    def noise() -> Any:
        return np.float64(generator.gauss(0, 1))

    return jnp.sum(x**2) + 1e-4 * lax.stop_gradient(jax.pure_callback(noise, NUMBER((), jnp.float64)))


def counted() -> Callable[[Any], Any]:
    calls = [0]

    def count() -> Any:
        calls[0] += 1
        return np.float64(calls[0])

    def function(x: Any) -> Any:
        number = jax.pure_callback(count, NUMBER((), jnp.float64), vmap_method="sequential")
        return x[0] ** 2 + 1e-3 * lax.stop_gradient(number)

    return function


def newton_root(x: Any) -> Any:
    return lax.while_loop(lambda z: jnp.abs(z * z - x[0]) > 1e-3, lambda z: 0.5 * (z + x[0] / z), x[0])


def logistic_map(count: int) -> Callable[[Any], Any]:
    return lambda x: lax.scan(lambda z, _: (3.9 * z * (1 - z), None), x[0], None, length=count)[0]


def dropout(x: Any) -> Any:
    kept = jax.random.bernoulli(jax.random.key(3), 0.5, (4,))
    return jnp.sum(jnp.where(kept, jnp.tanh(x), 0.0) ** 2)


def elu(x: Any) -> Any:
    return jnp.where(x > 0, x, jnp.exp(jnp.minimum(x, 0.0)) - 1)


def single_of(function: Callable[[Any], Any]) -> dict[str, Any]:
    return {"single": function}


def mutations() -> list[Case]:
    """Return wrong gradients and traps, in order."""
    stop = lax.stop_gradient
    big = np.ones(1_000_000)
    return [
        case("M01", squares_of_length, [1, 2], lambda x: 2 * (x @ x) * x, expected="fail"),
        case("M02", bell, [1, -0.5], lambda x: jnp.asarray(ELLIPSE) * bell(x), expected="shape"),
        case("M03", bell, [1, -0.5], lambda x: jnp.asarray(ELLIPSE) @ x * bell(x), expected="fail"),
        case("M04", log_length, [1, 2], lambda x: jnp.eye(2) / (x @ x), expected="shape"),
        case("M05", log_length, [1, 2], lambda x: x / (x @ x), expected="fail"),
        case("M06", skewed, [1, 1], lambda x: vector(2 * x[0] + x[1], 2 * x[1]), expected="fail"),
        case("M07", skewed, [0, 0], lambda x: vector(2 * x[0] + x[1], 2 * x[1]), expected="fail"),
        case("M08", line_loss, [0], times(3, line_loss), expected="fail", rows=3),
        case(
            "M08b",
            line_loss,
            [0],
            lambda w: 2 * (jnp.asarray(ROWS_X) * w - jnp.asarray(ROWS_Y))[:, None] * jnp.asarray(ROWS_X)[:, None],
            expected="shape",
        ),
        case("M09", lambda x: x[0] ** 2, [2], lambda x: 3.99 / 2 * x, expected="fail"),
        case("M10", lambda x: x[0] + 2 * x[1] + 3, [1, 1], lambda _: vector(3, 3), expected="fail"),
        case("M11", lambda x: jnp.sum(jnp.sin(x)), [0.3, 0.7], lambda x: -jnp.cos(x), expected="fail"),
        case("M12", rosenbrock, [-1.2, 1], times(1 + 1e-6, rosenbrock), expected="fail"),
        case("M13", rosenbrock, [-1.2, 1], lambda x: jax.grad(rosenbrock)(x)[::-1], expected="fail"),
        case(
            "M14",
            lambda x: jnp.sum(jnp.arange(1.0, 6.0) * x**2),
            [1, 1, 1, 1, 1],
            lambda x: 2 * jnp.arange(2.0, 7.0) * x,
            expected="fail",
        ),
        case(
            "M15",
            weighted_softplus,
            big,
            lambda x: jax.grad(weighted_softplus)(x).at[123456].multiply(1.5),
            expected="fail",
        ),
        case("M16", normal_equations, [2, -1], lambda x: jax.grad(normal_equations)(x) - 1e-3 * x, expected="fail"),
        case(
            "M17",
            lambda x: 0.5 * (jnp.exp(x[0]) - 2) ** 2,
            [0.5],
            lambda x: jnp.exp(x) - 2,
            expected="fail",
        ),
        case("M18", softplus_with_a_wrong_rule(), [2], expected="rule"),
        case("M19", softplus_with_a_wrong_rule(), [0], expected="rule"),
        case("M20", ignores_cotangent(), [1], expected="rule"),
        case("M21", mean_for_a_sum(), [1, 2, 3, 4, 0.5], expected="rule"),
        case(
            "M22",
            lambda x: jnp.where(jnp.abs(x[0]) < 1e-6, 1 - x[0] ** 2 / 6, jnp.sin(x[0]) / x[0]),
            [0],
            expected="nan_grad",
        ),
        case("M23", lambda x: jnp.sqrt(jnp.sum(x**2)), [0, 0], expected="nan_grad"),
        case("M24", lambda x: x[0] * stop(x[0]), [3], expected="rule"),
        case("M25", lambda x: stop(x[0]) ** 2 + x[1], [3, 1], expected="zero_grad"),
        case("M26", lambda x: (jnp.round(10 * x[0]) / 10) ** 2, [0.337], expected="staircase zero_grad"),
        case("M27", lambda x: 0.01 * (100 * x[0]).astype(int), [2.713], expected="staircase zero_grad"),
        case("M28", unseeded, [1, 2], expected="nondet"),
        case("M29", counted(), [1], expected="nondet"),
        case("M30", lambda x: jax.nn.relu(x[0]) - jax.nn.relu(-x[0]), [0], expected="zero_grad fail"),
        case("M31", lambda x: jnp.abs(x[0]), [0], lambda x: jnp.where(x == 0, 2.0, jnp.sign(x)), expected="kink_fail"),
        case("M32", lambda x: jnp.where(x[0] >= 1, 1.0, 0.0), [1], expected="discontinuous"),
        case("M33", clipped_inside(), [1, 2], expected="rule"),
        case("M34", lambda x: (x[0] + stop(jnp.round(x[0]) - x[0])) ** 2, [1.3], expected="rule"),
        case("M35", fixed_point(5, implicit=True), [0.8], expected="rule"),
        case(
            "M36",
            lambda x: jnp.asarray([1.0, -2.0]) @ jnp.asarray([[1.0, 2.0], [3.0, 4.0]]) @ x,
            [1, -1],
            lambda _: jnp.asarray([[1.0, 2.0], [3.0, 4.0]]) @ jnp.asarray([1.0, -2.0]),
            expected="fail",
        ),
        case("M37", lambda x: 1e8 + jnp.sin(x[0]), [1], lambda x: 1.1 * jnp.cos(x), expected="fail"),
        case("M38", rippled, [0.4], lambda x: 3.03 * jnp.cos(3 * x), expected="fail"),
        case("M39", single_softplus, [0.5, -1, 2], lambda x: 1.02 * single_softplus_gradient(x), expected="fail"),
        case("M40", cosine_quotient, [1e-4], expected="precision_lost fail", **single_of(cosine_quotient)),
        case("M41", lambda x: jnp.log(1 + jnp.exp(x[0])), [800], expected="nonfinite_value"),
        case("M42", lambda x: jnp.exp(2 * jnp.log(x[0])), [-1], expected="nonfinite_value"),
        case("M43", lambda x: x[0] * x[1], [1, 2], lambda x: vector(x[1], -x[0]), expected="fail"),
        case("M44", lambda x: 1e-6 * (x[0] + x[1]), [1, 2], lambda x: 0 * x, expected="zero_grad"),
        case("M45", lambda x: jnp.sum(elu(x)), [1, -0.5], jnp.ones_like, expected="fail"),
        case("M46", lambda x: x[0] ** (0.0 * x[0]), [0], expected="nan_grad"),
        case("M47", lambda x: jnp.abs(x[0] - 1e-7), [0], jnp.ones_like, expected="fail"),
        case(
            "M48", lambda x: jnp.sum(product_residuals(x) ** 2), [2, 3], residuals=product_residuals, expected="ident"
        ),
        case("M49", broadcast_loss, [0], expected="shape_lint"),
    ]


def tricky() -> list[Case]:
    """Return right gradients that are hard to check, in order; expected are the verdicts that one line must have."""
    huber: Any = lambda r: jnp.where(jnp.abs(r) <= 1, 0.5 * r**2, jnp.abs(r) - 0.5)  # noqa: E731 - one line
    spectrum = 10.0 ** jnp.asarray([-6.0, -3.0, 0.0, 3.0, 6.0])
    safe_sinc: Any = lambda x: jnp.where(x == 0, 1.0, jnp.sin(x) / jnp.where(x == 0, 1.0, x))  # noqa: E731
    flat: Any = lambda x: jnp.where(x == 0, 0.0, x**2 * jnp.sin(1 / jnp.where(x == 0, 1.0, x)))  # noqa: E731
    stop = lax.stop_gradient
    declared = Settings(allow_stop_gradient=("a",))
    two = (Block(name="a"), Block(name="b"))
    return [
        case("T01", rosenbrock, [-1.2, 1], expected="pass"),
        case("T02", lambda x: (1e8 * x[0]) ** 2 + jnp.sin(1e-8 * x[1]), [1e-8, 1e8], expected="pass"),
        case("T03", lambda x: 1e12 + x @ x, [1, 2], expected="pass"),
        case("T04", lambda x: 1e8 + jnp.sin(x[0]), [1], expected="pass"),
        case("T05", lambda x: 1e12 + jnp.sin(x[0]), [1], expected="pass inconclusive"),
        case("T06", lambda x: jnp.sum((x - 1) ** 4), [1, 1], expected="pass"),
        case("T07", lambda x: x[0] ** 2, [0], expected="pass"),
        case("T08", lambda x: x[0] ** 2 - x[1] ** 2, [1, 1], expected="pass"),
        case("T09", lambda x: 3 * x[0] - 7 * x[1] + 0.1, [1.3, 0.7], expected="pass"),
        case("T10", lambda x: 7.0 + 0 * x[0], [1.3], expected="unused"),
        case("T11", lambda x: jnp.maximum(x[0], x[1]), [1, 1.5], expected="pass"),
        case("T12", lambda x: jnp.sin(1000 * x[0]), [1], expected="pass"),
        case("T13", lambda x: jnp.sin(2048 * jnp.pi * x[0]), [0], expected="pass"),
        case("T14", lambda x: jnp.abs(x[0] - 1e-7), [0], expected="pass"),
        case("T15", lambda x: jnp.sqrt(x[0]), [1e-6], expected="pass"),
        case("T16", lambda x: jnp.log(x[0]), [1e-10], expected="pass"),
        case("T16b", lambda x: jnp.log(x[0]), [1e-10], expected="pass", scale=np.ones(1)),
        case("T17", lambda x: x[0] ** 1.5, [0], expected="pass", lower=np.zeros(1)),
        case("T18", lambda x: jnp.abs(x[0]) ** 1.5, [0], expected="pass"),
        case("T19", lambda x: x[0] * jnp.abs(x[0]), [0], expected="pass"),
        case("T20", lambda x: flat(x[0]), [0], expected="pass inconclusive"),
        case("T21", rippled, [0.4], lambda x: 3 * jnp.cos(3 * x), expected="pass multiscale"),
        case("T21b", rippled, [0.4], expected="pass multiscale"),
        case("T22", single_softplus, [0.5, -1, 2], single_softplus_gradient, expected="pass"),
        case("T23", lambda x: jnp.exp(-1 / x[0] ** 2), [0.05], expected="pass"),
        case("T24", lambda x: jnp.exp(50 * x[0]), [1], expected="pass"),
        case("T25", jax.scipy.special.logsumexp, [1000, 1000.5, 999], expected="pass"),
        case("T26", lambda x: 0.5 * jnp.sum(spectrum * x**2), [1, 1, 1, 1, 1], expected="pass"),
        case("T27", lambda x: huber(x[0]), [1], expected="pass"),
        case("T28", lambda x: jnp.tanh(x[0]), [25], expected="pass inconclusive"),
        case("T29", lambda x: safe_sinc(x[0]), [0], expected="pass"),
        case("T30a", lambda x: jax.nn.relu(x[0]), [0], expected="kink_ok"),
        case("T30b", lambda x: jnp.maximum(x[0], 0), [0], expected="kink_ok"),
        case("T30c", jnp.max, [1, 1], expected="kink_ok"),
        case("T30d", lambda x: jnp.abs(x[0]), [0], expected="kink_ok"),
        case("T31", newton_root, [2], expected="pass"),
        case("T32a", fixed_point(5, implicit=False), [0.8], expected="pass"),
        case("T32b", fixed_point(200, implicit=True), [0.8], expected="pass"),
        case("T33", logistic_map(30), [0.3], expected="pass"),
        case("T33b", logistic_map(70), [0.3], expected="inconclusive pass"),
        case("T34", lambda x: jnp.arccos(x[0]), [0.9999999], expected="pass"),
        case("T35a", dropout, [0.3, -0.4, 1.2, 0.7], expected="pass"),
        case("T35b", lambda x: jnp.sum(x**2), [1, 2], expected="pass", ignored=("count",)),
        case("T35c", lambda x: stop(x[0]) ** 2 + x[1], [3, 1], expected="pass", settings=declared, blocks=two),
        case("T36a", lambda x: x[0] ** 3, [2], lambda x: 3 * x**2, expected="pass"),
        case("T36b", lambda x: jnp.exp(x[0]), [1], jnp.exp, expected="pass"),
        case("T36c", lambda x: jnp.log(x[0]), [2], lambda x: 1 / x, expected="pass"),
        case(
            "T36d", lambda x: jnp.sin(x[0]) + jnp.cos(x[0]), [0.7], lambda x: jnp.cos(x) - jnp.sin(x), expected="pass"
        ),
        case("T36e", lambda x: jnp.arcsin(x[0]), [0.3], lambda x: (1 - x**2) ** -0.5, expected="pass"),
        case("T36f", lambda x: jnp.arccos(x[0]), [0.3], lambda x: -((1 - x**2) ** -0.5), expected="pass"),
        case("T36g", lambda x: x[0] ** 2 + 2 * x[0] + 1, [3], lambda x: 2 * x + 2, expected="pass"),
        case("T36h", lambda x: x @ jnp.eye(2) @ x + 5, [1, 1], lambda x: 2 * x, expected="pass"),
    ]
