"""The whole check of one gradient."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fitkit.gradient_check.result import LOWERED, Check, Finding, GradientReport, Verdict
from fitkit.gradient_check.settings import Settings
from fitkit.gradient_check.subject import Subject

if TYPE_CHECKING:
    from fitkit.gradient_check.lines import Tested
    from fitkit.gradient_check.places import Places
    from fitkit.gradient_check.plan import Plan
    from fitkit.gradient_check.rule_check import RuleReport
    from fitkit.gradient_check.session import Session


def check_function(subject: Subject, settings: Settings) -> GradientReport:
    """Check the gradient of `subject`, and return everything found.

    Never raises for anything the function does but what its own code raises when it is first called.
    """
    from fitkit.gradient_check.session import open_session, scalar
    from fitkit.gradient_check.structure import trace

    report = GradientReport(lowered=LOWERED if settings.warn else frozenset(), notes=_policies(subject, settings))
    if subject.theta.size == 0:
        return report.joined(notes=("no parameter is free",))
    closed = trace(scalar(subject.function), subject.theta)
    wrong = _wrong_shapes(subject, closed)
    if wrong is not None:
        return report.joined(findings=(wrong,))
    session = open_session(subject, settings, closed)
    if isinstance(session, str):
        message = f"the function has no gradient: {session}"
        return report.joined(findings=(Finding(verdict=Verdict.FAIL, parameter=None, message=message),))
    return _checked(session, report)


def _policies(subject: Subject, settings: Settings) -> tuple[str, ...]:
    notes = []
    if subject.ignored:
        notes.append(f"no real numbers, left alone: {', '.join(subject.ignored)}")
    if settings.allow_kinks:
        notes.append("policy allow_kinks: at a kink any gradient is accepted")
    if settings.allow_stop_gradient:
        notes.append(f"policy allow_stop_gradient: {', '.join(settings.allow_stop_gradient)}")
    if settings.surrogate:
        notes.append("policy surrogate: rules may differ from the derivative")
    if settings.warn:
        notes.append("policy warn: staircases, jumps and non-determinism do not fail")
    return tuple(notes)


def _wrong_shapes(subject: Subject, closed: Any) -> Finding | None:
    """Return what is wrong with the shape of the value or of the gradient, if anything."""
    import math

    from fitkit.gradient_check.session import shape_of

    value, free = closed.out_avals[0].shape, len(subject.theta)
    if math.prod(value) != 1:
        message = f"the value is no number but an array of shape {value}"
        return Finding(verdict=Verdict.SHAPE, parameter=None, message=message)
    if subject.gradient is None:
        return None
    given = shape_of(subject.gradient, subject.theta)
    if given == (free,) or (free == 1 and given == ()):
        return None
    message = f"the gradient has shape {given} where the parameters have shape {(free,)}"
    return Finding(verdict=Verdict.SHAPE, parameter=None, message=message)


def _checked(session: Session, report: GradientReport) -> GradientReport:
    """Run every layer in turn; what an earlier one found decides what a later one looks at."""
    from fitkit.gradient_check.colleague import identifiability_findings, precision_findings
    from fitkit.gradient_check.cost import measure
    from fitkit.gradient_check.determinism import determinism
    from fitkit.gradient_check.places import find_places
    from fitkit.gradient_check.rule_check import check_rules
    from fitkit.gradient_check.second_order import modes_agree
    from fitkit.gradient_check.session import scalar
    from fitkit.gradient_check.shape_lint import watched_trace

    watched = watched_trace(scalar(session.subject.function), session.subject.theta)
    random, spread = determinism(session, watched.program)
    cost = measure(session) if session.settings.measure else None
    plan = _plan(session)
    places = find_places(session, plan.points, spread)
    report = replace(report, cost=cost)
    report = report.joined(findings=(*watched.findings, *random, *places.findings), notes=places.notes)
    stripped = check_rules(replace(session, rungs=plan.rungs), places.found)
    modes, mode_notes = modes_agree(session, places.found)
    report = replace(report, rules=stripped.rules)
    report = report.joined(findings=modes, notes=(*stripped.notes, *mode_notes))
    report = _with_lines(replace(session, rungs=plan.rungs), report, places, plan, stripped)
    return report.joined(
        findings=(*precision_findings(session, places.found), *identifiability_findings(session, places.found)),
        notes=(*plan.notes, *_batches(session)),
    )


def _plan(session: Session) -> Plan:
    from fitkit.backend import jnp
    from fitkit.gradient_check.cost import seconds
    from fitkit.gradient_check.lines import single_places
    from fitkit.gradient_check.plan import plan

    singles = len(single_places(session.subject))
    budgeted = session.settings.budget is not None
    timed = seconds(session.values, jnp.asarray(session.subject.theta)) if budgeted else None
    return plan(session.settings, singles, session.structure.heavy, timed)


def _batches(session: Session) -> tuple[str, ...]:
    reason = session.values.reason or session.whole.reason
    return (f"evaluated one point after the other: {reason}",) if reason else ()


def _with_lines(
    session: Session, report: GradientReport, places: Places, plan: Plan, stripped: RuleReport
) -> GradientReport:
    import numpy as np

    from fitkit.gradient_check.lines import judged_lines, unused_findings
    from fitkit.gradient_check.rule_check import declared
    from fitkit.gradient_check.second_order import second_session

    held = np.zeros(len(session.subject.theta), bool)
    if stripped.stopped is not None:
        held = declared(session) & stripped.stopped
    tested = judged_lines(session, places.found, plan, held)
    report = _told(session, report, tested, stripped.suspect)
    report = report.joined(findings=unused_findings(tested))
    if session.settings.order == 1:
        return report
    second = second_session(session)
    if isinstance(second, str):
        return report.joined(notes=(f"second order was not tested: {second}",))
    again = [second.place(place.name, place.theta) for place in places.found]
    finite = tuple(place for place in again if np.all(np.isfinite(place.gradient)))
    curved = judged_lines(second, finite, plan, held)
    renamed = [replace(t, direction=replace(t.direction, name=f"{t.direction.name}, second order")) for t in curved]
    return _told(second, report, renamed)


def _told(session: Session, report: GradientReport, tested: list[Tested], suspect: int | None = None) -> GradientReport:
    """Add the lines to the report, with the entry and the factor that a failure was traced to."""
    from fitkit.gradient_check.failures import explain
    from fitkit.gradient_check.lines import as_check

    settled = [_settle(session, report, line) for line in tested]
    explained = explain(session, settled, suspect)
    checks = [as_check(session.subject, line, explained.parameter) for line in settled]
    kept: list[Check] = [c if c.verdict is not Verdict.PASS else replace(c, parameter=_alone(c)) for c in checks]
    return report.joined(checks=kept, findings=explained.findings)


def _alone(check: Check) -> str | None:
    """A line that passed blames nobody: only a line of one parameter names it."""
    return None if check.direction.startswith("random ") else check.parameter


def _settle(session: Session, report: GradientReport, line: Tested) -> Tested:
    """Return the line with its verdict as the policies, and what is known of the function, leave it."""
    verdict = line.judged.verdict
    settings = session.settings
    failed = {Verdict.FAIL, Verdict.ZERO_GRAD, Verdict.KINK_FAIL, Verdict.STAIRCASE}
    if verdict is Verdict.KINK_FAIL and settings.allow_kinks:
        verdict = Verdict.KINK_OK
    if verdict in failed and settings.surrogate and any(r.verdict is Verdict.SURROGATE for r in report.rules):
        verdict = Verdict.SURROGATE
    if verdict in failed and any(finding.verdict is Verdict.NONDET for finding in report.findings):
        verdict = Verdict.INCONCLUSIVE  # its values drift: they show nothing but that
    return line if verdict is line.judged.verdict else replace(line, judged=replace(line.judged, verdict=verdict))
