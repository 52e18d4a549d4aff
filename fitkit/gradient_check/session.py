"""One check under way: the function, its gradient, and their compiled programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from fitkit.backend import jax, jnp
from fitkit.gradient_check.ladder import Vector
from fitkit.gradient_check.modes import Gradient, differentiate, directional, traced
from fitkit.gradient_check.points import domain, random_direction, sizes
from fitkit.gradient_check.probe import Place, Probe
from fitkit.gradient_check.program import Program
from fitkit.gradient_check.settings import Settings
from fitkit.gradient_check.structure import Structure, called, structure, trace
from fitkit.gradient_check.subject import Subject

ONE_BY_ONE = 30_000
"""Entries from which the points of a line are made on the device, one at a time."""
SHAKES = (1.0, -1.0, 2.0, -2.0)
"""By how many units of rounding a point is moved to see what rounding it does to the gradient."""


def scalar(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return `function` with its one number as a float64 scalar, whatever its shape of one entry and its precision.

    What is not one number stays as it is.
    """

    def value(theta: Any) -> Any:
        found = jnp.asarray(function(theta))
        return jnp.reshape(found, ()).astype(jnp.float64) if found.size == 1 else found

    return value


def flat(function: Callable[[Any], Any], free: int) -> Callable[[Any], Any]:
    """Return a gradient as one float64 vector of shape (free,)."""

    def gradient(theta: Any) -> Any:
        return jnp.reshape(jnp.asarray(function(theta)), (free,)).astype(jnp.float64)

    return gradient


@final
@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a function does at some points."""

    values: Vector
    """Shape (points,)."""
    gradients: NDArray[np.float64]
    """The gradient under test, shape (points, free)."""
    slopes: Vector | None
    """The derivatives along a direction in forward mode, shape (points,); None where that is not another way."""


@final
@dataclass(frozen=True, kw_only=True)
class Session:
    """The function of `subject`, its gradient under test, and their programs; compiled when first used."""

    subject: Subject
    settings: Settings
    function: Callable[[Any], Any]
    gradient: Callable[[Any], Any]
    """theta -> (free,)."""
    way: Gradient
    """How JAX differentiates the function, which is the gradient under test unless the subject has its own."""
    forward: Callable[[Any, Any], Any] | None
    """(theta, direction) -> the derivative along it in forward mode; None where that is not another way."""
    no_forward: str
    """Why there is no forward mode, where that is to be told."""
    closed: Any
    """The function's program, a closed jaxpr."""
    structure: Structure
    rungs: int = field(default=37)

    @cached_property
    def values(self) -> Program:
        """The value at many points."""
        return Program(self.function, width=self.structure.width, heavy=self.structure.heavy)

    @cached_property
    def whole(self) -> Program:
        """All that is asked of single points, in one program: of theta and a direction, value, gradient and slope."""
        free = len(self.subject.theta)

        def everything(both: Any) -> Any:
            theta, move = both[:free], both[free:]
            parts = [self.function(theta)[None], self.gradient(theta)]
            parts += [] if self.forward is None else [self.forward(theta, move)[None]]
            return jnp.concatenate(parts)

        width, heavy = 3 * max(self.structure.width, free), 5 * self.structure.heavy
        return Program(everything, width=width, heavy=heavy, most=8)

    def measured(self, points: NDArray[np.float64], move: Vector) -> Measured:
        """Return what the function does at `points`, shape (points, free), and its slopes along `move`, shape (free,)."""
        found = self.whole.at(np.concatenate([points, np.broadcast_to(move, points.shape)], axis=1))
        free = len(move)
        slopes = None if self.forward is None else found[:, -1]
        return Measured(values=found[:, 0], gradients=found[:, 1 : free + 1], slopes=slopes)

    @property
    def probe(self) -> Probe:
        """The line test."""
        lower, upper = domain(self.subject)
        return Probe(
            program=self.values,
            lower=lower,
            upper=upper,
            rungs=self.rungs,
            epsilon=self.structure.epsilon,
            jumpy=self.structure.loops,
            one_by_one=len(self.subject.theta) >= ONE_BY_ONE,
        )

    def shaken(self, theta: Vector) -> NDArray[np.float64]:
        """Return theta and its neighbours by rounding, shape (1 + shakes, free)."""
        signs = np.random.default_rng(0).choice([-1.0, 1.0], len(theta))
        shakes = SHAKES if len(theta) < ONE_BY_ONE else SHAKES[:2]
        moved = [theta * (1 + shake * self.structure.epsilon * signs) for shake in shakes]
        lower, upper = domain(self.subject)
        return np.stack([theta, *(np.clip(point, lower, upper) for point in moved)])

    def place(self, name: str, theta: Vector, spread: float = 0.0) -> Place:
        """Return the gradient at theta and its neighbours."""
        move = self.across(theta)
        found = self.measured(self.shaken(theta), move)
        return Place(
            name=name,
            theta=theta,
            gradient=found.gradients[0],
            shaken=found.gradients[1:],
            spread=spread,
            value=float(found.values[0]),
            ahead=None if found.slopes is None else float(found.slopes[0]),
        )

    def across(self, theta: Vector) -> Vector:
        """Return the direction from theta along which forward and reverse mode are compared, shape (free,)."""
        draws = np.random.default_rng([self.settings.seed, 4])
        held = np.zeros(len(theta), bool)
        return random_direction(self.subject, theta, held, "", draws).signs * sizes(self.subject, theta)


def open_session(subject: Subject, settings: Settings, closed: Any = None) -> Session | str:
    """Return the session of a subject whose value is a scalar, or why it has no gradient.

    Args:
        subject: what is checked.
        settings: how.
        closed: the program of `scalar(subject.function)`, where it is known already.
    """
    closed = trace(scalar(subject.function), subject.theta) if closed is None else closed
    function = called(closed)
    if subject.gradient is not None:
        way = Gradient(function=subject.gradient, mode="given")
    else:
        way = differentiate(function, subject.theta)
    if way.function is None:
        return way.reason
    forward = traced(directional(function), subject.theta, subject.theta) if way.mode == "reverse" else None
    return Session(
        subject=subject,
        settings=settings,
        function=function,
        gradient=flat(way.function, len(subject.theta)),
        way=way,
        forward=None if isinstance(forward, str) else forward,
        no_forward=forward if isinstance(forward, str) else "",
        closed=closed,
        structure=structure(closed),
        rungs=settings.rungs,
    )


def shape_of(function: Callable[[Any], Any], theta: Vector) -> tuple[int, ...]:
    """Return the shape of what `function` returns."""
    return tuple(jax.eval_shape(lambda point: jnp.asarray(function(point)), jnp.asarray(theta)).shape)
