"""Second derivatives: the line test applied to the gradient, and the symmetry of the Hessian."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from fitkit.backend import jnp
from fitkit.gradient_check.modes import curvature, refusal
from fitkit.gradient_check.points import random_direction, sizes
from fitkit.gradient_check.probe import Place
from fitkit.gradient_check.result import Finding, Verdict
from fitkit.gradient_check.session import Session, open_session
from fitkit.gradient_check.subject import Subject

ROUNDING = 1e4
"""Units of rounding by which two ways to one number may differ."""


def gradient_as_function(session: Session) -> Subject | str:
    """Return u'g as a function of theta, with Hu as its gradient, u a fixed random direction; or why there is no Hu."""
    subject = session.subject
    size = sizes(subject, subject.theta)
    held = np.zeros(len(subject.theta), bool)
    weights = random_direction(subject, subject.theta, held, "", np.random.default_rng([session.settings.seed, 2]))
    direction = jnp.asarray(weights.signs * size)
    product = curvature(session.gradient)
    reason = refusal(product, subject.theta, direction)
    if reason is not None:
        return reason

    def projected(theta: Any) -> Any:
        return jnp.vdot(direction, session.gradient(theta))

    def its_gradient(theta: Any) -> Any:
        return product(theta, direction)

    return replace(
        subject, function=projected, gradient=its_gradient, residuals=None, single=None, solution=subject.solution
    )


def second_session(session: Session) -> Session | str:
    """Return the session of the gradient's projection, or why there is none."""
    subject = gradient_as_function(session)
    return subject if isinstance(subject, str) else open_session(subject, session.settings)


def symmetry(session: Session, place: Place) -> Finding | None:
    """Return a finding where u'Hv and v'Hu differ: the gradient is then the gradient of no function."""
    draws = np.random.default_rng([session.settings.seed, 3])
    held = np.zeros(len(place.theta), bool)
    size = sizes(session.subject, place.theta)
    first, second = (random_direction(session.subject, place.theta, held, "", draws).signs * size for _ in range(2))
    product = curvature(session.gradient)
    if len(place.theta) < 2 or refusal(product, place.theta, first) is not None:
        return None
    theta = jnp.asarray(place.theta)
    images = [np.asarray(product(theta, jnp.asarray(direction)), float) for direction in (first, second)]
    one, other = float(second @ images[0]), float(first @ images[1])
    level = ROUNDING * session.structure.epsilon * float(np.abs(second) @ np.abs(images[0]))
    level += ROUNDING * session.structure.epsilon * float(np.abs(first) @ np.abs(images[1]))
    if not np.isfinite(one - other) or abs(one - other) <= level:
        return None
    message = (
        f"the gradient is the gradient of no function: its derivative is not symmetric at {place.name}, "
        f"{one:.8g} one way and {other:.8g} the other"
    )
    return Finding(verdict=Verdict.SYMMETRY, parameter=None, message=message)


def modes_agree(session: Session, places: tuple[Place, ...]) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    """Return a finding where forward and reverse mode differ, and notes on modes that there are not."""
    if session.way.mode == "forward":
        return (), (f"forward mode was used: {session.way.reason}",)
    if session.no_forward:
        return (), (f"forward mode unavailable: {session.no_forward}",) if places else ()
    found = []
    for place in places:
        if place.ahead is None:
            continue
        move = session.across(place.theta)
        back = float(place.gradient @ move)
        level = ROUNDING * session.structure.epsilon * float(np.abs(place.gradient) @ np.abs(move))
        if abs(place.ahead - back) > level + 10 * place.condition(move):
            message = f"forward and reverse mode disagree at {place.name}: {place.ahead:.10g} and {back:.10g}"
            found.append(Finding(verdict=Verdict.SYMMETRY, parameter=None, message=message))
    return tuple(found[:1]), ()
