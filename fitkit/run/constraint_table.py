"""The table of constraints: both sides, violation, multiplier, and whether each is active."""

from __future__ import annotations

from fitkit.evidence import Evidence
from fitkit.problem import Problem
from fitkit.result import ConstraintSummary
from fitkit.run.numbers import number


def constraint_table(problem: Problem, evidence: Evidence) -> tuple[ConstraintSummary, ...]:
    """Return a line for each constraint, in the order of the config."""
    found = evidence.conditions
    lines = []
    for index, constraint in enumerate(problem.constraints):
        if found is None:
            lines.append(_unknown(constraint.source.strip()))
            continue
        # Raising the right side loosens <=, and moves == along; it tightens >=.
        sign = 1.0 if constraint.relation == ">=" else -1.0
        multiplier = float(found.multipliers[index])
        lines.append(ConstraintSummary(
            constraint=constraint.source.strip(),
            value=number(found.left[index]),
            limit=number(found.right[index]),
            violation=number(found.violations[index]),
            multiplier=number(sign * multiplier) if multiplier else 0.0,
            active=bool(found.active[index]),
        ))  # fmt: skip
    return tuple(lines)


def _unknown(source: str) -> ConstraintSummary:
    return ConstraintSummary(constraint=source, value=None, limit=None, violation=None, multiplier=None, active=None)
