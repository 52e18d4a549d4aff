"""What a careful colleague says beyond right and wrong: precision and identifiability."""

from __future__ import annotations

import numpy as np

from fitkit.backend import jnp
from fitkit.gradient_check.identifiability import blind_directions, in_names
from fitkit.gradient_check.modes import differentiate
from fitkit.gradient_check.points import sizes
from fitkit.gradient_check.precision import compare
from fitkit.gradient_check.probe import Place
from fitkit.gradient_check.program import Program
from fitkit.gradient_check.result import Finding, Verdict
from fitkit.gradient_check.session import Session, flat


def precision_findings(session: Session, places: tuple[Place, ...]) -> tuple[Finding, ...]:
    """Return what float32 costs, at the worst point; nothing where the run takes float64."""
    function, subject = session.subject.single, session.subject
    if function is None or not places:
        return ()
    theta = np.asarray(subject.theta, np.float32)
    way = differentiate(lambda point: jnp.reshape(jnp.asarray(function(point)), ()), theta)
    if way.function is None:
        return ()
    program = Program(flat(way.function, len(theta)), width=session.structure.width, heavy=session.structure.heavy)
    found = []
    rounded = [np.asarray(place.theta, np.float32) for place in places]
    there = np.asarray(rounded, float)  # their own rounding is not meant
    for place, point, exact in zip(places, rounded, session.measured(there, there[0]).gradients, strict=True):
        single = np.asarray(program(jnp.asarray(point)), float)
        found.append(compare(single, exact, sizes(subject, place.theta), place.name))
    kept = [finding for finding in found if finding is not None]
    lost = [finding for finding in kept if finding.verdict is Verdict.PRECISION_LOST]
    return tuple((lost or kept)[:1])


def identifiability_findings(session: Session, places: tuple[Place, ...]) -> tuple[Finding, ...]:
    """Return the combination of parameters that the residuals see at no point; at one point alone it says little."""
    residuals = session.subject.residuals
    if residuals is None or not places:
        return ()
    blind = blind_directions(residuals, [(p.theta, sizes(session.subject, p.theta)) for p in places[:3]])
    seen = [each for each in blind if each is not None]
    if not blind or len(seen) < len(blind):
        return ()
    worst = seen[0]
    names = in_names(session.subject, worst.direction)
    how = "not" if worst.exact else "hardly"
    message = (
        f"the residuals do {how} change along {names} (in units of the parameters' sizes; "
        f"singular value {worst.share:.1g} of the largest)"
    )
    return (Finding(verdict=Verdict.IDENT, parameter=None, message=message),)
