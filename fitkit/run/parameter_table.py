"""The parameter table: value, error, interval, digits and flags of every parameter."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from fitkit.evidence import Evidence
from fitkit.minimize import Search
from fitkit.problem import Problem
from fitkit.result import FittedParameter, Status
from fitkit.run.assemble import Assembled
from fitkit.run.error_bars import ErrorBars
from fitkit.run.numbers import number
from fitkit.run.told import reported_share, standardized_by_name, values_by_name
from fitkit.run.verdict import Verdict

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]


MOST_DIGITS = 16.0


def right_digits(problem: Problem, theta: Vector, evidence: Evidence) -> dict[str, float]:
    """Return how many decimal digits of each free parameter are right: -log10 of its relative distance to the minimum."""
    distance = evidence.uncertainty_of_minimum
    if distance is None:
        return {}
    found = {}
    # What constraints determine is known as well as they are, and what a bound holds, exactly.
    held = set() if problem.constrained else _held(problem, evidence)
    for name, share in reported_share(problem, theta, distance).items():
        if name in held:
            found[name] = MOST_DIGITS
        elif share < 1:  # a parameter at zero is known to no share of itself
            found[name] = min(-math.log10(max(share, 1e-300)), MOST_DIGITS)
    return found


def _held(problem: Problem, evidence: Evidence) -> set[str]:
    """Return the parameters that a bound holds."""
    if not evidence.held.any():
        return set()
    layout = problem.layout
    return {name for name, place in layout.places.items() if evidence.held[place].any()}


def parameter_table(
    assembled: Assembled,
    search: Search,
    evidence: Evidence,
    errors: ErrorBars,
    verdict: Verdict,
    values: Mapping[str, Any],
) -> dict[str, FittedParameter]:
    """Return a line for each parameter, in the order of every table.

    Args:
        assembled: has the parameters as they are written, and the start.
        search: where it ended.
        evidence: the derivatives there.
        errors: by name.
        verdict: on the search.
        values: the parameters where the search ended, by name.
    """
    converged = verdict.status is Status.CONVERGED
    digits = right_digits(assembled.problem, search.theta, evidence) if converged else {}
    starts = values_by_name(assembled.problem, assembled.start)
    held = _held(assembled.problem, evidence)
    unidentified = {name.partition("[")[0] if name not in values else name for name in errors.unidentified}
    standardized = standardized_by_name(assembled.problem, search.theta)
    table = {}
    for name, parameter in assembled.parameters.items():
        conditions: tuple[tuple[Literal["at_bound", "not_identified", "fixed", "tied", "unused"], bool], ...] = (
            ("at_bound", name in held),
            ("not_identified", name in unidentified),
            ("fixed", parameter.fixed),
            ("tied", parameter.equals is not None),
            ("unused", name in assembled.unused),
        )
        table[name] = FittedParameter(
            value=_number(values[name]),
            error=number(errors.errors.get(name)),
            interval=errors.intervals.get(name),
            start=number(_number(starts[name])),
            min=parameter.min,
            max=parameter.max,
            fixed=parameter.fixed,
            tied=None if parameter.equals is None else parameter.equals.source,
            digits=0.0 if name in unidentified and converged else digits.get(name),
            flags=tuple(flag for flag, holds in conditions if holds),
            shape=parameter.shape,
            standardized=standardized.get(name),
        )
    return table


def _number(value: Any) -> float:
    return value if isinstance(value, float) else float("nan")
