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
from fitkit.gradient_check.modes import Gradient, differentiate
from fitkit.gradient_check.points import domain
from fitkit.gradient_check.probe import Place, Probe
from fitkit.gradient_check.program import Program
from fitkit.gradient_check.settings import Settings
from fitkit.gradient_check.structure import Structure, structure, trace
from fitkit.gradient_check.subject import Subject

ONE_BY_ONE = 30_000
"""Entries from which the points of a line are made on the device, one at a time."""
SHAKES = (1.0, -1.0, 2.0, -2.0)
"""By how many units of rounding a point is moved to see what rounding it does to the gradient."""


def scalar(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return `function` with its one number as a float64 scalar, whatever its shape of one entry and its precision."""

    def value(theta: Any) -> Any:
        return jnp.reshape(jnp.asarray(function(theta)), ()).astype(jnp.float64)

    return value


def flat(function: Callable[[Any], Any], free: int) -> Callable[[Any], Any]:
    """Return a gradient as one float64 vector of shape (free,)."""

    def gradient(theta: Any) -> Any:
        return jnp.reshape(jnp.asarray(function(theta)), (free,)).astype(jnp.float64)

    return gradient


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
    closed: Any
    """The function's program, a closed jaxpr."""
    structure: Structure
    rungs: int = field(default=37)

    @cached_property
    def values(self) -> Program:
        """The value at many points."""
        return Program(self.function, width=self.structure.width, heavy=self.structure.heavy)

    @cached_property
    def gradients(self) -> Program:
        """The gradient at many points."""
        free = len(self.subject.theta)
        return Program(self.gradient, width=3 * max(self.structure.width, free), heavy=4 * self.structure.heavy)

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
        found = self.gradients.at(self.shaken(theta))
        return Place(name=name, theta=theta, gradient=found[0], shaken=found[1:], spread=spread)

    def value(self, theta: Vector) -> float:
        """Return the value at theta."""
        return float(self.values.at(theta[None])[0])


def open_session(subject: Subject, settings: Settings) -> Session | str:
    """Return the session of a subject whose value is a scalar, or why it has no gradient."""
    function = scalar(subject.function)
    closed = trace(function, subject.theta)
    way = differentiate(function, subject.theta)
    given = subject.gradient or way.function
    if given is None:
        return way.reason
    return Session(
        subject=subject,
        settings=settings,
        function=function,
        gradient=flat(given, len(subject.theta)),
        way=way,
        closed=closed,
        structure=structure(closed),
        rungs=settings.rungs,
    )


def shape_of(function: Callable[[Any], Any], theta: Vector) -> tuple[int, ...]:
    """Return the shape of what `function` returns."""
    return tuple(jax.eval_shape(lambda point: jnp.asarray(function(point)), jnp.asarray(theta)).shape)
