"""Hand-written rules against the program they stand for, with the values as the judge between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from fitkit.gradient_check.ladder import Vector
from fitkit.gradient_check.modes import differentiate
from fitkit.gradient_check.points import sizes
from fitkit.gradient_check.probe import Place
from fitkit.gradient_check.program import Program
from fitkit.gradient_check.result import Rule, Verdict
from fitkit.gradient_check.session import Session, flat
from fitkit.gradient_check.strip import STOP, RuleKey, rules, stripped

ROUNDING = 1e3
"""Differences of this many units of rounding are rounding: two programs add up in another order."""
SEEN = 1e-6
"""Relative differences above this are wrong by proof even where the values cannot show it."""
_BORNE_OUT = frozenset({Verdict.PASS, Verdict.KINK_OK, Verdict.MULTISCALE, Verdict.UNUSED})
_UNDECIDED = frozenset({Verdict.INCONCLUSIVE})


@final
@dataclass(frozen=True, kw_only=True)
class RuleReport:
    """What stripping showed."""

    rules: tuple[Rule, ...] = ()
    notes: tuple[str, ...] = ()
    stopped: NDArray[np.bool_] | None = None
    """Entries whose gradient a stopped gradient changes, shape (free,)."""
    suspect: int | None = None
    """The entry of the gradient that a wrong rule changes the most."""


@final
@dataclass(frozen=True, kw_only=True)
class _Difference:
    """Where the gradient without rules differs from the gradient under test."""

    place: Place
    other: Vector
    """The gradient without rules."""
    apart: NDArray[np.bool_]
    """Entries that differ by more than rounding."""
    worst: int
    """The entry that differs the most, in units of the parameters' sizes."""
    relative: float


def check_rules(session: Session, places: tuple[Place, ...]) -> RuleReport:
    """Return a verdict on each hand-written rule and stopped gradient that changes the gradient."""
    known = rules(session.closed)
    if not known or session.subject.gradient is not None:
        return RuleReport()
    whole = _differences(session, places, frozenset(known))
    if isinstance(whole, str):
        return RuleReport(notes=(f"rules were not tested by stripping them: {whole}",))
    if not whole:
        return RuleReport()
    found: list[Rule] = []
    notes: list[str] = []
    stopped, allowed = np.zeros(len(session.subject.theta), bool), declared(session)
    for rule, apart in _blamed(session, places, known, whole):
        verdict, note = _verdict(session, apart)
        if rule.name == STOP and verdict is Verdict.RULE:
            touched = np.any([each.apart for each in apart], axis=0)
            stopped |= touched
            if not np.any(touched & ~allowed):
                verdict, note = Verdict.STOPGRAD, f"declared: {note}"
        place = rule.place
        found.append(
            Rule(
                file=place.file if place and not place.within_fitkit else None,
                line=place.line if place and not place.within_fitkit else None,
                name=rule.name,
                verdict=verdict,
                note=note,
            )
        )
    return RuleReport(rules=tuple(found), notes=tuple(notes), stopped=stopped, suspect=whole[0].worst)


def declared(session: Session) -> NDArray[np.bool_]:
    """Return the entries whose gradient may be stopped, as the settings declare, shape (free,)."""
    allowed = np.zeros(len(session.subject.theta), bool)
    for block, place in session.subject.slices():
        allowed[place] = block.name in session.settings.allow_stop_gradient
    return allowed


def _blamed(
    session: Session, places: tuple[Place, ...], known: tuple[RuleKey, ...], whole: list[_Difference]
) -> list[tuple[RuleKey, list[_Difference]]]:
    """Return the rules that change the gradient when they alone are stripped; all of them where none does alone."""
    if len(known) == 1:
        return [(known[0], whole)]
    alone = [(rule, _differences(session, places, frozenset([rule]))) for rule in known]
    blamed = [(rule, apart) for rule, apart in alone if isinstance(apart, list) and apart]
    return blamed or [(rule, whole) for rule in known]


def _differences(session: Session, places: tuple[Place, ...], chosen: frozenset[RuleKey]) -> list[_Difference] | str:
    """Return the places at which stripping the `chosen` rules changes the gradient, or why that cannot be found."""
    free = len(session.subject.theta)
    function: Callable[[Any], Any] = stripped(session.closed, chosen)
    way = differentiate(function, session.subject.theta)
    if way.function is None:
        return way.reason
    program = Program(
        flat(way.function, free), width=3 * max(session.structure.width, free), heavy=4 * session.structure.heavy
    )
    found = (_difference(session, place, program) for place in places)
    return [each for each in found if each is not None]


def _difference(session: Session, place: Place, program: Program) -> _Difference | None:
    gradients = program.at(session.shaken(place.theta))
    other, shaken = gradients[0], gradients[1:]
    if not np.all(np.isfinite(other)):
        return None  # a rule that replaces an undefined derivative by its limit: the line test judges it
    size = sizes(session.subject, place.theta)
    mine, theirs = place.gradient * size, other * size
    shakes = np.abs(np.concatenate([(place.shaken - place.gradient) * size, (shaken - other) * size]))
    shakes = np.max(np.where(np.isfinite(shakes), shakes, 0.0), axis=0, initial=0.0)
    largest = float(np.max(np.abs(np.concatenate([mine, theirs]))))
    tolerance = 3 * shakes + ROUNDING * session.structure.epsilon * largest
    apart = np.abs(mine - theirs) > tolerance
    if not np.any(apart):
        return None
    worst = int(np.argmax(np.abs(mine - theirs)))
    relative = float(np.abs(mine - theirs)[worst]) / largest
    return _Difference(place=place, other=other, apart=apart, worst=worst, relative=relative)


def _verdict(session: Session, apart: list[_Difference]) -> tuple[Verdict, str]:
    """Return the verdict on one rule: the worst over the points, with the values' word on each."""
    first = None
    for each in apart:
        verdict, note = _at(session, each)
        if verdict is Verdict.RULE:
            return (Verdict.SURROGATE, f"declared: {note}") if session.settings.surrogate else (verdict, note)
        first = first or (verdict, note)
    return first or (Verdict.PASS, "")


def _at(session: Session, each: _Difference) -> tuple[Verdict, str]:
    size = sizes(session.subject, each.place.theta)
    move = np.where(each.apart, np.sign(each.place.gradient - each.other) * size, 0.0)
    with_rule, without = session.probe.judge_all(
        [(each.place, move), (replace(each.place, gradient=each.other, shaken=each.other[None]), move)]
    )
    worst = each.worst
    numbers = (
        f"at {each.place.name} the gradient for {session.subject.name(worst)} is {each.place.gradient[worst]:.8g}, "
        f"and {each.other[worst]:.8g} by the function's own operations"
    )
    either = with_rule.verdict in {Verdict.KINK_OK, Verdict.MULTISCALE}  # at a kink both may be right
    if either or (with_rule.verdict in _BORNE_OUT and without.verdict not in _BORNE_OUT):
        return Verdict.PASS, f"{numbers}; the values bear the rule out"
    if with_rule.verdict in _BORNE_OUT | _UNDECIDED and (each.relative < SEEN or session.structure.loops):
        return Verdict.PASS, f"{numbers}; the values do not show which"
    return Verdict.RULE, numbers
