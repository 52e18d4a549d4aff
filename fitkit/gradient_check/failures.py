"""Why lines failed: the entry, the factor, the cast on the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from fitkit.gradient_check.lines import FAILED, Tested
from fitkit.gradient_check.locate import Located, bisect, common_ratio, entry_alone, factor_words, worst_entry
from fitkit.gradient_check.plan import SWEEP_UP_TO
from fitkit.gradient_check.result import Finding, Verdict
from fitkit.gradient_check.second_order import symmetry
from fitkit.gradient_check.session import Session
from fitkit.gradient_check.shape_lint import integer_casts


@final
@dataclass(frozen=True, kw_only=True)
class Explanation:
    """What failures were traced to."""

    parameter: str | None = None
    findings: tuple[Finding, ...] = ()


def explain(session: Session, tested: list[Tested], suspect: int | None) -> Explanation:
    """Return the entry that is the furthest off, and sentences for the report.

    Args:
        session: of the function.
        tested: every line.
        suspect: the entry that a wrong rule changes the most, if one does: it is looked at first.
    """
    failed = [line for line in tested if line.judged.verdict in FAILED]
    flat = [line for line in tested if line.judged.verdict in {Verdict.ZERO_GRAD, Verdict.STAIRCASE}]
    casts = integer_casts(session.closed.jaxpr) if flat else ()
    found = [Finding(verdict=flat[0].judged.verdict, parameter=None, message=_cast_words(casts))] if casts else []
    if not failed:
        return Explanation(findings=tuple(found))
    located = worst_entry(failed)
    if located is None and len(session.subject.theta) > SWEEP_UP_TO:
        line = next((line for line in failed if not line.direction.single), failed[0])
        located = (None if suspect is None else entry_alone(session, line, suspect)) or bisect(session, line)
    ratio = common_ratio(tested)
    parameter = None if located is None else session.subject.name(located.index)
    found.insert(
        0, Finding(verdict=failed[0].judged.verdict, parameter=parameter, message=_words(session, located, ratio))
    )
    asymmetric = symmetry(session, failed[0].place)
    return Explanation(parameter=parameter, findings=(*found, *([asymmetric] if asymmetric else [])))


def _cast_words(casts: tuple[str, ...]) -> str:
    return f"no gradient comes through {', '.join(casts[:3])}"


def _words(session: Session, located: Located | None, ratio: float | None) -> str:
    rows = session.subject.rows
    if ratio is not None and ratio != 0 and len(session.subject.theta) > 1:
        words = factor_words(ratio, rows)
        if words:
            return f"the whole gradient is {ratio:.8g} times the derivative: {words}"
    if located is None:
        return "the gradient differs from the derivative along every direction tested, owing to no single entry"
    name = session.subject.name(located.index)
    words = factor_words(located.ratio, rows)
    shown = f"the gradient for {name} is {located.autodiff:.10g}, the values show {located.numerical:.10g}"
    return f"{shown} +- {located.error:.1g}" + (f": {words}" if words else "")
